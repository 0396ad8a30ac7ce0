//! One exchange on one stream of a connection to a target: the request goes out as the client sends it, the response comes
//! in, both at once. Windows on both sides keep what waits here small.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use http::header::HeaderMap;
use http::{Method, Request, StatusCode};
use tokio::time::Instant;

use super::connections::Held;
use super::failure;
use crate::forward::Chosen;
use crate::forward::client::Http2Stream;
use crate::forward::exchange::{Failure, MOST_INTERIM, Patience};
use crate::gateway_error::GatewayError;
use crate::http1::{Fields, Length, ResponseHead, limits};
use crate::model::LoadBalancerSettings;
use crate::target_group::{InFlight, Target};

pub struct Http2Exchange {
    pub target: Arc<Target>,
    _in_flight: InFlight,
    method: Method,
    response: ResponseFuture,
    content: Option<RecvStream>,
    /// Held to what HTTP/1.1 lets pass.
    trailers: Option<Fields>,
    /// Everything of the response has come.
    over: bool,
    /// Responses before the final one.
    interim: u32,
    upload: Upload,
    /// Bytes of content, of both directions.
    moved: u64,
    connection: Held,
}

struct Upload {
    stream: SendStream<Bytes>,
    state: State,
    /// What the target does not take yet, and whether it is the last of the body.
    waiting: Bytes,
    last: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Sending,
    Sent,
    /// The target does not take any more of it. Its answer counts all the same.
    Refused,
}

impl Http2Exchange {
    /// Sends the head.
    pub(super) fn begin(
        connection: Held,
        chosen: Chosen,
        request: Request<()>,
        length: Length,
    ) -> Result<Self, h2::Error> {
        let Chosen {
            target, in_flight, ..
        } = chosen;
        let method = request.method().clone();
        let over = matches!(length, Length::Empty);
        let sent = connection.sender().send_request(request, over);
        let (response, stream) = sent.inspect_err(|_| connection.retire())?;
        Ok(Self {
            target,
            _in_flight: in_flight,
            method,
            response,
            content: None,
            trailers: None,
            over: false,
            interim: 0,
            upload: Upload {
                stream,
                state: if over { State::Sent } else { State::Sending },
                waiting: Bytes::new(),
                last: false,
            },
            moved: 0,
            connection,
        })
    }

    /// Sends what comes of the request and waits for the response's head.
    pub(super) async fn response(
        &mut self,
        client: &mut (dyn Http2Stream + '_),
        settings: &LoadBalancerSettings,
        now: Instant,
    ) -> Result<ResponseHead, Failure> {
        let mut patience = Patience::new(now, 0);
        std::future::poll_fn(|cx| {
            self.poll_send(cx, client).map_err(ours)?;
            self.poll_interim(cx, client)?;
            match Pin::new(&mut self.response).poll(cx) {
                Poll::Ready(Ok(response)) => return Poll::Ready(self.head(response)),
                Poll::Ready(Err(error)) => {
                    tracing::debug!(%error, target = %self.target.address(), "no response");
                    return Poll::Ready(Err(self.failed(&error)));
                }
                Poll::Pending => {}
            }
            patience.see(self.moved);
            let clients_turn =
                self.upload.state == State::Sending && self.upload.waiting.is_empty();
            let (timeout, overdue) = if clients_turn {
                (settings.idle_timeout, GatewayError::RequestTimeout)
            } else {
                (
                    settings.response_timeout,
                    GatewayError::TargetResponseTimeout,
                )
            };
            let target = Some(&*self.target);
            let error = ready!(patience.poll(cx, client, target, timeout, overdue));
            if error == GatewayError::TargetResponseTimeout {
                // Perhaps nobody is at the other end: others shall not wait there.
                self.connection.retire();
            }
            Poll::Ready(Err(ours(error)))
        })
        .await
    }

    /// Passes on what comes before the response.
    fn poll_interim(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut (dyn Http2Stream + '_),
    ) -> Result<(), Failure> {
        // Errors are the response's too, and seen there.
        while let Poll::Ready(Some(Ok(interim))) = self.response.poll_informational(cx) {
            self.interim += 1;
            if self.interim > MOST_INTERIM {
                return Err(ours(GatewayError::TargetMalformedResponse));
            }
            let (parts, ()) = interim.into_parts();
            // RFC 9113 8.6: HTTP/2 has no such thing.
            if parts.status == StatusCode::SWITCHING_PROTOCOLS {
                return Err(ours(GatewayError::TargetUnexpectedUpgrade));
            }
            if parts.status != StatusCode::CONTINUE
                && let Ok(head) = ResponseHead::from_http(&parts, &self.method, true)
            {
                client.interim(cx, &head);
            }
        }
        Ok(())
    }

    fn head(&mut self, response: http::Response<RecvStream>) -> Result<ResponseHead, Failure> {
        let (parts, content) = response.into_parts();
        self.over = content.is_end_stream();
        let head = ResponseHead::from_http(&parts, &self.method, self.over);
        // Some have no content by what they are; what comes all the same, if only an end, is nobody's.
        self.over |= matches!(&head, Ok(head) if head.length() == Length::Empty);
        self.content = Some(content);
        match head {
            Ok(head) if head.fields().size() <= limits::RESPONSE_HEAD => Ok(head),
            Ok(_) => Err(ours(GatewayError::TargetHeadTooLarge)),
            Err(_) => Err(ours(GatewayError::TargetMalformedResponse)),
        }
    }

    fn failed(&self, error: &h2::Error) -> Failure {
        if error.is_go_away() || error.is_io() {
            self.connection.retire();
        }
        failure(error)
    }

    /// Goes on with the request, if there is more of it.
    pub fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut (dyn Http2Stream + '_),
    ) -> Result<(), GatewayError> {
        let polled = self.upload.poll(cx, client, &mut self.moved);
        let stalled = self.upload.state == State::Sending && !self.upload.waiting.is_empty();
        self.connection.set_stalled(stalled);
        polled
    }

    /// The next piece of the response; empty only at the end.
    pub fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, GatewayError>> {
        let Some(content) = self.content.as_mut().filter(|_| !self.over) else {
            return Poll::Ready(Ok(Bytes::new()));
        };
        let incomplete = |error: h2::Error| {
            tracing::debug!(%error, "response broke off");
            GatewayError::TargetResponseIncomplete
        };
        if let Some(piece) = ready!(content.poll_data(cx)) {
            let piece = piece.map_err(incomplete)?;
            self.moved += piece.len() as u64;
            self.over = content.is_end_stream();
            // The client's window is what counts from here on. A stream that has ended needs no room.
            let _ = content.flow_control().release_capacity(piece.len());
            if piece.is_empty() && !self.over {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(Ok(piece));
        }
        let trailers = ready!(content.poll_trailers(cx)).map_err(incomplete)?;
        // Without what they say, the end would be another one.
        let trailers = trailers.map(|trailers| Fields::of_trailers(&trailers));
        let trailers = trailers.transpose().map_err(|error| {
            tracing::debug!(%error, "response broke off");
            GatewayError::TargetResponseIncomplete
        })?;
        self.trailers = trailers.flatten();
        self.over = true;
        Poll::Ready(Ok(Bytes::new()))
    }

    pub fn is_over(&self) -> bool {
        self.over
    }

    pub fn take_trailers(&mut self) -> Option<HeaderMap> {
        let trailers = self.trailers.take()?;
        Some(trailers.into_header_map(|_, _| true))
    }

    pub fn moved(&self) -> u64 {
        self.moved
    }
}

impl Upload {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut (dyn Http2Stream + '_),
        moved: &mut u64,
    ) -> Result<(), GatewayError> {
        while self.state == State::Sending {
            if !self.waiting.is_empty() {
                self.stream.reserve_capacity(self.waiting.len());
                let room = match self.stream.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(room))) => room.min(self.waiting.len()),
                    Poll::Ready(_) => {
                        self.state = State::Refused;
                        return Ok(());
                    }
                    Poll::Pending => return Ok(()),
                };
                let piece = self.waiting.split_to(room);
                let last = self.last && self.waiting.is_empty();
                *moved += room as u64;
                self.sent(|stream| stream.send_data(piece, last), last);
                client.release(room);
                continue;
            }
            let Poll::Ready(piece) = client.poll_data(cx) else {
                return Ok(());
            };
            match piece {
                Some(Ok((piece, last))) if piece.is_empty() => {
                    if last {
                        self.sent(|stream| stream.send_data(Bytes::new(), true), true);
                    }
                }
                Some(Ok((piece, last))) => (self.waiting, self.last) = (piece, last),
                Some(Err(_)) => return Err(GatewayError::RequestBodyIncomplete),
                None => {
                    match client
                        .trailers()
                        .map_err(|_| GatewayError::RequestBodyIncomplete)?
                    {
                        Some(trailers) => {
                            let trailers = trailers.into_header_map(|_, _| true);
                            self.sent(|stream| stream.send_trailers(trailers), true);
                        }
                        None => self.sent(|stream| stream.send_data(Bytes::new(), true), true),
                    }
                }
            }
        }
        Ok(())
    }

    fn sent(
        &mut self,
        send: impl FnOnce(&mut SendStream<Bytes>) -> Result<(), h2::Error>,
        last: bool,
    ) {
        if send(&mut self.stream).is_err() {
            self.state = State::Refused;
        } else if last {
            self.state = State::Sent;
        }
    }
}

/// A failure that no other attempt could mend.
fn ours(error: GatewayError) -> Failure {
    Failure {
        error,
        silent: false,
        unsent: false,
    }
}
