//! A program that is measured, as a child of this process: it ends with it, and its messages go to a file.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child as Process, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use lintel_common::leash;
use rustix::process::{Pid, Signal, kill_process};

use super::usage::Processes;

/// How long it may take to end after SIGTERM, before SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

/// Ends when it is dropped.
#[derive(Debug)]
pub(super) struct Child {
    process: Process,
    messages: PathBuf,
}

impl Child {
    /// To be called from the main thread (see [`leash::command`]). `messages` is where its output goes.
    pub(super) fn start(
        program: &Path,
        arguments: &[String],
        messages: PathBuf,
    ) -> anyhow::Result<Self> {
        let output = File::create(&messages)?;
        let process = leash::command(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // Ctrl-C is for this process; the children end in its order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { process, messages })
    }

    pub(super) fn processes(&self) -> io::Result<Processes> {
        Processes::of(self.process.id())
    }

    /// `None` while it runs.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// The last of what it has said.
    pub(super) fn last_words(&self) -> String {
        const LINES: usize = 5;
        let text = std::fs::read(&self.messages).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    pub(super) fn end(&mut self) {
        // Once it was waited for, its id may be another process's.
        if !matches!(self.process.try_wait(), Ok(None)) {
            return;
        }
        // If it has ended meanwhile there is nobody to signal.
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let patience = Instant::now() + GRACE;
        while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < patience {
            std::thread::sleep(POLL);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end();
    }
}
