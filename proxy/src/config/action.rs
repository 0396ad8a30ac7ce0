//! The tables `action` and `default_action`.

use std::time::Duration;

use lintel_common::config_file::{Kind, Table, Value};

use super::build::Groups;
use super::listener::Front;
use super::not_supported::choose;
use super::redirect;
use super::values::{self, Seconds};
use crate::action::{Action, ContentType, FixedResponse, Forward, Weighted};
use crate::gateway_error;
use crate::model::Stickiness;

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
const MOST_GROUPS: usize = 5;
const HEAVIEST: u32 = 999;
/// Seven days, in seconds.
const LONGEST_STICKINESS: u32 = 604_800;

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
    let stickiness = table
        .get("stickiness")
        .and_then(|value| value.table(stickiness).flatten());
    let value = table.required("target_group", "target_group = \"app\"")?;
    let target_groups = match value.kind() {
        Kind::Array => weighted_groups(&value, groups)?,
        _ => Forward::to(groups.find(&value)?).target_groups,
    };
    if target_groups.len() > 1 {
        check_sessions(&value, &target_groups, stickiness.is_some(), groups);
    }
    Some(Forward {
        target_groups,
        stickiness,
    })
}

/// A session with a target needs its group again.
fn check_sessions(value: &Value<'_>, several: &[Weighted], group_sticky: bool, groups: &Groups) {
    let sessions = several
        .iter()
        .filter_map(|group| groups.stickiness(group.target_group));
    for session in sessions {
        if matches!(session, Stickiness::AppCookie { .. }) {
            value.error(
                "names a target group with app_cookie stickiness, which works where there is one group only",
                "use lb_cookie there, or name one target group",
            );
        } else if !group_sticky {
            value.error(
                "names a target group with stickiness, whose clients must come back to the group",
                "add stickiness = { enabled = true, duration = 3600 } to the action",
            );
        }
    }
}

/// How long a client stays with a group.
fn stickiness(table: &mut Table<'_>) -> Option<Duration> {
    let enabled = table
        .get("enabled")
        .and_then(|value| value.boolean())
        .unwrap_or_default();
    let duration = match table.get("duration") {
        // Says nothing while stickiness is off, but what is there must be right.
        None if enabled => table.required("duration", "duration = 3600"),
        duration => duration,
    };
    let range = Seconds::of_alb(1, LONGEST_STICKINESS);
    let duration = duration.and_then(|value| range.read(&value));
    duration.filter(|_| enabled)
}

/// All of them are looked at, so that each is checked and counts as used.
fn weighted_groups(value: &Value<'_>, groups: &mut Groups) -> Option<Vec<Weighted>> {
    let tables = value.list()?;
    if tables.is_empty() {
        value.error("is empty", "write the name of a target group");
        return None;
    }
    if tables.len() > MOST_GROUPS {
        value.error(
            format_args!("names {} target groups (TooManyTargetGroups)", tables.len()),
            format_args!("name at most {MOST_GROUPS}"),
        );
    }
    let mut weighted: Vec<Weighted> = Vec::with_capacity(tables.len());
    for table in &tables {
        let read = table.table(|table| weighted_group(table, groups)).flatten();
        let Some(group) = read else { continue };
        let named = |earlier: &Weighted| earlier.target_group == group.target_group;
        if weighted.iter().any(named) {
            table.error("names a target group again", "give each one weight");
        }
        weighted.push(group);
    }
    if weighted.len() == tables.len() && weighted.iter().all(|group| group.weight == 0) {
        value.warn(
            "gives every target group the weight 0, so that every request gets a 503",
            "give one of them a weight of 1 to 999",
        );
    }
    Some(weighted)
}

fn weighted_group(table: &mut Table<'_>, groups: &mut Groups) -> Option<Weighted> {
    let weight = match table.get("weight") {
        Some(value) => values::whole(&value, 0, HEAVIEST),
        None => Some(1),
    };
    let target_group = table
        .required("name", "name = \"app\"")
        .and_then(|value| groups.find(&value));
    Some(Weighted {
        target_group: target_group?,
        weight: weight?,
    })
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
    if let Some(value) = table.get("message_body")
        && message_body.is_some_and(|text| !text.is_empty())
        && !gateway_error::may_have_content(status_code)
    {
        value.warn(
            format_args!("is never sent: a response with the status {status_code} has no body"),
            "leave it out, or write another status_code",
        );
    }
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
