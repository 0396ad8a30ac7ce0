//! A client's HTTP/1.1 connection as one task sees it: the next request's head, its body on the way to a target, the
//! response on the way back, the end. What is said in a response is decided elsewhere.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Version;
use lintel_common::server::Options;
use lintel_common::stream::Stream;
use tokio::time::Instant;

use crate::forward::client::{Client, Http2Stream};
use crate::forward::exchange::{Exchange, Patience};
use crate::forward::headers::{self, SetField, ToClient};
use crate::gateway_error::GatewayError;
use crate::http1::buffers::{Buffers, LARGEST_READ};
use crate::http1::transfer::{Broken, Framing, Transfer};
use crate::http1::wait::{StopWatch, Timer};
use crate::http1::wire::Wire;
use crate::http1::{Decoder, Length, Malformed, RequestHead, ResponseHead};

/// A client may have said that it sends no more and still read. Whether it does cannot be known without sending; one
/// whose answer takes longer than this is taken for gone, as most are.
const HALF_CLOSED: Duration = Duration::from_millis(500);

/// As [`HALF_CLOSED`], for a pause in the middle of a response whose client has taken all that there was.
const HALF_CLOSED_PAUSE: Duration = Duration::from_secs(5);

/// When a connection is closed under a client that still sends, what it sends is read and forgotten for so long, so that
/// the answer reaches it: a close at once would reset the connection, and with it what is on the way.
const LINGER: Duration = Duration::from_secs(30);

/// As [`LINGER`], while nothing comes.
const LINGER_SILENT: Duration = Duration::from_secs(5);

/// Of a body that no target gets, so much is read to keep the connection.
const MOST_SKIPPED: u64 = 64 * 1024;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What comes next on a connection.
#[derive(Debug)]
pub(super) enum Next {
    Request(RequestHead),
    /// What came is no request.
    Unreadable(Malformed),
    /// A head was begun and not finished in time.
    Overdue,
    /// Nothing more.
    End,
}

#[derive(Debug)]
pub(super) struct ClientConnection {
    pub(super) wire: Wire,
    pub(super) buffers: Rc<Buffers>,
    pub(super) stop: StopWatch,
    timer: Timer,
    options: Rc<Options>,
    upload: Upload,
    /// Until when a half-closed client is believed to wait.
    half_closed: Option<Instant>,
    /// The response has begun.
    answering: bool,
}

/// The request's body.
#[derive(Debug)]
struct Upload {
    transfer: Transfer,
    /// The client waits for the word to send it.
    expects_continue: bool,
    /// The client knows interim responses.
    interim: bool,
}

impl ClientConnection {
    pub(super) fn new(
        stream: Stream,
        buffers: Rc<Buffers>,
        options: Rc<Options>,
        stop: StopWatch,
    ) -> Self {
        Self {
            wire: Wire::new(stream),
            buffers,
            stop,
            timer: Timer::default(),
            options,
            upload: Upload::none(),
            half_closed: None,
            answering: false,
        }
    }

    /// Waits for a request's head. Without one the connection ends: at `idle_timeout`, or, when the server is to stop,
    /// after a last chance.
    pub(super) async fn next(&mut self) -> Next {
        let since = Instant::now();
        let mut head_since = is_begun(self.wire.input()).then_some(since);
        let mut stopping = None;
        poll_fn(|cx| {
            let read = |_: &mut Context<'_>, input: &[u8]| match RequestHead::read(input) {
                Ok(Some((head, length))) => (length, Some(Next::Request(head))),
                Ok(None) => (0, None),
                Err(malformed) => (0, Some(Next::Unreadable(malformed))),
            };
            if let Poll::Ready(next) = self.wire.poll_take_head(cx, &self.buffers, read) {
                return Poll::Ready(next.unwrap_or(Next::End));
            }
            self.stop.watch(cx);
            if self.stop.is_expired() {
                return Poll::Ready(Next::End);
            }
            if is_begun(self.wire.input()) {
                let since = *head_since.get_or_insert_with(Instant::now);
                let overdue = since + self.options.request_header_timeout;
                return self.timer.poll_until(cx, overdue).map(|()| Next::Overdue);
            }
            let mut until = since + self.options.idle_timeout;
            if self.stop.is_requested() {
                let grace = self.options.drain_grace;
                until = until.min(*stopping.get_or_insert_with(|| Instant::now() + grace));
            }
            self.timer.poll_until(cx, until).map(|()| Next::End)
        })
        .await
    }

    /// The body of this request is what comes next. `trailers`: they are passed on where they are offered.
    pub(super) fn begin(&mut self, head: &RequestHead, trailers: bool) {
        let trailers = trailers && headers::offers_trailers(head.fields());
        let framing = Framing::of(head.length(), trailers);
        self.half_closed = None;
        self.answering = false;
        self.upload = Upload {
            transfer: Transfer::new(Decoder::new(head.length()), framing),
            expects_continue: head.expects_continue(),
            interim: head.version() >= Version::HTTP_11,
        };
    }

    /// The request has come to its end, and what follows is another one.
    pub(super) fn has_whole_request(&self) -> bool {
        self.upload.transfer.is_read()
    }

    /// Bytes of the request's content so far.
    pub(super) fn content_received(&self) -> u64 {
        self.upload.transfer.moved()
    }

    /// Takes what has come of a body that nobody gets, up to a bound.
    pub(super) async fn skip_body(&mut self) {
        poll_fn(|cx| {
            while !self.has_whole_request() && self.upload.transfer.moved() < MOST_SKIPPED {
                match self
                    .upload
                    .transfer
                    .poll_skip(cx, &self.buffers, &mut self.wire)
                {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) | Poll::Pending => break,
                }
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Sends what was put together on the wire.
    pub(super) async fn flush(&mut self) -> Result<(), GatewayError> {
        let mut patience = Patience::new(Instant::now(), self.wire.sent());
        poll_fn(|cx| {
            if let Poll::Ready(flushed) = self.wire.poll_flush(cx, &self.buffers) {
                return Poll::Ready(flushed.map_err(|_| GatewayError::ClientClosed));
            }
            patience.see(self.wire.sent());
            let timeout = self.options.idle_timeout;
            patience
                .poll(cx, self, None, timeout, GatewayError::ClientStalled)
                .map(Err)
        })
        .await
    }

    /// Moves a target's response to the client, and what is still to come of the request to the target.
    pub(super) async fn relay(
        &mut self,
        head: &ResponseHead,
        exchange: &mut Exchange,
        how: &ToClient,
        set: &[SetField],
    ) -> Result<(), GatewayError> {
        let buffers = Rc::clone(&self.buffers);
        exchange.wire().read_at_most(LARGEST_READ);
        self.answering = true;
        // It has waited for the head; from here on it waits anew.
        self.half_closed = None;
        headers::to_client(head, how, set, self.wire.put_together(&buffers));
        let framing = if how.chunked {
            Framing::Chunked {
                trailers: how.trailers,
            }
        } else {
            Framing::Plain
        };
        let mut content = Transfer::new(Decoder::new(head.length()), framing);
        let mut patience: Option<Patience> = None;
        poll_fn(|cx| {
            exchange.poll_send(cx, self)?;
            match content.poll(cx, &buffers, exchange.wire(), &mut self.wire) {
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(Broken::Sink(_))) => {
                    return Poll::Ready(Err(GatewayError::ClientClosed));
                }
                Poll::Ready(Err(error)) => {
                    tracing::debug!(?error, target = %exchange.target.address(), "response broke off");
                    return Poll::Ready(Err(GatewayError::TargetResponseIncomplete));
                }
                Poll::Pending => {}
            }
            let target = exchange.wire();
            let moved = [
                self.wire.sent(),
                target.received(),
                self.wire.received(),
                target.sent(),
            ];
            let seen = moved.iter().sum();
            let patience = patience.get_or_insert_with(|| Patience::new(Instant::now(), seen));
            if patience.see(seen) {
                self.half_closed = None;
            }
            let overdue = if self.wire.is_blocked() {
                GatewayError::ClientStalled
            } else {
                GatewayError::TargetResponseStalled
            };
            let timeout = self.options.idle_timeout;
            let target = Some(&*exchange.target);
            patience.poll(cx, self, target, timeout, overdue).map(Err)
        })
        .await
    }

    /// Ends the connection so that the client gets what was sent.
    pub(super) async fn close(mut self) {
        let still_sending = !self.has_whole_request() || self.wire.has_input();
        let mut last = Instant::now() + LINGER;
        let mut stopping = false;
        let mut seen = self.wire.received();
        let mut until = Instant::now() + LINGER_SILENT;
        let mut shut_down = false;
        poll_fn(|cx| {
            self.stop.watch(cx);
            if self.stop.is_expired() {
                return Poll::Ready(());
            }
            if self.stop.is_requested() && !std::mem::replace(&mut stopping, true) {
                last = last.min(Instant::now() + self.options.drain_grace);
            }
            if !shut_down {
                match self.wire.poll_shutdown(cx, &self.buffers) {
                    Poll::Ready(Ok(())) => shut_down = true,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => return self.timer.poll_until(cx, until.min(last)),
                }
            }
            if !still_sending || self.wire.poll_discard(cx, &self.buffers).is_ready() {
                return Poll::Ready(());
            }
            if self.wire.received() != seen {
                seen = self.wire.received();
                until = Instant::now() + LINGER_SILENT;
            }
            self.timer.poll_until(cx, until.min(last))
        })
        .await;
    }
}

/// An empty line is no beginning of a head: some clients send one behind a body.
fn is_begun(input: &[u8]) -> bool {
    !matches!(input, b"" | b"\r" | b"\r\n")
}

impl Upload {
    /// Of a connection without a request.
    fn none() -> Self {
        Self {
            transfer: Transfer::new(Decoder::new(Length::Empty), Framing::Plain),
            expects_continue: false,
            interim: false,
        }
    }
}

impl Client for ClientConnection {
    fn poll_send(&mut self, cx: &mut Context<'_>, to: &mut Wire) -> Poll<Result<(), Broken>> {
        let Self {
            wire,
            buffers,
            upload,
            ..
        } = self;
        upload.transfer.poll(cx, buffers, wire, to)
    }

    fn is_untouched(&self) -> bool {
        self.upload.transfer.is_untouched()
    }

    fn proceed(&mut self) {
        // One that has begun to send needs no telling.
        if std::mem::take(&mut self.upload.expects_continue) && !self.wire.has_input() {
            self.wire.queue(&self.buffers, CONTINUE);
        }
    }

    fn interim(&mut self, cx: &mut Context<'_>, head: &ResponseHead) {
        if self.upload.interim {
            let how = ToClient::default();
            headers::to_client(head, &how, &[], self.wire.put_together(&self.buffers));
            // If it cannot go now, it goes with what follows.
            let _ = self.wire.poll_flush(cx, &self.buffers);
        }
    }

    fn http2(&mut self) -> Option<&mut dyn Http2Stream> {
        None
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<GatewayError> {
        self.stop.watch(cx);
        if self.stop.is_expired() {
            return Poll::Ready(GatewayError::Shutdown);
        }
        if self.wire.is_blocked()
            && let Poll::Ready(Err(_)) = self.wire.poll_flush(cx, &self.buffers)
        {
            return Poll::Ready(GatewayError::ClientClosed);
        }
        if !self.has_whole_request() {
            // Whoever takes its body sees its end; here it may be that nobody does.
            return match self.wire.is_reset(cx) {
                true if self.answering => Poll::Ready(GatewayError::ClientClosed),
                true => Poll::Ready(GatewayError::RequestBodyIncomplete),
                false => Poll::Pending,
            };
        }
        if ready!(self.wire.poll_ended(cx, &self.buffers)).is_err() {
            return Poll::Ready(GatewayError::ClientClosed);
        }
        if self.wire.is_blocked() {
            // One that is really gone answers what it gets with a reset, which writing sees.
            self.half_closed = None;
            return Poll::Pending;
        }
        let wait = if self.answering {
            HALF_CLOSED_PAUSE
        } else {
            HALF_CLOSED
        };
        let until = *self
            .half_closed
            .get_or_insert_with(|| Instant::now() + wait);
        let waited = self.timer.poll_until(cx, until);
        waited.map(|()| GatewayError::ClientClosed)
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        self.timer.poll_until(cx, at)
    }
}
