//! Which fields cross the load balancer, in either direction, and which it sets. Pure: heads in, the next hop's bytes out.
//! Here is a request's way to a target; `host`, `forwarded` and `trace_id` know what is told there of where it came from,
//! `response` is the way back.

mod forwarded;
mod host;
mod response;
mod trace_id;

use http::{Method, Version};
use lintel_common::server::TlsInfo;

use super::client_certificate::ClientCertificates;
use crate::gateway_error::GatewayError;
use crate::http1::fields::is_valid_name;
use crate::http1::{Fields, Length, Name, RequestHead, limits};
use crate::model::{HeaderModification, RequestHeaders};
use crate::rule::{Transformed, without_port};

pub use host::host;
pub use response::{SetField, ToClient, modify, own_to_client, to_client, to_http2_client};
pub use trace_id::trace_id;

/// The client connection's part in a request to a target.
#[derive(Debug, Clone, Copy)]
pub struct ClientSide<'a> {
    /// The peer's, without its port.
    pub address: &'a str,
    pub address_port: u16,
    pub tls: Option<&'a TlsInfo>,
    /// Of the listener.
    pub port: u16,
    /// Where certificates are asked for: how they are told, and the lines that tell of this one.
    pub certificates: Option<(&'a ClientCertificates, &'a [u8])>,
    /// Stands in for the Host that an HTTP/1.0 client may leave out.
    pub load_balancer: &'a str,
    pub headers: RequestHeaders,
    pub modification: &'a HeaderModification,
}

/// What a request is for: as the client sent it, or as the rule's transforms made it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub host: &'a str,
    /// It is not the client's.
    pub has_new_host: bool,
    /// The host's port is its own, and not the listener's.
    pub keeps_port: bool,
    pub path_and_query: &'a [u8],
}

impl<'a> Asked<'a> {
    /// `host` is what [`host`] says.
    pub fn of(head: &'a RequestHead, host: &'a str, transformed: Option<&'a Transformed>) -> Self {
        let new_host = transformed.and_then(|made| made.host.as_deref());
        let new_uri = transformed.and_then(|made| made.uri.as_deref());
        Self {
            host: new_host.unwrap_or(host),
            has_new_host: new_host.is_some(),
            keeps_port: new_host.is_some_and(|host| without_port(host) != host),
            path_and_query: new_uri.map_or_else(|| head.path_and_query_as_sent(), str::as_bytes),
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
        None | Some("http" | "https") => forwarded::check(head.fields()),
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
    for part in [
        head.method().as_str().as_bytes(),
        b" ",
        asked.path_and_query,
    ] {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    if fields.get(Name::Host).is_none() {
        host::write_missing_host(asked, client, out);
    }
    let listed = Listed::of(fields);
    let drops_invalid = client.headers.drop_invalid && fields.have_invalid_name();
    let renames_tls = client.modification.renames_tls();
    // Of an ambiguous length the field that decides goes on, once.
    let mut lengths = if head.has_ambiguous_length() {
        usize::from(head.length() != Length::Chunked)
    } else {
        usize::MAX
    };
    let mut cookies_written = false;
    for (name, line) in fields.lines() {
        match name {
            Name::Host => host::write_line_of_host(asked, client, line, out),
            Name::Cookie if head.version() == Version::HTTP_2 => {
                if !std::mem::replace(&mut cookies_written, true) {
                    write_cookies(fields, out);
                }
            }
            Name::ContentLength if lengths == 0 => {}
            name if is_ours(name) || is_of_one_hop(name) || listed.contains(name, line) => {}
            Name::Other if drops_invalid && !is_valid_name(name_of(line)) => {}
            // Under its new name it is as little a client's to say.
            Name::Other if renames_tls && client.modification.names_tls(name_of(line)) => {}
            _ if says_of_certificate(client, line) => {}
            _ => {
                lengths -= usize::from(name == Name::ContentLength);
                write_line(line, out);
            }
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
    forwarded::write_forwarded(fields, client, out);
    if client.headers.tls_version_and_cipher_suite {
        forwarded::write_tls(client, out);
    }
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
            | Name::Suspicious
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

#[cfg(test)]
mod tests;
