//! `compare`: what a request costs in Lintel and in its peers, measured side by side on one machine. This is the spine:
//! what is asked for ([`options`], [`workload`], [`request`]), what runs ([`testbed`], made of [`proxy`], [`child`],
//! [`ports`] and [`relay`]), one proxy in one round ([`measurement`] and [`idle`], made of [`generator`], [`tls`] and
//! [`usage`]), rounds until enough of them count ([`rounds`]), what they come to ([`outcome`], [`statistics`],
//! [`figure`]), and what is told about it ([`progress`], [`report`]).
//!
//! Processor time for each request is what counts, because it is the same whether the machine has nothing else to do or
//! is full; and because the speed of a machine changes by the minute, it is compared only within a round, seconds apart.

mod child;
mod figure;
mod generator;
mod idle;
mod measurement;
mod options;
mod outcome;
mod ports;
mod progress;
mod proxy;
pub(crate) mod relay;
mod report;
mod request;
mod rounds;
mod statistics;
mod testbed;
pub(crate) mod tls;
mod usage;
pub(crate) mod workload;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use lintel_common::shutdown::{self, Shutdown};

use measurement::Settings;
pub(crate) use options::Options;
use progress::Progress;
use report::Report;
use testbed::Testbed;

const NOT_CLEAN: u8 = 1;
const COULD_NOT_START: u8 = 2;

/// Everything that runs is told at once; this only bounds what nobody waits for.
const STOP_BOUND: Duration = Duration::from_secs(1);

pub(crate) fn main(options: &Options) -> ExitCode {
    let outcome = if options.show_config {
        show_configurations(options).map(|()| true)
    } else {
        compare(options)
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOT_CLEAN),
        Err(error) => {
            eprintln!("lintel-benches: {error:#}");
            ExitCode::from(COULD_NOT_START)
        }
    }
}

/// Whether all figures may be used.
fn compare(options: &Options) -> anyhow::Result<bool> {
    let stop = stop_at_signals()?;
    let progress = Progress::new();
    progress.now("starting everybody");
    let mut testbed = Testbed::start(options, &stop)?;
    let settings = Settings {
        threads: options.threads.get(),
        duration: options.seconds,
        stop,
    };
    let mut report = Report::new(options);
    for workload in options.workloads() {
        let rounds = options.rounds.get();
        let outcome = rounds::run(workload, rounds, &mut testbed, &settings, &progress)?;
        println!("{}", report.add(outcome));
    }
    report.write(options)?;
    Ok(report.is_clean())
}

fn show_configurations(options: &Options) -> anyhow::Result<()> {
    for candidate in testbed::configurations(options)? {
        println!("# {}\n# {}\n", candidate.name, candidate.command());
        println!("{}", candidate.configuration);
    }
    Ok(())
}

/// SIGINT and SIGTERM end the measurement in order: children first, then their files.
fn stop_at_signals() -> anyhow::Result<Shutdown> {
    let (trigger, stop) = shutdown::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot make a runtime")?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(shutdown::on_signals(trigger, STOP_BOUND)))
        .context("cannot start a thread")?;
    Ok(stop)
}
