//! Whether a body is the one it should be, looked at while it comes.

use super::failure::Failure;

/// Pieces up to this size are compared whole, longer ones at samples.
const WHOLE: usize = 16 * 1024;
/// Between two samples, and how long each is.
const STEP: usize = 4096;
const SAMPLE: usize = 64;

/// How much of the expected body has come.
#[derive(Debug)]
pub(crate) struct Content<'a> {
    expected: &'a [u8],
    received: usize,
}

impl<'a> Content<'a> {
    pub(crate) fn new(expected: &'a [u8]) -> Self {
        Self {
            expected,
            received: 0,
        }
    }

    pub(crate) fn take(&mut self, piece: &[u8]) -> Result<(), Failure> {
        let begin = self.received;
        let end = begin + piece.len();
        let Some(expected) = self.expected.get(begin..end) else {
            return Err(self.wrong_length(end));
        };
        self.received = end;
        if is_alike(piece, expected) {
            Ok(())
        } else {
            Err(Failure::Content { begin, end })
        }
    }

    /// Nothing more comes.
    pub(crate) fn finish(&self) -> Result<(), Failure> {
        if self.received == self.expected.len() {
            Ok(())
        } else {
            Err(self.wrong_length(self.received))
        }
    }

    fn wrong_length(&self, got: usize) -> Failure {
        Failure::Length {
            expected: self.expected.len() as u64,
            got: got as u64,
        }
    }
}

/// Two slices of one length. Of long ones the first bytes of every `STEP`, and the last bytes.
fn is_alike(piece: &[u8], expected: &[u8]) -> bool {
    if piece.len() <= WHOLE {
        return piece == expected;
    }
    let samples = (0..piece.len()).step_by(STEP);
    let last = piece.len() - SAMPLE;
    samples.chain([last]).all(|begin| {
        let end = (begin + SAMPLE).min(piece.len());
        piece[begin..end] == expected[begin..end]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_comes_in_pieces() {
        let mut content = Content::new(b"hello, world");
        content.take(b"hello").unwrap();
        assert!(content.finish().is_err());
        content.take(b"").unwrap();
        content.take(b", world").unwrap();
        content.finish().unwrap();
        let more = Failure::Length {
            expected: 12,
            got: 13,
        };
        assert_eq!(content.take(b"!"), Err(more));
    }

    #[test]
    fn a_wrong_byte_is_told_with_its_piece() {
        let mut content = Content::new(b"hello, world");
        content.take(b"hello").unwrap();
        let wrong = Failure::Content { begin: 5, end: 12 };
        assert_eq!(content.take(b", worle"), Err(wrong));
    }

    /// Whatever is shifted by a byte or more is seen in every long piece, and so is a wrong first, sampled or last byte.
    #[test]
    fn long_pieces_are_sampled() {
        let body: Vec<u8> = (0..100_000u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        Content::new(&body).take(&body).unwrap();
        assert!(Content::new(&body).take(&body[1..]).is_err());
        for at in [0, STEP, 10 * STEP + SAMPLE - 1, 99_999] {
            let mut wrong = body.clone();
            wrong[at] ^= 1;
            assert!(Content::new(&body).take(&wrong).is_err(), "{at}");
        }
    }
}
