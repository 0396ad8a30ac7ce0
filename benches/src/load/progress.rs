//! What is told while it runs: a line a second on standard error. The counts are for the eye; the report has its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(super) const EVERY: Duration = Duration::from_secs(1);

/// Written by every thread.
#[derive(Debug, Default)]
pub(super) struct Progress {
    started: AtomicU64,
    requests: AtomicU64,
    errors: AtomicU64,
}

/// Makes the lines.
#[derive(Debug)]
pub(super) struct Teller {
    progress: Arc<Progress>,
    /// How long requests are started.
    duration: Duration,
    /// When the last line was made, and how many requests there were then.
    told: (Duration, u64),
}

impl Progress {
    pub(super) fn starts(&self) {
        self.started.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, well: bool) {
        let count = if well { &self.requests } else { &self.errors };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Teller {
    pub(super) fn new(progress: Arc<Progress>, duration: Duration) -> Self {
        Self {
            progress,
            duration,
            told: (Duration::ZERO, 0),
        }
    }

    pub(super) fn line(&mut self, elapsed: Duration) -> String {
        let requests = self.progress.requests.load(Ordering::Relaxed);
        let errors = self.progress.errors.load(Ordering::Relaxed);
        let started = self.progress.started.load(Ordering::Relaxed);
        // The three are not read at one moment.
        let under_way = started.saturating_sub(requests + errors);
        let (then, before) = std::mem::replace(&mut self.told, (elapsed, requests));
        let seconds = elapsed.saturating_sub(then).as_secs_f64().max(1e-3);
        let rate = (requests - before) as f64 / seconds;
        let note = if elapsed > self.duration + EVERY / 2 {
            ", waiting for them"
        } else {
            ""
        };
        format!(
            "{:>5.0} s {rate:>9.0} requests/s {errors:>8} errors {under_way:>7} under way{note}",
            elapsed.as_secs_f64()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_what_happened_since_the_last_one() {
        let progress = Arc::<Progress>::default();
        let mut teller = Teller::new(Arc::clone(&progress), Duration::from_secs(3));
        (0..120).for_each(|_| progress.starts());
        (0..100).for_each(|_| progress.ended(true));
        (0..5).for_each(|_| progress.ended(false));
        let line = teller.line(Duration::from_secs(1));
        for part in ["1 s", "100 requests/s", "5 errors", "15 under way"] {
            assert!(line.contains(part), "{part}: {line}");
        }
        (0..10).for_each(|_| progress.ended(true));
        let line = teller.line(Duration::from_secs(3));
        assert!(line.contains(" 5 requests/s"), "10 in 2 s: {line}");
        assert!(!line.contains("waiting"));
        assert!(teller.line(Duration::from_secs(4)).contains("waiting"));
    }
}
