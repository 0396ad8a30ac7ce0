//! One proxy in one round: what it did and what it used for it.

use std::time::Duration;

use lintel_common::shutdown::Shutdown;
use serde::Serialize;

use super::generator::{Generator, Load, Measured};
use super::proxy::Role;
use super::testbed::{Proxy, Testbed};
use super::usage::Cpu;
use super::workload::Workload;
use crate::client::failure::Kind;
use crate::origin;

/// Before a measurement, as a part of it and at least so long.
const WARM_UP_SHARE: f64 = 0.25;
const WARM_UP_LEAST: Duration = Duration::from_millis(100);

/// Everybody else together may use this part of one processor meanwhile, but so much at least, which is what a health
/// check and its tick amount to; more would be in the figures.
const MOST_OTHERS: f64 = 0.02;
const OTHERS_LEAST: f64 = 0.01;

#[derive(Debug, Clone, Serialize)]
pub(super) struct Measurement {
    pub(super) seconds: f64,
    /// Requests whose answers passed every check.
    pub(super) requests: u64,
    pub(super) requests_per_second: f64,
    pub(super) errors: u64,
    /// Of each kind: how often, and the first as an example.
    pub(super) error_examples: Vec<String>,
    /// Of the proxy's processes.
    pub(super) cpu_seconds: f64,
    /// By the coarser account, for comparison.
    pub(super) cpu_seconds_in_ticks: f64,
    pub(super) user_share: f64,
    /// Of the other proxies' processes meanwhile.
    pub(super) others_cpu_seconds: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) p99_9_ms: f64,
    pub(super) peak_resident_kib: u64,
}

/// How each is measured.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) threads: usize,
    pub(super) duration: Duration,
    pub(super) stop: Shutdown,
}

pub(super) fn measure(
    workload: &'static Workload,
    testbed: &Testbed,
    proxy: &Proxy,
    settings: &Settings,
) -> anyhow::Result<Measurement> {
    let generator = Generator::start(&Load {
        workload,
        address: proxy.address(workload.protocol),
        tls: testbed.tls(workload.protocol)?,
        threads: settings.threads,
        warm_up: settings.duration.mul_f64(WARM_UP_SHARE).max(WARM_UP_LEAST),
        duration: settings.duration,
        stop: settings.stop.clone(),
    })?;
    let processes = proxy.processes()?;
    let address = proxy.address(workload.protocol);
    testbed
        .origin
        .expect(workload.protocol.is_encrypted(), address.port())?;
    processes.forget_peak();
    let everybody = everybody(testbed)?;
    let before = processes.cpu()?;
    let measured = generator.run()?;
    let used = processes.cpu()?.since(before);
    let all = self::everybody(testbed)?.since(everybody);
    let peak = processes.peak_resident()?;
    let report = testbed.origin.report()?;
    let mut measurement = Measurement::new(&measured, used, peak);
    let others = all.nanoseconds.saturating_sub(used.nanoseconds);
    measurement.others_cpu_seconds = others as f64 / 1e9;
    measurement.check_origin(&report, proxy.role != Role::Floor);
    Ok(measurement)
}

fn everybody(testbed: &Testbed) -> anyhow::Result<Cpu> {
    let mut total = Cpu::default();
    for proxy in &testbed.proxies {
        total = total.and(proxy.processes()?.cpu()?);
    }
    Ok(total)
}

impl Measurement {
    fn new(measured: &Measured, used: Cpu, peak_resident_kib: u64) -> Self {
        let Measured { tally, elapsed } = measured;
        let seconds = elapsed.as_secs_f64();
        let examples = Kind::ALL.into_iter().filter_map(|kind| {
            let (count, example) = (tally.errors(kind), tally.example(kind)?);
            Some(format!("{count} x {}: {example}", kind.name()))
        });
        let milliseconds = |share| tally.latency(share).as_secs_f64() * 1e3;
        Self {
            seconds,
            requests: tally.requests,
            requests_per_second: tally.requests as f64 / seconds.max(f64::MIN_POSITIVE),
            errors: tally.all_errors(),
            error_examples: examples.collect(),
            cpu_seconds: used.nanoseconds as f64 / 1e9,
            cpu_seconds_in_ticks: used.seconds_in_ticks(),
            user_share: used.user_share(),
            others_cpu_seconds: 0.0,
            p50_ms: milliseconds(0.5),
            p99_ms: milliseconds(0.99),
            p99_9_ms: milliseconds(0.999),
            peak_resident_kib,
        }
    }

    /// What the clients counted must have come to the origins; a proxy spreads it over them and adds its headers.
    fn check_origin(&mut self, report: &origin::Report, is_proxy: bool) {
        if report.requests < self.requests {
            let missing = self.requests - report.requests;
            self.fail(missing, "answers did not come from the origin");
        }
        if !is_proxy {
            return;
        }
        let least = report
            .instances
            .iter()
            .map(|instance| instance.requests)
            .min();
        let fair = report.requests / report.instances.len().max(1) as u64;
        if least.is_some_and(|least| least < fair / 2) {
            self.fail(1, "of the origins had far less than its share");
        }
        if report.missing_forwarding_headers > 0 {
            let text = "came to the origin without the right forwarding headers";
            self.fail(report.missing_forwarding_headers, text);
        }
    }

    fn fail(&mut self, count: u64, what: &str) {
        self.errors += count;
        self.error_examples.push(format!("{count} {what}"));
    }

    /// Idle proxies cost nothing, unless this.
    pub(super) fn is_disturbed_by_others(&self) -> bool {
        self.others_cpu_seconds > (self.seconds * MOST_OTHERS).max(OTHERS_LEAST)
    }

    /// Microseconds of processor time for each request.
    pub(super) fn cost(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.requests as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Tally;

    fn measurement(requests: u64) -> Measurement {
        let mut tally = Tally::default();
        tally.requests = requests;
        let measured = Measured {
            tally,
            elapsed: Duration::from_secs(2),
        };
        let used = Cpu {
            nanoseconds: 500_000_000,
            user: 10,
            system: 40,
        };
        Measurement::new(&measured, used, 1024)
    }

    fn report(instances: [u64; 3], missing_forwarding_headers: u64) -> origin::Report {
        origin::Report {
            requests: instances.iter().sum(),
            missing_forwarding_headers,
            instances: instances
                .map(|requests| origin::InstanceReport { requests })
                .to_vec(),
        }
    }

    #[test]
    fn a_request_costs_its_part_of_the_time() {
        let measurement = measurement(10_000);
        assert!((measurement.cost() - 50.0).abs() < 1e-9);
        assert!((measurement.requests_per_second - 5000.0).abs() < 1e-9);
        assert!((measurement.user_share - 0.2).abs() < 1e-9);
        assert!((measurement.cpu_seconds_in_ticks - 0.5).abs() < 1e-9);
    }

    #[test]
    fn the_origin_has_a_word_in_it() {
        for (instances, missing, is_proxy, errors) in [
            ([33, 33, 34], 0, true, 0),
            ([34, 34, 34], 0, true, 0),
            ([33, 33, 31], 0, true, 3),
            ([33, 33, 34], 2, true, 2),
            ([33, 33, 34], 100, false, 0),
            ([60, 40, 0], 0, true, 1),
            ([60, 40, 0], 0, false, 0),
        ] {
            let mut measurement = measurement(100);
            measurement.check_origin(&report(instances, missing), is_proxy);
            assert_eq!(measurement.errors, errors, "{instances:?} {missing}");
            assert_eq!(measurement.error_examples.is_empty(), errors == 0);
        }
    }
}
