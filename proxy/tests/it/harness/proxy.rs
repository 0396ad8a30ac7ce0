//! A proxy in this process, from a configuration file of its own in a directory of its own.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::{Mutex, Once};

use lintel_proxy::config;
use lintel_proxy::load_balancer::{self, Changes, ReloadError, Running, StopReport};
use serde_json::Value;

use super::client::{Client, TlsClient};
use super::target::health_port;
use super::tls::Identity;
use super::{Message, Wire, eventually, tls, until};

/// What a configuration file says, with defaults that suit a test: one listener that forwards everything to the group
/// `app`, two workers, health checks that always pass, an access log.
#[derive(Clone, Default)]
pub struct Setup {
    targets: Vec<SocketAddr>,
    settings: Vec<String>,
    group: Vec<String>,
    https: bool,
    listener: Vec<String>,
    rules: String,
    more: String,
}

impl Setup {
    pub fn to(targets: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self {
            targets: targets.into_iter().collect(),
            ..Self::default()
        }
    }

    /// A line of `[load_balancer]`.
    pub fn with(mut self, line: &str) -> Self {
        self.settings.push(line.to_owned());
        self
    }

    /// A line of the group `app`.
    pub fn group(mut self, line: &str) -> Self {
        self.group.push(line.to_owned());
        self
    }

    /// A line of the listener.
    pub fn listener(mut self, line: &str) -> Self {
        self.listener.push(line.to_owned());
        self
    }

    /// The listener speaks TLS, as `site.pem` and `other.pem`.
    pub fn https(mut self) -> Self {
        self.https = true;
        self
    }

    /// A fixed response with this text as a rule of its own.
    pub fn rule(mut self, priority: u32, condition: &str, text: &str) -> Self {
        let action = format!(
            "{{ type = 'fixed-response', status_code = '200', content_type = 'text/plain', message_body = '{text}' }}"
        );
        self.rules += &rule(priority, condition, &action);
        self
    }

    pub fn rule_action(mut self, priority: u32, condition: &str, action: &str) -> Self {
        self.rules += &rule(priority, condition, action);
        self
    }

    /// Another group, with targets that are always healthy.
    pub fn other_group(self, name: &str, targets: &[SocketAddr]) -> Self {
        let health = health_port();
        self.more(&format!(
            "[[target_group]]\nname = '{name}'\nport = 1\ntargets = {}\nhealth_check = {{ port = '{health}' }}\n",
            list(targets)
        ))
    }

    /// Whole tables, after the others.
    pub fn more(mut self, tables: &str) -> Self {
        self.more += tables;
        self.more.push('\n');
        self
    }

    /// The file.
    pub fn text(&self) -> String {
        let settings = lines(
            &[
                ("name", "'web'".into()),
                ("workers", "2".into()),
                ("admin", "'127.0.0.1:0'".into()),
                (
                    "access_logs",
                    "{ path = 'access.log', format = 'json' }".into(),
                ),
            ],
            &self.settings,
        );
        let health = format!("{{ port = '{}' }}", health_port());
        let group = lines(
            &[
                ("port", "1".into()),
                ("targets", list(&self.targets)),
                ("health_check", health),
            ],
            &self.group,
        );
        let protocol = if self.https {
            "protocol = 'HTTPS'\ncertificate = { chain = 'site.pem', key = 'site.key' }\n\
             additional_certificates = [{ chain = 'other.pem', key = 'other.key' }]"
        } else {
            "protocol = 'HTTP'"
        };
        let listener = self.listener.join("\n");
        let (rules, more) = (&self.rules, &self.more);
        format!(
            "[load_balancer]\n{settings}\n[[target_group]]\nname = 'app'\n{group}\n[[listener]]\naddress = '127.0.0.1'\n\
             port = 0\n{protocol}\n{listener}\ndefault_action = {{ type = 'forward', target_group = 'app' }}\n{rules}\n{more}"
        )
    }

    /// Runs, with every target found healthy.
    pub fn start(self) -> Proxy {
        let proxy = self.start_unhealthy();
        until("all targets healthy", || {
            let health = proxy.target_health();
            let groups = health["target_groups"].as_array().unwrap().iter();
            groups
                .flat_map(|group| group["targets"].as_array().unwrap())
                .all(|target| matches!(target["state"].as_str(), Some("healthy" | "unused")))
        });
        proxy
    }

    /// Runs, whatever health checks say.
    pub fn start_unhealthy(self) -> Proxy {
        notice_panics();
        let directory = tempfile::tempdir().unwrap();
        tls::write_certificates(directory.path());
        let file = directory.path().join("lintel-proxy.toml");
        let text = self.text();
        std::fs::write(&file, &text).unwrap();
        let loaded = config::parse(&text, &file).unwrap_or_else(|found| {
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            panic!("{}\n{text}", found.join("\n"))
        });
        let running = load_balancer::start(loaded.model, Some(file)).unwrap();
        Proxy {
            running: Some(running),
            directory,
        }
    }
}

fn rule(priority: u32, condition: &str, action: &str) -> String {
    format!(
        "[[listener.rule]]\npriority = {priority}\ncondition = [{condition}]\naction = {action}\n"
    )
}

fn list(addresses: &[SocketAddr]) -> String {
    let quoted: Vec<String> = addresses
        .iter()
        .map(|address| format!("'{address}'"))
        .collect();
    format!("[{}]", quoted.join(", "))
}

/// The defaults, except where a line of the test's own has the key.
fn lines(defaults: &[(&str, String)], own: &[String]) -> String {
    let sets = |line: &str, key: &str| line.split('=').next().unwrap_or_default().trim() == key;
    let mut lines = own.to_vec();
    for (key, value) in defaults {
        if !own.iter().any(|line| sets(line, key)) {
            lines.push(format!("{key} = {value}"));
        }
    }
    lines.join("\n")
}

/// Ends when it is dropped, at once and whatever is under way. A panic inside it fails the test.
pub struct Proxy {
    running: Option<Running>,
    directory: tempfile::TempDir,
}

/// What is left of one that was stopped gracefully.
pub struct Stopped {
    pub report: StopReport,
    pub log: Vec<Value>,
}

impl Proxy {
    pub fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    /// The first listener's.
    pub fn address(&self) -> SocketAddr {
        self.running().listeners()[0]
    }

    pub fn port(&self) -> u16 {
        self.address().port()
    }

    pub fn connect(&self) -> Client {
        connect(self.address())
    }

    pub fn connect_tls(&self) -> TlsClient {
        self.connect_tls_as("example.com", &["http/1.1"])
    }

    pub fn connect_tls_as(&self, name: &str, protocols: &[&str]) -> TlsClient {
        Wire::new(tls::handshake(self.stream(), name, protocols).expect("a handshake"))
    }

    pub fn connect_tls_showing(&self, identity: Option<&Identity>) -> io::Result<TlsClient> {
        let stream = tls::handshake_as(self.stream(), identity, &["http/1.1"])?;
        Ok(Wire::new(stream))
    }

    pub fn stream(&self) -> TcpStream {
        connect(self.address()).into_stream()
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub fn get(&self, path: &str) -> Message {
        self.connect().get(path)
    }

    #[track_caller]
    pub fn admin(&self, method: &str, path: &str) -> Message {
        self.admin_exchange(&format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        ))
    }

    /// Whole, as an HTTP client would send it.
    #[track_caller]
    pub fn admin_exchange(&self, request: &str) -> Message {
        connect(self.running().admin().unwrap()).exchange(request)
    }

    pub fn target_health(&self) -> Value {
        serde_json::from_slice(&self.admin("GET", "/target-health").body).unwrap()
    }

    /// Of the only target that has this address: state and reason.
    pub fn health_of(&self, address: SocketAddr) -> (String, Option<String>) {
        let health = self.target_health();
        let groups = health["target_groups"].as_array().unwrap().iter();
        let target = groups
            .flat_map(|group| group["targets"].as_array().unwrap())
            .find(|target| target["port"] == address.port());
        let target = target.unwrap_or_else(|| panic!("no {address} in {health}"));
        let reason = target["reason"].as_str().map(str::to_owned);
        (target["state"].as_str().unwrap().to_owned(), reason)
    }

    pub fn wait_for_health(&self, address: SocketAddr, state: &str) {
        until(state, || self.health_of(address).0 == state);
    }

    /// The value of a series that counts whole things, its labels written as they are in the exposition; 0 if there is
    /// none yet.
    pub fn metric(&self, series: &str) -> i64 {
        let text = self.admin("GET", "/metrics");
        let mut values = text.text().lines().filter_map(|line| {
            let value = line.strip_prefix("lintel_proxy_")?.strip_prefix(series)?;
            value.strip_prefix(' ')?.parse().ok()
        });
        values.next().unwrap_or_default()
    }

    pub fn wait_for_metric(&self, series: &str, value: i64) {
        until(&format!("{series} = {value}"), || {
            self.metric(series) == value
        });
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    /// The access log once it has this many lines; more are a failure.
    #[track_caller]
    pub fn log(&self, count: usize) -> Vec<Value> {
        let lines = eventually("lines in the access log", || {
            let lines = self.lines();
            (lines.len() >= count).then_some(lines)
        });
        assert_eq!(lines.len(), count, "{lines:#?}");
        lines
    }

    /// The only line.
    #[track_caller]
    pub fn log_line(&self) -> Value {
        self.log(1).remove(0)
    }

    /// The access log so far.
    pub fn lines(&self) -> Vec<Value> {
        lines_of(&std::fs::read_to_string(self.path("access.log")).unwrap_or_default())
    }

    /// Puts another configuration in the file and loads it.
    pub fn reload(&self, setup: &Setup) -> Result<Changes, ReloadError> {
        self.reload_text(&setup.text())
    }

    pub fn reload_text(&self, text: &str) -> Result<Changes, ReloadError> {
        std::fs::write(self.path("lintel-proxy.toml"), text).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(self.running().reload_file())
    }

    /// As SIGTERM does.
    pub fn request_stop(&self) {
        self.running().trigger().request();
    }

    /// Stops gracefully, to the end.
    pub fn stop(mut self) -> Stopped {
        self.request_stop();
        self.wait_stopped()
    }

    /// After a stop was asked for.
    pub fn stopped(mut self) -> Stopped {
        self.wait_stopped()
    }

    fn wait_stopped(&mut self) -> Stopped {
        let report = self.running.take().unwrap().wait();
        Stopped {
            report,
            log: self.lines(),
        }
    }
}

/// The whole lines, as one may be half-written, in the order in which the answers ended: workers write by turns.
fn lines_of(text: &str) -> Vec<Value> {
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let mut lines: Vec<Value> = whole
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    lines.sort_by_key(|line| line["time"].as_str().map(str::to_owned));
    lines
}

fn connect(address: SocketAddr) -> Client {
    Wire::tcp(TcpStream::connect(address).expect("a connection to the proxy"))
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.trigger().expire();
            running.wait();
        }
        if !std::thread::panicking() {
            let panics = PANICS.lock().unwrap();
            assert!(panics.is_empty(), "the proxy panicked: {panics:?}");
        }
    }
}

/// Panics on the proxy's threads, which it outlives.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn notice_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            let name = thread.name().unwrap_or_default();
            if name.starts_with("worker-") || matches!(name, "control" | "access-log") {
                PANICS.lock().unwrap().push(panic.to_string());
            }
            default(panic);
        }));
    });
}
