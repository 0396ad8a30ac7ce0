//! Targets that speak HTTP/1.1: a connection out of the pool or a new one, and one exchange on it.

use super::client::Client;
use super::exchange::{Exchange, Outgoing};
use super::pool::{Endpoint, TargetConnection};
use super::{Chosen, Forwarder, Protocol, Unanswered, Why, is_idempotent, unless_gone};
use crate::access_log::Record;
use crate::gateway_error::GatewayError;
use crate::http1::ResponseHead;

#[derive(Debug, Clone, Copy)]
pub struct Http1;

impl<C: Client> Protocol<C> for Http1 {
    type Exchange = Exchange;

    async fn attempt(
        self,
        forwarder: &Forwarder<'_>,
        chosen: Chosen,
        request: &Outgoing,
        client: &mut C,
        record: &mut Record,
    ) -> Result<(ResponseHead, Exchange), Unanswered> {
        let Chosen {
            target,
            in_flight,
            fresh,
        } = chosen;
        let endpoint = forwarder.endpoint(&target);
        let connecting = connection(forwarder, endpoint, request, fresh);
        let connection = match unless_gone(client, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(Unanswered::new(target, Why::Unconnected(error))),
            Err(gone) => return Err(Unanswered::new(target, Why::Gone(gone))),
        };
        let reused = connection.reused;
        client.proceed();
        let now = record.dispatched();
        let mut exchange = Exchange::new(connection, target, in_flight);
        exchange.kept_for(forwarder.group.target_keep_alive);
        let buffers = &forwarder.pool.buffers;
        let response = exchange.response(request, client, buffers, forwarder.settings, now);
        match response.await {
            Ok(head) => Ok((head, exchange)),
            Err(failure) => {
                let why = Why::Failed { failure, reused };
                Err(Unanswered::new(exchange.target, why))
            }
        }
    }
}

async fn connection(
    forwarder: &Forwarder<'_>,
    endpoint: Endpoint,
    request: &Outgoing,
    fresh: bool,
) -> Result<Box<TargetConnection>, GatewayError> {
    let pool = forwarder.pool;
    let once_only = request.websocket || !is_idempotent(&request.method);
    if !fresh && let Some(connection) = pool.take(endpoint, once_only) {
        return Ok(connection);
    }
    // In a box, as it is seldom needed: every request would have to hold the room for it.
    let stream = Box::pin(forwarder.connect(endpoint.address)).await?;
    Ok(pool.opened(endpoint, stream))
}
