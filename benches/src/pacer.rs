//! Hands out an open loop's requests at the times they are due. Clients that are free take them in turn; with none free
//! they wait here, and stay due. A kernel timer wakes it, because tokio's own are a millisecond coarse, which is more than
//! many answers take.

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::sync::Semaphore;

use crate::schedule::Schedule;

#[derive(Debug)]
pub(crate) struct Pacer {
    schedule: Schedule,
    start: Instant,
    alarm: Alarm,
    /// A permit for each request that is due and not taken.
    waiting: Semaphore,
    /// Requests that have become due.
    due: Cell<u64>,
    taken: Cell<u64>,
}

impl Pacer {
    pub(crate) fn new(schedule: Schedule, start: Instant) -> io::Result<Self> {
        Ok(Self {
            schedule,
            start,
            alarm: Alarm::new()?,
            waiting: Semaphore::new(0),
            due: Cell::new(0),
            taken: Cell::new(0),
        })
    }

    /// Makes requests due as time goes by, until all of them are.
    pub(crate) async fn run(&self, clients: usize) -> io::Result<()> {
        loop {
            let elapsed = self.start.elapsed();
            let due = self.schedule.due_by(elapsed);
            self.waiting
                .add_permits((due - self.due.replace(due)) as usize);
            if due == self.schedule.total() {
                break;
            }
            let wait = self.schedule.due(due).saturating_sub(elapsed);
            self.alarm.after(wait).await?;
        }
        // Behind the last request, so that every client wakes to see that there is no other.
        self.waiting.add_permits(clients);
        Ok(())
    }

    /// Whoever waits for a request gets none any more.
    pub(crate) fn close(&self) {
        self.waiting.close();
    }

    /// When the next request was due, once it is; `None` if there are no more.
    pub(crate) async fn next(&self) -> Option<Instant> {
        self.waiting.acquire().await.ok()?.forget();
        let index = self.taken.get();
        if index == self.schedule.total() {
            return None;
        }
        self.taken.set(index + 1);
        Some(self.start + self.schedule.due(index))
    }

    /// How many requests have become due.
    pub(crate) fn due(&self) -> u64 {
        self.due.get()
    }

    /// How many of them were taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.get()
    }
}

#[derive(Debug)]
struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for types that may swap their descriptor; an OwnedFd does not"
        )]
        let timer = AsyncFd::new(timer)?;
        Ok(Self(timer))
    }

    async fn after(&self, wait: Duration) -> io::Result<()> {
        // Zero would switch the timer off.
        let wait = wait.max(Duration::from_nanos(1));
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: wait.as_secs().cast_signed(),
                tv_nsec: wait.subsec_nanos().into(),
            },
        };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
        loop {
            let mut ready = self.0.readable().await?;
            let mut expirations = [0; 8];
            let read = rustix::io::read(&self.0, &mut expirations);
            ready.clear_ready();
            match read {
                Ok(_) => return Ok(()),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    #[tokio::test]
    async fn requests_become_due_on_time_and_wait_for_a_client() {
        let rate = NonZeroU32::new(1000).unwrap();
        let schedule = Schedule::new(rate, Duration::from_millis(50), 0, 1);
        let start = Instant::now();
        let pacer = Pacer::new(schedule, start).unwrap();
        let client = async {
            let mut taken = Vec::new();
            while let Some(due) = pacer.next().await {
                assert!(Instant::now() >= due, "early");
                taken.push(due - start);
            }
            taken
        };
        let (ended, taken) = tokio::join!(pacer.run(1), client);
        ended.unwrap();
        let expected: Vec<_> = (0..50).map(Duration::from_millis).collect();
        assert_eq!(taken, expected);
        assert_eq!((pacer.due(), pacer.taken()), (50, 50));
    }

    #[tokio::test]
    async fn closing_it_leaves_what_nobody_took() {
        let rate = NonZeroU32::new(100).unwrap();
        let schedule = Schedule::new(rate, Duration::from_secs(1), 0, 1);
        let long_ago = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        let pacer = Pacer::new(schedule, long_ago).unwrap();
        pacer.run(1).await.unwrap();
        assert!(pacer.next().await.is_some());
        pacer.close();
        assert!(pacer.next().await.is_none());
        assert_eq!((pacer.due(), pacer.taken()), (100, 1));
    }
}
