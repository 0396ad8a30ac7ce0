//! Reads a request's body whole, within limits of type, size and time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::app_error::AppError;
use crate::form::BODY_LIMIT;

/// How long a body may take to arrive.
pub(crate) const ARRIVAL_LIMIT: Duration = Duration::from_secs(10);
/// A body that is too large is read on and thrown away for a while: a client that is still sending
/// would otherwise lose our answer to a connection reset.
const DISCARD_BYTES: usize = 8 * 1024 * 1024;

pub(crate) async fn read(
    request: Request<Incoming>,
    media_type: &'static str,
) -> Result<Bytes, AppError> {
    let declared = declared_length(request.headers());
    let expected = has_type(request.headers(), media_type);
    let body = request.into_body();
    let read = async {
        if !expected {
            discard(body).await;
            return Err(AppError::MediaType(media_type));
        }
        if declared > BODY_LIMIT {
            discard(body).await;
            return Err(AppError::TooLarge);
        }
        collect(body, declared).await
    };
    tokio::time::timeout(ARRIVAL_LIMIT, read)
        .await
        .unwrap_or(Err(AppError::BodyTimedOut))
}

async fn collect(mut body: Incoming, declared: usize) -> Result<Bytes, AppError> {
    let mut collected = BytesMut::with_capacity(declared);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| AppError::BodyBroken)?.into_data() else {
            continue;
        };
        if collected.len() + data.len() > BODY_LIMIT {
            discard(body).await;
            return Err(AppError::TooLarge);
        }
        collected.extend_from_slice(&data);
    }
    Ok(collected.freeze())
}

async fn discard(mut body: Incoming) {
    let mut left = DISCARD_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let size = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(size) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

fn declared_length(headers: &HeaderMap) -> usize {
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

fn has_type(headers: &HeaderMap, media_type: &str) -> bool {
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|given| given.to_str().ok())
        .unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(media_type)
}
