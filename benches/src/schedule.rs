//! When requests are due in an open loop: evenly spaced, exact to the nanosecond however long the run is, shared out
//! among threads in turn. Pure arithmetic; keeping to it is the `pacer`'s.

use std::num::NonZeroU32;
use std::time::Duration;

const NANOSECONDS: u128 = 1_000_000_000;

/// One thread's part. Times count from the start of the run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// Of all threads together, a second.
    rate: u128,
    duration: Duration,
    thread: u128,
    threads: u128,
}

impl Schedule {
    pub(crate) fn new(rate: NonZeroU32, duration: Duration, thread: u64, threads: u64) -> Self {
        Self {
            rate: rate.get().into(),
            duration,
            thread: thread.into(),
            threads: threads.max(1).into(),
        }
    }

    /// When the request with this index, from 0, is due.
    pub(crate) fn due(&self, index: u64) -> Duration {
        let nanoseconds = self.place(index) * NANOSECONDS / self.rate;
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// How many are due at this moment or were before, up to the end of the run.
    pub(crate) fn due_by(&self, elapsed: Duration) -> u64 {
        // The first place of all threads that is not yet due, then how many of those before it are ours.
        let next = if elapsed < self.duration {
            ((elapsed.as_nanos() + 1) * self.rate).div_ceil(NANOSECONDS)
        } else {
            (self.duration.as_nanos() * self.rate).div_ceil(NANOSECONDS)
        };
        u64::try_from(next.saturating_sub(self.thread).div_ceil(self.threads)).unwrap_or(u64::MAX)
    }

    /// All that are due before the run is over.
    pub(crate) fn total(&self) -> u64 {
        self.due_by(self.duration)
    }

    /// Among the requests of all threads.
    fn place(&self, index: u64) -> u128 {
        u128::from(index) * self.threads + self.thread
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schedule(rate: u32, seconds: u64, thread: u64, threads: u64) -> Schedule {
        let rate = NonZeroU32::new(rate).unwrap();
        Schedule::new(rate, Duration::from_secs(seconds), thread, threads)
    }

    #[test]
    fn a_thousand_a_second() {
        let all = schedule(1000, 2, 0, 1);
        assert_eq!(all.total(), 2000);
        assert_eq!(all.due(0), Duration::ZERO);
        assert_eq!(all.due(1999), Duration::from_millis(1999));
        for (microseconds, due) in [(0, 1), (999, 1), (1000, 2), (1001, 2), (5_000_000, 2000)] {
            assert_eq!(all.due_by(Duration::from_micros(microseconds)), due);
        }
    }

    #[test]
    fn a_rate_that_divides_nothing_does_not_drift() {
        let all = schedule(7, 3600, 0, 1);
        assert_eq!(all.total(), 7 * 3600);
        assert_eq!(all.due(7 * 1800), Duration::from_secs(1800));
    }

    proptest! {
        #[test]
        fn due_and_due_by_agree(
            rate in 1u32..3_000_000,
            seconds in 1u64..1000,
            threads in 1u64..9,
            thread in 0u64..9,
            index in any::<u64>(),
        ) {
            let part = schedule(rate, seconds, thread % threads, threads);
            prop_assume!(part.total() > 0);
            let index = index % part.total();
            let due = part.due(index);
            prop_assert!(due < Duration::from_secs(seconds));
            prop_assert_eq!(part.due_by(due), index + 1);
            if let Some(before) = due.checked_sub(Duration::from_nanos(1)) {
                prop_assert_eq!(part.due_by(before), index);
            }
        }

        #[test]
        fn threads_together_do_the_whole(rate in 1u32..100_000, seconds in 1u64..60, threads in 1u64..9) {
            let total: u64 = (0..threads).map(|thread| schedule(rate, seconds, thread, threads).total()).sum();
            prop_assert_eq!(total, u64::from(rate) * seconds);
        }
    }
}
