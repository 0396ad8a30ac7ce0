//! The proxy under callgrind: this same program's `proxy` subcommand, with one worker and everything as anybody would run
//! it, in front of the origin.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use lintel_certs::DevCertificates;
use lintel_common::leash;
use rustix::process::{Pid, Signal, kill_process};

use super::callgrind::{self, Costs};
use crate::compare::rules::Rules;
use crate::compare::workload::Workload;

pub(super) const TARGETS: usize = 3;

/// Valgrind makes everything some fifty times slower.
const START: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
/// The first health checks are spread over a second; they are to be over before requests are counted.
const FIRST_CHECKS: Duration = Duration::from_millis(1500);

/// Ends when it is dropped.
pub(super) struct Proxy {
    child: Child,
    pub(super) address: SocketAddr,
    pub(super) admin: SocketAddr,
    costs: PathBuf,
    messages: PathBuf,
}

/// What it is started with.
pub(super) struct Settings<'s> {
    pub(super) origins: &'s [SocketAddr],
    /// Its access log, if it is to write one.
    pub(super) log: Option<&'s Path>,
    pub(super) rules: Option<Rules>,
    pub(super) certificates: &'s DevCertificates,
}

impl Proxy {
    /// Returns when the first health checks are over.
    pub(super) fn start(
        directory: &Path,
        workload: &Workload,
        settings: &Settings<'_>,
    ) -> anyhow::Result<Self> {
        let (address, admin) = (free_address()?, free_address()?);
        let file = directory.join("lintel-proxy.toml");
        let mut configuration = configuration(address, admin, settings);
        if workload.protocol.is_encrypted() {
            let certificates = settings.certificates;
            let (chain, key) = (&certificates.site, &certificates.site_key);
            let certificate = format!("chain = '{}', key = '{}'", chain.display(), key.display());
            configuration.extend(["protocol = 'HTTPS'\ncertificate = { ", &certificate, " }\n"]);
        }
        std::fs::write(&file, configuration)?;
        let costs = directory.join("callgrind.out");
        let messages = directory.join("messages");
        let child = leash::command(Path::new("valgrind"))
            .args(callgrind::arguments(
                &costs,
                &directory.join("valgrind.log"),
            ))
            .arg(std::env::current_exe()?)
            .args(["proxy", "run", "--config"])
            .arg(&file)
            .env_remove("LINTEL_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&messages)?)
            .spawn()
            .context("cannot start valgrind")?;
        let mut proxy = Self {
            child,
            address,
            admin,
            costs,
            messages,
        };
        proxy.listens()?;
        thread::sleep(FIRST_CHECKS);
        Ok(proxy)
    }

    /// Told by its own message: to ask it would cost instructions, a different number each time.
    fn listens(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        while !std::fs::read_to_string(&self.messages)?.contains(" listening ") {
            if self.child.try_wait()?.is_some() || start.elapsed() > START {
                bail!("the proxy did not start: {}", self.last_words());
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// The last lines that it has written.
    pub(super) fn last_words(&self) -> String {
        const LINES: usize = 5;
        let text = std::fs::read_to_string(&self.messages).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    /// Its figures, once it has ended.
    pub(super) fn stop(&mut self) -> anyhow::Result<Costs> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait()? {
                Some(status) => break status,
                None if start.elapsed() > STOP => bail!("the proxy does not stop"),
                None => thread::sleep(POLL),
            }
        };
        if !status.success() {
            bail!("the proxy ended with {status}: {}", self.last_words());
        }
        Costs::read(&self.costs)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that was free a moment ago; ports are not given out again soon.
fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?)
}

/// Ends inside the listener. The checks after the first ones come later than any run is long.
fn configuration(address: SocketAddr, admin: SocketAddr, settings: &Settings<'_>) -> String {
    let origins = settings.origins.iter();
    let targets: Vec<String> = origins.map(|origin| format!("'{origin}'")).collect();
    let log = settings.log.map_or_else(String::new, |path| {
        let path = path.display();
        format!("access_logs = {{ path = '{path}', format = 'json' }}\n")
    });
    let rules = settings
        .rules
        .map_or_else(String::new, |rules| rules.toml("origin"));
    format!(
        "[load_balancer]\nname = 'instructions'\nworkers = 1\nadmin = '{admin}'\nshutdown_timeout = 10\n{log}\n\
         [[target_group]]\nname = 'origin'\nport = 80\ntargets = [{targets}]\n\
         health_check = {{ path = '/health', interval = 300 }}\n\n\
         [[listener]]\naddress = '{ip}'\nport = {port}\n\
         default_action = {{ type = 'forward', target_group = 'origin' }}\n{rules}",
        targets = targets.join(", "),
        ip = address.ip(),
        port = address.port(),
    )
}
