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
            if requested {
                self.watch_on(cx);
            }
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

    /// The word that the server is to stop may come once more to who waits for the end of the time for that already: a
    /// channel tells its receivers one after the other. Without another look it would be the last one.
    #[cold]
    fn watch_on(&mut self, cx: &mut Context<'_>) {
        let next = self.next.as_mut().filter(|_| !self.shutdown.is_expired());
        if next.is_some_and(|next| next.as_mut().poll(cx).is_ready()) {
            self.next = None;
            cx.waker().wake_by_ref();
        }
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use lintel_common::shutdown;
    use tokio::task::{JoinSet, LocalSet};

    use super::*;

    /// Whoever is woken by the one word waits for the next while others are still told the first.
    #[tokio::test]
    async fn the_end_of_a_stop_is_told_to_everybody_who_heard_of_its_beginning() {
        for _ in 0..50 {
            let (trigger, shutdown) = shutdown::channel();
            let watching = LocalSet::new();
            let mut tasks = JoinSet::new();
            for _ in 0..100 {
                let mut stop = StopWatch::new(shutdown.clone());
                let until_expired = poll_fn(move |cx| {
                    stop.watch(cx);
                    if stop.is_expired() {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                });
                tasks.spawn_local_on(until_expired, &watching);
            }
            let stopping = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(5));
                trigger.request();
                std::thread::sleep(Duration::from_millis(5));
                trigger.expire();
            });
            let all = watching.run_until(async { while tasks.join_next().await.is_some() {} });
            let ended = tokio::time::timeout(Duration::from_secs(10), all).await;
            assert!(ended.is_ok(), "one was never told");
            stopping.join().unwrap();
        }
    }
}
