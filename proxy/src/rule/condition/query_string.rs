//! The parameters of a query, and what a condition demands of one. Texts are compared as they were sent, percent-encoding
//! included.

use crate::rule::Pattern;

/// Case does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// `None` = any.
    pub key: Option<Pattern>,
    pub value: Pattern,
}

impl Parameter {
    pub(super) fn matches(&self, key: &str, value: &str) -> bool {
        let key_fits = self.key.as_ref().is_none_or(|pattern| pattern.matches(key));
        key_fits && self.value.matches(value)
    }
}

/// Key and value of each parameter; the value is empty where there is no `=`.
pub(in crate::rule) fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values() {
        let cases: [(&str, &[(&str, &str)]); 6] = [
            ("", &[]),
            ("a=b", &[("a", "b")]),
            ("a=b=c&d", &[("a", "b=c"), ("d", "")]),
            ("&&a=&=b&", &[("a", ""), ("", "b")]),
            ("a?b=c?d", &[("a?b", "c?d")]),
            ("a%3Db=%26", &[("a%3Db", "%26")]),
        ];
        for (query, expected) in cases {
            assert_eq!(parameters(query).collect::<Vec<_>>(), expected, "{query}");
        }
    }

    #[test]
    fn a_parameter_is_what_both_fit() {
        let parameter = |key: Option<&str>, value| Parameter {
            key: key.map(|key| Pattern::with_escapes(key).expect("a pattern")),
            value: Pattern::with_escapes(value).expect("a pattern"),
        };
        let cases = [
            (parameter(Some("version"), "v1"), "Version", "V1", true),
            (parameter(Some("version"), "v1"), "version", "v2", false),
            (parameter(Some("version"), "v1"), "other", "v1", false),
            (parameter(Some("v*"), "?"), "v", "1", true),
            (parameter(None, "*example*"), "any", "an-example", true),
            (parameter(None, "*example*"), "example", "", false),
            (parameter(None, r"\*"), "a", "*", true),
            (parameter(None, r"\*"), "a", "b", false),
            (parameter(None, "a b"), "k", "a%20b", false),
        ];
        for (wanted, key, value, expected) in cases {
            assert_eq!(
                wanted.matches(key, value),
                expected,
                "{key}={value} {wanted:?}"
            );
        }
    }
}
