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
            opened_after,
        } = chosen;
        let endpoint = forwarder.endpoint(&target);
        let connecting = connection(forwarder, endpoint, request, opened_after.is_some());
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
    // Once part of a body has gone, nobody has it to send it again.
    let once_only = request.websocket || request.has_body || !is_idempotent(&request.method);
    if !fresh && let Some(connection) = pool.take(endpoint, once_only) {
        return Ok(connection);
    }
    // In a box, as it is seldom needed: every request would have to hold the room for it.
    let stream = Box::pin(forwarder.connect(endpoint.address)).await?;
    let mut connection = pool.opened(endpoint, stream);
    let tls = forwarder.group.tls.as_ref();
    if tls.is_some_and(|tls| !tls.is_verified()) {
        // Many servers never say it. Where nobody knows who is at the other end, it would protect from nothing.
        connection.wire.let_end_unsaid();
    }
    Ok(connection)
}
