//! What the person at the terminal reads. A terminal that is gone is no reason to stop, so failures to write are ignored.

use std::io::{self, Write};

/// News, on standard output.
pub(crate) fn say(text: &str) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{text}").and_then(|()| output.flush());
}

/// Trouble, on standard error.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
