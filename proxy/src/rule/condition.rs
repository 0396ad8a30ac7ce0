//! Conditions: what a rule demands of a request, and the form of the request they are compared with.
//!
//! The request that is forwarded is never changed here; the normal form exists for the comparison only.

use std::borrow::Cow;

use super::{Pattern, RuleInput};

/// The values of one condition are alternatives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Case matters; the whole path, never the query.
    PathPattern(Vec<Pattern>),
    /// Case does not matter; the port is not compared.
    HostHeader(Vec<Pattern>),
}

impl Condition {
    pub fn path_pattern<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        Self::PathPattern(values.into_iter().map(Pattern::case_sensitive).collect())
    }

    pub fn host_header<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        Self::HostHeader(values.into_iter().map(Pattern::case_insensitive).collect())
    }

    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::PathPattern(patterns) => patterns
                .iter()
                .any(|pattern| pattern.matches(&subject.path)),
            Self::HostHeader(patterns) => {
                patterns.iter().any(|pattern| pattern.matches(subject.host))
            }
        }
    }
}

/// A request in the form that conditions compare.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    pub(super) host: &'a str,
    pub(super) path: Cow<'a, str>,
}

impl<'a> Subject<'a> {
    pub(super) fn new(request: &RuleInput<'a>) -> Self {
        Self {
            host: without_port(request.host),
            path: normal_path(request.path),
        }
    }
}

/// `host` of `host:port`; an IPv6 address keeps its brackets.
pub(crate) fn without_port(host: &str) -> &str {
    // Not `rsplit_once`, which is made for long texts.
    let colon = host.bytes().rposition(|byte| byte == b':');
    match colon.and_then(|colon| Some((host.get(..colon)?, host.get(colon + 1..)?))) {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !is_inside_brackets(name) =>
        {
            name
        }
        _ => host,
    }
}

/// Whether the text ends inside an IPv6 literal, where a colon does not begin a port.
fn is_inside_brackets(text: &str) -> bool {
    text.starts_with('[') && !text.ends_with(']')
}

/// The path with encoded unreserved characters decoded, dot segments resolved and everything but visible ASCII left out
/// (RFC 3986 section 6.2.2). A path that is already so, as nearly all are, is only looked at.
fn normal_path(path: &str) -> Cow<'_, str> {
    if is_normal(path.as_bytes()) {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(resolve_dot_segments(&decode_unreserved(path)))
    }
}

fn is_normal(path: &[u8]) -> bool {
    path.iter().enumerate().all(|(at, &byte)| match byte {
        b'%' => encoded_unreserved(&path[at..]).is_none(),
        b'/' => !is_dot_segment(
            path[at + 1..]
                .split(|&byte| byte == b'/')
                .next()
                .unwrap_or_default(),
        ),
        byte => byte.is_ascii_graphic(),
    })
}

fn is_dot_segment(segment: &[u8]) -> bool {
    matches!(segment, b"." | b"..")
}

/// The unreserved character that `text` begins with in percent-encoding, if it does.
fn encoded_unreserved(text: &[u8]) -> Option<char> {
    let [b'%', high, low, ..] = *text else {
        return None;
    };
    let value = char::from(high).to_digit(16)? * 16 + char::from(low).to_digit(16)?;
    char::from_u32(value)
        .filter(|&character| character.is_ascii_alphanumeric() || "-._~".contains(character))
}

fn decode_unreserved(path: &str) -> String {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [byte, after @ ..] = rest {
        if let Some(character) = encoded_unreserved(rest) {
            decoded.push(character);
            rest = &rest[3..];
        } else {
            if byte.is_ascii_graphic() {
                decoded.push(char::from(*byte));
            }
            rest = after;
        }
    }
    decoded
}

fn resolve_dot_segments(path: &str) -> String {
    let Some(path) = path.strip_prefix('/') else {
        return path.to_owned();
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_slash = false;
    for segment in path.split('/') {
        ends_in_slash = is_dot_segment(segment.as_bytes());
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    if ends_in_slash {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(condition: &Condition, host: &str, path: &str) -> bool {
        condition.holds(&Subject::new(&RuleInput { host, path }))
    }

    #[test]
    fn host_header_ignores_case_and_port() {
        let condition = Condition::host_header(["*.example.com", "localhost", "*::1*"]);
        let cases = [
            ("www.example.com", true),
            ("WWW.Example.COM:8443", true),
            ("a.b.example.com", true),
            ("example.com", false),
            ("localhost", true),
            ("localhost:8080", true),
            ("localhost:", true),
            ("localhost:http", false),
            ("localhost.evil", false),
            ("[::1]", true),
            ("[::1]:8080", true),
            ("", false),
        ];
        for (host, expected) in cases {
            assert_eq!(holds(&condition, host, "/"), expected, "{host}");
        }
    }

    #[test]
    fn ports_are_cut_off_and_addresses_are_not() {
        let cases = [
            ("a:80", "a"),
            ("a", "a"),
            ("[::1]", "[::1]"),
            ("[::1]:80", "[::1]"),
            ("[::1", "[::1"),
            (":80", ""),
            ("a:b", "a:b"),
        ];
        for (host, expected) in cases {
            assert_eq!(without_port(host), expected, "{host}");
        }
    }

    #[test]
    fn path_pattern_sees_the_normal_form() {
        let condition = Condition::path_pattern(["/admin/*", "/exact"]);
        let cases = [
            ("/admin/", true),
            ("/admin/users", true),
            ("/%61dmin/users", true),
            ("/public/../admin/users", true),
            ("/public/%2e%2E/admin/users", true),
            ("/./admin/.", true),
            ("/admin/..", false),
            ("/admin%2Fusers", false),
            ("/Admin/users", false),
            ("/exact", true),
            ("/exact/", false),
            ("//exact", false),
            ("/exa\u{7f}ct", true),
            ("/exäact", true),
        ];
        for (path, expected) in cases {
            assert_eq!(holds(&condition, "", path), expected, "{path}");
        }
    }

    #[test]
    fn normal_forms() {
        let cases = [
            ("/", "/"),
            ("", ""),
            ("*", "*"),
            ("/a/b", "/a/b"),
            ("/a//b/", "/a//b/"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a/...", "/a/..."),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/../../b", "/b"),
            ("/a/..", "/"),
            ("/a/b/.", "/a/b/"),
            ("/%7Euser/%2d", "/~user/-"),
            ("/%2525/%2/%zz/%", "/%2525/%2/%zz/%"),
            ("/%2e", "/"),
            ("/%252e", "/%252e"),
        ];
        for (path, expected) in cases {
            assert_eq!(normal_path(path), expected, "{path}");
        }
    }

    #[test]
    fn a_normal_path_is_not_copied() {
        for path in [
            "/",
            "/index.html",
            "/a/%2F/b",
            "/.well-known/acme-challenge/x",
            "/a..b/..c/d.",
        ] {
            assert!(matches!(normal_path(path), Cow::Borrowed(_)), "{path}");
        }
    }

    proptest! {
        #[test]
        fn the_normal_form_is_stable_and_free_of_dot_segments(path in "/([ab./]|%2[eEfF]|%61|%25){0,12}") {
            let normal = normal_path(&path).into_owned();
            prop_assert!(normal.starts_with('/'));
            prop_assert!(normal.split('/').all(|segment| !is_dot_segment(segment.as_bytes())), "{}", normal);
            prop_assert!(is_normal(normal.as_bytes()), "{}", normal);
        }

        #[test]
        fn no_text_panics(host in any::<String>(), path in any::<String>()) {
            let condition = Condition::path_pattern(["/*/a?"]);
            holds(&condition, &host, &path);
        }
    }
}
