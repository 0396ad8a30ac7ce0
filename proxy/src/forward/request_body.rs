//! A client's request body on its way to a target. It can be handed to a second target as long as the first has taken
//! nothing of it, and it tells at any time how far it is: done, moving, or waiting for the client.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use lintel_common::server::Connection;
use tokio::time::Instant;

/// Clones share the one body.
#[derive(Clone)]
pub struct RequestBody(Rc<Shared>);

struct Shared {
    incoming: RefCell<Incoming>,
    progress: Cell<Progress>,
    /// When a piece came last.
    moved: Cell<Instant>,
    taken: Cell<bool>,
    trailers: bool,
    received: Rc<Cell<u64>>,
    connection: Rc<Connection>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The target has not asked for the next piece yet, or has just got one.
    Moving,
    /// The target could take more; the client has not sent it.
    WaitingForClient,
    Done,
    /// The client broke off.
    Failed,
}

impl RequestBody {
    /// `received` counts its bytes; `trailers` go on only if the target was told to expect them.
    pub fn new(
        incoming: Incoming,
        connection: Rc<Connection>,
        received: Rc<Cell<u64>>,
        trailers: bool,
    ) -> Self {
        let done = incoming.is_end_stream();
        Self(Rc::new(Shared {
            incoming: RefCell::new(incoming),
            progress: Cell::new(if done {
                Progress::Done
            } else {
                Progress::Moving
            }),
            moved: Cell::new(Instant::now()),
            taken: Cell::new(false),
            trailers,
            received,
            connection,
        }))
    }

    pub fn progress(&self) -> Progress {
        self.0.progress.get()
    }

    pub fn moved(&self) -> Instant {
        self.0.moved.get()
    }

    /// Whether nothing of it has gone to a target, so that another one can have it whole.
    pub fn is_whole(&self) -> bool {
        !self.0.taken.get()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let shared = &self.0;
        loop {
            let polled = Pin::new(&mut *shared.incoming.borrow_mut()).poll_frame(cx);
            return match polled {
                Poll::Pending => {
                    shared.progress.set(Progress::WaitingForClient);
                    Poll::Pending
                }
                Poll::Ready(None) => {
                    shared.progress.set(Progress::Done);
                    Poll::Ready(None)
                }
                Poll::Ready(Some(Err(error))) => {
                    shared.progress.set(Progress::Failed);
                    Poll::Ready(Some(Err(error.into())))
                }
                Poll::Ready(Some(Ok(frame))) => {
                    if frame.is_trailers() && !shared.trailers {
                        continue;
                    }
                    let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                    shared.received.set(shared.received.get() + bytes);
                    shared.taken.set(true);
                    shared.moved.set(Instant::now());
                    shared.connection.moved();
                    let done = shared.incoming.borrow().is_end_stream();
                    shared.progress.set(if done {
                        Progress::Done
                    } else {
                        Progress::Moving
                    });
                    Poll::Ready(Some(Ok(frame)))
                }
            };
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.incoming.borrow().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.incoming.borrow().size_hint()
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestBody")
            .field(&self.progress())
            .finish()
    }
}
