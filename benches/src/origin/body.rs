//! A request body: counted as it comes, never kept.

use super::request::Malformed;

/// What a head announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// So many bytes, perhaps none.
    Length(u64),
    Chunks,
}

/// How far it has come.
#[derive(Debug)]
pub(super) struct Counter {
    /// Bytes of content so far.
    pub(super) length: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Content without framing: bytes still to come.
    Plain(u64),
    /// The size of a chunk, in hexadecimal digits; whether there was one.
    Size(u64, bool),
    /// After the size, up to the end of the line.
    Extension(u64),
    /// Bytes of the chunk still to come.
    Chunk(u64),
    /// The CR LF behind a chunk.
    ChunkEnd,
    /// Behind the last chunk: whether the line so far is empty.
    Trailer(bool),
    Complete,
}

impl Counter {
    pub(super) fn new(expected: Expected) -> Self {
        let state = match expected {
            Expected::Length(0) => State::Complete,
            Expected::Length(length) => State::Plain(length),
            Expected::Chunks => State::Size(0, false),
        };
        Self { length: 0, state }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// How many of these bytes belong to the body.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut rest = bytes;
        while !rest.is_empty() && self.state != State::Complete {
            let taken = match self.state {
                State::Plain(left) | State::Chunk(left) => self.take_content(left, rest.len()),
                _ => {
                    self.state = self.after(rest[0])?;
                    1
                }
            };
            rest = &rest[taken..];
        }
        Ok(bytes.len() - rest.len())
    }

    fn take_content(&mut self, left: u64, available: usize) -> usize {
        let taken = left.min(available as u64);
        self.length += taken;
        self.state = match (self.state, left - taken) {
            (State::Plain(_), 0) => State::Complete,
            (State::Plain(_), left) => State::Plain(left),
            (_, 0) => State::ChunkEnd,
            (_, left) => State::Chunk(left),
        };
        taken as usize
    }

    /// The state behind one byte of framing. A line may end in LF alone.
    fn after(&self, byte: u8) -> Result<State, Malformed> {
        Ok(match (self.state, byte) {
            (State::Size(size, true) | State::Extension(size), b'\n') => match size {
                0 => State::Trailer(true),
                size => State::Chunk(size),
            },
            (State::Size(size, true), b'\r' | b';' | b' ' | b'\t') => State::Extension(size),
            (State::Size(size, _), digit) => {
                let digit = char::from(digit).to_digit(16).ok_or(Malformed)?;
                let size = size.checked_mul(16).ok_or(Malformed)?;
                State::Size(size + u64::from(digit), true)
            }
            (State::ChunkEnd, b'\n') => State::Size(0, false),
            (State::ChunkEnd, other) if other != b'\r' => return Err(Malformed),
            (State::Trailer(true), b'\n') => State::Complete,
            (State::Trailer(_), other) if other != b'\r' => State::Trailer(other == b'\n'),
            (unchanged, _) => unchanged,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The length of the content and what is left over, for every way of cutting the bytes in two.
    fn count(expected: Expected, bytes: &[u8]) -> Result<(u64, usize), Malformed> {
        let mut results = Vec::new();
        for cut in 0..=bytes.len() {
            let mut counter = Counter::new(expected);
            let first = counter.take(&bytes[..cut]);
            let second = counter.take(&bytes[cut..]);
            results.push(first.and_then(|first| {
                let taken = first + second?;
                assert_eq!(counter.is_complete(), taken < bytes.len());
                Ok((counter.length, bytes.len() - taken))
            }));
        }
        results.dedup();
        assert_eq!(results.len(), 1, "{results:?}");
        results.remove(0)
    }

    #[test]
    fn bodies_are_counted_to_their_end() {
        let chunks = |text: &str| count(Expected::Chunks, text.as_bytes());
        assert_eq!(count(Expected::Length(3), b"abcGET"), Ok((3, 3)));
        assert_eq!(count(Expected::Length(0), b"GET"), Ok((0, 3)));
        assert_eq!(chunks("3\r\nabc\r\n0\r\n\r\nGET"), Ok((3, 3)));
        assert_eq!(
            chunks("00A;x=y\r\n0123456789\r\n1\r\n\n\r\n0\r\n\r\nG"),
            Ok((11, 1))
        );
        assert_eq!(chunks("0\r\nTrailer: x\r\n\r\nGET"), Ok((0, 3)));
        for malformed in ["x", "\r\n", "3\r\nabcd", "11111111111111111\r\n"] {
            assert_eq!(chunks(malformed), Err(Malformed), "{malformed}");
        }
    }
}
