//! One request to one target: a connection, the exchange, its limits, and another attempt where the request certainly has
//! not run. Which group, and what the client gets to see, is decided in `listener`.

pub mod client;
pub mod client_certificate;
pub mod exchange;
pub mod headers;
pub mod http1;
pub mod http2;
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
use crate::model::{LoadBalancerSettings, ProtocolVersion, Retry, Stickiness};
use crate::target_group::{Choice, InFlight, NoTarget, Target, TargetGroup};
use client::Client;
use exchange::{Failure, Outgoing};
use pool::{Endpoint, Pool};

/// How often a waiting exchange looks whether its target has been taken away.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// A connection that was opened so recently has not been given up by its target.
const NEW: Duration = Duration::from_secs(1);

/// A target group as a rule's action knows it.
#[derive(Debug)]
pub struct Group {
    pub targets: Arc<TargetGroup>,
    pub metrics: Arc<GroupMetrics>,
    pub budget: Arc<RetryBudget>,
    /// Of groups whose protocol is HTTPS.
    pub tls: Option<Arc<TargetTls>>,
    pub version: ProtocolVersion,
    pub stickiness: Option<Stickiness>,
    /// How long targets keep an idle connection, as far as that was said.
    pub target_keep_alive: Option<Duration>,
}

#[derive(Debug)]
pub struct Forwarder<'a> {
    pub pool: &'a Rc<Pool>,
    pub group: &'a Group,
    pub settings: &'a LoadBalancerSettings,
    /// Where the client's session is.
    pub bound: Option<SocketAddr>,
}

/// How targets are spoken to, and what is left of an exchange once its response has begun.
pub trait Protocol<C: ?Sized>: Copy {
    type Exchange;

    /// One attempt at one target.
    fn attempt(
        self,
        forwarder: &Forwarder<'_>,
        chosen: Chosen,
        request: &Outgoing,
        client: &mut C,
        record: &mut Record,
    ) -> impl Future<Output = Result<(ResponseHead, Self::Exchange), Unanswered>>;
}

/// The target of an attempt, which counts as a request of its.
#[derive(Debug)]
pub struct Chosen {
    pub target: Arc<Target>,
    pub in_flight: InFlight,
    /// Only a connection will do that was opened after this, and over HTTP/1.1 was never used.
    pub opened_after: Option<Instant>,
}

/// An attempt without a response.
#[derive(Debug)]
pub struct Unanswered {
    target: Arc<Target>,
    why: Why,
}

#[derive(Debug)]
enum Why {
    /// There was no connection.
    Unconnected(GatewayError),
    /// There was one.
    Failed { failure: Failure, reused: bool },
    /// No other target could do better.
    Gone(GatewayError),
}

impl Unanswered {
    fn new(target: Arc<Target>, why: Why) -> Self {
        Self { target, why }
    }
}

impl Forwarder<'_> {
    /// The response's head, and the exchange that its content is still part of.
    pub async fn forward<C: Client + ?Sized, P: Protocol<C>>(
        &self,
        protocol: P,
        request: &Outgoing,
        client: &mut C,
        record: &mut Record,
    ) -> Result<(ResponseHead, P::Exchange), GatewayError> {
        let give_up = record.started() + 2 * self.settings.connect_timeout;
        let retry = self.group.targets.retry();
        let mut tried = Vec::new();
        let mut failed = GatewayError::NoTargets;
        self.group.budget.deposit();
        // When replays cannot be afforded, their cause is avoided: a connection that has been there for a while.
        let insolvent = retry == Retry::Safe && !self.group.budget.is_solvent();
        let lately = || record.started().checked_sub(NEW);
        let mut opened_after = insolvent.then(|| lately().unwrap_or_else(Instant::now));
        let (mut replayed, mut replaying) = (false, false);
        let mut fails_open = false;
        loop {
            let choice = match self.choose(&tried) {
                // The one that has just died on us may be the only one.
                Err(NoTarget::AllTried) if std::mem::take(&mut replaying) => self.choose(&[]),
                choice => choice,
            };
            let choice = match choice {
                Ok(choice) => choice,
                Err(NoTarget::NoneRegistered) => {
                    record.group(&self.group.metrics);
                    return Err(GatewayError::NoTargets);
                }
                Err(NoTarget::AllTried) => return Err(failed),
            };
            record.target(&self.group.metrics, choice.target.address());
            if choice.fail_open && !std::mem::replace(&mut fails_open, true) {
                self.group.metrics.unhealthy_routing_requests.inc();
            }
            let chosen = Chosen {
                in_flight: choice.target.begin(),
                target: choice.target,
                opened_after,
            };
            let attempt = protocol.attempt(self, chosen, request, client, record);
            let Unanswered { target, why } = match attempt.await {
                Ok(answer) => return Ok(answer),
                Err(unanswered) => unanswered,
            };
            match why {
                Why::Gone(error) => return Err(error),
                Why::Unconnected(error) => {
                    let ours = error == GatewayError::NoDescriptors;
                    if !ours {
                        target.count_error();
                    }
                    if ours || retry == Retry::None || Instant::now() >= give_up {
                        return Err(error);
                    }
                    failed = error;
                }
                Why::Failed { failure, reused } => {
                    // What certainly was not sent costs a target nothing.
                    let affordable = failure.unsent || (reused && !insolvent);
                    let replay = affordable
                        && !replayed
                        && retry == Retry::Safe
                        && client.is_untouched()
                        && may_replay(request, &failure);
                    if failure.error == GatewayError::TargetClosed && !(replay && reused) {
                        target.count_error();
                    }
                    if !replay {
                        return Err(failure.error);
                    }
                    self.group.budget.charge();
                    opened_after = Some(Instant::now());
                    (replayed, replaying) = (true, true);
                    failed = failure.error;
                    if self.bound == Some(target.address()) {
                        // A session is not given up for a connection that was merely old.
                        self.group.metrics.retries.inc();
                        continue;
                    }
                    // A server that is going down may go on accepting for a moment: another one first.
                }
            }
            self.group.metrics.retries.inc();
            tried.push(target);
        }
    }

    /// Where the client's session is, as long as that target may and does take the request; else whoever's turn it is.
    fn choose(&self, tried: &[Arc<Target>]) -> Result<Choice, NoTarget> {
        let targets = &self.group.targets;
        if let Some(bound) = self.bound
            && !tried.iter().any(|target| target.address() == bound)
            && let Some(choice) = targets.eligible(bound)
        {
            return Ok(choice);
        }
        targets.choose(tried)
    }

    fn endpoint(&self, target: &Target) -> Endpoint {
        Endpoint {
            address: target.address(),
            tls: self.group.tls.as_deref().map_or(0, TargetTls::id),
        }
    }

    /// A new connection, shaken hands over if the group has TLS.
    async fn connect(&self, address: SocketAddr) -> Result<Stream, GatewayError> {
        let metrics = &self.group.metrics;
        let connecting = tokio::time::timeout(self.settings.connect_timeout, pool::dial(address));
        let stream = match connecting.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%error, target = %address, "cannot connect to target");
                // No fault of the target's.
                if let Some(Errno::MFILE | Errno::NFILE) = Errno::from_io_error(&error) {
                    return Err(GatewayError::NoDescriptors);
                }
                metrics.connection_errors.inc();
                return Err(GatewayError::TargetConnectionFailed);
            }
            Err(_) => {
                metrics.connection_errors.inc();
                return Err(GatewayError::TargetConnectTimeout);
            }
        };
        let Some(tls) = &self.group.tls else {
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
async fn unless_gone<C: Client + ?Sized, T>(
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
