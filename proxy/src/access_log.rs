//! The access log: one [`Record`] for every request, opened with its head and written when it is dropped, so that no way
//! out of a request can forget it. The record also moves the metrics, which are sums over the same facts. What stands in a
//! line of JSON is `line`'s, how that looks `json`'s, the ALB's own line `alb`'s; how lines get to a file is `log_file`'s.

mod alb;
mod json;
mod line;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use lintel_common::server::{Connection, Cut};
use tokio::time::Instant;

use crate::connection_log::{self, Failure};
use crate::desync::Classification;
use crate::forward::headers;
use crate::gateway_error::GatewayError;
use crate::http1::fields::is_valid_name;
use crate::http1::{Name, RequestHead};
use crate::log_file::LogFile;
use crate::metrics::{GroupMetrics, Metrics};
use crate::model::LogFormat;
use crate::rule::Transformed;

/// What a worker's records have in common.
#[derive(Debug)]
pub struct Recorder {
    pub metrics: Arc<Metrics>,
    /// With a buffer of the worker's own.
    pub log: Option<LogFile>,
    pub connection_log: Option<LogFile>,
    /// `app/NAME/ID`
    pub load_balancer: String,
}

impl Recorder {
    /// A connection is ready for requests, or its handshake failed.
    pub fn connection(&self, connection: &Connection, failed: Option<Failure<'_>>) {
        if let Some(log) = &self.connection_log
            && !connection_log::write(log, &self.load_balancer, connection, failed)
        {
            self.metrics.connection_log_dropped.inc();
        }
    }
}

/// What is known of one request. Everything is a cheap clone of the request's own parts; text is made only when the line
/// is written.
#[derive(Debug)]
pub struct Record {
    recorder: Rc<Recorder>,
    connection: Rc<Connection>,
    started: Instant,
    started_at: SystemTime,
    request: Option<Rc<RequestHead>>,
    received: u64,
    sent: u64,
    upgraded: bool,
    finished: bool,
    target: Option<SocketAddr>,
    group: Option<Arc<GroupMetrics>>,
    trace_id: Option<Vec<u8>>,
    rule_priority: Option<u32>,
    action: Option<&'static str>,
    transformed: Option<Rc<Transformed>>,
    redirect_url: Option<HeaderValue>,
    dispatched: Option<Instant>,
    target_answered: Option<Instant>,
    answered: Option<Instant>,
    status: Option<u16>,
    target_status: Option<u16>,
    error: Option<GatewayError>,
    error_reason: Option<&'static str>,
    classification: Option<Classification>,
}

impl Record {
    pub fn open(
        recorder: &Rc<Recorder>,
        connection: &Rc<Connection>,
        request: &Rc<RequestHead>,
    ) -> Self {
        let mut record = Self::new(recorder, connection);
        record.received = request.wire_size() as u64;
        record.request = Some(Rc::clone(request));
        record
    }

    /// A request of which not even the head could be read.
    pub fn unreadable(
        recorder: &Rc<Recorder>,
        connection: &Rc<Connection>,
        error: GatewayError,
    ) -> Self {
        let mut record = Self::new(recorder, connection);
        record.answer_own(error.status(), Some(error));
        record
    }

    fn new(recorder: &Rc<Recorder>, connection: &Rc<Connection>) -> Self {
        Self {
            recorder: Rc::clone(recorder),
            connection: Rc::clone(connection),
            started: Instant::now(),
            started_at: SystemTime::now(),
            request: None,
            received: 0,
            sent: 0,
            upgraded: false,
            finished: false,
            target: None,
            group: None,
            trace_id: None,
            rule_priority: None,
            action: None,
            transformed: None,
            redirect_url: None,
            dispatched: None,
            target_answered: None,
            answered: None,
            status: None,
            target_status: None,
            error: None,
            error_reason: None,
            classification: None,
        }
    }

    fn is_grpc(&self) -> bool {
        self.connection.http2 && self.request.as_deref().is_some_and(headers::is_grpc)
    }

    pub fn started(&self) -> Instant {
        self.started
    }

    /// When the request was read.
    pub fn started_at(&self) -> SystemTime {
        self.started_at
    }

    /// The same in seconds of Unix time.
    pub fn created_at(&self) -> u64 {
        let since = self.started_at.duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    }

    /// Bytes of the request's body, or of a WebSocket.
    pub fn received(&mut self, bytes: u64) {
        self.received += bytes;
    }

    pub fn sent(&mut self, bytes: u64) {
        self.sent += bytes;
    }

    /// A response's head with so many bytes of fields, as HTTP/1.1 would spell it.
    pub fn sent_head(&mut self, fields: usize) {
        self.sent += (fields + "HTTP/1.1 200\r\n\r\n".len() + 1) as u64;
    }

    pub fn rule(&mut self, priority: u32, action: &'static str) {
        self.rule_priority = Some(priority);
        self.action = Some(action);
    }

    pub fn rules_evaluated(&self, count: usize) {
        if count > 0 {
            let counter = &self.recorder.metrics.rule_evaluations;
            counter.inc_by(count as u64);
        }
    }

    pub fn transformed(&mut self, transformed: &Rc<Transformed>) {
        self.transformed = Some(Rc::clone(transformed));
    }

    /// Desync mitigation has something to say of it.
    pub fn classified(&mut self, classification: Classification) {
        self.recorder.metrics.non_compliant_requests.inc();
        self.classification = Some(classification);
    }

    /// The request has field names that an ALB calls invalid. `dropped`: they are not forwarded, as those never are that
    /// pose as a field of the load balancer's.
    #[cold]
    pub fn invalid_names(&self, head: &RequestHead, dropped: bool) {
        let metrics = &self.recorder.metrics;
        let invalid = head
            .fields()
            .iter()
            .filter(|field| !is_valid_name(field.spelled.as_bytes()));
        let (removed, other): (Vec<_>, Vec<_>) =
            invalid.partition(|field| dropped || field.name != Name::Other);
        if !removed.is_empty() {
            metrics.dropped_invalid_header_requests.inc();
        }
        if !other.is_empty() {
            metrics.forwarded_invalid_header_requests.inc();
        }
    }

    pub fn redirect(&mut self, location: HeaderValue) {
        self.recorder.metrics.redirects.inc();
        self.redirect_url = Some(location);
    }

    pub fn fixed_response(&mut self) {
        self.recorder.metrics.fixed_responses.inc();
    }

    pub fn trace_id(&mut self, value: &[u8]) {
        // Only a line of the log needs it.
        self.trace_id = self.recorder.log.is_some().then(|| value.to_vec());
    }

    /// What the ALB calls what was wrong with a request that was served all the same.
    pub fn error_reason(&mut self, token: &'static str) {
        self.error_reason = Some(token);
    }

    /// A group was chosen that has no target for the request.
    #[cold]
    pub fn group(&mut self, metrics: &Arc<GroupMetrics>) {
        self.group.get_or_insert_with(|| Arc::clone(metrics));
    }

    /// A target was chosen; called again when another one is tried.
    pub fn target(&mut self, metrics: &Arc<GroupMetrics>, address: SocketAddr) {
        if self.group.is_none() {
            metrics.request_count.inc();
            if self.connection.is_ipv6() {
                self.recorder.metrics.ipv6_requests.inc();
            }
            if self.is_grpc() {
                metrics.grpc_request_count.inc();
            }
            self.group = Some(Arc::clone(metrics));
        }
        self.target = Some(address);
        self.dispatched = None;
    }

    /// The request goes to its target now.
    pub fn dispatched(&mut self) -> Instant {
        *self.dispatched.insert(Instant::now())
    }

    /// The target's response head is here.
    pub fn target_answered(&mut self, status: u16) {
        let now = Instant::now();
        self.target_answered = Some(now);
        self.target_status = Some(status);
        if let Some(metrics) = &self.group {
            metrics.response(status);
            if let Some(dispatched) = self.dispatched {
                metrics
                    .response_time
                    .observe((now - dispatched).as_secs_f64());
            }
        }
    }

    /// How long it took until the request went to its target, from there to the target's answer, and from there to the
    /// client. As at an ALB a target that closes its connection has not got the request.
    fn times(&self) -> [Option<Duration>; 3] {
        let between =
            |from: Option<Instant>, to: Option<Instant>| Some(to?.saturating_duration_since(from?));
        let closed = self.error == Some(GatewayError::TargetClosed);
        let dispatched = self.dispatched.filter(|_| !closed);
        [
            between(Some(self.started), dispatched),
            between(dispatched, self.target_answered),
            between(self.target_answered, self.answered),
        ]
    }

    /// The response head goes to the client now.
    pub fn answer(&mut self, status: u16) {
        // A target's response goes on in the same turn.
        self.answered = self.target_answered.or_else(|| Some(Instant::now()));
        self.status = Some(status);
    }

    /// As [`answer`](Self::answer), for a response of the load balancer's own.
    pub fn answer_own(&mut self, status: u16, error: Option<GatewayError>) {
        self.recorder.metrics.elb_response(status);
        if error == Some(GatewayError::RedirectTooLong) {
            self.recorder.metrics.redirect_url_limit_exceeded.inc();
        }
        self.answer(status);
        self.error = error;
    }

    /// The connection is a WebSocket from here on; the record ends with it.
    pub fn upgraded(&mut self) {
        self.upgraded = true;
    }

    /// What ended a response after its head had been sent.
    pub fn fail(&mut self, error: GatewayError) {
        self.error.get_or_insert(error);
    }

    /// Nothing is missing: the record may be written.
    pub fn finish(&mut self) {
        self.finished = true;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.finished {
            let error = match self.connection.cut() {
                None => GatewayError::ClientClosed,
                Some(Cut::Idle) => GatewayError::ClientStalled,
                Some(Cut::Shutdown) => GatewayError::Shutdown,
            };
            if self.status.is_none() {
                self.recorder.metrics.elb_response(error.status());
                self.status = Some(error.status());
            }
            self.error.get_or_insert(error);
        }
        self.recorder
            .metrics
            .processed_bytes
            .inc_by(self.received + self.sent);
        if self.connection.is_ipv6() {
            let bytes = self.received + self.sent;
            self.recorder.metrics.ipv6_processed_bytes.inc_by(bytes);
        }
        if let Some(log) = &self.recorder.log
            && !log.write(|lines| {
                let now = SystemTime::now();
                match log.format {
                    LogFormat::Json => line::write(self, now, lines),
                    LogFormat::Alb => alb::write(self, now, lines),
                }
            })
        {
            self.recorder.metrics.access_log_dropped.inc();
        }
    }
}
