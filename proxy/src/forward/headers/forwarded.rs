//! What a target is told of the client and its connection: `X-Forwarded-*`, and of TLS if that is wanted.

use super::{ClientSide, decimal, write, write_line};
use crate::gateway_error::GatewayError;
use crate::http1::{Fields, Name};
use crate::model::ForwardedFor;

/// Addresses in `X-Forwarded-For`; with more a request is refused.
const MOST_ADDRESSES: usize = 30;

/// Refuses a request that came through more hops than an ALB takes.
pub(super) fn check(fields: &Fields) -> Result<(), GatewayError> {
    if !fields.may_have(Name::XForwardedFor) {
        return Ok(());
    }
    let addresses = |line: &[u8]| {
        line.split(|byte| *byte == b',')
            .filter(|address| !address.trim_ascii().is_empty())
            .count()
    };
    let count: usize = fields.get_all(Name::XForwardedFor).map(addresses).sum();
    if count > MOST_ADDRESSES {
        Err(GatewayError::TooManyForwardedAddresses)
    } else {
        Ok(())
    }
}

/// Who the client is, as this hop saw it.
pub(super) fn write_forwarded(fields: &Fields, client: &ClientSide<'_>, out: &mut Vec<u8>) {
    match client.headers.forwarded_for {
        ForwardedFor::Append { port } => append(fields, client, port, out),
        ForwardedFor::Preserve => {
            let lines = fields.lines();
            for (_, line) in lines.filter(|(name, _)| *name == Name::XForwardedFor) {
                write_line(line, out);
            }
        }
        ForwardedFor::Remove => {}
    }
    out.extend_from_slice(if client.tls.is_some() {
        b"X-Forwarded-Proto: https\r\nX-Forwarded-Port: ".as_slice()
    } else {
        b"X-Forwarded-Proto: http\r\nX-Forwarded-Port: ".as_slice()
    });
    decimal(client.port.into(), out);
    out.extend_from_slice(b"\r\n");
}

/// Behind what came in, so that the list never begins with a comma.
fn append(fields: &Fields, client: &ClientSide<'_>, port: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b"X-Forwarded-For: ");
    for hop in fields.get_all(Name::XForwardedFor) {
        if !hop.is_empty() {
            out.extend_from_slice(hop);
            out.extend_from_slice(b", ");
        }
    }
    let brackets = port && client.address.contains(':');
    if brackets {
        out.push(b'[');
    }
    out.extend_from_slice(client.address.as_bytes());
    if brackets {
        out.push(b']');
    }
    if port {
        out.push(b':');
        decimal(client.address_port.into(), out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Under the names that the listener has for it.
pub(super) fn write_tls(client: &ClientSide<'_>, out: &mut Vec<u8>) {
    let Some(tls) = client.tls else {
        return;
    };
    let modification = client.modification;
    let name = |own: &Option<Box<str>>, albs: &'static str| own.clone().unwrap_or(albs.into());
    let version = lintel_common::tls::protocol_name(tls.protocol);
    let suite = lintel_common::tls::openssl_cipher_name(tls.cipher_suite);
    let version_name = name(&modification.tls_version, "x-amzn-tls-version");
    write(&version_name, version.as_bytes(), out);
    let suite_name = name(&modification.tls_cipher_suite, "x-amzn-tls-cipher-suite");
    write(&suite_name, suite.as_bytes(), out);
}
