//! Which targets of a target group get requests and in which order: the keys `load_balancing_*`, `slow_start` and
//! `target_group_health`.

use std::time::Duration;

use lintel_common::config_file::{Kind, Table, Value};

use super::not_supported::choice;
use super::values::{self, Seconds, seconds};
use crate::model::{Algorithm, UnhealthyStateRouting};

/// As many targets as a load balancer of the ALB may have.
const MOST_TARGETS: u32 = 1000;

pub(super) struct Balancing {
    pub(super) algorithm: Algorithm,
    pub(super) slow_start: Duration,
    pub(super) unhealthy_state_routing: UnhealthyStateRouting,
    pub(super) only_zone: Option<String>,
}

/// `zone` is the load balancer's.
pub(super) fn read(table: &mut Table<'_>, zone: Option<&str>) -> Balancing {
    let algorithm = algorithm(table);
    Balancing {
        algorithm,
        slow_start: slow_start(table, algorithm),
        unhealthy_state_routing: table
            .get("target_group_health")
            .and_then(|value| value.table(target_group_health))
            .unwrap_or_default(),
        only_zone: only_zone(table, zone),
    }
}

fn algorithm(table: &mut Table<'_>) -> Algorithm {
    const WEIGHTED_RANDOM: Algorithm = Algorithm::WeightedRandom {
        anomaly_mitigation: false,
    };
    let algorithms = [
        ("round_robin", Algorithm::RoundRobin),
        (
            "least_outstanding_requests",
            Algorithm::LeastOutstandingRequests,
        ),
        ("weighted_random", WEIGHTED_RANDOM),
    ];
    let algorithm = choice(table, "load_balancing_algorithm_type", &algorithms, &[]);
    let on = [("off", false), ("on", true)];
    let mitigation = choice(table, "load_balancing_anomaly_mitigation", &on, &[]);
    match (algorithm, mitigation) {
        (Some(WEIGHTED_RANDOM), Some(anomaly_mitigation)) => {
            Algorithm::WeightedRandom { anomaly_mitigation }
        }
        (Some(algorithm), Some(true)) => {
            if let Some(value) = table.get("load_balancing_anomaly_mitigation") {
                conflict(
                    &value,
                    "anomaly mitigation changes the weights of weighted_random",
                    "write \"off\", or load_balancing_algorithm_type = \"weighted_random\"",
                );
            }
            algorithm
        }
        (algorithm, _) => algorithm.unwrap_or(Algorithm::RoundRobin),
    }
}

fn slow_start(table: &mut Table<'_>, algorithm: Algorithm) -> Duration {
    let range = Seconds::of_alb(30, 900).or_zero();
    let duration = seconds(table, "slow_start", range, Duration::ZERO);
    if !duration.is_zero()
        && algorithm != Algorithm::RoundRobin
        && let Some(value) = table.get("slow_start")
    {
        conflict(
            &value,
            "slow start works with round_robin only",
            "write 0, or load_balancing_algorithm_type = \"round_robin\"",
        );
    }
    duration
}

fn target_group_health(table: &mut Table<'_>) -> UnhealthyStateRouting {
    if let Some(value) = table.get("dns_failover") {
        value.error(
            "names of nodes are not published here, so none can be taken out of DNS",
            "leave it out; whatever publishes them can ask each node's /ready",
        );
    }
    let routing = table.get("unhealthy_state_routing");
    routing
        .and_then(|value| value.table(unhealthy_state_routing))
        .unwrap_or_default()
}

fn unhealthy_state_routing(table: &mut Table<'_>) -> UnhealthyStateRouting {
    let count = table
        .get("minimum_healthy_targets_count")
        .and_then(|value| values::whole(&value, 1, MOST_TARGETS));
    UnhealthyStateRouting {
        minimum_healthy_targets_count: count.unwrap_or(1),
        minimum_healthy_targets_percentage: table
            .get("minimum_healthy_targets_percentage")
            .and_then(|value| percentage(&value)),
    }
}

/// A string as in Terraform, or a number.
fn percentage(value: &Value<'_>) -> Option<u32> {
    let percentage = match value.kind() {
        Kind::Integer => value
            .integer()
            .and_then(|number| u32::try_from(number).ok()),
        _ => match value.string()? {
            "off" => return None,
            text => text.parse().ok(),
        },
    };
    let percentage = percentage.filter(|percentage| (1..=100).contains(percentage));
    if percentage.is_none() {
        value.error(
            format_args!("`{}` is no percentage", value.shown()),
            "write 1 to 100, or \"off\"",
        );
    }
    percentage
}

/// The zone whose targets are the only ones to get requests; none unless cross-zone load balancing is off.
fn only_zone(table: &mut Table<'_>, zone: Option<&str>) -> Option<String> {
    let enabled = [
        ("use_load_balancer_configuration", true),
        ("true", true),
        ("false", false),
    ];
    let cross_zone = choice(table, "load_balancing_cross_zone_enabled", &enabled, &[]);
    if cross_zone != Some(false) {
        return None;
    }
    if zone.is_none()
        && let Some(value) = table.get("load_balancing_cross_zone_enabled")
    {
        value.error(
            "which zone this load balancer is in is not known",
            "set load_balancer.availability_zone, such as \"us-east-1a\"",
        );
    }
    Some(zone.unwrap_or_default().to_owned())
}

/// What an ALB refuses as such; its code is named, as those who know it look for it.
pub(super) fn conflict(value: &Value<'_>, wrong: &str, right: &str) {
    value.error(format_args!("{wrong} (InvalidConfigurationRequest)"), right);
}
