//! The action forward: which of its target groups takes a request. Choosing a target in that group is `target_group`'s.

use std::time::Duration;

/// To the targets of one of these groups. There is no failover from one to another, as with the ALB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// One to five, each group once.
    pub target_groups: Vec<Weighted>,
    /// How long a client stays with the group that it was given first; `None` = each request is on its own.
    pub stickiness: Option<Duration>,
}

/// A group and its share of the requests: weight / sum of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weighted {
    /// Index into `Model::target_groups`.
    pub target_group: usize,
    /// 0 to 999; 0 = no new requests.
    pub weight: u32,
}

impl Forward {
    /// Everything to one group.
    pub fn to(target_group: usize) -> Self {
        Self {
            target_groups: vec![Weighted {
                target_group,
                weight: 1,
            }],
            stickiness: None,
        }
    }

    /// The group that takes a request, at random by the weights; `None` if all of them are 0. A number is only drawn where
    /// there is a choice.
    pub fn draw(&self, random: impl FnOnce() -> u32) -> Option<usize> {
        if let [only] = self.target_groups.as_slice() {
            return (only.weight > 0).then_some(only.target_group);
        }
        let sum: u32 = self.target_groups.iter().map(|group| group.weight).sum();
        // Scaled, not divided: no weight is favoured by what a division leaves over.
        let mut drawn = ((u64::from(random()) * u64::from(sum)) >> 32) as u32;
        for group in &self.target_groups {
            match drawn.checked_sub(group.weight) {
                Some(left) => drawn = left,
                None => return Some(group.target_group),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn forward(weights: &[u32]) -> Forward {
        let weighted = |(target_group, &weight)| Weighted {
            target_group,
            weight,
        };
        Forward {
            target_groups: weights.iter().enumerate().map(weighted).collect(),
            stickiness: None,
        }
    }

    #[test]
    fn shares_are_the_weights() {
        for weights in [
            &[1, 1][..],
            &[90, 10],
            &[1, 0, 3],
            &[0, 0, 5, 0, 0],
            &[999, 1, 999, 500, 1],
        ] {
            let forward = forward(weights);
            let (sum, draws) = (weights.iter().sum::<u32>(), 1_u32 << 16);
            let mut taken = vec![0_u32; weights.len()];
            for nth in 0..draws {
                let group = forward.draw(|| nth << 16).expect("a weight above 0");
                taken[group] += 1;
            }
            for (taken, weight) in taken.into_iter().zip(weights) {
                let (taken, expected) =
                    (f64::from(taken), f64::from(draws * weight) / f64::from(sum));
                assert!(
                    (taken - expected).abs() <= 1.0,
                    "{weights:?}: {taken} of {expected}"
                );
            }
        }
    }

    #[test]
    fn without_a_choice_nothing_is_drawn() {
        assert_eq!(Forward::to(7).draw(|| unreachable!()), Some(7));
        assert_eq!(forward(&[0]).draw(|| unreachable!()), None);
        for random in [0, 1, u32::MAX] {
            assert_eq!(forward(&[0, 0]).draw(|| random), None);
        }
    }

    proptest! {
        #[test]
        fn a_group_without_weight_is_never_drawn(
            weights in proptest::collection::vec(0_u32..=999, 1..=5),
            random in any::<u32>(),
        ) {
            let drawn = forward(&weights).draw(|| random);
            prop_assert_eq!(drawn.is_none(), weights.iter().all(|&weight| weight == 0));
            prop_assert!(drawn.is_none_or(|group| weights[group] > 0));
        }
    }
}
