//! The table `health_check` of a target group.

use std::ops::RangeInclusive;
use std::time::Duration;

use lintel_common::config_file::{Kind, Table, Value};

use super::not_supported::choice;
use super::values::{self, Count, Seconds, count, seconds};
use crate::model::{HealthCheckProtocol, HealthCheckSettings, Matcher, ProtocolVersion};

const TRAFFIC_PORT: &str = "traffic-port";
const TIMEOUT: Duration = Duration::from_secs(5);
/// The statuses an ALB can be told to accept.
const ACCEPTABLE: RangeInclusive<u16> = 200..=499;

/// What a gRPC group is asked for. Few servers have it, which is why UNIMPLEMENTED passes.
const GRPC_PATH: &str = "/AWS.ALB/healthcheck";
const UNIMPLEMENTED: u16 = 12;
/// The statuses of gRPC an ALB can be told to accept.
const GRPC_ACCEPTABLE: RangeInclusive<u16> = 0..=99;

impl HealthCheckSettings {
    /// Every key left out.
    pub(super) fn default_of(version: ProtocolVersion) -> Self {
        let grpc = version == ProtocolVersion::Grpc;
        let passes = if grpc { UNIMPLEMENTED } else { 200 };
        Self {
            protocol: HealthCheckProtocol::Http,
            version,
            path: if grpc { GRPC_PATH } else { "/" }.to_owned(),
            port: None,
            interval: Duration::from_secs(30),
            timeout: TIMEOUT,
            healthy_threshold: 5,
            unhealthy_threshold: 2,
            matcher: Matcher(vec![passes..=passes]),
        }
    }
}

pub(super) fn read(table: &mut Table<'_>, version: ProtocolVersion) -> HealthCheckSettings {
    const THRESHOLD: Count = Count {
        least: 1,
        alb_least: 2,
        most: 10,
    };
    let default = HealthCheckSettings::default_of(version);
    enabled(table);
    let protocols = [
        ("HTTP", HealthCheckProtocol::Http),
        ("HTTPS", HealthCheckProtocol::Https),
    ];
    let interval = seconds(table, "interval", Seconds::of_alb(5, 300), default.interval);
    HealthCheckSettings {
        protocol: choice(table, "protocol", &protocols, &[]).unwrap_or(default.protocol),
        version,
        path: table
            .get("path")
            .and_then(|value| path(&value))
            .unwrap_or(default.path),
        port: table.get("port").and_then(|value| port(&value)),
        interval,
        timeout: timeout(table, interval),
        healthy_threshold: count(
            table,
            "healthy_threshold",
            THRESHOLD,
            default.healthy_threshold,
        ),
        unhealthy_threshold: count(
            table,
            "unhealthy_threshold",
            THRESHOLD,
            default.unhealthy_threshold,
        ),
        matcher: table
            .get("matcher")
            .and_then(|value| matcher(&value, version))
            .unwrap_or(default.matcher),
    }
}

/// Terraform writes it; there is nothing to choose.
fn enabled(table: &mut Table<'_>) {
    let Some(value) = table.get("enabled") else {
        return;
    };
    if value.boolean() == Some(false) {
        value.error(
            "an ALB always checks targets of the types ip and instance",
            "write true, or leave it out",
        );
    }
}

/// Left out, it is the ALB's default, or the interval where that is shorter.
fn timeout(table: &mut Table<'_>, interval: Duration) -> Duration {
    let timeout = seconds(
        table,
        "timeout",
        Seconds::of_alb(2, 120),
        TIMEOUT.min(interval),
    );
    if timeout > interval
        && let Some(value) = table.get("timeout")
    {
        value.error(
            format_args!("`{}` is longer than the interval", value.shown()),
            format_args!(
                "write at most {} seconds, or a longer interval",
                interval.as_secs_f64()
            ),
        );
    }
    timeout
}

fn path(value: &Value<'_>) -> Option<String> {
    let path = value.string()?;
    if !values::is_short(value, path, 1024) {
        return None;
    }
    if !path.starts_with('/')
        || !path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
    {
        value.error(
            format_args!("`{}` is not a path", value.shown()),
            "write one that begins with / and is percent-encoded, such as \"/health\"",
        );
        return None;
    }
    Some(path.to_owned())
}

/// A number, as a string too since that is how the ALB has it; `None` = each target's own.
fn port(value: &Value<'_>) -> Option<u16> {
    if value.kind() != Kind::String {
        return values::port(value, 1);
    }
    let text = value.string()?;
    if text == TRAFFIC_PORT {
        return None;
    }
    let port = text.parse().ok().filter(|port| *port > 0);
    if port.is_none() {
        value.error(
            format_args!("`{}` is not a port", value.shown()),
            format_args!("write 1 to 65535 or \"{TRAFFIC_PORT}\""),
        );
    }
    port
}

fn matcher(value: &Value<'_>, version: ProtocolVersion) -> Option<Matcher> {
    let grpc = version == ProtocolVersion::Grpc;
    let (acceptable, right) = if grpc {
        let right = "write statuses of gRPC from 0 to 99, such as \"12\", \"0,12\" or \"0-99\"";
        (GRPC_ACCEPTABLE, right)
    } else {
        let right = "write statuses from 200 to 499, such as \"200\", \"200,302\" or \"200-399\"";
        (ACCEPTABLE, right)
    };
    let text = value.string()?;
    let ranges: Option<Vec<_>> = text
        .split(',')
        .map(|part| status_range(part.trim(), &acceptable))
        .collect();
    if ranges.is_none() {
        value.error(
            format_args!(
                "`{}` does not say which statuses are healthy",
                value.shown()
            ),
            right,
        );
    }
    ranges.map(Matcher)
}

fn status_range(text: &str, acceptable: &RangeInclusive<u16>) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let status = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let shortest = text.len() == 1 || !text.starts_with('0');
        text.parse()
            .ok()
            .filter(|status| digits && shortest && acceptable.contains(status))
    };
    let (first, last) = (status(first)?, status(last)?);
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_ranges() {
        let cases = [
            ("200", Some(200..=200)),
            ("200-299", Some(200..=299)),
            ("499", Some(499..=499)),
            ("200-200", Some(200..=200)),
            ("500", None),
            ("199", None),
            ("300-200", None),
            ("200-", None),
            ("-200", None),
            ("+20", None),
            ("0200", None),
            ("", None),
            ("200-300-400", None),
        ];
        for (text, expected) in cases {
            assert_eq!(status_range(text, &ACCEPTABLE), expected, "{text}");
        }
        for (text, expected) in [
            ("0", Some(0..=0)),
            ("0-99", Some(0..=99)),
            ("12", Some(12..=12)),
            ("100", None),
            ("012", None),
            ("-1", None),
        ] {
            assert_eq!(status_range(text, &GRPC_ACCEPTABLE), expected, "{text}");
        }
    }
}
