//! One health check of one target: a request of its own on a connection of its own. Whether the target is healthy is
//! not decided here, only what this one check found.

use std::error::Error as _;
use std::io;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use lintel_common::stream::Stream;
use lintel_common::tls::TargetTls;
use rustix::io::Errno;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::state::{Failure, Outcome};
use crate::model::{HealthCheckProtocol, HealthCheckSettings};

/// As the ALB's limit on response heads.
const MAX_RESPONSE_HEAD: usize = 32 * 1024;

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
    Exchange(#[from] hyper::Error),
    #[error("the health check path makes no request")]
    Request(#[from] http::Error),
}

/// Sends `GET path` to `address`. One time limit covers connecting, the TLS handshake and the response's head.
pub async fn probe(
    address: SocketAddr,
    settings: &HealthCheckSettings,
    tls: Option<&TargetTls>,
) -> Outcome {
    let deadline = Instant::now() + settings.timeout;
    let Ok(exchanged) = timeout_at(deadline, exchange(address, settings, tls, deadline)).await
    else {
        return Outcome::Fail(Failure::Timeout);
    };
    match exchanged {
        Ok(status) if settings.matcher.matches(status.as_u16()) => Outcome::Pass,
        Ok(status) => Outcome::Fail(Failure::ResponseCodeMismatch(status.as_u16())),
        Err(error) => {
            let outcome = judge(&error);
            let cause = error.source().map(ToString::to_string);
            if outcome == Outcome::InternalError {
                tracing::warn!(target = %address, %error, cause, "health check not made; the target keeps its state");
            } else {
                tracing::debug!(target = %address, %error, cause, "health check failed");
            }
            outcome
        }
    }
}

async fn exchange(
    address: SocketAddr,
    settings: &HealthCheckSettings,
    tls: Option<&TargetTls>,
    deadline: Instant,
) -> Result<StatusCode, ProbeError> {
    let request = request(address, settings)?;
    let stream = TcpStream::connect(address).await?;
    let stream = match settings.protocol {
        HealthCheckProtocol::Http => Stream::Plain(stream),
        HealthCheckProtocol::Https => {
            let tls = tls.ok_or(ProbeError::NotSetUp)?;
            let secured = tls.connect(stream, address.ip()).await;
            Stream::Tls(Box::new(secured.map_err(ProbeError::Handshake)?))
        }
    };
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_RESPONSE_HEAD)
        .title_case_headers(true)
        .handshake(TokioIo::new(stream))
        .await?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        // The status has been read; that the body does not come in time changes nothing.
        let _ = timeout_at(deadline, discard(response)).await;
        Ok(status)
    };
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        exchanged = &mut exchange => exchanged,
        // The connection has ended and handed over what it had: a response or the error.
        _ = connection => exchange.await,
    }
}

fn request(
    address: SocketAddr,
    settings: &HealthCheckSettings,
) -> http::Result<Request<Empty<Bytes>>> {
    let usual = match settings.protocol {
        HealthCheckProtocol::Http => 80,
        HealthCheckProtocol::Https => 443,
    };
    let host = match address.ip() {
        _ if address.port() != usual => address.to_string(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    Request::get(&settings.path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, "ELB-HealthChecker/2.0")
        .header(header::CONNECTION, "close")
        .body(Empty::new())
}

async fn discard(response: Response<Incoming>) {
    let mut body = response.into_body();
    let mut left = MAX_BODY;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(length) {
            Some(rest) if !body.is_end_stream() => left = rest,
            _ => return,
        }
    }
}

/// Whose doing it is. A target must not lose its traffic because this side ran out of something.
fn judge(error: &ProbeError) -> Outcome {
    match error {
        ProbeError::Connect(error) if is_ours(error) => Outcome::InternalError,
        ProbeError::Connect(_) | ProbeError::Handshake(_) | ProbeError::Exchange(_) => {
            Outcome::Fail(Failure::FailedHealthChecks)
        }
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
