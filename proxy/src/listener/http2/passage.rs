//! A target's content on its way to an HTTP/2 client, and beside it what is left of the request: neither waits for the
//! other, for a target may answer while it reads.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderMap;
use tokio::time::Instant;

use super::client::Http2Client;
use crate::access_log::Record;
use crate::forward::client::Client as _;
use crate::forward::exchange::{Exchange, Patience};
use crate::forward::http2::Http2Exchange;
use crate::forward::pool::Pool;
use crate::gateway_error::GatewayError;
use crate::http1::{Decoder, Length, Malformed};
use crate::http2::Gone;
use crate::target_group::Target;

/// What is sent at once, and so what is kept here, beside what the stream keeps, of content that its client does not take.
const MOST_AT_ONCE: usize = 64 * 1024;

/// What is sent at first without a look at the client's window: it may lie with the stream, and be taken slowly.
const SHORT: usize = 16 * 1024;

/// What is left of an exchange once the response's head has gone to the client.
pub(super) trait Source {
    /// Goes on with the request, if there is more of it.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Http2Client,
    ) -> Result<(), GatewayError>;

    /// The next piece of content; empty only at the end.
    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, GatewayError>>;

    /// All of the content has come.
    fn is_over(&self) -> bool;

    fn take_trailers(&mut self) -> Option<HeaderMap>;

    /// Bytes, in both directions.
    fn moved(&mut self) -> u64;

    /// As long as it has to do with it.
    fn target(&self) -> Option<&Target>;
}

/// An exchange over HTTP/1.1.
pub(super) struct Http1Source<'a> {
    decoder: Decoder,
    /// Until all has come.
    exchange: Option<Exchange>,
    pool: &'a Rc<Pool>,
    idle_timeout: Duration,
}

pub(super) struct Passage<S> {
    source: S,
    /// The client takes trailers.
    trailers: bool,
    /// Content that waits until the client takes what was sent before.
    waiting: Option<Bytes>,
    /// Bytes of content that the stream was given.
    sent: u64,
    /// What it means when who is waited for now does nothing, and since when that is.
    patience: Option<(GatewayError, Patience)>,
    idle_timeout: Duration,
}

impl<S: Source> Passage<S> {
    pub(super) fn new(source: S, trailers: bool, idle_timeout: Duration) -> Self {
        Self {
            source,
            trailers,
            waiting: None,
            sent: 0,
            patience: None,
            idle_timeout,
        }
    }

    /// The head was all.
    pub(super) fn is_over(&self) -> bool {
        self.source.is_over()
    }

    /// To the end, of the content or of its client.
    pub(super) async fn run(
        &mut self,
        client: &mut Http2Client,
        record: &mut Record,
    ) -> Result<(), Gone> {
        if self.is_over() {
            return Ok(());
        }
        match poll_fn(|cx| self.poll(cx, client, record)).await {
            Ok(()) => Ok(()),
            Err(GatewayError::ClientClosed) => Err(Gone),
            Err(error) => {
                client.reset(error);
                record.fail(error);
                Ok(())
            }
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Http2Client,
        record: &mut Record,
    ) -> Poll<Result<(), GatewayError>> {
        if let Err(error) = self.source.poll_send(cx, client) {
            // A request's content may be missing because its client is.
            return Poll::Ready(Err(match client.poll_gone(cx) {
                Poll::Ready(gone) => gone,
                Poll::Pending => error,
            }));
        }
        loop {
            if self.waiting.is_none() {
                match self.source.poll_content(cx) {
                    Poll::Ready(content) => self.waiting = Some(content?),
                    Poll::Pending => {
                        let stalled = GatewayError::TargetResponseStalled;
                        return self.poll_overdue(cx, client, stalled).map(Err);
                    }
                }
            }
            let mut content = self.waiting.take().unwrap_or_default();
            // Most responses are short, and an end takes no room.
            if self.sent > 0 && !content.is_empty() || content.len() > SHORT {
                match client.poll_room(cx, content.len()) {
                    Poll::Ready(Ok(room)) if room < content.len() => {
                        self.waiting = Some(content.split_off(room));
                    }
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(Gone)) => return Poll::Ready(Err(GatewayError::ClientClosed)),
                    Poll::Pending => {
                        self.waiting = Some(content);
                        let stalled = GatewayError::ClientStalled;
                        return self.poll_overdue(cx, client, stalled).map(Err);
                    }
                }
            }
            self.sent += content.len() as u64;
            record.sent(content.len() as u64);
            let over = self.source.is_over() && self.waiting.is_none();
            let trailers = if over {
                self.source.take_trailers()
            } else {
                None
            };
            let trailers = trailers.filter(|_| self.trailers);
            let sent = client.send(content, over, trailers);
            sent.map_err(|Gone| GatewayError::ClientClosed)?;
            if over {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn poll_overdue(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Http2Client,
        overdue: GatewayError,
    ) -> Poll<GatewayError> {
        let seen = self.sent + self.source.moved();
        let patience = match &mut self.patience {
            Some((of, patience)) if *of == overdue => patience,
            // It is somebody else's turn.
            other => {
                &mut other
                    .insert((overdue, Patience::new(Instant::now(), seen)))
                    .1
            }
        };
        patience.see(seen);
        patience.poll(cx, client, self.source.target(), self.idle_timeout, overdue)
    }
}

impl<'a> Http1Source<'a> {
    pub(super) fn new(
        length: Length,
        mut exchange: Exchange,
        pool: &'a Rc<Pool>,
        idle_timeout: Duration,
    ) -> Self {
        exchange.wire().read_at_most(MOST_AT_ONCE);
        let mut source = Self {
            decoder: Decoder::new(length),
            exchange: Some(exchange),
            pool,
            idle_timeout,
        };
        source.finish_if_whole();
        source
    }

    /// Lets the target go as soon as all has come from it.
    fn finish_if_whole(&mut self) {
        if self.decoder.is_finished()
            && let Some(exchange) = self.exchange.take()
        {
            exchange.finish(self.pool, self.idle_timeout);
        }
    }
}

impl Source for Http1Source<'_> {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Http2Client,
    ) -> Result<(), GatewayError> {
        match &mut self.exchange {
            Some(exchange) => exchange.poll_send(cx, client),
            None => Ok(()),
        }
    }

    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, GatewayError>> {
        loop {
            let Some(exchange) = &mut self.exchange else {
                return Poll::Ready(Ok(Bytes::new()));
            };
            let decoder = &mut self.decoder;
            let take = |_: &mut Context<'_>, input: &[u8]| take(decoder, input);
            let taken = exchange.wire().poll_take(cx, &self.pool.buffers, take);
            let content = match ready!(taken) {
                Ok(Ok(content)) => content,
                Ok(Err(_)) => return Poll::Ready(Err(GatewayError::TargetResponseIncomplete)),
                Err(error) => {
                    let end = error.kind() == ErrorKind::UnexpectedEof;
                    if !end || self.decoder.end_of_stream().is_err() {
                        return Poll::Ready(Err(GatewayError::TargetResponseIncomplete));
                    }
                    Bytes::new()
                }
            };
            self.finish_if_whole();
            // Only framing may have come, and there may be more: the task is not woken for what is here already.
            if !content.is_empty() || self.decoder.is_finished() {
                return Poll::Ready(Ok(content));
            }
        }
    }

    fn is_over(&self) -> bool {
        self.decoder.is_finished()
    }

    fn take_trailers(&mut self) -> Option<HeaderMap> {
        let fields = self.decoder.take_trailers()?;
        Some(fields.into_header_map(|_, _| true))
    }

    fn moved(&mut self) -> u64 {
        let wire = self.exchange.as_mut().map(Exchange::wire);
        wire.map_or(0, |wire| wire.received() + wire.sent())
    }

    fn target(&self) -> Option<&Target> {
        self.exchange.as_ref().map(|exchange| &*exchange.target)
    }
}

impl Source for Box<Http2Exchange> {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut Http2Client,
    ) -> Result<(), GatewayError> {
        (**self).poll_send(cx, client)
    }

    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, GatewayError>> {
        (**self).poll_content(cx)
    }

    fn is_over(&self) -> bool {
        (**self).is_over()
    }

    fn take_trailers(&mut self) -> Option<HeaderMap> {
        (**self).take_trailers()
    }

    fn moved(&mut self) -> u64 {
        (**self).moved()
    }

    fn target(&self) -> Option<&Target> {
        Some(&self.target)
    }
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
