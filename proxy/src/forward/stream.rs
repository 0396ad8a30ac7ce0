//! What hyper is given of a TCP stream to a target: one that its pool can look at meanwhile ([`TargetStream`]), and that
//! leaves it to the reading side to say that the connection has ended ([`ReadsOn`]).

use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use lintel_common::metrics::GaugeGuard;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The lock is never contended: a worker's streams stay on its thread, and it is only there because an upgraded stream
/// must be `Send`.
#[derive(Debug)]
pub(super) struct TargetStream {
    stream: Arc<Mutex<TcpStream>>,
    /// Here, because an upgrade takes the stream along and is still a connection.
    _active: GaugeGuard,
}

/// Sees a stream without keeping it open.
#[derive(Debug)]
pub(super) struct Watcher(Weak<Mutex<TcpStream>>);

impl TargetStream {
    pub(super) fn new(stream: TcpStream, active: GaugeGuard) -> Self {
        Self {
            stream: Arc::new(Mutex::new(stream)),
            _active: active,
        }
    }

    pub(super) fn watcher(&self) -> Watcher {
        Watcher(Arc::downgrade(&self.stream))
    }

    fn lock(&self) -> MutexGuard<'_, TcpStream> {
        lock(&self.stream)
    }
}

impl Watcher {
    /// Whether the stream is open and nothing has come that nobody asked for: no end, no reset, not one byte. This asks
    /// the kernel: the runtime may not have heard of it yet.
    pub(super) fn is_quiet(&self) -> bool {
        let Some(stream) = self.0.upgrade() else {
            return false;
        };
        let mut byte = [MaybeUninit::uninit()];
        let peeked = SockRef::from(&*lock(&stream)).peek(&mut byte);
        matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}

fn lock(stream: &Mutex<TcpStream>) -> MutexGuard<'_, TcpStream> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AsyncRead for TargetStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_read(cx, buffer)
    }
}

impl AsyncWrite for TargetStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.lock().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_shutdown(cx)
    }
}

/// A target may answer, refuse the rest of the request and close: the answer is there to be read, but hyper would stop at
/// the failed write. So a write that fails is swallowed, and what the read says counts.
#[derive(Debug)]
pub(super) struct ReadsOn<S>(S);

impl<S> ReadsOn<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(stream)
    }
}

fn swallow<T>(result: Poll<io::Result<T>>, pretended: T) -> Poll<io::Result<T>> {
    match result {
        Poll::Ready(Err(error)) if is_closed(&error) => Poll::Ready(Ok(pretended)),
        result => result,
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::NotConnected
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadsOn<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadsOn<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        swallow(Pin::new(&mut self.0).poll_write(cx, buffer), buffer.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = buffers.iter().map(|buffer| buffer.len()).sum();
        swallow(
            Pin::new(&mut self.0).poll_write_vectored(cx, buffers),
            length,
        )
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        swallow(Pin::new(&mut self.0).poll_flush(cx), ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        swallow(Pin::new(&mut self.0).poll_shutdown(cx), ())
    }
}
