//! Makes responses: bodies with the headers that belong to them. Knows media types and policies, not
//! what is said.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use http_body_util::Full;
use maud::Markup;
use serde::Serialize;

pub(crate) type Answer = Response<Full<Bytes>>;

/// Everything is ours and nothing is script; nobody may frame the page and place a button of theirs
/// over one of ours.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                           base-uri 'none'; frame-ancestors 'none'";
const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'";
const NEVER_STORED: HeaderValue = HeaderValue::from_static("no-store");

pub(crate) fn page(status: StatusCode, markup: Markup) -> Answer {
    let mut answer = body(status, "text/html; charset=utf-8", markup.into_string());
    answer.headers_mut().insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(PAGE_POLICY),
    );
    answer
}

pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(json) => body(status, "application/json", json),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            body(StatusCode::INTERNAL_SERVER_ERROR, "application/json", "{}")
        }
    }
}

pub(crate) fn text(
    status: StatusCode,
    content_type: &'static str,
    text: impl Into<Bytes>,
) -> Answer {
    body(status, content_type, text)
}

/// Content whose address changes with it may be kept for ever, but only under its own address.
pub(crate) fn asset(content_type: &'static str, text: &'static str, keep: bool) -> Answer {
    let mut answer = body(StatusCode::OK, content_type, text);
    let caching = if keep {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    answer
}

pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CACHE_CONTROL, NEVER_STORED);
    answer
}

/// After a change: the browser fetches the next page, and reloading it repeats nothing.
pub(crate) fn see_other(location: HeaderValue) -> Answer {
    let mut answer = empty(StatusCode::SEE_OTHER);
    answer.headers_mut().insert(LOCATION, location);
    answer
}

fn body(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, NEVER_STORED);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(NOTHING));
    // Not "no-referrer": browsers then send `Origin: null` with our own forms, which is refused.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    answer
}
