//! Conditions: what a rule demands of a request, and the form of the request they are compared with.
//!
//! The request that is forwarded is never changed here; the normal form exists for the comparison only.

mod query_string;

use std::borrow::Cow;
use std::net::IpAddr;

use http::Version;
use ipnet::IpNet;

use super::{Expression, Pattern, RuleInput, without_port};
use crate::http1::fields::is_valid_name;
use crate::http1::{Name, RequestHead};
pub use query_string::Parameter;
pub(super) use query_string::parameters;

/// The values of one condition are alternatives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Case matters; the whole path, never the query.
    PathPattern(Vec<Comparison>),
    /// Case does not matter; the port is not compared.
    HostHeader(Vec<Comparison>),
    /// Case does not matter, neither of the name nor of the value; any line of that name may match.
    HttpHeader {
        name: String,
        values: Vec<Comparison>,
    },
    /// Any parameter may match.
    QueryString(Vec<Parameter>),
    /// Case matters.
    HttpRequestMethod(Vec<String>),
    /// The TCP peer, whatever X-Forwarded-For says.
    SourceIp(Vec<IpNet>),
}

/// What one value demands of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    Wildcards(Pattern),
    Regex(Expression),
}

impl Comparison {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Wildcards(pattern) => pattern.as_str(),
            Self::Regex(expression) => expression.as_str(),
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Wildcards(pattern) => pattern.matches(text),
            Self::Regex(expression) => expression.matches(text),
        }
    }

    /// What every matching text begins with, as far as that can be told.
    pub(super) fn beginning(&self) -> &[u8] {
        match self {
            Self::Wildcards(pattern) => pattern.beginning(),
            Self::Regex(expression) => expression.beginning(),
        }
    }

    /// What every matching text ends with, as far as that can be told.
    pub(super) fn ending(&self) -> &[u8] {
        match self {
            Self::Wildcards(pattern) => pattern.ending(),
            Self::Regex(expression) => expression.ending(),
        }
    }

    /// What every matching text has somewhere, as far as that can be told.
    pub(super) fn content(&self) -> &[u8] {
        match self {
            Self::Wildcards(pattern) => pattern.content(),
            Self::Regex(_) => &[],
        }
    }
}

impl Condition {
    pub fn path_pattern<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let patterns = values.into_iter().map(Pattern::case_sensitive);
        Self::PathPattern(patterns.map(Comparison::Wildcards).collect())
    }

    pub fn host_header<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let patterns = values.into_iter().map(Pattern::case_insensitive);
        Self::HostHeader(patterns.map(Comparison::Wildcards).collect())
    }

    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        let any =
            |values: &[Comparison], text: &str| values.iter().any(|value| value.matches(text));
        match self {
            Self::PathPattern(values) => any(values, &subject.path),
            Self::HostHeader(values) => any(values, subject.host),
            Self::HttpHeader { name, values } => {
                header_values(subject, name).any(|value| any(values, &value))
            }
            Self::QueryString(wanted) => {
                let query = subject.head.query().unwrap_or_default();
                parameters(query).any(|(key, value)| {
                    let fits = |wanted: &Parameter| wanted.matches(key, value);
                    wanted.iter().any(fits)
                })
            }
            Self::HttpRequestMethod(methods) => {
                let method = subject.head.method().as_str();
                methods.iter().any(|wanted| wanted == method)
            }
            Self::SourceIp(networks) => networks.iter().any(|net| net.contains(&subject.peer)),
        }
    }
}

/// The lines of that name in order, in visible ASCII. HTTP/2 may spread one Cookie over several (RFC 9113 8.2.3).
pub(super) fn header_values<'a>(
    subject: &Subject<'a>,
    name: &'a str,
) -> impl Iterator<Item = Cow<'a, str>> {
    let head = subject.head;
    let spread = head.version() == Version::HTTP_2 && Name::of(name.as_bytes()) == Name::Cookie;
    let dropped = subject.drop_invalid && !is_valid_name(name.as_bytes());
    let lines = (!dropped).then(|| head.fields().named(name));
    let mut lines = lines.into_iter().flatten();
    let joined = spread.then(|| {
        let crumbs: Vec<Cow<'_, str>> = lines.by_ref().map(visible).collect();
        (!crumbs.is_empty()).then(|| Cow::Owned(crumbs.join("; ")))
    });
    joined.flatten().into_iter().chain(lines.map(visible))
}

/// Without what is not visible ASCII, blanks apart.
fn visible(value: &[u8]) -> Cow<'_, str> {
    // To the end in any case: without a way out of it the loop is one of vector instructions.
    let all_visible = value.iter().fold(true, |all, byte| all & is_visible(*byte));
    match str::from_utf8(value) {
        Ok(text) if all_visible => Cow::Borrowed(text),
        _ => Cow::Owned(
            value
                .iter()
                .copied()
                .filter(|byte| is_visible(*byte))
                .map(char::from)
                .collect(),
        ),
    }
}

pub(super) fn is_visible(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// A request in the form that conditions compare. What only few rules ask for is looked up when one does.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    pub(super) host: &'a str,
    pub(super) path: Cow<'a, str>,
    pub(super) head: &'a RequestHead,
    pub(super) peer: IpAddr,
    drop_invalid: bool,
}

impl<'a> Subject<'a> {
    pub(super) fn new(request: &RuleInput<'a>) -> Self {
        Self {
            host: without_port(request.host),
            path: normal_path(request.head.path()),
            head: request.head,
            peer: request.peer,
            drop_invalid: request.drop_invalid,
        }
    }
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

    fn head(text: &str) -> RequestHead {
        let text = text.replace('\n', "\r\n") + "\r\n\r\n";
        let read = RequestHead::read(text.as_bytes()).expect("a valid head");
        read.expect("a whole head").0
    }

    fn holds_for(condition: &Condition, head: &RequestHead) -> bool {
        condition.holds(&Subject::new(&RuleInput {
            host: "example.com",
            head,
            peer: IpAddr::from([203, 0, 113, 7]),
            drop_invalid: false,
        }))
    }

    /// Whatever could not come over HTTP/1.1 too.
    fn holds(condition: &Condition, host: &str, path: &str) -> bool {
        condition.holds(&Subject {
            host: without_port(host),
            path: normal_path(path),
            head: &head("GET / HTTP/1.1"),
            peer: IpAddr::from([203, 0, 113, 7]),
            drop_invalid: false,
        })
    }

    fn wildcards(values: &[&str]) -> Vec<Comparison> {
        let patterns = values.iter().map(|value| Pattern::case_insensitive(value));
        patterns.map(Comparison::Wildcards).collect()
    }

    #[test]
    fn a_header_is_tried_line_by_line() {
        let condition = |name: &str, values: &[&str]| Condition::HttpHeader {
            name: name.to_owned(),
            values: wildcards(values),
        };
        let head = head(
            "GET / HTTP/1.1\nHost: a\nX-Tier: Free\nx-tier:  gold plan \nX-Empty:\nX-Odd: a\tb\u{e9}c\nCookie: a=1\nCookie: b=2",
        );
        let cases = [
            ("X-Tier", &["free"][..], true),
            ("x-tier", &["GOLD*"], true),
            ("X-Tier", &["gold"], false),
            ("X-Tier", &["silver", "gold plan"], true),
            ("X-Tier", &["free, gold plan"], false),
            ("X-Tie", &["*"], false),
            ("X-Empty", &["*"], true),
            ("X-Empty", &["?*"], false),
            ("X-None", &["*"], false),
            ("X-Odd", &["abc"], true),
            ("Cookie", &["a=1; b=2"], false),
            ("Cookie", &["b=2"], true),
        ];
        for (name, values, expected) in cases {
            let condition = condition(name, values);
            assert_eq!(holds_for(&condition, &head), expected, "{name}: {values:?}");
        }
    }

    #[test]
    fn an_http2_cookie_is_one_however_it_came() {
        let (parts, ()) = http::Request::builder()
            .version(Version::HTTP_2)
            .uri("https://example.com/")
            .header("cookie", "a=1")
            .header("x-other", "x")
            .header("cookie", "b=2")
            .body(())
            .expect("a request")
            .into_parts();
        let head = RequestHead::from_http(&parts, crate::http1::Length::Empty);
        for (values, expected) in [(["a=1; b=2"], true), (["b=2"], false), (["*b=2*"], true)] {
            let condition = Condition::HttpHeader {
                name: "Cookie".to_owned(),
                values: wildcards(&values),
            };
            assert_eq!(holds_for(&condition, &head), expected, "{values:?}");
        }
        let absent = Condition::HttpHeader {
            name: "Cookie".to_owned(),
            values: wildcards(&["*"]),
        };
        assert!(!holds_for(&absent, &self::head("GET / HTTP/1.1\nHost: a")));
    }

    #[test]
    fn any_parameter_may_match() {
        let parameter = |key: &str, value| Parameter {
            key: Pattern::with_escapes(key).filter(|_| !key.is_empty()),
            value: Pattern::with_escapes(value).expect("a pattern"),
        };
        let condition = Condition::QueryString(vec![parameter("v", "1"), parameter("", "any*")]);
        for (target, expected) in [
            ("/", false),
            ("/?", false),
            ("/?v=1", true),
            ("/?a=b&V=1&c", true),
            ("/?v=2", false),
            ("/?x=AnyThing", true),
            ("/v=1", false),
            ("/?anything", false),
        ] {
            let head = head(&format!("GET {target} HTTP/1.1\nHost: a"));
            assert_eq!(holds_for(&condition, &head), expected, "{target}");
        }
    }

    #[test]
    fn a_method_is_compared_as_it_is() {
        let condition = Condition::HttpRequestMethod(vec!["GET".to_owned(), "PURGE".to_owned()]);
        for (method, expected) in [
            ("GET", true),
            ("PURGE", true),
            ("get", false),
            ("HEAD", false),
            ("PURGEX", false),
        ] {
            let head = head(&format!("{method} / HTTP/1.1\nHost: a"));
            assert_eq!(holds_for(&condition, &head), expected, "{method}");
        }
    }

    #[test]
    fn an_address_is_the_peers() {
        let head = head("GET / HTTP/1.1\nHost: a\nX-Forwarded-For: 10.0.0.1");
        let holds = |networks: &[&str], peer: &str| {
            let networks = networks.iter().map(|net| net.parse().expect("a network"));
            Condition::SourceIp(networks.collect()).holds(&Subject::new(&RuleInput {
                host: "",
                head: &head,
                peer: peer.parse().expect("an address"),
                drop_invalid: false,
            }))
        };
        for (networks, peer, expected) in [
            (&["10.0.0.0/8"][..], "10.255.0.1", true),
            (&["10.0.0.0/8"], "11.0.0.1", false),
            (&["10.0.0.0/8"], "203.0.113.7", false),
            (&["192.0.2.1/32", "10.0.0.0/8"], "192.0.2.1", true),
            (&["0.0.0.0/0"], "203.0.113.7", true),
            (&["0.0.0.0/0"], "2001:db8::1", false),
            (&["2001:db8::/32"], "2001:db8:ffff::1", true),
            (&["2001:db8::/32"], "2001:db9::1", false),
            (&["::/0"], "10.0.0.1", false),
        ] {
            assert_eq!(holds(networks, peer), expected, "{networks:?} {peer}");
        }
    }

    #[test]
    fn a_regex_has_the_case_of_its_kind() {
        let path = Expression::case_sensitive("^/v[0-9]+$").expect("valid");
        let path = Condition::PathPattern(vec![Comparison::Regex(path)]);
        let host = Expression::case_insensitive(r"^(www|api)\.").expect("valid");
        let host = Condition::HostHeader(vec![Comparison::Regex(host)]);
        assert!(holds(&path, "", "/x/../v12") && !holds(&path, "", "/V12"));
        assert!(holds(&host, "API.example.com:8080", "/") && !holds(&host, "example.com", "/"));
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
