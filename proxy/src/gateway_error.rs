//! Why the load balancer answers a request itself: one variant a reason, each with its status, its stable token for the
//! access log, and the ALB's page. Nothing here decides that an error happened.

use bytes::Bytes;
use http::{Response, StatusCode};
use hyper::ext::ReasonPhrase;

use crate::rule::TransformError;

/// The `Server` header of the load balancer's own responses.
pub const SERVER: &str = "lintel";

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    #[error("the request could not be read")]
    MalformedRequest,
    #[error("an HTTP/1.1 request needs exactly one valid Host header")]
    InvalidHost,
    #[error(
        "the request could be read otherwise by others, and desync_mitigation_mode lets no such pass"
    )]
    DesyncMitigation,
    #[error("a Transfer-Encoding that is known, and is not chunked")]
    UnknownTransferEncoding,
    #[error("X-Forwarded-For has more than 30 addresses")]
    TooManyForwardedAddresses,
    #[error("the request head is larger than 64 KiB or has more than 2048 fields")]
    RequestHeadTooLarge,
    #[error("the request line is longer than 16 KiB")]
    RequestLineTooLong,
    #[error("the version of HTTP is neither 1.0 nor 1.1")]
    UnsupportedVersion,
    #[error("the method is not allowed")]
    MethodNotAllowed,
    #[error("the client did not send the whole request in time")]
    RequestTimeout,
    #[error("the client went away before the response was complete")]
    ClientClosed,
    #[error("the client took nothing of its response for idle_timeout")]
    ClientStalled,
    #[error("the load balancer was stopped and shutdown_timeout was over")]
    Shutdown,
    #[error("the client sent a request body that ended early")]
    RequestBodyIncomplete,
    #[error("the connection is from before the listener asked for certificates as it does now")]
    CertificateNotShown,
    #[error("the target group speaks another version of HTTP than the request needs")]
    ProtocolMismatch,
    #[error("the redirect's Location is longer than 8 KiB")]
    RedirectTooLong,
    #[error(transparent)]
    Transform(TransformError),
    #[error("every target group of the rule has the weight 0")]
    NoTargetGroup,
    #[error("the target group has no registered targets")]
    NoTargets,
    #[error("no file descriptor is left for a connection to a target")]
    NoDescriptors,
    #[error("no connection to a target")]
    TargetConnectionFailed,
    #[error("no connection to a target within connect_timeout")]
    TargetConnectTimeout,
    #[error("the TLS handshake with the target failed")]
    TargetTlsFailed,
    #[error("no TLS handshake with the target within tls_handshake_timeout")]
    TargetTlsTimeout,
    #[error("the target closed the connection before its response")]
    TargetClosed,
    #[error("the target sent something that is not a valid HTTP response")]
    TargetMalformedResponse,
    #[error("the target's response head is too large")]
    TargetHeadTooLarge,
    #[error("the target switched protocols without having been asked")]
    TargetUnexpectedUpgrade,
    #[error("the target did not respond within response_timeout")]
    TargetResponseTimeout,
    #[error("the target was deregistered and its delay is over")]
    TargetDeregistered,
    #[error("the target closed the connection in the middle of its response")]
    TargetResponseIncomplete,
    #[error("the target stopped in the middle of its response")]
    TargetResponseStalled,
}

impl GatewayError {
    pub fn status(self) -> u16 {
        match self {
            Self::MalformedRequest
            | Self::DesyncMitigation
            | Self::InvalidHost
            | Self::RequestBodyIncomplete => 400,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::RequestLineTooLong => 414,
            Self::RequestHeadTooLarge => 413,
            Self::UnknownTransferEncoding => 501,
            Self::UnsupportedVersion => 505,
            Self::ClientClosed | Self::ClientStalled => 460,
            Self::CertificateNotShown => 403,
            Self::ProtocolMismatch => 464,
            Self::TooManyForwardedAddresses => 463,
            Self::TargetConnectionFailed
            | Self::TargetTlsFailed
            | Self::TargetClosed
            | Self::TargetMalformedResponse
            | Self::TargetHeadTooLarge
            | Self::TargetUnexpectedUpgrade
            | Self::TargetDeregistered
            | Self::TargetResponseIncomplete => 502,
            Self::NoTargetGroup | Self::NoTargets | Self::NoDescriptors | Self::Shutdown => 503,
            Self::TargetConnectTimeout
            | Self::TargetTlsTimeout
            | Self::TargetResponseTimeout
            | Self::TargetResponseStalled => 504,
            Self::Transform(_) => 500,
            Self::RedirectTooLong => 507,
        }
    }

    /// The access log's `reason`. Tokens are stable: log readers branch on them.
    pub fn reason(self) -> &'static str {
        match self {
            Self::MalformedRequest => "malformed_request",
            Self::DesyncMitigation => "desync_mitigation",
            Self::UnknownTransferEncoding => "unknown_transfer_encoding",
            Self::TooManyForwardedAddresses => "too_many_forwarded_addresses",
            Self::InvalidHost => "invalid_host",
            Self::RequestHeadTooLarge => "request_head_too_large",
            Self::RequestLineTooLong => "request_line_too_long",
            Self::UnsupportedVersion => "unsupported_version",
            Self::ClientStalled => "client_stalled",
            Self::Shutdown => "shutdown",
            Self::NoDescriptors => "no_descriptors",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTimeout => "request_timeout",
            Self::ClientClosed => "client_closed",
            Self::RequestBodyIncomplete => "request_body_incomplete",
            Self::CertificateNotShown => "certificate_not_shown",
            Self::ProtocolMismatch => "protocol_mismatch",
            Self::RedirectTooLong => "redirect_too_long",
            Self::Transform(TransformError::InvalidHost) => "transform_invalid_host",
            Self::Transform(TransformError::InvalidPath) => "transform_invalid_path",
            Self::Transform(TransformError::BufferTooSmall) => "transform_buffer_too_small",
            Self::NoTargetGroup => "no_target_group",
            Self::NoTargets => "no_targets",
            Self::TargetConnectionFailed => "target_connection_failed",
            Self::TargetConnectTimeout => "target_connect_timeout",
            Self::TargetTlsFailed => "target_tls_failed",
            Self::TargetTlsTimeout => "target_tls_timeout",
            Self::TargetClosed => "target_closed",
            Self::TargetMalformedResponse => "target_malformed_response",
            Self::TargetHeadTooLarge => "target_head_too_large",
            Self::TargetUnexpectedUpgrade => "target_unexpected_upgrade",
            Self::TargetResponseTimeout => "target_response_timeout",
            Self::TargetDeregistered => "target_deregistered",
            Self::TargetResponseIncomplete => "target_response_incomplete",
            Self::TargetResponseStalled => "target_response_stalled",
        }
    }

    /// Whether what is left on the client's connection cannot be trusted to be the next request.
    pub fn closes_connection(self) -> bool {
        self == Self::CertificateNotShown
            || matches!(self.status(), 400 | 408 | 413 | 414 | 501 | 505)
    }

    pub fn response(self) -> Response<Bytes> {
        page(self.status())
    }

    /// For a client of gRPC, which looks for a status of its own and reads no page.
    pub fn grpc_response(self) -> Response<Bytes> {
        let mut response = own(self.status(), Some("application/grpc"), Bytes::new());
        for (name, value) in [("grpc-status", "14"), ("grpc-message", "unavailable")] {
            let value = http::HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// A response of the load balancer's own in the ALB's shape, for errors and redirects alike.
pub fn page(status: u16) -> Response<Bytes> {
    let title = title(status);
    let body = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n\
         <center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    let mut response = own(status, Some("text/html"), Bytes::from(body));
    // The status line says what the page says, where HTTP's own phrase differs.
    if let Ok(phrase) = ReasonPhrase::try_from(title.get(4..).unwrap_or_default().as_bytes()) {
        response.extensions_mut().insert(phrase);
    }
    response
}

/// A response of the load balancer's own with a body of any kind, which a status without content leaves out. Its fields are
/// in the ALB's order.
pub fn own(status: u16, content_type: Option<&'static str>, body: Bytes) -> Response<Bytes> {
    // Behind such a head clients look for the next response.
    let body = if may_have_content(status) {
        body
    } else {
        Bytes::new()
    };
    // Said by itself, so that a HEAD request learns it too.
    let length = http::HeaderValue::from(body.len());
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(http::header::SERVER, http::HeaderValue::from_static(SERVER));
    if let Ok(date) =
        http::HeaderValue::from_str(&httpdate::fmt_http_date(std::time::SystemTime::now()))
    {
        headers.insert(http::header::DATE, date);
    }
    if let Some(content_type) = content_type {
        let content_type = http::HeaderValue::from_static(content_type);
        headers.insert(http::header::CONTENT_TYPE, content_type);
    }
    // RFC 9110 8.6; over HTTP/2 nobody else leaves it out.
    if status != StatusCode::NO_CONTENT {
        headers.insert(http::header::CONTENT_LENGTH, length);
    }
    response
}

/// RFC 9110 15: whether anything may follow the head.
pub fn may_have_content(status: u16) -> bool {
    !matches!(status, 204 | 205 | 304)
}

/// The ALB's titles, which are not always HTTP's reason phrases.
fn title(status: u16) -> String {
    let phrase = match status {
        405 => "Not Allowed",
        408 => "Request Time-out",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Large",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        _ => match StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason())
        {
            Some(phrase) => phrase,
            None => return status.to_string(),
        },
    };
    format!("{status} {phrase}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[GatewayError] = &[
        GatewayError::RequestLineTooLong,
        GatewayError::UnsupportedVersion,
        GatewayError::DesyncMitigation,
        GatewayError::UnknownTransferEncoding,
        GatewayError::TooManyForwardedAddresses,
        GatewayError::RequestHeadTooLarge,
        GatewayError::ClientStalled,
        GatewayError::Shutdown,
        GatewayError::NoDescriptors,
        GatewayError::MalformedRequest,
        GatewayError::InvalidHost,
        GatewayError::MethodNotAllowed,
        GatewayError::RequestTimeout,
        GatewayError::ClientClosed,
        GatewayError::RequestBodyIncomplete,
        GatewayError::CertificateNotShown,
        GatewayError::ProtocolMismatch,
        GatewayError::RedirectTooLong,
        GatewayError::Transform(TransformError::InvalidHost),
        GatewayError::Transform(TransformError::InvalidPath),
        GatewayError::Transform(TransformError::BufferTooSmall),
        GatewayError::NoTargetGroup,
        GatewayError::NoTargets,
        GatewayError::TargetConnectionFailed,
        GatewayError::TargetConnectTimeout,
        GatewayError::TargetTlsFailed,
        GatewayError::TargetTlsTimeout,
        GatewayError::TargetClosed,
        GatewayError::TargetMalformedResponse,
        GatewayError::TargetHeadTooLarge,
        GatewayError::TargetUnexpectedUpgrade,
        GatewayError::TargetResponseTimeout,
        GatewayError::TargetDeregistered,
        GatewayError::TargetResponseIncomplete,
        GatewayError::TargetResponseStalled,
    ];

    #[test]
    fn tokens_are_unique_and_stable_in_form() {
        let mut tokens: Vec<_> = ALL.iter().map(|error| error.reason()).collect();
        assert!(
            tokens
                .iter()
                .all(|token| token.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        );
        tokens.sort_unstable();
        tokens.dedup();
        assert_eq!(tokens.len(), ALL.len());
    }

    #[test]
    fn the_documentation_lists_every_token_with_its_status() {
        let documentation = include_str!("../../docs/logs-and-metrics.md");
        for &error in ALL {
            let row = format!("| `{}` |", error.reason());
            let found = documentation.lines().find(|line| line.starts_with(&row));
            let row = found.unwrap_or_else(|| panic!("{} is not documented", error.reason()));
            let sent_before = row.contains("the status already sent");
            assert!(
                sent_before || row.contains(&error.status().to_string()),
                "{row}"
            );
        }
    }

    #[test]
    fn a_status_without_content_has_none() {
        for (status, length) in [(204, None), (205, Some("0")), (200, Some("4"))] {
            let response = own(status, None, Bytes::from_static(b"body"));
            let said = response.headers().get("content-length");
            assert_eq!(said.map(|said| said.to_str().unwrap()), length);
            assert_eq!(response.body().is_empty(), status != 200, "{status}");
        }
    }

    /// Lengths as seen on the wire of an ALB: 92 bytes and twice the title.
    #[test]
    fn pages_have_the_albs_shape() {
        for (status, title, length) in [
            (301, "301 Moved Permanently", 134),
            (302, "302 Found", 110),
            (400, "400 Bad Request", 122),
            (408, "408 Request Time-out", 132),
            (502, "502 Bad Gateway", 122),
            (503, "503 Service Temporarily Unavailable", 162),
            (504, "504 Gateway Time-out", 132),
            (460, "460", 98),
        ] {
            let page = page(status);
            assert_eq!(page.status().as_u16(), status);
            let text = str::from_utf8(page.body()).unwrap();
            assert_eq!(text.matches(&format!(">{title}<")).count(), 2, "{text}");
            assert_eq!(text.len(), length, "{status}");
            assert_eq!(page.headers()["server"], "lintel");
            assert_eq!(page.headers()["content-type"], "text/html");
            assert!(page.headers().contains_key("date"));
        }
    }
}
