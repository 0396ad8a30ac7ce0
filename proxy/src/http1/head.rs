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
    /// Of a request only: others may read another length than this one.
    pub(super) is_ambiguous: bool,
}

impl Framing {
    /// Exactly one length, or exactly one `chunked`, or neither.
    pub(super) fn of(fields: &Fields, version: Version) -> Result<Self, Malformed> {
        let framing = Self::read(fields, version)?;
        match framing.is_ambiguous.then_some(framing.length) {
            None => Ok(framing),
            Some(Some(Length::Chunked)) if version == Version::HTTP_11 => {
                Err(Malformed::TwoLengths)
            }
            Some(Some(Length::Chunked)) => Err(Malformed::TransferEncodingInHttp10),
            Some(_) => Err(Malformed::RepeatedContentLength),
        }
    }

    /// As [`of`](Self::of), and also what an ALB calls ambiguous and can be read in one way all the same: a length that is
    /// said again, or beside `chunked`, which wins, and `chunked` in HTTP/1.0. Nothing may follow such a request.
    pub(super) fn of_request(fields: &Fields, version: Version) -> Result<Self, Malformed> {
        let mut framing = Self::read(fields, version)?;
        framing.keeps_alive &= !framing.is_ambiguous;
        Ok(framing)
    }

    fn read(fields: &Fields, version: Version) -> Result<Self, Malformed> {
        let mut is_ambiguous = false;
        let mut length = None;
        let mut chunked = false;
        let mut says_close = false;
        let mut says_keep_alive = false;
        for (name, value) in fields.framing() {
            match name {
                Name::ContentLength => {
                    let said = content_length(value)?;
                    if length.is_some_and(|length| length != said) {
                        return Err(Malformed::RepeatedContentLength);
                    }
                    is_ambiguous |= length.is_some();
                    length = Some(said);
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
            (length, true) => {
                is_ambiguous |= length.is_some() || version != Version::HTTP_11;
                Some(Length::Chunked)
            }
            (length, false) => length.map(Length::Known),
        };
        Ok(Self {
            length,
            keeps_alive: !says_close && (says_keep_alive || version != Version::HTTP_10),
            is_ambiguous,
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
