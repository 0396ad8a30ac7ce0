//! Tasks that answer one HTTP/2 request after the other. Made for one request alone, a task with its future and its timer is
//! a twentieth of what that request costs: here those of an earlier one are used again, the last ones first, because their
//! memory is the most likely to be at hand.
//!
//! What is done with a request is `http2`'s; if that panics, its task is gone and nothing else. After a spike tasks end that
//! have nothing to do for a while.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::http1::wait::Timer;

/// A task of some 3 KiB that had nothing to do for so long, or for up to twice as long, ends; as do those that are more.
const LONGEST_IDLE: Duration = Duration::from_secs(1);
const MOST_IDLE: usize = 1024;

/// A request, say.
pub(in crate::listener) trait Work: Sized + 'static {
    /// To the end, with a timer of the task's.
    async fn finish(&mut self, timer: &mut Timer);

    /// Where its task waits for more.
    fn crew(&self) -> &Crew<Self>;
}

/// Of one listener and worker.
pub(in crate::listener) struct Crew<W> {
    idle: Rc<Idle<W>>,
}

/// The last ones to have become so last.
struct Idle<W>(RefCell<Vec<Rc<Seat<W>>>>);

/// Where a task waits.
struct Seat<W> {
    work: Cell<Option<W>>,
    /// Of its task, once it waits.
    waker: OnceCell<Waker>,
    /// There was work since somebody last looked.
    worked: Cell<bool>,
    /// There is none any more.
    dismissed: Cell<bool>,
}

impl<W: Work> Crew<W> {
    pub(super) fn employ(&self, work: W) {
        match self.idle.take() {
            Some(seat) => {
                seat.work.set(Some(work));
                seat.worked.set(true);
                seat.wake();
            }
            // In a box: spawning moves it about.
            None => drop(tokio::task::spawn_local(Box::pin(task(work)))),
        }
    }
}

impl<W> Default for Crew<W> {
    fn default() -> Self {
        Self {
            idle: Rc::new(Idle(RefCell::default())),
        }
    }
}

impl<W> Drop for Crew<W> {
    fn drop(&mut self) {
        while let Some(seat) = self.idle.take() {
            seat.dismissed.set(true);
            seat.wake();
        }
    }
}

impl<W> fmt::Debug for Crew<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew").finish_non_exhaustive()
    }
}

impl<W> Idle<W> {
    fn take(&self) -> Option<Rc<Seat<W>>> {
        self.0.borrow_mut().pop()
    }

    /// Whether there is room.
    fn keep(&self, seat: &Rc<Seat<W>>) -> bool {
        let mut seats = self.0.borrow_mut();
        let room = seats.len() < MOST_IDLE;
        if room {
            seats.push(Rc::clone(seat));
        }
        room
    }

    fn forget(&self, seat: &Rc<Seat<W>>) {
        self.0.borrow_mut().retain(|other| !Rc::ptr_eq(other, seat));
    }
}

impl<W> Seat<W> {
    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Ready with what there is to do; without, when there is nothing any more, or was nothing for long.
    fn poll_work(
        &self,
        cx: &mut Context<'_>,
        timer: &mut Timer,
        look: &mut Instant,
    ) -> Poll<Option<W>> {
        let work = self.work.take();
        if work.is_some() || self.dismissed.get() {
            return Poll::Ready(work);
        }
        // The waker of a task does not change.
        self.waker.get_or_init(|| cx.waker().clone());
        while timer.poll_until(cx, *look).is_ready() {
            if !self.worked.replace(false) {
                return Poll::Ready(None);
            }
            *look = Instant::now() + LONGEST_IDLE;
        }
        Poll::Pending
    }
}

async fn task<W: Work>(mut work: W) {
    let seat = Rc::new(Seat {
        work: Cell::new(None),
        waker: OnceCell::new(),
        worked: Cell::new(true),
        dismissed: Cell::new(false),
    });
    let idle = Rc::clone(&work.crew().idle);
    let mut timer = Timer::default();
    let mut look = Instant::now() + LONGEST_IDLE;
    loop {
        work.finish(&mut timer).await;
        let kept = idle.keep(&seat);
        // It holds the listener, and so the crew: without it nobody would be dismissed.
        drop(work);
        if !kept {
            return;
        }
        match poll_fn(|cx| seat.poll_work(cx, &mut timer, &mut look)).await {
            Some(next) => work = next,
            None => return idle.forget(&seat),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;
    use tokio::task::{LocalSet, yield_now};

    /// Ends when it is let.
    struct Job {
        office: Rc<Office>,
        panics: bool,
    }

    struct Office {
        crew: Crew<Job>,
        let_go: Semaphore,
        done: Cell<usize>,
    }

    impl Work for Job {
        async fn finish(&mut self, _timer: &mut Timer) {
            let permit = self
                .office
                .let_go
                .acquire()
                .await
                .expect("it is not closed");
            permit.forget();
            assert!(!self.panics, "as it should");
            self.office.done.set(self.office.done.get() + 1);
        }

        fn crew(&self) -> &Crew<Self> {
            &self.office.crew
        }
    }

    impl Office {
        fn new() -> Rc<Self> {
            Rc::new(Self {
                crew: Crew::default(),
                let_go: Semaphore::new(0),
                done: Cell::new(0),
            })
        }

        fn give(self: &Rc<Self>, panics: bool) {
            let office = Rc::clone(self);
            self.crew.employ(Job { office, panics });
        }

        fn idle(&self) -> usize {
            self.crew.idle.0.borrow().len()
        }

        async fn finish(&self, jobs: usize) {
            self.let_go.add_permits(jobs);
            for _ in 0..3 * jobs {
                yield_now().await;
            }
        }
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn a_task_does_one_thing_after_the_other() {
        run(async {
            let office = Office::new();
            for done in 1..=5 {
                office.give(false);
                office.finish(1).await;
                assert_eq!((office.done.get(), office.idle()), (done, 1));
            }
        });
    }

    #[test]
    fn after_a_spike_only_those_are_kept_that_work() {
        run(async {
            let office = Office::new();
            let spike = 2 * MOST_IDLE;
            for _ in 0..spike {
                office.give(false);
            }
            office.finish(spike).await;
            assert_eq!((office.done.get(), office.idle()), (spike, MOST_IDLE));
            for _ in 0..8 {
                office.give(false);
                office.give(false);
                office.finish(2).await;
                tokio::time::sleep(LONGEST_IDLE / 2).await;
            }
            assert_eq!(office.idle(), 2);
            tokio::time::sleep(3 * LONGEST_IDLE).await;
            assert_eq!(office.idle(), 0);
            office.give(false);
            office.finish(1).await;
            assert_eq!((office.done.get(), office.idle()), (spike + 17, 1));
        });
    }

    #[test]
    fn a_panic_ends_its_task_and_no_other() {
        run(async {
            let office = Office::new();
            for panics in [false, true, false] {
                office.give(panics);
            }
            office.finish(3).await;
            assert_eq!((office.done.get(), office.idle()), (2, 2));
            for _ in 0..3 {
                office.give(false);
            }
            office.finish(3).await;
            assert_eq!((office.done.get(), office.idle()), (5, 3));
        });
    }

    #[test]
    fn without_their_listener_they_end() {
        run(async {
            let office = Office::new();
            office.give(false);
            office.give(false);
            office.finish(1).await;
            let seats: Vec<_> = office
                .crew
                .idle
                .0
                .borrow()
                .iter()
                .map(Rc::downgrade)
                .collect();
            assert_eq!(seats.len(), 1);
            let last = Rc::downgrade(&office);
            let let_go = |office: Rc<Office>| office.let_go.add_permits(1);
            let_go(office);
            for _ in 0..5 {
                yield_now().await;
            }
            assert!(last.upgrade().is_none());
            assert!(seats[0].upgrade().is_none());
        });
    }
}
