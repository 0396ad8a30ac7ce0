//! The figures that are told beside the cost: by their names in the JSON, and as columns of the tables.

use super::statistics::Spread;
use super::workload::{Kind, Workload};

// Not in the tables.
pub(super) const SECONDS: &str = "seconds";
pub(super) const REQUESTS: &str = "requests";
pub(super) const CPU: &str = "cpu_seconds";
/// By the coarser account, for comparison.
pub(super) const CPU_IN_TICKS: &str = "cpu_seconds_in_ticks";
/// Of the other proxies meanwhile.
pub(super) const OTHERS_CPU: &str = "others_cpu_seconds";

pub(super) const USER_SHARE: Figure = Figure::new("user_share", "user %", Digits::Percent);
pub(super) const RATE: Figure = Figure::new("requests_per_second", "requests/s", Digits::Whole);
pub(super) const P50: Figure = Figure::new("p50_ms", "p50 ms", Digits::Three);
pub(super) const P99: Figure = Figure::new("p99_ms", "p99 ms", Digits::Three);
pub(super) const P99_9: Figure = Figure::new("p99_9_ms", "p99.9 ms", Digits::Three);
/// Over the direct connection to an origin.
pub(super) const ADDED: Figure = Figure::new("added_p50_us", "added p50 us", Digits::Three);
pub(super) const PEAK_RESIDENT: Figure = Figure {
    over_rounds: OverRounds::Most,
    ..Figure::new("peak_resident_mib", "peak RSS MiB", Digits::Three)
};
/// Of the app servers and of the database, for each request.
pub(super) const SERVERS_CPU: Figure =
    Figure::new("app_servers_us", "app servers us", Digits::Three);
pub(super) const DATABASE_CPU: Figure = Figure::new("database_us", "database us", Digits::Three);
/// With all connections, before there were any, and after they were closed.
pub(super) const BEFORE: Figure = Figure::new("before_mib", "RSS before MiB", Digits::Three);
pub(super) const IDLE: Figure = Figure::new("idle_mib", "idle MiB", Digits::Three);
pub(super) const AFTER: Figure = Figure::new("after_mib", "after MiB", Digits::Three);
pub(super) const AFTER_BEFORE: Figure = Figure {
    over_rounds: OverRounds::Most,
    ..Figure::new("after_to_before", "after/before", Digits::Three)
};

const LOAD: [Figure; 6] = [USER_SHARE, RATE, P50, P99, P99_9, PEAK_RESIDENT];
const AT_A_RATE: [Figure; 7] = [USER_SHARE, RATE, ADDED, P50, P99, P99_9, PEAK_RESIDENT];
const WHOLE_PATH: [Figure; 8] = [
    SERVERS_CPU,
    DATABASE_CPU,
    USER_SHARE,
    RATE,
    P50,
    P99,
    P99_9,
    PEAK_RESIDENT,
];
const OF_IDLE: [Figure; 4] = [BEFORE, IDLE, AFTER, AFTER_BEFORE];

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figure {
    pub(super) key: &'static str,
    /// Of its column.
    pub(super) head: &'static str,
    digits: Digits,
    over_rounds: OverRounds,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Digits {
    Whole,
    Percent,
    Three,
}

/// What is told of several rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
enum OverRounds {
    Median,
    Most,
}

/// The columns of a workload.
pub(super) fn columns(workload: &Workload) -> &'static [Figure] {
    match (workload.kind, workload.rate) {
        (Kind::Idle, _) => &OF_IDLE,
        (Kind::WholePath, _) => &WHOLE_PATH,
        (Kind::Load | Kind::AccessLog | Kind::Rules(_), Some(_)) => &AT_A_RATE,
        (Kind::Load | Kind::AccessLog | Kind::Rules(_), None) => &LOAD,
    }
}

impl Figure {
    const fn new(key: &'static str, head: &'static str, digits: Digits) -> Self {
        Self {
            key,
            head,
            digits,
            over_rounds: OverRounds::Median,
        }
    }

    pub(super) fn of_rounds(&self, values: impl IntoIterator<Item = f64>) -> Option<f64> {
        let spread = Spread::of(values)?;
        Some(match self.over_rounds {
            OverRounds::Median => spread.median,
            OverRounds::Most => spread.max,
        })
    }

    pub(super) fn format(&self, value: f64) -> String {
        match self.digits {
            Digits::Whole => format!("{value:.0}"),
            Digits::Percent => format!("{:.0}", value * 100.0),
            Digits::Three => three_digits(value),
        }
    }
}

/// Or all before the point.
pub(super) fn three_digits(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_long_as_they_are_known() {
        for (value, text) in [
            (1234.5, "1234"),
            (123.4, "123"),
            (12.34, "12.3"),
            (1.234, "1.23"),
            (0.1234, "0.123"),
            (-0.5, "-0.500"),
        ] {
            assert_eq!(three_digits(value), text);
        }
        assert_eq!(USER_SHARE.format(0.314), "31");
        assert_eq!(RATE.format(50_000.4), "50000");
    }

    #[test]
    fn of_peaks_the_highest_is_told() {
        assert_eq!(PEAK_RESIDENT.of_rounds([1.0, 5.0, 2.0]), Some(5.0));
        assert_eq!(P50.of_rounds([1.0, 5.0, 2.0]), Some(2.0));
        assert_eq!(P50.of_rounds([]), None);
    }
}
