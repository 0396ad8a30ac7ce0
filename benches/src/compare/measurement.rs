//! One entrant in one round: what it did, and what it used for it.

use std::collections::BTreeMap;
use std::time::Duration;

use lintel_common::shutdown::Shutdown;
use serde::Serialize;

use super::generator::{Generator, Load, Measured, WarmUp};
use super::proxy::Role;
use super::request::Request;
use super::testbed::{Subject, Testbed};
use super::usage::{Cpu, Processes};
use super::workload::{Kind, Protocol, Unit, Workload};
use super::{figure, idle};
use crate::client::failure;
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
    /// In the workload's unit.
    pub(super) cost: f64,
    pub(super) errors: u64,
    /// Of each kind: how often, and the first as an example.
    pub(super) error_examples: Vec<String>,
    #[serde(flatten)]
    pub(super) figures: BTreeMap<&'static str, f64>,
}

/// How each is measured.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) threads: usize,
    pub(super) duration: Duration,
    pub(super) stop: Shutdown,
}

impl Settings {
    pub(super) fn load(
        &self,
        workload: &'static Workload,
        testbed: &Testbed,
        subject: Subject,
    ) -> anyhow::Result<Load> {
        let protocol = match subject {
            Subject::Proxy(_) => workload.protocol,
            Subject::Origin => Protocol::Http,
        };
        let warm_up = match workload.kind {
            Kind::Idle => WarmUp::Once,
            Kind::Load | Kind::AccessLog | Kind::Rules(_) | Kind::WholePath => {
                WarmUp::For(self.duration.mul_f64(WARM_UP_SHARE).max(WARM_UP_LEAST))
            }
        };
        Ok(Load {
            workload,
            connections: workload.connections,
            address: testbed.address(subject, protocol),
            tls: testbed.tls(protocol)?,
            threads: self.threads,
            warm_up,
            duration: self.duration,
            stop: self.stop.clone(),
        })
    }
}

pub(super) fn measure(
    workload: &'static Workload,
    testbed: &mut Testbed,
    subject: Subject,
    settings: &Settings,
) -> anyhow::Result<Measurement> {
    let mut measurement = match workload.kind {
        Kind::Idle => idle::measure(workload, testbed, subject, settings)?,
        Kind::Load | Kind::AccessLog | Kind::Rules(_) | Kind::WholePath => {
            under_load(workload, testbed, subject, settings)?
        }
    };
    if let Some(report) = testbed.targets.report()? {
        let frames = workload.request == Request::Frame;
        measurement.check_origin(&report, testbed.role(subject), !frames);
    }
    Ok(measurement)
}

fn under_load(
    workload: &'static Workload,
    testbed: &Testbed,
    subject: Subject,
    settings: &Settings,
) -> anyhow::Result<Measurement> {
    let load = settings.load(workload, testbed, subject)?;
    testbed.expect(&load)?;
    let generator = Generator::start(&load)?;
    let processes = testbed.processes(subject)?;
    processes.forget_peak();
    let everybody = testbed.cpu()?;
    let behind = testbed.targets.processes()?;
    let behind_before = cpu_of(&behind)?;
    let before = processes.cpu()?;
    let measured = generator.run()?;
    let used = processes.cpu()?.since(before);
    let all = testbed.cpu()?.since(everybody);
    let mut measurement = Measurement::new(&measured, used, workload.unit());
    let others = all.nanoseconds.saturating_sub(used.nanoseconds);
    measurement.set(figure::OTHERS_CPU, others as f64 / 1e9);
    for (&(key, _), (after, before)) in behind
        .iter()
        .zip(cpu_of(&behind)?.into_iter().zip(behind_before))
    {
        let microseconds = after.since(before).nanoseconds as f64 / 1e3;
        measurement.set(key, microseconds / measured.tally.requests as f64);
    }
    if let Subject::Proxy(_) = subject {
        let peak = processes.peak_resident()? as f64 / 1024.0;
        measurement.set(figure::PEAK_RESIDENT.key, peak);
        measurement.set(figure::USER_SHARE.key, used.user_share());
    }
    Ok(measurement)
}

fn cpu_of(processes: &[(&'static str, Processes)]) -> anyhow::Result<Vec<Cpu>> {
    processes
        .iter()
        .map(|(_, processes)| processes.cpu())
        .collect()
}

impl Measurement {
    fn new(measured: &Measured, used: Cpu, unit: Unit) -> Self {
        let Measured { tally, elapsed } = measured;
        let seconds = elapsed.as_secs_f64();
        let used_seconds = used.nanoseconds as f64 / 1e9;
        let cost = match unit {
            Unit::MicrosecondsPerRequest => used_seconds * 1e6 / tally.requests as f64,
            Unit::MillisecondsPerGibibyte => {
                let bytes = (tally.received + tally.sent) as f64;
                used_seconds * 1e3 * f64::from(1 << 30) / bytes
            }
            Unit::KibibytesPerConnection => f64::NAN,
        };
        let milliseconds = |share| tally.latency(share).as_secs_f64() * 1e3;
        let figures = BTreeMap::from([
            (figure::SECONDS, seconds),
            (figure::REQUESTS, tally.requests as f64),
            (figure::CPU, used_seconds),
            (figure::CPU_IN_TICKS, used.seconds_in_ticks()),
            (
                figure::RATE.key,
                tally.requests as f64 / seconds.max(f64::MIN_POSITIVE),
            ),
            (figure::P50.key, milliseconds(0.5)),
            (figure::P99.key, milliseconds(0.99)),
            (figure::P99_9.key, milliseconds(0.999)),
        ]);
        let mut measurement = Self::with_errors(tally, cost, figures);
        if tally.not_started > 0 {
            let text = format!("of {} requests could not even be sent in time", tally.due);
            measurement.fail(tally.not_started, &text);
        }
        measurement
    }

    pub(super) fn with_errors(
        tally: &crate::tally::Tally,
        cost: f64,
        figures: BTreeMap<&'static str, f64>,
    ) -> Self {
        let examples = failure::Kind::ALL.into_iter().filter_map(|kind| {
            let (count, example) = (tally.errors(kind), tally.example(kind)?);
            Some(format!("{count} x {}: {example}", kind.name()))
        });
        Self {
            cost,
            errors: tally.all_errors(),
            error_examples: examples.collect(),
            figures,
        }
    }

    pub(super) fn figure(&self, key: &str) -> Option<f64> {
        self.figures.get(key).copied()
    }

    pub(super) fn set(&mut self, key: &'static str, value: f64) {
        self.figures.insert(key, value);
    }

    /// What the clients counted must have come to the origins; a proxy spreads it over them and adds its headers.
    fn check_origin(&mut self, report: &origin::Report, role: Role, are_requests: bool) {
        let counted = self.figure(figure::REQUESTS).unwrap_or_default() as u64;
        // A WebSocket's frames are none.
        if are_requests && report.requests < counted {
            let missing = counted - report.requests;
            self.fail(missing, "answers did not come from the origin");
        }
        if !role.is_proxy() {
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

    pub(super) fn fail(&mut self, count: u64, what: &str) {
        self.errors += count;
        self.error_examples.push(format!("{count} {what}"));
    }

    /// How much the others used, if it is more than idle ones should.
    pub(super) fn disturbance_by_others(&self) -> Option<Duration> {
        let used = self.figure(figure::OTHERS_CPU)?;
        let seconds = self.figure(figure::SECONDS)?;
        (used > (seconds * MOST_OTHERS).max(OTHERS_LEAST)).then(|| Duration::from_secs_f64(used))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Tally;

    fn measurement(requests: u64, unit: Unit) -> Measurement {
        let mut tally = Tally::default();
        tally.requests = requests;
        tally.received = requests << 20;
        let measured = Measured {
            tally,
            elapsed: Duration::from_secs(2),
        };
        let used = Cpu {
            nanoseconds: 500_000_000,
            user: 10,
            system: 40,
        };
        Measurement::new(&measured, used, unit)
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
        let small = measurement(10_000, Unit::MicrosecondsPerRequest);
        let large = measurement(2048, Unit::MillisecondsPerGibibyte);
        for (is, should_be) in [
            (small.cost, 50.0),
            (large.cost, 250.0),
            (small.figures[figure::RATE.key], 5000.0),
            (small.figures[figure::CPU_IN_TICKS], 0.5),
        ] {
            assert!((is - should_be).abs() < 1e-9, "{is} {should_be}");
        }
    }

    #[test]
    fn the_origin_has_a_word_in_it() {
        for (instances, missing, role, errors) in [
            ([33, 33, 34], 0, Role::Peer, 0),
            ([34, 34, 34], 0, Role::Ours, 0),
            ([33, 33, 31], 0, Role::Peer, 3),
            ([33, 33, 34], 2, Role::Peer, 2),
            ([33, 33, 34], 100, Role::Floor, 0),
            ([60, 40, 0], 0, Role::Ours, 1),
            ([60, 40, 0], 0, Role::Floor, 0),
        ] {
            let mut measurement = measurement(100, Unit::MicrosecondsPerRequest);
            measurement.check_origin(&report(instances, missing), role, true);
            assert_eq!(measurement.errors, errors, "{instances:?} {missing}");
            assert_eq!(measurement.error_examples.is_empty(), errors == 0);
        }
    }

    #[test]
    fn idle_ones_may_use_a_little() {
        for (used, disturbed) in [(0.0, false), (0.03, false), (0.05, true)] {
            let mut measurement = measurement(100, Unit::MicrosecondsPerRequest);
            measurement.set(figure::OTHERS_CPU, used);
            assert_eq!(measurement.disturbance_by_others().is_some(), disturbed);
        }
    }
}
