//! The rules that look for something in the middle of one text, by what they look for: one pass over the text finds all
//! that is there of it.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::Set;
use crate::rule::Rule;
use crate::rule::condition::{Comparison, Condition, Subject, header_values};

/// What is longer tells rules apart by so much of it, which bounds the automaton.
const LONGEST: usize = 16;

/// What is looked into.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Text {
    Path,
    Host,
    /// The lines of a field, by its name in lower case.
    Field(String),
}

#[derive(Debug, Clone)]
pub(super) struct Contents {
    text: Text,
    automaton: AhoCorasick,
    /// Of each of the automaton's patterns.
    rules: Vec<Set>,
}

impl Contents {
    /// One for each text that rules look into.
    pub(super) fn of_rules(rules: &[Rule]) -> Vec<Self> {
        let mut sets = BTreeMap::<Text, BTreeMap<&[u8], Set>>::new();
        for (position, rule) in rules.iter().enumerate() {
            // All conditions must hold: one of them is enough.
            if let Some((text, sought)) = rule.conditions.iter().find_map(sought_by) {
                let sets = sets.entry(text).or_default();
                for content in sought {
                    *sets.entry(content).or_default() |= 1 << position;
                }
            }
        }
        let contents = sets.into_iter();
        contents
            .filter_map(|(text, sets)| Self::new(text, sets))
            .collect()
    }

    /// `None` if there is no automaton that large.
    fn new(text: Text, sets: BTreeMap<&[u8], Set>) -> Option<Self> {
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(text != Text::Path)
            .kind(Some(AhoCorasickKind::DFA))
            .build(sets.keys());
        Some(Self {
            text,
            automaton: automaton.ok()?,
            rules: sets.into_values().collect(),
        })
    }

    /// All that look into this text.
    pub(super) fn rules(&self) -> Set {
        self.rules.iter().fold(0, |all, rules| all | rules)
    }

    /// Those whose condition may hold.
    pub(super) fn fitting(&self, subject: &Subject<'_>) -> Set {
        match &self.text {
            Text::Path => self.found_in(&subject.path),
            Text::Host => self.found_in(subject.host),
            Text::Field(name) => {
                header_values(subject, name).fold(0, |all, value| all | self.found_in(&value))
            }
        }
    }

    fn found_in(&self, text: &str) -> Set {
        let found = self.automaton.find_overlapping_iter(text);
        found.fold(0, |all, found| all | self.rules[found.pattern()])
    }
}

/// What one of is in every text for which the condition holds. `None`: nothing that tells more than its beginning does.
fn sought_by(condition: &Condition) -> Option<(Text, Vec<&[u8]>)> {
    let (text, values, end): (_, _, fn(&Comparison) -> &[u8]) = match condition {
        Condition::PathPattern(values) => (Text::Path, values, Comparison::beginning),
        Condition::HostHeader(values) => (Text::Host, values, Comparison::ending),
        Condition::HttpHeader { name, values } => {
            let name = name.to_ascii_lowercase();
            (Text::Field(name), values, Comparison::beginning)
        }
        _ => return None,
    };
    let sought = values.iter().map(|value| {
        let content = value.content();
        let tells_more = content.len() > end(value).len();
        tells_more.then(|| &content[..content.len().min(LONGEST)])
    });
    Some((text, sought.collect::<Option<_>>()?))
}
