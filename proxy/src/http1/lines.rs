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
#[inline]
pub(super) fn text_length(input: &[u8]) -> usize {
    // Most lines are short, and looked at in words.
    let (words, _) = input.as_chunks::<8>();
    let mut length = 0;
    for word in words.iter().take(4) {
        let controls = controls(u64::from_le_bytes(*word));
        if controls == 0 {
            length += 8;
            continue;
        }
        length += controls.trailing_zeros() as usize / 8;
        if input.get(length) != Some(&b'\t') {
            return length;
        }
        break;
    }
    long_text_length(input, length)
}

/// The rest of long lines is looked at in blocks, which a compiler turns into vector instructions.
#[inline(never)]
fn long_text_length(input: &[u8], start: usize) -> usize {
    const BLOCK: usize = 32;
    let is_plain = |block: &&[u8; BLOCK]| {
        let any = |any, byte: &u8| any | byte.is_ascii_control();
        !block.iter().fold(false, any)
    };
    let mut length = start;
    loop {
        let rest = input.get(length..).unwrap_or_default();
        let (blocks, _) = rest.as_chunks::<BLOCK>();
        length += BLOCK * blocks.iter().take_while(is_plain).count();
        length += plain_length(input.get(length..).unwrap_or_default());
        if input.get(length) != Some(&b'\t') {
            return length;
        }
        length += 1;
    }
}

/// How many bytes there are before the first control.
fn plain_length(input: &[u8]) -> usize {
    let (words, rest) = input.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        let controls = controls(u64::from_le_bytes(*word));
        if controls != 0 {
            return 8 * n + controls.trailing_zeros() as usize / 8;
        }
    }
    let control = rest.iter().position(u8::is_ascii_control);
    8 * words.len() + control.unwrap_or(rest.len())
}

/// The top bit of the first of eight bytes that is a control, and perhaps of bytes behind it; 0 if none is.
fn controls(word: u64) -> u64 {
    let each = |byte: u8| u64::from_ne_bytes([byte; 8]);
    let below_space = word.wrapping_sub(each(b' ')) & !word;
    let from_delete = word ^ each(0x7f);
    let delete = from_delete.wrapping_sub(each(1)) & !from_delete;
    (below_space | delete) & each(0x80)
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
