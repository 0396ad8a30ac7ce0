//! Keys and values that the ALB has and Lintel does not have yet: known, and refused unless they ask for the ALB's default.

use std::fmt::Display;

use lintel_common::config_file::{Table, Value};

/// Refuses a value that is known but not built.
pub(super) fn refuse(value: &Value<'_>, right: impl Display) {
    value.error(
        format_args!("`{}` is not supported yet", value.shown()),
        right,
    );
}

/// A key whose mere presence asks for something that is not built.
pub(super) fn key(table: &mut Table<'_>, key: &'static str) {
    if let Some(value) = table.get(key) {
        refuse_key(&value, key);
    }
}

/// A flag of which only what an ALB has by default is built.
pub(super) fn flag(table: &mut Table<'_>, key: &'static str, default: bool) {
    if let Some(value) = table.get(key)
        && value.boolean().is_some_and(|asked| asked != default)
    {
        refuse(&value, format_args!("write {default}, or leave it out"));
    }
}

pub(super) fn refuse_key(value: &Value<'_>, key: &str) {
    value.error(format_args!("`{key}` is not supported yet"), "leave it out");
}

/// A word out of a list: those that are built with their meaning, the first of them the default, then those that are not.
pub(super) fn choice<T: Copy>(
    table: &mut Table<'_>,
    key: &'static str,
    built: &[(&str, T)],
    planned: &[&str],
) -> Option<T> {
    match table.get(key) {
        Some(value) => choose(&value, built, planned),
        None => built.first().map(|(_, meaning)| *meaning),
    }
}

/// The meaning of a word; `None` after it was reported.
pub(super) fn choose<T: Copy>(
    value: &Value<'_>,
    built: &[(&str, T)],
    planned: &[&str],
) -> Option<T> {
    let word = value.string()?;
    if let Some((_, meaning)) = built.iter().find(|(known, _)| *known == word) {
        return Some(*meaning);
    }
    let names: Vec<String> = built
        .iter()
        .map(|(known, _)| format!("\"{known}\""))
        .collect();
    let right = format!("write {}", names.join(" or "));
    if planned.contains(&word) {
        refuse(value, right);
    } else {
        value.error(format_args!("`{}` is not known here", value.shown()), right);
    }
    None
}
