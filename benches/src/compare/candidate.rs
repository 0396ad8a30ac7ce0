//! A program that can be measured: found, with its version, its configuration and its command line, and started so that
//! it is known to serve.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context as _, bail};
use lintel_common::shutdown::Shutdown;
use serde_json::Value;

use super::ask;
use super::child::Child;
use super::options::Options;
use super::proxy::{Kind, Role, Settings};
use super::rules::Conditions;
use super::targets::Probe;
use super::workload::Workload;

/// Where Debian keeps servers, which is not on everybody's PATH.
const SERVER_DIRECTORIES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// How long a proxy may take to its first right answer.
const START_TIMEOUT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

#[derive(Debug, Clone)]
pub(super) struct Program {
    kind: Kind,
    file: PathBuf,
    version: String,
}

/// Those that take part in one of these: ours first, then the peers, the floor last.
pub(super) fn programs(options: &Options, workloads: &[&Workload]) -> anyhow::Result<Vec<Program>> {
    let mut programs = vec![
        Program::ours(Kind::Lintel)?,
        Program::ours(Kind::LintelLogging)?,
    ];
    for conditions in Conditions::ALL {
        for rules in [conditions.one_rule(), conditions.all_rules()] {
            programs.push(Program::ours(Kind::LintelWithRules(rules))?);
        }
    }
    for (kind, file) in options.peers() {
        let program = Program::peer(kind, file)?;
        if kind == Kind::Haproxy {
            programs.push(Program {
                kind: Kind::HaproxyLargeBuffers,
                ..program.clone()
            });
        }
        programs.push(program);
    }
    programs.push(Program::ours(Kind::Relay)?);
    programs.retain(|program| {
        let takes_part = |workload: &&Workload| program.kind.takes_part_in(workload);
        workloads.iter().any(takes_part)
    });
    Ok(programs)
}

impl Program {
    fn ours(kind: Kind) -> anyhow::Result<Self> {
        Ok(Self {
            kind,
            file: env::current_exe().context("cannot find this program")?,
            version: String::new(),
        })
    }

    fn peer(kind: Kind, file: Option<PathBuf>) -> anyhow::Result<Self> {
        let name = kind.name();
        let file = match file {
            Some(file) => file,
            None => find(name).with_context(|| {
                let remedy = kind.remedy();
                format!("{name} is not installed: {remedy}; or leave it out of --peers")
            })?,
        };
        let version = version(&file, kind.version_argument())
            .with_context(|| format!("{} does not tell its version", file.display()))?;
        Ok(Self {
            kind,
            file,
            version,
        })
    }
}

pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(SERVER_DIRECTORIES.map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

/// The first thing in the output that looks like one.
fn version(program: &Path, argument: &str) -> anyhow::Result<String> {
    let output = Command::new(program).arg(argument).output()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    first_version(&text)
        .map(str::to_owned)
        .context("no number in its output")
}

fn first_version(text: &str) -> Option<&str> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.')
        .map(|part| part.trim_matches('.'))
        .find(|part| part.contains('.'))
}

/// A program that could be started.
pub(super) struct Candidate {
    pub(super) kind: Kind,
    /// With its version, where it is not of this program.
    pub(super) name: String,
    pub(super) settings: Settings,
    /// Of its configuration.
    file: PathBuf,
    pub(super) configuration: String,
    program: PathBuf,
}

impl Candidate {
    pub(super) fn new(program: Program, settings: Settings) -> Self {
        let Program {
            kind,
            file,
            version,
        } = program;
        let name = [kind.name(), &version].join(" ");
        Self {
            kind,
            name: name.trim_end().to_owned() + kind.variant(),
            file: settings
                .directory
                .join(kind.file().unwrap_or_default().as_ref()),
            configuration: kind.configuration(&settings, &version),
            program: file,
            settings,
        }
    }

    /// The whole command line.
    pub(super) fn command(&self) -> String {
        let mut command = vec![self.program.display().to_string()];
        command.extend(self.kind.arguments(&self.settings, &self.file));
        command.join(" ")
    }

    /// It gives right answers, from all targets: with those that are not checked yet ours would not share out evenly.
    fn serves(&self, probe: Probe) -> anyhow::Result<()> {
        probe.ask(self.settings.http)?;
        if self.kind.role() == Role::Ours {
            let health = ask::get(self.settings.admin, "/target-health")?;
            let health: Value = serde_json::from_slice(&health)?;
            let targets = health
                .pointer("/target_groups/0/targets")
                .and_then(Value::as_array);
            if !targets.is_some_and(|all| all.iter().all(|target| target["state"] == "healthy")) {
                bail!("its targets are not healthy");
            }
        }
        Ok(())
    }

    /// Returns once it serves.
    pub(super) fn start(&self, probe: Probe, stop: &Shutdown) -> anyhow::Result<Child> {
        if self.kind.file().is_some() {
            fs::write(&self.file, &self.configuration)
                .with_context(|| format!("cannot write {}", self.file.display()))?;
        }
        let arguments = self.kind.arguments(&self.settings, &self.file);
        let messages = self
            .settings
            .directory
            .join(format!("{:?}.messages", self.kind));
        let mut child = Child::start(&self.program, &arguments, messages)?;
        let patience = Instant::now() + START_TIMEOUT;
        while let Err(reason) = self.serves(probe) {
            if let Some(status) = child.ended()? {
                bail!(
                    "{} ended at once ({status}): {}",
                    self.name,
                    child.last_words()
                );
            }
            if stop.is_requested() {
                bail!("interrupted");
            }
            if Instant::now() > patience {
                let said = child.last_words();
                bail!("{} gives no right answer ({reason}): {said}", self.name);
            }
            std::thread::sleep(POLL);
        }
        Ok(child)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_the_programs_print_them() {
        for (text, version) in [
            ("nginx version: nginx/1.22.1\n", "1.22.1"),
            (
                "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/",
                "2.6.12",
            ),
            (
                "/usr/bin/envoy  version: 9e55/1.40.0/Clean/RELEASE/BoringSSL",
                "1.40.0",
            ),
        ] {
            assert_eq!(first_version(text), Some(version));
        }
        assert_eq!(first_version("none."), None);
    }
}
