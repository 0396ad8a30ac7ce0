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
mod tests;
