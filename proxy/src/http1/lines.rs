//! The lines of a head or of a trailer section: each ends in CR LF and has no other control in it than tabs, and an
//! empty one ends them. What the lines say is for others.

use super::scan::{Controls, is_token};
use super::{Malformed, limits};

/// What begins with lines, and how large it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    RequestHead,
    ResponseHead,
    Trailers,
}

/// Goes through the lines at the front of the input.
#[derive(Debug, Clone)]
pub(super) struct Lines<'a> {
    block: Block,
    /// Of the input, one byte more than the block may have: to see whether it is too large.
    window: &'a [u8],
    controls: Controls<'a>,
    /// Bytes that the block may have.
    most: usize,
    /// Where the next line begins.
    at: usize,
    /// How many more there may be, before the empty one.
    left: usize,
}

/// One line without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Where in the block it begins.
    pub(super) start: usize,
    pub(super) text: &'a [u8],
    /// The text and what stands behind it.
    pub(super) rest: &'a [u8],
}

impl<'a> Lines<'a> {
    pub(super) fn new(input: &'a [u8], block: Block) -> Self {
        let most = block.most_bytes();
        let window = input.get(..=most).unwrap_or(input);
        Self {
            block,
            window,
            controls: Controls::of(window),
            most,
            at: 0,
            left: block.most_fields(),
        }
    }

    /// Whether what is there is good so far, and its end has not come.
    ///
    /// Costs little, so that it can be asked again each time when more has come.
    #[inline(never)]
    pub(super) fn are_unfinished(mut self) -> bool {
        if self.window.ends_with(b"\r\n\r\n") {
            return false;
        }
        if self.block != Block::Trailers {
            match self.first() {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
        loop {
            match self.next() {
                Ok(Some(line)) if !line.text.is_empty() => {}
                Ok(None) => return true,
                Ok(Some(_)) | Err(_) => return false,
            }
        }
    }

    /// The first line of a head. `None` if its end has not come.
    pub(super) fn first(&mut self) -> Result<Option<Line<'a>>, Malformed> {
        self.block.check_beginning(self.window)?;
        let longest = self.block.longest_first_line();
        let Some(line) = self.line(longest, Malformed::RequestLineTooLong)? else {
            return Ok(None);
        };
        self.block.check_first_line(line.text)?;
        Ok(Some(line))
    }

    /// The next line; the empty one is the last. `None` if its end has not come.
    ///
    /// What is wrong is found in the order of the bytes: it does not matter how many there are already.
    #[expect(
        clippy::inline_always,
        reason = "a twentieth fewer instructions for all of a request: its result is large"
    )]
    #[inline(always)]
    pub(super) fn next(&mut self) -> Result<Option<Line<'a>>, Malformed> {
        let line = self.line(self.block.longest_field(), Malformed::FieldTooLong)?;
        if line.is_some_and(|line| !line.text.is_empty()) {
            let Some(left) = self.left.checked_sub(1) else {
                return Err(self.block.too_many());
            };
            self.left = left;
        }
        Ok(line)
    }

    #[expect(clippy::inline_always, reason = "as above")]
    #[inline(always)]
    fn line(&mut self, longest: usize, too_long: Malformed) -> Result<Option<Line<'a>>, Malformed> {
        let start = self.at;
        let rest = self.window.get(start..).unwrap_or_default();
        let (text, end) = rest.split_at(self.controls.next(start) - start);
        if text.len() > longest {
            return Err(too_long);
        }
        match end {
            [b'\r', b'\n', ..] if start + text.len() + 2 <= self.most => {
                self.at = start + text.len() + 2;
                Ok(Some(Line { start, text, rest }))
            }
            [] | [b'\r'] | [b'\r', b'\n', ..] if self.window.len() > self.most => {
                Err(self.block.too_large())
            }
            [] | [b'\r'] => Ok(None),
            [b'\n', ..] => Err(Malformed::BareLf),
            [b'\r', ..] => Err(Malformed::BareCr),
            _ => Err(Malformed::Control),
        }
    }

    /// Where the bytes behind the lines that were read begin.
    pub(super) fn end(&self) -> usize {
        self.at
    }
}

impl Block {
    fn most_bytes(self) -> usize {
        match self {
            Self::RequestHead => limits::REQUEST_HEAD,
            Self::ResponseHead => limits::RESPONSE_HEAD,
            Self::Trailers => limits::TRAILERS,
        }
    }

    fn most_fields(self) -> usize {
        match self {
            Self::RequestHead => limits::REQUEST_FIELDS,
            Self::ResponseHead => limits::RESPONSE_FIELDS,
            Self::Trailers => limits::TRAILER_FIELDS,
        }
    }

    fn longest_first_line(self) -> usize {
        match self {
            Self::RequestHead => limits::REQUEST_LINE,
            Self::ResponseHead | Self::Trailers => usize::MAX,
        }
    }

    fn longest_field(self) -> usize {
        match self {
            Self::RequestHead => limits::REQUEST_FIELD,
            Self::ResponseHead | Self::Trailers => usize::MAX,
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

    /// What is no HTTP at all is refused at its first bytes: it may never send a line's end.
    fn check_beginning(self, input: &[u8]) -> Result<(), Malformed> {
        match (self, input) {
            (Self::Trailers, _) | (_, [] | [b'\r' | b'\n', ..]) => Ok(()),
            (Self::RequestHead, [first, ..]) if is_token(*first) => Ok(()),
            (Self::RequestHead, _) => Err(Malformed::Method),
            (Self::ResponseHead, _) => {
                let version = b"HTTP/";
                let length = input.len().min(version.len());
                if input.get(..length) == version.get(..length) {
                    Ok(())
                } else {
                    Err(Malformed::StatusLine)
                }
            }
        }
    }

    /// Its version, which decides whether the rest can be understood at all.
    fn check_first_line(self, line: &[u8]) -> Result<(), Malformed> {
        match (self, line) {
            (Self::Trailers, _) => Ok(()),
            (_, []) => Err(Malformed::EmptyLine),
            (Self::RequestHead, _) => match line.last_chunk() {
                Some(b" HTTP/1.1" | b" HTTP/1.0") => Ok(()),
                Some([b' ', version @ ..]) if is_version(version) => {
                    Err(Malformed::UnsupportedVersion)
                }
                _ => Err(Malformed::RequestLine),
            },
            (Self::ResponseHead, _) => match line.first_chunk() {
                Some(b"HTTP/1.1 " | b"HTTP/1.0 ") => Ok(()),
                Some([version @ .., b' ']) if is_version(version) => {
                    Err(Malformed::UnsupportedVersion)
                }
                _ => Err(Malformed::StatusLine),
            },
        }
    }
}

fn is_version(version: &[u8]) -> bool {
    matches!(
        version,
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9']
    )
}

#[cfg(test)]
mod tests;
