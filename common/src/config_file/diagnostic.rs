//! One finding about a configuration file, and how it is printed.

use std::fmt;
use std::path::PathBuf;

/// Displayed as `FILE:LINE:COLUMN: error|warning: KEY: what is wrong; what would be right`, always one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub severity: Severity,
    /// Dotted path, such as `target_group[0].health_check.interval`; `syntax` or `file` where there is no key yet.
    pub key: String,
    /// What is wrong; what would be right.
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}: {}: {}",
            self.file.display(),
            self.line,
            self.column,
            self.severity.as_str(),
            self.key,
            self.message
        )
    }
}
