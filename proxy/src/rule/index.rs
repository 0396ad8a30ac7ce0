//! Which rules can match a request at all, so that a table of a hundred rules costs hardly more than one of a few. Of each
//! kind of conditions it is known how the texts must begin that they are compared with, up to the first wildcard (how
//! hosts end); what a request leaves possible of one kind and of the next is intersected until at most one rule is left.
//! Whether a rule that is possible really matches is for the caller to say.

mod beginnings;
mod contents;

use super::Rule;
use super::condition::Subject;
use beginnings::{Beginnings, Part};
use contents::Contents;

/// Rules, by their places in their block.
type Set = u128;
const BLOCK: usize = Set::BITS as usize;

/// A block for every so many rules: one for as many as an ALB allows.
#[derive(Debug, Clone)]
pub(super) struct Index {
    blocks: Vec<Block>,
}

#[derive(Debug, Clone)]
struct Block {
    all: Set,
    /// Of the parts of a request that a rule has a condition on, those first that are looked up fastest.
    kinds: Vec<Kind>,
}

#[derive(Debug, Clone)]
struct Kind {
    /// The rules with such a condition.
    rules: Set,
    by: By,
}

#[derive(Debug, Clone)]
enum By {
    Beginnings(Beginnings),
    Contents(Contents),
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
        let beginnings = Part::ALL.into_iter();
        let beginnings = beginnings.filter_map(|part| Beginnings::of_rules(part, rules));
        let beginnings = beginnings.map(|beginnings| Kind {
            rules: beginnings.rules(),
            by: By::Beginnings(beginnings),
        });
        let contents = Contents::of_rules(rules).into_iter();
        let contents = contents.map(|contents| Kind {
            rules: contents.rules(),
            by: By::Contents(contents),
        });
        Self {
            all,
            kinds: beginnings.chain(contents).collect(),
        }
    }

    fn possible(&self, subject: &Subject<'_>) -> Set {
        let mut possible = self.all;
        for kind in &self.kinds {
            // To try one costs no more than to look further.
            if without_first(possible & kind.rules) != 0 {
                possible &= !kind.rules | kind.fitting(subject);
            }
        }
        possible
    }
}

impl Kind {
    fn fitting(&self, subject: &Subject<'_>) -> Set {
        match &self.by {
            By::Beginnings(beginnings) => beginnings.fitting(subject),
            By::Contents(contents) => contents.fitting(subject),
        }
    }
}

fn without_first(set: Set) -> Set {
    set & set.wrapping_sub(1)
}

#[cfg(test)]
mod tests;
