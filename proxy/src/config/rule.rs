//! The tables `[[listener.rule]]`.

use std::collections::BTreeMap;

use lintel_common::config_file::{Table, Value};

use super::build::Groups;
use super::listener::Front;
use super::{action, condition, listener, transform, values};
use crate::action::Action;
use crate::rule::{Comparison, Condition, Pattern, Rule};

const HIGHEST_PRIORITY: u32 = 50_000;
/// What an ALB allows in one rule; more works here.
const ALB_VALUES: usize = 5;
const ALB_WILDCARDS: usize = 6;

/// In the order of the file.
pub(super) fn read_all(table: &mut Table<'_>, front: Front, groups: &mut Groups) -> Vec<Rule> {
    let mut priorities = BTreeMap::new();
    let mut rules = Vec::new();
    for value in table.tables("rule") {
        let rule = value.table(|table| read(table, front, groups, &mut priorities));
        rules.extend(rule.map(|rule| (value, rule)));
    }
    // What could not be read would be taken for something else.
    if !table.has_errors() {
        warn_of_covered(&rules);
    }
    rules.into_iter().map(|(_, rule)| rule).collect()
}

/// A rule that an earlier one leaves nothing to.
fn warn_of_covered(rules: &[(Value<'_>, Rule)]) {
    let mut by_priority: Vec<&(Value<'_>, Rule)> = rules.iter().collect();
    by_priority.sort_by_key(|(_, rule)| rule.priority);
    for (at, (value, rule)) in by_priority.iter().enumerate() {
        let mut earlier = by_priority[..at].iter();
        if let Some((covering, first)) = earlier.find(|(_, earlier)| earlier.covers(rule)) {
            value.warn(
                format_args!(
                    "is never used: {} takes all that it would, with the priority {}",
                    covering.key(),
                    first.priority
                ),
                format_args!(
                    "give it a priority below {}, or leave it out",
                    first.priority
                ),
            );
        }
    }
}

fn read(
    table: &mut Table<'_>,
    front: Front,
    groups: &mut Groups,
    priorities: &mut BTreeMap<u32, String>,
) -> Rule {
    let priority = table
        .required("priority", "priority = 10")
        .and_then(|value| {
            let priority = values::whole(&value, 1, HIGHEST_PRIORITY)?;
            if let Some(earlier) = priorities.get(&priority) {
                value.error(
                    format_args!("{earlier} has the priority {priority} already"),
                    "give each rule of a listener one of its own",
                );
            } else {
                priorities.insert(priority, table.key().to_owned());
            }
            Some(priority)
        });
    let transform = table.get("transform");
    let transforms = transform.as_ref().and_then(transform::read_all);
    let conditions = conditions(table);
    let action = table
        .required(
            "action",
            "action = { type = \"forward\", target_group = \"app\" }",
        )
        .and_then(|value| action::read(&value, front, groups));
    if let (Some(value), Some(_), Some(action)) = (transform, &transforms, &action)
        && !matches!(action, Action::Forward(_))
    {
        value.warn(
            "changes nothing, as the action sends nothing to a target",
            "leave it out, or forward",
        );
    }
    Rule {
        priority: priority.unwrap_or(HIGHEST_PRIORITY),
        conditions,
        transforms,
        action: action.unwrap_or_else(listener::placeholder),
    }
}

fn conditions(table: &mut Table<'_>) -> Vec<Condition> {
    const EXAMPLE: &str = "condition = [{ path_pattern = [\"/api/*\"] }]";
    let Some(value) = table.required("condition", EXAMPLE) else {
        return Vec::new();
    };
    let values = value.list().unwrap_or_default();
    if values.is_empty() {
        value.error(
            "holds no condition",
            format_args!("write {EXAMPLE}; what is for every request belongs in default_action"),
        );
    }
    let mut kinds = BTreeMap::new();
    let conditions: Vec<Condition> = values
        .iter()
        .filter_map(|value| {
            value
                .table(|table| condition::read(table, &mut kinds))
                .flatten()
        })
        .collect();
    warn_of_quotas(&value, &conditions);
    conditions
}

fn warn_of_quotas(value: &Value<'_>, conditions: &[Condition]) {
    let counts = conditions.iter().map(values_and_wildcards);
    let (values, wildcards) = counts.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    if values > ALB_VALUES {
        value.warn(
            format_args!("has {values} values, which works here but not on an ALB"),
            format_args!("an ALB takes at most {ALB_VALUES} in a rule"),
        );
    }
    if wildcards > ALB_WILDCARDS {
        value.warn(
            format_args!("has {wildcards} wildcards, which works here but not on an ALB"),
            format_args!("an ALB takes at most {ALB_WILDCARDS} in a rule"),
        );
    }
}

fn values_and_wildcards(condition: &Condition) -> (usize, usize) {
    match condition {
        Condition::PathPattern(values)
        | Condition::HostHeader(values)
        | Condition::HttpHeader { values, .. } => {
            let wildcards = values.iter().map(|value| match value {
                Comparison::Wildcards(pattern) => pattern.wildcards(),
                Comparison::Regex(_) => 0,
            });
            (values.len(), wildcards.sum())
        }
        Condition::QueryString(parameters) => {
            let wildcards = parameters.iter().map(|parameter| {
                let key = parameter.key.as_ref().map_or(0, Pattern::wildcards);
                key + parameter.value.wildcards()
            });
            (parameters.len(), wildcards.sum())
        }
        Condition::HttpRequestMethod(methods) => (methods.len(), 0),
        Condition::SourceIp(networks) => (networks.len(), 0),
    }
}
