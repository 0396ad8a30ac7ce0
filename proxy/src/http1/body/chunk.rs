//! The lines around chunks, read and written.

use memchr::memchr2;

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
    // One byte more than fits, to see whether it does.
    let most = limits::CHUNK_LINE - digits;
    let window = rest.get(..=most).unwrap_or(rest);
    let length = memchr2(b'\r', b'\n', window).unwrap_or(window.len());
    let (extension, end) = window.split_at(length);
    check_extension(extension)?;
    if length > most {
        return Err(Malformed::ChunkLineTooLong);
    }
    match end {
        [] => Ok(None),
        [b'\n', ..] => Err(Malformed::BareLf),
        _ if ends_blank(extension) => Err(Malformed::ChunkSize),
        // The window may end here; the input tells.
        _ => match rest.get(length + 1) {
            None => Ok(None),
            Some(b'\n') => Ok(Some(ChunkLine {
                size,
                extension: length,
                consumed: digits + length + 2,
            })),
            Some(_) => Err(Malformed::BareCr),
        },
    }
}

/// Blanks and a semicolon, and then what nobody reads, but without controls: so that everybody sees the same line end.
fn check_extension(extension: &[u8]) -> Result<(), Malformed> {
    match without_blanks(extension) {
        [] => Ok(()),
        [b';', text @ ..] => {
            let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
            if text.iter().any(is_control) {
                Err(Malformed::ChunkExtension)
            } else {
                Ok(())
            }
        }
        _ => Err(Malformed::ChunkSize),
    }
}

fn without_blanks(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !matches!(byte, b' ' | b'\t'));
    text.get(start.unwrap_or(text.len())..).unwrap_or_default()
}

/// Whether there are blanks behind the size and no extension.
fn ends_blank(extension: &[u8]) -> bool {
    !extension.is_empty() && without_blanks(extension).is_empty()
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
