//! Which of the candidates takes a request. Pure: whose turn it is comes in as a number, and nothing is remembered here.

/// The candidate whose turn it is, or the next one after it that is usable.
pub fn round_robin<T>(candidates: &[T], turn: usize, usable: impl Fn(&T) -> bool) -> Option<&T> {
    let first = turn.checked_rem(candidates.len())?;
    let (before, from_first) = candidates.split_at(first);
    from_first
        .iter()
        .chain(before)
        .find(|candidate| usable(candidate))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::round_robin;

    #[test]
    fn nobody_is_chosen_from_nobody() {
        assert_eq!(round_robin(&[] as &[u8], 7, |_| true), None);
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
        fn a_usable_candidate_is_found_if_there_is_one(usable in prop::collection::vec(any::<bool>(), 0..20), turn: usize) {
            let chosen = round_robin(&usable, turn, |usable| *usable);
            prop_assert_eq!(chosen.is_some(), usable.contains(&true));
            prop_assert!(chosen.is_none_or(|usable| *usable));
        }
    }
}
