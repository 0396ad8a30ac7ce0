//! Why nothing was started: one line that says what to do, and the exit code that goes with it.

use std::fmt;
use std::process::ExitCode;

/// The end of a start that did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Arguments or settings are wrong: exit code 1.
    Input(String),
    /// The machine does not give what is needed: exit code 2.
    Start(String),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Input(_) => 1,
            Self::Start(_) => 2,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Input(text) | Self::Start(text)) = self;
        // What other programs report may have several lines; ours is one.
        write!(
            formatter,
            "lintel: {}",
            text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
        )
    }
}
