//! A table of the file: asked key by key; what nobody asked for is unknown.

use std::fmt::Display;

use toml::de::DeTable;

use super::report::Report;
use super::suggestion::nearest;
use super::{Severity, Value};

pub struct Table<'r> {
    report: &'r Report<'r>,
    entries: &'r DeTable<'r>,
    /// Dotted path; empty for the root.
    key: String,
    /// Where the table begins.
    offset: usize,
    /// The keys asked for so far.
    known: Vec<&'static str>,
    /// Whether keys that nobody asks for are to be reported.
    closed: bool,
}

impl<'r> Table<'r> {
    pub(super) fn root(report: &'r Report<'r>, entries: &'r DeTable<'r>) -> Self {
        Self::new(report, entries, String::new(), 0)
    }

    pub(super) fn new(
        report: &'r Report<'r>,
        entries: &'r DeTable<'r>,
        key: String,
        offset: usize,
    ) -> Self {
        Self {
            report,
            entries,
            key,
            offset,
            known: Vec::new(),
            closed: true,
        }
    }

    /// Runs the reader, then reports the keys that it did not ask for.
    pub(super) fn read_with<T>(mut self, reader: impl FnOnce(&mut Self) -> T) -> T {
        let value = reader(&mut self);
        if self.closed {
            self.report_unknown_keys();
        }
        value
    }

    /// The value of a key, if it is there.
    pub fn get(&mut self, key: &'static str) -> Option<Value<'r>> {
        let path = self.path(key);
        self.report.asked_for(&path);
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let value = self.entries.get(key)?;
        Some(Value::new(self.report, value, path))
    }

    /// The value of a key that must be there; `example` is what one would write.
    pub fn required(&mut self, key: &'static str, example: impl Display) -> Option<Value<'r>> {
        let value = self.get(key);
        if value.is_none() {
            self.missing(key, format_args!("add `{example}`"));
        }
        value
    }

    /// Reports that something is not there, unless a syntax error may be why.
    pub fn missing(&self, key: &str, right: impl Display) {
        if self.report.is_complete() {
            let message = format!("is missing; {right}");
            self.report
                .add(Severity::Error, self.offset, &self.path(key), &message);
        }
    }

    /// The tables of an array of tables (`[[key]]`); none if it is not there.
    pub fn tables(&mut self, key: &'static str) -> Vec<Value<'r>> {
        self.get(key)
            .and_then(|value| value.list())
            .unwrap_or_default()
    }

    /// Lets the keys that were not asked for pass, for a table whose meaning could not be told: that was reported already.
    pub fn leave_rest(&mut self) {
        self.closed = false;
    }

    /// Whether the file was understood whole: a reference to something that is not there may else be the parser's doing.
    pub fn is_complete(&self) -> bool {
        self.report.is_complete()
    }

    /// Whether an error was reported so far, anywhere in the file.
    pub fn has_errors(&self) -> bool {
        self.report.has_errors()
    }

    /// Dotted path; empty for the root.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Reports an error of the table as a whole.
    pub fn error(&self, wrong: impl Display, right: impl Display) {
        self.add(Severity::Error, wrong, right);
    }

    /// Reports a warning about the table as a whole.
    pub fn warn(&self, wrong: impl Display, right: impl Display) {
        self.add(Severity::Warning, wrong, right);
    }

    fn add(&self, severity: Severity, wrong: impl Display, right: impl Display) {
        let message = format!("{wrong}; {right}");
        self.report.add(severity, self.offset, &self.key, &message);
    }

    fn report_unknown_keys(&self) {
        for key in self.entries.keys() {
            if self.known.contains(&key.get_ref().as_ref()) {
                continue;
            }
            let message = match nearest(key.get_ref(), &self.known) {
                Some(near) => format!("unknown key; did you mean `{near}`?"),
                None => format!("unknown key; the keys here are {}", self.known.join(", ")),
            };
            let path = self.path(key.get_ref());
            self.report
                .add(Severity::Error, key.span().start, &path, &message);
        }
    }

    fn path(&self, key: &str) -> String {
        if self.key.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.key)
        }
    }
}
