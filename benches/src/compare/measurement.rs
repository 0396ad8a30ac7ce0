//! One entrant in one round: what it did, and what it used for it. It works in parts, between which everybody else has
//! theirs, so that all of them see the same of a machine whose speed changes from second to second.

use std::collections::BTreeMap;
use std::time::Duration;

use lintel_common::shutdown::Shutdown;
use serde::Serialize;

use super::figure;
use super::generator::{Generator, Load, WarmUp};
use super::proxy::Role;
use super::request::Request;
use super::testbed::{Subject, Testbed};
use super::usage::{Cpu, Processes};
use super::workload::{Kind, Protocol, Unit, Workload};
use crate::client::failure;
use crate::origin;
use crate::tally::Tally;

/// At the longest, without the warm-up before it.
const PART: Duration = Duration::from_millis(250);
const WARM_UP: Duration = Duration::from_millis(100);

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

/// What one has done in a round so far.
#[derive(Debug, Default)]
pub(super) struct Work {
    tally: Tally,
    elapsed: Duration,
    used: Cpu,
    used_by_others: Cpu,
    /// By whom behind the proxy.
    used_behind: BTreeMap<&'static str, Cpu>,
    /// In KiB.
    peak_resident: u64,
    /// What the origin found wrong.
    complaints: BTreeMap<&'static str, u64>,
}

/// How each is measured.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) threads: usize,
    /// Of a round.
    pub(super) duration: Duration,
    pub(super) stop: Shutdown,
}

impl Settings {
    pub(super) fn parts(&self) -> u32 {
        self.duration.as_nanos().div_ceil(PART.as_nanos()) as u32
    }

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
            Kind::Load | Kind::AccessLog | Kind::Rules(_) | Kind::WholePath => WarmUp::For(WARM_UP),
        };
        Ok(Load {
            workload,
            connections: workload.connections,
            address: testbed.address(subject, protocol),
            tls: testbed.tls(protocol)?,
            threads: self.threads,
            warm_up,
            duration: self.duration / self.parts(),
            stop: self.stop.clone(),
        })
    }
}

impl Work {
    /// Another part.
    pub(super) fn go_on(
        &mut self,
        workload: &'static Workload,
        testbed: &Testbed,
        subject: Subject,
        settings: &Settings,
    ) -> anyhow::Result<()> {
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
        let behind_after = cpu_of(&behind)?;
        for ((key, _), (after, before)) in behind.iter().zip(behind_after.iter().zip(behind_before))
        {
            let behind = self.used_behind.entry(key).or_default();
            *behind = behind.and(after.since(before));
        }
        self.tally.merge(&measured.tally);
        self.elapsed += measured.elapsed;
        self.used = self.used.and(used);
        self.used_by_others = self.used_by_others.and(all.since(used));
        self.peak_resident = self.peak_resident.max(processes.peak_resident()?);
        if let Some(report) = testbed.targets.report()? {
            // A WebSocket's frames are no requests.
            let counted = (workload.request != Request::Frame).then_some(measured.tally.requests);
            self.check_origin(&report, testbed.role(subject), counted.unwrap_or(0));
        }
        Ok(())
    }

    /// What the clients counted must have come to the origins; a proxy spreads it over them and adds its headers.
    fn check_origin(&mut self, report: &origin::Report, role: Role, counted: u64) {
        let missing = counted.saturating_sub(report.requests);
        self.complain(missing, "answers did not come from the origin");
        if !role.is_proxy() {
            return;
        }
        let least = report
            .instances
            .iter()
            .map(|instance| instance.requests)
            .min();
        let fair = report.requests / report.instances.len().max(1) as u64;
        let starved = least.is_some_and(|least| least < fair / 2);
        self.complain(
            u64::from(starved),
            "of the origins had far less than its share",
        );
        self.complain(
            report.missing_forwarding_headers,
            "came to the origin without the right forwarding headers",
        );
    }

    fn complain(&mut self, count: u64, what: &'static str) {
        if count > 0 {
            *self.complaints.entry(what).or_default() += count;
        }
    }
}

fn cpu_of(processes: &[(&'static str, Processes)]) -> anyhow::Result<Vec<Cpu>> {
    processes
        .iter()
        .map(|(_, processes)| processes.cpu())
        .collect()
}

impl Measurement {
    pub(super) fn of(work: &Work, subject: Subject, unit: Unit) -> Self {
        let tally = &work.tally;
        let requests = tally.requests as f64;
        let seconds = work.elapsed.as_secs_f64();
        let used_seconds = work.used.seconds();
        let cost = match unit {
            Unit::MicrosecondsPerRequest => used_seconds * 1e6 / requests,
            Unit::MillisecondsPerGibibyte => {
                let bytes = (tally.received + tally.sent) as f64;
                used_seconds * 1e3 * f64::from(1 << 30) / bytes
            }
            Unit::KibibytesPerConnection => f64::NAN,
        };
        let milliseconds = |share| tally.latency(share).as_secs_f64() * 1e3;
        let mut figures = BTreeMap::from([
            (figure::SECONDS, seconds),
            (figure::REQUESTS, requests),
            (figure::CPU, used_seconds),
            (figure::CPU_IN_TICKS, work.used.seconds_in_ticks()),
            (figure::OTHERS_CPU, work.used_by_others.seconds()),
            (figure::RATE.key, requests / seconds.max(f64::MIN_POSITIVE)),
            (figure::P50.key, milliseconds(0.5)),
            (figure::P99.key, milliseconds(0.99)),
            (figure::P99_9.key, milliseconds(0.999)),
        ]);
        let behind = work.used_behind.iter();
        figures.extend(behind.map(|(key, used)| (*key, used.seconds() * 1e6 / requests)));
        if let Subject::Proxy(_) = subject {
            let peak = work.peak_resident as f64 / 1024.0;
            figures.insert(figure::PEAK_RESIDENT.key, peak);
            figures.insert(figure::USER_SHARE.key, work.used.user_share());
        }
        let mut measurement = Self::with_errors(tally, cost, figures);
        if tally.not_started > 0 {
            let text = format!("of {} requests could not even be sent in time", tally.due);
            measurement.fail(tally.not_started, &text);
        }
        for (what, count) in &work.complaints {
            measurement.fail(*count, what);
        }
        measurement
    }

    pub(super) fn with_errors(
        tally: &Tally,
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

    fn work(requests: u64) -> Work {
        let mut work = Work {
            elapsed: Duration::from_secs(2),
            used: Cpu {
                nanoseconds: 500_000_000,
                user: 10,
                system: 40,
            },
            ..Work::default()
        };
        work.tally.requests = requests;
        work.tally.received = requests << 20;
        work
    }

    fn measurement(requests: u64, unit: Unit) -> Measurement {
        Measurement::of(&work(requests), Subject::Origin, unit)
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
    fn a_round_is_cut_into_equal_parts() {
        for (milliseconds, parts) in [(1, 1), (250, 1), (251, 2), (2000, 8), (3_600_000, 14_400)] {
            let (_, stop) = lintel_common::shutdown::channel();
            let settings = Settings {
                threads: 1,
                duration: Duration::from_millis(milliseconds),
                stop,
            };
            assert_eq!(settings.parts(), parts, "{milliseconds} ms");
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
            let mut work = work(200);
            // Of both parts.
            for _ in 0..2 {
                work.check_origin(&report(instances, missing), role, 100);
            }
            let unit = Unit::MicrosecondsPerRequest;
            let measurement = Measurement::of(&work, Subject::Origin, unit);
            assert_eq!(measurement.errors, 2 * errors, "{instances:?} {missing}");
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
