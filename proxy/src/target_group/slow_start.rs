//! Slow start: a target that has just become healthy gets a share that grows from almost nothing to a full one. Which
//! targets are in it, and since when, is `registry`'s; that it is over, too.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::algorithm;

/// Of a full share: a target without any would not be seen to work.
const LEAST: f64 = 0.01;

/// The turns of a group of which some targets are in slow start. Only then do requests share more than a cursor.
#[derive(Debug)]
pub(super) struct SlowStart {
    duration: Duration,
    /// Of each eligible target; `None` = settled.
    since: Box<[Option<Instant>]>,
    credit: Mutex<Box<[f64]>>,
}

impl SlowStart {
    /// `None` if nobody is in it.
    pub(super) fn of(duration: Duration, since: Box<[Option<Instant>]>) -> Option<Self> {
        since.iter().any(Option::is_some).then(|| Self {
            duration,
            credit: Mutex::new(vec![0.0; since.len()].into_boxed_slice()),
            since,
        })
    }

    /// Whose turn it is, as an index among the eligible targets.
    pub(super) fn choose(&self, now: Instant, usable: impl Fn(usize) -> bool) -> Option<usize> {
        let weight = |at: usize| match self.since[at] {
            Some(since) => weight(now.saturating_duration_since(since), self.duration),
            None => 1.0,
        };
        // Credit is never half given.
        let mut credit = self.credit.lock().unwrap_or_else(PoisonError::into_inner);
        algorithm::smooth_weighted_round_robin(&mut credit, usable, weight)
    }
}

/// The share after so long, of a full one.
fn weight(elapsed: Duration, duration: Duration) -> f64 {
    elapsed.div_duration_f64(duration).clamp(LEAST, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATION: Duration = Duration::from_secs(100);

    #[test]
    fn the_share_grows_in_a_line() {
        for (seconds, expected) in [
            (0, LEAST),
            (1, LEAST),
            (10, 0.1),
            (50, 0.5),
            (100, 1.0),
            (1000, 1.0),
        ] {
            let weight = weight(Duration::from_secs(seconds), DURATION);
            assert!((weight - expected).abs() < 1e-9, "{seconds} s: {weight}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_follow_the_shares() {
        let start = Instant::now();
        let since = Box::new([None, Some(start), None]);
        let slow_start = SlowStart::of(DURATION, since).expect("one is in it");
        for (seconds, expected) in [(1, 5), (25, 111), (50, 200), (100, 333)] {
            let now = start + Duration::from_secs(seconds);
            let taken = (0..1000).filter_map(|_| slow_start.choose(now, |_| true));
            let taken = taken.filter(|at| *at == 1).count();
            assert!(
                taken.abs_diff(expected) <= 2,
                "{seconds} s: {taken} of 1000, not {expected}"
            );
        }
    }

    #[test]
    fn without_anybody_in_it_there_is_none() {
        assert!(SlowStart::of(DURATION, Box::new([None, None])).is_none());
    }
}
