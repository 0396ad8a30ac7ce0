//! The host that a request is for, and what its target is told of it.

use http::Version;

use super::{Asked, ClientSide, decimal, name_of, write, write_line};
use crate::gateway_error::GatewayError;
use crate::http1::{Name, RequestHead};
use crate::rule::{is_host, without_port};

/// The host a request is for, as the client sent it: `:authority` or the absolute URI, else the Host header. `preserved`: the
/// target gets the Host header as it came, and so that is what counts. Over HTTP/2 both must say the same.
pub fn host(head: &RequestHead, preserved: bool) -> Result<&str, GatewayError> {
    let mut lines = head.fields().get_all(Name::Host);
    let (line, more) = (lines.next(), lines.next());
    if more.is_some() {
        return Err(GatewayError::InvalidHost);
    }
    let host = match (head.authority(), line) {
        (Some(authority), None) => authority,
        (Some(authority), Some(line)) => {
            let same = authority.as_bytes().eq_ignore_ascii_case(line);
            if !same && head.version() == Version::HTTP_2 {
                return Err(GatewayError::InvalidHost);
            }
            if preserved { text(line) } else { authority }
        }
        (None, Some(line)) => text(line),
        (None, None) if head.version() < Version::HTTP_11 => return Ok(""),
        (None, None) => "",
    };
    if is_host(host) {
        Ok(host)
    } else {
        Err(GatewayError::InvalidHost)
    }
}

/// What is not ASCII is no host here.
fn text(line: &[u8]) -> &str {
    str::from_utf8(line).unwrap_or_default()
}

/// Without a port on the standard ports, with the listener's on others, in lower case.
pub(super) fn write_host(
    asked: &Asked<'_>,
    client: &ClientSide<'_>,
    spelled: &[u8],
    out: &mut Vec<u8>,
) {
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

/// As the client sent it, if that is wanted and the rule has not made another one.
pub(super) fn write_line_of_host(
    asked: &Asked<'_>,
    client: &ClientSide<'_>,
    line: &[u8],
    out: &mut Vec<u8>,
) {
    if client.headers.preserve_host && !asked.has_new_host {
        write_line(line, out);
    } else {
        write_host(asked, client, name_of(line), out);
    }
}

/// For a request that has no line of it: of HTTP/2, or of a client of HTTP/1.0.
pub(super) fn write_missing_host(asked: &Asked<'_>, client: &ClientSide<'_>, out: &mut Vec<u8>) {
    let preserve = client.headers.preserve_host && !asked.has_new_host;
    if preserve && !asked.host.is_empty() {
        write("Host", asked.host.as_bytes(), out);
    } else {
        write_host(asked, client, b"Host", out);
    }
}
