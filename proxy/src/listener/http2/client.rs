//! The client's side of an exchange over HTTP/2: one stream of a connection, in both directions. A server that stops ends
//! the connection, and the stream with it: that is not looked for here.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::HeaderMap;
use lintel_common::server::{Connection, Ongoing};
use tokio::time::Instant;

use crate::forward::client::{Client, Http2Stream};
use crate::forward::headers;
use crate::gateway_error::GatewayError;
use crate::http1::buffers::Buffers;
use crate::http1::transfer::{Broken, Framing};
use crate::http1::wait::Timer;
use crate::http1::wire::Wire;
use crate::http1::{Fields, Length, Name, RequestHead, ResponseHead};
use crate::http2::{Gone, Key, Reason, Session};

pub(super) struct Http2Client {
    session: Rc<RefCell<Session>>,
    stream: Key,
    /// Until it has left.
    ongoing: Option<Ongoing>,
    framing: Framing,
    relays_trailers: bool,
    /// Sends the body when it gets the word.
    waits: bool,
    taken: bool,
    /// Nothing more comes of the body.
    ended: bool,
    received: u64,
    connection: Rc<Connection>,
    buffers: Rc<Buffers>,
    timer: Timer,
}

impl Http2Client {
    /// `over`: the head is all of the request.
    pub(super) fn new(
        session: Rc<RefCell<Session>>,
        stream: Key,
        over: bool,
        head: &RequestHead,
        connection: Rc<Connection>,
        buffers: Rc<Buffers>,
    ) -> Self {
        Self {
            session,
            stream,
            ongoing: Some(connection.begin()),
            framing: Framing::of(head.length(), headers::offers_trailers(head.fields())),
            relays_trailers: true,
            waits: !over && head.fields().has_token(Name::Expect, "100-continue"),
            taken: false,
            ended: over || head.length() == Length::Empty,
            received: 0,
            connection,
            buffers,
            timer: Timer::default(),
        }
    }

    /// Those of the request are not for the target.
    pub(super) fn keep_trailers(&mut self, head: &RequestHead) {
        self.framing = Framing::of(head.length(), false);
        self.relays_trailers = false;
    }

    /// Lends it one that has been used, or takes that back.
    pub(super) fn swap_timer(&mut self, timer: &mut Timer) {
        std::mem::swap(&mut self.timer, timer);
    }

    /// Bytes of the body so far.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Whether its client has gone before anything was done.
    pub(super) fn is_gone(&self) -> bool {
        self.session.borrow_mut().is_gone(self.stream)
    }

    /// Sends the response's head with the fields that `fields` names. `over`: there is no more of it. How many bytes of
    /// fields that are, as HTTP/1.1 would write them.
    pub(super) fn answer(
        &mut self,
        status: u16,
        over: bool,
        fields: impl FnOnce(&mut dyn FnMut(&[u8], &[u8])),
    ) -> Result<usize, Gone> {
        if let Some(ongoing) = &mut self.ongoing {
            ongoing.answered();
        }
        let mut size = 0;
        let mut session = self.session.borrow_mut();
        session.send_head(self.stream, status, over, |encoder, out| {
            fields(&mut |name, value| {
                size += name.len() + value.len() + ": \r\n".len();
                encoder.field(name, value, out);
            });
        })?;
        Ok(size)
    }

    /// Ready with how many bytes the client takes soon, of so many that are wanted: no more of them come to lie here.
    pub(super) fn poll_room(
        &mut self,
        cx: &mut Context<'_>,
        wanted: usize,
    ) -> Poll<Result<usize, Gone>> {
        let mut session = self.session.borrow_mut();
        session.poll_room(cx, self.stream, wanted)
    }

    /// Sends a piece of the response, `over` the last one. What its client does not take yet lies here.
    pub(super) fn send(
        &mut self,
        piece: Bytes,
        over: bool,
        trailers: Option<HeaderMap>,
    ) -> Result<(), Gone> {
        self.connection.moved();
        let mut session = self.session.borrow_mut();
        session.send(self.stream, piece, over, trailers)
    }

    /// Ends a response that cannot come to its end.
    pub(super) fn reset(&mut self, error: GatewayError) {
        let reason = match error {
            GatewayError::ClientStalled => Reason::Cancel,
            _ => Reason::InternalError,
        };
        self.session.borrow_mut().abort(self.stream, reason);
    }

    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Vec<u8>>>> {
        self.session.borrow_mut().poll_content(cx, self.stream)
    }

    fn take_trailers(&mut self) -> Result<Option<Fields>, Broken> {
        let trailers = self.session.borrow_mut().take_trailers(self.stream);
        let trailers = trailers.map_err(Broken::Malformed)?;
        Ok(trailers.filter(|_| self.relays_trailers))
    }

    fn pass_on(&mut self, cx: &mut Context<'_>, content: &[u8], to: &mut Wire) -> io::Result<()> {
        self.framing.write(cx, &self.buffers, content, to)?;
        self.release(content.len());
        Ok(())
    }
}

impl Drop for Http2Client {
    fn drop(&mut self) {
        if let Some(ongoing) = self.ongoing.take() {
            self.session.borrow_mut().leave(self.stream, ongoing);
        }
    }
}

impl Client for Http2Client {
    fn poll_send(&mut self, cx: &mut Context<'_>, to: &mut Wire) -> Poll<Result<(), Broken>> {
        loop {
            ready!(to.poll_flush(cx, &self.buffers)).map_err(Broken::Sink)?;
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            match ready!(self.poll_content(cx)) {
                Some(Ok(content)) => {
                    self.taken = true;
                    self.pass_on(cx, &content, to).map_err(Broken::Sink)?;
                    self.buffers.give_back(content);
                }
                Some(Err(error)) => return Poll::Ready(Err(Broken::Source(error))),
                None => {
                    let trailers = self.take_trailers()?;
                    self.ended = true;
                    // The end of chunks cannot be written twice.
                    self.taken |= self.framing != Framing::Plain;
                    self.framing.end(&self.buffers, trailers.as_ref(), to);
                }
            }
        }
    }

    fn is_untouched(&self) -> bool {
        !self.taken
    }

    fn proceed(&mut self) {
        if std::mem::take(&mut self.waits) {
            let mut session = self.session.borrow_mut();
            // Of a client that has gone the body's end tells.
            let _ = session.send_head(self.stream, 100, false, |_, _| {});
        }
    }

    fn interim(&mut self, _cx: &mut Context<'_>, head: &ResponseHead) {
        let mut session = self.session.borrow_mut();
        let _ = session.send_head(self.stream, head.status(), false, |encoder, out| {
            headers::to_http2_client(head, false, &[], |name, value| {
                encoder.field(name, value, out);
            });
        });
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<GatewayError> {
        let gone = self.session.borrow_mut().poll_gone(cx, self.stream);
        gone.map(|()| GatewayError::ClientClosed)
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        self.timer.poll_until(cx, at)
    }

    fn http2(&mut self) -> Option<&mut dyn Http2Stream> {
        Some(self)
    }
}

impl Http2Stream for Http2Client {
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<(Bytes, bool), Broken>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let data = ready!(self.poll_content(cx));
        if data.is_some() {
            self.taken = true;
        }
        self.ended = data.is_none() || self.session.borrow_mut().is_taken(self.stream);
        let last = self.ended;
        let copied = |data: Vec<u8>| {
            // The buffer is lent, and may be much larger than what is in it.
            let copy = Bytes::copy_from_slice(&data);
            self.buffers.give_back(data);
            (copy, last)
        };
        Poll::Ready(data.map(|data| data.map(copied).map_err(Broken::Source)))
    }

    /// Held to what HTTP/1.1 lets pass.
    fn trailers(&mut self) -> Result<Option<Fields>, Broken> {
        let trailers = self.take_trailers()?;
        self.taken |= trailers.is_some();
        Ok(trailers)
    }

    fn release(&mut self, bytes: usize) {
        self.received += bytes as u64;
        self.connection.moved();
        self.session.borrow_mut().release(self.stream, bytes);
    }
}
