//! A pipe of the kernel's: content goes through it from one socket to another without being copied into this process and
//! out again. Not here: when that pays (a [`transfer`](super::transfer) knows) and how many of them there may be
//! ([`Buffers`](super::buffers::Buffers)).

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Bytes that go through it in one step at most. Packets on a machine's own network have 64 KiB: with any number from 80 to
/// 124 KiB a step never ends with one, and content costs a quarter less than in steps of 64, 128, 192 or 256 KiB.
pub(super) const CAPACITY: usize = 112 * 1024;

#[derive(Debug)]
pub(super) struct Pipe {
    outlet: OwnedFd,
    inlet: OwnedFd,
    filled: usize,
}

impl Pipe {
    pub(super) fn new() -> io::Result<Self> {
        let (outlet, inlet) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Who may not have more of them at this size (fs.pipe-user-pages-soft) has smaller ones.
        let _ = fcntl_setpipe_size(&inlet, CAPACITY);
        Ok(Self {
            outlet,
            inlet,
            filled: 0,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Takes up to `most` bytes out of a socket; nothing of it is its end. It must be empty: one that is full could not
    /// be told from a socket that has nothing.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        debug_assert!(self.is_empty());
        loop {
            ready!(from.poll_read_ready(cx))?;
            let taken = from.try_io(Interest::READABLE, || {
                Ok(splice(from, None, &self.inlet, None, most, FLAGS)?)
            });
            match taken {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                taken => {
                    self.filled = *taken.as_ref().unwrap_or(&0);
                    return Poll::Ready(taken);
                }
            }
        }
    }

    /// Gives some of what it holds to a socket.
    pub(super) fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        to: &TcpStream,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(to.poll_write_ready(cx))?;
            let given = to.try_io(Interest::WRITABLE, || {
                Ok(splice(&self.outlet, None, to, None, self.filled, FLAGS)?)
            });
            match given {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                given => {
                    self.filled -= *given.as_ref().unwrap_or(&0);
                    return Poll::Ready(given);
                }
            }
        }
    }
}

const FLAGS: SpliceFlags = SpliceFlags::NONBLOCK.union(SpliceFlags::MOVE);

/// Not a broken connection: a kernel, or what guards it, that knows no such thing.
pub(super) fn is_refused(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidInput | ErrorKind::Unsupported | ErrorKind::PermissionDenied
    )
}
