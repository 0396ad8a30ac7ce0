//! What came of it, as a table for people and as JSON for programs: the same figures.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::options::Plan;
use crate::client::failure::Kind;
use crate::tally::Tally;

#[derive(Debug, Serialize)]
pub(super) struct Report {
    url: String,
    address: String,
    protocol: &'static str,
    connections: usize,
    /// Requests at a time on each connection.
    streams: usize,
    threads: usize,
    #[serde(rename = "loop")]
    mode: Mode,
    /// From the start to the last answer.
    seconds: f64,
    /// Those whose answers passed every check; all that follows but `errors` and `statuses` is about them.
    requests: u64,
    requests_per_second: f64,
    errors: Errors,
    statuses: BTreeMap<u16, u64>,
    latency_ms: Option<Latency>,
    bytes_received: u64,
    bytes_sent: u64,
    /// The first ones, and those that took the place of ended ones.
    connections_opened: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// Latency counts from when a request was sent. A slow server is asked less.
    Closed,
    /// Latency counts from when a request was due.
    Open {
        rate: u32,
        due: u64,
        /// Due, but no connection was free until the run was over.
        not_started: u64,
    },
}

#[derive(Debug, Serialize)]
struct Errors {
    total: u64,
    #[serde(flatten)]
    kinds: BTreeMap<&'static str, ErrorKind>,
}

#[derive(Debug, Serialize)]
struct ErrorKind {
    count: u64,
    first: Option<String>,
}

#[derive(Debug, Serialize)]
struct Latency {
    min: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    #[serde(rename = "p99.9")]
    p99_9: f64,
    max: f64,
}

impl Report {
    pub(super) fn new(plan: &Plan, start: Instant, tally: &Tally) -> Self {
        let elapsed = tally
            .last
            .map_or(Duration::ZERO, |last| last.saturating_duration_since(start));
        let seconds = elapsed.as_secs_f64();
        let mode = plan.rate.map_or(Mode::Closed, |rate| Mode::Open {
            rate: rate.get(),
            due: tally.due,
            not_started: tally.not_started,
        });
        Self {
            url: plan.url.to_string(),
            address: plan.endpoint.address.to_string(),
            protocol: plan.endpoint.protocol(),
            connections: plan.connections,
            streams: plan.streams,
            threads: plan.threads,
            mode,
            seconds,
            requests: tally.requests,
            requests_per_second: per_second(tally.requests, seconds),
            errors: Errors::new(tally),
            statuses: tally
                .statuses
                .iter()
                .map(|(status, count)| (status.as_u16(), *count))
                .collect(),
            latency_ms: (tally.requests > 0).then(|| Latency::new(tally)),
            bytes_received: tally.received,
            bytes_sent: tally.sent,
            connections_opened: tally.connections,
        }
    }

    /// Something was answered, and nothing failed.
    pub(super) fn is_clean(&self) -> bool {
        self.requests > 0 && self.errors.total == 0
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("its keys are strings and its values plain")
    }
}

impl Errors {
    fn new(tally: &Tally) -> Self {
        let kinds = Kind::ALL.into_iter().map(|kind| {
            let error = ErrorKind {
                count: tally.errors(kind),
                first: tally.example(kind).map(ToString::to_string),
            };
            (kind.name(), error)
        });
        Self {
            total: tally.all_errors(),
            kinds: kinds.collect(),
        }
    }
}

impl Latency {
    fn new(tally: &Tally) -> Self {
        let at = |share| milliseconds(tally.latency(share));
        Self {
            min: at(0.0),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: at(1.0),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let streams = match self.streams {
            1 => String::new(),
            streams => format!(" of {streams} streams"),
        };
        writeln!(f, "{} ({})", self.url, self.address)?;
        writeln!(
            f,
            "{}, {} connections{streams}, threads: {}, {}\n",
            self.protocol, self.connections, self.threads, self.mode
        )?;
        writeln!(
            f,
            "requests     {:>12}   in {:.2} s",
            self.requests, self.seconds
        )?;
        writeln!(f, "requests/s   {:>12.1}", self.requests_per_second)?;
        writeln!(f, "connections  {:>12}   opened", self.connections_opened)?;
        for (name, bytes) in [("received", self.bytes_received), ("sent", self.bytes_sent)] {
            let mebibytes = per_second(bytes, self.seconds) / f64::from(1 << 20);
            writeln!(
                f,
                "{name:<12} {bytes:>12}   body bytes, {mebibytes:.2} MiB/s"
            )?;
        }
        for (status, count) in &self.statuses {
            writeln!(f, "status {status}   {count:>12}")?;
        }
        writeln!(f, "errors       {:>12}", self.errors.total)?;
        for kind in Kind::ALL {
            if let Some(ErrorKind {
                count,
                first: Some(first),
            }) = self.errors.kinds.get(kind.name())
            {
                writeln!(f, "  {:<10} {count:>12}   the first: {first}", kind.name())?;
            }
        }
        if let Mode::Open {
            due,
            not_started: not_started @ 1..,
            ..
        } = self.mode
        {
            writeln!(
                f,
                "not started  {not_started:>12}   of {due}: no connection was free; the latencies below are too good"
            )?;
        }
        if let Some(latency) = &self.latency_ms {
            writeln!(
                f,
                "\nlatency, ms{:>9}{:>10}{:>10}{:>10}{:>10}{:>10}",
                "min", "p50", "p90", "p99", "p99.9", "max"
            )?;
            writeln!(
                f,
                "           {:>9.3}{:>10.3}{:>10.3}{:>10.3}{:>10.3}{:>10.3}",
                latency.min, latency.p50, latency.p90, latency.p99, latency.p99_9, latency.max
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => {
                f.write_str("closed loop (latency from sending; a slow server is asked less)")
            }
            Self::Open { rate, .. } => {
                write!(
                    f,
                    "open loop at {rate}/s (latency from when a request was due)"
                )
            }
        }
    }
}

fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
