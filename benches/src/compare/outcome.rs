//! Everything that came of a workload: raw rounds, which of them count, what is wrong, and the rows of the table.

use std::collections::BTreeMap;

use serde::Serialize;

use super::figure;
use super::measurement::Measurement;
use super::proxy::Role;
use super::statistics::{self, Spread};
use super::workload::{Kind, Workload};

#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    #[serde(flatten)]
    pub(super) workload: &'static Workload,
    unit: &'static str,
    /// Rounds that must count.
    wanted: usize,
    pub(super) entrants: Vec<Entrant>,
    pub(super) rounds: Vec<Round>,
    /// Why the figures are not to be used; empty if they are.
    pub(super) failures: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Entrant {
    pub(super) name: String,
    pub(super) role: Role,
}

#[derive(Debug, Serialize)]
pub(super) struct Round {
    /// One an entrant.
    pub(super) measurements: Vec<Measurement>,
    /// Who was too slow, if somebody was: then the round does not count.
    pub(super) disturbed: Option<String>,
}

/// What is told of an entrant.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) cost: Spread,
    /// By the names of those it is compared with.
    pub(super) ratios: BTreeMap<&'static str, Spread>,
    #[serde(flatten)]
    pub(super) figures: BTreeMap<&'static str, f64>,
    /// In all rounds, also those that do not count.
    pub(super) errors: u64,
}

impl Outcome {
    pub(super) fn new(workload: &'static Workload, wanted: usize, entrants: Vec<Entrant>) -> Self {
        Self {
            workload,
            unit: workload.unit().name(),
            wanted,
            entrants,
            rounds: Vec::new(),
            failures: Vec::new(),
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.counting().count() >= self.wanted
    }

    /// The rounds that count.
    pub(super) fn counting(&self) -> impl Iterator<Item = &Round> {
        self.rounds.iter().filter(|round| round.disturbed.is_none())
    }

    pub(super) fn add(&mut self, mut round: Round) {
        self.tell_added_latency(&mut round.measurements);
        self.rounds.push(round);
        self.judge();
    }

    /// Over that of whoever asked the origin directly, in the same round.
    fn tell_added_latency(&self, measurements: &mut [Measurement]) {
        let direct = self
            .entrants
            .iter()
            .position(|entrant| entrant.role == Role::Direct);
        let p50 = |measurement: &Measurement| measurement.figure(figure::P50.key);
        let Some(direct) = direct.and_then(|direct| p50(&measurements[direct])) else {
            return;
        };
        for measurement in measurements {
            if let Some(p50) = p50(measurement) {
                measurement.set(figure::ADDED.key, (p50 - direct) * 1e3);
            }
        }
    }

    /// With each round the best may have become better, so all are judged anew.
    fn judge(&mut self) {
        let rate = |measurement: &Measurement| measurement.figure(figure::RATE.key).unwrap_or(1.0);
        let rates: Vec<Vec<f64>> = self
            .rounds
            .iter()
            .map(|round| round.measurements.iter().map(rate).collect())
            .collect();
        for (round, verdict) in self.rounds.iter_mut().zip(statistics::disturbed(&rates)) {
            round.disturbed = verdict.map(|(entrant, part)| {
                let name = &self.entrants[entrant].name;
                format!(
                    "{name} came to {:.0} % of its best rate",
                    (part * 100.0).floor()
                )
            });
        }
    }

    pub(super) fn find_failures(&mut self) {
        let mut failures = Vec::new();
        for (number, round) in self.rounds.iter().enumerate() {
            for (entrant, measurement) in self.entrants.iter().zip(&round.measurements) {
                if let Some(reason) = what_is_wrong(measurement) {
                    failures.push(format!("round {}, {}: {reason}", number + 1, entrant.name));
                }
            }
        }
        if !self.is_complete() {
            let last = self
                .rounds
                .iter()
                .rev()
                .find_map(|round| round.disturbed.as_deref());
            failures.push(format!(
                "only {} of {} rounds count and {} must, the machine is too busy: {}",
                self.counting().count(),
                self.rounds.len(),
                self.wanted,
                last.unwrap_or_default()
            ));
        }
        self.failures = failures;
    }

    /// What the last round came to.
    pub(super) fn last_line(&self) -> String {
        let Some(round) = self.rounds.last() else {
            return String::new();
        };
        let costs: Vec<String> = self
            .entrants
            .iter()
            .zip(&round.measurements)
            .filter(|(entrant, _)| entrant.role != Role::Direct)
            .map(|(entrant, measurement)| {
                let errors = match measurement.errors {
                    0 => String::new(),
                    errors => format!(" ({errors} errors)"),
                };
                let cost = figure::three_digits(measurement.cost);
                format!("{} {cost}{errors}", entrant.name)
            })
            .collect();
        let verdict = match &round.disturbed {
            Some(reason) => format!("; to be had again: {reason}"),
            None => String::new(),
        };
        format!(
            "{} round {}, {} of {} count: {}: {}{verdict}",
            self.workload.name,
            self.rounds.len(),
            self.counting().count(),
            self.wanted,
            self.unit,
            costs.join(", ")
        )
    }

    /// One an entrant, the cheapest first.
    pub(super) fn rows(&self) -> Vec<Row> {
        let used = self.used();
        let costs: Vec<Vec<f64>> = used
            .iter()
            .map(|round| round.measurements.iter().map(|m| m.cost).collect())
            .collect();
        let references = self.references(&costs);
        let mut rows: Vec<Row> = (0..self.entrants.len())
            .filter_map(|index| self.row(index, &used, &costs, &references))
            .collect();
        rows.sort_by(|one, other| one.cost.median.total_cmp(&other.cost.median));
        rows
    }

    /// The rounds that figures are made of: those that count, or all if none does.
    fn used(&self) -> Vec<&Round> {
        let counting: Vec<_> = self.counting().collect();
        if counting.is_empty() {
            self.rounds.iter().collect()
        } else {
            counting
        }
    }

    /// The names of those that everybody is compared with, as they stand above the columns.
    pub(super) fn reference_names(&self) -> &'static [&'static str] {
        match self.workload.kind {
            Kind::AccessLog => &["without log"],
            Kind::Rules(_) => &["one rule"],
            Kind::Load | Kind::WholePath | Kind::Idle => &["best peer", "floor"],
        }
    }

    fn references(&self, costs: &[Vec<f64>]) -> Vec<(&'static str, usize)> {
        let cheapest = |role| {
            let of_role: Vec<usize> = (0..self.entrants.len())
                .filter(|&index| self.entrants[index].role == role)
                .collect();
            statistics::cheapest(costs, &of_role)
        };
        let indices = match self.workload.kind {
            // Without comes first, and one rule.
            Kind::AccessLog | Kind::Rules(_) => [Some(0), None],
            Kind::Load | Kind::WholePath | Kind::Idle => {
                [cheapest(Role::Peer), cheapest(Role::Floor)]
            }
        };
        std::iter::zip(self.reference_names().iter().copied(), indices)
            .filter_map(|(name, index)| Some((name, index?)))
            .collect()
    }

    fn row(
        &self,
        index: usize,
        used: &[&Round],
        costs: &[Vec<f64>],
        references: &[(&'static str, usize)],
    ) -> Option<Row> {
        let of = |index: usize| -> Vec<f64> { costs.iter().map(|round| round[index]).collect() };
        let Entrant { name, role } = self.entrants[index].clone();
        let ratios = references
            .iter()
            .filter(|_| role != Role::Direct)
            .filter_map(|&(name, other)| Some((name, statistics::ratios(&of(index), &of(other))?)));
        let figures = figure::columns(self.workload).iter().filter_map(|column| {
            let values = used
                .iter()
                .filter_map(|round| round.measurements[index].figure(column.key));
            Some((column.key, column.of_rounds(values)?))
        });
        Some(Row {
            name,
            role,
            cost: Spread::of(of(index))?,
            ratios: ratios.collect(),
            figures: figures.collect(),
            errors: self
                .rounds
                .iter()
                .map(|round| round.measurements[index].errors)
                .sum(),
        })
    }
}

fn what_is_wrong(measurement: &Measurement) -> Option<String> {
    if measurement.errors > 0 {
        return Some(measurement.error_examples.join("; "));
    }
    if measurement.figure(figure::REQUESTS) == Some(0.0) {
        return Some("nothing was answered".to_owned());
    }
    let used = measurement.disturbance_by_others()?.as_millis();
    Some(format!(
        "the others used {used} ms of a processor meanwhile"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::workload::WORKLOADS;
    use super::*;

    fn measured(cost: f64, rate: f64) -> Measurement {
        Measurement {
            cost,
            errors: 0,
            error_examples: Vec::new(),
            figures: BTreeMap::from([
                (figure::REQUESTS, 100.0),
                (figure::RATE.key, rate),
                (figure::P50.key, cost / 1e3),
            ]),
        }
    }

    fn outcome(roles: &[Role], rounds: &[&[(f64, f64)]]) -> Outcome {
        let entrants = roles.iter().enumerate().map(|(index, &role)| Entrant {
            name: format!("{role:?} {index}"),
            role,
        });
        let mut outcome = Outcome::new(&WORKLOADS[0], 2, entrants.collect());
        for round in rounds {
            let measurements = round
                .iter()
                .map(|&(cost, rate)| measured(cost, rate))
                .collect();
            outcome.add(Round {
                measurements,
                disturbed: None,
            });
        }
        outcome.find_failures();
        outcome
    }

    fn medians(row: &Row) -> Vec<(&'static str, f64)> {
        row.ratios
            .iter()
            .map(|(name, ratio)| (*name, ratio.median))
            .collect()
    }

    #[test]
    fn ours_is_compared_with_the_best_peer_and_the_floor() {
        let roles = [Role::Ours, Role::Peer, Role::Peer, Role::Floor];
        let first = [(8.0, 9.0), (10.0, 9.0), (12.0, 9.0), (4.0, 9.0)];
        let second = [(16.0, 9.0), (20.0, 9.0), (24.0, 9.0), (8.0, 9.0)];
        let outcome = outcome(&roles, &[&first, &second]);
        assert_eq!(outcome.failures, [""; 0]);
        let rows = outcome.rows();
        let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["Floor 3", "Ours 0", "Peer 1", "Peer 2"]);
        assert_eq!(medians(&rows[1]), [("best peer", 0.8), ("floor", 2.0)]);
        assert_eq!(medians(&rows[3]), [("best peer", 1.2), ("floor", 3.0)]);
    }

    #[test]
    fn a_disturbed_round_is_left_out_and_too_many_are_told() {
        let rounds: [&[_]; 3] = [&[(8.0, 100.0)], &[(80.0, 10.0)], &[(9.0, 90.0)]];
        let outcome = outcome(&[Role::Ours], &rounds);
        assert!(outcome.is_complete());
        assert_eq!(outcome.failures, [""; 0]);
        let cost = outcome.rows()[0].cost;
        assert_eq!((cost.min, cost.max), (8.0, 9.0));

        let disturbed = self::outcome(&[Role::Ours], &rounds[..2]);
        let reason = "only 1 of 2 rounds count and 2 must, the machine is too busy: Ours 0 came to 10 % of its best rate";
        assert_eq!(disturbed.failures, [reason]);
    }

    #[test]
    fn errors_fail_even_in_a_round_that_does_not_count() {
        let mut outcome = outcome(&[Role::Peer], &[&[(8.0, 100.0)], &[(8.0, 100.0)]]);
        let bad = &mut outcome.rounds[1].measurements[0];
        bad.fail(3, "answers were wrong");
        outcome.find_failures();
        assert_eq!(outcome.failures, ["round 2, Peer 0: 3 answers were wrong"]);
        assert_eq!(outcome.rows()[0].errors, 3);
    }

    #[test]
    fn added_latency_is_that_over_the_direct_connection() {
        let roles = [Role::Ours, Role::Direct];
        let outcome = outcome(&roles, &[&[(150.0, 1.0), (100.0, 1.0)]]);
        let added = outcome.rounds[0].measurements[0].figure(figure::ADDED.key);
        assert!((added.unwrap() - 50.0).abs() < 1e-6, "{added:?}");
    }
}
