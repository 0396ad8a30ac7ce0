//! Which headers cross the load balancer, in either direction, and which it sets. Pure: heads in, heads out.

use std::net::{Ipv6Addr, SocketAddr};

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, Entry, HOST, HeaderMap, HeaderName, HeaderValue,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::PathAndQuery;
use http::{Method, Uri, Version, request};
use lintel_common::forwarded;

use crate::gateway_error::GatewayError;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
pub const X_AMZN_TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Named in `Connection`, these go on all the same: a client cannot make the proxy drop what it routes, frames or
/// identifies by.
const ESSENTIAL: [HeaderName; 7] = [
    HOST,
    CONTENT_LENGTH,
    COOKIE,
    X_FORWARDED_FOR,
    X_FORWARDED_PROTO,
    X_FORWARDED_PORT,
    X_AMZN_TRACE_ID,
];

/// The client connection's part in a request to a target.
#[derive(Debug, Clone, Copy)]
pub struct ClientSide<'a> {
    pub peer: SocketAddr,
    pub https: bool,
    /// Of the listener.
    pub port: u16,
    /// Stands in for the Host that an HTTP/1.0 client may leave out.
    pub load_balancer: &'a str,
}

/// What of a request's head matters after it was rewritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    pub trace_id: HeaderValue,
    /// The client takes trailers.
    pub trailers: bool,
    /// A WebSocket is asked for.
    pub websocket: bool,
}

/// Fields that a request may have; HTTP/1.1 heads are held to it while they are read.
const MOST_FIELDS: usize = 128;

/// What hyper lets pass and two readers could read differently.
pub fn check(head: &request::Parts) -> Result<(), GatewayError> {
    if head.headers.len() > MOST_FIELDS {
        return Err(GatewayError::RequestHeadTooLarge);
    }
    if !is_framed_in_one_way(&head.headers) {
        return Err(GatewayError::MalformedRequest);
    }
    match head.uri.scheme_str() {
        None | Some("http" | "https") => Ok(()),
        Some(_) => Err(GatewayError::MalformedRequest),
    }
}

/// Exactly one length, or exactly one `chunked`, or neither.
pub fn is_framed_in_one_way(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (lengths.next(), codings.next()) {
        (None, None) => true,
        (Some(length), None) => {
            let digits = length.as_bytes();
            let number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
            number && lengths.next().is_none()
        }
        (None, Some(coding)) => {
            coding.as_bytes().eq_ignore_ascii_case(b"chunked") && codings.next().is_none()
        }
        (Some(_), Some(_)) => false,
    }
}

/// The host a request is for, as the client sent it: `:authority` or the absolute URI, else the Host header.
pub fn host(head: &request::Parts) -> Result<&str, GatewayError> {
    let mut lines = head.headers.get_all(HOST).iter();
    let (first, more) = (lines.next(), lines.next());
    if more.is_some() {
        return Err(GatewayError::InvalidHost);
    }
    if let Some(authority) = head.uri.authority() {
        let authority = authority.as_str();
        return if is_host(authority) {
            Ok(authority)
        } else {
            Err(GatewayError::InvalidHost)
        };
    }
    match first.map(|value| value.to_str()) {
        Some(Ok(host)) if is_host(host) => Ok(host),
        None if head.version < Version::HTTP_11 => Ok(""),
        _ => Err(GatewayError::InvalidHost),
    }
}

/// A name or address and perhaps a port; anything else would mean different hosts to different readers.
fn is_host(host: &str) -> bool {
    let name = crate::rule::without_port(host);
    let port = host.strip_prefix(name).unwrap_or_default();
    let port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    let name_is_one = if let Some(rest) = name.strip_prefix('[') {
        rest.strip_suffix(']')
            .is_some_and(|v6| v6.parse::<Ipv6Addr>().is_ok())
    } else {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(&byte);
        !name.is_empty() && name.bytes().all(allowed)
    };
    name_is_one && port
}

fn is_port(port: &str) -> bool {
    !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok()
}

/// Turns the client's head into the target's.
pub fn to_target(
    head: &mut request::Parts,
    client: &ClientSide<'_>,
    trace_id: HeaderValue,
) -> Result<Rewritten, GatewayError> {
    let host = host_for_target(host(head)?, client)?;
    let trailers = offers_trailers(&head.headers);
    let websocket = asks_for_websocket(head);
    let headers = &mut head.headers;
    remove_hop_by_hop(headers);
    headers.remove(EXPECT);
    remove_disguised(headers);
    join_cookies(headers, head.version);
    if websocket {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    } else if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    headers.insert(HOST, host);
    let existing = headers
        .get_all(X_FORWARDED_FOR)
        .iter()
        .map(HeaderValue::as_bytes);
    let forwarded_for = forwarded::append_forwarded_for(existing, client.peer.ip());
    headers.insert(X_FORWARDED_FOR, value(&forwarded_for)?);
    let proto = HeaderValue::from_static(if client.https { "https" } else { "http" });
    headers.insert(X_FORWARDED_PROTO, proto);
    headers.insert(X_FORWARDED_PORT, HeaderValue::from(client.port));
    headers.insert(X_AMZN_TRACE_ID, trace_id.clone());
    head.uri = origin_form(&head.uri, &head.method);
    head.version = Version::HTTP_11;
    Ok(Rewritten {
        trace_id,
        trailers,
        websocket,
    })
}

/// Turns the target's response head into the client's.
pub fn to_client(headers: &mut HeaderMap, trailers: bool, switching: bool) {
    // What it names is sent at the end of the body, and only that.
    let announced = headers.remove(TRAILER).filter(|_| trailers);
    remove_hop_by_hop(headers);
    if let Some(announced) = announced {
        headers.insert(TRAILER, announced);
    }
    if switching {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
}

/// `Root=1-TIME-RANDOM`, or what the client sent with a `Self` of ours in front, in place of any other `Self`.
pub fn trace_id(headers: &HeaderMap, now: u64, random: u128) -> HeaderValue {
    let id = format!(
        "1-{:08x}-{:024x}",
        now & 0xffff_ffff,
        random & ((1 << 96) - 1)
    );
    let received = headers
        .get(X_AMZN_TRACE_ID)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let fields = || {
        received
            .split(';')
            .map(str::trim)
            .filter(|field| !field.is_empty())
    };
    let has_root = fields().any(|field| field.starts_with("Root="));
    let mut merged = format!("{}={id}", if has_root { "Self" } else { "Root" });
    for field in fields().filter(|field| !field.starts_with("Self=")) {
        merged.push(';');
        merged.push_str(field);
    }
    // All of it came from a header value or was made above, so it is one.
    HeaderValue::try_from(merged).unwrap_or_else(|_| HeaderValue::from_static("Root=1-0-0"))
}

pub fn is_websocket(headers: &HeaderMap) -> bool {
    has_token(headers, &UPGRADE, "websocket")
}

fn asks_for_websocket(head: &request::Parts) -> bool {
    head.version == Version::HTTP_11
        && head.method == Method::GET
        && has_token(&head.headers, &CONNECTION, "upgrade")
        && is_websocket(&head.headers)
}

fn offers_trailers(headers: &HeaderMap) -> bool {
    has_token(headers, &TE, "trailers")
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(token))
}

/// RFC 9110 7.6.1: what `Connection` names, and what every hop has its own of.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
            .filter(|name| !ESSENTIAL.contains(name))
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in [
        KEEP_ALIVE,
        PROXY_CONNECTION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ] {
        headers.remove(name);
    }
}

/// Client copies of what only the load balancer may say, and spellings with `_` that some application servers take for
/// a header we set or frame by.
fn remove_disguised(headers: &mut HeaderMap) {
    let disguised: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_disguised(name.as_str()))
        .cloned()
        .collect();
    for name in disguised {
        headers.remove(name);
    }
}

fn is_disguised(name: &str) -> bool {
    if name.starts_with("x-amzn-tls-") || name.starts_with("x-amzn-mtls-") {
        return true;
    }
    if !name.contains('_') {
        return false;
    }
    let folded = name.replace('_', "-");
    folded.starts_with("x-forwarded-")
        || folded.starts_with("x-amzn-")
        || ["host", "content-length", "transfer-encoding", "connection"].contains(&folded.as_str())
}

/// HTTP/2 clients may send a cookie's parts as fields of their own; HTTP/1.1 knows one (RFC 9113 8.2.3).
fn join_cookies(headers: &mut HeaderMap, version: Version) {
    if version != Version::HTTP_2 {
        return;
    }
    if let Entry::Occupied(mut cookies) = headers.entry(COOKIE)
        && cookies.iter().count() > 1
    {
        let crumbs: Vec<&[u8]> = cookies.iter().map(HeaderValue::as_bytes).collect();
        if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
            cookies.insert(joined);
        }
    }
}

/// Without a port on the standard ports, with the listener's on others, in lower case.
fn host_for_target(host: &str, client: &ClientSide<'_>) -> Result<HeaderValue, GatewayError> {
    let name = match crate::rule::without_port(host) {
        "" => client.load_balancer,
        name => name,
    };
    let mut host = name.to_ascii_lowercase();
    if !matches!(client.port, 80 | 443) {
        host.push(':');
        host.push_str(&client.port.to_string());
    }
    HeaderValue::try_from(host).map_err(|_| GatewayError::InvalidHost)
}

fn origin_form(uri: &Uri, method: &Method) -> Uri {
    let path = uri.path_and_query().cloned();
    let fallback = if *method == Method::OPTIONS && path.is_none() {
        "*"
    } else {
        "/"
    };
    Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static(fallback)))
}

fn value(bytes: &[u8]) -> Result<HeaderValue, GatewayError> {
    HeaderValue::from_bytes(bytes).map_err(|_| GatewayError::MalformedRequest)
}

#[cfg(test)]
mod tests;
