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
    /// A header with a syntax error: keys below it look as if they stood in another table.
    broken_header: bool,
}

impl<'r> Report<'r> {
    pub(super) fn new(file: &'r Path, text: &'r str, syntax_errors: &[toml::de::Error]) -> Self {
        let mut report = Self {
            file,
            text,
            diagnostics: RefCell::default(),
            keys: RefCell::default(),
            broken_lines: BTreeSet::new(),
            broken_header: false,
        };
        for error in syntax_errors {
            report.add_syntax_error(error);
        }
        report
    }

    fn add_syntax_error(&mut self, error: &toml::de::Error) {
        let span = error.span().unwrap_or(self.text.len()..self.text.len());
        let twice = error.message() == "duplicate key";
        if twice && self.broken_header {
            return;
        }
        let message = match error.message().split_once(", expected ") {
            _ if twice => {
                let key = self.source(span.clone());
                format!("the key `{key}` is there already; keep one of them")
            }
            Some((wrong, right)) => format!("{wrong}; expected {right}"),
            None => format!("{}; see https://toml.io for the syntax", error.message()),
        };
        // One a line: what the parser says after the first only follows from it.
        self.push(Severity::Error, span.start, "syntax", &message);
        let line = line_and_column(self.text, span.start).0;
        self.broken_lines.insert(line);
        let text = self.text.lines().nth(line - 1).unwrap_or_default();
        self.broken_header |= !twice && text.trim_start().starts_with('[');
    }

    pub(super) fn add(&self, severity: Severity, offset: usize, key: &str, message: &str) {
        if !self.broken_header {
            self.push(severity, offset, key, message);
        }
    }

    fn push(&self, severity: Severity, offset: usize, key: &str, message: &str) {
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
