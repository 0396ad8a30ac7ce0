//! `compare`: what a request costs in Lintel and in its peers, measured side by side on one machine. This is the spine:
//! what is asked for ([`options`], [`workload`], [`request`]), what runs ([`testbed`]: each [`candidate`] with the
//! configuration of a [`proxy`], perhaps with [`rules`], as a [`child`], before the [`targets`]; with [`certificates`],
//! [`ports`] and our [`relay`]), one proxy in one round ([`measurement`] and [`idle`], made of [`generator`], [`tls`] and
//! [`usage`]), rounds until enough of them count ([`rounds`]), what they come to ([`outcome`], [`statistics`],
//! [`figure`]), and what is told about it ([`progress`], [`report`]).
//!
//! Processor time for each request is what counts, because it is the same whether the machine has nothing else to do or
//! is full; and because the speed of a machine changes by the minute, it is compared only within a round, seconds apart.

mod application;
mod ask;
mod candidate;
mod certificates;
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
pub(crate) mod rules;
mod statistics;
mod targets;
mod testbed;
pub(crate) mod tls;
mod usage;
pub(crate) mod workload;

use std::io::{self, Write as _};
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
use workload::{Kind, Workload};

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
    let workloads = feasible(options, &progress)?;
    let settings = Settings {
        threads: options.threads.get(),
        duration: options.seconds,
        stop,
    };
    let mut report = Report::new(options);
    let ended = measure_all(&workloads, options, &settings, &progress, &mut report);
    // What there is when it ends early is worth keeping.
    report.write(options)?;
    ended?;
    Ok(report.is_clean())
}

/// Those that were asked for, without those that this machine lacks something for, unless they were asked for by name.
fn feasible(options: &Options, progress: &Progress) -> anyhow::Result<Vec<&'static Workload>> {
    let (mut workloads, mut left_out) = (Vec::new(), Vec::new());
    for workload in options.workloads() {
        if workload.kind == Kind::WholePath
            && let Err(reason) = application::program()
        {
            if options.names(workload) {
                return Err(reason);
            }
            left_out.push((workload.name, reason));
        } else {
            workloads.push(workload);
        }
    }
    for (name, reason) in left_out {
        progress.done(&format!("{name} is left out: {reason}"));
    }
    Ok(workloads)
}

/// What is about to happen, and how long that takes if no round is disturbed.
fn prospect(workloads: &[&Workload], options: &Options) -> String {
    // Ours, the peers, and most often the relay; an idle one is started anew and waited for.
    const IDLE: Duration = Duration::from_secs(6);
    let proxies = options.peers().len() as u32 + 2;
    let rounds = options.rounds.get() as u32;
    let time = workloads.iter().map(|workload| match workload.kind {
        Kind::Idle => IDLE * proxies * rounds.min(rounds::MOST_IDLE_ROUNDS as u32),
        // Warming up and going home take as much again as half of it.
        _ => options.seconds.mul_f64(1.5) * proxies * rounds,
    });
    let minutes = time.sum::<Duration>().as_secs() / 60;
    let time = match minutes {
        0 => "less than a minute".to_owned(),
        minutes => format!("{minutes} minutes or more"),
    };
    format!(
        "{} workloads, {rounds} rounds each: {time}",
        workloads.len()
    )
}

fn measure_all(
    workloads: &[&'static Workload],
    options: &Options,
    settings: &Settings,
    progress: &Progress,
    report: &mut Report,
) -> anyhow::Result<()> {
    // Told once it is known that somebody can be started.
    let mut prospect = Some(prospect(workloads, options));
    // One testbed for those with an application behind, one for all others.
    for with_application in [false, true] {
        let belongs =
            |workload: &&&Workload| (workload.kind == Kind::WholePath) == with_application;
        let workloads: Vec<&'static Workload> = workloads.iter().filter(belongs).copied().collect();
        if workloads.is_empty() {
            continue;
        }
        progress.now("starting everybody");
        let mut testbed = Testbed::start(&workloads, options, &settings.stop)?;
        if let Some(line) = prospect.take() {
            progress.done(&line);
        }
        for workload in workloads {
            let rounds = options.rounds.get();
            let outcome = rounds::run(workload, rounds, &mut testbed, settings, progress)?;
            print(&report.add(outcome));
        }
    }
    Ok(())
}

fn show_configurations(options: &Options) -> anyhow::Result<()> {
    for candidate in testbed::configurations(options)? {
        let (name, command) = (&candidate.name, candidate.command());
        let text = &candidate.configuration;
        print(&format!("# {name}\n# {command}\n\n{text}"));
    }
    Ok(())
}

/// And an empty line behind it. Nobody may be reading.
fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
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
