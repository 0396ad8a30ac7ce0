//! The command `explain`: what would happen to a request, and why. It asks the same code that answers requests; nothing is
//! started and nothing is sent. Which target of a group it would be depends on their health and is not known here.

mod answer;
mod print;
mod question;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use crate::check::Format;
use crate::config;
use answer::Explanation;
pub(crate) use question::Arguments;
use question::Question;

/// Prints the explanation to standard output. Exit code 1 if there is none: a bad file, a URL that is none, or one that
/// no listener is for.
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
        Err(lines) => {
            for line in lines {
                eprintln!("{line}");
            }
            ExitCode::FAILURE
        }
    }
}

/// On failure, the lines that say why.
fn explain(config: &Path, arguments: &Arguments) -> Result<Explanation, Vec<String>> {
    let one_line = |error: &dyn std::fmt::Display| vec![format!("lintel-proxy: {error}")];
    let question = Question::new(arguments).map_err(|error| one_line(&error))?;
    let loaded = config::load(config)
        .map_err(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    answer::explain(&loaded.model, &question).map_err(|error| one_line(&error))
}
