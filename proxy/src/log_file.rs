//! Where a log's lines go: a file, a pipe or standard output, behind a queue, so that a stalled disk or reader never
//! holds up a request. Lines that are lost are counted, here those that could not be written, by the caller those that
//! the queue did not take. Lines reach the file within a second and at the stop; those of a worker in their order.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use lintel_common::line_queue::LineQueue;
use prometheus::IntCounter;
use rustix::fs::OFlags;
use time::OffsetDateTime;

use crate::model::{LogFormat, LogPath, LogSettings};

/// Bytes that may wait of a worker's lines, some 5,000 lines: at 50,000 requests a second, a stall of 100 ms.
const QUEUE: usize = 4 * 1024 * 1024;

/// How long a line may wait for others, so that a busy disk has the rest of the second that the log is promised within.
const DELAY: Duration = Duration::from_millis(200);

/// Where lines are handed in.
#[derive(Debug, Clone)]
pub struct LogFile {
    /// `access log`
    pub name: &'static str,
    pub format: LogFormat,
    /// Lines that were not written.
    pub lost: IntCounter,
    lines: LineQueue,
    reopen: Arc<AtomicBool>,
}

impl LogFile {
    /// Opens the file, or standard output, and starts the thread.
    pub fn start(name: &'static str, settings: &LogSettings, lost: IntCounter) -> io::Result<Self> {
        let path = match &settings.path {
            LogPath::StandardOutput => None,
            LogPath::File(path) => Some(path.clone()),
        };
        let output = Output::new(name, open(path.as_deref())?, lost.clone());
        let reopen = Arc::new(AtomicBool::new(false));
        let write = writer(path, output, Arc::clone(&reopen));
        let lines = LineQueue::start(&name.replace(' ', "-"), QUEUE, DELAY, write)?;
        Ok(Self {
            name,
            format: settings.format,
            lost,
            lines,
            reopen,
        })
    }

    /// The same log for a worker, with a buffer of its own.
    #[must_use]
    pub fn of_worker(&self) -> Self {
        Self {
            lines: self.lines.lane(),
            ..self.clone()
        }
    }

    /// Hands in the line that `append` adds to others; false if too many wait.
    pub fn write(&self, append: impl FnOnce(&mut Vec<u8>)) -> bool {
        self.lines.push(append)
    }

    /// The file was renamed: go on with a new one of the old name, and let the old one go.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Relaxed);
        self.lines.call();
    }

    /// Waits until all lines are written, at most `bound`; how many then are not.
    pub fn flush(&self, bound: Duration) -> usize {
        self.lines.flush(bound)
    }
}

/// What the log's thread does with lines.
fn writer(
    path: Option<PathBuf>,
    mut output: Output<File>,
    reopen: Arc<AtomicBool>,
) -> impl FnMut(&[u8]) + Send {
    move |lines| {
        if reopen.swap(false, Ordering::Relaxed) && path.is_some() {
            match open(path.as_deref()) {
                Ok(file) => output.replace(file),
                Err(error) => tracing::error!(
                    "the {} could not be reopened: {error}; {}; going on with the old file",
                    output.name,
                    advice(&error)
                ),
            }
        }
        if !lines.is_empty() {
            output.write(lines);
        }
    }
}

/// Whole lines onto something that may take a part of them or nothing.
struct Output<W> {
    name: &'static str,
    to: W,
    /// The last line broke off in its middle.
    torn: bool,
    lost: IntCounter,
    /// Since writing last failed.
    lost_in_a_row: u64,
}

impl<W: Write> Output<W> {
    fn new(name: &'static str, to: W, lost: IntCounter) -> Self {
        Self {
            name,
            to,
            torn: false,
            lost,
            lost_in_a_row: 0,
        }
    }

    fn replace(&mut self, to: W) {
        self.to = to;
        self.torn = false;
    }

    fn write(&mut self, lines: &[u8]) {
        match self.try_write(lines) {
            Ok(()) => {
                if self.lost_in_a_row > 0 {
                    let lost = std::mem::take(&mut self.lost_in_a_row);
                    tracing::warn!(
                        lines = lost,
                        "the {} is written again; lines were lost",
                        self.name
                    );
                }
            }
            Err((error, left)) => {
                if self.lost_in_a_row == 0 {
                    tracing::error!(%error, "the {} could not be written; lines are lost until it can", self.name);
                }
                // A line whose end was not written is none.
                let lost = left.split(|byte| *byte == b'\n').count() as u64 - 1;
                self.lost.inc_by(lost);
                self.lost_in_a_row += lost;
            }
        }
    }

    /// All of it, or an error and what was left.
    fn try_write<'l>(&mut self, lines: &'l [u8]) -> Result<(), (io::Error, &'l [u8])> {
        if self.torn {
            self.to.write_all(b"\n").map_err(|error| (error, lines))?;
            self.torn = false;
        }
        let mut left = lines;
        while !left.is_empty() {
            match self.to.write(left) {
                Ok(0) => return Err((io::ErrorKind::WriteZero.into(), left)),
                Ok(written) => {
                    self.torn = left[written - 1] != b'\n';
                    left = &left[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((error, left)),
            }
        }
        Ok(())
    }
}

fn open(path: Option<&Path>) -> io::Result<File> {
    match path {
        Some(path) => append(path),
        // Of its own, because the standard library's buffer keeps what a failed write leaves.
        None => Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?)),
    }
}

fn append(path: &Path) -> io::Result<File> {
    // A pipe that nobody reads would hold up the opening for as long as that is so.
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    let flags = rustix::fs::fcntl_getfl(&file)?;
    rustix::fs::fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
    if ends_torn(path) {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// Whether an earlier process has left a line without its end, because the disk was full or it was killed.
fn ends_torn(path: &Path) -> bool {
    let is_file = std::fs::metadata(path).is_ok_and(|about| about.is_file() && about.len() > 0);
    let last_byte = || {
        let file = File::open(path)?;
        let mut last = [0];
        file.read_exact_at(&mut last, file.metadata()?.len().saturating_sub(1))?;
        io::Result::Ok(last[0])
    };
    // A log that we may write and not read is taken as it is.
    is_file && last_byte().is_ok_and(|last| last != b'\n')
}

/// What to do about a log that cannot be opened.
pub fn advice(error: &io::Error) -> &'static str {
    if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) {
        return "it is a pipe that nobody reads: start its reader first";
    }
    match error.kind() {
        io::ErrorKind::NotFound => "create its directory",
        io::ErrorKind::PermissionDenied => "let this user write it",
        _ => "change its path",
    }
}

/// `2026-11-24T21:45:57.123456Z`
pub fn timestamp(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second, micros) = time.to_hms_micro();
    let month = u8::from(month);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// A word of an ALB's line.
pub fn shown(value: Option<&str>) -> &str {
    value.unwrap_or("-")
}

/// A text of an ALB's line.
pub fn quoted(value: Option<&str>) -> String {
    let mut text = vec![b'"'];
    escape(value.unwrap_or("-").as_bytes(), &mut text);
    text.push(b'"');
    // All of it is ASCII.
    String::from_utf8(text).unwrap_or_default()
}

/// Nobody can end a field or a line: quotes, backslashes and what is not printable ASCII are written `\xNN`.
pub fn escape(text: &[u8], line: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'"' | b'\\' | 0..=0x1f | 0x7f.. => {
                let digit = |half: u8| b"0123456789ABCDEF"[usize::from(half)];
                line.extend_from_slice(&[b'\\', b'x', digit(byte >> 4), digit(byte & 15)]);
            }
            _ => line.push(byte),
        }
    }
}

#[cfg(test)]
mod tests;
