//! A WebSocket after its 101: bytes both ways until both sides have ended, nothing has moved for `idle_timeout`, the
//! target's deregistration delay is over, or the shutdown expires.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use super::LOOK_AROUND;
use super::exchange::Exchange;
use crate::gateway_error::GatewayError;
use crate::http1::buffers::Buffers;
use crate::http1::transfer::{Broken, Framing, Transfer};
use crate::http1::wait::{StopWatch, Timer};
use crate::http1::wire::Wire;
use crate::http1::{Decoder, Length};

/// Until the tunnel ends; why, if that was not its own doing.
pub async fn run(
    client: &mut Wire,
    exchange: &mut Exchange,
    buffers: &Buffers,
    stop: &mut StopWatch,
    idle_timeout: Duration,
) -> Option<GatewayError> {
    let (mut up, mut down) = (Direction::new(), Direction::new());
    let mut timer = Timer::default();
    let mut moved = Instant::now();
    let mut seen = 0;
    let look = LOOK_AROUND.min(idle_timeout);
    let mut next_look = moved + look;
    poll_fn(|cx| {
        let target = exchange.wire();
        let (up, down) = (
            up.poll(cx, buffers, client, target),
            down.poll(cx, buffers, target, client),
        );
        match (up, down) {
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(None),
            (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => {
                tracing::debug!(?error, "tunnel broke off");
                return Poll::Ready(None);
            }
            _ => {}
        }
        stop.watch(cx);
        if stop.is_expired() {
            return Poll::Ready(Some(GatewayError::Shutdown));
        }
        let now = client.received() + client.sent() + target.received() + target.sent();
        if now != seen {
            (seen, moved) = (now, Instant::now());
        }
        loop {
            ready!(timer.poll_until(cx, next_look.min(moved + idle_timeout)));
            let now = Instant::now();
            if now >= moved + idle_timeout {
                return Poll::Ready(None);
            }
            if exchange.target.is_drained() {
                return Poll::Ready(Some(GatewayError::TargetDeregistered));
            }
            next_look = now + look;
        }
    })
    .await
}

/// The bytes of one side on their way to the other, and then their end.
struct Direction {
    bytes: Transfer,
    all_sent: bool,
    ended: bool,
}

impl Direction {
    fn new() -> Self {
        Self {
            bytes: Transfer::new(Decoder::new(Length::UntilClose), Framing::Plain),
            all_sent: false,
            ended: false,
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
        from: &mut Wire,
        to: &mut Wire,
    ) -> Poll<Result<(), Broken>> {
        if !self.all_sent {
            ready!(self.bytes.poll(cx, buffers, from, to))?;
            self.all_sent = true;
        }
        if !self.ended {
            ready!(to.poll_shutdown(cx, buffers)).map_err(Broken::Sink)?;
            self.ended = true;
        }
        Poll::Ready(Ok(()))
    }
}
