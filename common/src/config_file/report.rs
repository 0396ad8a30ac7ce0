//! Collects what is found while a file is read, and turns offsets into lines and columns.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use super::{Diagnostic, Severity};

/// Shared by all tables and values of one file; a `RefCell` because several of them are in use at once.
pub(super) struct Report<'r> {
    file: &'r Path,
    text: &'r str,
    diagnostics: RefCell<Vec<Diagnostic>>,
    keys: RefCell<BTreeSet<String>>,
    /// Lines with a syntax error: what else is found there follows from it.
    broken_lines: BTreeSet<usize>,
}

impl<'r> Report<'r> {
    pub(super) fn new(file: &'r Path, text: &'r str, syntax_errors: &[toml::de::Error]) -> Self {
        let mut report = Self {
            file,
            text,
            diagnostics: RefCell::default(),
            keys: RefCell::default(),
            broken_lines: BTreeSet::new(),
        };
        for error in syntax_errors {
            let offset = error.span().map_or(text.len(), |span| span.start);
            // One a line: what the parser says after the first only follows from it.
            let message = match error.message().split_once(", expected ") {
                Some((wrong, right)) => format!("{wrong}; expected {right}"),
                None => format!("{}; see https://toml.io for the syntax", error.message()),
            };
            report.add(Severity::Error, offset, "syntax", &message);
            report.broken_lines.insert(line_and_column(text, offset).0);
        }
        report
    }

    pub(super) fn add(&self, severity: Severity, offset: usize, key: &str, message: &str) {
        let (line, column) = line_and_column(self.text, offset);
        if self.broken_lines.contains(&line) {
            return;
        }
        self.diagnostics.borrow_mut().push(Diagnostic {
            file: self.file.to_owned(),
            line,
            column,
            severity,
            key: on_one_line(key),
            message: on_one_line(message),
        });
    }

    /// Whether the whole file was understood: only then can something be said to be missing from it.
    pub(super) fn is_complete(&self) -> bool {
        self.broken_lines.is_empty()
    }

    pub(super) fn has_errors(&self) -> bool {
        let is_error = |diagnostic: &Diagnostic| diagnostic.severity == Severity::Error;
        self.diagnostics.borrow().iter().any(is_error)
    }

    pub(super) fn asked_for(&self, key: &str) {
        self.keys.borrow_mut().insert(without_indices(key));
    }

    pub(super) fn source(&self, span: std::ops::Range<usize>) -> &'r str {
        self.text.get(span).unwrap_or_default()
    }

    pub(super) fn finish(self) -> (Vec<Diagnostic>, BTreeSet<String>) {
        let mut diagnostics = self.diagnostics.into_inner();
        diagnostics.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        (diagnostics, self.keys.into_inner())
    }
}

/// Both from 1, the column in characters.
pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let in_line = before[line_start..].trim_start_matches('\u{feff}');
    (line, in_line.chars().count() + 1)
}

/// Keys and quoted values may hold line ends; a diagnostic is one line.
fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// `a[0].b` -> `a.b`
fn without_indices(key: &str) -> String {
    let mut kept = String::with_capacity(key.len());
    let mut inside = false;
    for character in key.chars() {
        match character {
            '[' => inside = true,
            ']' => inside = false,
            _ if inside => {}
            other => kept.push(other),
        }
    }
    kept
}
