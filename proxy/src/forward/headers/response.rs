//! The heads of responses on their way to clients, over HTTP/1.1 and over HTTP/2: a target's, and the load balancer's own.

use bytes::Bytes;
use http::Response;
use http::header::{HeaderName, HeaderValue, SERVER};
use hyper::ext::ReasonPhrase;

use super::{Listed, decimal, is_of_one_hop, name_of, write, write_line};
use crate::http1::{Length, Name, ResponseHead};
use crate::model::HeaderModification;

/// A field that a listener sets on every response.
pub type SetField = (HeaderName, HeaderValue);

/// What a client's HTTP/1.x gets of a response.
#[derive(Debug, Clone, Copy, Default)]
pub struct ToClient {
    /// The client takes trailers.
    pub trailers: bool,
    /// Content goes out in chunks.
    pub chunked: bool,
    /// A 101 that opens a WebSocket.
    pub switching: bool,
    /// The value of `Connection`, if it has to be said.
    pub connection: Option<&'static str>,
}

/// Writes the client's head, made of the target's. The version is each hop's own: with an HTTP/1.0 target's, a broken off
/// body would look whole.
///
/// `set` are the fields that the listener sets, in place of those of that name.
pub fn to_client(head: &ResponseHead, how: &ToClient, set: &[SetField], out: &mut Vec<u8>) {
    out.reserve(head.fields().size() + 96);
    out.extend_from_slice(b"HTTP/1.1 ");
    decimal(head.status().into(), out);
    out.push(b' ');
    out.extend_from_slice(head.reason());
    out.extend_from_slice(b"\r\n");
    let crossing = Crossing::of(head, how.trailers, set);
    for (name, line) in head.fields().lines() {
        if crossing.crosses(name, line) {
            write_line(line, out);
        }
    }
    for (name, value) in set {
        write_capitalised(name.as_str(), value.as_bytes(), out);
    }
    if how.switching {
        out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
    } else if let Some(connection) = how.connection {
        write("Connection", connection.as_bytes(), out);
    }
    if how.chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the head of a response of the load balancer's own.
pub fn own_to_client(response: &Response<Bytes>, how: &ToClient, out: &mut Vec<u8>) {
    let status = response.status();
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    match response.extensions().get::<ReasonPhrase>() {
        Some(reason) => out.extend_from_slice(reason.as_bytes()),
        None => out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes()),
    }
    out.extend_from_slice(b"\r\n");
    for (name, value) in response.headers() {
        write_capitalised(name.as_str(), value.as_bytes(), out);
    }
    if let Some(connection) = how.connection {
        write("Connection", connection.as_bytes(), out);
    }
    out.extend_from_slice(b"\r\n");
}

/// The same for HTTP/2, which has no fields for its framing, field by field.
pub fn to_http2_client(
    head: &ResponseHead,
    trailers: bool,
    set: &[SetField],
    mut field: impl FnMut(&[u8], &[u8]),
) {
    let crossing = Crossing::of(head, trailers, set);
    for (name, spelled, value) in head.fields().entries() {
        if crossing.crosses(name, spelled) {
            field(spelled, value);
        }
    }
    for (name, value) in set {
        field(name.as_str().as_bytes(), value.as_bytes());
    }
}

/// Does to a response of the load balancer's own what the listener does to all of them.
pub fn modify(response: &mut Response<Bytes>, modification: &HeaderModification) {
    let headers = response.headers_mut();
    if !modification.server {
        headers.remove(SERVER);
    }
    for (name, value) in &modification.response {
        headers.insert(name, value.clone());
    }
}

/// Which of a target's fields are for the client.
struct Crossing<'s> {
    listed: Listed,
    trailers: bool,
    length: bool,
    set: &'s [SetField],
}

impl<'s> Crossing<'s> {
    fn of(head: &ResponseHead, trailers: bool, set: &'s [SetField]) -> Self {
        // RFC 9110 8.6
        let no_length =
            matches!(head.status(), 100..=199 | 204) || head.length() == Length::Chunked;
        Self {
            listed: Listed::of(head.fields()),
            trailers,
            length: !no_length,
            set,
        }
    }

    fn is_set(&self, spelled: &[u8]) -> bool {
        let same = |name: &HeaderName| name.as_str().as_bytes().eq_ignore_ascii_case(spelled);
        self.set.iter().any(|(name, _)| same(name))
    }

    fn crosses(&self, name: Name, line: &[u8]) -> bool {
        match name {
            // What it names is sent at the end of the body, and only that.
            Name::Trailer => self.trailers,
            Name::ContentLength if !self.length => false,
            Name::Other if !self.set.is_empty() && self.is_set(name_of(line)) => false,
            name => !is_of_one_hop(name) && !self.listed.contains(name, line),
        }
    }
}

fn write_capitalised(name: &str, value: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    write(name, value, out);
    capitalise(&mut out[start..][..name.len()]);
}

/// `content-type` -> `Content-Type`
fn capitalise(name: &mut [u8]) {
    let mut first = true;
    for letter in name {
        if first {
            letter.make_ascii_uppercase();
        }
        first = *letter == b'-';
    }
}
