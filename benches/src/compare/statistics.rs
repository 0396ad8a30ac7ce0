//! The arithmetic of rounds: medians, ratios within a round, and which rounds count. Pure.

use serde::Serialize;

/// A round counts only if everybody came to this part of the rate of their own best round: where a machine's other work
/// slowed one of them down, the ratios say nothing.
pub(super) const LEAST_OF_BEST: f64 = 0.8;

/// A figure over several rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self { median, min, max })
    }
}

/// What one costs in terms of another, in each round. Both were measured seconds apart, so it stands though the machine
/// is faster in one round than in the next.
pub(super) fn ratios(costs: &[f64], others: &[f64]) -> Option<Spread> {
    Spread::of(std::iter::zip(costs, others).map(|(cost, other)| cost / other))
}

/// Of those named by their index in a round: whose costs have the lowest median.
pub(super) fn cheapest(rounds: &[Vec<f64>], among: &[usize]) -> Option<usize> {
    let median = |one: usize| {
        Spread::of(rounds.iter().map(|round| round[one])).map_or(f64::INFINITY, |s| s.median)
    };
    among
        .iter()
        .copied()
        .min_by(|&one, &other| median(one).total_cmp(&median(other)))
}

/// Who fell furthest behind his own best in a round, if it is too far: his index and the part of his best rate.
pub(super) fn disturbed(rates: &[Vec<f64>]) -> Vec<Option<(usize, f64)>> {
    let everybody = rates.first().map_or(0, Vec::len);
    let best: Vec<f64> = (0..everybody)
        .map(|one| rates.iter().map(|round| round[one]).fold(0.0, f64::max))
        .collect();
    let furthest_behind = |round: &Vec<f64>| {
        let parts = std::iter::zip(round, &best).map(|(rate, best)| rate / best);
        parts
            .enumerate()
            .filter(|(_, part)| *part < LEAST_OF_BEST)
            .min_by(|(_, one), (_, other)| one.total_cmp(other))
    };
    rates.iter().map(furthest_behind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(median: f64, min: f64, max: f64) -> Spread {
        Spread { median, min, max }
    }

    #[test]
    fn medians_of_odd_and_even_numbers() {
        for (values, expected) in [
            (&[][..], None),
            (&[3.0], Some(spread(3.0, 3.0, 3.0))),
            (&[4.0, 1.0], Some(spread(2.5, 1.0, 4.0))),
            (&[9.0, 1.0, 2.0], Some(spread(2.0, 1.0, 9.0))),
            (&[8.0, 1.0, 2.0, 4.0], Some(spread(3.0, 1.0, 8.0))),
        ] {
            assert_eq!(Spread::of(values.iter().copied()), expected, "{values:?}");
        }
    }

    /// The machine was twice as slow in the second round: a ratio of medians would be 15 / 15.
    #[test]
    fn a_ratio_is_taken_within_its_round() {
        let (ours, theirs) = ([8.0, 16.0, 15.0], [10.0, 20.0, 15.0]);
        assert_eq!(ratios(&ours, &theirs), Some(spread(0.8, 0.8, 1.0)));
        assert_eq!(ratios(&[], &[]), None);
    }

    #[test]
    fn the_best_peer_has_the_lowest_median() {
        let rounds = [
            vec![5.0, 12.0, 10.0],
            vec![5.0, 12.0, 20.0],
            vec![5.0, 12.0, 11.0],
        ];
        assert_eq!(cheapest(&rounds, &[1, 2]), Some(2));
        assert_eq!(cheapest(&rounds, &[1]), Some(1));
        assert_eq!(cheapest(&rounds, &[]), None);
    }

    #[test]
    fn a_round_counts_if_nobody_is_far_below_his_best() {
        let rates = [
            vec![100.0, 50.0],
            vec![81.0, 49.0],
            vec![79.0, 50.0],
            vec![75.0, 20.0],
        ];
        assert_eq!(
            disturbed(&rates),
            [None, None, Some((0, 0.79)), Some((1, 0.4))]
        );
        // A new best makes the earlier ones bad.
        let rates = [vec![70.0], vec![70.0], vec![100.0]];
        assert_eq!(disturbed(&rates), [Some((0, 0.7)), Some((0, 0.7)), None]);
        assert_eq!(disturbed(&[]), []);
    }

    #[test]
    fn nobody_answered_at_all() {
        assert_eq!(disturbed(&[vec![0.0]]), [None]);
    }
}
