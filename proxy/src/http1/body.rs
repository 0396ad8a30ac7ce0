//! A body on the wire: where its content lies in the stream, and how content is framed to be sent.
//!
//! [`Decoder`] is the machine (drawn in docs/http1.md): content counted down, or chunk size, content, end of chunk and
//! so on to the trailers, or content until the stream ends. It keeps no content and no unfinished line.

mod chunk;
mod trailers;

use std::ops::Range;

pub use chunk::{CHUNK_END, LAST_CHUNK, chunk_header, last_chunk};

use super::{Fields, Malformed, limits};

/// How a message says where its body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// There is none.
    Empty,
    Known(u64),
    Chunked,
    /// Of a response only: the connection's end is the body's.
    UntilClose,
}

#[derive(Debug)]
pub struct Decoder {
    state: State,
    /// Bytes of chunk extensions so far.
    extensions: usize,
    trailers: Option<Fields>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So much is still to come.
    Content(u64),
    UntilClose,
    ChunkSize,
    ChunkContent(u64),
    ChunkEnd,
    Trailers,
    Finished,
}

/// What one step took from the front of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub consumed: usize,
    /// Where in it the content lies; empty if there was framing only.
    pub content: Range<usize>,
}

impl Decoder {
    pub fn new(length: Length) -> Self {
        let state = match length {
            Length::Empty | Length::Known(0) => State::Finished,
            Length::Known(length) => State::Content(length),
            Length::Chunked => State::ChunkSize,
            Length::UntilClose => State::UntilClose,
        };
        Self {
            state,
            extensions: 0,
            trailers: None,
        }
    }

    /// Takes from the front of the input framing, at most one run of content, and framing behind that.
    ///
    /// Nothing consumed of an input that is not empty means that a line is not complete: the caller keeps it (it is never
    /// more than the [`limits`] of a chunk line or of trailers) and asks again with more behind it. A finished decoder
    /// consumes nothing: the rest is the next message's.
    pub fn read(&mut self, input: &[u8]) -> Result<Piece, Malformed> {
        let mut piece = Piece {
            consumed: 0,
            content: 0..0,
        };
        while let Some(rest) = input.get(piece.consumed..)
            && !rest.is_empty()
        {
            if self.is_in_content() && !piece.content.is_empty() {
                break;
            }
            if let Some(length) = self.content(rest.len()) {
                let start = piece.consumed;
                piece.consumed += length;
                piece.content = start..piece.consumed;
                continue;
            }
            match self.framing(rest) {
                Ok(0) => break,
                Ok(length) => piece.consumed += length,
                // The content before it was good; what is wrong is found again.
                Err(_) if !piece.content.is_empty() => break,
                Err(malformed) => return Err(malformed),
            }
        }
        Ok(piece)
    }

    /// So many bytes of content have gone by that nobody looked at; not more than are
    /// [`remaining`](Self::remaining).
    pub fn pass(&mut self, bytes: u64) {
        if let State::Content(left) = &mut self.state {
            *left = left.saturating_sub(bytes);
            if *left == 0 {
                self.state = State::Finished;
            }
        }
    }

    fn is_in_content(&self) -> bool {
        matches!(
            self.state,
            State::Content(_) | State::ChunkContent(_) | State::UntilClose
        )
    }

    /// Takes content, as much as is due of so much that has come; `None` if none is due.
    fn content(&mut self, available: usize) -> Option<usize> {
        let (left, then) = match &mut self.state {
            State::Content(left) => (left, State::Finished),
            State::ChunkContent(left) => (left, State::ChunkEnd),
            State::UntilClose => return Some(available),
            _ => return None,
        };
        let length = usize::try_from(*left).map_or(available, |left| left.min(available));
        *left -= length as u64;
        if *left == 0 {
            self.state = then;
        }
        Some(length)
    }

    /// Takes what frames content, or nothing where it is not complete.
    fn framing(&mut self, input: &[u8]) -> Result<usize, Malformed> {
        match self.state {
            State::ChunkSize => {
                let Some(line) = chunk::read_line(input)? else {
                    return Ok(0);
                };
                self.extensions += line.extension;
                if self.extensions > limits::CHUNK_EXTENSIONS {
                    return Err(Malformed::ChunkExtensionsTooLarge);
                }
                self.state = match line.size {
                    0 => State::Trailers,
                    size => State::ChunkContent(size),
                };
                Ok(line.consumed)
            }
            State::ChunkEnd => match input {
                [b'\r', b'\n', ..] => {
                    self.state = State::ChunkSize;
                    Ok(CHUNK_END.len())
                }
                [b'\r'] => Ok(0),
                _ => Err(Malformed::ChunkEnd),
            },
            State::Trailers => {
                let Some((trailers, consumed)) = trailers::read(input)? else {
                    return Ok(0);
                };
                self.trailers = trailers;
                self.state = State::Finished;
                Ok(consumed)
            }
            State::Content(_) | State::ChunkContent(_) | State::UntilClose | State::Finished => {
                Ok(0)
            }
        }
    }

    pub fn is_finished(&self) -> bool {
        self.state == State::Finished
    }

    /// The stream has ended, which is how a body of [`Length::UntilClose`] finishes, and no other.
    pub fn end_of_stream(&mut self) -> Result<(), Malformed> {
        match self.state {
            State::UntilClose | State::Finished => {
                self.state = State::Finished;
                Ok(())
            }
            _ => Err(Malformed::Incomplete),
        }
    }

    /// After the finish, the trailers that may be passed on; `None` if there were none.
    pub fn take_trailers(&mut self) -> Option<Fields> {
        self.trailers.take()
    }

    /// Content still to come, where the head said how much there is.
    pub fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Content(left) => Some(left),
            State::Finished => Some(0),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
