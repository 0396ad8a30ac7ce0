//! A target's response body on its way to the client. When it ends well its connection goes back to the pool; when the
//! target stalls, breaks off or is deregistered, the client's message is broken off too, visibly.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::pool::{Pool, TargetConnection};
use super::request_body::{Progress, RequestBody};
use super::{LOOK_AROUND, earliest};
use crate::gateway_error::GatewayError;
use crate::target_group::{InFlight, Target};

/// What the exchange still holds while its body is on the way.
#[derive(Debug)]
pub struct TargetBody {
    incoming: Incoming,
    /// Until the body has ended and the connection went back.
    connection: Option<TargetConnection>,
    pool: Rc<Pool>,
    request: RequestBody,
    target: Arc<Target>,
    _in_flight: InFlight,
    trailers: bool,
    idle_timeout: Duration,
    moved: Instant,
    /// Made when the target first lets us wait.
    timer: Option<Pin<Box<Sleep>>>,
}

impl TargetBody {
    #[expect(
        clippy::too_many_arguments,
        reason = "it takes over everything that an exchange holds"
    )]
    pub fn new(
        incoming: Incoming,
        connection: TargetConnection,
        pool: Rc<Pool>,
        request: RequestBody,
        target: Arc<Target>,
        in_flight: InFlight,
        trailers: bool,
        idle_timeout: Duration,
    ) -> Self {
        let mut body = Self {
            incoming,
            connection: Some(connection),
            pool,
            request,
            target,
            _in_flight: in_flight,
            trailers,
            idle_timeout,
            moved: Instant::now(),
            timer: None,
        };
        if body.incoming.is_end_stream() {
            body.ended();
        }
        body
    }

    /// The response is whole. If the request is too, the connection is as good as new.
    fn ended(&mut self) {
        if let Some(connection) = self.connection.take()
            && self.request.progress() == Progress::Done
        {
            self.pool.put(connection, self.idle_timeout);
        }
    }

    /// While the target lets us wait: has it done so for too long?
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<GatewayError> {
        loop {
            let now = Instant::now();
            let deadline = self.moved + self.idle_timeout;
            if now >= deadline {
                return Poll::Ready(GatewayError::TargetResponseStalled);
            }
            if self.target.is_drained() {
                return Poll::Ready(GatewayError::TargetDeregistered);
            }
            let next = earliest(deadline, now + LOOK_AROUND);
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(next)));
            if timer.is_elapsed() {
                timer.as_mut().reset(next);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Body for TargetBody {
    type Data = Bytes;
    type Error = GatewayError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, GatewayError>>> {
        loop {
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if frame.is_trailers() && !self.trailers {
                        continue;
                    }
                    self.moved = Instant::now();
                    if self.incoming.is_end_stream() {
                        self.ended();
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Poll::Ready(None) => {
                    self.ended();
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, target = %self.target.address(), "response broke off");
                    return Poll::Ready(Some(Err(GatewayError::TargetResponseIncomplete)));
                }
                Poll::Pending => {
                    return self.poll_stalled(cx).map(|error| Some(Err(error)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
