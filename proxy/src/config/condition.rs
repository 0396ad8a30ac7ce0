//! The tables in `condition` of a rule.

use std::collections::BTreeMap;

use lintel_common::config_file::{Kind, Table, Value};

use super::{not_supported, values};
use crate::rule::Condition;

const LONGEST_PATTERN: usize = 128;

/// `kinds` holds the keys of the rule's earlier conditions, and where they are.
pub(super) fn read(
    table: &mut Table<'_>,
    kinds: &mut BTreeMap<&'static str, String>,
) -> Option<Condition> {
    let built = ["path_pattern", "host_header"];
    let planned = [
        "http_request_method",
        "http_header",
        "query_string",
        "source_ip",
    ];
    let [path, host] = built.map(|key| table.get(key));
    let planned = planned.map(|key| {
        table
            .get(key)
            .inspect(|value| not_supported::refuse_key(value, key))
    });
    for (key, value) in built.into_iter().zip([&path, &host]) {
        let Some(value) = value else { continue };
        if let Some(earlier) = kinds.get(key) {
            value.error(
                format_args!("{earlier} is a {key} too"),
                "put all values into one condition: any of them may match",
            );
        } else {
            kinds.insert(key, table.key().to_owned());
        }
    }
    match [&path, &host].into_iter().chain(&planned).flatten().count() {
        0 => table.error(
            "is no condition",
            "write one such as { path_pattern = [\"/api/*\"] }",
        ),
        1 => {}
        _ => table.error(
            "is several conditions in one",
            "give each a table of its own: all of them must hold",
        ),
    }
    let path = path.map(|value| path_pattern(&value));
    let host = host.map(|value| host_header(&value));
    path.or(host)
}

/// The values of a condition: a list, or `{ values = [...] }`.
fn condition_values<'r>(value: &Value<'r>) -> Vec<Value<'r>> {
    let list = if value.kind() == Kind::Table {
        value
            .table(|table| {
                not_supported::key(table, "regex_values");
                table
                    .required("values", "values = [...]")
                    .and_then(|values| values.list())
            })
            .flatten()
    } else {
        value.list()
    };
    if list.as_ref().is_some_and(Vec::is_empty) {
        value.error(
            "is empty, so it can never match",
            "write at least one value",
        );
    }
    list.unwrap_or_default()
}

fn path_pattern(value: &Value<'_>) -> Condition {
    const SPECIAL: &[u8] = b"_-.$/~\"'@:+&*?";
    let patterns: Vec<_> = condition_values(value)
        .iter()
        .filter_map(|value| {
            let pattern = pattern(
                value,
                SPECIAL,
                "letters, digits and _-.$/~\"'@:+& with the wildcards * and ?",
            )?;
            if !pattern.starts_with(['/', '*', '?']) {
                value.error(
                    format_args!("`{pattern}` can never match"),
                    "begin it with / or *, as a path begins with /",
                );
            }
            Some(pattern)
        })
        .collect();
    Condition::path_pattern(patterns)
}

fn host_header(value: &Value<'_>) -> Condition {
    let patterns: Vec<_> = condition_values(value)
        .iter()
        .filter_map(|value| {
            let pattern = pattern(value, b"-.*?", "letters, digits, - and . with the wildcards * and ?, without a port")?;
            let ends_in_letters = pattern
                .rsplit_once('.')
                .is_some_and(|(_, last)| !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_alphabetic()));
            if !ends_in_letters {
                value.warn(
                    format_args!("`{pattern}` works here but not on an ALB"),
                    "an ALB wants a dot, and only letters after the last one, such as \"*.example.com\"",
                );
            }
            Some(pattern)
        })
        .collect();
    Condition::host_header(patterns)
}

fn pattern<'r>(value: &Value<'r>, special: &[u8], right: &str) -> Option<&'r str> {
    let pattern = value.string()?;
    if !values::is_short(value, pattern, LONGEST_PATTERN) {
        return None;
    }
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || special.contains(&byte);
    if pattern.is_empty() || !pattern.bytes().all(valid) {
        value.error(
            format_args!("`{pattern}` is not a pattern"),
            format_args!("write {right}"),
        );
        return None;
    }
    Some(pattern)
}
