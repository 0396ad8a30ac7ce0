//! A running `lintel` with a data directory and ports of its own. Dropping it kills it; its children end by themselves,
//! which is one of the things that is tested.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// What everything must be done within; nothing takes nearly as long, except on a machine that does much else.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Waits until `condition` gives a value.
pub(crate) fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Ports for one test: http, https, admin, and from the fourth on the app servers'. Below those that the kernel gives to
/// outgoing connections, and apart from those of other test processes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) http: u16,
    pub(crate) https: u16,
    pub(crate) admin: u16,
    apps: u16,
}

impl Ports {
    pub(crate) fn choose() -> Self {
        const EACH: u16 = 16;
        // Test processes side by side, and tests side by side in one process, begin at different places.
        static CALLS: AtomicU32 = AtomicU32::new(0);
        let start = (std::process::id() + 97 * CALLS.fetch_add(1, Ordering::Relaxed)) % 700;
        for block in (start..700).chain(0..start) {
            let base = 20_000 + u16::try_from(block).unwrap() * EACH;
            let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
            if (base..base + EACH).all(free) {
                return Self {
                    http: base,
                    https: base + 1,
                    admin: base + 2,
                    apps: base + 3,
                };
            }
        }
        panic!("no free ports");
    }

    pub(crate) fn arguments(self) -> Vec<String> {
        let Self {
            http,
            https,
            admin,
            apps,
        } = &self;
        let flags = [
            ("--http-port", http),
            ("--https-port", https),
            ("--admin-port", admin),
            ("--app-port", apps),
        ];
        flags
            .iter()
            .flat_map(|(flag, port)| [(*flag).to_owned(), port.to_string()])
            .collect()
    }
}

/// The command, without what the environment of whoever runs the tests could change.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lintel"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let ours = [
            "DATABASE_",
            "SECRET_KEY",
            "SHUTDOWN_",
            "LINTEL_",
            "LOG_FORMAT",
            "TRUSTED_PROXIES",
            "INSTANCE_ID",
        ];
        // By this mark ./test finds what its tests have left running.
        let is_mark = text == "LINTEL_TEST_RUN";
        if !is_mark && ours.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command.stdin(Stdio::null());
    command
}

pub(crate) struct Lintel {
    process: Child,
    pub(crate) ports: Ports,
    data_dir: PathBuf,
    output: PathBuf,
}

impl Lintel {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(root: &TempDir, more: &[&str]) -> Self {
        Self::start_in(root, more, &[])
    }

    /// The same, with more in its environment.
    pub(crate) fn start_in(root: &TempDir, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let ports = Ports::choose();
        let output = root.path().join("output");
        let data_dir = root.path().join("data");
        let out = File::create(&output).unwrap();
        let process = command()
            .args(ports.arguments())
            .arg("--data-dir")
            .arg(&data_dir)
            .args(more)
            .envs(environment.iter().copied())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        let lintel = Self {
            process,
            ports,
            data_dir,
            output,
        };
        wait_for(&format!("ready in:\n{}", lintel.output()), LIMIT, || {
            (lintel.curl(&[&lintel.admin("/ready")])?.status == 200
                && lintel.output().contains("ready: open"))
            .then_some(())
        });
        lintel
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it told so far.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(&self.output).unwrap()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.data_dir.join(name)
    }

    pub(crate) fn page(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.ports.https)
    }

    pub(crate) fn admin(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.admin)
    }

    /// One request by curl, which trusts only our authority. `None` if there was no answer.
    pub(crate) fn curl(&self, arguments: &[&str]) -> Option<Answer> {
        let output = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--max-time",
                "20",
                "--noproxy",
                "*",
            ])
            .args(["--write-out", "\n%{http_code} %{redirect_url}", "--cacert"])
            .arg(self.file("certs/ca.pem"))
            .args(arguments)
            .output()
            .expect("curl must be installed");
        if !output.status.success() {
            return None;
        }
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, end) = text.rsplit_once('\n')?;
        let (status, location) = end.split_once(' ')?;
        Some(Answer {
            status: status.parse().unwrap(),
            location: location.to_owned(),
            body: body.to_owned(),
        })
    }

    pub(crate) fn get(&self, url: &str) -> Answer {
        self.curl(&[url])
            .unwrap_or_else(|| panic!("no answer from {url}:\n{}", self.output()))
    }

    /// Adds an entry as a browser would, through the form of the first page.
    pub(crate) fn add_entry(&self, title: &str) {
        let jar = self.file("cookies").display().to_string();
        let form = self.curl(&["--cookie-jar", &jar, &self.page("/")]).unwrap();
        let (_, rest) = form
            .body
            .split_once("name=\"csrf_token\" value=\"")
            .expect("a token in the form");
        let token = format!("csrf_token={}", rest.split('"').next().unwrap());
        let (title, description) = (format!("title={title}"), "description=by curl");
        let mut arguments = vec!["--cookie", &jar];
        for field in [token.as_str(), &title, description] {
            arguments.extend(["--data-urlencode", field]);
        }
        let url = self.page("/add");
        arguments.push(&url);
        let answer = self.curl(&arguments).unwrap();
        assert_eq!(answer.status, 303, "{}", answer.body);
    }

    pub(crate) fn wait_until_healthy(&self, servers: usize) {
        wait_for("all app servers to be healthy", LIMIT, || {
            let states = self.target_states();
            (states.len() == servers && states.iter().all(|state| state == "healthy")).then_some(())
        });
    }

    /// States of the targets as the admin endpoint tells them.
    fn target_states(&self) -> Vec<String> {
        let answer = self.get(&self.admin("/target-health"));
        let health: Value = serde_json::from_str(&answer.body).unwrap();
        let targets = health["target_groups"][0]["targets"].as_array().unwrap();
        targets
            .iter()
            .map(|target| target["state"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Its direct children: process id and command line.
    pub(crate) fn children(&self) -> Vec<(u32, String)> {
        children_of(self.pid())
    }

    pub(crate) fn child(&self, part_of_command_line: &str) -> u32 {
        let children = self.children();
        let found = children
            .iter()
            .find(|(_, command_line)| command_line.contains(part_of_command_line));
        found
            .unwrap_or_else(|| panic!("no {part_of_command_line} in {children:?}"))
            .0
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        let output = self.output.clone();
        let process = &mut self.process;
        wait_for(
            &format!("the end of:\n{}", fs::read_to_string(output).unwrap()),
            limit,
            || process.try_wait().unwrap(),
        )
    }

    /// Stops it as Ctrl-C does, and proves that it leaves nothing running.
    pub(crate) fn stop(mut self) {
        let children = self.children();
        self.signal(Signal::INT);
        let status = self.wait(LIMIT);
        assert_eq!(status.code(), Some(0), "{}", self.output());
        for (pid, command_line) in children {
            assert!(!is_alive(pid), "{command_line} still runs");
        }
    }
}

impl Drop for Lintel {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: String,
    pub(crate) body: String,
}

pub(crate) fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn children_of(parent: u32) -> Vec<(u32, String)> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let path = entry.ok()?.path();
        let pid: u32 = path.file_name()?.to_str()?.parse().ok()?;
        let (_, its_parent) = state_and_parent(&path)?;
        if its_parent != parent {
            return None;
        }
        let command_line = fs::read_to_string(path.join("cmdline"))
            .ok()?
            .replace('\0', " ");
        Some((pid, command_line))
    });
    processes.collect()
}

/// Whether a process of this id runs; one that ended and waits to be collected does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    let path = Path::new("/proc").join(pid.to_string());
    state_and_parent(&path).is_some_and(|(state, _)| state != 'Z')
}

/// From `/proc/PID/stat`: after the name in brackets come the state and the parent.
fn state_and_parent(process: &Path) -> Option<(char, u32)> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
