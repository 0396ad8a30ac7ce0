//! A workload from its first round to its last: everybody is measured in turn, and rounds that somebody else's work on the
//! machine has spoilt are had again.

use super::idle;
use super::measurement::{Measurement, Settings, Work};
use super::outcome::{Entrant, Outcome, Round};
use super::progress::Progress;
use super::testbed::{Subject, Testbed};
use super::workload::{Kind, Workload};

/// Rounds may be disturbed; of this many for each that must count, that is too many.
const TRIES: usize = 6;

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
        progress.now(&format!("{} round {}", workload.name, number + 1));
        let measurements = match workload.kind {
            Kind::Idle => idle_round(number, workload, &subjects, testbed, settings)?,
            _ => round(number, workload, &subjects, testbed, settings)?,
        };
        outcome.add(Round {
            measurements,
            disturbed: None,
        });
        progress.done(&outcome.last_line());
    }
    outcome.find_failures();
    Ok(outcome)
}

fn round(
    number: usize,
    workload: &'static Workload,
    subjects: &[Subject],
    testbed: &mut Testbed,
    settings: &Settings,
) -> anyhow::Result<Vec<Measurement>> {
    let mut works: Vec<Work> = subjects.iter().map(|_| Work::default()).collect();
    for part in 0..settings.parts() as usize {
        for turn in turns(number + part, subjects.len()) {
            testbed.check(subjects[turn])?;
            works[turn].go_on(workload, testbed, subjects[turn], settings)?;
            end_if_asked(settings)?;
        }
    }
    let works = works.iter().zip(subjects);
    let measurements =
        works.map(|(work, &subject)| Measurement::of(work, subject, workload.unit()));
    Ok(measurements.collect())
}

fn idle_round(
    number: usize,
    workload: &'static Workload,
    subjects: &[Subject],
    testbed: &mut Testbed,
    settings: &Settings,
) -> anyhow::Result<Vec<Measurement>> {
    let mut measurements: Vec<Option<Measurement>> = vec![None; subjects.len()];
    for turn in turns(number, subjects.len()) {
        testbed.check(subjects[turn])?;
        measurements[turn] = Some(idle::measure(workload, testbed, subjects[turn], settings)?);
        end_if_asked(settings)?;
    }
    Ok(measurements.into_iter().flatten().collect())
}

/// A different one begins each time.
fn turns(first: usize, count: usize) -> impl Iterator<Item = usize> {
    (first..first + count).map(move |turn| turn % count)
}

fn end_if_asked(settings: &Settings) -> anyhow::Result<()> {
    anyhow::ensure!(!settings.stop.is_requested(), "interrupted");
    Ok(())
}
