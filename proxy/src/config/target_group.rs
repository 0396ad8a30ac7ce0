//! The tables `[[target_group]]`.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use lintel_common::config_file::{Kind, Table, Value};
use lintel_common::tls::TargetTls;

use super::health_check;
use super::not_supported::{self, choice};
use super::values::{self, Seconds, seconds};
use crate::model::{
    Discovery, HealthCheckSettings, ProtocolVersion, Retry, TargetGroupSettings, TargetProtocol,
    TargetSettings, TargetVerification,
};

const DEREGISTRATION_DELAY: Duration = Duration::from_secs(300);
const REFRESH: Duration = Duration::from_secs(5);
const EXAMPLE: &str = "write an address such as \"10.0.3.11:8000\"";

pub(super) fn read(table: &mut Table<'_>, directory: &Path) -> TargetGroupSettings {
    refuse_what_is_planned(table);
    let port = table
        .required("port", "port = 8000")
        .and_then(|value| values::port(&value, 1))
        .unwrap_or_default();
    let targets = targets(table, port);
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
    };
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
    choice(
        table,
        "target_type",
        &[("ip", ())],
        &["instance", "lambda", "alb"],
    );
    choice(
        table,
        "load_balancing_algorithm_type",
        &[("round_robin", ())],
        &["least_outstanding_requests", "weighted_random"],
    );
    choice(
        table,
        "load_balancing_anomaly_mitigation",
        &[("off", ())],
        &["on"],
    );
    choice(
        table,
        "load_balancing_cross_zone_enabled",
        &[("use_load_balancer_configuration", ()), ("true", ())],
        &["false"],
    );
    not_supported::number(table, "slow_start", 0);
    if let Some(stickiness) = table.get("stickiness") {
        stickiness.table(|table| {
            not_supported::flag(table, "enabled", false);
            choice(table, "type", &[("lb_cookie", ())], &["app_cookie"]);
            not_supported::number(table, "cookie_duration", 86_400);
            not_supported::text(table, "cookie_name");
        });
    }
    if let Some(health) = table.get("target_group_health") {
        health.table(|table| {
            if let Some(routing) = table.get("unhealthy_state_routing") {
                routing.table(|table| {
                    not_supported::number(table, "minimum_healthy_targets_count", 1);
                    if let Some(percentage) = table.get("minimum_healthy_targets_percentage")
                        && (percentage.kind() != Kind::String || percentage.string() != Some("off"))
                    {
                        not_supported::refuse(&percentage, "write \"off\" or leave it out");
                    }
                });
            }
        });
    }
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

fn targets(table: &mut Table<'_>, group_port: u16) -> Vec<TargetSettings> {
    let mut targets: Vec<TargetSettings> = Vec::new();
    let values = table
        .get("targets")
        .and_then(|value| value.list())
        .unwrap_or_default();
    for value in values {
        let Some(target) = target(&value, group_port) else {
            continue;
        };
        let known = targets
            .iter()
            .any(|known| (known.id, known.port) == (target.id, target.port));
        if known {
            value.warn(
                format_args!(
                    "{} is registered already",
                    SocketAddr::new(target.id, target.port)
                ),
                "leave it out here",
            );
        } else {
            targets.push(target);
        }
    }
    targets
}

fn target(value: &Value<'_>, group_port: u16) -> Option<TargetSettings> {
    if value.kind() == Kind::Table {
        return value
            .table(|table| target_table(table, group_port))
            .flatten();
    }
    let (id, port) = address(value)?;
    Some(TargetSettings {
        id,
        port: port.unwrap_or(group_port),
        availability_zone: None,
    })
}

fn target_table(table: &mut Table<'_>, group_port: u16) -> Option<TargetSettings> {
    let port = table.get("port").map(|value| values::port(&value, 1));
    let availability_zone = table
        .get("availability_zone")
        .and_then(|value| value.string())
        .map(str::to_owned);
    let id = table.required("id", "id = \"10.0.3.11\"")?;
    let (address, port_in_id) = address(&id)?;
    if port_in_id.is_some() {
        id.error(
            format_args!("`{}` has a port", id.shown()),
            "write it as a key of its own: port = 8000",
        );
    }
    Some(TargetSettings {
        id: address,
        port: port.flatten().unwrap_or(group_port),
        availability_zone,
    })
}

/// `10.0.3.11`, `10.0.3.11:8001`, `::1`, `[::1]`, `[::1]:8001`
fn address(value: &Value<'_>) -> Option<(IpAddr, Option<u16>)> {
    let text = value.string()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let parsed = bare.parse::<IpAddr>().map(|ip| (ip, None)).or_else(|_| {
        text.parse()
            .map(|address: SocketAddr| (address.ip(), Some(address.port())))
    });
    let Ok((ip, port)) = parsed else {
        value.error(
            format_args!("`{}` is not an IP address", value.shown()),
            format_args!("{EXAMPLE} (names are found by discovery = {{ dns = \"...\" }})"),
        );
        return None;
    };
    if ip.is_unspecified() || ip.is_multicast() {
        value.error(format_args!("no target can have the address {ip}"), EXAMPLE);
    }
    if port == Some(0) {
        value.error("no target can have the port 0", EXAMPLE);
    }
    Some((ip, port))
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
