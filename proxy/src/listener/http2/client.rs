//! The client's side of an exchange over HTTP/2: one stream of a connection that hyper drives. A client that goes away
//! ends the task that polls this, and a server that stops ends the connection: neither is looked for here.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::request;
use http_body::Body;
use hyper::body::Incoming;
use lintel_common::server::Connection;
use tokio::time::Instant;

use crate::forward::client::Client;
use crate::forward::headers;
use crate::gateway_error::GatewayError;
use crate::http1::buffers::Buffers;
use crate::http1::transfer::{Broken, Framing};
use crate::http1::wait::Timer;
use crate::http1::wire::Wire;
use crate::http1::{Fields, Length, RequestHead, ResponseHead};

#[derive(Debug)]
pub(super) struct Http2Client {
    body: Incoming,
    framing: Framing,
    trailers: Option<Fields>,
    taken: bool,
    ended: bool,
    received: Rc<Cell<u64>>,
    connection: Rc<Connection>,
    buffers: Rc<Buffers>,
    timer: Timer,
}

/// How long the body is, as HTTP/1.1 says it.
pub(super) fn length(parts: &request::Parts, body: &Incoming) -> Result<Length, GatewayError> {
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

impl Http2Client {
    pub(super) fn new(
        body: Incoming,
        head: &RequestHead,
        connection: Rc<Connection>,
        buffers: Rc<Buffers>,
        received: Rc<Cell<u64>>,
    ) -> Self {
        Self {
            ended: body.is_end_stream() && head.length() != Length::Chunked,
            body,
            framing: Framing::of(head.length(), headers::offers_trailers(head.fields())),
            trailers: None,
            taken: false,
            received,
            connection,
            buffers,
            timer: Timer::default(),
        }
    }

    fn pass_on(&mut self, cx: &mut Context<'_>, content: &[u8], to: &mut Wire) -> io::Result<()> {
        self.taken = true;
        self.received
            .set(self.received.get() + content.len() as u64);
        self.connection.moved();
        self.framing.write(cx, &self.buffers, content, to)
    }
}

impl Client for Http2Client {
    fn poll_send(&mut self, cx: &mut Context<'_>, to: &mut Wire) -> Poll<Result<(), Broken>> {
        loop {
            ready!(to.poll_flush(cx, &self.buffers)).map_err(Broken::Sink)?;
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Some(content) = frame.data_ref() {
                        let content: Bytes = content.clone();
                        self.pass_on(cx, &content, to).map_err(Broken::Sink)?;
                    } else if let Ok(trailers) = frame.into_trailers() {
                        let mut fields = Fields::default();
                        for (name, value) in &trailers {
                            fields.push(name.as_str(), value.as_bytes());
                        }
                        self.trailers = Some(fields);
                    }
                }
                Some(Err(error)) => {
                    return Poll::Ready(Err(Broken::Source(io::Error::other(error))));
                }
                None => {
                    self.ended = true;
                    // The end of chunks cannot be written twice.
                    self.taken |= self.framing != Framing::Plain;
                    self.framing.end(&self.buffers, self.trailers.as_ref(), to);
                }
            }
        }
    }

    fn is_untouched(&self) -> bool {
        !self.taken
    }

    /// hyper has said so already, when the body was first asked for.
    fn proceed(&mut self) {}

    /// hyper's server cannot say it.
    fn interim(&mut self, _cx: &mut Context<'_>, _head: &ResponseHead) {}

    fn poll_gone(&mut self, _cx: &mut Context<'_>) -> Poll<GatewayError> {
        Poll::Pending
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        self.timer.poll_until(cx, at)
    }
}
