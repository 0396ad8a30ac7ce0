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

    /// Whether a request that begins now may come to need a replay.
    pub fn is_solvent(&self) -> bool {
        self.0.load(Relaxed) >= REPLAY
    }

    /// A replay is made. Requests that began together may overdraw the budget; those that begin later pay it back.
    pub fn charge(&self) {
        self.0.fetch_sub(REPLAY, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a request that comes now is replayed if it fails.
    fn fails(budget: &RetryBudget) -> bool {
        let replayed = budget.is_solvent();
        if replayed {
            budget.charge();
        }
        replayed
    }

    #[test]
    fn one_replay_in_five_requests_once_the_savings_are_gone() {
        let budget = RetryBudget::default();
        assert_eq!((0..1000).take_while(|_| fails(&budget)).count(), 100);
        let replays = (0..1000)
            .filter(|_| {
                budget.deposit();
                fails(&budget)
            })
            .count();
        assert_eq!(replays, 200);
    }

    #[test]
    fn what_is_overdrawn_is_paid_back_first() {
        let budget = RetryBudget::default();
        (0..150).for_each(|_| budget.charge());
        let until_solvent = (0..1000).take_while(|_| {
            budget.deposit();
            !budget.is_solvent()
        });
        assert_eq!(until_solvent.count(), 5 * 51 - 1);
    }
}
