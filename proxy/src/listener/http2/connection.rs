//! Between a client's socket and its session: reads, writes, and hands the requests that come to those who answer them.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use lintel_common::server::{Calls, Connection, Options, WatchedStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::Listener;
use crate::http1::buffers::Buffers;
use crate::http2::Session;
use crate::http2::session::Limits;

/// What one read may bring: TLS gives a record at a time.
const READ: usize = 16 * 1024;

/// Until the client has gone, or was told by the last call that no more is taken and has got its answers.
pub(in crate::listener) async fn drive(
    listener: Rc<Listener>,
    stream: &mut WatchedStream,
    connection: &Rc<Connection>,
    options: &Options,
    calls: &Calls,
) {
    let limits = Limits {
        concurrent_streams: options.max_concurrent_streams,
        // A head that is too large for a target can still be answered and logged.
        header_list: 2 * options.max_head_size,
    };
    let session = Session::new(limits, Rc::clone(&listener.pool.buffers));
    let mut driver = Driver {
        session: Rc::new(RefCell::new(session)),
        listener,
        stream,
        connection,
        options,
        calls,
    };
    let ended = poll_fn(|cx| driver.poll(cx)).await;
    if let Err(error) = ended {
        tracing::debug!(%error, peer = %connection.peer, "an HTTP/2 connection broke off");
    }
}

struct Driver<'a> {
    session: Rc<RefCell<Session>>,
    listener: Rc<Listener>,
    stream: &'a mut WatchedStream,
    connection: &'a Rc<Connection>,
    options: &'a Options,
    calls: &'a Calls,
}

impl Driver<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session.borrow_mut().rouse();
        let ended = self.poll_until_blocked(cx);
        if ended.is_pending() {
            self.session.borrow_mut().rest(cx);
        }
        ended
    }

    fn poll_until_blocked(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let buffers = Rc::clone(&self.listener.pool.buffers);
        loop {
            self.hear_calls();
            let written = self.poll_write(cx)?;
            let mut session = self.session.borrow_mut();
            if session.is_over() && session.unwritten().is_empty() {
                drop(session);
                return written.map(Ok);
            }
            if !session.may_receive() {
                return Poll::Pending;
            }
            if ready!(poll_read(self.stream, cx, &buffers, &mut session))? == 0 {
                return Poll::Ready(Ok(()));
            }
            drop(session);
            self.take_requests();
        }
    }

    /// What the connection's age, the number of its requests and the server's stop mean for its client.
    fn hear_calls(&self) {
        let most = self.options.max_http2_requests;
        if most.is_some_and(|most| self.connection.requests() >= most) {
            // Those under way are answered, and those that its client sends before it hears of this.
            self.calls.last.set(true);
        }
        if self.calls.last.get() {
            self.session.borrow_mut().say_goodbye();
        }
    }

    /// Ready when everything was written.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        let mut session = self.session.borrow_mut();
        while !session.unwritten().is_empty() {
            match Pin::new(&mut *self.stream).poll_write(cx, session.unwritten())? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(bytes) => session.wrote(bytes),
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
        // The TLS session may hold records that the socket did not take.
        match Pin::new(&mut *self.stream).poll_flush(cx)? {
            Poll::Ready(()) => Ok(Poll::Ready(())),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    fn take_requests(&self) {
        loop {
            let Some(incoming) = self.session.borrow_mut().next_request() else {
                return;
            };
            if self.calls.old.get() {
                // One more is taken, as over HTTP/1.1.
                self.calls.last.set(true);
            }
            let listener = Rc::clone(&self.listener);
            listener.respond_http2(incoming, &self.session, self.connection);
        }
    }
}

impl Drop for Driver<'_> {
    fn drop(&mut self) {
        self.session.borrow_mut().end();
    }
}

/// Reads once; how much came.
fn poll_read(
    stream: &mut WatchedStream,
    cx: &mut Context<'_>,
    buffers: &Buffers,
    session: &mut Session,
) -> Poll<io::Result<usize>> {
    let mut buffer = buffers.for_reading();
    let mut space = ReadBuf::new(buffer.get_mut(..READ).unwrap_or_default());
    ready!(Pin::new(stream).poll_read(cx, &mut space))?;
    session.receive(space.filled());
    Poll::Ready(Ok(space.filled().len()))
}
