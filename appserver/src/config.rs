//! The settings, from environment variables: the only place where they are read. Everything that is
//! wrong is reported at once, each problem with what would be right; no message repeats a secret.

mod database_url;
mod secret;

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use lintel_common::telemetry::LogFormat;

use crate::database::Source;
pub use secret::Secret;

/// Every variable with its default and meaning, for `--help` and, in a test, against the code.
pub const VARIABLES: &[(&str, &str, &str)] = &[
    ("BIND", "0.0.0.0:8000", "address and port to listen on"),
    (
        "DATABASE_URL",
        "required",
        "mysql://USER:PASSWORD@HOST:PORT/NAME, sqlite://PATH, or a host alone",
    ),
    ("DATABASE_USERNAME", "none", "where the URL names no user"),
    (
        "DATABASE_PASSWORD",
        "none",
        "where the URL names no password; or DATABASE_PASSWORD_FILE",
    ),
    (
        "DATABASE_NAME",
        "flaskcrud",
        "where DATABASE_URL is a host alone",
    ),
    (
        "DATABASE_PORT",
        "3306",
        "where DATABASE_URL is a host alone",
    ),
    (
        "DATABASE_REPLICA_URL",
        "none",
        "a MySQL replica that lists are read from, in the same forms",
    ),
    (
        "DATABASE_TLS_CA",
        "none",
        "PEM file; connections to MySQL are then encrypted and verified",
    ),
    (
        "DATABASE_POOL_SIZE",
        "5",
        "connections to each database, 1 to 1000",
    ),
    (
        "DATABASE_ATTEMPTS",
        "10",
        "tries to reach the database at the start, 5 s apart",
    ),
    (
        "SECRET_KEY",
        "required",
        "at least 32 bytes, the same on all instances; or SECRET_KEY_FILE",
    ),
    (
        "TRUSTED_PROXIES",
        "loopback and private ranges",
        "networks whose X-Forwarded-* are believed, or none",
    ),
    (
        "INSTANCE_ID",
        "the host name",
        "what the footer of each page calls this instance",
    ),
    (
        "LOG_FORMAT",
        "text",
        "text or json, on standard error; LINTEL_LOG filters",
    ),
    (
        "SHUTDOWN_DELAY",
        "0",
        "seconds that /health answers 503 before listening ends",
    ),
    (
        "SHUTDOWN_TIMEOUT",
        "25",
        "seconds for requests in flight after that",
    ),
];

const PRIVATE_NETWORKS: &str =
    "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7";

/// What the process is told.
#[derive(Debug)]
pub struct Settings {
    pub bind: SocketAddr,
    pub database: Source,
    pub replica: Option<Source>,
    pub pool_size: u32,
    pub attempts: u32,
    pub secret_key: Secret,
    pub trusted_proxies: Vec<IpNet>,
    pub instance_id: String,
    pub log_format: LogFormat,
    pub shutdown_delay: Duration,
    pub shutdown_timeout: Duration,
}

/// One wrong or missing variable.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    pub variable: &'static str,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.message)
    }
}

impl Settings {
    /// Reads all variables through `lookup`.
    pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, Vec<Problem>> {
        let mut environment = Environment {
            lookup: &lookup,
            problems: Vec::new(),
        };
        let settings = Self::collect(&mut environment);
        match settings {
            Some(settings) if environment.problems.is_empty() => Ok(settings),
            _ => Err(environment.problems),
        }
    }

    /// `None` if a required one is missing or wrong; the problem is noted then.
    fn collect(environment: &mut Environment<'_>) -> Option<Self> {
        let bind = environment.parse(
            "BIND",
            SocketAddr::from(([0, 0, 0, 0], 8000)),
            "is no address and port; use for example 0.0.0.0:8000",
        );
        let database = database_url::read(environment);
        let secret_key = secret::read_key(environment);
        let settings = Self {
            bind,
            pool_size: environment.number("DATABASE_POOL_SIZE", 5, 1000),
            attempts: environment.number("DATABASE_ATTEMPTS", 10, 100_000),
            trusted_proxies: environment.networks("TRUSTED_PROXIES"),
            instance_id: environment.instance_id(),
            log_format: environment.parse(
                "LOG_FORMAT",
                LogFormat::Text,
                "is no log format; use text or json",
            ),
            shutdown_delay: environment.seconds("SHUTDOWN_DELAY", 0),
            shutdown_timeout: environment.seconds("SHUTDOWN_TIMEOUT", 25),
            secret_key: secret_key?,
            replica: database
                .as_ref()
                .and_then(|database| database.replica.clone()),
            database: database?.primary,
        };
        Some(settings)
    }
}

/// The variables and what was found wrong with them so far. An empty variable counts as not set:
/// that is how Compose files and task definitions leave one out.
struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<OsString>,
    problems: Vec<Problem>,
}

impl Environment<'_> {
    fn problem(&mut self, variable: &'static str, message: impl Into<String>) {
        self.problems.push(Problem {
            variable,
            message: message.into(),
        });
    }

    fn text(&mut self, variable: &'static str) -> Option<String> {
        let Ok(text) = (self.lookup)(variable)?.into_string() else {
            self.problem(variable, "is not UTF-8; use plain text");
            return None;
        };
        Some(text).filter(|text| !text.trim().is_empty())
    }

    fn parse<T: FromStr>(&mut self, variable: &'static str, default: T, message: &str) -> T {
        let Some(text) = self.text(variable) else {
            return default;
        };
        text.trim().parse().unwrap_or_else(|_| {
            self.problem(variable, format!("{text:?} {message}"));
            default
        })
    }

    fn number(&mut self, variable: &'static str, default: u32, most: u32) -> u32 {
        let number = self.parse(
            variable,
            default,
            &format!("is no whole number; use 1 to {most}"),
        );
        if (1..=most).contains(&number) {
            return number;
        }
        self.problem(
            variable,
            format!("{number} is out of range; use 1 to {most}"),
        );
        default
    }

    fn seconds(&mut self, variable: &'static str, default: u64) -> Duration {
        let message = "is no number of seconds; use 0 to 3600, decimals allowed";
        let seconds = self.parse(variable, default as f64, message);
        if (0.0..=3600.0).contains(&seconds) {
            return Duration::from_secs_f64(seconds);
        }
        self.problem(variable, format!("{seconds} {message}"));
        Duration::from_secs(default)
    }

    fn networks(&mut self, variable: &'static str) -> Vec<IpNet> {
        let text = self
            .text(variable)
            .unwrap_or_else(|| PRIVATE_NETWORKS.to_owned());
        if text.trim() == "none" {
            return Vec::new();
        }
        let mut networks = Vec::new();
        for item in text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            match item
                .parse()
                .or_else(|_| item.parse::<IpAddr>().map(IpNet::from))
            {
                Ok(network) => networks.push(network),
                Err(_) => self.problem(
                    variable,
                    format!(
                        "{item:?} is no network; use for example 10.0.0.0/16,192.168.1.7 or none"
                    ),
                ),
            }
        }
        networks
    }

    fn instance_id(&mut self) -> String {
        let variable = "INSTANCE_ID";
        let Some(id) = self.text(variable) else {
            return host_name();
        };
        let id = id.trim();
        if id.len() > 64 || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.problem(
                variable,
                "use at most 64 printable ASCII characters without blanks",
            );
        }
        id.to_owned()
    }
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "appserver".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
