//! Everything that runs: the origins, and every proxy in front of them, started once and kept for all workloads. One that
//! nobody asks costs nothing; that this holds is looked at in every round.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use lintel_common::shutdown::Shutdown;
use rustix::process::{Resource, getrlimit, setrlimit};
use rustls::ClientConfig;
use tempfile::TempDir;

use super::candidate::{self, Candidate};
use super::certificates::Certificates;
use super::child::Child;
use super::generator::Load;
use super::options::Options;
use super::ports::Ports;
use super::proxy::{Role, Settings};
use super::targets::Targets;
use super::tls;
use super::usage::{Cpu, Processes};
use super::workload::{Protocol, Workload};

/// Shown with `--show-config`, where nothing runs.
const ORIGINS: u16 = 3;

pub(super) struct Testbed {
    // Dropped in this order: those in front, those behind, then their files.
    proxies: Vec<Proxy>,
    pub(super) targets: Targets,
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

/// One that runs.
struct Proxy {
    candidate: Candidate,
    child: Child,
}

impl Testbed {
    /// For these; all with the same behind the proxies.
    pub(super) fn start(
        workloads: &[&Workload],
        options: &Options,
        stop: &Shutdown,
    ) -> anyhow::Result<Self> {
        let programs = candidate::programs(options, workloads)?;
        let connections = allow_descriptors();
        let directory = tempfile::Builder::new()
            .prefix("lintel-compare-")
            .tempdir()
            .context("cannot make a directory for configurations")?;
        let certificates = Certificates::make(directory.path())?;
        let mut ports = Ports::new();
        let targets = Targets::start(workloads, directory.path(), &mut ports, stop)?;
        let mut proxies = Vec::new();
        for program in programs {
            let settings = Settings {
                directory: directory.path().to_owned(),
                workers: options.workers.get(),
                origins: targets.addresses().to_vec(),
                http: ports.free()?,
                https: ports.free()?,
                admin: ports.free()?,
                certificate: certificates.site.clone(),
                key: certificates.key.clone(),
                certificate_and_key: certificates.both.clone(),
                connections,
            };
            let candidate = Candidate::new(program, settings);
            let child = candidate.start(targets.probe(), stop)?;
            proxies.push(Proxy { candidate, child });
        }
        Ok(Self {
            proxies,
            targets,
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
        let takes_part =
            |&index: &usize| self.proxies[index].candidate.kind.takes_part_in(workload);
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
            Subject::Origin => self.targets.addresses()[0],
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
        self.targets.expect(https, load.address.port())
    }

    pub(super) fn restart(&mut self, subject: Subject, stop: &Shutdown) -> anyhow::Result<()> {
        let Subject::Proxy(index) = subject else {
            return Ok(());
        };
        let proxy = &mut self.proxies[index];
        proxy.child.end();
        proxy.child = proxy.candidate.start(self.targets.probe(), stop)?;
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
    let candidates = candidate::programs(options, &options.workloads())?
        .into_iter()
        .enumerate()
        .map(|(index, program)| {
            let first = 21_001 + 3 * index as u16;
            let directory = PathBuf::from("/tmp/lintel-compare");
            let certificates = directory.join("certs");
            let settings = Settings {
                workers: options.workers.get(),
                origins: (0..ORIGINS).map(|index| address(20_001 + index)).collect(),
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
