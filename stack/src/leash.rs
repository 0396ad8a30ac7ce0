//! Ties a child to this process: it first asks the kernel for SIGTERM should its parent end, however that ends, and then
//! becomes the program that is wanted. The request outlives the change of program, so it works for any program and
//! needs no code between fork and exec.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use crate::failure::Failure;

/// The arguments of the hidden subcommand.
#[derive(Debug, Args)]
pub(crate) struct Leash {
    /// Process id of who starts it
    parent: i32,
    program: PathBuf,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Leash {
    /// Returns only if it fails.
    pub(crate) fn become_program(self) -> Failure {
        if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
            return Failure::Start(format!(
                "cannot tie {} to its parent: {error}",
                self.program.display()
            ));
        }
        // A parent that ended before the request was made would never be noticed.
        if getppid().map(Pid::as_raw_pid) != Some(self.parent) {
            return Failure::Start(format!(
                "{} was not started: its parent is gone",
                self.program.display()
            ));
        }
        let error = Command::new(&self.program).args(&self.arguments).exec();
        Failure::Start(format!(
            "cannot run {}: {error}; check that it is installed",
            self.program.display()
        ))
    }
}

/// The command that starts `program` on a leash held by this process. It must be spawned from the main thread: the
/// kernel watches the thread that spawned, not the process.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(this_executable());
    command
        .arg("leash")
        .arg(std::process::id().to_string())
        .arg(program);
    command
}

/// By its path, so that `ps` shows its name; where the file was replaced since the start (a new build), by the kernel's
/// hold on the old one, so that parent and children stay the same version.
pub(crate) fn this_executable() -> PathBuf {
    let path = std::env::current_exe().unwrap_or_default();
    if path.exists() {
        path
    } else {
        PathBuf::from("/proc/self/exe")
    }
}
