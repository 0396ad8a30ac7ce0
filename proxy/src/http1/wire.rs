//! One side's connection: its stream, what was read of it and not used yet, what is to be written and was not taken yet,
//! and exact counts of both. It knows nothing of messages. What it reads with is the worker's and only lent to it, so that
//! an idle connection holds no buffer at all.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use lintel_common::stream::Stream;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use super::buffers::{Buffers, LARGEST_READ, LentPipe};
use super::pipe;

/// What one read may bring at least. A connection whose other side does not keep up comes down to this, so that a slow
/// reader holds no more.
const SMALLEST_READ: usize = 16 * 1024;

/// What one read of a head may bring. What comes behind it of its content is copied once more than the rest.
const HEAD_READ: usize = 16 * 1024;

/// Content up to this size is copied behind what stands before it and leaves in one send, which costs less than a
/// vectored one.
const FLAT: usize = 16 * 1024;

/// What may wait unread on a connection that is busy with a request: the next head, if it is pipelined.
const MOST_AHEAD: usize = 64 * 1024;

#[derive(Debug)]
pub struct Wire {
    stream: Stream,
    /// Read and not taken, from `taken` on.
    input: Vec<u8>,
    taken: usize,
    /// Accepted and not written, from `written` on.
    output: Vec<u8>,
    written: usize,
    /// Accepted, not written, and in the kernel: it goes before `output`.
    piped: Option<LentPipe>,
    read_size: usize,
    most_read: usize,
    received: u64,
    sent: u64,
    ended: bool,
    /// The last read brought as much as it may.
    filled: bool,
    /// TLS may end without a word.
    may_end_unsaid: bool,
}

impl Wire {
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            input: Vec::new(),
            taken: 0,
            output: Vec::new(),
            written: 0,
            piped: None,
            read_size: SMALLEST_READ,
            most_read: LARGEST_READ,
            received: 0,
            sent: 0,
            ended: false,
            filled: false,
            may_end_unsaid: false,
        }
    }

    /// Takes a connection that is closed for the end of what was sent, though TLS has not said so.
    pub fn let_end_unsaid(&mut self) {
        self.may_end_unsaid = true;
    }

    /// Bytes that have come, TLS not counted.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Bytes that the kernel has taken, TLS not counted.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// The other side has said that nothing more will come.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Something was read that nobody has taken.
    pub fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// What was read that nobody has taken.
    pub fn input(&self) -> &[u8] {
        &self.input[self.taken..]
    }

    /// Something waits for the other side to take it.
    pub fn is_blocked(&self) -> bool {
        let in_session = match &self.stream {
            Stream::Plain(_) => false,
            Stream::Tls(stream) => stream.get_ref().1.wants_write(),
        };
        in_session || !self.output.is_empty() || self.piped.is_some()
    }

    /// The connection is no more, as far as can be seen without reading what came before.
    pub fn is_reset(&self, cx: &mut Context<'_>) -> bool {
        // What is not asked for is not told.
        let both = Interest::READABLE | Interest::WRITABLE;
        let readiness = pin!(self.stream.tcp().ready(both));
        matches!(readiness.poll(cx), Poll::Ready(Ok(ready)) if ready.is_write_closed())
    }

    /// When it is closed, the other side shall know that this was no end.
    pub fn reset_at_close(&self) {
        // Failing costs only the hint.
        let _ = socket2::SockRef::from(self.stream.tcp()).set_linger(Some(Duration::ZERO));
    }

    /// Open, and nothing has come that nobody asked for. `thorough` asks the kernel; otherwise this is what the runtime
    /// has heard, without a system call.
    pub fn is_quiet(&self, thorough: bool) -> bool {
        if self.ended || self.has_input() || self.is_blocked() {
            return false;
        }
        // What the session has read and nobody was given, its end included, is not on the socket any more.
        if matches!(&self.stream, Stream::Tls(stream) if !stream.get_ref().1.wants_read()) {
            return false;
        }
        let tcp = self.stream.tcp();
        let mut byte = [0];
        let unheard = tcp.try_read(&mut byte);
        let silent = |read: &io::Result<usize>| matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock);
        if !silent(&unheard) || !thorough {
            return silent(&unheard);
        }
        let mut byte = [std::mem::MaybeUninit::uninit()];
        silent(&socket2::SockRef::from(tcp).peek(&mut byte))
    }

    /// Shows `take` what has come and was not taken. It says how much of it it takes, and its result once it has one;
    /// until then it is shown more. The end of the stream is an `UnexpectedEof`.
    pub fn poll_take<R>(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
        take: impl FnMut(&mut Context<'_>, &[u8]) -> (usize, Option<R>),
    ) -> Poll<io::Result<R>> {
        self.poll_take_in_steps(cx, buffers, self.read_size, take)
    }

    /// As [`poll_take`](Self::poll_take), for a head: what follows it is somebody else's, and is kept until then.
    pub fn poll_take_head<R>(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
        take: impl FnMut(&mut Context<'_>, &[u8]) -> (usize, Option<R>),
    ) -> Poll<io::Result<R>> {
        self.poll_take_in_steps(cx, buffers, HEAD_READ, take)
    }

    fn poll_take_in_steps<R>(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
        read_size: usize,
        mut take: impl FnMut(&mut Context<'_>, &[u8]) -> (usize, Option<R>),
    ) -> Poll<io::Result<R>> {
        loop {
            if self.has_input() {
                let (taken, result) = take(cx, self.input());
                self.consume(buffers, taken);
                if let Some(result) = result {
                    return Poll::Ready(Ok(result));
                }
            }
            let mut buffer = buffers.for_reading();
            let fresh = ready!(self.poll_read(cx, &mut buffer[..read_size]))?;
            if fresh.is_empty() {
                return Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
            }
            if self.has_input() {
                self.keep(buffers, fresh);
                continue;
            }
            let (taken, result) = take(cx, fresh);
            self.keep(buffers, &fresh[taken..]);
            if let Some(result) = result {
                return Poll::Ready(Ok(result));
            }
        }
    }

    /// Looks whether the other side is still there while nothing is expected of it; what comes all the same is kept, up to
    /// a bound. Ready at the end of the stream.
    pub fn poll_ended(&mut self, cx: &mut Context<'_>, buffers: &Buffers) -> Poll<io::Result<()>> {
        while !self.ended {
            if self.input().len() >= MOST_AHEAD {
                return Poll::Pending;
            }
            let mut buffer = buffers.for_reading();
            let fresh = ready!(self.poll_read(cx, &mut buffer[..HEAD_READ]))?;
            self.keep(buffers, fresh);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads and forgets. Ready at the end of the stream.
    pub fn poll_discard(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
    ) -> Poll<io::Result<()>> {
        self.consume(buffers, self.input().len());
        while !self.ended {
            let mut buffer = buffers.for_reading();
            let size = self.read_size;
            ready!(self.poll_read(cx, &mut buffer[..size]))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read<'b>(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &'b mut [u8],
    ) -> Poll<io::Result<&'b [u8]>> {
        if self.ended {
            return Poll::Ready(Ok(&[]));
        }
        let size = buffer.len();
        let mut space = ReadBuf::new(buffer);
        let read = match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut space)) {
            Ok(()) => space.filled().len(),
            // TLS was not ended but cut off: by its peer, or by somebody between, who must not make half a message whole.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                if !self.may_end_unsaid {
                    return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
                }
                0
            }
            Err(error) => return Poll::Ready(Err(error)),
        };
        self.received += read as u64;
        self.ended = read == 0;
        self.filled = read == size;
        Poll::Ready(Ok(&buffer[..read]))
    }

    /// Takes up to `most` bytes that `to` is to write, without looking at them: they stay in the kernel. Both must be
    /// without TLS and nothing may wait in them ([`can_pass`](Self::can_pass)). `None`: there is no pipe to be had. The
    /// end of the stream is an `UnexpectedEof`.
    pub fn poll_pass(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
        to: &mut Self,
        most: usize,
    ) -> Poll<io::Result<Option<usize>>> {
        if self.ended {
            return Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
        }
        let Some(mut lent) = buffers.lend_pipe() else {
            return Poll::Ready(Ok(None));
        };
        let most = most.min(pipe::CAPACITY);
        let passed = lent.pipe.poll_fill(cx, self.stream.tcp(), most);
        let passed = match passed {
            Poll::Ready(Ok(passed)) if passed > 0 => passed,
            unfilled => {
                buffers.give_back_pipe(lent);
                return match ready!(unfilled) {
                    Ok(_) => {
                        self.ended = true;
                        Poll::Ready(Err(ErrorKind::UnexpectedEof.into()))
                    }
                    Err(error) if pipe::is_refused(&error) => {
                        tracing::debug!(%error, "content is copied: the kernel does not pass it on");
                        buffers.give_up_pipes();
                        Poll::Ready(Ok(None))
                    }
                    Err(error) => Poll::Ready(Err(error)),
                };
            }
        };
        self.received += passed as u64;
        self.filled = false;
        to.piped = Some(lent);
        Poll::Ready(Ok(Some(passed)))
    }

    /// Whether content could go to `to` without being looked at.
    pub fn can_pass(&self, to: &Self) -> bool {
        let plain = |stream: &Stream| matches!(stream, Stream::Plain(_));
        plain(&self.stream) && plain(&to.stream) && !self.has_input() && !to.is_blocked()
    }

    /// Its other side has taken all that was read: read more, if there was more.
    pub fn read_more(&mut self) {
        if self.filled {
            self.read_size = (2 * self.read_size).min(self.most_read);
        }
    }

    /// Its other side does not keep up: read in smaller steps.
    pub fn read_less(&mut self) {
        self.read_size = (self.read_size / 2).max(SMALLEST_READ);
    }

    /// For a side that cannot take much at once.
    pub fn read_at_most(&mut self, bytes: usize) {
        self.most_read = bytes.clamp(SMALLEST_READ, LARGEST_READ);
        self.read_size = self.read_size.min(self.most_read);
    }

    fn keep(&mut self, buffers: &Buffers, fresh: &[u8]) {
        if fresh.is_empty() {
            return;
        }
        if self.input.capacity() == 0 {
            self.input = buffers.lend();
        }
        // What was taken must not pile up in front of what never is.
        self.input.drain(..self.taken);
        self.taken = 0;
        self.input.extend_from_slice(fresh);
    }

    fn consume(&mut self, buffers: &Buffers, bytes: usize) {
        self.taken += bytes;
        if self.taken == self.input.len() {
            buffers.give_back(std::mem::take(&mut self.input));
            self.taken = 0;
        }
    }

    /// To be written with what comes next, or at the next flush.
    pub fn queue(&mut self, buffers: &Buffers, bytes: &[u8]) {
        self.put_together(buffers).extend_from_slice(bytes);
    }

    /// As [`queue`](Self::queue), for a message that is put together in place.
    pub fn put_together(&mut self, buffers: &Buffers) -> &mut Vec<u8> {
        if self.output.capacity() == 0 {
            self.output = buffers.lend();
        }
        &mut self.output
    }

    /// Writes `content` between what frames it. What is not taken at once is kept: the caller flushes before it brings
    /// more.
    pub fn write(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
        [before, content, after]: [&[u8]; 3],
    ) -> io::Result<()> {
        if content.len() <= FLAT || self.piped.is_some() {
            let output = self.put_together(buffers);
            output.reserve(before.len() + content.len() + after.len());
            for part in [before, content, after] {
                output.extend_from_slice(part);
            }
            return Ok(());
        }
        let head = &self.output[self.written..];
        let parts = [head, before, content, after];
        let slices = parts.map(IoSlice::new);
        let taken = match Pin::new(&mut self.stream).poll_write_vectored(cx, &slices) {
            Poll::Ready(taken) => taken?,
            Poll::Pending => 0,
        };
        self.sent += taken as u64;
        let of_head = taken.min(self.output.len() - self.written);
        self.written += of_head;
        self.forget_written(buffers);
        let mut taken = taken - of_head;
        for part in [before, content, after] {
            let of_part = taken.min(part.len());
            taken -= of_part;
            if of_part < part.len() {
                self.queue(buffers, &part[of_part..]);
            }
        }
        Ok(())
    }

    /// Writes what waits.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>, buffers: &Buffers) -> Poll<io::Result<()>> {
        if self.piped.is_some() {
            ready!(self.poll_drain(cx, buffers))?;
        }
        while self.written < self.output.len() {
            let rest = &self.output[self.written..];
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            self.sent += written as u64;
            self.written += written;
        }
        self.forget_written(buffers);
        match &mut self.stream {
            Stream::Plain(_) => Poll::Ready(Ok(())),
            // The session may hold records that the socket did not take.
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>, buffers: &Buffers) -> Poll<io::Result<()>> {
        while let Some(lent) = &mut self.piped {
            let drained = ready!(lent.pipe.poll_drain(cx, self.stream.tcp()))?;
            self.sent += drained as u64;
            if lent.pipe.is_empty()
                && let Some(lent) = self.piped.take()
            {
                buffers.give_back_pipe(lent);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn forget_written(&mut self, buffers: &Buffers) {
        if self.written < self.output.len() {
            return;
        }
        self.written = 0;
        buffers.give_back(std::mem::take(&mut self.output));
    }

    /// Says that nothing more will be sent.
    pub fn poll_shutdown(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx, buffers))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
