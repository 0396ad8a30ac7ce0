//! The target of a request line, in its four forms: `/path?query`, `http://host/path?query`, `*` for OPTIONS, and
//! `host:port` for CONNECT.
//!
//! Taken as it is sent: nothing is decoded, and no dots are resolved. Refused are what two readers could read
//! differently: a fragment (`#`), bytes outside of ASCII, controls, spaces; a backslash, except in the query, where
//! browsers send it; and what the `http` crate's `Uri` refuses too: `<` and `>`, a backquote in the path, and `"` in the
//! query. What browsers really send raw, `|`, `[`, `]`, `{`, `}`, `^` and more, goes on.

use std::ops::Range;

use http::Method;

use super::Malformed;

/// Where the parts of a target lie in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Lower case.
    pub(super) scheme: Option<&'static str>,
    pub(super) authority: Option<Range<usize>>,
    /// Empty if an absolute target has none; all of `*`.
    pub(super) path: Range<usize>,
    /// Without the question mark.
    pub(super) query: Option<Range<usize>>,
}

impl Target {
    pub(super) fn read(method: &Method, target: &[u8]) -> Result<Self, Malformed> {
        if *method == Method::CONNECT {
            return Self::authority_form(target);
        }
        match target {
            [b'/', ..] => Self::path_and_query(target, 0),
            b"*" if *method == Method::OPTIONS => Ok(Self {
                scheme: None,
                authority: None,
                path: 0..1,
                query: None,
            }),
            _ => Self::absolute_form(target),
        }
    }

    fn authority_form(target: &[u8]) -> Result<Self, Malformed> {
        let colon = target.iter().rposition(|byte| *byte == b':');
        let (host, port) = target.split_at(colon.unwrap_or(0));
        match port {
            [_, port @ ..] if !port.is_empty() && port.iter().all(u8::is_ascii_digit) => {}
            _ => return Err(Malformed::Target),
        }
        if !is_authority(host) {
            return Err(Malformed::Target);
        }
        Ok(Self {
            scheme: None,
            authority: Some(0..target.len()),
            path: target.len()..target.len(),
            query: None,
        })
    }

    fn absolute_form(target: &[u8]) -> Result<Self, Malformed> {
        let (scheme, start) = if begins(target, b"http://") {
            ("http", 7)
        } else if begins(target, b"https://") {
            ("https", 8)
        } else {
            return Err(Malformed::Target);
        };
        let rest = target.get(start..).unwrap_or_default();
        let length = rest.iter().position(|byte| matches!(byte, b'/' | b'?'));
        let end = start + length.unwrap_or(rest.len());
        if !is_authority(target.get(start..end).unwrap_or_default()) {
            return Err(Malformed::Target);
        }
        Ok(Self {
            scheme: Some(scheme),
            authority: Some(start..end),
            ..Self::path_and_query(target, end)?
        })
    }

    /// From here to the end.
    fn path_and_query(target: &[u8], start: usize) -> Result<Self, Malformed> {
        let rest = target.get(start..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|byte| !is(*byte, PATH))
            .unwrap_or(rest.len());
        let end = start + length;
        let query = match rest.get(length..) {
            None | Some([]) => None,
            Some([b'?', query @ ..]) if query.iter().all(|byte| is(*byte, QUERY)) => {
                Some(end + 1..target.len())
            }
            _ => return Err(Malformed::Target),
        };
        Ok(Self {
            scheme: None,
            authority: None,
            path: start..end,
            query,
        })
    }
}

/// Whether a path and query that came over HTTP/2 has only what one of HTTP/1.1 may have.
pub(crate) fn is_path_and_query(text: &[u8]) -> bool {
    Target::path_and_query(text, 0).is_ok()
}

fn begins(target: &[u8], prefix: &[u8]) -> bool {
    let start = target.get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Only its characters: whether it is a host is for the one who routes by it.
fn is_authority(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is(*byte, AUTHORITY))
}

const PATH: u8 = 1;
const QUERY: u8 = 2;
const AUTHORITY: u8 = 4;

fn is(byte: u8, part: u8) -> bool {
    PARTS[usize::from(byte)] & part != 0
}

/// In which parts of a target each byte may stand.
const PARTS: [u8; 256] = {
    let mut parts = [0; 256];
    let mut byte = b'!';
    while byte < 0x7f {
        parts[byte as usize] = match byte {
            b'#' | b'<' | b'>' => 0,
            b'"' => PATH,
            b'`' | b'\\' | b'?' => QUERY,
            b'{' | b'}' | b'|' | b'^' | b'/' => PATH | QUERY,
            _ => PATH | QUERY | AUTHORITY,
        };
        byte += 1;
    }
    parts
};

#[cfg(test)]
mod tests;
