//! A check over HTTP/1.1.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use lintel_common::stream::Stream;
use tokio::time::{Instant, timeout_at};

use super::{MAX_BODY, MAX_RESPONSE_HEAD, ProbeError};
use crate::http1::limits;

pub(super) async fn exchange(
    stream: Stream,
    request: Request<()>,
    deadline: Instant,
) -> Result<u16, ProbeError> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_RESPONSE_HEAD.into())
        .max_headers(limits::RESPONSE_FIELDS)
        .title_case_headers(true)
        .handshake(TokioIo::new(stream))
        .await?;
    let exchange = async {
        let request = request.map(|()| Empty::<Bytes>::new());
        let response = sender.send_request(request).await?;
        let status = response.status();
        // The status has been read; that the body does not come in time changes nothing.
        let _ = timeout_at(deadline, discard(response)).await;
        Ok(status.as_u16())
    };
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        exchanged = &mut exchange => exchanged,
        // The connection has ended and handed over what it had: a response or the error.
        _ = connection => exchange.await,
    }
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
