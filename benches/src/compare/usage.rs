//! What processes have used, from /proc: processor time and memory.
//!
//! Time is the scheduler's own account of each thread, in nanoseconds (`schedstat`), because `utime` and `stime` of
//! `stat` come in hundredths of a second, too coarse for a round of one; they only say how it divides into user and
//! system. Threads that have ended are not in it: what is measured here keeps its threads.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::{Context as _, bail};

/// A second, in `stat`.
const TICKS: f64 = 100.0;

/// Used until now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cpu {
    pub(super) nanoseconds: u64,
    /// In ticks.
    pub(super) user: u64,
    pub(super) system: u64,
}

impl Cpu {
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            nanoseconds: self.nanoseconds.saturating_sub(before.nanoseconds),
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            nanoseconds: self.nanoseconds + other.nanoseconds,
            user: self.user + other.user,
            system: self.system + other.system,
        }
    }

    pub(super) fn seconds(self) -> f64 {
        self.nanoseconds as f64 / 1e9
    }

    pub(super) fn seconds_in_ticks(self) -> f64 {
        (self.user + self.system) as f64 / TICKS
    }

    pub(super) fn user_share(self) -> f64 {
        self.user as f64 / (self.user + self.system).max(1) as f64
    }
}

/// A process and all that descend from it, as long as they live.
#[derive(Debug, Clone)]
pub(super) struct Processes(Vec<u32>);

impl Processes {
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    /// Those there are now.
    pub(super) fn of(root: u32) -> io::Result<Self> {
        let mut children = BTreeMap::<u32, Vec<u32>>::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // Processes end while they are listed.
            let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else {
                continue;
            };
            if let Some(parent) = stat_field(&stat, PARENT) {
                children.entry(parent as u32).or_default().push(id);
            }
        }
        let mut all = vec![root];
        let mut at = 0;
        while let Some(parent) = all.get(at) {
            all.extend(children.get(parent).into_iter().flatten());
            at += 1;
        }
        Ok(Self(all))
    }

    /// Those of them that were started with such arguments.
    pub(super) fn of_command(&self, wanted: impl Fn(&[String]) -> bool) -> Self {
        let is_wanted = |&id: &u32| {
            let command = fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
            let words: Vec<String> = command.split('\0').map(str::to_owned).collect();
            wanted(&words)
        };
        Self(self.0.iter().copied().filter(is_wanted).collect())
    }

    pub(super) fn cpu(&self) -> anyhow::Result<Cpu> {
        let mut total = Cpu::default();
        for &id in &self.0 {
            let stat = read(id, "stat")?;
            total.user += stat_field(&stat, UTIME).unwrap_or_default();
            total.system += stat_field(&stat, STIME).unwrap_or_default();
            total.nanoseconds += nanoseconds(id)?;
        }
        Ok(total)
    }

    /// Resident memory, in KiB. Pages that they share count for each.
    pub(super) fn resident(&self) -> anyhow::Result<u64> {
        self.memory("VmRSS:")
    }

    /// The most since `forget_peak`.
    pub(super) fn peak_resident(&self) -> anyhow::Result<u64> {
        self.memory("VmHWM:")
    }

    pub(super) fn forget_peak(&self) {
        for id in &self.0 {
            // See proc(5). Where it is not allowed, the peak is that since the start.
            let _ = fs::write(format!("/proc/{id}/clear_refs"), "5");
        }
    }

    fn memory(&self, key: &str) -> anyhow::Result<u64> {
        let mut total = 0;
        for &id in &self.0 {
            let status = read(id, "status")?;
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            total += line
                .and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok())
                .with_context(|| format!("no {key} of process {id}"))?;
        }
        Ok(total)
    }
}

/// Fields of `stat`, counted behind the name of the program, which may contain anything.
const PARENT: usize = 1;
const UTIME: usize = 11;
const STIME: usize = 12;

fn stat_field(stat: &str, index: usize) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(index)?.parse().ok()
}

fn nanoseconds(id: u32) -> anyhow::Result<u64> {
    let tasks = PathBuf::from(format!("/proc/{id}/task"));
    let mut total = 0;
    for task in fs::read_dir(&tasks).with_context(|| ended(id))? {
        let file = task?.path().join("schedstat");
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            // The thread has just ended; a kernel without these files has none at all.
            Err(_) if tasks.join(id.to_string()).join("schedstat").exists() => continue,
            Err(error) => {
                let reason = "this kernel keeps no account of processor time by thread";
                return Err(error).with_context(|| format!("{}: {reason}", file.display()));
            }
        };
        let used = text.split_whitespace().next();
        match used.and_then(|used| used.parse::<u64>().ok()) {
            Some(used) => total += used,
            None => bail!("{} has an unknown form", file.display()),
        }
    }
    Ok(total)
}

fn read(id: u32, file: &str) -> anyhow::Result<String> {
    fs::read_to_string(format!("/proc/{id}/{file}")).with_context(|| ended(id))
}

fn ended(id: u32) -> String {
    format!("process {id} has ended")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    struct Burner(Child);

    impl Burner {
        /// A shell with a child that does arithmetic.
        fn start() -> Self {
            let script = "sh -c 'while :; do :; done' & echo $!; wait";
            let mut command = Command::new("sh");
            command.args(["-c", script]).stdout(Stdio::piped());
            Self(command.spawn().unwrap())
        }
    }

    impl Drop for Burner {
        fn drop(&mut self) {
            let processes = Processes::of(self.0.id()).unwrap();
            for &id in processes.0.iter().rev() {
                let id = rustix::process::Pid::from_raw(id.cast_signed()).unwrap();
                let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
            }
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_tree_is_counted_and_both_accounts_agree() {
        let mut burner = Burner::start();
        let mut line = String::new();
        let stdout = burner.0.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let child: u32 = line.trim().parse().unwrap();
        let processes = Processes::of(burner.0.id()).unwrap();
        assert_eq!(processes.0, [burner.0.id(), child]);

        let before = processes.cpu().unwrap();
        let patience = Instant::now() + Duration::from_secs(60);
        let used = loop {
            let used = processes.cpu().unwrap().since(before);
            if used.nanoseconds > 300_000_000 {
                break used;
            }
            assert!(Instant::now() < patience, "it does not get to run");
            std::thread::sleep(Duration::from_millis(20));
        };
        let difference = used.seconds_in_ticks() - used.nanoseconds as f64 / 1e9;
        assert!(difference.abs() < 0.06, "{used:?}");
        // By now the child has become the program that it is.
        let with_wait =
            processes.of_command(|words| words.iter().any(|word| word.ends_with("wait")));
        assert_eq!(with_wait.0, [burner.0.id()]);
        let resident = processes.resident().unwrap();
        assert!(resident > 100 && processes.peak_resident().unwrap() >= resident);
    }

    #[test]
    fn fields_stand_behind_the_name() {
        let stat = "7 (a b) c) S 3 7 7 0 -1 4 1 0 0 0 12 34 0 0 20";
        assert_eq!(stat_field(stat, PARENT), Some(3));
        assert_eq!(stat_field(stat, UTIME), Some(12));
        assert_eq!(stat_field(stat, STIME), Some(34));
        assert_eq!(stat_field("nothing", PARENT), None);
    }

    #[test]
    fn what_has_ended_is_an_error() {
        let mut child = Command::new("true").spawn().unwrap();
        let processes = Processes::of(child.id()).unwrap();
        child.wait().unwrap();
        let error = processes.cpu().unwrap_err();
        assert!(format!("{error:#}").contains("has ended"), "{error:#}");
    }
}
