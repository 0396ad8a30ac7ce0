//! How many replays a group's requests may cost: a fifth of a token comes in with each request, a whole one goes out with
//! each replay. When every target fails, the load on them does not multiply.

use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// Counted in tenths, so that one replay in five requests is affordable in the long run.
const DEPOSIT: i32 = 2;
const REPLAY: i32 = 10;
/// What a quiet group has saved up: 100 replays.
const MOST: i32 = 100 * REPLAY;

#[derive(Debug)]
pub struct RetryBudget(AtomicI32);

impl Default for RetryBudget {
    fn default() -> Self {
        Self(AtomicI32::new(MOST))
    }
}

impl RetryBudget {
    /// A request has come. While the budget is full this only reads.
    pub fn deposit(&self) {
        if self.0.load(Relaxed) < MOST {
            self.0.fetch_add(DEPOSIT, Relaxed);
        }
    }

    /// Whether a replay could be afforded now.
    pub fn is_solvent(&self) -> bool {
        self.0.load(Relaxed) >= REPLAY
    }

    /// Whether a replay can be afforded; if so it is paid.
    pub fn withdraw(&self) -> bool {
        let afford = |tokens: i32| (tokens >= REPLAY).then(|| tokens - REPLAY);
        self.0.fetch_update(Relaxed, Relaxed, afford).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_replay_in_five_requests_once_the_savings_are_gone() {
        let budget = RetryBudget::default();
        let saved = (0..1000).take_while(|_| budget.withdraw()).count();
        assert_eq!(saved, 100);
        let replays = (0..1000)
            .filter(|_| {
                budget.deposit();
                budget.withdraw()
            })
            .count();
        assert_eq!(replays, 200);
    }
}
