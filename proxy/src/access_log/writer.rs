//! Where access log lines go: one thread, so that a stalled disk or pipe never holds up a request. The queue to it is
//! bounded; what does not fit is dropped and counted by the caller. Lines reach the file within a second and at the stop.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::model::{AccessLogs, LogPath};

/// Lines that may wait: at 100,000 requests a second, a stall of some 80 ms.
const QUEUE: usize = 8 * 1024;

/// Where workers hand in their lines.
#[derive(Debug, Clone)]
pub struct AccessLog {
    lines: SyncSender<Vec<u8>>,
    reopen: Arc<AtomicBool>,
}

/// The thread behind it, and how to wait for its end.
#[derive(Debug)]
pub struct Writer(JoinHandle<()>);

impl AccessLog {
    /// Opens the file, or standard output, and starts the thread.
    pub fn start(settings: &AccessLogs) -> io::Result<(Self, Writer)> {
        let mut sink = Sink::open(&settings.path)?;
        let (lines, queue) = sync_channel(QUEUE);
        let reopen = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&reopen);
        let thread = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_lines(&queue, &mut sink, &asked))?;
        Ok((Self { lines, reopen }, Writer(thread)))
    }

    /// Hands in a line; false if the queue is full.
    pub fn write(&self, line: Vec<u8>) -> bool {
        self.lines.try_send(line).is_ok()
    }

    /// The file was renamed: go on with a new one of the old name, from the next line on.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Relaxed);
    }
}

impl Writer {
    /// Returns when all lines are written. Every [`AccessLog`] must be gone first.
    pub fn join(self) {
        if self.0.join().is_err() {
            tracing::error!("the access log's thread panicked");
        }
    }
}

fn write_lines(queue: &Receiver<Vec<u8>>, sink: &mut Sink, reopen: &AtomicBool) {
    let mut failing = false;
    while let Ok(first) = queue.recv() {
        if reopen.swap(false, Ordering::Relaxed)
            && let Err(error) = sink.reopen()
        {
            tracing::error!(%error, "the access log could not be reopened; going on with the old file");
        }
        let mut batch = first;
        while batch.len() < 64 * 1024
            && let Ok(line) = queue.try_recv()
        {
            batch.extend_from_slice(&line);
        }
        match sink.write(&batch) {
            Ok(()) => failing = false,
            Err(error) if !failing => {
                failing = true;
                tracing::error!(%error, "the access log could not be written; lines are lost until it can");
            }
            Err(_) => {}
        }
    }
}

enum Sink {
    StandardOutput,
    File { path: PathBuf, file: File },
}

impl Sink {
    fn open(path: &LogPath) -> io::Result<Self> {
        match path {
            LogPath::StandardOutput => Ok(Self::StandardOutput),
            LogPath::File(path) => Ok(Self::File {
                file: append(path)?,
                path: path.clone(),
            }),
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        if let Self::File { path, file } = self {
            *file = append(path)?;
        }
        Ok(())
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::StandardOutput => {
                let mut output = io::stdout().lock();
                output.write_all(lines)?;
                output.flush()
            }
            Self::File { file, .. } => file.write_all(lines),
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LogFormat;

    #[test]
    fn lines_are_all_there_at_the_end_and_a_renamed_file_is_let_go() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let settings = AccessLogs {
            path: LogPath::File(path.clone()),
            format: LogFormat::Json,
        };
        let (log, writer) = AccessLog::start(&settings).unwrap();
        assert!(log.write(b"one\n".to_vec()));
        while std::fs::read(&path).unwrap().is_empty() {
            std::thread::yield_now();
        }
        let renamed = directory.path().join("access.log.1");
        std::fs::rename(&path, &renamed).unwrap();
        log.reopen();
        for line in 0..100 {
            assert!(log.write(format!("{line}\n").into_bytes()));
        }
        drop(log);
        writer.join();
        assert_eq!(std::fs::read_to_string(renamed).unwrap(), "one\n");
        assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 100);
    }

    #[test]
    fn a_log_that_takes_nothing_blocks_nobody() {
        let (lines, _queue) = sync_channel(1);
        let log = AccessLog {
            lines,
            reopen: Arc::default(),
        };
        assert!(log.write(b"kept".to_vec()));
        assert!(!log.write(b"lost".to_vec()));
    }
}
