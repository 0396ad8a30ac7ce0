//! A workload from its first round to its last: everybody is measured in turn, and rounds that somebody else's work on the
//! machine has spoilt are had again.

use serde::Serialize;

use super::measurement::{self, Measurement, Settings};
use super::progress::Progress;
use super::proxy::Role;
use super::statistics::{self, Spread};
use super::testbed::Testbed;
use super::workload::Workload;

/// Rounds may be disturbed; of this many for each that must count, that is too many.
const TRIES: usize = 3;

/// Everything that came of a workload.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    #[serde(flatten)]
    pub(super) workload: &'static Workload,
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

pub(super) fn run(
    workload: &'static Workload,
    rounds: usize,
    testbed: &mut Testbed,
    settings: &Settings,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    let taking_part: Vec<usize> = (0..testbed.proxies.len())
        .filter(|&index| {
            testbed.proxies[index].role != Role::Floor || !workload.protocol.is_encrypted()
        })
        .collect();
    let entrants = taking_part.iter().map(|&index| Entrant {
        name: testbed.proxies[index].name.clone(),
        role: testbed.proxies[index].role,
    });
    let mut outcome = Outcome {
        workload,
        entrants: entrants.collect(),
        rounds: Vec::new(),
        failures: Vec::new(),
    };
    while outcome.counting().count() < rounds && outcome.rounds.len() < rounds * TRIES {
        let number = outcome.rounds.len();
        let mut measurements: Vec<Option<Measurement>> = vec![None; taking_part.len()];
        for step in 0..taking_part.len() {
            // A different one begins each time.
            let turn = (number + step) % taking_part.len();
            let name = &outcome.entrants[turn].name;
            progress.now(&format!("{} round {}: {name}", workload.name, number + 1));
            let proxy = &mut testbed.proxies[taking_part[turn]];
            proxy.check()?;
            let proxy = &testbed.proxies[taking_part[turn]];
            let measured = measurement::measure(workload, testbed, proxy, settings)?;
            if settings.stop.is_requested() {
                anyhow::bail!("interrupted");
            }
            measurements[turn] = Some(measured);
        }
        outcome.rounds.push(Round {
            measurements: measurements.into_iter().flatten().collect(),
            disturbed: None,
        });
        outcome.judge();
        progress.done(&outcome.last_line(rounds));
    }
    outcome.find_failures(rounds);
    Ok(outcome)
}

impl Outcome {
    /// The rounds that count.
    pub(super) fn counting(&self) -> impl Iterator<Item = &Round> {
        self.rounds.iter().filter(|round| round.disturbed.is_none())
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

    /// Costs of the used rounds, one list a round.
    fn costs(&self) -> Vec<Vec<f64>> {
        let costs = |round: &Round| round.measurements.iter().map(Measurement::cost).collect();
        self.used().into_iter().map(costs).collect()
    }

    /// With each round the best may have become better, so all are judged anew.
    fn judge(&mut self) {
        let rates: Vec<Vec<f64>> = self
            .rounds
            .iter()
            .map(|round| {
                round
                    .measurements
                    .iter()
                    .map(|m| m.requests_per_second)
                    .collect()
            })
            .collect();
        for (round, verdict) in self.rounds.iter_mut().zip(statistics::disturbed(&rates)) {
            round.disturbed = verdict.map(|(entrant, part)| {
                let name = &self.entrants[entrant].name;
                format!("{name} came to {:.0} % of its best rate", part * 100.0)
            });
        }
    }

    fn find_failures(&mut self, wanted: usize) {
        let mut failures = Vec::new();
        for (number, round) in self.rounds.iter().enumerate() {
            for (entrant, measurement) in self.entrants.iter().zip(&round.measurements) {
                let mut fail = |reason: String| {
                    failures.push(format!("round {}, {}: {reason}", number + 1, entrant.name));
                };
                if measurement.errors > 0 {
                    fail(measurement.error_examples.join("; "));
                } else if measurement.requests == 0 {
                    fail("nothing was answered".to_owned());
                }
                if measurement.is_disturbed_by_others() {
                    let used = measurement.others_cpu_seconds * 1e3;
                    fail(format!(
                        "the others used {used:.0} ms of a processor meanwhile"
                    ));
                }
            }
        }
        let counting = self.counting().count();
        if counting < wanted {
            let last = self
                .rounds
                .iter()
                .rev()
                .find_map(|round| round.disturbed.as_deref());
            failures.push(format!(
                "only {counting} of {} rounds count and {wanted} must, the machine is too busy: {}",
                self.rounds.len(),
                last.unwrap_or_default()
            ));
        }
        self.failures = failures;
    }

    fn last_line(&self, wanted: usize) -> String {
        let Some(round) = self.rounds.last() else {
            return String::new();
        };
        let costs: Vec<String> = self
            .entrants
            .iter()
            .zip(&round.measurements)
            .map(|(entrant, measurement)| {
                let errors = match measurement.errors {
                    0 => String::new(),
                    errors => format!(" ({errors} errors)"),
                };
                format!("{} {:.1}{errors}", entrant.name, measurement.cost())
            })
            .collect();
        let verdict = match &round.disturbed {
            Some(reason) => format!("; to be had again: {reason}"),
            None => String::new(),
        };
        format!(
            "{} round {}, {} of {wanted} count: us/request: {}{verdict}",
            self.workload.name,
            self.rounds.len(),
            self.counting().count(),
            costs.join(", ")
        )
    }

    /// One an entrant, the cheapest first.
    pub(super) fn rows(&self) -> Vec<Row> {
        let costs = self.costs();
        let of_role = |role| -> Vec<usize> {
            (0..self.entrants.len())
                .filter(|&index| self.entrants[index].role == role)
                .collect()
        };
        let best_peer = statistics::cheapest(&costs, &of_role(Role::Peer));
        let floor = statistics::cheapest(&costs, &of_role(Role::Floor));
        let mut rows: Vec<Row> = (0..self.entrants.len())
            .filter_map(|index| self.row(index, &costs, best_peer, floor))
            .collect();
        rows.sort_by(|one, other| one.cost.median.total_cmp(&other.cost.median));
        rows
    }

    fn row(
        &self,
        index: usize,
        costs: &[Vec<f64>],
        best_peer: Option<usize>,
        floor: Option<usize>,
    ) -> Option<Row> {
        let of = |index: usize| -> Vec<f64> { costs.iter().map(|round| round[index]).collect() };
        let ratio = |other: Option<usize>| statistics::ratios(&of(index), &of(other?));
        let used = self.used();
        let mine = || used.iter().map(|round| &round.measurements[index]);
        let median = |figure: fn(&Measurement) -> f64| {
            Spread::of(mine().map(figure)).map_or(f64::NAN, |spread| spread.median)
        };
        let Entrant { name, role } = self.entrants[index].clone();
        Some(Row {
            name,
            role,
            cost: Spread::of(of(index))?,
            to_best_peer: ratio(best_peer),
            to_floor: ratio(floor),
            user_share: median(|m| m.user_share),
            requests_per_second: median(|m| m.requests_per_second),
            p50_ms: median(|m| m.p50_ms),
            p99_ms: median(|m| m.p99_ms),
            p99_9_ms: median(|m| m.p99_9_ms),
            peak_resident_kib: mine()
                .map(|m| m.peak_resident_kib)
                .max()
                .unwrap_or_default(),
            errors: self
                .rounds
                .iter()
                .map(|round| round.measurements[index].errors)
                .sum(),
        })
    }
}

/// What is told of an entrant.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) cost: Spread,
    pub(super) to_best_peer: Option<Spread>,
    pub(super) to_floor: Option<Spread>,
    pub(super) user_share: f64,
    pub(super) requests_per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p99_9_ms: f64,
    pub(super) peak_resident_kib: u64,
    /// In all rounds, also those that do not count.
    pub(super) errors: u64,
}
