//! What has been counted: one tally a thread, merged at the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use http::StatusCode;

use crate::client::exchange::Answer;
use crate::client::failure::{Failure, Kind};

/// Longer latencies than this are recorded as this.
const LONGEST: Duration = Duration::from_secs(3600);

/// Three digits: what is read from the histogram is off by at most 0.1 %.
const SIGNIFICANT_DIGITS: u8 = 3;

#[derive(Debug)]
pub(crate) struct Tally {
    /// Requests whose answers passed every check.
    pub(crate) requests: u64,
    errors: [u64; Kind::ALL.len()],
    /// The first failure of each kind, as an example.
    examples: [Option<Failure>; Kind::ALL.len()],
    /// Every status that was seen, whether it counts or not.
    pub(crate) statuses: BTreeMap<StatusCode, u64>,
    /// Nanoseconds, of the requests that count.
    latencies: Histogram<u64>,
    /// Body bytes of the requests that count.
    pub(crate) received: u64,
    pub(crate) sent: u64,
    /// Connections opened, the first ones too.
    pub(crate) connections: u64,
    /// Of an open loop: requests whose time came, and those of them that were never sent.
    pub(crate) due: u64,
    pub(crate) not_started: u64,
    /// When the last request ended, well or not.
    pub(crate) last: Option<Instant>,
}

impl Default for Tally {
    fn default() -> Self {
        let longest = LONGEST.as_nanos() as u64;
        Self {
            requests: 0,
            errors: [0; Kind::ALL.len()],
            examples: Default::default(),
            statuses: BTreeMap::new(),
            latencies: Histogram::new_with_bounds(1, longest, SIGNIFICANT_DIGITS)
                .expect("the bounds are constants and in order"),
            received: 0,
            sent: 0,
            connections: 0,
            due: 0,
            not_started: 0,
            last: None,
        }
    }
}

impl Tally {
    pub(crate) fn record(
        &mut self,
        began: Instant,
        ended: Instant,
        outcome: Result<Answer, Failure>,
    ) {
        self.last = self.last.max(Some(ended));
        match outcome {
            Ok(answer) => {
                self.requests += 1;
                *self.statuses.entry(answer.status).or_default() += 1;
                self.received += answer.received;
                self.sent += answer.sent;
                let latency = ended.saturating_duration_since(began).as_nanos();
                self.latencies
                    .saturating_record(u64::try_from(latency).unwrap_or(u64::MAX));
            }
            Err(failure) => {
                if let Failure::Status(status) = failure {
                    *self.statuses.entry(status).or_default() += 1;
                }
                let kind = failure.kind() as usize;
                self.errors[kind] += 1;
                self.examples[kind].get_or_insert(failure);
            }
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.merge_errors(other);
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self.latencies
            .add(&other.latencies)
            .expect("all histograms have the same bounds");
        self.received += other.received;
        self.sent += other.sent;
        self.connections += other.connections;
        self.due += other.due;
        self.not_started += other.not_started;
        self.last = self.last.max(other.last);
    }

    pub(crate) fn merge_errors(&mut self, other: &Self) {
        for kind in Kind::ALL {
            self.errors[kind as usize] += other.errors(kind);
            let example = &mut self.examples[kind as usize];
            *example = example.take().or_else(|| other.example(kind).cloned());
        }
    }

    pub(crate) fn errors(&self, kind: Kind) -> u64 {
        self.errors[kind as usize]
    }

    pub(crate) fn all_errors(&self) -> u64 {
        self.errors.iter().sum()
    }

    pub(crate) fn example(&self, kind: Kind) -> Option<&Failure> {
        self.examples[kind as usize].as_ref()
    }

    /// The latency that this share of the requests did not exceed; 0 gives the shortest, 1 the longest.
    pub(crate) fn latency(&self, share: f64) -> Duration {
        Duration::from_nanos(if share <= 0.0 {
            self.latencies.min()
        } else {
            self.latencies.value_at_quantile(share)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answered(tally: &mut Tally, latency: Duration) {
        let began = Instant::now();
        let answer = Answer {
            status: StatusCode::OK,
            received: 3,
            sent: 2,
        };
        tally.record(began, began + latency, Ok(answer));
    }

    #[test]
    fn failures_are_counted_by_kind_and_leave_latency_alone() {
        let mut tally = Tally::default();
        let now = Instant::now();
        answered(&mut tally, Duration::from_millis(1));
        for failure in [
            Failure::Status(StatusCode::BAD_GATEWAY),
            Failure::Status(StatusCode::SERVICE_UNAVAILABLE),
            Failure::Timeout(Duration::from_secs(9)),
        ] {
            tally.record(now, now + Duration::from_secs(9), Err(failure));
        }
        let mut total = Tally::default();
        answered(&mut total, Duration::from_millis(1));
        total.merge(&tally);
        assert_eq!((total.requests, total.all_errors()), (2, 3));
        assert_eq!((total.received, total.sent), (6, 4));
        assert_eq!(total.errors(Kind::Status), 2);
        assert_eq!(
            total.example(Kind::Status),
            Some(&Failure::Status(StatusCode::BAD_GATEWAY))
        );
        assert_eq!(total.errors(Kind::Timeout), 1);
        assert_eq!(total.errors(Kind::Connect), 0);
        assert_eq!(total.statuses[&StatusCode::OK], 2);
        assert_eq!(total.statuses[&StatusCode::BAD_GATEWAY], 1);
        assert!(total.latency(1.0) < Duration::from_millis(2));
        assert_eq!(total.last, Some(now + Duration::from_secs(9)));
    }

    #[test]
    fn a_kind_indexes_its_own_count() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }

    #[test]
    fn what_took_longer_than_can_be_recorded_still_counts() {
        let mut tally = Tally::default();
        answered(&mut tally, LONGEST * 3);
        assert!(tally.latency(0.5) >= LONGEST);
    }

    proptest! {
        /// However the requests were shared out, the quantiles are those of the sorted list, to three digits.
        #[test]
        fn quantiles_are_those_of_all_requests(
            nanoseconds in prop::collection::vec(1u64..60_000_000_000, 1..300),
            threads in 1usize..5,
            share in 0.0f64..=1.0,
        ) {
            let mut tallies: Vec<_> = (0..threads).map(|_| Tally::default()).collect();
            for (index, &latency) in nanoseconds.iter().enumerate() {
                answered(&mut tallies[index % threads], Duration::from_nanos(latency));
            }
            let mut total = Tally::default();
            for tally in &tallies {
                total.merge(tally);
            }

            let mut sorted = nanoseconds.clone();
            sorted.sort_unstable();
            let rank = ((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len());
            let exact = sorted[rank - 1] as f64;
            let read = total.latency(share).as_nanos() as f64;
            prop_assert_eq!(total.requests, nanoseconds.len() as u64);
            prop_assert!((read - exact).abs() <= exact * 0.001 + 1.0, "{} for {}", read, exact);
        }
    }
}
