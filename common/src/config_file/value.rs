//! One value of the file: converts itself, or reports why it cannot.

use std::fmt::Display;

use toml::Spanned;
use toml::de::DeValue;

use super::report::Report;
use super::{Severity, Table};

#[derive(Clone)]
pub struct Value<'r> {
    report: &'r Report<'r>,
    node: &'r Spanned<DeValue<'r>>,
    /// Dotted path.
    key: String,
}

/// What TOML calls the type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    String,
    Integer,
    Float,
    Boolean,
    Datetime,
    Array,
    Table,
}

impl<'r> Value<'r> {
    pub(super) fn new(report: &'r Report<'r>, node: &'r Spanned<DeValue<'r>>, key: String) -> Self {
        Self { report, node, key }
    }

    /// Dotted path.
    pub fn key(&self) -> &str {
        &self.key
    }

    pub fn kind(&self) -> Kind {
        match self.node.get_ref() {
            DeValue::String(_) => Kind::String,
            DeValue::Integer(_) => Kind::Integer,
            DeValue::Float(_) => Kind::Float,
            DeValue::Boolean(_) => Kind::Boolean,
            DeValue::Datetime(_) => Kind::Datetime,
            DeValue::Array(_) => Kind::Array,
            DeValue::Table(_) => Kind::Table,
        }
    }

    pub fn string(&self) -> Option<&'r str> {
        match self.node.get_ref() {
            DeValue::String(text) => Some(text.as_ref()),
            _ => self.expected("a string, in quotes"),
        }
    }

    pub fn boolean(&self) -> Option<bool> {
        match self.node.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => self.expected("true or false"),
        }
    }

    pub fn integer(&self) -> Option<i64> {
        let DeValue::Integer(integer) = self.node.get_ref() else {
            return self.expected("a whole number, without quotes");
        };
        let parsed = i64::from_str_radix(integer.as_str(), integer.radix());
        if parsed.is_err() {
            self.error(
                format_args!("`{}` is out of range", self.shown()),
                "write a number of at most 64 bits",
            );
        }
        parsed.ok()
    }

    /// A whole or decimal number, always finite.
    pub fn number(&self) -> Option<f64> {
        let number = match self.node.get_ref() {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(_) => return self.integer().map(|integer| integer as f64),
            _ => return self.expected("a number, without quotes"),
        };
        let finite = number.filter(|number: &f64| number.is_finite());
        if finite.is_none() {
            self.error(
                format_args!("`{}` is not a finite number", self.shown()),
                "write a number such as 1.5",
            );
        }
        finite
    }

    pub fn list(&self) -> Option<Vec<Self>> {
        let DeValue::Array(values) = self.node.get_ref() else {
            return self.expected("a list, in [ ]");
        };
        let elements = values.iter().enumerate().map(|(index, node)| Self {
            report: self.report,
            node,
            key: format!("{}[{index}]", self.key),
        });
        Some(elements.collect())
    }

    /// The elements of a list; any other value stands for a list of one.
    pub fn one_or_list(&self) -> Vec<Self> {
        match self.kind() {
            Kind::Array => self.list().unwrap_or_default(),
            _ => vec![self.clone()],
        }
    }

    /// Runs the reader on a table, then reports the keys that it did not ask for.
    pub fn table<T>(&self, reader: impl FnOnce(&mut Table<'r>) -> T) -> Option<T> {
        let DeValue::Table(entries) = self.node.get_ref() else {
            return self.expected("a table, in { } or under a [header]");
        };
        let table = Table::new(
            self.report,
            entries,
            self.key.clone(),
            self.node.span().start,
        );
        Some(table.read_with(reader))
    }

    pub fn error(&self, wrong: impl Display, right: impl Display) {
        self.add(Severity::Error, wrong, right);
    }

    pub fn warn(&self, wrong: impl Display, right: impl Display) {
        self.add(Severity::Warning, wrong, right);
    }

    /// The value for use in a message: strings without their quotes, anything else as written, cut when long.
    pub fn shown(&self) -> String {
        const LONGEST: usize = 48;
        let text = match self.node.get_ref() {
            DeValue::String(text) => text.as_ref(),
            _ => self.report.source(self.node.span()),
        };
        let mut characters = text.chars();
        let mut shown: String = characters.by_ref().take(LONGEST).collect();
        if characters.next().is_some() {
            shown.push_str("...");
        }
        shown
    }

    fn add(&self, severity: Severity, wrong: impl Display, right: impl Display) {
        let message = format!("{wrong}; {right}");
        self.report
            .add(severity, self.node.span().start, &self.key, &message);
    }

    /// Reports a value of the wrong type.
    fn expected<T>(&self, right: &str) -> Option<T> {
        let kind = match self.kind() {
            Kind::String => "a string",
            Kind::Integer => "a whole number",
            Kind::Float => "a decimal number",
            Kind::Boolean => "true or false",
            Kind::Datetime => "a date or time",
            Kind::Array => "a list",
            Kind::Table => "a table",
        };
        self.error(format_args!("is {kind}"), format_args!("write {right}"));
        None
    }
}
