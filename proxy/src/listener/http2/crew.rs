//! Tasks that answer one HTTP/2 request after the other. A task, its future and its timer cost a request more than all of
//! its bookkeeping if they are made for it alone: here those of an earlier one are used again, the last ones first,
//! because their memory is the most likely to be at hand.
//!
//! What is done with a request is `http2`'s; if that panics, its task is gone and nothing else.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::Work;
use crate::http1::wait::Timer;

/// Tasks that are kept for later, of 5 KiB each.
const MOST_IDLE: usize = 64;

/// Of one listener and worker.
#[derive(Default)]
pub(in crate::listener) struct Crew {
    idle: RefCell<Vec<Rc<Seat>>>,
}

/// Where a task waits.
#[derive(Default)]
struct Seat {
    work: Cell<Option<Work>>,
    /// Of its task, once it waits.
    waker: OnceCell<Waker>,
    dismissed: Cell<bool>,
}

impl Crew {
    pub(super) fn employ(&self, work: Work) {
        let idle = self.idle.borrow_mut().pop();
        match idle {
            Some(seat) => {
                seat.work.set(Some(work));
                seat.wake();
            }
            // In a box: spawning moves it about.
            None => drop(tokio::task::spawn_local(Box::pin(task(work)))),
        }
    }

    /// Whether there is work for it to wait for.
    fn keep(&self, seat: &Rc<Seat>) -> bool {
        let mut idle = self.idle.borrow_mut();
        let keeps = idle.len() < MOST_IDLE;
        if keeps {
            idle.push(Rc::clone(seat));
        }
        keeps
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for seat in self.idle.take() {
            seat.dismissed.set(true);
            seat.wake();
        }
    }
}

impl fmt::Debug for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew").finish_non_exhaustive()
    }
}

impl Seat {
    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Ready without work when there will be none.
    fn poll_work(&self, cx: &Context<'_>) -> Poll<Option<Work>> {
        let work = self.work.take();
        if work.is_some() || self.dismissed.get() {
            return Poll::Ready(work);
        }
        // The waker of a task does not change.
        self.waker.get_or_init(|| cx.waker().clone());
        Poll::Pending
    }
}

async fn task(mut work: Work) {
    let seat = Rc::default();
    let mut timer = Timer::default();
    loop {
        work.answer(&mut timer).await;
        let kept = work.crew().keep(&seat);
        // It holds the listener, and so the crew.
        drop(work);
        if !kept {
            return;
        }
        match poll_fn(|cx| seat.poll_work(cx)).await {
            Some(next) => work = next,
            None => return,
        }
    }
}
