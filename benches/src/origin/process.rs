//! The origin as whoever measures sees it: a child process, told where it listens and asked what it has counted.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use lintel_common::leash;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

/// How long an answer of the origin itself may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Ends when it is dropped, and when this process does.
pub(crate) struct Process {
    child: Child,
    /// One an instance.
    pub(crate) addresses: Vec<SocketAddr>,
}

/// What it has counted since the last reset.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Report {
    pub(crate) requests: u64,
    pub(crate) missing_forwarding_headers: u64,
    pub(crate) instances: Vec<InstanceReport>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct InstanceReport {
    pub(crate) requests: u64,
}

impl Process {
    /// Returns when it listens, on free ports of the loopback address. To be called from the main thread (see
    /// [`leash::command`]).
    pub(crate) fn start(instances: usize, expects_forwarding: bool) -> anyhow::Result<Self> {
        let mut command = leash::command(&leash::this_executable());
        command.args(["origin", "--listen"]);
        command.args(std::iter::repeat_n("127.0.0.1:0", instances));
        if expects_forwarding {
            command.arg("--expect-forwarding");
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the origin")?;
        let mut line = String::new();
        let read = match child.stdout.take() {
            Some(stdout) => BufReader::new(stdout).read_line(&mut line),
            None => Ok(0),
        };
        let mut origin = Self {
            child,
            addresses: Vec::new(),
        };
        read.context("the origin does not say that it is ready")?;
        let Some(addresses) = line.strip_prefix("ready ") else {
            bail!("the origin did not start");
        };
        for address in addresses.split_whitespace() {
            origin.addresses.push(address.parse()?);
        }
        Ok(origin)
    }

    /// Begins to count anew; from now on requests must say that they came over this protocol to this port.
    pub(crate) fn expect(&self, https: bool, port: u16) -> anyhow::Result<()> {
        let proto = if https { "https" } else { "http" };
        self.ask(&format!("?reset&proto={proto}&port={port}"))
            .map(drop)
    }

    pub(crate) fn report(&self) -> anyhow::Result<Report> {
        self.ask("")
    }

    fn ask(&self, query: &str) -> anyhow::Result<Report> {
        let address = self.addresses.first().context("no instance")?;
        let mut stream = TcpStream::connect_timeout(address, ANSWER_TIMEOUT)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        let request = format!(
            "GET /__report{query} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer
            .split_once("\r\n\r\n")
            .context("the origin gives no report")?;
        serde_json::from_str(body).context("the origin's report is not understood")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Once it has ended there is nobody to signal.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}
