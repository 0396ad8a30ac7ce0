//! Every series of the app server, in one struct with its own registry. Labels come from closed sets
//! only: the names of the routes and three-digit status codes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::StatusCode;
use prometheus::core::Collector;
use prometheus::{
    Counter, Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry,
};

use crate::database::Database;

const BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0,
];

pub(crate) struct Metrics {
    registry: Registry,
    /// Requests answered.
    requests: IntCounterVec,
    /// From the request's head to the response's head.
    request_duration: HistogramVec,
    pub(crate) requests_in_flight: IntGauge,
    pub(crate) active_connections: IntGauge,
    pub(crate) malformed_requests: IntCounter,
    pub(crate) panics: IntCounter,
    /// Operations that the database did not carry out.
    pub(crate) database_errors: IntCounter,
    /// 1 once the database was reached and its tables were prepared.
    pub(crate) database_reached: IntGauge,
    pool: PoolMetrics,
}

/// Copied from the pool's own figures when the metrics are read.
struct PoolMetrics {
    connections: IntGaugeVec,
    max_connections: IntGauge,
    gets: IntCounterVec,
    wait_seconds: Counter,
    created: IntCounter,
    closed: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("lintel_appserver".to_owned()), None)?;
        let start_time = Gauge::new(
            "start_time_seconds",
            "When the process started, since the Unix epoch",
        )?;
        start_time.set(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs_f64(),
        );
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("requests_total", "Requests answered"),
                &["route", "code"],
            )?,
            request_duration: HistogramVec::new(
                HistogramOpts::new(
                    "request_duration_seconds",
                    "From the head of the request to the head of the response",
                )
                .buckets(BUCKETS.to_vec()),
                &["route"],
            )?,
            requests_in_flight: IntGauge::new("requests_in_flight", "Requests being answered")?,
            active_connections: IntGauge::new("active_connections", "Open client connections")?,
            malformed_requests: IntCounter::new(
                "malformed_requests_total",
                "Requests that could not be read or did not come in time",
            )?,
            panics: IntCounter::new("panics_total", "Requests answered 500 after a panic")?,
            database_errors: IntCounter::new(
                "database_errors_total",
                "Operations that the database did not carry out",
            )?,
            database_reached: IntGauge::new(
                "database_reached",
                "1 once the database was reached and its tables prepared",
            )?,
            pool: PoolMetrics::new()?,
            registry,
        };
        metrics.register(start_time)?;
        metrics.register(metrics.requests.clone())?;
        metrics.register(metrics.request_duration.clone())?;
        metrics.register(metrics.requests_in_flight.clone())?;
        metrics.register(metrics.active_connections.clone())?;
        metrics.register(metrics.malformed_requests.clone())?;
        metrics.register(metrics.panics.clone())?;
        metrics.register(metrics.database_errors.clone())?;
        metrics.register(metrics.database_reached.clone())?;
        metrics.register(metrics.pool.connections.clone())?;
        metrics.register(metrics.pool.max_connections.clone())?;
        metrics.register(metrics.pool.gets.clone())?;
        metrics.register(metrics.pool.wait_seconds.clone())?;
        metrics.register(metrics.pool.created.clone())?;
        metrics.register(metrics.pool.closed.clone())?;
        Ok(metrics)
    }

    fn register(&self, series: impl Collector + 'static) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(series))
    }

    pub(crate) fn answered(&self, route: &'static str, status: StatusCode, took: Duration) {
        self.requests
            .with_label_values(&[route, status.as_str()])
            .inc();
        self.request_duration
            .with_label_values(&[route])
            .observe(took.as_secs_f64());
    }

    pub(crate) fn render(&self, database: &Database) -> String {
        self.pool.copy(database);
        lintel_common::metrics::render(&self.registry, None)
    }
}

impl PoolMetrics {
    fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            connections: IntGaugeVec::new(
                Opts::new("database_connections", "Connections to the database"),
                &["state"],
            )?,
            max_connections: IntGauge::new("database_connections_max", "The pool's size")?,
            gets: IntCounterVec::new(
                Opts::new(
                    "database_pool_gets_total",
                    "Connections asked of the pool, by how it ended",
                ),
                &["result"],
            )?,
            wait_seconds: Counter::new(
                "database_pool_wait_seconds_total",
                "Time spent waiting for a connection of the pool",
            )?,
            created: IntCounter::new("database_connections_created_total", "Connections made")?,
            closed: IntCounterVec::new(
                Opts::new(
                    "database_connections_closed_total",
                    "Connections closed, by reason",
                ),
                &["reason"],
            )?,
        })
    }

    fn copy(&self, database: &Database) {
        let state = database.pool_state();
        let idle = i64::from(state.idle_connections);
        self.connections.with_label_values(&["idle"]).set(idle);
        self.connections
            .with_label_values(&["active"])
            .set(i64::from(state.connections) - idle);
        self.max_connections.set(i64::from(database.pool_size()));
        let figures = &state.statistics;
        for (result, count) in [
            ("direct", figures.get_direct),
            ("waited", figures.get_waited),
            ("timed_out", figures.get_timed_out),
        ] {
            raise(&self.gets.with_label_values(&[result]), count);
        }
        for (reason, count) in [
            ("broken", figures.connections_closed_broken),
            ("invalid", figures.connections_closed_invalid),
            ("max_lifetime", figures.connections_closed_max_lifetime),
            ("idle_timeout", figures.connections_closed_idle_timeout),
        ] {
            raise(&self.closed.with_label_values(&[reason]), count);
        }
        raise(&self.created, figures.connections_created);
        self.wait_seconds
            .inc_by((figures.get_wait_time.as_secs_f64() - self.wait_seconds.get()).max(0.0));
    }
}

/// The pool counts for itself; the series follows.
fn raise(counter: &IntCounter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}
