//! The texts that conditions compare with: which characters an ALB takes in each kind, and how many of them.

use lintel_common::config_file::Value;

use crate::config::values;
use crate::rule::{Comparison, Expression, ExpressionError, Pattern};

const LONGEST: usize = 128;

pub(super) struct Kind {
    allowed: fn(u8) -> bool,
    right: &'static str,
    pattern: fn(&str) -> Pattern,
    regex: fn(&str) -> Result<Expression, ExpressionError>,
    /// What else there is to say of a text that is a pattern.
    remark: fn(&Value<'_>, &str),
}

pub(super) const PATH: Kind = Kind {
    allowed: |byte| byte.is_ascii_alphanumeric() || b"_-.$/~\"'@:+&*?".contains(&byte),
    right: "letters, digits and _-.$/~\"'@:+& with the wildcards * and ?",
    pattern: Pattern::case_sensitive,
    regex: Expression::case_sensitive,
    remark: |value, text| {
        if !text.starts_with(['/', '*', '?']) {
            value.error(
                format_args!("`{text}` can never match"),
                "begin it with / or *, as a path begins with /",
            );
        }
    },
};

pub(super) const HOST: Kind = Kind {
    allowed: |byte| byte.is_ascii_alphanumeric() || b"-.*?".contains(&byte),
    right: "letters, digits, - and . with the wildcards * and ?, without a port",
    pattern: Pattern::case_insensitive,
    regex: Expression::case_insensitive,
    remark: |value, text| {
        let ends_in_letters = text.rsplit_once('.').is_some_and(|(_, last)| {
            !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_alphabetic())
        });
        if !ends_in_letters {
            value.warn(
                format_args!("`{text}` works here but not on an ALB"),
                "an ALB wants a dot, and only letters after the last one, such as \"*.example.com\"",
            );
        }
    },
};

pub(super) const HEADER: Kind = Kind {
    allowed: is_visible,
    right: "visible ASCII with the wildcards * and ?",
    pattern: Pattern::case_insensitive,
    regex: Expression::case_insensitive,
    remark: |value, text| {
        if text.trim_matches(' ') != text {
            value.error(
                format_args!("`{text}` can never match"),
                "leave out the blanks around it, as they are no part of a header's value",
            );
        }
    },
};

/// All that conditions look at in a request.
fn is_visible(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

pub(super) fn pattern(value: &Value<'_>, kind: &Kind) -> Option<Comparison> {
    let text = value.string()?;
    if !values::is_short(value, text, LONGEST) {
        return None;
    }
    if text.is_empty() || !text.bytes().all(kind.allowed) {
        value.error(
            format_args!("`{text}` is not a pattern"),
            format_args!("write {}", kind.right),
        );
        return None;
    }
    (kind.remark)(value, text);
    Some(Comparison::Wildcards((kind.pattern)(text)))
}

pub(super) fn regex(value: &Value<'_>, kind: &Kind) -> Option<Comparison> {
    let text = value.string()?;
    if !values::is_short(value, text, LONGEST) {
        return None;
    }
    match (kind.regex)(text) {
        Ok(expression) => Some(Comparison::Regex(expression)),
        Err(error) => {
            values::refuse_regex(value, &error);
            None
        }
    }
}

/// A key or value of a query's parameter.
pub(super) fn escaped(value: &Value<'_>) -> Option<Pattern> {
    let text = value.string()?;
    if !values::is_short(value, text, LONGEST) {
        return None;
    }
    if !text.bytes().all(is_visible) {
        value.error(
            format_args!("`{text}` is not a pattern"),
            "write visible ASCII with the wildcards * and ?, percent-encoded as in a query",
        );
        return None;
    }
    let pattern = Pattern::with_escapes(text);
    if pattern.is_none() {
        value.error(
            format_args!("`{text}` has a backslash that escapes nothing"),
            r"write \\ for a backslash, \* and \? for characters that are no wildcards",
        );
    }
    pattern
}
