//! A workload from its first round to its last: everybody is measured in turn, and rounds that somebody else's work on the
//! machine has spoilt are had again.

use super::measurement::{self, Measurement, Settings};
use super::outcome::{Entrant, Outcome, Round};
use super::progress::Progress;
use super::testbed::Testbed;
use super::workload::{Kind, Workload};

/// Rounds may be disturbed; of this many for each that must count, that is too many.
const TRIES: usize = 3;

/// Memory is the same in every round, and a round takes long.
pub(super) const MOST_IDLE_ROUNDS: usize = 3;

pub(super) fn run(
    workload: &'static Workload,
    rounds: usize,
    testbed: &mut Testbed,
    settings: &Settings,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    let rounds = match workload.kind {
        Kind::Idle => rounds.min(MOST_IDLE_ROUNDS),
        Kind::Load | Kind::AccessLog | Kind::Rules(_) | Kind::WholePath => rounds,
    };
    let subjects = testbed.subjects(workload);
    let entrants = subjects.iter().map(|&subject| Entrant {
        name: testbed.name(subject).to_owned(),
        role: testbed.role(subject),
    });
    let mut outcome = Outcome::new(workload, rounds, entrants.collect());
    while !outcome.is_complete() && outcome.rounds.len() < rounds * TRIES {
        let number = outcome.rounds.len();
        let mut measurements: Vec<Option<Measurement>> = vec![None; subjects.len()];
        for step in 0..subjects.len() {
            // A different one begins each time.
            let turn = (number + step) % subjects.len();
            let subject = subjects[turn];
            let name = testbed.name(subject);
            progress.now(&format!("{} round {}: {name}", workload.name, number + 1));
            testbed.check(subject)?;
            let measured = measurement::measure(workload, testbed, subject, settings)?;
            if settings.stop.is_requested() {
                anyhow::bail!("interrupted");
            }
            measurements[turn] = Some(measured);
        }
        outcome.add(Round {
            measurements: measurements.into_iter().flatten().collect(),
            disturbed: None,
        });
        progress.done(&outcome.last_line());
    }
    outcome.find_failures();
    Ok(outcome)
}
