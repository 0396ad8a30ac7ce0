//! What requests see of a target group: who may take them and in which order. Made anew by `registry` whenever something
//! of it changes; a request loads it once and asks it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::slow_start::SlowStart;
use super::{Target, algorithm};
use crate::model::Retry;

#[derive(Debug)]
pub(super) struct Snapshot {
    /// The healthy targets in scope; when they are too few, every registered one.
    pub(super) eligible: Box<[Arc<Target>]>,
    /// The other registered ones: better than no answer for a request that every eligible target has failed.
    pub(super) others: Box<[Arc<Target>]>,
    /// The eligible ones are not known to be healthy.
    pub(super) fail_open: bool,
    pub(super) has_healthy: bool,
    pub(super) retry: Retry,
    pub(super) order: Order,
}

/// How one of the eligible targets is chosen.
#[derive(Debug)]
pub(super) enum Order {
    RoundRobin,
    SlowStart(SlowStart),
    LeastOutstandingRequests,
    Random,
    /// A weight for each.
    WeightedRandom(Box<[f64]>),
}

#[derive(Debug, Clone)]
pub struct Choice {
    pub target: Arc<Target>,
    /// Chosen although too few targets are known to be healthy.
    pub fail_open: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoTarget {
    /// None, or only draining ones, or none in the load balancer's zone.
    NoneRegistered,
    AllTried,
}

impl Snapshot {
    /// `turn` is how many were chosen before.
    pub(super) fn choose(&self, turn: usize, tried: &[Arc<Target>]) -> Result<Choice, NoTarget> {
        if self.eligible.is_empty() {
            return Err(NoTarget::NoneRegistered);
        }
        let untried = |target: &Arc<Target>| {
            !tried
                .iter()
                .any(|tried| tried.address() == target.address())
        };
        if let Some(target) = self.next(turn, untried) {
            return Ok(Choice {
                target: Arc::clone(target),
                fail_open: self.fail_open,
            });
        }
        match algorithm::round_robin(&self.others, turn, untried) {
            Some(target) => Ok(Choice {
                target: Arc::clone(target),
                fail_open: true,
            }),
            None => Err(NoTarget::AllTried),
        }
    }

    fn next(&self, turn: usize, usable: impl Fn(&Arc<Target>) -> bool) -> Option<&Arc<Target>> {
        let eligible = &*self.eligible;
        match &self.order {
            Order::RoundRobin => algorithm::round_robin(eligible, turn, usable),
            Order::SlowStart(slow_start) => {
                let chosen = slow_start.choose(Instant::now(), |at| usable(&eligible[at]));
                chosen.map(|at| &eligible[at])
            }
            Order::LeastOutstandingRequests => {
                let in_flight = |target: &Arc<Target>| target.in_flight();
                algorithm::least_outstanding_requests(eligible, turn, usable, in_flight)
            }
            Order::Random => algorithm::weighted_random(eligible, rand::random(), usable, |_| 1.0),
            Order::WeightedRandom(weights) => {
                algorithm::weighted_random(eligible, rand::random(), usable, |at| weights[at])
            }
        }
    }

    /// The target at that address, if it may take requests: where a client sticks.
    pub(super) fn eligible(&self, address: SocketAddr) -> Option<Choice> {
        let target = self
            .eligible
            .iter()
            .find(|target| target.address() == address)?;
        Some(Choice {
            target: Arc::clone(target),
            fail_open: self.fail_open,
        })
    }
}
