//! One exchange over one connection to a target: the request goes out, the response's head comes in, both at once if the
//! target answers early. The response's content is moved by whoever has the client; what ends or breaks off an exchange,
//! and whether its connection can be used again, is known here.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::time::Instant;

use super::client::Client;
use super::pool::{Pool, TargetConnection};
use super::{LOOK_AROUND, headers};
use crate::gateway_error::GatewayError;
use crate::http1::buffers::Buffers;
use crate::http1::transfer::Broken;
use crate::http1::wire::Wire;
use crate::http1::{Malformed, ResponseHead};
use crate::model::LoadBalancerSettings;
use crate::target_group::{InFlight, Target};

/// Interim responses before the final one; a target that sends more is out of its mind.
pub(super) const MOST_INTERIM: u32 = 16;

/// A request as its target gets it.
#[derive(Debug)]
pub struct Outgoing {
    /// As bytes.
    pub head: Vec<u8>,
    pub method: Method,
    pub websocket: bool,
    pub has_body: bool,
    /// Nothing may follow it on its connection.
    pub last: bool,
}

#[derive(Debug)]
pub struct Exchange {
    connection: Box<TargetConnection>,
    pub target: Arc<Target>,
    _in_flight: InFlight,
    upload: Upload,
    keeps_alive: bool,
    /// How long the target keeps an idle connection, as far as that is known.
    kept: Option<Duration>,
}

/// How far the request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upload {
    Sending,
    Sent,
    /// The target does not take any more of it. Its answer counts all the same.
    Refused,
}

/// Why an exchange failed, and what is known of its request.
#[derive(Debug)]
pub struct Failure {
    pub error: GatewayError,
    /// Not one byte of a response came.
    pub silent: bool,
    /// Not one byte of the request was written.
    pub unsent: bool,
}

/// Since when nothing has moved, and when the exchange last looked around.
#[derive(Debug)]
pub struct Patience {
    moved: Instant,
    looked: Instant,
    seen: u64,
}

impl Patience {
    /// `seen` is any count that grows with what moves.
    pub fn new(now: Instant, seen: u64) -> Self {
        Self {
            moved: now,
            looked: now,
            seen,
        }
    }

    /// Whether it has grown.
    pub fn see(&mut self, seen: u64) -> bool {
        let moved = seen != self.seen;
        if moved {
            self.seen = seen;
            self.moved = Instant::now();
        }
        moved
    }

    /// Ready with `overdue` when nothing has moved for that long, or with why nobody need wait any more.
    pub fn poll<C: Client + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut C,
        target: Option<&Target>,
        timeout: Duration,
        overdue: GatewayError,
    ) -> Poll<GatewayError> {
        let deadline = self.moved + timeout;
        loop {
            if let Poll::Ready(gone) = client.poll_gone(cx) {
                return Poll::Ready(gone);
            }
            ready!(client.poll_until(cx, deadline.min(self.looked + LOOK_AROUND)));
            let now = Instant::now();
            if now >= deadline {
                return Poll::Ready(overdue);
            }
            if target.is_some_and(Target::is_drained) {
                return Poll::Ready(GatewayError::TargetDeregistered);
            }
            self.looked = now;
        }
    }
}

impl Exchange {
    pub fn new(
        connection: Box<TargetConnection>,
        target: Arc<Target>,
        in_flight: InFlight,
    ) -> Self {
        Self {
            connection,
            target,
            _in_flight: in_flight,
            upload: Upload::Sending,
            keeps_alive: false,
            kept: None,
        }
    }

    /// Unless the target says that it keeps connections for less.
    pub fn kept_for(&mut self, kept: Option<Duration>) {
        self.kept = kept;
    }

    /// The connection to the target.
    pub fn wire(&mut self) -> &mut Wire {
        &mut self.connection.wire
    }

    /// Sends the request and waits for the response's head.
    pub async fn response<C: Client>(
        &mut self,
        request: &Outgoing,
        client: &mut C,
        buffers: &Buffers,
        settings: &LoadBalancerSettings,
        now: Instant,
    ) -> Result<ResponseHead, Failure> {
        let wire = &mut self.connection.wire;
        let (sent, received) = (wire.sent(), wire.received());
        wire.queue(buffers, &request.head);
        let mut patience = None;
        let mut interim = 0;
        let head = poll_fn(|cx| {
            self.poll_send(cx, client)?;
            // What was sent at once was sent now.
            let patience = patience.get_or_insert_with(|| Patience::new(now, self.wire().sent()));
            while let Poll::Ready(head) = self.poll_head(cx, buffers, &request.method)? {
                if !is_interim(&head) {
                    return Poll::Ready(Ok(head));
                }
                interim += 1;
                if interim > MOST_INTERIM {
                    return Poll::Ready(Err(GatewayError::TargetMalformedResponse));
                }
                if head.status() != StatusCode::CONTINUE {
                    client.interim(cx, &head);
                }
            }
            let overdue = ready!(self.poll_overdue(cx, client, settings, patience));
            Poll::Ready(Err(overdue))
        })
        .await;
        let checked = head.and_then(|head| self.check(head, request));
        checked.map_err(|error| {
            let wire = &self.connection.wire;
            Failure {
                error,
                silent: wire.received() == received,
                unsent: wire.sent() == sent,
            }
        })
    }

    /// A switch of protocols must have been asked for, by a request that is over: what would follow of it is framed.
    fn check(
        &mut self,
        head: ResponseHead,
        request: &Outgoing,
    ) -> Result<ResponseHead, GatewayError> {
        self.keeps_alive = head.keeps_alive() && !request.last;
        if let Some(kept) = head.keep_alive_timeout() {
            self.kept = Some(self.kept.map_or(kept, |known| known.min(kept)));
        }
        let switching = head.status() == StatusCode::SWITCHING_PROTOCOLS;
        let asked_for = request.websocket && headers::is_websocket(head.fields());
        if switching && !(asked_for && self.upload == Upload::Sent) {
            return Err(GatewayError::TargetUnexpectedUpgrade);
        }
        Ok(head)
    }

    /// Goes on with the request, if there is more of it.
    pub fn poll_send<C: Client>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut C,
    ) -> Result<(), GatewayError> {
        if self.upload == Upload::Sending {
            match client.poll_send(cx, &mut self.connection.wire) {
                Poll::Ready(Ok(())) => self.upload = Upload::Sent,
                Poll::Ready(Err(Broken::Sink(error))) => {
                    let target = self.target.address();
                    tracing::debug!(%error, %target, "the target takes no more of a request");
                    self.upload = Upload::Refused;
                }
                Poll::Ready(Err(Broken::Source(_) | Broken::Malformed(_))) => {
                    return Err(GatewayError::RequestBodyIncomplete);
                }
                Poll::Pending => {}
            }
        }
        Ok(())
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
        method: &Method,
    ) -> Poll<Result<ResponseHead, GatewayError>> {
        let read = |_: &mut Context<'_>, input: &[u8]| match ResponseHead::read(input, method) {
            Ok(Some((head, length))) => (length, Some(Ok(head))),
            Ok(None) => (0, None),
            Err(malformed) => (0, Some(Err(malformed))),
        };
        let target = self.target.address();
        let error = match ready!(self.connection.wire.poll_take_head(cx, buffers, read)) {
            Ok(Ok(head)) => return Poll::Ready(Ok(head)),
            Ok(Err(error)) => {
                tracing::debug!(%error, %target, "a response that cannot be read");
                match error {
                    Malformed::HeadTooLarge | Malformed::TooManyFields => {
                        GatewayError::TargetHeadTooLarge
                    }
                    _ => GatewayError::TargetMalformedResponse,
                }
            }
            Err(error) => {
                tracing::debug!(%error, %target, "no response");
                GatewayError::TargetClosed
            }
        };
        Poll::Ready(Err(error))
    }

    /// Until when to wait, and for whom: while the target could take more of the body, it is the client's turn.
    fn poll_overdue<C: Client>(
        &self,
        cx: &mut Context<'_>,
        client: &mut C,
        settings: &LoadBalancerSettings,
        patience: &mut Patience,
    ) -> Poll<GatewayError> {
        let wire = &self.connection.wire;
        patience.see(wire.sent());
        let clients_turn = self.upload == Upload::Sending && !wire.is_blocked();
        let (timeout, overdue) = if clients_turn {
            (settings.idle_timeout, GatewayError::RequestTimeout)
        } else {
            (
                settings.response_timeout,
                GatewayError::TargetResponseTimeout,
            )
        };
        patience.poll(cx, client, Some(&self.target), timeout, overdue)
    }

    /// The response is whole. If the request is too, the connection is as good as new.
    pub fn finish(self, pool: &Pool, idle_timeout: Duration) {
        if self.keeps_alive && self.upload == Upload::Sent {
            pool.put(self.connection, idle_timeout, self.kept);
        }
    }
}

fn is_interim(head: &ResponseHead) -> bool {
    head.status() < 200 && head.status() != StatusCode::SWITCHING_PROTOCOLS
}
