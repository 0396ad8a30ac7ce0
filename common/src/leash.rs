//! Ties a child to this process: it first asks the kernel for SIGTERM should its parent end, however that ends, and then
//! becomes the program that is wanted. The request outlives the change of program, so it works for any program and
//! needs no code between fork and exec. A program that uses it has a hidden subcommand `leash`, which calls
//! [`become_program`] with its arguments.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// The command that starts `program` on a leash held by this process. It must be spawned from the main thread: the
/// kernel watches the thread that spawned, not the process.
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(this_executable());
    command
        .arg("leash")
        .arg(std::process::id().to_string())
        .arg(program);
    command
}

/// What `leash` does with what [`command`] has written: the parent's process id, the program, its arguments. Returns only
/// if it fails, and then why.
pub fn become_program(arguments: Vec<OsString>) -> String {
    let mut arguments = arguments.into_iter();
    let parent = arguments.next();
    let parent = parent.and_then(|id| id.to_str()?.parse::<i32>().ok());
    let (Some(parent), Some(program)) = (parent, arguments.next()) else {
        return "leash takes a process id, a program and its arguments".to_owned();
    };
    let name = program.display();
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return format!("cannot tie {name} to its parent: {error}");
    }
    // A parent that ended before the request was made would never be noticed.
    if getppid().map(Pid::as_raw_pid) != Some(parent) {
        return format!("{name} was not started: its parent is gone");
    }
    let error = Command::new(&program).args(arguments).exec();
    format!("cannot run {name}: {error}; check that it is installed")
}

/// By its path, so that `ps` shows its name; where the file was replaced since the start (a new build), by the kernel's
/// hold on the old one, so that parent and children stay the same version.
pub fn this_executable() -> PathBuf {
    let path = std::env::current_exe().unwrap_or_default();
    if path.exists() {
        path
    } else {
        PathBuf::from("/proc/self/exe")
    }
}
