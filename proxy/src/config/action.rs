//! The tables `action` and `default_action`.

use lintel_common::config_file::{Kind, Table, Value};

use super::build::Groups;
use super::listener::Front;
use super::not_supported::{self, choose};
use super::{redirect, values};
use crate::action::{Action, ContentType, FixedResponse, Forward};

#[derive(Clone, Copy)]
enum Type {
    Forward,
    Redirect,
    FixedResponse,
}

const TYPES: [(&str, Type); 3] = [
    ("forward", Type::Forward),
    ("redirect", Type::Redirect),
    ("fixed-response", Type::FixedResponse),
];
const PLANNED_TYPES: [&str; 3] = [
    "authenticate-oidc",
    "authenticate-cognito",
    "jwt-validation",
];
const LONGEST_BODY: usize = 1024;

/// `None` after what is wrong was reported.
pub(super) fn read(value: &Value<'_>, front: Front, groups: &mut Groups) -> Option<Action> {
    value
        .table(|table| {
            let action_type = table
                .required("type", "type = \"forward\"")
                .and_then(|value| choose(&value, &TYPES, &PLANNED_TYPES));
            let Some(action_type) = action_type else {
                table.leave_rest();
                return None;
            };
            match action_type {
                Type::Forward => forward(table, groups).map(Action::Forward),
                Type::Redirect => redirect::read(table, front).map(Action::Redirect),
                Type::FixedResponse => fixed_response(table).map(Action::FixedResponse),
            }
        })
        .flatten()
}

fn forward(table: &mut Table<'_>, groups: &mut Groups) -> Option<Forward> {
    if let Some(stickiness) = table.get("stickiness") {
        stickiness.table(|table| {
            not_supported::flag(table, "enabled", false);
            // Says nothing while stickiness is off.
            if let Some(duration) = table.get("duration") {
                values::whole(&duration, 1, 604_800);
            }
        });
    }
    let value = table.required("target_group", "target_group = \"app\"")?;
    if value.kind() != Kind::Array {
        return groups
            .find(&value)
            .map(|target_group| Forward { target_group });
    }
    let values = value.list()?;
    // All of them are looked at, so that each is checked and counts as used.
    let found: Vec<Option<usize>> = values
        .iter()
        .map(|value| value.table(|table| weighted_group(table, groups)).flatten())
        .collect();
    match found.as_slice() {
        [target_group] => target_group.map(|target_group| Forward { target_group }),
        [] => {
            value.error("is empty", "write the name of a target group");
            None
        }
        several => {
            value.error(
                format_args!(
                    "forwarding to {} target groups by weight is not supported yet",
                    several.len()
                ),
                "name one",
            );
            None
        }
    }
}

fn weighted_group(table: &mut Table<'_>, groups: &mut Groups) -> Option<usize> {
    if let Some(value) = table.get("weight")
        && values::whole(&value, 0, 999) == Some(0)
    {
        value.error(
            "`0` sends no request to the only target group there is",
            "write 1 to 999, or leave it out",
        );
    }
    table
        .required("name", "name = \"app\"")
        .and_then(|value| groups.find(&value))
}

fn fixed_response(table: &mut Table<'_>) -> Option<FixedResponse> {
    let content_types = ContentType::ALL.map(|content_type| (content_type.name(), content_type));
    let content_type = table
        .get("content_type")
        .and_then(|value| choose(&value, &content_types, &[]));
    let message_body = table.get("message_body").and_then(|value| {
        let text = value.string()?;
        values::is_short(&value, text, LONGEST_BODY).then_some(text)
    });
    let status_code = table.required("status_code", "status_code = \"200\"")?;
    let status_code = fixed_status(&status_code)?;
    Some(FixedResponse {
        status_code,
        content_type,
        message_body: message_body.unwrap_or_default().to_owned(),
    })
}

/// A string as on the ALB, or a number.
fn fixed_status(value: &Value<'_>) -> Option<u16> {
    let status = match value.kind() {
        Kind::Integer => value
            .integer()
            .and_then(|status| u16::try_from(status).ok()),
        _ => value.string()?.parse().ok(),
    };
    let status = status.filter(|status| matches!(status, 200..=299 | 400..=599));
    if status.is_none() {
        value.error(
            format_args!("`{}` is not a status for a fixed response", value.shown()),
            "write 2xx, 4xx or 5xx, such as \"404\"",
        );
    }
    status
}
