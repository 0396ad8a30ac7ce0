//! What a connection's task waits for besides bytes: a time, and the stop of its server. Both cost next to nothing on a
//! busy connection: a timer is moved only when it fires too early, and neither is polled again while it would wake the
//! task anyway.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use lintel_common::shutdown::Shutdown;
use tokio::task::coop::{has_budget_remaining, unconstrained};
use tokio::time::{Instant, Sleep};

/// A time that is mostly moved into the future and seldom reached.
#[derive(Debug, Default)]
pub struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    waker: Option<Waker>,
}

impl Timer {
    /// Ready once it is `at`; the task is woken then, at the latest.
    pub fn poll_until(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if is_known(self.waker.as_ref(), cx) && sleep.deadline() <= at && !sleep.is_elapsed() {
            return Poll::Pending;
        }
        // A task that has used up its turn is woken for another one, but by nothing that it asks for now.
        self.waker = has_budget_remaining().then(|| cx.waker().clone());
        if sleep.deadline() > at {
            sleep.as_mut().reset(at);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= at {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(at);
        }
        Poll::Pending
    }
}

/// Wakes the task when its server is to stop, and again when the time for that is over.
pub struct StopWatch {
    shutdown: Shutdown,
    next: Option<Pin<Box<dyn Future<Output = ()>>>>,
    waker: Option<Waker>,
    requested: bool,
}

impl StopWatch {
    pub fn new(shutdown: Shutdown) -> Self {
        Self {
            shutdown,
            next: None,
            waker: None,
            requested: false,
        }
    }

    pub fn is_requested(&self) -> bool {
        self.shutdown.is_requested()
    }

    pub fn is_expired(&self) -> bool {
        self.shutdown.is_expired()
    }

    /// Sees to it that the task is woken at the next change.
    pub fn watch(&mut self, cx: &mut Context<'_>) {
        let requested = self.shutdown.is_requested();
        if requested == self.requested && is_known(self.waker.as_ref(), cx) {
            return;
        }
        let shutdown = self.shutdown.clone();
        self.requested = requested;
        self.waker = Some(cx.waker().clone());
        let mut next: Pin<Box<dyn Future<Output = ()>>> = if requested {
            Box::pin(unconstrained(async move { shutdown.expired().await }))
        } else {
            Box::pin(unconstrained(async move { shutdown.requested().await }))
        };
        if next.as_mut().poll(cx).is_ready() {
            // Between two looks: the caller's next one sees it.
            cx.waker().wake_by_ref();
        }
        self.next = Some(next);
    }
}

impl fmt::Debug for StopWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shutdown.fmt(f)
    }
}

fn is_known(waker: Option<&Waker>, cx: &Context<'_>) -> bool {
    waker.is_some_and(|waker| waker.will_wake(cx.waker()))
}
