//! The command `check`: what is found in a configuration file is printed, nothing is started.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::ValueEnum;
use lintel_common::config_file::Diagnostic;
use serde_json::json;

use crate::config::{self, Loaded};
use crate::model::Model;

/// How the findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// One line each
    #[default]
    Text,
    /// One object
    Json,
}

/// Prints every finding to standard output, then a summary if there is no error. Exit code 0 or 1.
pub(crate) fn run(config: &Path, format: Format) -> ExitCode {
    let report = Report::new(config::load(config));
    let printed = match format {
        Format::Text => report.text(config),
        Format::Json => format!("{}\n", report.json()),
    };
    // Whoever closed the pipe has read enough; the exit code still tells.
    let _ = io::stdout().lock().write_all(printed.as_bytes());
    if report.summary.is_some() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What `check --format json` prints for this outcome of reading a configuration.
pub(crate) fn json(result: Result<Loaded, Vec<Diagnostic>>) -> serde_json::Value {
    Report::new(result).json()
}

struct Report {
    diagnostics: Vec<Diagnostic>,
    /// Only if there is no error.
    summary: Option<Summary>,
}

struct Summary {
    listeners: usize,
    /// Without the default ones.
    rules: usize,
    target_groups: usize,
    /// Without those that discovery will find.
    targets: usize,
}

impl Report {
    fn new(result: Result<Loaded, Vec<Diagnostic>>) -> Self {
        match result {
            Ok(loaded) => Self {
                summary: Some(Summary::of(&loaded.model)),
                diagnostics: loaded.warnings,
            },
            Err(diagnostics) => Self {
                summary: None,
                diagnostics,
            },
        }
    }

    fn text(&self, config: &Path) -> String {
        let mut text = String::new();
        for diagnostic in &self.diagnostics {
            let _ = writeln!(text, "{diagnostic}");
        }
        if let Some(summary) = &self.summary {
            let _ = writeln!(
                text,
                "{}: ok: {}, {}, {}, {}",
                config.display(),
                counted(summary.listeners, "listener"),
                counted(summary.rules, "rule"),
                counted(summary.target_groups, "target group"),
                counted(summary.targets, "target"),
            );
        }
        text
    }

    fn json(&self) -> serde_json::Value {
        let diagnostics = self.diagnostics.iter().map(|diagnostic| {
            json!({
                "file": diagnostic.file.display().to_string(),
                "line": diagnostic.line,
                "column": diagnostic.column,
                "severity": diagnostic.severity.as_str(),
                "key": diagnostic.key,
                "message": diagnostic.message,
            })
        });
        let summary = self.summary.as_ref().map(|summary| {
            json!({
                "listeners": summary.listeners,
                "rules": summary.rules,
                "target_groups": summary.target_groups,
                "targets": summary.targets,
            })
        });
        json!({
            "ok": self.summary.is_some(),
            "diagnostics": diagnostics.collect::<serde_json::Value>(),
            "summary": summary,
        })
    }
}

impl Summary {
    fn of(model: &Model) -> Self {
        let rules = |listener: &crate::model::ListenerSettings| listener.rules.rules().len();
        Self {
            listeners: model.listeners.len(),
            rules: model.listeners.iter().map(rules).sum(),
            target_groups: model.target_groups.len(),
            targets: model
                .target_groups
                .iter()
                .map(|group| group.targets.len())
                .sum(),
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
[[target_group]]
name = 'app'
port = 8000
targets = ['10.0.0.1', '10.0.0.1']
[[listener]]
port = 80
default_action = { type = 'forward', target_group = 'app' }
";

    fn report(text: &str) -> Report {
        Report::new(config::parse(text, Path::new("f.toml")))
    }

    #[test]
    fn text_is_a_line_a_finding_and_a_summary() {
        let printed = report(GOOD).text(Path::new("f.toml"));
        assert_eq!(
            printed,
            "f.toml:4:24: warning: target_group[0].targets[1]: 10.0.0.1:8000 is registered already; leave it out here\n\
             f.toml: ok: 1 listener, 0 rules, 1 target group, 1 target\n"
        );
        let printed = report("[[listener]]\nport = 80\n").text(Path::new("f.toml"));
        assert_eq!(
            printed,
            "f.toml:1:1: error: listener[0].default_action: is missing; add `default_action = { type = \"forward\", target_group = \"app\" }`\n"
        );
    }

    #[test]
    fn json_says_the_same() {
        let warning = json!({
            "file": "f.toml", "line": 4, "column": 24, "severity": "warning", "key": "target_group[0].targets[1]",
            "message": "10.0.0.1:8000 is registered already; leave it out here",
        });
        let summary = json!({"listeners": 1, "rules": 0, "target_groups": 1, "targets": 1});
        assert_eq!(
            report(GOOD).json(),
            json!({"ok": true, "diagnostics": [warning], "summary": summary})
        );
        let refused = report("x = 1").json();
        assert_eq!(
            (&refused["ok"], &refused["summary"]),
            (&json!(false), &json!(null))
        );
    }
}
