//! One request to one target: a connection, the exchange, its limits, and another attempt where the request certainly has
//! not run. Which group, and what the client gets to see, is decided in `listener`.

pub mod headers;
pub mod pool;
mod request_body;
mod response_body;
mod retry_budget;
mod stream;
mod traffic;
pub mod upgrade;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode, request};
use hyper::body::Incoming;
use rustix::io::Errno;
use tokio::time::Instant;

pub use request_body::RequestBody;
pub use response_body::TargetBody;
pub use retry_budget::RetryBudget;

use crate::access_log::Record;
use crate::gateway_error::GatewayError;
use crate::metrics::GroupMetrics;
use crate::model::{LoadBalancerSettings, Retry};
use crate::target_group::{InFlight, NoTarget, Target, TargetGroup};
use pool::{Pool, TargetConnection};
use request_body::Progress;

/// How often a waiting exchange looks whether its target has been taken away.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// A target group as a rule's action knows it.
#[derive(Debug)]
pub struct Group {
    pub name: Arc<str>,
    pub targets: Arc<TargetGroup>,
    pub metrics: GroupMetrics,
    pub budget: RetryBudget,
}

/// A request whose head has been made the target's.
#[derive(Debug)]
pub struct Outgoing {
    pub head: request::Parts,
    pub body: RequestBody,
    /// The client takes trailers.
    pub trailers: bool,
    pub websocket: bool,
}

/// What came of it.
#[derive(Debug)]
pub enum Forwarded {
    Response(Response<TargetBody>),
    /// 101: both connections are the peers' own from here on.
    Switched {
        response: Response<Incoming>,
        target: Arc<Target>,
        in_flight: InFlight,
    },
}

#[derive(Debug)]
pub struct Forwarder<'a> {
    pub pool: &'a Rc<Pool>,
    pub group: &'a Group,
    pub settings: &'a LoadBalancerSettings,
}

/// Why an exchange failed, and what is known of its request.
struct Failure {
    error: GatewayError,
    /// Not one byte of a response came.
    silent: bool,
    /// Not one byte of the request was written.
    unsent: bool,
}

impl Forwarder<'_> {
    pub async fn forward(
        &self,
        mut request: Outgoing,
        record: &mut Record,
    ) -> Result<Forwarded, GatewayError> {
        frame(&mut request);
        let give_up = Instant::now() + 2 * self.settings.connect_timeout;
        let retry = self.group.targets.retry();
        let mut tried = Vec::new();
        let mut failed = GatewayError::NoTargets;
        self.group.budget.deposit();
        // When replays cannot be afforded, their cause is avoided: only a reused connection needs one.
        let mut fresh = retry == Retry::Safe && !self.group.budget.is_solvent();
        loop {
            let choice = match self.group.targets.choose(&tried) {
                Ok(choice) => choice,
                Err(NoTarget::NoneRegistered) => return Err(GatewayError::NoTargets),
                Err(NoTarget::AllTried) => return Err(failed),
            };
            let in_flight = choice.target.begin();
            record.target(
                &self.group.name,
                &self.group.metrics,
                choice.target.address(),
            );
            if choice.fail_open {
                self.group.metrics.unhealthy_routing_requests.inc();
            }
            let connection = match self.connection(&choice.target, fresh).await {
                Ok(connection) => connection,
                Err(error) => {
                    self.group.metrics.connection_errors.inc();
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
            record.dispatched();
            let exchanged = self
                .exchange(connection, &request, &choice.target, in_flight)
                .await;
            let Err(failure) = exchanged else {
                return exchanged.map_err(|failure| failure.error);
            };
            let replay = reused && !fresh && retry == Retry::Safe && may_replay(&request, &failure);
            if !replay {
                return Err(failure.error);
            }
            self.group.budget.charge();
            self.group.metrics.retries.inc();
            fresh = true;
        }
    }

    async fn connection(
        &self,
        target: &Target,
        fresh: bool,
    ) -> Result<TargetConnection, GatewayError> {
        let address = target.address();
        if !fresh && let Some(connection) = self.pool.take(address).await {
            return Ok(connection);
        }
        let connecting = self.pool.connect(address);
        match tokio::time::timeout(self.settings.connect_timeout, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => {
                tracing::debug!(%error, target = %address, "cannot connect to target");
                Err(match Errno::from_io_error(&error) {
                    Some(Errno::MFILE | Errno::NFILE) => GatewayError::NoDescriptors,
                    _ => GatewayError::TargetConnectionFailed,
                })
            }
            Err(_) => Err(GatewayError::TargetConnectTimeout),
        }
    }

    /// Sends the request and waits for the response's head.
    async fn exchange(
        &self,
        mut connection: TargetConnection,
        request: &Outgoing,
        target: &Arc<Target>,
        in_flight: InFlight,
    ) -> Result<Forwarded, Failure> {
        let traffic = Arc::clone(&connection.traffic);
        let before = traffic.mark();
        let message = Request::from_parts(request.head.clone(), request.body.clone());
        let sent = self
            .response(&mut connection, message, &request.body, target)
            .await;
        let readable = sent.and_then(|response| {
            let one_way = headers::is_framed_in_one_way(response.headers());
            one_way
                .then_some(response)
                .ok_or(GatewayError::TargetMalformedResponse)
        });
        let response = readable.map_err(|error| {
            let after = traffic.mark();
            Failure {
                error,
                silent: after.received == before.received,
                unsent: after.sent == before.sent,
            }
        })?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            if request.websocket && headers::is_websocket(response.headers()) {
                return Ok(Forwarded::Switched {
                    response,
                    target: Arc::clone(target),
                    in_flight,
                });
            }
            let error = GatewayError::TargetUnexpectedUpgrade;
            return Err(Failure {
                error,
                silent: false,
                unsent: false,
            });
        }
        Ok(Forwarded::Response(response.map(|body| {
            TargetBody::new(
                body,
                connection,
                Rc::clone(self.pool),
                request.body.clone(),
                Arc::clone(target),
                in_flight,
                request.trailers,
                self.settings.idle_timeout,
            )
        })))
    }

    async fn response(
        &self,
        connection: &mut TargetConnection,
        message: Request<RequestBody>,
        body: &RequestBody,
        target: &Target,
    ) -> Result<Response<Incoming>, GatewayError> {
        let traffic = Arc::clone(&connection.traffic);
        let (mut sent, mut moved) = (traffic.mark().sent, Instant::now());
        let mut response = std::pin::pin!(connection.sender.try_send_request(message));
        loop {
            let now = Instant::now();
            let sent_now = traffic.mark().sent;
            if sent_now != sent {
                (sent, moved) = (sent_now, now);
            }
            let (deadline, overdue) = self.patience(body, moved);
            if now >= deadline {
                return Err(overdue);
            }
            if target.is_drained() {
                return Err(GatewayError::TargetDeregistered);
            }
            tokio::select! {
                biased;
                response = &mut response => {
                    return response.map_err(|error| classify(error.error(), body, target));
                }
                () = tokio::time::sleep_until(earliest(deadline, now + LOOK_AROUND)) => {}
            }
        }
    }

    /// Until when to wait, and for whom: while the target could take more of the body, it is the client's turn.
    fn patience(&self, body: &RequestBody, moved: Instant) -> (Instant, GatewayError) {
        let moved = body.moved().max(moved);
        match body.progress() {
            Progress::WaitingForClient => (
                moved + self.settings.idle_timeout,
                GatewayError::RequestTimeout,
            ),
            _ => (
                moved + self.settings.response_timeout,
                GatewayError::TargetResponseTimeout,
            ),
        }
    }
}

/// A body of unknown length is chunked whatever the method: hyper on its own would leave it out of a GET.
fn frame(request: &mut Outgoing) {
    use http_body::Body;
    if !request.body.is_end_stream() && !request.head.headers.contains_key(CONTENT_LENGTH) {
        request
            .head
            .headers
            .insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// Whether the request certainly has not run, or may run twice: a reused connection that dies without a word was most
/// often closed by its target before the request arrived.
fn may_replay(request: &Outgoing, failure: &Failure) -> bool {
    let repeatable = failure.unsent || is_idempotent(&request.head.method);
    failure.error == GatewayError::TargetClosed
        && failure.silent
        && repeatable
        && request.body.is_whole()
        && !request.websocket
}

/// RFC 9110 9.2.2
fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    )
}

fn classify(error: &hyper::Error, body: &RequestBody, target: &Target) -> GatewayError {
    tracing::debug!(%error, target = %target.address(), "exchange failed");
    if body.progress() == Progress::Failed {
        GatewayError::RequestBodyIncomplete
    } else if error.is_parse_too_large() {
        GatewayError::TargetHeadTooLarge
    } else if error.is_parse() {
        GatewayError::TargetMalformedResponse
    } else {
        GatewayError::TargetClosed
    }
}

fn earliest(one: Instant, other: Instant) -> Instant {
    one.min(other)
}
