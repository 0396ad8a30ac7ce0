//! Which rules can match a request at all, so that a table of a hundred rules costs hardly more than one of a few. Of each
//! kind of conditions it is known how the texts must begin that they are compared with, up to the first wildcard (how
//! hosts end); what a request leaves possible of one kind and of the next is intersected until at most one rule is left.
//! Whether a rule that is possible really matches is for the caller to say.

mod beginnings;

use super::Rule;
use super::condition::Subject;
use beginnings::{Beginnings, Part};

/// Rules, by their places in their block.
type Set = u128;
const BLOCK: usize = Set::BITS as usize;

/// A block for every so many rules: one for as many as an ALB allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    blocks: Vec<Block>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    all: Set,
    /// Of the parts of a request that a rule has a condition on, those first that are looked up fastest.
    kinds: Vec<Kind>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Kind {
    /// The rules without such a condition.
    indifferent: Set,
    beginnings: Beginnings,
}

impl Index {
    /// `rules` in the order in which they are tried.
    pub(super) fn new(rules: &[Rule]) -> Self {
        Self {
            blocks: rules.chunks(BLOCK).map(Block::new).collect(),
        }
    }

    /// The first position whose rule matches. Every rule that could is asked, unless an earlier one has matched.
    pub(super) fn first(
        &self,
        subject: &Subject<'_>,
        matches: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let mut start = 0;
        for block in &self.blocks {
            let mut possible = block.possible(subject);
            while possible != 0 {
                let position = start + possible.trailing_zeros() as usize;
                if matches(position) {
                    return Some(position);
                }
                possible = without_first(possible);
            }
            start += BLOCK;
        }
        None
    }
}

impl Block {
    fn new(rules: &[Rule]) -> Self {
        let all = rules.iter().enumerate();
        let all = all.fold(0, |all, (position, _)| all | 1 << position);
        let kinds = Part::ALL.into_iter().filter_map(|part| {
            let beginnings = Beginnings::of_rules(part, rules)?;
            Some(Kind {
                indifferent: all & !beginnings.rules(),
                beginnings,
            })
        });
        Self {
            all,
            kinds: kinds.collect(),
        }
    }

    fn possible(&self, subject: &Subject<'_>) -> Set {
        let mut possible = self.all;
        for kind in &self.kinds {
            // To try one costs no more than to look further.
            if without_first(possible) == 0 {
                break;
            }
            possible &= kind.indifferent | kind.beginnings.fitting(subject);
        }
        possible
    }
}

fn without_first(set: Set) -> Set {
    set & set.wrapping_sub(1)
}

#[cfg(test)]
mod tests;
