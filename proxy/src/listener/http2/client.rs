//! The client's side of an exchange over HTTP/2: one stream of a connection, in both directions. A server that stops ends
//! the connection, and the stream with it: that is not looked for here.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use http::{Response, StatusCode, request};
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

pub(super) struct Http2Client {
    body: RecvStream,
    answer: SendResponse<Bytes>,
    /// Once the response's head is out.
    content: Option<SendStream<Bytes>>,
    ongoing: Ongoing,
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

/// Of a response. The exchange goes on until the client has got it, which is later than it was sent.
struct Piece {
    piece: Bytes,
    _ongoing: Ongoing,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}

/// Nobody is there any more who could be answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gone;

/// How long the body is, as HTTP/1.1 says it.
pub(super) fn length(parts: &request::Parts, body: &RecvStream) -> Result<Length, GatewayError> {
    let mut lengths = parts.headers.get_all(CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) if body.is_end_stream() => Ok(Length::Empty),
        (None, _) => Ok(Length::Chunked),
        (Some(length), None) => {
            let digits = length.to_str().unwrap_or_default();
            let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            match digits.parse() {
                Ok(length) if all_digits => Ok(Length::Known(length)),
                _ => Err(GatewayError::MalformedRequest),
            }
        }
        (Some(_), Some(_)) => Err(GatewayError::MalformedRequest),
    }
}

/// Whether a value begins or ends with a blank, which h2 lets pass and RFC 9113 8.2.1 does not.
pub(super) fn has_padded_value(headers: &HeaderMap) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    headers
        .values()
        .map(HeaderValue::as_bytes)
        .any(|value| is_blank(value.first()) || is_blank(value.last()))
}

impl Http2Client {
    pub(super) fn new(
        body: RecvStream,
        answer: SendResponse<Bytes>,
        ongoing: Ongoing,
        head: &RequestHead,
        connection: Rc<Connection>,
        buffers: Rc<Buffers>,
    ) -> Self {
        let ended = match head.length() {
            Length::Chunked => false,
            Length::Empty => true,
            Length::Known(_) | Length::UntilClose => body.is_end_stream(),
        };
        Self {
            body,
            answer,
            content: None,
            ongoing,
            framing: Framing::of(head.length(), headers::offers_trailers(head.fields())),
            relays_trailers: true,
            waits: !ended && head.fields().has_token(Name::Expect, "100-continue"),
            taken: false,
            ended,
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

    /// Sends the response's head. `over`: there is no more of it.
    pub(super) fn answer(
        &mut self,
        status: u16,
        headers: HeaderMap,
        over: bool,
    ) -> Result<(), Gone> {
        self.ongoing.answered();
        match self.answer.send_response(response(status, headers), over) {
            Ok(content) => {
                self.content = Some(content);
                Ok(())
            }
            Err(error) => {
                tracing::debug!(%error, "a response that cannot be sent");
                self.answer.send_reset(Reason::INTERNAL_ERROR);
                Err(Gone)
            }
        }
    }

    /// Ready with how many bytes the client takes soon, of so many that are wanted: no more of them come to lie here.
    pub(super) fn poll_room(
        &mut self,
        cx: &mut Context<'_>,
        wanted: usize,
    ) -> Poll<Result<usize, Gone>> {
        let Some(content) = &mut self.content else {
            return Poll::Ready(Err(Gone));
        };
        content.reserve_capacity(wanted);
        while content.capacity() == 0 {
            match ready!(content.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                _ => return Poll::Ready(Err(Gone)),
            }
        }
        Poll::Ready(Ok(content.capacity()))
    }

    /// Sends a piece of the response, `over` the last one. What its client does not take yet lies here.
    pub(super) fn send(
        &mut self,
        piece: Bytes,
        over: bool,
        trailers: Option<HeaderMap>,
    ) -> Result<(), Gone> {
        self.connection.moved();
        let content = self.content.as_mut().ok_or(Gone)?;
        let last = over && trailers.is_none();
        if last || !piece.is_empty() {
            let piece = Piece {
                piece,
                _ongoing: self.ongoing.share(),
            };
            let sent = content.send_data(Bytes::from_owner(piece), last);
            sent.map_err(|_| Gone)?;
        }
        match trailers {
            Some(trailers) => content.send_trailers(trailers).map_err(|_| Gone),
            None => Ok(()),
        }
    }

    /// Ends a response that cannot come to its end.
    pub(super) fn reset(&mut self, error: GatewayError) {
        self.answer.send_reset(match error {
            GatewayError::ClientStalled => Reason::CANCEL,
            _ => Reason::INTERNAL_ERROR,
        });
    }

    fn pass_on(&mut self, cx: &mut Context<'_>, content: &[u8], to: &mut Wire) -> io::Result<()> {
        self.taken = true;
        self.received += content.len() as u64;
        self.connection.moved();
        self.framing.write(cx, &self.buffers, content, to)?;
        // A stream that has ended needs no room.
        let _ = self.body.flow_control().release_capacity(content.len());
        Ok(())
    }
}

impl Client for Http2Client {
    fn poll_send(&mut self, cx: &mut Context<'_>, to: &mut Wire) -> Poll<Result<(), Broken>> {
        loop {
            ready!(to.poll_flush(cx, &self.buffers)).map_err(Broken::Sink)?;
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            match ready!(self.body.poll_data(cx)) {
                Some(Ok(content)) => self.pass_on(cx, &content, to).map_err(Broken::Sink)?,
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                None => {
                    let trailers = ready!(self.poll_trailers(cx))?;
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
            let word = response(StatusCode::CONTINUE.as_u16(), HeaderMap::new());
            // Of a client that has gone the body's end tells.
            let _ = self.answer.send_informational(word);
        }
    }

    fn interim(&mut self, _cx: &mut Context<'_>, head: &ResponseHead) {
        let interim = response(
            head.status(),
            headers::to_http2_client(head.clone(), false, &[]),
        );
        let _ = self.answer.send_informational(interim);
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<GatewayError> {
        let reset = match &mut self.content {
            None => self.answer.poll_reset(cx),
            Some(content) => content.poll_reset(cx),
        };
        reset.map(|_| GatewayError::ClientClosed)
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
        let data = ready!(self.body.poll_data(cx));
        if data.is_some() {
            self.taken = true;
        }
        self.ended = data.is_none() || self.body.is_end_stream();
        let last = self.ended;
        Poll::Ready(data.map(|data| data.map(|data| (data, last)).map_err(broken)))
    }

    /// Held to what HTTP/1.1 lets pass.
    fn poll_trailers(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Fields>, Broken>> {
        let trailers = ready!(self.body.poll_trailers(cx)).map_err(broken)?;
        let trailers = trailers.filter(|_| self.relays_trailers);
        let fields = trailers.map(|trailers| Fields::of_trailers(&trailers));
        Poll::Ready(
            fields
                .transpose()
                .map(Option::flatten)
                .map_err(Broken::Malformed),
        )
    }

    fn release(&mut self, bytes: usize) {
        self.received += bytes as u64;
        self.connection.moved();
        // A stream that has ended needs no room.
        let _ = self.body.flow_control().release_capacity(bytes);
    }
}

fn broken(error: h2::Error) -> Broken {
    Broken::Source(io::Error::other(error))
}

fn response(status: u16, headers: HeaderMap) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = headers;
    response
}
