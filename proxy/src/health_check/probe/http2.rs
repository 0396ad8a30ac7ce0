//! A check over HTTP/2, and a call over gRPC.

use bytes::Bytes;
use h2::RecvStream;
use http::header::HeaderMap;
use http::{Request, Response};
use lintel_common::stream::Stream;

use super::{MAX_BODY, MAX_RESPONSE_HEAD, ProbeError};

/// A message of no bytes, uncompressed.
const EMPTY_MESSAGE: &[u8] = &[0; 5];

/// The response's status.
pub(super) async fn exchange(stream: Stream, request: Request<()>) -> Result<u16, ProbeError> {
    let status = |response: Response<RecvStream>| async move { Ok(response.status().as_u16()) };
    send(stream, request, None, status).await
}

/// The call's status, which comes behind the response or in its head.
pub(super) async fn call(stream: Stream, request: Request<()>) -> Result<u16, ProbeError> {
    let message = Some(Bytes::from_static(EMPTY_MESSAGE));
    let status = |response: Response<RecvStream>| async move {
        let (head, mut content) = response.into_parts();
        if let Some(status) = grpc_status(&head.headers) {
            return Ok(status);
        }
        let mut left = MAX_BODY;
        while let Some(piece) = content.data().await {
            let length = piece?.len();
            left = left.checked_sub(length).ok_or(ProbeError::NoGrpcStatus)?;
            content.flow_control().release_capacity(length)?;
        }
        let trailers = content.trailers().await?;
        let status = trailers.as_ref().and_then(grpc_status);
        status.ok_or(ProbeError::NoGrpcStatus)
    };
    send(stream, request, message, status).await
}

async fn send<F: Future<Output = Result<u16, ProbeError>>>(
    stream: Stream,
    request: Request<()>,
    message: Option<Bytes>,
    status: impl FnOnce(Response<RecvStream>) -> F,
) -> Result<u16, ProbeError> {
    let (sender, connection) = h2::client::Builder::new()
        .enable_push(false)
        .max_header_list_size(MAX_RESPONSE_HEAD.into())
        .handshake(stream)
        .await?;
    let exchange = async {
        let (response, mut content) = sender
            .ready()
            .await?
            .send_request(request, message.is_none())?;
        if let Some(message) = message {
            content.send_data(message, true)?;
        }
        status(response.await?).await
    };
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        exchanged = &mut exchange => exchanged,
        // The connection has ended and handed over what it had: a response or the error.
        _ = connection => exchange.await,
    }
}

fn grpc_status(fields: &HeaderMap) -> Option<u16> {
    fields.get("grpc-status")?.to_str().ok()?.parse().ok()
}
