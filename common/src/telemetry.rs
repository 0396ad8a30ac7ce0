//! Log lines on standard error, as text for people or as JSON for machines. What is logged is the caller's; this only
//! decides where it goes and in which form, and sees to it that nobody who logs ever waits for standard error. The access
//! log of the proxy is not a log line and does not come through here.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::line_queue::LineQueue;

/// The variable that says which lines are written, e.g. `LINTEL_LOG=debug` or `LINTEL_LOG=info,lintel_proxy=trace`.
pub const FILTER_VARIABLE: &str = "LINTEL_LOG";

/// Bytes of lines that may wait for standard error; more are dropped and counted.
const QUEUE: usize = 1024 * 1024;

/// How long the end of the program may wait for its last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// `LOG_FORMAT` was neither `text` nor `json`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no log format; use \"text\" or \"json\"")]
pub struct UnknownLogFormat {
    given: String,
}

impl FromStr for LogFormat {
    type Err = UnknownLogFormat;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        match given.trim().to_ascii_lowercase().as_str() {
            "" | "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(UnknownLogFormat {
                given: given.to_owned(),
            }),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Sends `tracing` events to standard error. The first call of a process wins, later ones change nothing, so that tests
/// and programs that run others in the same process need not agree on who calls. A line that cannot be written (standard
/// error closed or stuck, disk full) is dropped: a log must never end or hold up the work that it tells of.
///
/// Lines are written by a thread of their own: keep what is returned until the program's end.
pub fn init(format: LogFormat, default_filter: &str) -> LastLines {
    let lost = Arc::<AtomicUsize>::default();
    let queue = match LineQueue::start("log", QUEUE, Duration::ZERO, writer(Arc::clone(&lost))) {
        Ok(queue) => queue,
        Err(error) => {
            eprintln!("nothing will be logged: the log's thread cannot be started: {error}");
            return LastLines(None);
        }
    };
    let last_lines = LastLines(Some(queue.clone()));
    let (filter, complaint) = filter(
        std::env::var(FILTER_VARIABLE).ok().as_deref(),
        default_filter,
    );
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(move || Lines {
            queue: queue.clone(),
            lost: Arc::clone(&lost),
        })
        .log_internal_errors(false);
    let registry = tracing_subscriber::registry().with(filter);
    let installed = match format {
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
        LogFormat::Text => registry.with(lines.with_ansi(colours())).try_init(),
    };
    if let (Ok(()), Some(complaint)) = (installed, complaint) {
        tracing::warn!("{complaint}");
    }
    last_lines
}

/// Waits, when it is dropped, until the lines so far have been written; not for long.
#[derive(Debug)]
#[must_use = "the last lines are lost if nobody waits for them"]
pub struct LastLines(Option<LineQueue>);

impl Drop for LastLines {
    fn drop(&mut self) {
        if let Some(queue) = &self.0 {
            // There is no other place to tell of lines that standard error does not take.
            let _ = queue.flush(LAST_LINES);
        }
    }
}

/// Takes one event's line from `tracing`.
struct Lines {
    queue: LineQueue,
    lost: Arc<AtomicUsize>,
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !self.queue.push(|lines| lines.extend_from_slice(line)) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes to standard error, and says afterwards when it had not taken lines for a while.
fn writer(lost: Arc<AtomicUsize>) -> impl FnMut(&[u8]) + Send {
    move |lines| {
        let written = io::stderr().write_all(lines);
        if written.is_ok() {
            match lost.swap(0, Ordering::Relaxed) {
                0 => {}
                lost => tracing::warn!(
                    lines = lost,
                    "log lines were lost: standard error was stuck"
                ),
            }
        }
    }
}

/// A filter that cannot be read must not silence the program: the default is used and the mistake is said.
fn filter(given: Option<&str>, default_filter: &str) -> (EnvFilter, Option<String>) {
    let default = || EnvFilter::new(default_filter);
    match given.map(str::trim).filter(|given| !given.is_empty()) {
        None => (default(), None),
        Some(given) => match EnvFilter::try_new(given) {
            Ok(filter) => (filter, None),
            Err(error) => {
                let complaint = format!(
                    "{FILTER_VARIABLE}={given:?} is not a log filter ({error}); using {default_filter:?}; write for example \"debug\" or \"info,lintel_proxy=debug\""
                );
                (default(), Some(complaint))
            }
        },
    }
}

/// Colours for a person at a terminal who has not asked for none (<https://no-color.org>).
fn colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read_as_they_are_written() {
        for format in [LogFormat::Text, LogFormat::Json] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert_eq!("JSON".parse(), Ok(LogFormat::Json));
        assert_eq!("".parse(), Ok(LogFormat::Text));
        let error = "yaml".parse::<LogFormat>().unwrap_err().to_string();
        assert!(error.contains("yaml") && error.contains("json"), "{error}");
    }

    #[test]
    fn the_variable_wins_and_a_bad_one_is_reported() {
        assert_eq!(
            filter(Some("lintel_proxy=trace"), "info").0.to_string(),
            "lintel_proxy=trace"
        );
        assert_eq!(filter(None, "info").0.to_string(), "info");
        assert_eq!(filter(Some("  "), "info").0.to_string(), "info");
        let (used, complaint) = filter(Some("lintel=loudest"), "warn");
        assert_eq!(used.to_string(), "warn");
        assert!(complaint.unwrap().contains(FILTER_VARIABLE));
    }

    #[test]
    fn calling_twice_is_harmless() {
        let _first = init(LogFormat::Text, "warn");
        let _second = init(LogFormat::Json, "trace");
        tracing::debug!("still here");
    }
}
