//! What request and response heads have in common: their fields, and how these frame the body and keep the connection.

use std::ops::Range;

use http::Version;

use super::fields::{Fields, FieldsReader, Name};
use super::lines::{Block, Lines};
use super::{Length, Malformed};

/// A whole head, or a whole trailer section.
#[derive(Debug)]
pub(super) struct Read {
    /// Where in the fields' buffer the first line lies; empty before trailers.
    pub(super) first_line: Range<usize>,
    /// Their buffer holds the whole block.
    pub(super) fields: Fields,
    /// Bytes of the block.
    pub(super) size: usize,
}

/// What is at the front of the input, or `None` if it is not complete.
pub(super) fn read(input: &[u8], block: Block) -> Result<Option<Read>, Malformed> {
    let mut lines = Lines::new(input, block);
    if lines.clone().are_unfinished() {
        return Ok(None);
    }
    let first_line = match block {
        Block::Trailers => Some(0..0),
        Block::RequestHead | Block::ResponseHead => lines.next()?,
    };
    let Some(first_line) = first_line else {
        return Ok(None);
    };
    let mut fields = FieldsReader::default();
    while let Some(line) = lines.next()? {
        if line.is_empty() {
            let size = lines.end();
            return Ok(Some(Read {
                first_line,
                fields: fields.finish(input.get(..size).unwrap_or_default()),
                size,
            }));
        }
        fields.line(input, line)?;
    }
    Ok(None)
}

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

#[cfg(test)]
mod tests;
