//! What a server may be told: limits and time-outs, each with the default that a plain HTTP server would want.

use std::time::Duration;

use prometheus::IntGauge;

/// Set once for a listening socket; a connection keeps those it began with.
#[derive(Debug, Clone)]
pub struct Options {
    /// From accept to the end of the TLS handshake. Default 10 s.
    pub tls_handshake_timeout: Duration,
    /// From the first byte of a request head to its last. Default 60 s.
    pub request_header_timeout: Duration,
    /// A connection on which nothing moves, and no answer of ours is due, ends after this long. Default 60 s.
    pub idle_timeout: Duration,
    /// A connection older than this ends with its next answer. Default: never.
    pub client_keep_alive: Option<Duration>,
    /// When a stop is requested, a connection without a request may still bring one for this long. Default 1 s.
    pub drain_grace: Duration,
    /// Largest request head in bytes. Default 64 KiB.
    pub max_head_size: usize,
    /// Most header fields in a request. Default 128.
    pub max_header_fields: usize,
    /// Streams at once on an HTTP/2 connection. Default 128.
    pub max_concurrent_streams: u32,
    /// Requests on an HTTP/2 connection before its client is told to open another one. Default: no limit.
    pub max_http2_requests: Option<u64>,
    /// Add `Date` to responses without one. Default true.
    pub date_header: bool,
    /// Counts open connections, upgraded ones included.
    pub active_connections: Option<IntGauge>,
    /// When `active_connections` has come to that, new ones are closed at once. Default: no limit.
    pub max_connections: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tls_handshake_timeout: Duration::from_secs(10),
            request_header_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            client_keep_alive: None,
            drain_grace: Duration::from_secs(1),
            max_head_size: 64 * 1024,
            max_header_fields: 128,
            max_concurrent_streams: 128,
            max_http2_requests: None,
            date_header: true,
            active_connections: None,
            max_connections: None,
        }
    }
}

impl Options {
    /// Whether one more connection would be too many.
    pub(super) fn are_used_up(&self) -> bool {
        let open = self.active_connections.as_ref().map_or(0, IntGauge::get);
        let open = usize::try_from(open).unwrap_or_default();
        self.max_connections.is_some_and(|most| open >= most)
    }
}
