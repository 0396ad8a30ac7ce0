//! What request and response heads have in common: how their fields frame the body and keep the connection, and what is
//! wrong with fields that httparse does not take.

use http::Version;
use memchr::memchr;

use super::fields::{Fields, Name};
use super::lines::is_token;
use super::{Length, Malformed};

/// What the fields say of the body and of the connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Framing {
    /// `None` if they don't.
    pub(super) length: Option<Length>,
    pub(super) keeps_alive: bool,
}

impl Framing {
    /// Exactly one length, or exactly one `chunked`, or neither.
    pub(super) fn of(fields: &Fields, version: Version) -> Result<Self, Malformed> {
        let mut length = None;
        let mut chunked = false;
        let mut connection = false;
        for (name, value) in fields.names_and_values() {
            match name {
                Name::ContentLength => {
                    if length.is_some() {
                        return Err(Malformed::RepeatedContentLength);
                    }
                    length = Some(content_length(value)?);
                }
                Name::TransferEncoding => {
                    if chunked {
                        return Err(Malformed::RepeatedTransferEncoding);
                    }
                    if !value.eq_ignore_ascii_case(b"chunked") {
                        return Err(Malformed::TransferEncoding);
                    }
                    chunked = true;
                }
                Name::Connection => connection = true,
                _ => {}
            }
        }
        let length = match (length, chunked) {
            (Some(_), true) => return Err(Malformed::TwoLengths),
            (None, true) if version != Version::HTTP_11 => {
                return Err(Malformed::TransferEncodingInHttp10);
            }
            (None, true) => Some(Length::Chunked),
            (length, false) => length.map(Length::Known),
        };
        let says = |token| connection && fields.has_token(Name::Connection, token);
        let keeps_alive = match version {
            Version::HTTP_10 => says("keep-alive") && !says("close"),
            _ => !says("close"),
        };
        Ok(Self {
            length,
            keeps_alive,
        })
    }
}

/// Digits, and a number of 64 bits.
fn content_length(value: &[u8]) -> Result<u64, Malformed> {
    if value.is_empty() {
        return Err(Malformed::ContentLength);
    }
    value
        .iter()
        .try_fold(0_u64, |number, byte| {
            let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
            number.checked_mul(10)?.checked_add(digit)
        })
        .ok_or(Malformed::ContentLength)
}

/// What is wrong with the first bad field line after the first line of a head.
pub(super) fn bad_field_of_head(block: &[u8]) -> Malformed {
    let end = memchr(b'\n', block).map_or(block.len(), |end| end + 1);
    bad_field(block.get(end..).unwrap_or_default())
}

/// What is wrong with the first bad one of these field lines, which end in CR LF.
pub(super) fn bad_field(lines: &[u8]) -> Malformed {
    let lines = lines.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| line.strip_suffix(b"\r"))
        .find_map(bad_line)
        // Not reached: httparse and these rules agree.
        .unwrap_or(Malformed::FieldValue)
}

fn bad_line(line: &[u8]) -> Option<Malformed> {
    if line.is_empty() {
        return None;
    }
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Some(Malformed::FoldedField);
    }
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return Some(Malformed::MissingColon);
    };
    let (name, value) = line.split_at(colon);
    match name {
        [] => Some(Malformed::EmptyFieldName),
        [.., b' ' | b'\t'] => Some(Malformed::BlankBeforeColon),
        name if !name.iter().copied().all(is_token) => Some(Malformed::FieldName),
        _ if value
            .iter()
            .any(|byte| byte.is_ascii_control() && *byte != b'\t') =>
        {
            Some(Malformed::FieldValue)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
