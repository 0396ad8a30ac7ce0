//! The access log: one [`Record`] for every request, opened with its head and written when it is dropped, so that no way
//! out of a request can forget it. The record also moves the metrics, which are sums over the same facts. Writing lines
//! to a file is `writer`'s.

pub mod writer;

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, HeaderValue};
use lintel_common::server::{Connection, Cut};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;
use tokio::time::Instant;

use crate::gateway_error::GatewayError;
use crate::http1::{Name, RequestHead};
use crate::metrics::{GroupMetrics, Metrics};
use writer::AccessLog;

const TIME: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// What a worker's records have in common.
#[derive(Debug)]
pub struct Recorder {
    pub metrics: Arc<Metrics>,
    pub log: Option<AccessLog>,
    /// `app/NAME/ID`
    pub load_balancer: String,
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
    /// What its body's side counts itself.
    body: Option<Rc<Cell<u64>>>,
    sent: u64,
    upgraded: bool,
    finished: bool,
    target: Option<SocketAddr>,
    group: Option<Arc<GroupMetrics>>,
    trace_id: Option<Vec<u8>>,
    rule_priority: Option<u32>,
    action: Option<&'static str>,
    redirect_url: Option<HeaderValue>,
    dispatched: Option<Instant>,
    target_answered: Option<Instant>,
    answered: Option<Instant>,
    status: Option<u16>,
    target_status: Option<u16>,
    error: Option<GatewayError>,
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
            body: None,
            sent: 0,
            upgraded: false,
            finished: false,
            target: None,
            group: None,
            trace_id: None,
            rule_priority: None,
            action: None,
            redirect_url: None,
            dispatched: None,
            target_answered: None,
            answered: None,
            status: None,
            target_status: None,
            error: None,
        }
    }

    pub fn started(&self) -> Instant {
        self.started
    }

    /// When the request was read, in seconds of Unix time.
    pub fn created_at(&self) -> u64 {
        let since = self.started_at.duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    }

    /// Bytes of the request's body, or of a WebSocket.
    pub fn received(&mut self, bytes: u64) {
        self.received += bytes;
    }

    /// Where a body counts its bytes that may end in other hands than the record.
    pub fn body(&mut self) -> Rc<Cell<u64>> {
        Rc::clone(self.body.get_or_insert_default())
    }

    fn all_received(&self) -> u64 {
        self.received + self.body.as_ref().map_or(0, |body| body.get())
    }

    pub fn sent(&mut self, bytes: u64) {
        self.sent += bytes;
    }

    /// A response's head, as HTTP/1.1 would spell it.
    pub fn sent_head(&mut self, headers: &HeaderMap) {
        let fields: usize = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum();
        self.sent += (fields + "HTTP/1.1 200\r\n\r\n".len() + 1) as u64;
    }

    pub fn rule(&mut self, priority: u32, action: &'static str) {
        self.rule_priority = Some(priority);
        self.action = Some(action);
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

    /// A target was chosen; called again when another one is tried.
    pub fn target(&mut self, metrics: &Arc<GroupMetrics>, address: SocketAddr) {
        if self.group.is_none() {
            metrics.request_count.inc();
            self.group = Some(Arc::clone(metrics));
        }
        self.target = Some(address);
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

    /// The response head goes to the client now.
    pub fn answer(&mut self, status: u16) {
        // A target's response goes on in the same turn.
        self.answered = self.target_answered.or_else(|| Some(Instant::now()));
        self.status = Some(status);
    }

    /// As [`answer`](Self::answer), for a response of the load balancer's own.
    pub fn answer_own(&mut self, status: u16, error: Option<GatewayError>) {
        self.recorder.metrics.elb_response(status);
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

    fn line(&self) -> Line<'_> {
        let seconds = |from: Option<Instant>, to: Option<Instant>| match (from, to) {
            (Some(from), Some(to)) => millis(to.saturating_duration_since(from).as_secs_f64()),
            _ => -1.0,
        };
        let dispatched = self.target_answered.and(self.dispatched);
        let tls = self.connection.tls.as_ref();
        let target = self.target.map(|address| address.to_string());
        Line {
            kind: self.kind(),
            time: timestamp(SystemTime::now()),
            elb: &self.recorder.load_balancer,
            client_port: self.connection.peer.to_string(),
            target_port_list: target.clone(),
            target_port: target,
            request_processing_time: seconds(Some(self.started), dispatched),
            target_processing_time: seconds(dispatched, self.target_answered),
            response_processing_time: seconds(self.target_answered, self.answered),
            elb_status_code: self.status,
            target_status_code: self.target_status,
            received_bytes: self.all_received(),
            sent_bytes: self.sent,
            request_line: self.request_line(),
            user_agent: self
                .request
                .as_ref()
                .and_then(|request| request.fields().get(Name::UserAgent).map(text)),
            ssl_cipher: tls.map(|tls| lintel_common::tls::openssl_cipher_name(tls.cipher_suite)),
            ssl_protocol: tls.map(|tls| lintel_common::tls::protocol_name(tls.protocol)),
            target_group_arn: self
                .group
                .as_ref()
                .map(|group| format!("targetgroup/{}", group.target_group)),
            trace_id: self.trace_id.as_deref().map(text),
            domain_name: tls.and_then(|tls| tls.server_name.as_deref()),
            chosen_cert_arn: tls.filter(|tls| tls.resumed).map(|_| "session-reused"),
            matched_rule_priority: self.rule_priority,
            request_creation_time: timestamp(self.started_at),
            actions_executed: self.action,
            redirect_url: self.redirect_url.as_ref().map(|url| text(url.as_bytes())),
            error_reason: None,
            target_status_code_list: self.target_status.map(|status| status.to_string()),
            classification: None,
            classification_reason: None,
            conn_trace_id: format!("TID_{:032x}", self.connection.id),
            transformed_host: None,
            transformed_uri: None,
            request_transform_status: None,
            ip_address: self.connection.local.ip().to_string(),
            reason: self.error.map(GatewayError::reason),
        }
    }

    fn kind(&self) -> &'static str {
        match (
            self.upgraded,
            self.connection.tls.is_some(),
            self.connection.http2,
        ) {
            (true, true, _) => "wss",
            (true, false, _) => "ws",
            (false, true, true) => "h2",
            (false, true, false) => "https",
            (false, false, _) => "http",
        }
    }

    /// `METHOD proto://host:port/uri HTTP/x`, the URI as the client sent it.
    fn request_line(&self) -> String {
        let scheme = if self.connection.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let port = self.connection.local.port();
        let Some(request) = &self.request else {
            return format!("- {scheme}://{}:{port}- -", self.connection.local.ip());
        };
        let host = request.authority().map(str::as_bytes);
        let host = host.or_else(|| request.fields().get(Name::Host));
        let host = host.and_then(|host| std::str::from_utf8(host).ok());
        let host = host.map_or("-", crate::rule::without_port);
        format!(
            "{} {scheme}://{host}:{port}{} {:?}",
            request.method(),
            request.path_and_query(),
            request.version()
        )
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
            .inc_by(self.all_received() + self.sent);
        if let Some(log) = &self.recorder.log
            && let Ok(mut line) = serde_json::to_vec(&self.line())
        {
            line.push(b'\n');
            if !log.write(line) {
                self.recorder.metrics.access_log_dropped.inc();
            }
        }
    }
}

/// One line; the names are the ALB's, and its order.
#[expect(clippy::struct_field_names, reason = "the ALB calls its first line so")]
#[derive(Serialize)]
struct Line<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    time: String,
    elb: &'r str,
    client_port: String,
    target_port: Option<String>,
    request_processing_time: f64,
    target_processing_time: f64,
    response_processing_time: f64,
    elb_status_code: Option<u16>,
    target_status_code: Option<u16>,
    received_bytes: u64,
    sent_bytes: u64,
    request_line: String,
    user_agent: Option<String>,
    ssl_cipher: Option<&'static str>,
    ssl_protocol: Option<&'static str>,
    target_group_arn: Option<String>,
    trace_id: Option<String>,
    domain_name: Option<&'r str>,
    chosen_cert_arn: Option<&'static str>,
    matched_rule_priority: Option<u32>,
    request_creation_time: String,
    actions_executed: Option<&'static str>,
    redirect_url: Option<String>,
    error_reason: Option<&'static str>,
    target_port_list: Option<String>,
    target_status_code_list: Option<String>,
    classification: Option<&'static str>,
    classification_reason: Option<&'static str>,
    conn_trace_id: String,
    transformed_host: Option<&'static str>,
    transformed_uri: Option<&'static str>,
    request_transform_status: Option<&'static str>,
    ip_address: String,
    reason: Option<&'static str>,
}

/// Three decimals, as the ALB writes times.
fn millis(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

fn timestamp(time: SystemTime) -> String {
    OffsetDateTime::from(time).format(TIME).unwrap_or_default()
}

/// A header's value for the log: bytes outside of UTF-8 are shown as U+FFFD, at most 8 KiB as the ALB keeps.
fn text(value: &[u8]) -> String {
    const MOST: usize = 8 * 1024;
    String::from_utf8_lossy(&value[..value.len().min(MOST)]).into_owned()
}
