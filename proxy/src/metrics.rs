//! Every series of the proxy, in one struct with a registry of its own. Names follow the ALB's CloudWatch metrics; labels
//! come from closed sets only: target group, Availability Zone, status code or class, side, result.

use std::sync::Arc;

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use crate::health_check::state::State;
use crate::model::Stickiness;
use crate::target_group::{TargetGroup, TargetHealthDescription};

/// Upper bounds in seconds: from what loopback takes to what the default time-outs allow.
const RESPONSE_TIME_BUCKETS: &[f64] = &[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0,
];

#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub active_client_connections: IntGauge,
    pub active_target_connections: IntGauge,
    pub new_client_connections: IntCounter,
    pub new_target_connections: IntCounter,
    pub rejected_connections: IntCounter,
    pub client_tls_negotiation_errors: IntCounter,
    pub processed_bytes: IntCounter,
    pub fixed_responses: IntCounter,
    pub redirects: IntCounter,
    pub redirect_url_limit_exceeded: IntCounter,
    pub rule_evaluations: IntCounter,
    pub non_compliant_requests: IntCounter,
    pub dropped_invalid_header_requests: IntCounter,
    pub forwarded_invalid_header_requests: IntCounter,
    pub ipv6_requests: IntCounter,
    pub ipv6_processed_bytes: IntCounter,
    pub access_log_dropped: IntCounter,
    pub connection_log_dropped: IntCounter,
    pub health_check_log_dropped: IntCounter,
    pub reloads: IntCounterVec,
    pub certificate_reloads: IntCounterVec,
    /// Of the first certificate that expires, by the listener's port.
    pub certificate_expiry: IntGaugeVec,
    elb_responses: IntCounterVec,
    request_count: IntCounterVec,
    grpc_request_count: IntCounterVec,
    target_responses: IntCounterVec,
    target_response_time: HistogramVec,
    target_connection_errors: IntCounterVec,
    target_tls_negotiation_errors: IntCounterVec,
    unhealthy_routing_requests: IntCounterVec,
    retries: IntCounterVec,
    non_sticky_requests: IntCounterVec,
    app_cookie_non_stickiness: IntCounterVec,
    hosts: HostCounts,
}

/// Taken from the groups whenever somebody asks.
#[derive(Debug)]
struct HostCounts {
    healthy: IntGaugeVec,
    unhealthy: IntGaugeVec,
    anomalous: IntGaugeVec,
    mitigated: IntGaugeVec,
    healthy_state_routing: IntGaugeVec,
    unhealthy_state_routing: IntGaugeVec,
}

/// The series of one target group, looked up once.
#[derive(Debug)]
pub struct GroupMetrics {
    pub target_group: Box<str>,
    pub request_count: IntCounter,
    pub grpc_request_count: IntCounter,
    /// 1xx to 5xx.
    pub responses: [IntCounter; 5],
    pub response_time: Histogram,
    pub connection_errors: IntCounter,
    pub tls_negotiation_errors: IntCounter,
    pub unhealthy_routing_requests: IntCounter,
    pub retries: IntCounter,
    non_sticky_requests: IntCounter,
    app_cookie_non_stickiness: IntCounter,
}

impl Metrics {
    #[expect(clippy::too_many_lines, reason = "a flat list")]
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let new = Registered(&registry);
        let active = new.gauges(
            "active_connection_count",
            "Open connections, by the side they are on",
            &["side"],
        )?;
        let opened = new.counters(
            "new_connection_count_total",
            "Connections opened, by the side they are on",
            &["side"],
        )?;
        let group = &["target_group"];
        let response_time = HistogramOpts::new(
            name("target_response_time_seconds"),
            "Time from a request's dispatch to the first byte of the target's response",
        );
        let metrics = Self {
            active_client_connections: active.with_label_values(&["client"]),
            active_target_connections: active.with_label_values(&["target"]),
            new_client_connections: opened.with_label_values(&["client"]),
            new_target_connections: opened.with_label_values(&["target"]),
            rejected_connections: new.counter(
                "rejected_connection_count_total",
                "Connections of clients that were closed at once, as there were max_connections already",
            )?,
            client_tls_negotiation_errors: new.counter(
                "client_tls_negotiation_error_count_total",
                "TLS handshakes with clients that failed or took too long",
            )?,
            processed_bytes: new.counter(
                "processed_bytes_total",
                "Bytes of requests and responses on the client side, heads included",
            )?,
            fixed_responses: new
                .counter("http_fixed_response_count_total", "Requests answered by a fixed-response action")?,
            redirects: new
                .counter("http_redirect_count_total", "Requests answered by a redirect action")?,
            redirect_url_limit_exceeded: new.counter(
                "http_redirect_url_limit_exceeded_count_total",
                "Redirects that could not be made because their Location is longer than 8 KiB",
            )?,
            rule_evaluations: new.counter(
                "rule_evaluations_total",
                "Rules that an ALB would have looked at, which tries one after the other; default rules not counted",
            )?,
            non_compliant_requests: new.counter(
                "desync_mitigation_mode_non_compliant_request_count_total",
                "Requests that desync mitigation classified as something other than compliant",
            )?,
            dropped_invalid_header_requests: new.counter(
                "dropped_invalid_header_request_count_total",
                "Requests of which header fields with invalid names were removed",
            )?,
            forwarded_invalid_header_requests: new.counter(
                "forwarded_invalid_header_request_count_total",
                "Requests that were forwarded with header fields with invalid names",
            )?,
            grpc_request_count: new.counters(
                "grpc_request_count_total",
                "gRPC requests for which a target was chosen",
                group,
            )?,
            ipv6_requests: new.counter(
                "ipv6_request_count_total",
                "Requests of clients that use IPv6, for which a target was chosen",
            )?,
            ipv6_processed_bytes: new.counter(
                "ipv6_processed_bytes_total",
                "Bytes of requests and responses of clients that use IPv6, heads included",
            )?,
            access_log_dropped: new.counter(
                "access_log_dropped_total",
                "Access log lines lost because the log did not take them, or not in time",
            )?,
            connection_log_dropped: new.counter(
                "connection_log_dropped_total",
                "Connection log lines lost because the log did not take them, or not in time",
            )?,
            health_check_log_dropped: new.counter(
                "health_check_log_dropped_total",
                "Health check log lines lost because the log did not take them, or not in time",
            )?,
            reloads: new.counters(
                "reload_count_total",
                "Configuration reloads, by result: applied or refused",
                &["result"],
            )?,
            certificate_reloads: new.counters(
                "certificate_reload_count_total",
                "Changes of listeners' certificate files, by result: applied or refused",
                &["result"],
            )?,
            certificate_expiry: new.gauges(
                "certificate_expiry_timestamp_seconds",
                "When the first of a listener's certificates expires, in Unix time",
                &["listener"],
            )?,
            elb_responses: new.counters(
                "httpcode_elb_total",
                "Responses that the load balancer made itself, by status code; 460 = the client left first",
                &["code"],
            )?,
            request_count: new.counters(
                "request_count_total",
                "Requests for which a target was chosen",
                group,
            )?,
            target_responses: new.counters(
                "httpcode_target_total",
                "Responses that targets made, by status class",
                &["target_group", "class"],
            )?,
            target_response_time: new.register(HistogramVec::new(
                response_time.buckets(RESPONSE_TIME_BUCKETS.to_vec()),
                group,
            )?)?,
            target_connection_errors: new.counters(
                "target_connection_error_count_total",
                "Connections to targets that could not be established, health checks not counted",
                group,
            )?,
            target_tls_negotiation_errors: new.counters(
                "target_tls_negotiation_error_count_total",
                "TLS handshakes with targets that failed or took too long, health checks not counted",
                group,
            )?,
            unhealthy_routing_requests: new.counters(
                "unhealthy_routing_request_count_total",
                "Requests sent to targets that are not known to be healthy, because too few were or those that were had failed it",
                group,
            )?,
            retries: new.counters(
                "retry_count_total",
                "Further attempts at requests that certainly had not run",
                group,
            )?,
            non_sticky_requests: new.counters(
                "non_sticky_request_count_total",
                "Requests for which the load balancer's own cookie gave no target, or one that could not be used",
                group,
            )?,
            app_cookie_non_stickiness: new.counters(
                "app_cookie_non_stickiness_count_total",
                "The same where sessions begin with a cookie of the application",
                group,
            )?,
            hosts: HostCounts::new(&new)?,
            registry: registry.clone(),
        };
        for result in ["applied", "refused"] {
            metrics.reloads.with_label_values(&[result]);
            metrics.certificate_reloads.with_label_values(&[result]);
        }
        Ok(metrics)
    }

    pub fn group(&self, name: &str) -> Arc<GroupMetrics> {
        let class = |class: &str| self.target_responses.with_label_values(&[name, class]);
        Arc::new(GroupMetrics {
            target_group: name.into(),
            request_count: self.request_count.with_label_values(&[name]),
            grpc_request_count: self.grpc_request_count.with_label_values(&[name]),
            responses: [
                class("1xx"),
                class("2xx"),
                class("3xx"),
                class("4xx"),
                class("5xx"),
            ],
            response_time: self.target_response_time.with_label_values(&[name]),
            connection_errors: self.target_connection_errors.with_label_values(&[name]),
            tls_negotiation_errors: self
                .target_tls_negotiation_errors
                .with_label_values(&[name]),
            unhealthy_routing_requests: self.unhealthy_routing_requests.with_label_values(&[name]),
            retries: self.retries.with_label_values(&[name]),
            non_sticky_requests: self.non_sticky_requests.with_label_values(&[name]),
            app_cookie_non_stickiness: self.app_cookie_non_stickiness.with_label_values(&[name]),
        })
    }

    /// A response of the load balancer's own.
    pub fn elb_response(&self, status: u16) {
        self.elb_responses
            .with_label_values(&[&status.to_string()])
            .inc();
    }

    /// The series as text. Host counts are taken from the groups now, so that they never lag behind; their zone is that of
    /// the targets, all else is of the zone of this node.
    pub fn render<'a>(
        &self,
        groups: impl Iterator<Item = &'a TargetGroup>,
        availability_zone: Option<&str>,
    ) -> String {
        self.hosts.take(groups);
        let zone = availability_zone.map(|zone| ("availability_zone", zone));
        lintel_common::metrics::render(&self.registry, zone)
    }
}

impl HostCounts {
    fn new(new: &Registered<'_>) -> Result<Self, prometheus::Error> {
        let zoned = &["target_group", "availability_zone"];
        let group = &["target_group"];
        Ok(Self {
            healthy: new.gauges("healthy_host_count", "Targets in state healthy", zoned)?,
            unhealthy: new.gauges("unhealthy_host_count", "Targets in state unhealthy", zoned)?,
            anomalous: new.gauges(
                "anomalous_host_count",
                "Targets that stand out by their errors",
                zoned,
            )?,
            mitigated: new.gauges(
                "mitigated_host_count",
                "Targets that get less because they stood out by their errors",
                zoned,
            )?,
            healthy_state_routing: new.gauges(
                "healthy_state_routing",
                "1 while requests go to healthy targets",
                group,
            )?,
            unhealthy_state_routing: new.gauges(
                "unhealthy_state_routing",
                "1 while requests go to all registered targets, as too few are healthy",
                group,
            )?,
        })
    }

    fn take<'a>(&self, groups: impl Iterator<Item = &'a TargetGroup>) {
        let all = [
            &self.healthy,
            &self.unhealthy,
            &self.anomalous,
            &self.mitigated,
            &self.healthy_state_routing,
            &self.unhealthy_state_routing,
        ];
        for gauge in all {
            gauge.reset();
        }
        for group in groups {
            let name = group.name();
            let fail_open = group.is_fail_open();
            let routing = |gauge: &IntGaugeVec, so| {
                gauge.with_label_values(&[name]).set(i64::from(so));
            };
            routing(&self.healthy_state_routing, !fail_open);
            routing(&self.unhealthy_state_routing, fail_open);
            let health = group.target_health();
            if health.is_empty() {
                // An empty label is none.
                self.count(name, "", &[]);
            }
            for target in &health {
                let zone = target.availability_zone.as_deref().unwrap_or_default();
                self.count(name, zone, std::slice::from_ref(target));
            }
        }
    }

    fn count(&self, group: &str, zone: &str, targets: &[TargetHealthDescription]) {
        let add = |gauge: &IntGaugeVec, is_one: &dyn Fn(&TargetHealthDescription) -> bool| {
            let hosts = targets.iter().filter(|target| is_one(target)).count();
            let gauge = gauge.with_label_values(&[group, zone]);
            gauge.add(i64::try_from(hosts).unwrap_or(i64::MAX));
        };
        add(&self.healthy, &|target| target.state == State::Healthy);
        add(&self.unhealthy, &|target| target.state == State::Unhealthy);
        add(&self.anomalous, &|target| {
            target.anomaly_detection.result == "anomalous"
        });
        add(&self.mitigated, &|target| {
            target.anomaly_detection.mitigation_in_effect == "yes"
        });
    }
}

impl GroupMetrics {
    /// A request that a target answered to which its client was not bound before.
    pub fn not_sticky(&self, stickiness: &Stickiness) {
        match stickiness {
            Stickiness::LbCookie { .. } => self.non_sticky_requests.inc(),
            Stickiness::AppCookie { .. } => self.app_cookie_non_stickiness.inc(),
        }
    }

    pub fn response(&self, status: u16) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        self.responses[class].inc();
    }
}

fn name(name: &str) -> String {
    format!("lintel_proxy_{name}")
}

/// Makes series and enters them into the registry.
struct Registered<'r>(&'r Registry);

impl Registered<'_> {
    fn register<C: Collector + Clone + 'static>(&self, series: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(series.clone()))?;
        Ok(series)
    }

    fn counter(&self, series: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.register(IntCounter::new(name(series), help)?)
    }

    fn counters(
        &self,
        series: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        self.register(IntCounterVec::new(Opts::new(name(series), help), labels)?)
    }

    fn gauges(
        &self,
        series: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, prometheus::Error> {
        self.register(IntGaugeVec::new(Opts::new(name(series), help), labels)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_lists_every_series() {
        let documentation = include_str!("../../docs/logs-and-metrics.md");
        let metrics = Metrics::new().unwrap();
        metrics.group("app");
        metrics.elb_response(502);
        metrics
            .certificate_expiry
            .with_label_values(&["443"])
            .set(1);
        let group = TargetGroup::new(crate::target_group::tests::settings(&[]));
        metrics.hosts.take(std::iter::once(&*group));
        let families = metrics.registry.gather();
        assert_eq!(
            families.len(),
            37,
            "every series shows up once it has a value"
        );
        for family in families {
            assert!(
                documentation.contains(&format!("`{}`", family.name())),
                "{}",
                family.name()
            );
        }
    }
}
