//! What came of it: tables for people, as Markdown that also reads well on a terminal, a plot, and JSON with every raw
//! round.

mod markdown;
mod plot;

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Context as _;
use serde::Serialize;

use super::options::Options;
use super::outcome::{Outcome, Row};

#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) date: String,
    /// The command line.
    pub(super) command: String,
    pub(super) machine: Machine,
    workers: usize,
    /// How long each proxy is measured in a round.
    seconds: f64,
    /// That must count.
    rounds: usize,
    workloads: Vec<Section>,
}

#[derive(Debug, Serialize)]
pub(super) struct Machine {
    processors: usize,
    model: String,
    kernel: String,
}

#[derive(Debug, Serialize)]
struct Section {
    #[serde(flatten)]
    outcome: Outcome,
    rows: Vec<Row>,
}

impl Report {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            date: httpdate::fmt_http_date(SystemTime::now()),
            command: command(),
            machine: Machine::this(),
            workers: options.workers.get(),
            seconds: options.seconds.as_secs_f64(),
            rounds: options.rounds.get(),
            workloads: Vec::new(),
        }
    }

    /// Gives the workload's table.
    pub(super) fn add(&mut self, outcome: Outcome) -> String {
        let rows = outcome.rows();
        let table = markdown::section(&outcome, &rows);
        self.workloads.push(Section { outcome, rows });
        table
    }

    /// All figures may be used.
    pub(super) fn is_clean(&self) -> bool {
        self.workloads
            .iter()
            .all(|section| section.outcome.failures.is_empty())
    }

    pub(super) fn markdown(&self) -> String {
        let mut text = markdown::preface(self);
        for Section { outcome, rows } in &self.workloads {
            text.push('\n');
            text.push_str(&markdown::section(outcome, rows));
        }
        text
    }

    /// To the files that were asked for.
    pub(super) fn write(&self, options: &Options) -> anyhow::Result<()> {
        if let Some(file) = &options.markdown {
            write(file, &self.markdown())?;
        }
        if let Some(file) = &options.svg {
            write(file, &plot::svg(&self.workloads))?;
        }
        if let Some(file) = &options.json {
            write(file, &(serde_json::to_string_pretty(self)? + "\n"))?;
        }
        Ok(())
    }
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// As it was typed, but for the place of the program.
fn command() -> String {
    let arguments = std::env::args().skip(1);
    let words = arguments.map(|word| {
        if word.contains(' ') {
            format!("'{word}'")
        } else {
            word
        }
    });
    std::iter::once("lintel-benches".to_owned())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

impl Machine {
    fn this() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == "model name").then(|| value.trim().to_owned())
        });
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            model: model.unwrap_or_else(|| "unknown".to_owned()),
            kernel: kernel.trim().to_owned(),
        }
    }
}
