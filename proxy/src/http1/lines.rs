//! The lines of a head or of a trailer section: each ends in CR LF and has no other control in it than tabs, and an
//! empty one ends them. What the lines say is for others.

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
}

impl<'a> Lines<'a> {
    pub(super) fn new(input: &'a [u8], block: Block) -> Self {
        let most = block.most_bytes();
        Self {
            block,
            window: input.get(..=most).unwrap_or(input),
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
        if memchr::memmem::find(self.window, b"\r\n\r\n").is_some() {
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
    #[inline]
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

    fn line(&mut self, longest: usize, too_long: Malformed) -> Result<Option<Line<'a>>, Malformed> {
        let start = self.at;
        let rest = self.window.get(start..).unwrap_or_default();
        // Nearly every line is this one; what is wrong with another, and where, is looked for byte by byte.
        if let Some(end) = memchr::memchr(b'\n', rest)
            && let Some([text @ .., b'\r']) = rest.get(..end)
            && text.len() <= longest
            && start + end < self.most
            && all_are(text, is_no_control)
        {
            self.at = start + end + 1;
            return Ok(Some(Line { start, text }));
        }
        self.unusual_line(rest, longest, too_long)
    }

    #[cold]
    fn unusual_line(
        &mut self,
        rest: &'a [u8],
        longest: usize,
        too_long: Malformed,
    ) -> Result<Option<Line<'a>>, Malformed> {
        let start = self.at;
        let (text, end) = rest.split_at(text_length(rest));
        if text.len() > longest {
            return Err(too_long);
        }
        match end {
            [b'\r', b'\n', ..] if start + text.len() + 2 <= self.most => {
                self.at = start + text.len() + 2;
                Ok(Some(Line { start, text }))
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

/// How many bytes there are before the first control that is not a tab.
pub(super) fn text_length(input: &[u8]) -> usize {
    let is_text = |byte: &u8| !byte.is_ascii_control() || *byte == b'\t';
    let (blocks, _) = input.as_chunks::<BLOCK>();
    let is_plain = |block: &&[u8; BLOCK]| block_is(block, is_no_control);
    let plain = BLOCK * blocks.iter().take_while(is_plain).count();
    let rest = input.get(plain..).unwrap_or_default();
    plain + rest.iter().take_while(|byte| is_text(byte)).count()
}

const BLOCK: usize = 32;

/// Whether all of the bytes are that.
///
/// They are looked at in blocks, which a compiler turns into vector instructions. The last block overlaps the one before
/// it, so that no rest is left.
#[inline]
fn all_are(text: &[u8], is: impl Fn(u8) -> bool + Copy) -> bool {
    match text.len() {
        0..4 => text.iter().all(|byte| is(*byte)),
        4..8 => both_ends_are::<4>(text, is),
        8..16 => both_ends_are::<8>(text, is),
        16..=BLOCK => both_ends_are::<16>(text, is),
        _ => {
            let (blocks, _) = text.as_chunks::<BLOCK>();
            blocks.iter().all(|block| block_is(block, is)) && both_ends_are::<BLOCK>(text, is)
        }
    }
}

#[inline]
fn both_ends_are<const N: usize>(text: &[u8], is: impl Fn(u8) -> bool + Copy) -> bool {
    let ends = text.first_chunk::<N>().zip(text.last_chunk::<N>());
    ends.is_some_and(|(first, last)| block_is(first, is) && block_is(last, is))
}

#[inline]
fn block_is<const N: usize>(block: &[u8; N], is: impl Fn(u8) -> bool) -> bool {
    // Without a way out in the middle.
    !block.iter().fold(false, |any, byte| any | !is(*byte))
}

fn is_no_control(byte: u8) -> bool {
    !byte.is_ascii_control()
}

/// Whether it is a token or empty.
#[inline]
pub(super) fn is_all_token(name: &[u8]) -> bool {
    let is_of_most_names = |byte: u8| byte.is_ascii_alphabetic() | (byte == b'-');
    all_are(name, is_of_most_names) || name.iter().all(|byte| is_token(*byte))
}

/// The characters of methods and of field names.
pub(super) fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

const TOKEN: [bool; 256] = {
    let mut token = [false; 256];
    let mut byte = b'!';
    while byte < 0x7f {
        token[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    token
};

#[cfg(test)]
mod tests;
