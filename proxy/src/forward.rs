//! One request to one target: a connection, the exchange, its limits, and another attempt where the request certainly has
//! not run. Which group, and what the client gets to see, is decided in `listener`.

pub mod client;
pub mod exchange;
pub mod headers;
pub mod pool;
mod retry_budget;
pub mod tunnel;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::Method;
use lintel_common::stream::Stream;
use lintel_common::tls::TargetTls;
use rustix::io::Errno;
use tokio::time::Instant;

pub use retry_budget::RetryBudget;

use crate::access_log::Record;
use crate::gateway_error::GatewayError;
use crate::http1::ResponseHead;
use crate::metrics::GroupMetrics;
use crate::model::{LoadBalancerSettings, Retry};
use crate::target_group::{NoTarget, Target, TargetGroup};
use client::Client;
use exchange::{Exchange, Failure, Outgoing};
use pool::{Endpoint, Pool, TargetConnection};

/// How often a waiting exchange looks whether its target has been taken away.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// A target group as a rule's action knows it.
#[derive(Debug)]
pub struct Group {
    pub targets: Arc<TargetGroup>,
    pub metrics: Arc<GroupMetrics>,
    pub budget: RetryBudget,
    /// Of groups whose protocol is HTTPS.
    pub tls: Option<Arc<TargetTls>>,
}

#[derive(Debug)]
pub struct Forwarder<'a> {
    pub pool: &'a Rc<Pool>,
    pub group: &'a Group,
    pub settings: &'a LoadBalancerSettings,
}

impl Forwarder<'_> {
    /// The response's head, and the exchange that its content is still part of.
    pub async fn forward<C: Client>(
        &self,
        request: &Outgoing,
        client: &mut C,
        record: &mut Record,
    ) -> Result<(ResponseHead, Exchange), GatewayError> {
        let give_up = record.started() + 2 * self.settings.connect_timeout;
        let retry = self.group.targets.retry();
        let mut tried = Vec::new();
        let mut failed = GatewayError::NoTargets;
        self.group.budget.deposit();
        // When replays cannot be afforded, their cause is avoided: only a reused connection needs one.
        let mut fresh = retry == Retry::Safe && !self.group.budget.is_solvent();
        let mut replaying = false;
        loop {
            let choice = match self.group.targets.choose(&tried) {
                // The one that has just died on us may be the only one.
                Err(NoTarget::AllTried) if std::mem::take(&mut replaying) => {
                    self.group.targets.choose(&[])
                }
                choice => choice,
            };
            let choice = match choice {
                Ok(choice) => choice,
                Err(NoTarget::NoneRegistered) => return Err(GatewayError::NoTargets),
                Err(NoTarget::AllTried) => return Err(failed),
            };
            let in_flight = choice.target.begin();
            record.target(&self.group.metrics, choice.target.address());
            if choice.fail_open {
                self.group.metrics.unhealthy_routing_requests.inc();
            }
            let connecting = self.connection(&choice.target, request, fresh);
            let connection = match unless_gone(client, connecting).await? {
                Ok(connection) => connection,
                Err(error) => {
                    let ours = error == GatewayError::NoDescriptors;
                    if ours || retry == Retry::None || Instant::now() >= give_up {
                        return Err(error);
                    }
                    self.group.metrics.retries.inc();
                    failed = error;
                    tried.push(choice.target);
                    continue;
                }
            };
            let reused = connection.reused;
            client.proceed();
            let now = record.dispatched();
            let mut exchange = Exchange::new(connection, choice.target, in_flight);
            let response = exchange
                .response(request, client, &self.pool.buffers, self.settings, now)
                .await;
            let failure = match response {
                Ok(head) => return Ok((head, exchange)),
                Err(failure) => failure,
            };
            let replay = reused
                && !fresh
                && retry == Retry::Safe
                && client.is_untouched()
                && may_replay(request, &failure);
            if !replay {
                return Err(failure.error);
            }
            self.group.budget.charge();
            self.group.metrics.retries.inc();
            (fresh, replaying) = (true, true);
            // A server that is going down may go on accepting for a moment: another one first.
            failed = failure.error;
            tried.push(exchange.target);
        }
    }

    async fn connection(
        &self,
        target: &Target,
        request: &Outgoing,
        fresh: bool,
    ) -> Result<Box<TargetConnection>, GatewayError> {
        let tls = self.group.tls.as_deref();
        let endpoint = Endpoint {
            address: target.address(),
            tls: tls.map_or(0, TargetTls::id),
        };
        let once_only = request.websocket || !is_idempotent(&request.method);
        if !fresh && let Some(connection) = self.pool.take(endpoint, once_only) {
            return Ok(connection);
        }
        // In a box, as it is seldom needed: every request would have to hold the room for it.
        let stream = Box::pin(self.connect(endpoint.address, tls)).await?;
        Ok(self.pool.opened(endpoint, stream))
    }

    async fn connect(
        &self,
        address: SocketAddr,
        tls: Option<&TargetTls>,
    ) -> Result<Stream, GatewayError> {
        let metrics = &self.group.metrics;
        let connecting = tokio::time::timeout(self.settings.connect_timeout, pool::dial(address));
        let stream = match connecting.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                metrics.connection_errors.inc();
                tracing::debug!(%error, target = %address, "cannot connect to target");
                return Err(match Errno::from_io_error(&error) {
                    Some(Errno::MFILE | Errno::NFILE) => GatewayError::NoDescriptors,
                    _ => GatewayError::TargetConnectionFailed,
                });
            }
            Err(_) => {
                metrics.connection_errors.inc();
                return Err(GatewayError::TargetConnectTimeout);
            }
        };
        let Some(tls) = tls else {
            return Ok(Stream::Plain(stream));
        };
        let handshake = tls.connect(stream, address.ip());
        let limit = self.settings.tls_handshake_timeout;
        match tokio::time::timeout(limit, handshake).await {
            Ok(Ok(stream)) => Ok(Stream::Tls(Box::new(stream))),
            Ok(Err(error)) => {
                metrics.tls_negotiation_errors.inc();
                tracing::debug!(%error, target = %address, "TLS handshake with target failed");
                Err(GatewayError::TargetTlsFailed)
            }
            Err(_) => {
                metrics.tls_negotiation_errors.inc();
                Err(GatewayError::TargetTlsTimeout)
            }
        }
    }
}

/// Nobody connects for a client that has gone.
async fn unless_gone<C: Client, T>(
    client: &mut C,
    future: impl Future<Output = T>,
) -> Result<T, GatewayError> {
    let mut future = std::pin::pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Ok(done)),
        Poll::Pending => client.poll_gone(cx).map(Err),
    })
    .await
}

/// Whether the request certainly has not run, or may run twice: a reused connection that dies without a word was most
/// often closed by its target before the request arrived.
fn may_replay(request: &Outgoing, failure: &Failure) -> bool {
    let repeatable = failure.unsent || is_idempotent(&request.method);
    failure.error == GatewayError::TargetClosed
        && failure.silent
        && repeatable
        && !request.websocket
}

/// RFC 9110 9.2.2
fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    )
}
