//! The lines of a head or of a trailer section: each ends in CR LF and has no other control in it than tabs, and an
//! empty one ends them. What the lines say is for others.

use std::ops::Range;

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
    /// One byte more than may be, to see whether it is too large.
    window: &'a [u8],
    /// Where the next line begins.
    at: usize,
    count: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(input: &'a [u8], block: Block) -> Self {
        Self {
            block,
            window: input.get(..=block.most_bytes()).unwrap_or(input),
            at: 0,
            count: 0,
        }
    }

    /// Whether what is there is good so far, and its end has not come.
    ///
    /// Costs little, so that it can be asked again each time when more has come.
    pub(super) fn are_unfinished(mut self) -> bool {
        if self.window.ends_with(b"\r\n\r\n") {
            return false;
        }
        loop {
            match self.next() {
                Ok(None) => return true,
                Ok(Some(line)) if !line.is_empty() => {}
                Ok(Some(_)) | Err(_) => return false,
            }
        }
    }

    /// Where the next line lies, without its end; the empty one is the last. `None` if its end has not come.
    ///
    /// What is wrong is found in the order of the bytes: it does not matter how many there are already.
    pub(super) fn next(&mut self) -> Result<Option<Range<usize>>, Malformed> {
        let rest = self.window.get(self.at..).unwrap_or_default();
        if self.count == 0 {
            self.block.check_beginning(rest)?;
        }
        let length = text_length(rest);
        self.block.check_length(length, self.count)?;
        match rest.get(length..) {
            Some([b'\r', b'\n', ..]) => {}
            None | Some([] | [b'\r']) => return self.incomplete(),
            Some([b'\n', ..]) => return Err(Malformed::BareLf),
            Some([b'\r', ..]) => return Err(Malformed::BareCr),
            Some(_) => return Err(Malformed::Control),
        }
        let line = self.at..self.at + length;
        self.at = line.end + 2;
        if self.at > self.block.most_bytes() {
            return self.incomplete();
        }
        if self.count == 0 {
            self.block
                .check_first_line(rest.get(..length).unwrap_or_default())?;
        }
        if !line.is_empty() {
            self.count += 1;
            if self.count > self.block.most_lines() {
                return Err(self.block.too_many());
            }
        }
        Ok(Some(line))
    }

    /// Where the bytes behind the lines that were read begin.
    pub(super) fn end(&self) -> usize {
        self.at
    }

    fn incomplete(&self) -> Result<Option<Range<usize>>, Malformed> {
        if self.window.len() > self.block.most_bytes() {
            Err(self.block.too_large())
        } else {
            Ok(None)
        }
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

    /// Of a line of this length so far, after so many others.
    fn check_length(self, length: usize, before: usize) -> Result<(), Malformed> {
        match self {
            Self::RequestHead if before == 0 && length > limits::REQUEST_LINE => {
                Err(Malformed::RequestLineTooLong)
            }
            Self::RequestHead if length > limits::REQUEST_FIELD => Err(Malformed::FieldTooLong),
            _ => Ok(()),
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
    let mut length = 0;
    loop {
        let rest = input.get(length..).unwrap_or_default();
        length += plain_length(rest);
        if input.get(length) != Some(&b'\t') {
            return length;
        }
        length += 1;
    }
}

/// How many bytes there are before the first control: in steps that a compiler turns into vector instructions, then in
/// words, then in bytes.
fn plain_length(input: &[u8]) -> usize {
    let (blocks, _) = input.as_chunks::<32>();
    let is_plain = |block: &&[u8; 32]| {
        !block
            .iter()
            .fold(false, |any, byte| any | is_control(*byte))
    };
    let start = 32 * blocks.iter().take_while(is_plain).count();
    let (words, rest) = input.get(start..).unwrap_or_default().as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        let controls = controls(u64::from_le_bytes(*word));
        if controls != 0 {
            return start + 8 * n + controls.trailing_zeros() as usize / 8;
        }
    }
    let in_rest = rest.iter().position(|byte| is_control(*byte));
    input.len() - rest.len() + in_rest.unwrap_or(rest.len())
}

fn is_control(byte: u8) -> bool {
    (byte < b' ') | (byte == 0x7f)
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
