//! Ties a child to this process, as `lintel` does with its own: the child first asks the kernel for SIGTERM should its
//! parent end, however that ends, and then becomes the program that is wanted. So no origin, proxy or peer outlives an
//! interrupted measurement.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Args;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

const COULD_NOT_START: u8 = 2;

/// The arguments of the hidden subcommand.
#[derive(Debug, Args)]
pub(crate) struct Leash {
    /// Process id of who starts it
    parent: i32,
    program: PathBuf,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Returns only if it fails.
pub(crate) fn main(leash: &Leash) -> ExitCode {
    let program = leash.program.display();
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        eprintln!("lintel-benches: cannot tie {program} to its parent: {error}");
    } else if getppid().map(Pid::as_raw_pid) != Some(leash.parent) {
        // A parent that ended before the request was made would never be noticed.
        eprintln!("lintel-benches: {program} was not started: its parent is gone");
    } else {
        let error = Command::new(&leash.program).args(&leash.arguments).exec();
        eprintln!("lintel-benches: cannot run {program}: {error}; check that it is installed");
    }
    ExitCode::from(COULD_NOT_START)
}

/// The command that starts `program` on a leash held by this process. It must be spawned from the main thread: the
/// kernel watches the thread that spawned, not the process.
pub(crate) fn command(program: &Path) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("leash")
        .arg(std::process::id().to_string())
        .arg(program);
    Ok(command)
}
