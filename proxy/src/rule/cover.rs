//! Which rule leaves nothing for another one. Only what can be proved: a rule that is said to cover another one takes every
//! request that the other would; one that is not may do so all the same.

use super::condition::{Comparison, Condition, Parameter};
use super::{Pattern, Rule};

impl Rule {
    /// Whether each request that `other` matches matches this rule too.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let conditions = &self.conditions;
        conditions.iter().all(|mine| {
            is_always_true(mine) || other.conditions.iter().any(|theirs| mine.covers(theirs))
        })
    }
}

/// Every request has a path and, perhaps empty, a host.
fn is_always_true(condition: &Condition) -> bool {
    match condition {
        Condition::PathPattern(values) | Condition::HostHeader(values) => {
            values.iter().any(Comparison::is_anything)
        }
        _ => false,
    }
}

impl Condition {
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::PathPattern(mine), Self::PathPattern(theirs))
            | (Self::HostHeader(mine), Self::HostHeader(theirs)) => {
                all_covered(mine, theirs, Comparison::covers)
            }
            (
                Self::HttpHeader { name, values },
                Self::HttpHeader {
                    name: other_name,
                    values: theirs,
                },
            ) => {
                name.eq_ignore_ascii_case(other_name)
                    && all_covered(values, theirs, Comparison::covers)
            }
            (Self::QueryString(mine), Self::QueryString(theirs)) => {
                all_covered(mine, theirs, Parameter::covers)
            }
            (Self::HttpRequestMethod(mine), Self::HttpRequestMethod(theirs)) => {
                all_covered(mine, theirs, String::eq)
            }
            (Self::SourceIp(mine), Self::SourceIp(theirs)) => {
                all_covered(mine, theirs, |mine, theirs| mine.contains(theirs))
            }
            _ => false,
        }
    }
}

fn all_covered<T>(mine: &[T], theirs: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
    theirs
        .iter()
        .all(|theirs| mine.iter().any(|mine| covers(mine, theirs)))
}

impl Comparison {
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Wildcards(mine), Self::Wildcards(theirs)) => mine.covers(theirs),
            (Self::Regex(mine), Self::Regex(theirs)) => mine == theirs,
            (mine, _) => mine.is_anything(),
        }
    }

    fn is_anything(&self) -> bool {
        matches!(self, Self::Wildcards(pattern) if pattern.is_anything())
    }
}

impl Parameter {
    fn covers(&self, other: &Self) -> bool {
        let any_key = self.key.as_ref().is_none_or(Pattern::is_anything);
        let key = match (&self.key, &other.key) {
            (Some(mine), Some(theirs)) => mine.covers(theirs),
            _ => false,
        };
        (any_key || key) && self.value.covers(&other.value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::transform::Transforms;
    use super::*;
    use crate::action::{Action, Forward};
    use proptest::prelude::*;

    fn rule(conditions: Vec<Condition>) -> Rule {
        Rule {
            priority: 1,
            conditions,
            transforms: None::<Transforms>,
            action: Action::Forward(Forward::to(0)),
        }
    }

    fn path(values: &[&str]) -> Condition {
        Condition::path_pattern(values.iter().copied())
    }

    fn host(values: &[&str]) -> Condition {
        Condition::host_header(values.iter().copied())
    }

    fn method(values: &[&str]) -> Condition {
        Condition::HttpRequestMethod(values.iter().map(|&value| value.to_owned()).collect())
    }

    fn header(name: &str, value: &str) -> Condition {
        Condition::HttpHeader {
            name: name.to_owned(),
            values: vec![Comparison::Wildcards(Pattern::case_insensitive(value))],
        }
    }

    fn query(key: Option<&str>, value: &str) -> Condition {
        let pattern = |text| Pattern::with_escapes(text).expect("a pattern");
        Condition::QueryString(vec![Parameter {
            key: key.map(pattern),
            value: pattern(value),
        }])
    }

    fn source(networks: &[&str]) -> Condition {
        let networks = networks.iter().map(|net| net.parse().expect("a network"));
        Condition::SourceIp(networks.collect())
    }

    #[test]
    fn what_leaves_nothing_for_whom() {
        let cases = [
            (vec![path(&["/api/*"])], vec![path(&["/api/v1/*"])], true),
            (vec![path(&["/api/*"])], vec![path(&["/api*"])], false),
            (vec![path(&["/a", "/b"])], vec![path(&["/b"])], true),
            (vec![path(&["/b"])], vec![path(&["/a", "/b"])], false),
            (
                vec![path(&["/*"])],
                vec![path(&["/a"]), host(&["b.com"])],
                true,
            ),
            (
                vec![path(&["/a"]), host(&["b.com"])],
                vec![path(&["/a"])],
                false,
            ),
            (vec![path(&["*"])], vec![method(&["GET"])], true),
            (vec![path(&["/*"])], vec![method(&["GET"])], false),
            (
                vec![host(&["*.Example.com"])],
                vec![host(&["www.example.COM"])],
                true,
            ),
            (
                vec![host(&["*.example.com"])],
                vec![host(&["example.com"])],
                false,
            ),
            (vec![method(&["GET", "PUT"])], vec![method(&["PUT"])], true),
            (vec![method(&["GET"])], vec![method(&["PUT"])], false),
            (
                vec![source(&["10.0.0.0/8"])],
                vec![source(&["10.1.0.0/16"])],
                true,
            ),
            (
                vec![source(&["10.1.0.0/16"])],
                vec![source(&["10.0.0.0/8"])],
                false,
            ),
            (vec![source(&["0.0.0.0/0"])], vec![source(&["::/0"])], false),
            (
                vec![header("X-A", "a*")],
                vec![header("x-a", "AB"), path(&["/"])],
                true,
            ),
            (vec![header("X-A", "*")], vec![header("X-B", "*")], false),
            (vec![header("X-A", "*")], vec![path(&["/"])], false),
            (vec![query(None, "*")], vec![query(Some("a"), "b")], true),
            (
                vec![query(Some("a"), "*")],
                vec![query(Some("A"), "b")],
                true,
            ),
            (vec![query(Some("a"), "b")], vec![query(None, "b")], false),
            (vec![query(None, r"\*")], vec![query(None, "a")], false),
        ];
        for (mine, other, expected) in cases {
            let (mine, other) = (rule(mine), rule(other));
            assert_eq!(mine.covers(&other), expected, "{mine:?}\n{other:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn what_is_covered_is_matched(
            mine in "[ab?*]{0,5}", other in "[ab?*]{0,5}", text in "[ab]{0,6}",
        ) {
            let (mine, other) = (Pattern::case_sensitive(&mine), Pattern::case_sensitive(&other));
            if mine.covers(&other) && other.matches(&text) {
                prop_assert!(mine.matches(&text));
            }
        }

        #[test]
        fn a_pattern_covers_itself_and_what_it_matches(pattern in "[ab?*]{0,6}", text in "[ab]{0,6}") {
            let pattern = Pattern::case_sensitive(&pattern);
            prop_assert!(pattern.covers(&pattern));
            prop_assert_eq!(pattern.covers(&Pattern::case_sensitive(&text)), pattern.matches(&text));
        }
    }
}
