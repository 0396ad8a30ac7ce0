//! A response's content on its way to an HTTP/2 client, and the request's record, which is complete when it has gone out.

use std::io::ErrorKind;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::client::Http2Client;
use crate::access_log::Record;
use crate::forward::exchange::{Exchange, Patience};
use crate::forward::headers;
use crate::forward::pool::Pool;
use crate::gateway_error::GatewayError;
use crate::http1::{Decoder, Malformed};

/// What is handed to hyper at once, and so what it may hold of a body that its client does not take.
pub(super) const MOST_AT_ONCE: usize = 64 * 1024;

/// What the client gets, and the record that is complete when it has got it.
pub struct ResponseBody(Box<Parts>);

/// In a box: hyper moves it about.
struct Parts {
    source: Source,
    record: Record,
    /// A failure that the stream's reset has yet to tell.
    failed: Option<GatewayError>,
}

#[expect(clippy::large_enum_variant, reason = "in a box as a whole")]
enum Source {
    /// Until it has been handed over.
    Own(Option<Bytes>),
    Target(TargetBody),
}

/// A target's, with the exchange that it ends.
pub(super) struct TargetBody {
    pub content: Decoder,
    /// Until all has come.
    pub exchange: Option<Exchange>,
    pub client: Http2Client,
    pub pool: Rc<Pool>,
    pub idle_timeout: Duration,
    pub trailers: bool,
    /// To be sent at the end.
    pub last: Option<HeaderMap>,
    pub patience: Option<Patience>,
}

type Polled = Poll<Option<Result<Frame<Bytes>, GatewayError>>>;

impl ResponseBody {
    pub(super) fn own(content: Bytes, record: Record) -> Self {
        Self(Box::new(Parts {
            source: Source::Own(Some(content).filter(|content| !content.is_empty())),
            record,
            failed: None,
        }))
    }

    pub(super) fn target(mut body: TargetBody, record: Record) -> Self {
        if body.content.is_finished() {
            body.finish();
        }
        Self(Box::new(Parts {
            source: Source::Target(body),
            record,
            failed: None,
        }))
    }
}

impl TargetBody {
    fn is_end_stream(&self) -> bool {
        self.exchange.is_none() && self.last.is_none()
    }

    /// The response is whole.
    fn finish(&mut self) {
        self.last = self.trailers();
        if let Some(exchange) = self.exchange.take() {
            exchange.finish(&self.pool, self.idle_timeout);
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled {
        let Some(exchange) = &mut self.exchange else {
            return Poll::Ready(self.last.take().map(|last| Ok(Frame::trailers(last))));
        };
        if let Err(error) = exchange.poll_send(cx, &mut self.client) {
            return Poll::Ready(Some(Err(error)));
        }
        let content = &mut self.content;
        let buffers = &self.pool.buffers;
        let take = |_: &mut Context<'_>, input: &[u8]| take(content, input);
        match exchange.wire().poll_take(cx, buffers, take) {
            Poll::Ready(Ok(Ok(content))) => {
                if let Some(patience) = &mut self.patience {
                    patience.see(moved(exchange));
                }
                if self.content.is_finished() {
                    self.finish();
                }
                if !content.is_empty() {
                    return Poll::Ready(Some(Ok(Frame::data(content))));
                }
            }
            Poll::Ready(Ok(Err(_))) => {
                return Poll::Ready(Some(Err(GatewayError::TargetResponseIncomplete)));
            }
            Poll::Ready(Err(error)) => {
                let end = error.kind() == ErrorKind::UnexpectedEof;
                if !end || self.content.end_of_stream().is_err() {
                    return Poll::Ready(Some(Err(GatewayError::TargetResponseIncomplete)));
                }
                self.finish();
            }
            Poll::Pending => return self.poll_overdue(cx).map(|error| Some(Err(error))),
        }
        // Only framing came, and there may be more: this task is not woken for what is here already.
        self.poll_frame(cx)
    }

    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<GatewayError> {
        let Some(exchange) = &mut self.exchange else {
            return Poll::Pending;
        };
        let seen = moved(exchange);
        let patience = self
            .patience
            .get_or_insert_with(|| Patience::new(Instant::now(), seen));
        patience.see(seen);
        let stalled = GatewayError::TargetResponseStalled;
        let target = Some(&*exchange.target);
        patience.poll(cx, &mut self.client, target, self.idle_timeout, stalled)
    }

    fn trailers(&mut self) -> Option<HeaderMap> {
        let fields = self.content.take_trailers().filter(|_| self.trailers)?;
        Some(headers::header_map(&fields, |_, _| true))
    }
}

/// Of the response, and of what is left of the request.
fn moved(exchange: &mut Exchange) -> u64 {
    exchange.wire().received() + exchange.wire().sent()
}

/// The content that is here, in one piece, up to a bound.
fn take(decoder: &mut Decoder, input: &[u8]) -> (usize, Option<Result<Bytes, Malformed>>) {
    let mut taken = 0;
    let mut content = Vec::with_capacity(input.len().min(MOST_AT_ONCE));
    while taken < input.len() && content.len() < MOST_AT_ONCE && !decoder.is_finished() {
        let most = input.len().min(taken + MOST_AT_ONCE);
        match decoder.read(&input[taken..most]) {
            Ok(piece) if piece.consumed == 0 => break,
            Ok(piece) => {
                content.extend_from_slice(&input[taken..][piece.content]);
                taken += piece.consumed;
            }
            Err(malformed) => return (taken, Some(Err(malformed))),
        }
    }
    (taken, (taken > 0).then_some(Ok(content.into())))
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = GatewayError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        let this = &mut *self.0;
        if let Some(error) = this.failed.take() {
            this.record.fail(error);
            this.record.finish();
            return Poll::Ready(Some(Err(error)));
        }
        let polled = match &mut this.source {
            Source::Own(content) => {
                Poll::Ready(content.take().map(|content| Ok(Frame::data(content))))
            }
            Source::Target(body) => body.poll_frame(cx),
        };
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                this.record.sent(length);
            }
            Poll::Ready(Some(Err(error))) => {
                // A reset takes back what was not written yet: let the connection have its turn first.
                this.failed = Some(*error);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(None) => this.record.finish(),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.0.source {
            Source::Own(content) => content.is_none(),
            Source::Target(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let remaining = match &self.0.source {
            Source::Own(content) => Some(content.as_ref().map_or(0, Bytes::len) as u64),
            Source::Target(body) => body.content.remaining(),
        };
        remaining.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        // hyper does not poll a body that says it has ended.
        if self.is_end_stream() {
            self.0.record.finish();
        }
    }
}
