//! The load balancer as values: what a configuration file describes once it has been checked.
//!
//! Nothing here knows the file's syntax, does IO or changes at run time. `config` makes a [`Model`]; `load_balancer` and
//! `reload` turn it into running parts.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use lintel_common::tls::MutualAuthentication;

use crate::http1::fields::is_nearly;
use crate::rule::RuleTable;

/// Everything one configuration file says.
#[derive(Debug, Clone)]
pub struct Model {
    pub load_balancer: LoadBalancerSettings,
    pub listeners: Vec<ListenerSettings>,
    /// Unique by name. A forward action holds an index into this list.
    pub target_groups: Vec<TargetGroupSettings>,
}

/// The table `[load_balancer]`.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadBalancerSettings {
    pub name: String,
    /// Worker threads; already resolved, never 0.
    pub workers: usize,
    /// Where the admin endpoints listen; `None` = off.
    pub admin: Option<SocketAddr>,
    pub admin_token_file: Option<PathBuf>,
    pub shutdown_timeout: Duration,
    pub connect_timeout: Duration,
    pub tls_handshake_timeout: Duration,
    pub request_header_timeout: Duration,
    pub response_timeout: Duration,
    pub idle_timeout: Duration,
    pub client_keep_alive: Duration,
    /// Of clients at once; `None`: as the limit of open files allows.
    pub max_connections: Option<usize>,
    pub enable_http2: bool,
    pub desync_mitigation_mode: DesyncMitigationMode,
    pub request_headers: RequestHeaders,
    pub access_logs: Option<LogSettings>,
    pub connection_logs: Option<LogSettings>,
    pub health_check_logs: Option<LogSettings>,
    /// Where this node is.
    pub availability_zone: Option<String>,
    /// Secrets that a fleet shares, the newest first; none = random at each start.
    pub secret_key_files: Vec<PathBuf>,
    pub quotas: Quotas,
}

/// How many of each a load balancer may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    pub listeners: usize,
    /// Of all listeners, default rules not counted.
    pub rules: usize,
    /// Of all listeners, default certificates not counted.
    pub certificates: usize,
    /// That listeners forward to.
    pub target_groups: usize,
    /// Of those groups.
    pub targets: usize,
    pub targets_in_group: usize,
}

/// Which requests that are not quite as they should be are let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DesyncMitigationMode {
    Monitor,
    Defensive,
    Strictest,
}

/// What becomes of a client's header fields on the way to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHeaders {
    pub drop_invalid: bool,
    pub preserve_host: bool,
    pub forwarded_for: ForwardedFor,
    pub tls_version_and_cipher_suite: bool,
}

impl RequestHeaders {
    pub const DEFAULT: Self = Self {
        drop_invalid: false,
        preserve_host: false,
        forwarded_for: ForwardedFor::Append { port: false },
        tls_version_and_cipher_suite: false,
    };
}

/// What becomes of `X-Forwarded-For`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedFor {
    Append {
        /// The client's port too.
        port: bool,
    },
    Preserve,
    Remove,
}

/// One log: where its lines go, and what they look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    pub path: LogPath,
    pub format: LogFormat,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPath {
    /// `"-"`
    StandardOutput,
    File(PathBuf),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// An object a line.
    Json,
    /// The ALB's own.
    Alb,
}

/// One `[[listener]]`. Its identity, also across reloads, is each (address, port) pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSettings {
    pub addresses: Vec<IpAddr>,
    pub port: u16,
    pub protocol: ListenerProtocol,
    pub headers: Arc<HeaderModification>,
    pub rules: RuleTable,
}

/// What a listener's attributes do to header fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderModification {
    /// Responses of the load balancer's own say `Server`.
    pub server: bool,
    /// Set on every response, in place of what it has of that name.
    pub response: Vec<(HeaderName, HeaderValue)>,
    /// The name under which a target is told the version of TLS; `None` = the ALB's.
    pub tls_version: Option<Box<str>>,
    /// Likewise of the cipher suite.
    pub tls_cipher_suite: Option<Box<str>>,
}

impl HeaderModification {
    /// Every key left out.
    pub const NONE: Self = Self {
        server: true,
        response: Vec::new(),
        tls_version: None,
        tls_cipher_suite: None,
    };

    pub fn renames_tls(&self) -> bool {
        self.tls_version.is_some() || self.tls_cipher_suite.is_some()
    }

    /// Whether one of the names that this listener has for facts about TLS is this one, in any case and with `_` for `-`.
    pub fn names_tls(&self, spelled: &[u8]) -> bool {
        let mut names = self.tls_version.iter().chain(&self.tls_cipher_suite);
        names.any(|name| is_nearly(spelled, name))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenerProtocol {
    Http,
    Https(Box<TlsSettings>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// A name that `lintel_common::tls::SslPolicy` knows.
    pub ssl_policy: String,
    pub certificate: CertificateFiles,
    pub additional_certificates: Vec<CertificateFiles>,
    pub mutual_authentication: MutualAuthentication,
    /// What targets are told of clients' certificates in.
    pub certificate_fields: CertificateFields,
}

/// The names of the fields about a client's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFields {
    /// The chain, of passthrough; the others are of verify.
    pub certificate: String,
    pub serial_number: String,
    pub issuer: String,
    pub subject: String,
    pub validity: String,
    pub leaf: String,
}

impl Default for CertificateFields {
    fn default() -> Self {
        let name = |what: &str| format!("X-Amzn-Mtls-Clientcert{what}");
        Self {
            certificate: name(""),
            serial_number: name("-Serial-Number"),
            issuer: name("-Issuer"),
            subject: name("-Subject"),
            validity: name("-Validity"),
            leaf: name("-Leaf"),
        }
    }
}

/// PEM files, paths already resolved against the configuration file's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    pub chain: PathBuf,
    pub key: PathBuf,
}

/// One `[[target_group]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetGroupSettings {
    pub name: String,
    /// Port of targets that name none.
    pub port: u16,
    pub deregistration_delay: Duration,
    pub health_check: HealthCheckSettings,
    /// As written; discovery adds to them.
    pub targets: Vec<TargetSettings>,
    pub discovery: Option<Discovery>,
    pub retry: Retry,
    pub protocol: TargetProtocol,
    pub protocol_version: ProtocolVersion,
    pub algorithm: Algorithm,
    /// `ZERO` = off.
    pub slow_start: Duration,
    /// How long targets keep an idle connection, as far as that is known.
    pub target_keep_alive: Option<Duration>,
    pub unhealthy_state_routing: UnhealthyStateRouting,
    /// Cross-zone load balancing is off: only the targets of this zone, the load balancer's, get requests.
    pub only_zone: Option<String>,
    pub stickiness: Option<Stickiness>,
}

/// How clients stay with a target. The duration is that of a session without a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stickiness {
    LbCookie {
        duration: Duration,
    },
    /// Begins with a cookie of that name from the target.
    AppCookie {
        name: String,
        duration: Duration,
    },
}

/// What targets speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolVersion {
    Http1,
    Http2,
    Grpc,
}

/// `load_balancing_algorithm_type`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    RoundRobin,
    LeastOutstandingRequests,
    WeightedRandom { anomaly_mitigation: bool },
}

impl Algorithm {
    pub fn mitigates_anomalies(self) -> bool {
        let mitigating = Self::WeightedRandom {
            anomaly_mitigation: true,
        };
        self == mitigating
    }
}

/// With fewer healthy targets than this, requests go to all registered ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnhealthyStateRouting {
    /// At least 1.
    pub minimum_healthy_targets_count: u32,
    /// 1 to 100 of the registered targets; `None` = off.
    pub minimum_healthy_targets_percentage: Option<u32>,
}

impl Default for UnhealthyStateRouting {
    fn default() -> Self {
        Self {
            minimum_healthy_targets_count: 1,
            minimum_healthy_targets_percentage: None,
        }
    }
}

impl UnhealthyStateRouting {
    /// Either of the two is enough.
    pub fn begins(self, healthy: usize, registered: usize) -> bool {
        let share = self.minimum_healthy_targets_percentage.unwrap_or_default() as usize;
        healthy < self.minimum_healthy_targets_count as usize || healthy * 100 < share * registered
    }
}

/// How targets are spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetProtocol {
    Http,
    /// `None` = any certificate is taken, as the ALB does.
    Https(Option<TargetVerification>),
}

/// The table `tls` of a target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetVerification {
    /// PEM, of the authorities that may have issued a target's certificate.
    pub ca: PathBuf,
    /// Which name the certificate must have; `None` = the target's address.
    pub server_name: Option<String>,
}

/// A target: unique by (id, port) within its group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TargetSettings {
    pub id: IpAddr,
    pub port: u16,
    pub availability_zone: Option<String>,
}

impl TargetSettings {
    /// Where it listens; also its identity within the group.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.id, self.port)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct HealthCheckSettings {
    pub protocol: HealthCheckProtocol,
    /// The group's.
    pub version: ProtocolVersion,
    /// Path and query, begins with `/`.
    pub path: String,
    /// `None` = the target's own port (`traffic-port`).
    pub port: Option<u16>,
    pub interval: Duration,
    pub timeout: Duration,
    pub healthy_threshold: u32,
    pub unhealthy_threshold: u32,
    pub matcher: Matcher,
}

/// Apart from the protocol of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthCheckProtocol {
    Http,
    Https,
}

/// Which statuses pass a health check, gRPC's for a group that speaks it: inclusive ranges, `200` is `200..=200`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher(pub Vec<std::ops::RangeInclusive<u16>>);

impl Matcher {
    pub fn matches(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

/// Where targets come from besides the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Discovery {
    Dns { name: String, refresh: Duration },
}

/// What happens to a request whose target failed it (`retry`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Another attempt wherever the request certainly did not run.
    Safe,
    /// Exactly as the ALB: none.
    None,
}
