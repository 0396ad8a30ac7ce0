//! The lines around chunks, read and written.

use crate::http1::scan::text_length;
use crate::http1::{Fields, Malformed, limits};

/// What follows a chunk's content.
pub const CHUNK_END: &[u8] = b"\r\n";

/// The end of a body without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// As many as a number of 64 bits has; so no size overflows.
const MOST_DIGITS: usize = 16;

/// What one line says before a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkLine {
    pub(super) size: u64,
    /// Bytes behind the size.
    pub(super) extension: usize,
    pub(super) consumed: usize,
}

/// The line at the front of the input; `None` if it is not complete.
pub(super) fn read_line(input: &[u8]) -> Result<Option<ChunkLine>, Malformed> {
    let mut size = 0;
    let mut digits = 0;
    for byte in input {
        let Some(digit) = char::from(*byte).to_digit(16) else {
            break;
        };
        digits += 1;
        if digits > MOST_DIGITS {
            return Err(Malformed::ChunkSize);
        }
        size = size << 4 | u64::from(digit);
    }
    let rest = input.get(digits..).unwrap_or_default();
    if digits == 0 && !rest.is_empty() {
        return Err(Malformed::ChunkSize);
    }
    let extension = text_length(rest.get(..=limits::CHUNK_LINE).unwrap_or(rest));
    let (text, end) = rest.split_at(extension);
    check_extension(text)?;
    if digits + extension > limits::CHUNK_LINE {
        return Err(Malformed::ChunkLineTooLong);
    }
    match end {
        [b'\n', ..] => Err(Malformed::BareLf),
        [b'\r', ..] if is_blank(text) => Err(Malformed::ChunkSize),
        [] | [b'\r'] => Ok(None),
        [b'\r', b'\n', ..] => Ok(Some(ChunkLine {
            size,
            extension,
            consumed: digits + extension + 2,
        })),
        [b'\r', ..] => Err(Malformed::BareCr),
        _ => Err(Malformed::Control),
    }
}

/// Blanks and a semicolon, and then what nobody reads.
fn check_extension(text: &[u8]) -> Result<(), Malformed> {
    match text.iter().find(|byte| !matches!(byte, b' ' | b'\t')) {
        None | Some(b';') => Ok(()),
        Some(_) => Err(Malformed::ChunkSize),
    }
}

/// Whether there are blanks behind the size and no extension.
fn is_blank(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| matches!(byte, b' ' | b'\t'))
}

/// Appends the line before a chunk of that length, which is not zero: that would end the body.
pub fn chunk_header(length: usize, out: &mut Vec<u8>) {
    let digits = (usize::BITS - length.leading_zeros()).div_ceil(4).max(1);
    out.extend((0..digits).rev().map(|place| {
        let digit = length >> (4 * place) & 0xf;
        b"0123456789abcdef"[digit]
    }));
    out.extend_from_slice(CHUNK_END);
}

/// Appends the end of a body.
pub fn last_chunk(trailers: Option<&Fields>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        trailers.write(out);
    }
    out.extend_from_slice(b"\r\n");
}
