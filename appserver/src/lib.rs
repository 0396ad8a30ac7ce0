//! The application tier of Lintel: entries with a title, a description and a status, as pages and as
//! JSON, in MySQL or SQLite.
//!
//! In reading order: `config` reads the environment; `serve` starts and stops the process; `app` is the
//! way of every request, through the URL table in `routes` to a handler in `handlers`, `api` or
//! `probes`; `entries` holds the queries, over the connections of `database` and the tables of
//! `schema`; `pages` writes the HTML.

mod serve;

pub mod config;

mod app;

mod routes;

mod visit;

mod handlers;

mod body;

mod form;

mod csrf;

mod api;

mod probes;

pub mod entry;

pub mod entries;

pub mod database;

pub mod schema;

mod pages;

mod respond;

mod app_error;

mod metrics;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use config::Settings;

/// The application tier: entries as pages and as JSON, in MySQL or SQLite.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT; settings come from the environment
    Run,
}

/// The whole program: `arguments` with the program's name first. Exit codes: 0 done, 1 wrong settings
/// or arguments, 2 could not start.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let variables = variables();
    let command = Arguments::command()
        .after_help(variables.clone())
        .mut_subcommand("run", |run| run.after_help(variables));
    let parsed = command
        .try_get_matches_from(arguments)
        .and_then(|m| Arguments::from_arg_matches(&m));
    match parsed {
        Ok(Arguments {
            command: Command::Run,
        }) => run(),
        Err(error) => {
            // Nobody is left to tell if standard output is gone.
            let _ = error.print();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::from(1),
            }
        }
    }
}

fn variables() -> String {
    let mut text = "Environment:\n".to_owned();
    for (name, default, meaning) in config::VARIABLES {
        let _ = writeln!(text, "  {name:<20}  {meaning} [{default}]"); // a String takes everything
    }
    text
}

fn run() -> ExitCode {
    let settings = match Settings::read(|name| std::env::var_os(name)) {
        Ok(settings) => settings,
        Err(problems) => {
            for problem in problems {
                eprintln!("{problem}");
            }
            return ExitCode::from(1);
        }
    };
    let _last_lines = lintel_common::telemetry::init(settings.log_format, "info");
    match serve::run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}
