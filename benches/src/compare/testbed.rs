//! Everything that runs: the origins, and every proxy in front of them, started once and kept for all workloads. One that
//! nobody asks costs nothing; that this holds is looked at in every round.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context as _, bail};
use lintel_common::shutdown::Shutdown;
use rustix::process::{Resource, getrlimit, setrlimit};
use rustls::ClientConfig;
use tempfile::TempDir;

use super::child::Child;
use super::generator::Load;
use super::options::Options;
use super::ports::Ports;
use super::proxy::{Kind, Role, Settings};
use super::tls;
use super::usage::{Cpu, Processes};
use super::workload::{self, Protocol, Workload};
use crate::origin;

const INSTANCES: usize = 3;

/// Where Debian keeps servers, which is not on everybody's PATH.
const SERVER_DIRECTORIES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// How long a proxy may take to its first right answer.
const START_TIMEOUT: Duration = Duration::from_secs(20);
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);

pub(super) struct Testbed {
    // Dropped in this order: those in front, those behind, then their files.
    proxies: Vec<Proxy>,
    pub(super) origin: origin::Process,
    authority: PathBuf,
    /// That a proxy can have at a time.
    pub(super) connections: u64,
    _directory: TempDir,
}

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// By its place among those that run.
    Proxy(usize),
    /// Nobody is in between.
    Origin,
}

/// A program that could be started.
pub(super) struct Candidate {
    pub(super) kind: Kind,
    /// With its version, where it is not of this program.
    pub(super) name: String,
    settings: Settings,
    /// Of its configuration.
    file: PathBuf,
    pub(super) configuration: String,
    program: PathBuf,
}

/// One that runs.
struct Proxy {
    candidate: Candidate,
    child: Child,
}

impl Testbed {
    pub(super) fn start(options: &Options, stop: &Shutdown) -> anyhow::Result<Self> {
        let programs = programs(options)?;
        let connections = allow_descriptors();
        let directory = tempfile::Builder::new()
            .prefix("lintel-compare-")
            .tempdir()
            .context("cannot make a directory for configurations")?;
        let certificates = Certificates::make(directory.path())?;
        let origin = origin::Process::start(INSTANCES, true)?;
        let mut ports = Ports::new();
        let mut proxies = Vec::new();
        for program in programs {
            let settings = Settings {
                directory: directory.path().to_owned(),
                workers: options.workers.get(),
                origins: origin.addresses.clone(),
                http: ports.free()?,
                https: ports.free()?,
                admin: ports.free()?,
                certificate: certificates.site.clone(),
                key: certificates.key.clone(),
                certificate_and_key: certificates.both.clone(),
                connections,
            };
            let candidate = Candidate::new(program, settings);
            let child = candidate.start(stop)?;
            proxies.push(Proxy { candidate, child });
        }
        Ok(Self {
            proxies,
            origin,
            authority: certificates.authority,
            connections,
            _directory: directory,
        })
    }

    /// For clients of this protocol.
    pub(super) fn tls(&self, protocol: Protocol) -> anyhow::Result<Option<Arc<ClientConfig>>> {
        if protocol.is_encrypted() {
            tls::client_config(&self.authority, protocol).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Who takes part in a workload, ourselves first.
    pub(super) fn subjects(&self, workload: &Workload) -> Vec<Subject> {
        let takes_part = |&index: &usize| {
            let kind = self.proxies[index].candidate.kind;
            match workload.kind {
                workload::Kind::AccessLog => kind.role() == Role::Ours,
                workload::Kind::Load | workload::Kind::Idle => match kind {
                    Kind::LintelLogging => false,
                    Kind::Relay => workload.has_floor(),
                    Kind::Lintel | Kind::Nginx | Kind::Haproxy | Kind::Envoy => true,
                },
            }
        };
        let proxies = (0..self.proxies.len()).filter(takes_part);
        let mut subjects: Vec<_> = proxies.map(Subject::Proxy).collect();
        if workload.rate.is_some() {
            subjects.push(Subject::Origin);
        }
        subjects
    }

    pub(super) fn name(&self, subject: Subject) -> &str {
        match subject {
            Subject::Proxy(index) => &self.proxies[index].candidate.name,
            Subject::Origin => "(direct)",
        }
    }

    pub(super) fn role(&self, subject: Subject) -> Role {
        match subject {
            Subject::Proxy(index) => self.proxies[index].candidate.kind.role(),
            Subject::Origin => Role::Direct,
        }
    }

    pub(super) fn address(&self, subject: Subject, protocol: Protocol) -> SocketAddr {
        match subject {
            Subject::Proxy(index) => {
                let settings = &self.proxies[index].candidate.settings;
                if protocol.is_encrypted() {
                    settings.https
                } else {
                    settings.http
                }
            }
            Subject::Origin => self.origin.addresses[0],
        }
    }

    pub(super) fn processes(&self, subject: Subject) -> io::Result<Processes> {
        match subject {
            Subject::Proxy(index) => self.proxies[index].child.processes(),
            Subject::Origin => Ok(Processes::none()),
        }
    }

    /// Of all proxies together.
    pub(super) fn cpu(&self) -> anyhow::Result<Cpu> {
        let mut total = Cpu::default();
        for proxy in &self.proxies {
            total = total.and(proxy.child.processes()?.cpu()?);
        }
        Ok(total)
    }

    /// What the forwarding headers must say from now on.
    pub(super) fn expect(&self, load: &Load) -> anyhow::Result<()> {
        let https = load.workload.protocol.is_encrypted();
        self.origin.expect(https, load.address.port())
    }

    pub(super) fn restart(&mut self, subject: Subject, stop: &Shutdown) -> anyhow::Result<()> {
        let Subject::Proxy(index) = subject else {
            return Ok(());
        };
        let proxy = &mut self.proxies[index];
        proxy.child.end();
        proxy.child = proxy.candidate.start(stop)?;
        Ok(())
    }

    /// What is wrong, where it cannot be asked any more.
    pub(super) fn check(&mut self, subject: Subject) -> anyhow::Result<()> {
        let Subject::Proxy(index) = subject else {
            return Ok(());
        };
        let Proxy { candidate, child } = &mut self.proxies[index];
        if let Some(status) = child.ended()? {
            let said = child.last_words();
            bail!("{} has ended ({status}): {said}", candidate.name);
        }
        Ok(())
    }
}

/// The configurations that would be used, with made-up ports.
pub(super) fn configurations(options: &Options) -> anyhow::Result<Vec<Candidate>> {
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let candidates = programs(options)?
        .into_iter()
        .enumerate()
        .map(|(index, program)| {
            let first = 21_001 + 3 * index as u16;
            let directory = PathBuf::from("/tmp/lintel-compare");
            let certificates = directory.join("certs");
            let settings = Settings {
                workers: options.workers.get(),
                origins: (0..INSTANCES as u16)
                    .map(|index| address(20_001 + index))
                    .collect(),
                http: address(first),
                https: address(first + 1),
                admin: address(first + 2),
                certificate: certificates.join("site.pem"),
                key: certificates.join("site.key"),
                certificate_and_key: certificates.join("both.pem"),
                connections: allow_descriptors(),
                directory,
            };
            Candidate::new(program, settings)
        });
    Ok(candidates.collect())
}

struct Program {
    kind: Kind,
    file: PathBuf,
    version: String,
}

/// Ours first, then the peers, the floor last.
fn programs(options: &Options) -> anyhow::Result<Vec<Program>> {
    let ours = |kind| {
        Ok(Program {
            kind,
            file: env::current_exe().context("cannot find this program")?,
            version: String::new(),
        })
    };
    let mut programs = vec![ours(Kind::Lintel)];
    programs.extend(options.peers().into_iter().map(|(kind, file)| {
        let name = kind.name();
        let file = match file {
            Some(file) => file,
            None => find(name).with_context(|| {
                format!(
                    "{name} is not installed: {}; or leave it out of --peers",
                    kind.remedy()
                )
            })?,
        };
        let version = version(&file, kind.version_argument())
            .with_context(|| format!("{} does not tell its version", file.display()))?;
        Ok(Program {
            kind,
            file,
            version,
        })
    }));
    if options
        .workloads()
        .iter()
        .any(|workload| workload.kind == workload::Kind::AccessLog)
    {
        programs.push(ours(Kind::LintelLogging));
    }
    programs.push(ours(Kind::Relay));
    programs.into_iter().collect()
}

fn find(name: &str) -> Option<PathBuf> {
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

impl Candidate {
    fn new(program: Program, settings: Settings) -> Self {
        let Program {
            kind,
            file,
            version,
        } = program;
        let name = [kind.name(), &version].join(" ");
        Self {
            kind,
            name: name.trim_end().to_owned(),
            file: settings.directory.join(kind.file().unwrap_or_default()),
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

    /// Returns once it gives right answers.
    fn start(&self, stop: &Shutdown) -> anyhow::Result<Child> {
        if self.kind.file().is_some() {
            fs::write(&self.file, &self.configuration)
                .with_context(|| format!("cannot write {}", self.file.display()))?;
        }
        let arguments = self.kind.arguments(&self.settings, &self.file);
        let messages = self
            .settings
            .directory
            .join(format!("{}.messages", self.kind.name()));
        let mut child = Child::start(&self.program, &arguments, messages)?;
        let patience = Instant::now() + START_TIMEOUT;
        while let Err(reason) = probe(self.settings.http) {
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

/// One request, which must be answered with the origin's body.
fn probe(address: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PROBE_TIMEOUT)?;
    stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
    stream.write_all(b"GET /small HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let expected = origin::content("/small").unwrap_or_default();
    if answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(expected) {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&answer);
    bail!("it answers {:?}", text.lines().next().unwrap_or_default())
}

struct Certificates {
    authority: PathBuf,
    site: PathBuf,
    key: PathBuf,
    both: PathBuf,
}

impl Certificates {
    /// ECDSA P-256, one for everybody.
    fn make(directory: &Path) -> anyhow::Result<Self> {
        let directory = directory.join("certs");
        let files = lintel_certs::ensure(&directory, &[])?;
        let both = directory.join("both.pem");
        let text = [fs::read(&files.site)?, fs::read(&files.site_key)?].concat();
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&both)?;
        file.write_all(&text)?;
        Ok(Self {
            authority: files.ca,
            site: files.site,
            key: files.site_key,
            both,
        })
    }
}

/// As many as this user may have, for everybody that is started. Gives how many connections that allows a proxy: each has
/// another one to a target.
fn allow_descriptors() -> u64 {
    const ENOUGH: u64 = 20_000;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        // If it cannot be raised, the one there is counts.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    (allowed / 2).saturating_sub(100).clamp(100, ENOUGH)
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
