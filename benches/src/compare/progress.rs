//! What is told on standard error while it runs: on a terminal one line that is written again and again and a lasting one
//! a round, else only the lasting ones.

use std::io::{self, IsTerminal as _, Write as _};

#[derive(Debug)]
pub(super) struct Progress {
    terminal: bool,
}

/// Back to the start of the line, and clear it.
const CLEAR: &str = "\r\x1b[2K";

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            terminal: io::stderr().is_terminal(),
        }
    }

    /// What is being done now.
    pub(super) fn now(&self, text: &str) {
        if self.terminal {
            write(&format!("{CLEAR}{text}"));
        }
    }

    /// What was done.
    pub(super) fn done(&self, text: &str) {
        let clear = if self.terminal { CLEAR } else { "" };
        write(&format!("{clear}{text}\n"));
    }
}

fn write(text: &str) {
    let mut stderr = io::stderr();
    // Nobody may be reading.
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}
