//! The program as a process of its own, on a port of its own; ended with the test, even by a panic.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::{Answer, send, urlencoded};

pub(crate) const KEY: &str = "test-key-0123456789-abcdefghijklm";
const PROGRAM: &str = env!("CARGO_BIN_EXE_lintel-appserver");

/// A command whose process ends when the test's does, even if that is killed.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Polls until `condition` gives something; fails the test after `bound`.
pub(crate) fn until<T>(bound: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(started.elapsed() < bound, "not within {bound:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The program with the settings that every test wants, and nothing of the environment's.
pub(crate) fn program(settings: &[(&str, &str)]) -> Command {
    let mut command = command(PROGRAM);
    command
        .arg("run")
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command.envs([
        ("BIND", "127.0.0.1:0"),
        ("SECRET_KEY", KEY),
        ("LOG_FORMAT", "json"),
    ]);
    command.envs(settings.iter().copied());
    command
}

pub(crate) fn sqlite(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("lintel.db").display())
}

pub(crate) struct AppServer {
    child: KilledOnDrop,
    pub(crate) address: SocketAddr,
    log: Receiver<String>,
}

struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl AppServer {
    /// Started and listening; the database may not be there yet.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        let mut child = KilledOnDrop(
            program(settings)
                .spawn()
                .expect("the program and setpriv are there"),
        );
        let stderr = child.0.stderr.take().expect("standard error is piped");
        let (lines, log) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        let mut said = Vec::new();
        loop {
            let Ok(line) = log.recv_timeout(Duration::from_secs(20)) else {
                panic!("the app server did not start: {said:?}");
            };
            if let Some((_, rest)) = line.split_once("\"address\":\"") {
                let address = rest
                    .split('"')
                    .next()
                    .and_then(|address| address.parse().ok());
                return Self {
                    child,
                    address: address.expect("an address is logged"),
                    log,
                };
            }
            said.push(line);
        }
    }

    /// Started, and its database reached.
    pub(crate) fn ready(settings: &[(&str, &str)]) -> Self {
        let app = Self::start(settings);
        app.until_status("/ready", 200);
        app
    }

    pub(crate) fn on_sqlite(folder: &Path) -> Self {
        Self::ready(&[("DATABASE_URL", &sqlite(folder))])
    }

    pub(crate) fn until_status(&self, path: &str, status: u16) -> Answer {
        until(
            Duration::from_secs(30),
            &format!("{path} answers {status}"),
            || Some(self.get(path)).filter(|answer| answer.status == status),
        )
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        send(self.address, "GET", path, &[], b"")
    }

    pub(crate) fn post(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Answer {
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let headers = [&form, headers].concat();
        send(
            self.address,
            "POST",
            path,
            &headers,
            urlencoded(fields).as_bytes(),
        )
    }

    /// As a person does: the token comes from a page.
    pub(crate) fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.token();
        self.post(
            path,
            &[fields, &[("csrf_token", token.as_str())]].concat(),
            &[],
        )
    }

    pub(crate) fn token(&self) -> String {
        self.get("/").csrf_token()
    }

    pub(crate) fn json(&self, method: &str, path: &str, body: &str) -> Answer {
        send(
            self.address,
            method,
            path,
            &[("Content-Type", "application/json")],
            body.as_bytes(),
        )
    }

    pub(crate) fn add(&self, title: &str, description: &str) {
        let answer = self.submit("/add", &[("title", title), ("description", description)]);
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, Some("/")),
            "{}",
            answer.body
        );
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.0.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process id");
        kill_process(pid, signal).expect("the process lives");
    }

    /// Its exit code (`None`: killed), once it has ended.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        until(Duration::from_secs(40), "the app server ends", || {
            self.child
                .0
                .try_wait()
                .expect("the process can be waited for")
        })
        .code()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child
            .0
            .try_wait()
            .expect("the process can be waited for")
            .is_none()
    }

    /// What it has logged since it was asked last.
    pub(crate) fn logged(&self) -> String {
        self.log.try_iter().collect::<Vec<_>>().join("\n")
    }
}
