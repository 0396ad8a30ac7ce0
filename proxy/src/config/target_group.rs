//! The tables `[[target_group]]`.

use std::path::Path;
use std::time::Duration;

use lintel_common::config_file::Table;
use lintel_common::tls::TargetTls;

use super::not_supported::{self, choice};
use super::values::{self, Seconds, seconds};
use super::{balancing, health_check, stickiness, target};
use crate::model::{
    Discovery, HealthCheckSettings, LoadBalancerSettings, ProtocolVersion, Retry,
    TargetGroupSettings, TargetProtocol, TargetVerification,
};

const DEREGISTRATION_DELAY: Duration = Duration::from_secs(300);
/// Of targets, in seconds: as `client_keep_alive`.
const LONGEST_KEEP_ALIVE: u32 = 604_800;
const REFRESH: Duration = Duration::from_secs(5);

pub(super) fn read(
    table: &mut Table<'_>,
    directory: &Path,
    load_balancer: &LoadBalancerSettings,
) -> TargetGroupSettings {
    refuse_what_is_planned(table);
    let balancing = balancing::read(table, load_balancer.availability_zone.as_deref());
    let port = table
        .required("port", "port = 8000")
        .and_then(|value| values::port(&value, 1))
        .unwrap_or_default();
    let targets = target::list(table, port, balancing.only_zone.as_deref());
    let discovery = table
        .get("discovery")
        .and_then(|value| value.table(discovery).flatten());
    let versions = [
        ("HTTP1", ProtocolVersion::Http1),
        ("HTTP2", ProtocolVersion::Http2),
        ("GRPC", ProtocolVersion::Grpc),
    ];
    let protocol_version =
        choice(table, "protocol_version", &versions, &[]).unwrap_or(ProtocolVersion::Http1);
    let group = TargetGroupSettings {
        name: table
            .required("name", "name = \"app\"")
            .and_then(|value| values::name(&value))
            .unwrap_or_default(),
        port,
        deregistration_delay: seconds(
            table,
            "deregistration_delay",
            Seconds::of_alb(0, 3600),
            DEREGISTRATION_DELAY,
        ),
        health_check: table
            .get("health_check")
            .and_then(|value| value.table(|table| health_check::read(table, protocol_version)))
            .unwrap_or_else(|| HealthCheckSettings::default_of(protocol_version)),
        targets,
        discovery,
        retry: choice(
            table,
            "retry",
            &[("safe", Retry::Safe), ("none", Retry::None)],
            &[],
        )
        .unwrap_or(Retry::Safe),
        protocol: protocol(table, directory),
        protocol_version,
        algorithm: balancing.algorithm,
        slow_start: balancing.slow_start,
        target_keep_alive: keep_alive(table, load_balancer.idle_timeout),
        unhealthy_state_routing: balancing.unhealthy_state_routing,
        stickiness: stickiness::read(table, &balancing),
        only_zone: balancing.only_zone,
    };
    if let Some(value) = table.get("discovery")
        && group.discovery.is_some()
        && group.only_zone.is_some()
    {
        value.error(
            "finds targets without a zone, which get no requests while cross-zone load balancing is off",
            "name the targets in `targets`, each with its availability_zone",
        );
    }
    let nowhere = table.get("targets").is_none() && table.get("discovery").is_none();
    if nowhere && table.is_complete() {
        table.warn(
            "has no targets and gets 503 for each request",
            "add targets or discovery",
        );
    }
    group
}

fn refuse_what_is_planned(table: &mut Table<'_>) {
    not_supported::flag(table, "lambda_multi_value_headers_enabled", false);
    not_supported::key(table, "target_control_port");
    choice(
        table,
        "target_type",
        &[("ip", ())],
        &["instance", "lambda", "alb"],
    );
}

/// What is known of the targets: an ALB is not told.
fn keep_alive(table: &mut Table<'_>, idle_timeout: Duration) -> Option<Duration> {
    let value = table.get("target_keep_alive")?;
    let keep_alive = Seconds::up_to(LONGEST_KEEP_ALIVE).read(&value)?;
    if keep_alive <= idle_timeout {
        value.warn(
            format_args!(
                "targets close idle connections after {} s, not later than the load balancer's idle_timeout of {} s: \
                 requests that an ALB sends meanwhile get 502",
                keep_alive.as_secs_f64(),
                idle_timeout.as_secs_f64()
            ),
            "let the targets keep them longer than idle_timeout; until then no connection is used here that targets may be closing",
        );
    }
    Some(keep_alive)
}

fn protocol(table: &mut Table<'_>, directory: &Path) -> TargetProtocol {
    let https = choice(table, "protocol", &[("HTTP", false), ("HTTPS", true)], &[]);
    let Some(tls) = table.get("tls") else {
        return match https {
            Some(true) => TargetProtocol::Https(None),
            _ => TargetProtocol::Http,
        };
    };
    let how = tls.table(|table| verification(table, directory)).flatten();
    if https == Some(false) {
        tls.warn(
            "changes nothing, as the targets are spoken to without TLS",
            "set protocol = \"HTTPS\", or leave it out",
        );
        return TargetProtocol::Http;
    }
    TargetProtocol::Https(how)
}

/// Makes what a start would make, so that a file that is missing or damaged is found here.
fn verification(table: &mut Table<'_>, directory: &Path) -> Option<TargetVerification> {
    let server_name = table.get("server_name").and_then(|value| {
        let name = value.string()?;
        if rustls::pki_types::DnsName::try_from(name).is_err() {
            value.error(
                format_args!("`{}` is not a host name", value.shown()),
                "write a name that the targets' certificate has, such as \"app.internal\"",
            );
        }
        Some(name.to_owned())
    });
    let ca = table.required("ca", "ca = \"ca.pem\"")?;
    let path = values::readable_file(&ca, directory)?;
    if let Err(error) = TargetTls::verified(&path, None, &[]) {
        values::report_tls(&ca, &error);
    }
    Some(TargetVerification {
        ca: path,
        server_name,
    })
}

fn discovery(table: &mut Table<'_>) -> Option<Discovery> {
    let refresh = seconds(table, "refresh", Seconds::up_to(3600), REFRESH);
    not_supported::key(table, "region");
    if let Some(value) = table.get("auto_scaling_group") {
        not_supported::refuse_key(&value, "auto_scaling_group");
        table.get("dns");
        return None;
    }
    let value = table.required("dns", "dns = \"appserver\"")?;
    let name = value.string()?;
    let valid = (1..=253).contains(&name.len())
        && name.split('.').enumerate().all(|(index, label)| {
            is_label(label) || (label.is_empty() && index > 0 && name.ends_with('.'))
        });
    if !valid {
        value.error(
            format_args!("`{}` is not a host name", value.shown()),
            "write a name such as \"appserver\", without a port",
        );
    }
    Some(Discovery::Dns {
        name: name.to_owned(),
        refresh,
    })
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
