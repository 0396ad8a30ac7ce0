//! The command `explain`: what would happen to a request, and why. It asks the same code that answers requests; nothing is
//! started and nothing is sent. Which target of a group it would be depends on their health and is not known here.

mod answer;
mod print;
mod question;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use lintel_common::config_file::Diagnostic;
use serde_json::json;

use crate::check::{self, Format};
use crate::config;
use answer::Explanation;
pub(crate) use question::Arguments;
use question::Question;

/// Prints the explanation to standard output. Exit code 1, and why, if there is none: a bad file, a URL that is none, or
/// one that no listener is for.
pub(crate) fn run(config: &Path, arguments: &Arguments, format: Format) -> ExitCode {
    match explain(config, arguments) {
        Ok(explanation) => {
            let printed = match format {
                Format::Text => print::text(&explanation),
                Format::Json => format!("{}\n", print::json(&explanation)),
            };
            // Whoever closed the pipe has read enough.
            let _ = io::stdout().lock().write_all(printed.as_bytes());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            failure.print(format);
            ExitCode::FAILURE
        }
    }
}

fn explain(config: &Path, arguments: &Arguments) -> Result<Explanation, Failure> {
    let question = Question::new(arguments).map_err(|error| Failure::Asked(error.to_string()))?;
    let loaded = config::load(config).map_err(Failure::File)?;
    answer::explain(&loaded.model, &question).map_err(|error| Failure::Asked(error.to_string()))
}

/// Why there is no explanation.
enum Failure {
    /// The configuration file has mistakes.
    File(Vec<Diagnostic>),
    /// The question cannot be answered.
    Asked(String),
}

impl Failure {
    /// For people to standard error, as JSON to standard output: whoever reads that finds one object in every case.
    fn print(self, format: Format) {
        match (format, self) {
            (Format::Text, Self::File(found)) => found.iter().for_each(|line| eprintln!("{line}")),
            (Format::Text, Self::Asked(error)) => eprintln!("lintel-proxy: {error}"),
            (Format::Json, Self::File(found)) => print_json(&check::json(Err(found))),
            (Format::Json, Self::Asked(error)) => {
                print_json(&json!({ "ok": false, "error": error }));
            }
        }
    }
}

fn print_json(object: &serde_json::Value) {
    // Whoever closed the pipe has read enough.
    let _ = writeln!(io::stdout().lock(), "{object}");
}
