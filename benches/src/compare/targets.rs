//! What stands behind the proxies: the fixed-answer origin, or the whole application.

use std::net::SocketAddr;
use std::path::Path;

use lintel_common::shutdown::Shutdown;

use super::application::Application;
use super::ask;
use super::figure;
use super::ports::Ports;
use super::request::HTML_END;
use super::usage::Processes;
use super::workload::{Kind, Workload};
use crate::origin;

const INSTANCES: usize = 3;

pub(super) enum Targets {
    Origin(origin::Process),
    Application(Box<Application>),
}

/// How one sees that a proxy serves them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probe {
    path: &'static str,
    /// Of the answer.
    end: &'static [u8],
}

impl Targets {
    pub(super) fn start(
        workloads: &[&Workload],
        directory: &Path,
        ports: &mut Ports,
        stop: &Shutdown,
    ) -> anyhow::Result<Self> {
        if workloads
            .iter()
            .any(|workload| workload.kind == Kind::WholePath)
        {
            let application = Application::start(&directory.join("application"), ports, stop)?;
            return Ok(Self::Application(Box::new(application)));
        }
        origin::Process::start(INSTANCES, true).map(Self::Origin)
    }

    pub(super) fn addresses(&self) -> &[SocketAddr] {
        match self {
            Self::Origin(origin) => &origin.addresses,
            Self::Application(application) => &application.servers,
        }
    }

    pub(super) fn probe(&self) -> Probe {
        let small = origin::content("/small").unwrap_or_default();
        match self {
            Self::Origin(_) => Probe {
                path: "/small",
                end: small,
            },
            Self::Application(_) => Probe {
                path: "/",
                end: HTML_END,
            },
        }
    }

    /// Those whose processor time is told for each request, with the names of the figures.
    pub(super) fn processes(&self) -> anyhow::Result<Vec<(&'static str, Processes)>> {
        match self {
            Self::Origin(_) => Ok(Vec::new()),
            Self::Application(application) => {
                let (servers, database) = application.processes()?;
                let servers = (figure::SERVERS_CPU.key, servers);
                Ok(vec![servers, (figure::DATABASE_CPU.key, database)])
            }
        }
    }

    /// What the forwarding headers must say from now on; the application believes them.
    pub(super) fn expect(&self, https: bool, port: u16) -> anyhow::Result<()> {
        match self {
            Self::Origin(origin) => origin.expect(https, port),
            Self::Application(_) => Ok(()),
        }
    }

    /// What has come to them since then; the application does not count.
    pub(super) fn report(&self) -> anyhow::Result<Option<origin::Report>> {
        match self {
            Self::Origin(origin) => origin.report().map(Some),
            Self::Application(_) => Ok(None),
        }
    }
}

impl Probe {
    pub(super) fn ask(&self, address: SocketAddr) -> anyhow::Result<()> {
        let answer = ask::get(address, self.path)?;
        if answer.trim_ascii_end().ends_with(self.end) {
            return Ok(());
        }
        anyhow::bail!("it answers something else")
    }
}
