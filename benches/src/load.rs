//! `load`: many requests to one URL, each answer checked, and a table of what came of them. This is the spine: where to
//! ([`target`]), the threads that send and count ([`generator`]) and what is told about it ([`progress`], [`report`]).
//! What is sent and expected is the [`client`](crate::client)'s, when is the [`schedule`](crate::schedule)'s.
//!
//! Closed loop: every client (a connection, or a stream of one) sends its next request when the last one has ended, so
//! a slow server is asked less and its slowness shows in requests/s. Open loop (`--rate`): requests are due at fixed
//! times whatever the server does, and latency counts from when a request was due, so time that it waited for a free
//! connection is part of it. A request that needs a new connection pays for it; only those that are open before the
//! measurement starts are free.

mod generator;
mod options;
mod progress;
mod report;
mod target;
mod tls;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, anyhow, bail};
use lintel_common::shutdown;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use generator::{Generator, Opened};
pub(crate) use options::Options;
use options::Plan;
use progress::{Progress, Teller};
use report::Report;

use crate::tally::Tally;

const REQUESTS_FAILED: u8 = 1;
const COULD_NOT_START: u8 = 2;

/// Descriptors besides the connections: standard streams, and a handful for each thread's runtime.
const OTHER_DESCRIPTORS: usize = 64;

pub(crate) fn main(options: &Options) -> ExitCode {
    match run(options) {
        Ok(report) => {
            if options.json {
                println!("{}", report.json());
            } else {
                print!("{report}");
            }
            if report.is_clean() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(REQUESTS_FAILED)
            }
        }
        Err(error) => {
            eprintln!("lintel-benches: {error:#}");
            ExitCode::from(COULD_NOT_START)
        }
    }
}

fn run(options: &Options) -> anyhow::Result<Report> {
    let plan = Arc::new(Plan::new(options)?);
    allow_descriptors(plan.connections)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot make a runtime")?
        .block_on(conduct(&plan))
}

/// Starts the threads, lets them begin together once their connections are open, and gathers what they counted.
async fn conduct(plan: &Arc<Plan>) -> anyhow::Result<Report> {
    let (trigger, stop) = shutdown::channel();
    let (opened, mut news) = mpsc::channel(plan.threads);
    let (begin, begun) = watch::channel(None);
    let progress = Arc::new(Progress::default());
    let mut threads = Vec::new();
    for index in 0..plan.threads {
        let generator = Generator {
            plan: Arc::clone(plan),
            index,
            opened: opened.clone(),
            begun: begun.clone(),
            progress: Arc::clone(&progress),
            stop: stop.clone(),
        };
        let thread = thread::Builder::new()
            .name(format!("generator-{index}"))
            .spawn(move || generator.run())
            .context("cannot start a thread; fewer --threads may help")?;
        threads.push(thread);
    }
    drop(opened);

    // Without signal handlers Ctrl-C ends the program all the same, only without a report.
    tokio::spawn(shutdown::on_signals(trigger.clone(), plan.timeout));
    let teller = Teller::new(progress, plan.duration);
    let measured = measure(plan, &mut news, &begin, teller).await;
    // However that ended, nothing runs on.
    trigger.expire();
    let mut total = Tally::default();
    for thread in threads {
        let tally = thread
            .join()
            .map_err(|_| anyhow!("a generator thread panicked"))??;
        total.merge(&tally);
    }
    Ok(Report::new(plan, measured?, &total))
}

/// From the first connection to the last answer. Gives the moment at which the clock started.
async fn measure(
    plan: &Plan,
    news: &mut mpsc::Receiver<Opened>,
    begin: &watch::Sender<Option<Instant>>,
    mut teller: Teller,
) -> anyhow::Result<Instant> {
    let (mut connections, mut failure) = (0, None);
    for _ in 0..plan.threads {
        let opened = news.recv().await.context("interrupted")?;
        connections += opened.connections;
        failure = failure.or(opened.failure);
    }
    if connections == 0 {
        let reason =
            failure.map_or_else(|| "interrupted".to_owned(), |failure| failure.to_string());
        bail!("no connection to {} could be opened: {reason}", plan.url);
    }
    let start = Instant::now();
    begin.send_replace(Some(start));
    let mut tick = tokio::time::interval_at((start + progress::EVERY).into(), progress::EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // Closed when the last thread has ended.
            None = news.recv() => return Ok(start),
            // Nobody may be reading.
            _ = tick.tick() => drop(writeln!(io::stderr(), "{}", teller.line(start.elapsed()))),
        }
    }
}

/// As many descriptors as this user may have, and an error now rather than thousands later if they are too few.
fn allow_descriptors(connections: usize) -> anyhow::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        // If it cannot be raised, the one there is counts.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    let needed = connections + OTHER_DESCRIPTORS;
    match getrlimit(Resource::Nofile).current {
        Some(allowed) if allowed < needed as u64 => bail!(
            "{connections} connections need {needed} open files, but only {allowed} are allowed: \
             raise the limit (ulimit -n {needed}) or use fewer --connections"
        ),
        _ => Ok(()),
    }
}
