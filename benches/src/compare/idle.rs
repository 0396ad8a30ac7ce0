//! What connections cost that do nothing: resident memory of a proxy before, with and after them.
//!
//! Each is measured freshly started, because memory that an earlier workload has left behind would be used again; and
//! with warm pools, because their memory belongs to what asks.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;

use super::figure;
use super::generator::{Generator, Load, WarmUp};
use super::measurement::{Measurement, Settings};
use super::testbed::{Subject, Testbed};
use super::usage::Processes;
use super::workload::Workload;

const WARM_UP: Duration = Duration::from_millis(500);
const WARM_UP_CONNECTIONS: usize = 64;

/// Memory counts when it has not changed for so long, and at the latest after the other.
const SETTLED: Duration = Duration::from_millis(300);
const SETTLE_TIMEOUT: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(50);

/// So long after the last connection was closed a proxy may have given back what it does not need.
const GIVING_BACK: Duration = Duration::from_secs(2);

pub(super) fn measure(
    workload: &'static Workload,
    testbed: &mut Testbed,
    subject: Subject,
    settings: &Settings,
) -> anyhow::Result<Measurement> {
    testbed.restart(subject, &settings.stop)?;
    let load = settings.load(workload, testbed, subject)?;
    if testbed.connections < workload.connections as u64 {
        bail!(
            "{} needs {} connections and as many to targets, but so many open files are not allowed: ulimit -n {}",
            workload.name,
            workload.connections,
            workload.connections * 2 + 200
        );
    }
    testbed.expect(&load)?;
    warm_up(&load)?;
    let processes = testbed.processes(subject)?;
    let before = settled(&processes)?;
    let generator = Generator::start(&load)?;
    let idle = settled(&processes)?;
    let tally = generator.dismiss()?;
    thread::sleep(GIVING_BACK);
    let after = processes.resident()?;
    let connections = workload.connections as f64;
    let mebibytes = |kibibytes: u64| kibibytes as f64 / 1024.0;
    let figures = BTreeMap::from([
        (figure::REQUESTS, tally.requests as f64),
        (figure::BEFORE.key, mebibytes(before)),
        (figure::IDLE.key, mebibytes(idle)),
        (figure::AFTER.key, mebibytes(after)),
        (figure::AFTER_BEFORE.key, after as f64 / before as f64),
    ]);
    let cost = (idle as f64 - before as f64) / connections;
    Ok(Measurement::with_errors(&tally, cost, figures))
}

/// As the idle ones will, a few connections ask for a while and go.
fn warm_up(load: &Load) -> anyhow::Result<()> {
    let warm_up = Load {
        warm_up: WarmUp::For(WARM_UP),
        connections: WARM_UP_CONNECTIONS,
        ..load.clone()
    };
    Generator::start(&warm_up)?.dismiss().map(drop)
}

/// Resident memory in KiB, once it is at rest.
fn settled(processes: &Processes) -> anyhow::Result<u64> {
    let patience = Instant::now() + SETTLE_TIMEOUT;
    let mut last = processes.resident()?;
    let mut since = Instant::now();
    while since.elapsed() < SETTLED && Instant::now() < patience {
        thread::sleep(POLL);
        let now = processes.resident()?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    Ok(last)
}
