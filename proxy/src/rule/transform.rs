//! Transforms: what a rule makes of a request's host and of its path and query before a target sees them. The rule is
//! chosen by then; nothing is matched again.

use thiserror::Error;

use super::expression::{Expression, ExpressionError};
use super::host::is_host;
use crate::http1::{is_path_and_query, limits};

/// At least one of them; that of a host sees it without its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transforms {
    pub host_header_rewrite: Option<Rewrite>,
    pub url_rewrite: Option<Rewrite>,
}

/// Where the expression matches first, the replacement is put; the rest of the text stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    regex: Expression,
    /// As it was written.
    replace: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// What the group with this number has matched; 0 = all of the match.
    Group(usize),
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RewriteError {
    #[error(transparent)]
    Regex(#[from] ExpressionError),
    #[error("`${0}` means a group that the regex does not have")]
    NoGroup(usize),
    #[error("the replacement holds something that is not visible ASCII")]
    NotAscii,
}

/// What came out; `None` where no expression matched or nothing changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transformed {
    pub host: Option<String>,
    pub uri: Option<String>,
    /// An expression matched.
    pub applied: bool,
}

/// A rewrite whose outcome cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TransformError {
    #[error("the rule's host-header-rewrite made something that is not a host")]
    InvalidHost,
    #[error("the rule's url-rewrite made something that is not a path and query")]
    InvalidPath,
    #[error("the rule's transforms made a request line or host longer than 16 KiB")]
    BufferTooSmall,
}

impl Transforms {
    /// `host` may have a port, which stays unless the outcome has one.
    pub fn apply(&self, host: &str, uri: &str) -> Result<Transformed, TransformError> {
        let mut transformed = Transformed::default();
        if let Some(rewrite) = &self.host_header_rewrite
            && let Some(made) = rewrite.apply(super::without_port(host))
        {
            if !is_host(&made) {
                return Err(TransformError::InvalidHost);
            }
            check_length(&made)?;
            transformed.applied = true;
            transformed.host = Some(made).filter(|made| made != super::without_port(host));
        }
        if let Some(rewrite) = &self.url_rewrite
            && let Some(made) = rewrite.apply(uri)
        {
            let is_same = made == uri;
            let is_sendable = made.starts_with('/') && is_path_and_query(made.as_bytes());
            if !is_same && !is_sendable {
                return Err(TransformError::InvalidPath);
            }
            check_length(&made)?;
            transformed.applied = true;
            transformed.uri = Some(made).filter(|_| !is_same);
        }
        Ok(transformed)
    }
}

fn check_length(made: &str) -> Result<(), TransformError> {
    if made.len() > limits::REQUEST_LINE {
        return Err(TransformError::BufferTooSmall);
    }
    Ok(())
}

impl TransformError {
    /// The access log's `request_transform_status`.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidHost => "TransformInvalidHost",
            Self::InvalidPath => "TransformInvalidPath",
            Self::BufferTooSmall => "TransformBufferTooSmall",
        }
    }
}

impl Rewrite {
    /// Of a host, where case does not matter.
    pub fn of_host(regex: &str, replace: &str) -> Result<Self, RewriteError> {
        Self::new(Expression::case_insensitive(regex)?, replace)
    }

    /// Of a path and query.
    pub fn of_url(regex: &str, replace: &str) -> Result<Self, RewriteError> {
        Self::new(Expression::case_sensitive(regex)?, replace)
    }

    fn new(regex: Expression, replace: &str) -> Result<Self, RewriteError> {
        if !replace.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(RewriteError::NotAscii);
        }
        let parts = parts(replace);
        let beyond = parts.iter().find_map(|part| match part {
            Part::Group(group) if *group > regex.groups() => Some(*group),
            _ => None,
        });
        match beyond {
            Some(group) => Err(RewriteError::NoGroup(group)),
            None => Ok(Self {
                regex,
                replace: replace.to_owned(),
                parts,
            }),
        }
    }

    /// As it was written.
    pub fn regex(&self) -> &str {
        self.regex.as_str()
    }

    /// As it was written.
    pub fn replace(&self) -> &str {
        &self.replace
    }

    /// `None` if nothing matches.
    fn apply(&self, text: &str) -> Option<String> {
        let captures = self.regex.captures(text)?;
        let group = |group| captures.get(group).map(|found| found.range());
        let matched = group(0)?;
        let mut made = String::with_capacity(text.len() + self.replace.len());
        made.push_str(text.get(..matched.start)?);
        for part in &self.parts {
            match part {
                Part::Literal(literal) => made.push_str(literal),
                // A group that took no part in the match is empty.
                Part::Group(number) => {
                    made.push_str(
                        group(*number)
                            .and_then(|found| text.get(found))
                            .unwrap_or_default(),
                    );
                }
            }
        }
        made.push_str(text.get(matched.end..)?);
        Some(made)
    }
}

/// `$1` and `${1}` are groups, `$$` is a dollar sign, and so is a `$` before anything else.
fn parts(replace: &str) -> Vec<Part> {
    let (mut parts, mut literal) = (Vec::new(), String::new());
    let mut rest = replace;
    while let Some((before, after)) = rest.split_once('$') {
        literal.push_str(before);
        let braced = after
            .strip_prefix('{')
            .and_then(|after| after.split_once('}'));
        let (digits, behind) = braced.unwrap_or_else(|| {
            let end = after.bytes().position(|byte| !byte.is_ascii_digit());
            after.split_at(end.unwrap_or(after.len()))
        });
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        match digits.parse() {
            Ok(group) if is_number => {
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Group(group));
                rest = behind;
            }
            _ => {
                literal.push('$');
                rest = after.strip_prefix('$').unwrap_or(after);
            }
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_match_is_replaced() {
        let cases = [
            (
                "^/api/(.*)$",
                "/$1",
                "/api/v1/x?y=/api/z",
                Some("/v1/x?y=/api/z"),
            ),
            ("^/api/(.*)$", "/$1", "/app", None),
            ("a", "b", "/aaa", Some("/baa")),
            ("/(a)/(b)", "/$2/$1", "/a/b/c", Some("/b/a/c")),
            ("/(a)|/(b)", "/[$1|$2]", "/b", Some("/[|b]")),
            ("b", "<$0>", "abc", Some("a<b>c")),
            ("(a)", "${1}1$1x$$1$", "a", Some("a1ax$1$")),
            ("(a)", "$x${y}${", "a", Some("$x${y}${")),
            ("$", "?new=1", "/a", Some("/a?new=1")),
            ("A", "b", "/a", None),
            ("a", "", "/a", Some("/")),
        ];
        for (regex, replace, text, expected) in cases {
            let rewrite = Rewrite::of_url(regex, replace).expect("valid");
            assert_eq!(
                rewrite.apply(text).as_deref(),
                expected,
                "{regex} {replace}"
            );
        }
        let rewrite = Rewrite::of_host("^WWW[.]", "").expect("valid");
        assert_eq!(
            rewrite.apply("www.Example.com").as_deref(),
            Some("Example.com")
        );
    }

    #[test]
    fn what_can_never_work_is_refused() {
        let refused = |regex, replace| Rewrite::of_url(regex, replace).expect_err("refused");
        assert_eq!(refused("(a)(b)", "$3"), RewriteError::NoGroup(3));
        assert_eq!(refused("a", "${10}"), RewriteError::NoGroup(10));
        assert_eq!(refused("a", "\u{e9}"), RewriteError::NotAscii);
        assert!(matches!(refused("(a", ""), RewriteError::Regex(_)));
        let huge = "$99999999999999999999999";
        assert!(Rewrite::of_url("a", huge).is_ok_and(|rewrite| rewrite.replace() == huge));
    }

    fn transforms(host: Option<(&str, &str)>, url: Option<(&str, &str)>) -> Transforms {
        Transforms {
            host_header_rewrite: host
                .map(|(regex, replace)| Rewrite::of_host(regex, replace).expect("valid")),
            url_rewrite: url
                .map(|(regex, replace)| Rewrite::of_url(regex, replace).expect("valid")),
        }
    }

    #[test]
    fn only_what_changed_comes_out() {
        let both = transforms(Some(("^www", "app")), Some(("^/old", "/new")));
        let outcome = |host, uri| both.apply(host, uri).expect("possible");
        let made = |host: Option<&str>, uri: Option<&str>, applied| Transformed {
            host: host.map(str::to_owned),
            uri: uri.map(str::to_owned),
            applied,
        };
        let cases = [
            (
                "www.a.com:8080",
                "/old?x",
                made(Some("app.a.com"), Some("/new?x"), true),
            ),
            ("a.com", "/old", made(None, Some("/new"), true)),
            ("www.a.com", "/", made(Some("app.a.com"), None, true)),
            ("a.com", "/", made(None, None, false)),
            ("a.com", "*", made(None, None, false)),
        ];
        for (host, uri, expected) in cases {
            assert_eq!(outcome(host, uri), expected, "{host}{uri}");
        }
        let same = transforms(None, Some(("^/same", "/same")));
        assert_eq!(same.apply("a", "/same"), Ok(made(None, None, true)));
    }

    #[test]
    fn what_cannot_be_sent_is_an_error() {
        let host = |replace| transforms(Some((".*", replace)), None).apply("a.com", "/");
        for replace in ["", "a b", "a/b", "a@b", "a:x", "[::", "a\\b"] {
            assert_eq!(host(replace), Err(TransformError::InvalidHost), "{replace}");
        }
        for replace in ["b.com", "b.com:8080", "[::1]:80", "$0.internal"] {
            assert!(host(replace).is_ok(), "{replace}");
        }
        let url = |replace| transforms(None, Some((".*", replace))).apply("a.com", "/a?b");
        for replace in ["", "x", "?x", "/a b", "/a#b", "http://b/", "/<>"] {
            assert_eq!(url(replace), Err(TransformError::InvalidPath), "{replace}");
        }
        let long = "a".repeat(limits::REQUEST_LINE);
        let grown = transforms(None, Some(("^", "/"))).apply("a", &format!("/{long}"));
        assert_eq!(grown, Err(TransformError::BufferTooSmall));
    }

    proptest! {
        /// Whatever a client sends and a rule makes of it: it can be sent, or it is an error.
        #[test]
        fn what_comes_out_can_be_sent(
            regex in "[ -~]{0,8}",
            replace in "[ -~]{0,8}|[$][0-9]",
            host in "[a-z.]{1,8}(:[0-9]{1,3})?",
            uri in "/[!-;=?-~]{0,12}",
        ) {
            let rewrites = (Rewrite::of_host(&regex, &replace), Rewrite::of_url(&regex, &replace));
            if let (Ok(host_rewrite), Ok(url_rewrite)) = rewrites {
                let transforms = Transforms {
                    host_header_rewrite: Some(host_rewrite),
                    url_rewrite: Some(url_rewrite),
                };
                if let Ok(made) = transforms.apply(&host, &uri) {
                    prop_assert!(made.host.is_none_or(|host| is_host(&host)));
                    prop_assert!(made.uri.is_none_or(|uri| is_path_and_query(uri.as_bytes())));
                }
            }
        }
    }
}
