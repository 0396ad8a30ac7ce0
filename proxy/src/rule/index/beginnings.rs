//! The rules that have a condition on one part of a request, by how the text must begin that it is compared with.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Set;
use crate::http1::Name;
use crate::rule::Rule;
use crate::rule::condition::{Comparison, Condition, Parameter, Subject, is_visible, parameters};

/// What is longer tells rules apart by so much of it.
const LONGEST_KEY: usize = 64;

/// What a condition looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Path,
    /// Read from its end, as hosts have that in common.
    Host,
    Method,
    /// A number for its family, then its octets.
    Peer,
    /// Each `key=value`.
    Query,
    /// Each `name:value`.
    Fields,
}

/// Texts that matter whatever their case are in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Beginnings {
    part: Part,
    /// In the order of their keys.
    entries: Vec<Entry>,
    /// Bytes of a key.
    longest: usize,
    /// A bit for each length of a field's name: most fields of a request are asked for by no rule.
    name_lengths: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    key: Vec<u8>,
    /// Where the longest other key is with which this one begins.
    parent: Option<usize>,
    /// The rules of this key, and of all with which it begins.
    rules: Set,
}

impl Part {
    pub(super) const ALL: [Self; 6] = [
        Self::Path,
        Self::Host,
        Self::Method,
        Self::Peer,
        Self::Query,
        Self::Fields,
    ];

    /// How one of this part's texts must begin for the condition to hold, one of them at least; `None`: it does not look
    /// at this part.
    fn keys(self, condition: &Condition) -> Option<Vec<Vec<u8>>> {
        let beginning = |value: &Comparison| value.beginning().to_vec();
        let ending = |value: &Comparison| value.ending().iter().rev().copied().collect();
        let keys: Vec<Vec<u8>> = match (self, condition) {
            (Self::Path, Condition::PathPattern(values)) => values.iter().map(beginning).collect(),
            (Self::Host, Condition::HostHeader(values)) => values.iter().map(ending).collect(),
            (Self::Method, Condition::HttpRequestMethod(methods)) => {
                let bytes = |method: &String| method.clone().into_bytes();
                methods.iter().map(bytes).collect()
            }
            (Self::Peer, Condition::SourceIp(networks)) => {
                let key = |network: &ipnet::IpNet| {
                    let whole_octets = usize::from(network.prefix_len() / 8);
                    let address = network.network();
                    let octets = octets(&address);
                    octets.take(1 + whole_octets).collect()
                };
                networks.iter().map(key).collect()
            }
            (Self::Query, Condition::QueryString(wanted)) => {
                wanted.iter().map(parameter_key).collect()
            }
            (Self::Fields, Condition::HttpHeader { name, values }) => {
                let name = name.to_ascii_lowercase();
                // What several lines of a Cookie say is compared as one text.
                let is_cookie = Name::of(name.as_bytes()) == Name::Cookie;
                let key = |value: &Comparison| {
                    let beginning = if is_cookie { &[] } else { value.beginning() };
                    [name.as_bytes(), b":", beginning].concat()
                };
                values.iter().map(key).collect()
            }
            _ => return None,
        };
        let shortened = |mut key: Vec<u8>| {
            key.truncate(LONGEST_KEY);
            key
        };
        Some(keys.into_iter().map(shortened).collect())
    }
}

fn parameter_key(wanted: &Parameter) -> Vec<u8> {
    match &wanted.key {
        None => Vec::new(),
        Some(key) if key.wildcards() > 0 => key.beginning().to_vec(),
        Some(key) => [key.beginning(), b"=", wanted.value.beginning()].concat(),
    }
}

fn octets(address: &IpAddr) -> impl Iterator<Item = u8> + use<> {
    let mut octets = [0; 17];
    let length = match address {
        IpAddr::V4(address) => {
            octets[0] = 4;
            octets[1..5].copy_from_slice(&address.octets());
            5
        }
        IpAddr::V6(address) => {
            octets[0] = 6;
            octets[1..].copy_from_slice(&address.octets());
            17
        }
    };
    octets.into_iter().take(length)
}

impl Beginnings {
    /// `None`: no rule has a condition on that part.
    pub(super) fn of_rules(part: Part, rules: &[Rule]) -> Option<Self> {
        let of_rule = |rule: &Rule| -> Vec<_> {
            let conditions = rule.conditions.iter();
            conditions
                .filter_map(|condition| part.keys(condition))
                .collect()
        };
        let of_rules: Vec<Vec<Vec<Vec<u8>>>> = rules.iter().map(of_rule).collect();
        let mut uses = BTreeMap::<&[u8], usize>::new();
        for key in of_rules.iter().flatten().flatten() {
            *uses.entry(key).or_default() += 1;
        }
        let most_uses = |keys: &&Vec<Vec<u8>>| keys.iter().map(|key| uses[&**key]).max();
        let mut sets = BTreeMap::<&[u8], Set>::new();
        for (position, conditions) in of_rules.iter().enumerate() {
            // All of them must hold: the one that tells it best from other rules is enough.
            let keys = conditions.iter().min_by_key(most_uses);
            for key in keys.into_iter().flatten() {
                *sets.entry(key).or_default() |= 1 << position;
            }
        }
        (!sets.is_empty()).then(|| Self::new(part, sets))
    }

    fn new(part: Part, sets: BTreeMap<&[u8], Set>) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        for (key, mut rules) in sets {
            let previous = entries.len().checked_sub(1);
            let parent = std::iter::successors(previous, |&at| entries[at].parent)
                .find(|&at| key.starts_with(&entries[at].key));
            rules |= parent.map_or(0, |at| entries[at].rules);
            entries.push(Entry {
                key: key.to_vec(),
                parent,
                rules,
            });
        }
        let name_lengths = entries.iter().map(|entry| {
            let name = entry.key.split(|&byte| byte == b':').next();
            length_bit(name.unwrap_or_default())
        });
        Self {
            part,
            longest: entries
                .iter()
                .map(|entry| entry.key.len())
                .max()
                .unwrap_or(0),
            name_lengths: name_lengths.fold(0, |all, bit| all | bit),
            entries,
        }
    }

    /// All that have a condition on this part.
    pub(super) fn rules(&self) -> Set {
        self.entries.iter().fold(0, |all, entry| all | entry.rules)
    }

    /// Those whose condition may hold.
    pub(super) fn fitting(&self, subject: &Subject<'_>) -> Set {
        match self.part {
            Part::Path => self.begun_by(subject.path.bytes()),
            Part::Host => self.begun_by(lower(subject.host.bytes().rev())),
            Part::Method => self.begun_by(subject.head.method().as_str().bytes()),
            Part::Peer => self.begun_by(octets(&subject.peer)),
            Part::Query => {
                let query = subject.head.query().unwrap_or_default();
                parameters(query).fold(0, |all, (key, value)| {
                    let text = key.bytes().chain([b'=']).chain(value.bytes());
                    all | self.begun_by(lower(text))
                })
            }
            Part::Fields => subject.head.fields().iter().fold(0, |all, field| {
                if self.name_lengths & length_bit(field.spelled.as_bytes()) == 0 {
                    return all;
                }
                let value = field.value.iter().copied().filter(|byte| is_visible(*byte));
                let text = field.spelled.bytes().chain([b':']).chain(value);
                all | self.begun_by(lower(text))
            }),
        }
    }

    /// The rules of all keys with which a text begins.
    ///
    /// A key with which the text begins is not greater than the text, and so not greater than the greatest such key;
    /// whatever lies between a beginning of the text and the text itself begins so too. That greatest key and its
    /// parents are therefore all there is to look at.
    fn begun_by(&self, text: impl Iterator<Item = u8>) -> Set {
        let mut buffer = [0; LONGEST_KEY];
        let mut length = 0;
        for (place, byte) in buffer[..self.longest].iter_mut().zip(text) {
            *place = byte;
            length += 1;
        }
        let text = &buffer[..length];
        let not_greater = self
            .entries
            .partition_point(|entry| entry.key.as_slice() <= text);
        std::iter::successors(not_greater.checked_sub(1), |&at| self.entries[at].parent)
            .find(|&at| text.starts_with(&self.entries[at].key))
            .map_or(0, |at| self.entries[at].rules)
    }
}

fn lower(text: impl Iterator<Item = u8>) -> impl Iterator<Item = u8> {
    text.map(|byte| byte.to_ascii_lowercase())
}

fn length_bit(name: &[u8]) -> u64 {
    1 << name.len().min(63)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_rules_of_all_keys_that_a_text_begins_with_are_found(
            keys in proptest::collection::btree_set("[abc]{0,4}", 0..12),
            text in "[abc]{0,6}",
        ) {
            let sets = keys.iter().zip(0..).map(|(key, at)| (key.as_bytes(), 1 << at));
            let beginnings = Beginnings::new(Part::Path, sets.collect());
            let begun = keys.iter().zip(0..).filter(|(key, _)| text.starts_with(*key));
            let expected = begun.fold(0, |all, (_, at)| all | 1 << at);
            prop_assert_eq!(beginnings.begun_by(text.bytes()), expected);
        }
    }
}
