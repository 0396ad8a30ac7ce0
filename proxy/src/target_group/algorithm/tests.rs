//! Shares that come out of each algorithm, and that nobody who is not usable is chosen.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[test]
fn nobody_is_chosen_from_nobody() {
    let nobody: &[u8] = &[];
    assert_eq!(round_robin(nobody, 7, |_| true), None);
    assert_eq!(least_outstanding_requests(nobody, 7, |_| true, |_| 0), None);
    assert_eq!(weighted_random(nobody, 0.5, |_| true, |_| 1.0), None);
    assert_eq!(
        smooth_weighted_round_robin(&mut [], |_| true, |_| 1.0),
        None
    );
}

#[test]
fn smooth_turns_lie_apart() {
    let weights = [5.0, 1.0, 1.0];
    let mut credit = [0.0; 3];
    let turns: Vec<usize> = (0..7)
        .filter_map(|_| smooth_weighted_round_robin(&mut credit, |_| true, |at| weights[at]))
        .collect();
    assert_eq!(turns, [0, 0, 1, 0, 2, 0, 0]);
}

proptest! {
    #[test]
    fn as_many_turns_as_candidates_choose_each_once(count in 1_usize..40, start in 0_usize..1_000_000) {
        let candidates: Vec<usize> = (0..count).collect();
        let mut chosen: Vec<usize> =
            (start..start + count).filter_map(|turn| round_robin(&candidates, turn, |_| true)).copied().collect();
        chosen.sort_unstable();
        prop_assert_eq!(chosen, candidates);
    }

    #[test]
    fn a_usable_candidate_is_found_if_there_is_one(
        usable in vec(any::<bool>(), 0..20),
        turn: usize,
        loads in vec(0_usize..4, 20),
        point in 0.0..1.0_f64,
    ) {
        let candidates: Vec<usize> = (0..usable.len()).collect();
        let is_usable = |at: &usize| usable[*at];
        let mut credit = vec![0.0; usable.len()];
        for chosen in [
            round_robin(&candidates, turn, is_usable).copied(),
            least_outstanding_requests(&candidates, turn, is_usable, |at| loads[*at]).copied(),
            weighted_random(&candidates, point, is_usable, |_| 1.0).copied(),
            smooth_weighted_round_robin(&mut credit, |at| usable[at], |_| 1.0),
        ] {
            prop_assert_eq!(chosen.is_some(), usable.contains(&true));
            prop_assert!(chosen.is_none_or(|at| usable[at]));
        }
    }

    #[test]
    fn nobody_has_less_to_do_and_ties_share_alike(loads in vec(0_usize..3, 1..12), start in 0_usize..1000) {
        let candidates: Vec<usize> = (0..loads.len()).collect();
        let least = *loads.iter().min().expect("not empty");
        let tied = loads.iter().filter(|load| **load == least).count();
        let mut taken = vec![0; loads.len()];
        for turn in start..start + tied * 3 {
            let chosen = least_outstanding_requests(&candidates, turn, |_| true, |at| loads[*at]);
            taken[*chosen.expect("there are candidates")] += 1;
        }
        for (load, taken) in loads.iter().zip(taken) {
            prop_assert_eq!(taken, if *load == least { 3 } else { 0 });
        }
    }

    /// What requests do to the loads that the next choice sees keeps them level.
    #[test]
    fn loads_stay_within_one_of_each_other(count in 1_usize..12, requests in 1_usize..200) {
        let mut loads = vec![0; count];
        let candidates: Vec<usize> = (0..count).collect();
        for turn in 0..requests {
            let chosen = least_outstanding_requests(&candidates, turn, |_| true, |at| loads[*at]);
            loads[*chosen.expect("there are candidates")] += 1;
        }
        let (most, least) = (loads.iter().max(), loads.iter().min());
        prop_assert!(most.expect("one") - least.expect("one") <= 1, "{:?}", loads);
    }

    #[test]
    fn random_shares_are_the_weights(weights in vec(0.05_f64..1.0, 1..8)) {
        let candidates: Vec<usize> = (0..weights.len()).collect();
        let draws = 20_000;
        let mut taken = vec![0_u32; weights.len()];
        for nth in 0..draws {
            let point = (f64::from(nth) + 0.5) / f64::from(draws);
            let chosen = weighted_random(&candidates, point, |_| true, |at| weights[at]);
            taken[*chosen.expect("there are candidates")] += 1;
        }
        let total: f64 = weights.iter().sum();
        for (weight, taken) in weights.iter().zip(taken) {
            let expected = weight / total * f64::from(draws);
            prop_assert!((f64::from(taken) - expected).abs() <= 1.5, "{taken} of {expected}");
        }
    }

    #[test]
    fn smooth_shares_are_the_weights_at_every_moment(weights in vec(0.01_f64..1.0, 1..8), turns in 1_usize..500) {
        let mut credit = vec![0.0; weights.len()];
        let mut taken = vec![0_u32; weights.len()];
        for _ in 0..turns {
            let chosen = smooth_weighted_round_robin(&mut credit, |_| true, |at| weights[at]);
            taken[chosen.expect("there are candidates")] += 1;
        }
        let total: f64 = weights.iter().sum();
        let count = weights.len() as f64;
        for (weight, taken) in weights.iter().zip(taken) {
            let expected = weight / total * turns as f64;
            prop_assert!((f64::from(taken) - expected).abs() <= count, "{taken} of {expected}");
        }
    }
}
