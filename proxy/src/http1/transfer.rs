//! Content on its way from one connection to the other: decoded as it was framed here, framed anew for there, read only
//! when the other side has taken what came before.

use std::io::{self, ErrorKind};
use std::task::{Context, Poll, ready};

use super::body::{CHUNK_END, chunk_header, last_chunk};
use super::buffers::Buffers;
use super::wire::Wire;
use super::{Decoder, Fields, Length, Malformed};

/// Content of which so much is still to come stays in the kernel on its way. Less is as cheap to copy.
const LEAST_PASSED: u64 = 64 * 1024;

/// How content is framed where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// As it is: its length was said before, or it ends with the connection.
    Plain,
    Chunked {
        /// The other side takes trailers.
        trailers: bool,
    },
}

impl Framing {
    /// Of a message whose length is said so.
    pub fn of(length: Length, trailers: bool) -> Self {
        match length {
            Length::Chunked => Self::Chunked { trailers },
            _ => Self::Plain,
        }
    }

    /// Writes one piece of content.
    pub fn write(
        self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
        content: &[u8],
        to: &mut Wire,
    ) -> io::Result<()> {
        if content.is_empty() {
            // As a chunk it would be the last.
            return Ok(());
        }
        if self == Self::Plain {
            return to.write(cx, buffers, [&[], content, &[]]);
        }
        let mut size = Vec::with_capacity(20);
        chunk_header(content.len(), &mut size);
        to.write(cx, buffers, [&size, content, CHUNK_END])
    }

    /// Puts the end behind what waits to be written.
    pub fn end(self, buffers: &Buffers, fields: Option<&Fields>, to: &mut Wire) {
        if let Self::Chunked { trailers } = self {
            let fields = fields.filter(|_| trailers);
            last_chunk(fields, to.put_together(buffers));
        }
    }
}

/// Which side has failed.
#[derive(Debug)]
pub enum Broken {
    /// Where it came from: ended or reset too early.
    Source(io::Error),
    /// Where it came from: unreadable.
    Malformed(Malformed),
    /// Where it was to go.
    Sink(io::Error),
}

/// A message's content, from its head to its end.
#[derive(Debug)]
pub struct Transfer {
    decoder: Decoder,
    framing: Framing,
    /// Bytes of content that were taken.
    moved: u64,
    /// Something was written: from here on nothing waits for company.
    begun: bool,
    /// The end has been framed.
    ended: bool,
}

impl Transfer {
    pub fn new(decoder: Decoder, framing: Framing) -> Self {
        Self {
            decoder,
            framing,
            moved: 0,
            begun: false,
            ended: false,
        }
    }

    /// Bytes of content so far.
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// Nothing of it has gone anywhere that could not go again.
    pub fn is_untouched(&self) -> bool {
        self.moved == 0 && (!self.ended || self.framing == Framing::Plain)
    }

    /// Everything was read from where it comes from.
    pub fn is_read(&self) -> bool {
        self.decoder.is_finished()
    }

    /// Moves what there is. Ready when all of it has been written.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
        from: &mut Wire,
        to: &mut Wire,
    ) -> Poll<Result<(), Broken>> {
        loop {
            if self.decoder.is_finished() && !self.ended {
                self.ended = true;
                let trailers = self.decoder.take_trailers();
                self.framing.end(buffers, trailers.as_ref(), to);
            }
            // A head that waits goes out together with the content that came with its own.
            if self.begun || self.ended || !from.has_input() {
                self.begun = true;
                match to.poll_flush(cx, buffers) {
                    Poll::Ready(Ok(())) => from.read_more(),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Sink(error))),
                    Poll::Pending => {
                        from.read_less();
                        return Poll::Pending;
                    }
                }
            }
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            if let Some(most) = self.passable(from, to) {
                match from.poll_pass(cx, buffers, to, most) {
                    Poll::Ready(Ok(Some(passed))) => {
                        self.decoder.pass(passed as u64);
                        self.moved += passed as u64;
                        continue;
                    }
                    Poll::Ready(Ok(None)) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Source(error))),
                    Poll::Pending => return Poll::Pending,
                }
            }
            let framing = self.framing;
            match from.poll_take(cx, buffers, |cx, input| {
                self.take(input, |content| framing.write(cx, buffers, content, to))
            }) {
                Poll::Ready(Ok(passed_on)) => passed_on?,
                Poll::Ready(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                    let ended = self.decoder.end_of_stream();
                    ended.map_err(|_| Broken::Source(error))?;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Source(error))),
                Poll::Pending => {
                    self.begun = true;
                    ready!(to.poll_flush(cx, buffers)).map_err(Broken::Sink)?;
                    return Poll::Pending;
                }
            }
        }
    }

    /// How much of what comes next can go as it is, without being looked at; `None` if that is not possible or not worth
    /// it.
    fn passable(&self, from: &Wire, to: &Wire) -> Option<usize> {
        let remaining = self.decoder.remaining()?;
        let worth_it = remaining >= LEAST_PASSED && self.framing == Framing::Plain;
        let most = usize::try_from(remaining).unwrap_or(usize::MAX);
        (worth_it && from.can_pass(to)).then_some(most)
    }

    /// Takes what there is and forgets it. Ready when something was taken.
    pub fn poll_skip(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
        from: &mut Wire,
    ) -> Poll<Result<(), Broken>> {
        let skipped = from.poll_take(cx, buffers, |_, input| self.take(input, |_| Ok(())));
        skipped.map(|read| read.map_err(Broken::Source)?)
    }

    /// Reads what has come, and gives the content in it to `sink`.
    fn take(
        &mut self,
        input: &[u8],
        mut sink: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> (usize, Option<Result<(), Broken>>) {
        let mut taken = 0;
        while taken < input.len() && !self.decoder.is_finished() {
            let piece = match self.decoder.read(&input[taken..]) {
                Ok(piece) if piece.consumed == 0 => break,
                Ok(piece) => piece,
                Err(malformed) => return (taken, Some(Err(Broken::Malformed(malformed)))),
            };
            let content = &input[taken..][piece.content];
            taken += piece.consumed;
            self.moved += content.len() as u64;
            if let Err(error) = sink(content) {
                return (taken, Some(Err(Broken::Sink(error))));
            }
        }
        (taken, (taken > 0).then_some(Ok(())))
    }
}

#[cfg(test)]
mod tests;
