//! Which fields cross the load balancer, in either direction, and which it sets. Pure: heads in, the next hop's bytes out.

use bytes::Bytes;
use http::header::HeaderMap;
use http::{Method, Response, Version};
use hyper::ext::ReasonPhrase;

use super::client_certificate::ClientCertificates;
use crate::gateway_error::GatewayError;
use crate::http1::{Fields, Length, Name, RequestHead, ResponseHead, limits};
use crate::rule::{Transformed, is_host, without_port};

/// The client connection's part in a request to a target.
#[derive(Debug, Clone, Copy)]
pub struct ClientSide<'a> {
    /// The peer's, without its port.
    pub address: &'a str,
    pub https: bool,
    /// Of the listener.
    pub port: u16,
    /// Where certificates are asked for: how they are told, and the lines that tell of this one.
    pub certificates: Option<(&'a ClientCertificates, &'a [u8])>,
    /// Stands in for the Host that an HTTP/1.0 client may leave out.
    pub load_balancer: &'a str,
}

/// What a request is for: as the client sent it, or as the rule's transforms made it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub host: &'a str,
    /// The host's port is its own, and not the listener's.
    pub keeps_port: bool,
    pub path_and_query: &'a str,
}

impl<'a> Asked<'a> {
    /// `host` is what [`host`] says.
    pub fn of(head: &'a RequestHead, host: &'a str, transformed: Option<&'a Transformed>) -> Self {
        let new_host = transformed.and_then(|made| made.host.as_deref());
        let new_uri = transformed.and_then(|made| made.uri.as_deref());
        Self {
            host: new_host.unwrap_or(host),
            keeps_port: new_host.is_some_and(|host| without_port(host) != host),
            path_and_query: new_uri.unwrap_or_else(|| head.path_and_query()),
        }
    }
}

/// What of a request's head matters after it was rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewritten {
    /// The client takes trailers.
    pub trailers: bool,
    /// A WebSocket is asked for.
    pub websocket: bool,
}

/// What the codec lets pass and has no place here.
pub fn check(head: &RequestHead) -> Result<(), GatewayError> {
    if head.version() == Version::HTTP_2 {
        check_size(head)?;
    }
    match head.scheme() {
        None | Some("http" | "https") => Ok(()),
        Some(_) => Err(GatewayError::MalformedRequest),
    }
}

/// HTTP/1.1 heads were held to the same while they were read.
fn check_size(head: &RequestHead) -> Result<(), GatewayError> {
    let line = head.method().as_str().len() + head.target().len() + "  HTTP/2.0".len();
    let fields = head.fields();
    let too_long = |(_, line): (Name, &[u8])| line.len() > limits::REQUEST_FIELD;
    if line > limits::REQUEST_LINE {
        Err(GatewayError::RequestLineTooLong)
    } else if fields.len() > limits::REQUEST_FIELDS
        || head.wire_size() > limits::REQUEST_HEAD
        || fields.lines().any(too_long)
    {
        Err(GatewayError::RequestHeadTooLarge)
    } else {
        Ok(())
    }
}

/// The host a request is for, as the client sent it: `:authority` or the absolute URI, else the Host header.
pub fn host(head: &RequestHead) -> Result<&str, GatewayError> {
    let mut lines = head.fields().get_all(Name::Host);
    let (first, more) = (lines.next(), lines.next());
    if more.is_some() {
        return Err(GatewayError::InvalidHost);
    }
    if let Some(authority) = head.authority() {
        return if is_host(authority) {
            Ok(authority)
        } else {
            Err(GatewayError::InvalidHost)
        };
    }
    match first {
        None if head.version() < Version::HTTP_11 => Ok(""),
        // What is not ASCII there is no host here.
        _ => match head.fields().get_text(Name::Host) {
            Some(host) if is_host(host) => Ok(host),
            _ => Err(GatewayError::InvalidHost),
        },
    }
}

/// Writes the target's head, made of the client's.
pub fn to_target(
    head: &RequestHead,
    asked: &Asked<'_>,
    client: &ClientSide<'_>,
    trace_id: &[u8],
    out: &mut Vec<u8>,
) -> Rewritten {
    let fields = head.fields();
    let websocket = asks_for_websocket(head);
    let trailers = offers_trailers(fields);
    // What is added is some 250 bytes.
    out.reserve(head.wire_size() + 320);
    for part in [head.method().as_str(), " ", asked.path_and_query] {
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    if fields.get(Name::Host).is_none() {
        write_host(asked, client, b"Host", out);
    }
    let listed = Listed::of(fields);
    let mut cookies_written = false;
    for (name, line) in fields.lines() {
        match name {
            Name::Host => write_host(asked, client, name_of(line), out),
            Name::Cookie if head.version() == Version::HTTP_2 => {
                if !std::mem::replace(&mut cookies_written, true) {
                    write_cookies(fields, out);
                }
            }
            name if is_ours(name) || is_of_one_hop(name) || listed.contains(name, line) => {}
            _ if says_of_certificate(client, line) => {}
            _ => write_line(line, out),
        }
    }
    if websocket {
        out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
    } else if trailers {
        out.extend_from_slice(b"TE: trailers\r\n");
    }
    if head.length() == Length::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    write_forwarded(fields, client, out);
    if let Some((_, lines)) = client.certificates {
        out.extend_from_slice(lines);
    }
    write("X-Amzn-Trace-Id", trace_id, out);
    out.extend_from_slice(b"\r\n");
    Rewritten {
        trailers,
        websocket,
    }
}

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
pub fn to_client(head: &ResponseHead, how: &ToClient, out: &mut Vec<u8>) {
    out.reserve(head.fields().size() + 96);
    out.extend_from_slice(b"HTTP/1.1 ");
    decimal(head.status().into(), out);
    out.push(b' ');
    out.extend_from_slice(head.reason());
    out.extend_from_slice(b"\r\n");
    let crossing = Crossing::of(head, how.trailers);
    for (name, line) in head.fields().lines() {
        if crossing.crosses(name, line) {
            write_line(line, out);
        }
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
        let start = out.len();
        write(name.as_str(), value.as_bytes(), out);
        capitalise(&mut out[start..][..name.as_str().len()]);
    }
    if let Some(connection) = how.connection {
        write("Connection", connection.as_bytes(), out);
    }
    out.extend_from_slice(b"\r\n");
}

/// The same for HTTP/2, which has no fields for its framing.
pub fn to_http2_client(head: ResponseHead, trailers: bool) -> HeaderMap {
    let crossing = Crossing::of(&head, trailers);
    let crosses = |name, spelled: &[u8]| crossing.crosses(name, spelled);
    head.into_fields().into_header_map(crosses)
}

/// Which of a target's fields are for the client.
struct Crossing {
    listed: Listed,
    trailers: bool,
    length: bool,
}

impl Crossing {
    fn of(head: &ResponseHead, trailers: bool) -> Self {
        // RFC 9110 8.6
        let no_length =
            matches!(head.status(), 100..=199 | 204) || head.length() == Length::Chunked;
        Self {
            listed: Listed::of(head.fields()),
            trailers,
            length: !no_length,
        }
    }

    fn crosses(&self, name: Name, line: &[u8]) -> bool {
        match name {
            // What it names is sent at the end of the body, and only that.
            Name::Trailer => self.trailers,
            Name::ContentLength if !self.length => false,
            name => !is_of_one_hop(name) && !self.listed.contains(name, line),
        }
    }
}

/// `Root=1-TIME-RANDOM`, or what the client sent with a `Self` of ours in front, in place of any other `Self`.
pub fn trace_id(fields: &Fields, now: u64, random: u128, merged: &mut Vec<u8>) {
    let received = fields.get(Name::XAmznTraceId).unwrap_or_default();
    let parts = || {
        received
            .split(|byte| *byte == b';')
            .map(<[u8]>::trim_ascii)
            .filter(|part| !part.is_empty())
    };
    let has_root = parts().any(|part| part.starts_with(b"Root="));
    merged.extend_from_slice(if has_root { b"Self=1-" } else { b"Root=1-" });
    merged.extend_from_slice(&hexadecimal::<8>(now.into()));
    merged.push(b'-');
    merged.extend_from_slice(&hexadecimal::<24>(random));
    for part in parts().filter(|part| !part.starts_with(b"Self=")) {
        merged.push(b';');
        merged.extend_from_slice(part);
    }
}

pub fn is_websocket(fields: &Fields) -> bool {
    fields.has_token(Name::Upgrade, "websocket")
}

pub fn is_grpc(head: &RequestHead) -> bool {
    let grpc = |value: &[u8]| {
        let kind = value.get(..GRPC.len());
        let rest = value.get(GRPC.len()).unwrap_or(&b';');
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case(GRPC))
            && matches!(rest, b';' | b'+' | b' ')
    };
    *head.method() == Method::POST && head.fields().named("content-type").any(grpc)
}

const GRPC: &[u8] = b"application/grpc";

pub fn offers_trailers(fields: &Fields) -> bool {
    fields.has_token(Name::Te, "trailers")
}

fn asks_for_websocket(head: &RequestHead) -> bool {
    head.version() == Version::HTTP_11
        && *head.method() == Method::GET
        && head.fields().has_token(Name::Connection, "upgrade")
        && is_websocket(head.fields())
}

/// RFC 9110 7.6.1: what every hop has its own of.
fn is_of_one_hop(name: Name) -> bool {
    matches!(
        name,
        Name::Connection
            | Name::KeepAlive
            | Name::ProxyConnection
            | Name::Te
            | Name::Trailer
            | Name::TransferEncoding
            | Name::Upgrade
    )
}

/// What only the load balancer says to a target, and what it has answered itself.
fn is_ours(name: Name) -> bool {
    matches!(
        name,
        Name::XForwardedFor
            | Name::XForwardedProto
            | Name::XForwardedPort
            | Name::XAmznTraceId
            | Name::Disguised
            | Name::Expect
    )
}

/// Under whatever name: targets believe it.
fn says_of_certificate(client: &ClientSide<'_>, line: &[u8]) -> bool {
    client
        .certificates
        .is_some_and(|(told, _)| told.is_ours(name_of(line)))
}

/// RFC 9110 7.6.1: fields that `Connection` names end at this hop too.
struct Listed {
    /// The fields that say so, seldom needed.
    connection: Option<Box<Fields>>,
}

impl Listed {
    fn of(fields: &Fields) -> Self {
        let nothing = |line: &[u8]| {
            [&b"keep-alive"[..], b"close", b"upgrade"]
                .iter()
                .any(|usual| line.eq_ignore_ascii_case(usual))
        };
        let all = fields.get_all(Name::Connection).all(nothing);
        Self {
            connection: (!all).then(|| Box::new(fields.clone())),
        }
    }

    /// Named there, some go on all the same: nobody can make the proxy drop what it routes, frames or identifies by.
    fn contains(&self, name: Name, line: &[u8]) -> bool {
        let essential = matches!(name, Name::Host | Name::ContentLength | Name::Cookie);
        self.connection
            .as_ref()
            .is_some_and(|fields| !essential && fields.has_token(Name::Connection, name_of(line)))
    }
}

/// HTTP/2 clients may send a cookie's parts as fields of their own; HTTP/1.1 knows one (RFC 9113 8.2.3).
fn write_cookies(fields: &Fields, out: &mut Vec<u8>) {
    out.extend_from_slice(b"cookie: ");
    for (nth, crumb) in fields.get_all(Name::Cookie).enumerate() {
        if nth > 0 {
            out.extend_from_slice(b"; ");
        }
        out.extend_from_slice(crumb);
    }
    out.extend_from_slice(b"\r\n");
}

/// Without a port on the standard ports, with the listener's on others, in lower case.
fn write_host(asked: &Asked<'_>, client: &ClientSide<'_>, spelled: &[u8], out: &mut Vec<u8>) {
    let name = match without_port(asked.host) {
        "" => client.load_balancer,
        _ if asked.keeps_port => asked.host,
        name => name,
    };
    out.extend_from_slice(spelled);
    out.extend_from_slice(b": ");
    let start = out.len();
    out.extend_from_slice(name.as_bytes());
    out[start..].make_ascii_lowercase();
    if !asked.keeps_port && !matches!(client.port, 80 | 443) {
        out.push(b':');
        decimal(client.port.into(), out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Who the client is, as this hop saw it: appended to what came in, so that the list never begins with a comma.
fn write_forwarded(fields: &Fields, client: &ClientSide<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"X-Forwarded-For: ");
    for hop in fields.get_all(Name::XForwardedFor) {
        if !hop.is_empty() {
            out.extend_from_slice(hop);
            out.extend_from_slice(b", ");
        }
    }
    out.extend_from_slice(client.address.as_bytes());
    out.extend_from_slice(if client.https {
        b"\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: ".as_slice()
    } else {
        b"\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: ".as_slice()
    });
    decimal(client.port.into(), out);
    out.extend_from_slice(b"\r\n");
}

fn write(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// What stands before the colon.
fn name_of(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b':').next().unwrap_or_default()
}

/// As it came.
fn write_line(line: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(line);
    out.extend_from_slice(b"\r\n");
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

/// As `write!` would, at a tenth of its cost.
fn decimal(mut number: u32, out: &mut Vec<u8>) {
    let mut digits = [0; 10];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The lowest `N` digits.
fn hexadecimal<const N: usize>(mut number: u128) -> [u8; N] {
    let mut digits = [0; N];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
    }
    digits
}

#[cfg(test)]
mod tests;
