//! One child process: started, watched, started again when it ends by itself, stopped when asked. It knows nothing of
//! what the program does; whether it is healthy is the proxy's to find out.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use lintel_common::leash;
use lintel_common::shutdown::{self, Shutdown, ShutdownTrigger};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::child_log::ChildLog;
use crate::console;
use crate::environment::Environment;
use crate::failure::Failure;

/// How often the log of a child is looked at for warnings.
const LOG_POLL: Duration = Duration::from_millis(500);

/// What to run, and how.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Environment,
    /// How long it may take to end after SIGTERM, before SIGKILL.
    pub(crate) grace: Duration,
    pub(crate) log: PathBuf,
}

/// A program that runs, or is about to run again.
#[derive(Debug)]
pub(crate) struct Instance {
    name: String,
    pid: Rc<Cell<Option<u32>>>,
    stop: ShutdownTrigger,
    task: JoinHandle<()>,
}

impl Instance {
    /// Starts the program. Must be called on the main thread, inside a `LocalSet`.
    pub(crate) fn start(program: Program) -> Result<Self, Failure> {
        let child = program
            .spawn()
            .map_err(|error| Failure::Start(format!("cannot start {}: {error}", program.name)))?;
        let (stop, stopping) = shutdown::channel();
        let pid = Rc::new(Cell::new(child.id()));
        let name = program.name.clone();
        let task = tokio::task::spawn_local(supervise(program, child, stopping, Rc::clone(&pid)));
        Ok(Self {
            name,
            pid,
            stop,
            task,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// `-` between two lives.
    pub(crate) fn pid(&self) -> String {
        self.pid
            .get()
            .map_or_else(|| "-".to_owned(), |pid| pid.to_string())
    }

    /// Asks it to end, without waiting.
    pub(crate) fn request_stop(&self) {
        self.stop.request();
    }

    /// Asks it to end and waits until it has; kills it when `hurry` expires.
    pub(crate) async fn stop(self, hurry: &Shutdown) {
        self.stop.request();
        let Self { stop, mut task, .. } = self;
        tokio::select! {
            _ = &mut task => return,
            () = hurry.expired() => stop.expire(),
        }
        drop(task.await);
    }
}

impl Program {
    fn spawn(&self) -> io::Result<Child> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = leash::command(&self.path);
        command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        for (name, value) in self.environment.changes() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        // Ctrl-C goes to the terminal's whole process group; in their own ones the children end in our order.
        command.process_group(0);
        Command::from(command).kill_on_drop(true).spawn()
    }
}

async fn supervise(program: Program, first: Child, stopping: Shutdown, pid: Rc<Cell<Option<u32>>>) {
    let mut log = ChildLog::new(program.log.clone());
    let mut backoff = Backoff::default();
    let mut child = Some(first);
    loop {
        let started = Instant::now();
        let (end, last_words) = match child {
            Some(running) => match live(&program, running, &mut log, &stopping).await {
                // One that was killed had no time to say why.
                Some(status) if status.code().is_none() => (describe(status), log.alarms()),
                Some(status) => (describe(status), log.last_words()),
                None => return,
            },
            None => ("could not be started".to_owned(), Vec::new()),
        };
        let who = pid.take().map_or_else(
            || program.name.clone(),
            |pid| format!("{} (pid {pid})", program.name),
        );
        let pause = backoff.after(started.elapsed());
        console::complain(&format!(
            "{who} {end}; starting it again in {} s",
            pause.as_secs()
        ));
        show(&program.name, &last_words);
        tokio::select! {
            () = sleep(pause) => {}
            () = stopping.requested() => return,
        }
        child = match program.spawn() {
            Ok(child) => {
                pid.set(child.id());
                console::say(&format!(
                    "{} runs again, pid {}",
                    program.name,
                    child.id().unwrap_or_default()
                ));
                Some(child)
            }
            Err(error) => {
                console::complain(&format!("cannot start {}: {error}", program.name));
                None
            }
        };
    }
}

/// Follows a child to its end. `None` if it was asked to end.
async fn live(
    program: &Program,
    mut child: Child,
    log: &mut ChildLog,
    stopping: &Shutdown,
) -> Option<ExitStatus> {
    loop {
        tokio::select! {
            status = child.wait() => return status.ok().or_else(|| Some(ExitStatus::default())),
            () = stopping.requested() => break,
            () = sleep(LOG_POLL) => show(&program.name, &log.alarms()),
        }
    }
    end(program, child, stopping).await;
    show(&program.name, &log.alarms());
    None
}

/// SIGTERM, and SIGKILL when that takes too long.
async fn end(program: &Program, mut child: Child, stopping: &Shutdown) {
    if let Some(pid) = child
        .id()
        .and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?))
    {
        // It may have ended in this moment; waiting for it tells.
        let _ = kill_process(pid, Signal::TERM);
    }
    tokio::select! {
        ended = timeout(program.grace, child.wait()) => {
            if ended.is_ok() {
                return;
            }
            console::complain(&format!("{} did not stop within {} s: killed", program.name, program.grace.as_secs()));
        }
        () = stopping.expired() => {}
    }
    // Fails only for one that has ended.
    let _ = child.kill().await;
}

fn show(name: &str, lines: &[String]) {
    for line in lines {
        console::complain(&format!("  {name} | {line}"));
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by {}", signal_name(signal)),
        (None, None) => "ended".to_owned(),
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        _ => return format!("signal {signal}"),
    };
    name.to_owned()
}

/// How long to wait before the next start: a second, doubling to half a minute, from the beginning again once a child
/// has lived for a minute.
#[derive(Debug)]
struct Backoff {
    next: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(30);
    const GOOD_LIFE: Duration = Duration::from_secs(60);

    fn after(&mut self, lived: Duration) -> Duration {
        if lived > Self::GOOD_LIFE {
            self.next = Self::FIRST;
        }
        let pause = self.next;
        self.next = (pause * 2).min(Self::LONGEST);
        pause
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: Self::FIRST }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_half_a_minute_and_begin_again_after_a_good_life() {
        let mut backoff = Backoff::default();
        let short = Duration::from_secs(59);
        let pauses: Vec<u64> = (0..7).map(|_| backoff.after(short).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(backoff.after(Duration::from_secs(61)).as_secs(), 1);
        assert_eq!(backoff.after(short).as_secs(), 2);
    }

    #[test]
    fn ends_are_described() {
        assert_eq!(
            describe(ExitStatus::from_raw(2 << 8)),
            "ended with exit code 2"
        );
        assert_eq!(describe(ExitStatus::from_raw(9)), "was killed by SIGKILL");
        assert_eq!(
            describe(ExitStatus::from_raw(40)),
            "was killed by signal 40"
        );
    }
}
