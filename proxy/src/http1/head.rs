//! What request and response heads have in common: their fields, and how these frame the body and keep the connection.

use http::Version;

use super::fields::{Fields, FieldsReader, Name, items};
use super::lines::{Block, Lines};
use super::{Length, Malformed};

/// A whole head, or a whole trailer section.
#[derive(Debug)]
pub(super) struct Read<'a> {
    /// Empty before trailers.
    pub(super) first_line: &'a [u8],
    /// Their buffer holds the whole block.
    pub(super) fields: Fields,
    /// Bytes of the block.
    pub(super) size: usize,
}

/// What most heads are smaller than.
const AT_ONCE: usize = 4 * 1024;

/// What is at the front of the input, or `None` if it is not complete.
pub(super) fn read(input: &[u8], block: Block) -> Result<Option<Read<'_>>, Malformed> {
    let mut lines = Lines::new(input, block);
    // A large one that comes in small pieces is looked through for its end first: that is cheaper than reading it anew.
    if input.len() > AT_ONCE && lines.clone().are_unfinished() {
        return Ok(None);
    }
    let mut first_line = &[][..];
    if block != Block::Trailers {
        let Some(line) = lines.first()? else {
            return Ok(None);
        };
        first_line = line.text;
    }
    let mut reader = FieldsReader::default();
    while let Some(line) = lines.next()? {
        if line.text.is_empty() {
            let size = lines.end();
            let block = input.get(..size).unwrap_or_default();
            return Ok(Some(Read {
                first_line,
                fields: reader.finish(block),
                size,
            }));
        }
        reader.line(line)?;
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
        let mut says_close = false;
        let mut says_keep_alive = false;
        for (name, value) in fields.framing() {
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
                _ => {
                    for item in items(value) {
                        says_close |= item.eq_ignore_ascii_case(b"close");
                        says_keep_alive |= item.eq_ignore_ascii_case(b"keep-alive");
                    }
                }
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
        Ok(Self {
            length,
            keeps_alive: !says_close && (says_keep_alive || version != Version::HTTP_10),
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
