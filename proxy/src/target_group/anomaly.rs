//! Automatic Target Weights: which target fails more of its requests than its peers do, and how much it gets meanwhile.
//! The ALB does not publish its statistics; these are ours. Pure: counts in, a standing out; whose they are, and when a
//! window is over, is `registry`'s.

use std::time::Duration;

/// From one look to the next.
pub(super) const WINDOW: Duration = Duration::from_secs(5);

/// With fewer healthy targets there is nobody to compare with.
pub(super) const FEWEST_TARGETS: usize = 3;

/// Fewer requests say nothing yet: they are kept for the next window, so that a target that gets little is judged too.
const FEWEST_REQUESTS: u32 = 20;

/// How far a target's share of errors must lie above the mean of the others: so many standard deviations of theirs ...
const DEVIATIONS: f64 = 3.0;

/// ... and by so much at least, for where all others are without errors.
const POINTS: f64 = 0.1;

/// What an anomalous target still gets, so that its recovery is seen.
const LEAST_WEIGHT: f64 = 0.05;

const LESS: f64 = 0.5;
const MORE: f64 = 1.25;

/// What a target did since it was last judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Conduct {
    pub(super) requests: u32,
    pub(super) errors: u32,
}

/// How a target stands among its peers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Standing {
    pub(super) anomalous: bool,
    /// Against 1 of a target that nothing speaks against.
    pub(super) weight: f64,
}

impl Standing {
    pub(super) const NORMAL: Self = Self {
        anomalous: false,
        weight: 1.0,
    };

    pub(super) fn is_mitigated(self) -> bool {
        self.weight < 1.0
    }

    /// After one more window.
    pub(super) fn after(self, anomalous: bool, mitigation: bool) -> Self {
        let weight = match (mitigation, anomalous) {
            (false, _) => 1.0,
            (true, true) => (self.weight * LESS).max(LEAST_WEIGHT),
            (true, false) => (self.weight * MORE).min(1.0),
        };
        Self { anomalous, weight }
    }
}

/// Of each target whether it is anomalous among these; `None` = it cannot be told yet.
pub(super) fn judge(conducts: &[Conduct]) -> Vec<Option<bool>> {
    let rates: Vec<Option<f64>> = conducts.iter().copied().map(error_rate).collect();
    let one = |(at, rate): (usize, &Option<f64>)| {
        let rate = (*rate)?;
        let others: Vec<f64> = rates
            .iter()
            .enumerate()
            .filter_map(|(other, rate)| rate.filter(|_| other != at))
            .collect();
        if others.len() + 1 < FEWEST_TARGETS {
            return None;
        }
        let count = others.len() as f64;
        let mean = others.iter().sum::<f64>() / count;
        let squares = others.iter().map(|other| (other - mean).powi(2));
        let deviation = (squares.sum::<f64>() / count).sqrt();
        Some(rate > mean + (DEVIATIONS * deviation).max(POINTS))
    };
    rates.iter().enumerate().map(one).collect()
}

fn error_rate(conduct: Conduct) -> Option<f64> {
    let enough = conduct.requests >= FEWEST_REQUESTS;
    // An error may come in a later window than its request.
    let errors = conduct.errors.min(conduct.requests);
    enough.then(|| f64::from(errors) / f64::from(conduct.requests))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conducts(errors_of_100: &[u32]) -> Vec<Conduct> {
        let conduct = |errors: &u32| Conduct {
            requests: 100,
            errors: *errors,
        };
        errors_of_100.iter().map(conduct).collect()
    }

    #[test]
    fn who_is_anomalous() {
        for (errors, anomalous) in [
            (&[0, 0, 0][..], &[][..]),
            (&[0, 0, 100], &[2]),
            // 10 points are allowed, more are not.
            (&[0, 0, 10], &[]),
            (&[0, 0, 11], &[2]),
            // All of them alike: it is not the target.
            (&[50, 50, 50], &[]),
            (&[100, 100, 100, 100], &[]),
            // Far from the mean, but so are the others.
            (&[0, 20, 40, 60], &[]),
            (&[1, 2, 1, 2, 1, 60], &[5]),
            (&[1, 0, 60, 0, 1, 0, 60, 0], &[]),
        ] {
            let verdicts = judge(&conducts(errors));
            let found: Vec<usize> = (0..errors.len())
                .filter(|at| verdicts[*at] == Some(true))
                .collect();
            assert_eq!(found, anomalous, "{errors:?}");
            assert!(verdicts.iter().all(Option::is_some));
        }
    }

    #[test]
    fn too_little_says_nothing() {
        let mut few = conducts(&[0, 0, 100, 0]);
        few[2] = Conduct {
            requests: FEWEST_REQUESTS - 1,
            errors: FEWEST_REQUESTS - 1,
        };
        assert_eq!(
            judge(&few),
            [Some(false), Some(false), None, Some(false)],
            "not of who had few requests, and not for the others"
        );
        assert_eq!(judge(&conducts(&[0, 100])), [None, None], "no peers");
        few[0].requests = 0;
        assert_eq!(
            judge(&few),
            [None; 4],
            "no peers of whom something is known"
        );
    }

    #[test]
    fn more_errors_than_requests_are_all_of_them() {
        let late = Conduct {
            requests: 30,
            errors: 45,
        };
        assert_eq!(error_rate(late), Some(1.0));
    }

    #[test]
    fn weights_fall_fast_to_a_rest_and_climb_slowly_back() {
        let mut standing = Standing::NORMAL;
        let mut weights = Vec::new();
        for _ in 0..6 {
            standing = standing.after(true, true);
            weights.push(standing.weight);
        }
        assert_eq!(weights, [0.5, 0.25, 0.125, 0.0625, 0.05, 0.05]);
        assert!(standing.anomalous && standing.is_mitigated());

        let mut windows = 0;
        while standing.is_mitigated() {
            let before = standing.weight;
            standing = standing.after(false, true);
            assert!(standing.weight > before && standing.weight <= before * MORE);
            windows += 1;
        }
        assert_eq!(windows, 14, "70 s");
        assert_eq!(standing, Standing::NORMAL);
    }

    #[test]
    fn without_mitigation_it_is_only_seen() {
        let seen = Standing::NORMAL.after(true, false);
        assert!(seen.anomalous && !seen.is_mitigated());
        let before = Standing {
            anomalous: true,
            weight: 0.05,
        };
        assert_eq!(before.after(false, false), Standing::NORMAL);
    }
}
