//! The health check log: a line for each check, in the ALB's order or as JSON.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::health_check::probe::Found;
use crate::health_check::state::Outcome;
use crate::log_file::{LogFile, shown, timestamp};
use crate::metrics::Metrics;
use crate::model::{HealthCheckProtocol, HealthCheckSettings, LogFormat, ProtocolVersion};

/// Where the checks of all groups are written down.
#[derive(Debug, Clone)]
pub struct HealthCheckLog {
    pub file: LogFile,
    pub metrics: std::sync::Arc<Metrics>,
    /// `app/NAME/ID`
    pub load_balancer: String,
}

/// As the ALB names and orders them.
#[derive(Debug, Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    time: String,
    /// In seconds.
    latency: f64,
    target_addr: SocketAddr,
    target_group_id: &'a str,
    status: &'static str,
    status_code: Option<u16>,
    reason_code: Option<&'static str>,
    elb: &'a str,
    ip_address: Option<String>,
}

impl HealthCheckLog {
    /// A check that began then, and took so long.
    pub fn write(
        &self,
        target_group: &str,
        target: SocketAddr,
        settings: &HealthCheckSettings,
        (began, took): (SystemTime, Duration),
        found: &Found,
    ) {
        let line = Line {
            kind: kind(settings),
            time: timestamp(began),
            latency: took.as_secs_f64(),
            target_addr: target,
            target_group_id: target_group,
            status: if found.outcome == Outcome::Pass {
                "PASS"
            } else {
                "FAIL"
            },
            status_code: found.status,
            reason_code: found.reason_code,
            elb: &self.load_balancer,
            ip_address: found.local.map(|ip| ip.to_string()),
        };
        let written = self.file.write(|lines| match self.file.format {
            LogFormat::Json => {
                // Of a struct like this it cannot fail.
                let _ = serde_json::to_writer(&mut *lines, &line);
                lines.push(b'\n');
            }
            LogFormat::Alb => lines.extend_from_slice(line.as_alb().as_bytes()),
        });
        if !written {
            self.metrics.health_check_log_dropped.inc();
        }
    }
}

impl Line<'_> {
    fn as_alb(&self) -> String {
        format!(
            "{} {} {:.9} {} {} {} {} {} {} {}\n",
            self.kind,
            self.time,
            self.latency,
            self.target_addr,
            self.target_group_id,
            self.status,
            shown(self.status_code.map(|code| code.to_string()).as_deref()),
            shown(self.reason_code),
            self.elb,
            shown(self.ip_address.as_deref()),
        )
    }
}

fn kind(settings: &HealthCheckSettings) -> &'static str {
    match (settings.version, settings.protocol) {
        (ProtocolVersion::Http1, HealthCheckProtocol::Http) => "http",
        (ProtocolVersion::Http1, HealthCheckProtocol::Https) => "https",
        (ProtocolVersion::Http2, _) => "h2",
        (ProtocolVersion::Grpc, _) => "grpc",
    }
}
