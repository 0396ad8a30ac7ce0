//! What is told while it runs: a line a second on standard error. The counts are for the eye; the report has its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(super) const EVERY: Duration = Duration::from_secs(1);

/// Written by every thread.
#[derive(Debug, Default)]
pub(super) struct Progress {
    requests: AtomicU64,
    errors: AtomicU64,
    /// Under way.
    started: AtomicU64,
    /// Requests at the time of the last line.
    told: AtomicU64,
}

impl Progress {
    pub(super) fn starts(&self) {
        self.started.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, well: bool) {
        let count = if well { &self.requests } else { &self.errors };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Call every [`EVERY`].
    pub(super) fn line(&self, elapsed: Duration, duration: Duration) -> String {
        let requests = self.requests.load(Ordering::Relaxed);
        let errors = self.errors.load(Ordering::Relaxed);
        let since = requests - self.told.swap(requests, Ordering::Relaxed);
        let under_way = self
            .started
            .load(Ordering::Relaxed)
            .saturating_sub(requests + errors);
        let over = if elapsed > duration + EVERY / 2 {
            ", waiting for them"
        } else {
            ""
        };
        format!(
            "{:>5.0} s  {since:>9} requests/s  {errors:>7} errors  {under_way:>6} under way{over}",
            elapsed.as_secs_f64()
        )
    }
}
