//! Configuration files in TOML, read key by key, with every mistake reported at its place instead of only the first.
//!
//! The text is parsed once into a tree that knows where each value stands. A reader then asks a [`Table`] for the keys it
//! knows; each [`Value`] converts itself or reports what is wrong with it, and the reader goes on. A key that nobody asked
//! for is reported when the reader leaves its table, so none can be ignored by accident. What a file means is not known
//! here.

mod diagnostic;
mod report;
mod suggestion;
mod table;
mod value;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use toml::de::DeTable;

pub use diagnostic::{Diagnostic, Severity};
use report::Report;
pub use table::Table;
pub use value::{Kind, Value};

/// What reading a file came to.
#[derive(Debug)]
pub struct Outcome<T> {
    /// The reader's result: only worth something if no diagnostic is an error.
    pub value: T,
    /// By place.
    pub diagnostics: Vec<Diagnostic>,
    /// Every key that the reader asked for, as a dotted path without indices: lets a test compare documentation with code.
    pub keys: BTreeSet<String>,
}

/// Reads a text as a configuration file. `file` is only named in diagnostics.
///
/// After a syntax error the rest is still read, as far as it can be understood.
pub fn read<T>(text: &str, file: &Path, reader: impl FnOnce(&mut Table<'_>) -> T) -> Outcome<T> {
    let (root, syntax_errors) = DeTable::parse_recoverable(text);
    let report = Report::new(file, text, &syntax_errors);
    let value = Table::root(&report, root.get_ref()).read_with(reader);
    let (diagnostics, keys) = report.finish();
    Outcome {
        value,
        diagnostics,
        keys,
    }
}

/// The text of a configuration file, or why there is none.
pub fn read_text(file: &Path) -> Result<String, Diagnostic> {
    let at_start = |message: String| Diagnostic {
        file: file.to_owned(),
        line: 1,
        column: 1,
        severity: Severity::Error,
        key: "file".to_owned(),
        message,
    };
    let bytes = fs::read(file).map_err(|error| {
        at_start(format!(
            "cannot be read ({error}); name a file that exists and that this user may read"
        ))
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        let (line, column) = report::line_and_column(&valid, valid.len());
        Diagnostic {
            line,
            column,
            ..at_start("is not UTF-8 from here on; save it as UTF-8".to_owned())
        }
    })
}

#[cfg(test)]
mod tests;
