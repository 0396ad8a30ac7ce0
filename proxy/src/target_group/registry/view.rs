//! What others see of the registry: requests a snapshot, the admin endpoints a description of each target.

use std::sync::Arc;

use super::{Member, Registry};
use crate::health_check::state::Reason;
use crate::model::Algorithm;
use crate::target_group::slow_start::SlowStart;
use crate::target_group::snapshot::{Order, Snapshot};
use crate::target_group::{AnomalyDetection, TargetHealthDescription};

impl Registry {
    pub(in super::super) fn snapshot(&self) -> Snapshot {
        let registered: Vec<&Member> = self.in_scope().collect();
        let (healthy, others): (Vec<&Member>, Vec<&Member>) =
            registered.iter().partition(|member| member.is_healthy());
        let has_healthy = !healthy.is_empty();
        let threshold = self.settings.unhealthy_state_routing;
        let fail_open = threshold.begins(healthy.len(), registered.len());
        let (eligible, others) = if fail_open {
            (registered, Vec::new())
        } else {
            (healthy, others)
        };
        let order = if fail_open {
            self.order_of_all()
        } else {
            self.order(&eligible)
        };
        Snapshot {
            eligible: targets(&eligible),
            others: targets(&others),
            fail_open,
            has_healthy,
            retry: self.settings.retry,
            order,
        }
    }

    /// Those that may get requests: all registered ones, or with cross-zone load balancing off those of one zone.
    fn in_scope(&self) -> impl Iterator<Item = &Member> {
        let zone = self.settings.only_zone.as_deref();
        self.members.iter().filter(move |member| {
            let here = member.target.settings().availability_zone.as_deref();
            member.is_registered() && (zone.is_none() || zone == here)
        })
    }

    fn order(&self, eligible: &[&Member]) -> Order {
        let weights = || eligible.iter().map(|member| member.standing.weight);
        match self.settings.algorithm {
            Algorithm::RoundRobin => {
                let since = eligible.iter().map(|member| member.slow_start).collect();
                SlowStart::of(self.settings.slow_start, since)
                    .map_or(Order::RoundRobin, Order::SlowStart)
            }
            Algorithm::WeightedRandom { .. } if weights().any(|weight| weight < 1.0) => {
                Order::WeightedRandom(weights().collect())
            }
            _ => self.order_of_all(),
        }
    }

    /// Of targets that are not known to be healthy, none is better than another.
    fn order_of_all(&self) -> Order {
        match self.settings.algorithm {
            Algorithm::RoundRobin => Order::RoundRobin,
            Algorithm::LeastOutstandingRequests => Order::LeastOutstandingRequests,
            Algorithm::WeightedRandom { .. } => Order::Random,
        }
    }

    pub(in super::super) fn descriptions(&self) -> Vec<TargetHealthDescription> {
        self.members.iter().map(Member::description).collect()
    }
}

impl Member {
    fn description(&self) -> TargetHealthDescription {
        let target = self.target.settings();
        TargetHealthDescription {
            id: target.id,
            port: target.port,
            availability_zone: target.availability_zone.clone(),
            state: self.health.state,
            reason: self.health.reason.map(Reason::code),
            description: self.health.reason.map(Reason::description),
            in_flight: self.target.in_flight(),
            anomaly_detection: AnomalyDetection {
                result: if self.standing.anomalous {
                    "anomalous"
                } else {
                    "normal"
                },
                mitigation_in_effect: if self.standing.is_mitigated() {
                    "yes"
                } else {
                    "no"
                },
            },
        }
    }
}

fn targets(members: &[&Member]) -> Box<[Arc<super::Target>]> {
    let targets = members.iter().map(|member| Arc::clone(&member.target));
    targets.collect()
}
