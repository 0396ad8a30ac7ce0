//! One health check of one target: a request of its own on a connection of its own. Whether the target is healthy is
//! not decided here, only what this one check found.

mod http1;
mod http2;

use std::error::Error as _;
use std::io;
use std::net::{IpAddr, SocketAddr};

use http::{Request, header};
use lintel_common::stream::Stream;
use lintel_common::tls::TargetTls;
use rustix::io::Errno;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::state::{Failure, Outcome};
use crate::model::{HealthCheckProtocol, HealthCheckSettings, ProtocolVersion};

const AGENT: &str = "ELB-HealthChecker/2.0";

/// As the ALB's limit on response heads.
const MAX_RESPONSE_HEAD: u16 = 32 * 1024;

/// Of a body this much is read, so that a target which sends a small page does not see its connection reset.
const MAX_BODY: usize = 64 * 1024;

#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error("cannot connect")]
    Connect(#[from] io::Error),
    #[error("no TLS handshake")]
    Handshake(#[source] io::Error),
    #[error("TLS towards targets is not set up")]
    NotSetUp,
    #[error("no readable response")]
    Http1(#[from] hyper::Error),
    #[error("no readable response")]
    Http2(#[from] h2::Error),
    #[error("the response has no grpc-status")]
    NoGrpcStatus,
    #[error("the health check path makes no request")]
    Request(#[from] http::Error),
}

/// Sends one request to `address`: `GET path`, or a call without a message to a group that speaks gRPC. One time limit
/// covers connecting, the TLS handshake and the response's head.
pub async fn probe(
    address: SocketAddr,
    settings: &HealthCheckSettings,
    tls: Option<&TargetTls>,
) -> Found {
    let mut found = Found {
        outcome: Outcome::Pass,
        status: None,
        reason_code: None,
        local: None,
    };
    let deadline = Instant::now() + settings.timeout;
    let exchange = exchange(address, settings, tls, deadline, &mut found.local);
    let Ok(exchanged) = timeout_at(deadline, exchange).await else {
        return found.failed(Failure::Timeout, "TimedOut");
    };
    match exchanged {
        Ok(status) => {
            found.status = Some(status);
            if settings.matcher.matches(status) {
                found
            } else {
                let mismatch = Failure::ResponseCodeMismatch(status);
                found.failed(mismatch, mismatched(settings, status))
            }
        }
        Err(error) => {
            let outcome = judge(&error);
            let cause = error.source().map(ToString::to_string);
            if outcome == Outcome::InternalError {
                tracing::warn!(target = %address, %error, cause, "health check not made; the target keeps its state");
            } else {
                tracing::debug!(target = %address, %error, cause, "health check failed");
            }
            let reason_code = match error {
                _ if outcome == Outcome::InternalError => "InternalError",
                ProbeError::NoGrpcStatus => "GRPCStatusHeaderEmpty",
                _ => "ConnectionReset",
            };
            Found {
                outcome,
                reason_code: Some(reason_code),
                ..found
            }
        }
    }
}

/// What one check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub outcome: Outcome,
    /// The status of the response, gRPC's for a group that speaks it.
    pub status: Option<u16>,
    /// Why it failed, in the words of the ALB's log.
    pub reason_code: Option<&'static str>,
    /// The address that the check came from, if there was a connection.
    pub local: Option<IpAddr>,
}

impl Found {
    /// A check that could not be made.
    pub fn internal_error() -> Self {
        Self {
            outcome: Outcome::InternalError,
            status: None,
            reason_code: Some("InternalError"),
            local: None,
        }
    }

    fn failed(self, failure: Failure, reason_code: &'static str) -> Self {
        Self {
            outcome: Outcome::Fail(failure),
            reason_code: Some(reason_code),
            ..self
        }
    }
}

fn mismatched(settings: &HealthCheckSettings, status: u16) -> &'static str {
    match settings.version {
        ProtocolVersion::Grpc => "GRPCUnexpectedStatus",
        _ if status >= 500 => "TargetError",
        _ => "ResponseCodeMismatch",
    }
}

/// The status, gRPC's for a group that speaks it.
async fn exchange(
    address: SocketAddr,
    settings: &HealthCheckSettings,
    tls: Option<&TargetTls>,
    deadline: Instant,
    local: &mut Option<IpAddr>,
) -> Result<u16, ProbeError> {
    let request = request(address, settings)?;
    let stream = TcpStream::connect(address).await?;
    *local = stream.local_addr().ok().map(|address| address.ip());
    let stream = match settings.protocol {
        HealthCheckProtocol::Http => Stream::Plain(stream),
        HealthCheckProtocol::Https => {
            let tls = tls.ok_or(ProbeError::NotSetUp)?;
            let secured = tls.connect(stream, address.ip()).await;
            Stream::Tls(Box::new(secured.map_err(ProbeError::Handshake)?))
        }
    };
    match settings.version {
        ProtocolVersion::Http1 => http1::exchange(stream, request, deadline).await,
        ProtocolVersion::Http2 => http2::exchange(stream, request).await,
        ProtocolVersion::Grpc => http2::call(stream, request).await,
    }
}

fn request(address: SocketAddr, settings: &HealthCheckSettings) -> http::Result<Request<()>> {
    let (scheme, usual) = match settings.protocol {
        HealthCheckProtocol::Http => ("http", 80),
        HealthCheckProtocol::Https => ("https", 443),
    };
    let host = match address.ip() {
        _ if address.port() != usual => address.to_string(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let path = &settings.path;
    match settings.version {
        ProtocolVersion::Http1 => Request::get(path)
            .header(header::HOST, host)
            .header(header::CONNECTION, "close")
            .header(header::USER_AGENT, AGENT)
            // An ALB's words; the body is not looked at.
            .header(header::ACCEPT_ENCODING, "gzip, compressed"),
        ProtocolVersion::Http2 => {
            Request::get(format!("{scheme}://{host}{path}")).header(header::USER_AGENT, AGENT)
        }
        ProtocolVersion::Grpc => Request::post(format!("{scheme}://{host}{path}"))
            .header(header::USER_AGENT, AGENT)
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers"),
    }
    .body(())
}

/// Whose doing it is. A target must not lose its traffic because this side ran out of something.
fn judge(error: &ProbeError) -> Outcome {
    match error {
        ProbeError::Connect(error) if is_ours(error) => Outcome::InternalError,
        ProbeError::Connect(_)
        | ProbeError::Handshake(_)
        | ProbeError::Http1(_)
        | ProbeError::Http2(_)
        | ProbeError::NoGrpcStatus => Outcome::Fail(Failure::FailedHealthChecks),
        ProbeError::Request(_) | ProbeError::NotSetUp => Outcome::InternalError,
    }
}

/// Out of descriptors, buffers, memory or local ports.
fn is_ours(error: &io::Error) -> bool {
    use Errno as E;
    let ours = [E::MFILE, E::NFILE, E::NOBUFS, E::NOMEM, E::ADDRNOTAVAIL];
    Errno::from_io_error(error).is_some_and(|errno| ours.contains(&errno))
}

#[cfg(test)]
mod tests;
