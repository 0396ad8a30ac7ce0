//! `instructions`: how many instructions the proxy executes in user space for a request, counted by valgrind's callgrind.
//! Unlike times, the figure hardly moves with the machine or with what else runs on it, so a rise over the committed
//! baseline means that the program has become dearer, and can fail a build.
//!
//! For each workload the proxy runs twice, with few and with many requests on the same connections; the difference is
//! what the further requests cost, and start-up, handshakes and stop cancel out. The origin and the client run beside
//! valgrind, not in it. What the kernel does is not counted.

mod baseline;
mod callgrind;
mod client;
mod profile;
mod proxy;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use lintel_certs::DevCertificates;

use crate::compare::rules::Rules;
use crate::compare::workload::{Kind, WORKLOADS, Workload};
use crate::origin;
use baseline::{Baseline, Verdict};
use callgrind::Costs;
use proxy::Proxy;

const COSTS_TOO_MUCH: u8 = 1;
const COULD_NOT_MEASURE: u8 = 2;

/// Those workloads of `compare` in which a request is all there is to count.
const COUNTED: [&str; 8] = ["W1", "W2", "W3", "W9", "W9S", "WRP", "WRH", "WRA"];

/// Requests of the short run.
const FEW: usize = 512;

const AFTER_HELP: &str = "\
The workloads are those of `compare`, on as many connections; those with 100 rules are counted with one rule too. Needs
valgrind, and a build with --release.

Exit codes: 0 done, 1 dearer than the baseline allows, 2 could not measure.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Options {
    /// Left out: all of them
    #[arg(long = "workload", value_name = "NAME", num_args = 1.., value_parser = workload)]
    workloads: Vec<&'static Workload>,
    /// Fail if a workload costs over 5 % more than this file says
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write what was measured to this file; what it says of other workloads stays
    #[arg(long, value_name = "FILE")]
    write_baseline: Option<PathBuf>,
    /// Let the proxy write an access log in JSON to a file
    #[arg(long, conflicts_with_all = ["baseline", "write_baseline"])]
    access_log: bool,
    /// Tell in which functions the instructions are
    #[arg(long)]
    profile: bool,
    /// Requests that are counted; more of them are slower and more exact
    #[arg(long, value_name = "N", default_value = "8192", value_parser = clap::value_parser!(u32).range(256..=1_000_000))]
    requests: u32,
}

pub(crate) fn main(options: &Options) -> ExitCode {
    match run(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(COSTS_TOO_MUCH),
        Err(error) => {
            eprintln!("lintel-benches: {error:#}");
            ExitCode::from(COULD_NOT_MEASURE)
        }
    }
}

fn counted() -> impl Iterator<Item = &'static Workload> {
    WORKLOADS
        .iter()
        .filter(|workload| COUNTED.contains(&workload.name))
}

fn workload(name: &str) -> Result<&'static Workload, String> {
    counted()
        .find(|workload| workload.name.eq_ignore_ascii_case(name))
        .ok_or_else(|| format!("there are {}", COUNTED.join(", ")))
}

/// Whether everything stays within the baseline.
fn run(options: &Options) -> anyhow::Result<bool> {
    // A mistake in a file shows before the minutes of measuring.
    let baseline = options
        .baseline
        .as_deref()
        .map(Baseline::read)
        .transpose()?;
    let mut written = match &options.write_baseline {
        Some(file) if file.exists() => Baseline::read(file)?,
        _ => Baseline::default(),
    };
    if cfg!(debug_assertions) {
        bail!(
            "build with --release: what a debug build executes says nothing of the program that people run"
        );
    }
    callgrind::require()?;
    let workloads = match options.workloads.as_slice() {
        [] => counted().collect(),
        some => some.to_vec(),
    };
    let directory = tempfile::tempdir().context("cannot make a directory")?;
    let certificates = lintel_certs::ensure(directory.path(), &[])?;
    let mut output = io::stdout().lock();
    let mut holds = true;
    writeln!(
        output,
        "user-space instructions a request, of {} requests",
        options.requests
    )?;
    for workload in workloads {
        let measure = |rules| {
            measure(workload, rules, options, directory.path(), &certificates)
                .with_context(|| format!("{} could not be measured", workload.name))
        };
        let (costs, beside) = match workload.kind {
            Kind::Rules(conditions) => {
                let one = measure(Some(conditions.one_rule()))?;
                (measure(Some(conditions.all_rules()))?, Some(one.total))
            }
            _ => (measure(None)?, None),
        };
        let instructions = costs.total / u64::from(options.requests);
        let verdict = baseline
            .as_ref()
            .map(|baseline| baseline.judge(workload.name, instructions));
        holds &= verdict.as_ref().is_none_or(Verdict::holds);
        let verdict = verdict
            .map(|verdict| verdict.to_string())
            .unwrap_or_default();
        let beside = beside.map_or_else(String::new, |one| {
            let ratio = costs.total as f64 / one as f64;
            let one = one / u64::from(options.requests);
            format!("  {ratio:.2} times that with one rule, {one}")
        });
        writeln!(
            output,
            "{:<4} {instructions:>9}{beside}  {verdict}",
            workload.name
        )?;
        if options.profile {
            write!(
                output,
                "{}",
                profile::Table::new(&costs, u64::from(options.requests))
            )?;
        }
        written.set(workload.name, instructions);
    }
    if let Some(file) = &options.write_baseline {
        written.write(file)?;
    }
    if let (false, Some(file)) = (holds, &options.baseline) {
        writeln!(
            output,
            "to accept these figures: cargo run --release -p lintel-benches -- instructions --write-baseline {}",
            file.display()
        )?;
    }
    Ok(holds)
}

/// What the requests cost, without what the program costs besides.
fn measure(
    workload: &Workload,
    rules: Option<Rules>,
    options: &Options,
    directory: &Path,
    certificates: &DevCertificates,
) -> anyhow::Result<Costs> {
    let count = |requests| {
        let log = options.access_log;
        count(workload, rules, requests, log, directory, certificates)
    };
    let few = count(FEW)?;
    let many = count(FEW + options.requests as usize)?;
    Ok(many.without(&few))
}

/// One run.
fn count(
    workload: &Workload,
    rules: Option<Rules>,
    requests: usize,
    access_log: bool,
    directory: &Path,
    certificates: &DevCertificates,
) -> anyhow::Result<Costs> {
    let origin = origin::Process::start(proxy::TARGETS, true)?;
    let log = access_log.then(|| directory.join("access.log"));
    let settings = proxy::Settings {
        origins: &origin.addresses,
        log: log.as_deref(),
        rules,
        certificates,
    };
    let mut proxy = Proxy::start(directory, workload, &settings)?;
    origin.expect(workload.protocol.is_encrypted(), proxy.address.port())?;
    client::run(workload, requests, &proxy, &certificates.ca)
        .with_context(|| proxy.last_words())?;
    let costs = proxy.stop()?;
    let report = origin.report()?;
    if report.requests != requests as u64 || report.missing_forwarding_headers > 0 {
        bail!(
            "of {requests} requests {} arrived, {} of them with wrong forwarding headers",
            report.requests,
            report.missing_forwarding_headers
        );
    }
    Ok(costs)
}
