//! The list `targets` of a target group.

use std::net::{IpAddr, SocketAddr};

use lintel_common::config_file::{Kind, Table, Value};

use super::values;
use crate::model::TargetSettings;

const EXAMPLE: &str = "write an address such as \"10.0.3.11:8000\"";

/// `only_zone`: cross-zone load balancing is off, so that each needs a zone.
pub(super) fn list(
    table: &mut Table<'_>,
    group_port: u16,
    only_zone: Option<&str>,
) -> Vec<TargetSettings> {
    let mut targets: Vec<TargetSettings> = Vec::new();
    let values = table
        .get("targets")
        .and_then(|value| value.list())
        .unwrap_or_default();
    for value in values {
        let Some(target) = target(&value, group_port) else {
            continue;
        };
        if only_zone.is_some() {
            require_zone(&value, &target);
        }
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

fn require_zone(value: &Value<'_>, target: &TargetSettings) {
    let wrong = match target.availability_zone.as_deref() {
        None => "has no zone, and gets no requests while cross-zone load balancing is off",
        Some("all") => "is in all zones, which takes cross-zone load balancing",
        Some(_) => return,
    };
    value.error(
        wrong,
        "write { id = \"10.0.3.11\", availability_zone = \"us-east-1a\" }",
    );
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
        .and_then(|value| values::zone(&value));
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
