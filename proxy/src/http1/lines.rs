//! Where a block of lines ends: a head, or a trailer section. Looks at its lines' ends and lengths, at how the first one
//! begins and ends, and at nothing else; so it costs little to ask again each time more has come.

use memchr::memchr2;

use super::{Malformed, limits};

/// What a block of lines begins with, and how large it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    RequestHead,
    ResponseHead,
    Trailers,
}

/// Where the bytes after the block's empty line begin, or `None` if it is not complete.
///
/// What is wrong is found in the order of the bytes, and in a block that is not complete as in one that is: it does not
/// matter in which pieces a block arrives.
pub(super) fn end(input: &[u8], block: Block) -> Result<Option<usize>, Malformed> {
    let most = block.most_bytes();
    // One byte more than fits, to see whether it does.
    let window = input.get(..=most).unwrap_or(input);
    block.begins(window)?;
    let mut start = 0;
    let mut lines = 0;
    loop {
        let rest = window.get(start..).unwrap_or_default();
        let Some(length) = memchr2(b'\r', b'\n', rest) else {
            block.line(rest.len(), lines)?;
            break;
        };
        block.line(length, lines)?;
        match rest.get(length..) {
            Some([b'\r', b'\n', ..]) => {}
            Some([b'\n', ..]) => return Err(Malformed::BareLf),
            Some([b'\r', _, ..]) => return Err(Malformed::BareCr),
            _ => break,
        }
        start += length + 2;
        if start > most {
            break;
        }
        if length == 0 {
            return match lines {
                0 if block != Block::Trailers => Err(Malformed::EmptyLine),
                _ => Ok(Some(start)),
            };
        }
        if lines == 0 {
            block.first_line(rest.get(..length).unwrap_or_default())?;
        }
        lines += 1;
        if lines > block.most_lines() {
            return Err(block.too_many());
        }
    }
    if window.len() > most {
        return Err(block.too_large());
    }
    Ok(None)
}

impl Block {
    fn most_bytes(self) -> usize {
        match self {
            Self::RequestHead => limits::REQUEST_HEAD,
            Self::ResponseHead => limits::RESPONSE_HEAD,
            Self::Trailers => limits::TRAILERS,
        }
    }

    fn most_lines(self) -> usize {
        match self {
            Self::RequestHead => 1 + limits::REQUEST_FIELDS,
            Self::ResponseHead => 1 + limits::RESPONSE_FIELDS,
            Self::Trailers => limits::TRAILER_FIELDS,
        }
    }

    fn too_large(self) -> Malformed {
        match self {
            Self::RequestHead | Self::ResponseHead => Malformed::HeadTooLarge,
            Self::Trailers => Malformed::TrailersTooLarge,
        }
    }

    fn too_many(self) -> Malformed {
        match self {
            Self::RequestHead | Self::ResponseHead => Malformed::TooManyFields,
            Self::Trailers => Malformed::TrailersTooLarge,
        }
    }

    /// So that what is no HTTP at all is refused at its first bytes: it may never send a line's end.
    fn begins(self, input: &[u8]) -> Result<(), Malformed> {
        let begins = match self {
            Self::RequestHead => input
                .first()
                .is_none_or(|first| is_token(*first) || matches!(first, b'\r' | b'\n')),
            Self::ResponseHead => {
                let version = b"HTTP/";
                let length = input.len().min(version.len());
                input.get(..length) == version.get(..length)
                    || matches!(input.first(), Some(b'\r' | b'\n'))
            }
            Self::Trailers => true,
        };
        match self {
            _ if begins => Ok(()),
            Self::RequestHead => Err(Malformed::Method),
            Self::ResponseHead | Self::Trailers => Err(Malformed::StatusLine),
        }
    }

    /// A line of this length so far, after so many others.
    fn line(self, length: usize, lines: usize) -> Result<(), Malformed> {
        match self {
            Self::RequestHead if lines == 0 && length > limits::REQUEST_LINE => {
                Err(Malformed::RequestLineTooLong)
            }
            Self::RequestHead if length > limits::REQUEST_FIELD => Err(Malformed::FieldTooLong),
            _ => Ok(()),
        }
    }

    /// The version, which decides whether the rest can be understood at all.
    fn first_line(self, line: &[u8]) -> Result<(), Malformed> {
        match self {
            Self::RequestHead => match line.last_chunk() {
                Some(b" HTTP/1.1" | b" HTTP/1.0") => Ok(()),
                Some([b' ', version @ ..]) if is_version(version) => {
                    Err(Malformed::UnsupportedVersion)
                }
                _ => Err(Malformed::RequestLine),
            },
            Self::ResponseHead => match line.first_chunk() {
                Some(b"HTTP/1.1 " | b"HTTP/1.0 ") => Ok(()),
                Some([version @ .., b' ']) if is_version(version) => {
                    Err(Malformed::UnsupportedVersion)
                }
                _ => Err(Malformed::StatusLine),
            },
            Self::Trailers => Ok(()),
        }
    }
}

fn is_version(version: &[u8]) -> bool {
    matches!(
        version,
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9']
    )
}

pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
