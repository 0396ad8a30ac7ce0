//! Which rules can match a request at all, so that a table of a hundred rules costs hardly more than one of a few. Rules
//! are found by how their host patterns end and how their path patterns begin, up to the first wildcard; what else they
//! demand is not looked at. Whether a candidate really matches is for the caller to say.

use std::collections::BTreeMap;

use super::Rule;
use super::condition::{Comparison, Condition, Subject};

/// A rule with more pairs of a host and a path than this is found by its hosts alone.
const MOST_PAIRS: usize = 1024;

/// Rules by host, then by path: of each pair the positions of its rules in the table, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    /// Keys are read from the end of the host.
    hosts: Prefixes<Prefixes<Vec<usize>>>,
}

impl Index {
    /// `rules` in the order in which they are tried.
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut hosts = BTreeMap::<Vec<u8>, BTreeMap<Vec<u8>, Vec<usize>>>::new();
        for (position, rule) in rules.iter().enumerate() {
            let (endings, mut beginnings) = keys(rule);
            if endings.len() * beginnings.len() > MOST_PAIRS {
                beginnings = vec![Vec::new()];
            }
            for ending in &endings {
                let paths = hosts.entry(ending.clone()).or_default();
                for beginning in &beginnings {
                    let positions = paths.entry(beginning.clone()).or_default();
                    // Two patterns of one rule may begin alike.
                    if positions.last() != Some(&position) {
                        positions.push(position);
                    }
                }
            }
        }
        let hosts = hosts
            .into_iter()
            .map(|(ending, paths)| (ending, Prefixes::new(paths)));
        Self {
            hosts: Prefixes::new(hosts),
        }
    }

    /// The first position whose rule matches. Every rule that could is asked, unless an earlier one has matched.
    pub(super) fn first(
        &self,
        subject: &Subject<'_>,
        matches: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let host = subject
            .host
            .bytes()
            .rev()
            .map(|byte| byte.to_ascii_lowercase());
        let mut first = None;
        for paths in self.hosts.of(host) {
            for positions in paths.of(subject.path.bytes()) {
                let earlier = positions
                    .iter()
                    .copied()
                    .take_while(|&position| first.is_none_or(|first| position < first));
                first = earlier
                    .into_iter()
                    .find(|&position| matches(position))
                    .or(first);
            }
        }
        first
    }
}

/// How a host must end, read from its end, and how a path must begin: one of each at least. An empty one is of a rule
/// that takes any.
fn keys(rule: &Rule) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let any = || vec![Vec::new()];
    let (mut endings, mut beginnings) = (any(), any());
    for condition in &rule.conditions {
        match condition {
            Condition::HostHeader(values) => {
                let reversed = |ending: &[u8]| ending.iter().rev().copied().collect();
                endings = values
                    .iter()
                    .map(|value| reversed(value.ending()))
                    .collect();
            }
            Condition::PathPattern(values) => {
                let beginning = |value: &Comparison| value.beginning().to_vec();
                beginnings = values.iter().map(beginning).collect();
            }
            _ => {}
        }
    }
    (endings, beginnings)
}

/// A map that gives the values of all keys with which a text begins.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Prefixes<T> {
    /// In the order of their keys.
    entries: Vec<Entry<T>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry<T> {
    key: Vec<u8>,
    /// Where the longest other key is with which this one begins.
    parent: Option<usize>,
    value: T,
}

impl<T> Prefixes<T> {
    /// From keys in ascending order, each once.
    fn new(values: impl IntoIterator<Item = (Vec<u8>, T)>) -> Self {
        let mut entries: Vec<Entry<T>> = Vec::new();
        for (key, value) in values {
            let previous = entries.len().checked_sub(1);
            let parent = std::iter::successors(previous, |&at| entries[at].parent)
                .find(|&at| key.starts_with(&entries[at].key));
            entries.push(Entry { key, parent, value });
        }
        Self { entries }
    }

    /// The longest key first.
    ///
    /// A key with which the text begins is not greater than the text, and so not greater than the greatest such key;
    /// whatever lies between a beginning of the text and the text itself begins so too. That greatest key and its
    /// parents are therefore all there is to look at.
    fn of(&self, text: impl Iterator<Item = u8> + Clone) -> impl Iterator<Item = &T> {
        let not_greater = self
            .entries
            .partition_point(|entry| entry.key.iter().copied().le(text.clone()));
        let begins = move |at: &usize| {
            let key = &self.entries[*at].key;
            key.iter().copied().eq(text.clone().take(key.len()))
        };
        let parent = |&at: &usize| self.entries[at].parent;
        let longest = std::iter::successors(not_greater.checked_sub(1), parent).find(begins);
        std::iter::successors(longest, parent).map(|at| &self.entries[at].value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_keys_that_a_text_begins_with_are_found(
            keys in proptest::collection::btree_set("[abc]{0,4}", 0..12),
            text in "[abc]{0,6}",
        ) {
            let values = keys.iter().map(|key| (key.clone().into_bytes(), key.as_str()));
            let found = Prefixes::new(values);
            let found: Vec<_> = found.of(text.bytes()).copied().collect();
            let mut expected: Vec<_> = keys.iter().filter(|key| text.starts_with(*key)).collect();
            expected.reverse();
            prop_assert_eq!(found, expected);
        }
    }
}
