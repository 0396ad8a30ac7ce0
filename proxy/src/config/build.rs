//! The whole file: its three kinds of tables, and what can only be checked across them.

use std::collections::BTreeSet;
use std::path::Path;

use lintel_common::config_file::{Table, Value};

use super::{listener, load_balancer, quotas, target_group};
use crate::action::Action;
use crate::model::{
    ListenerProtocol, ListenerSettings, Model, ProtocolVersion, Stickiness, TargetGroupSettings,
};

pub(super) fn model(root: &mut Table<'_>, directory: &Path) -> Model {
    let load_balancer = load_balancer::read(root, directory);
    let group_tables = root.tables("target_group");
    let target_groups: Vec<TargetGroupSettings> = group_tables
        .iter()
        .filter_map(|value| {
            value.table(|table| target_group::read(table, directory, &load_balancer))
        })
        .collect();
    refuse_repeated_names(&group_tables, &target_groups);

    let mut groups = Groups::new(&target_groups, root.is_complete());
    let listener_tables = root.tables("listener");
    if listener_tables.is_empty() {
        root.missing(
            "listener",
            "add a table [[listener]] with port and default_action",
        );
    }
    let mut listeners = Vec::new();
    let mut endpoints = listener::Endpoints::new(load_balancer.admin);
    for value in &listener_tables {
        listeners.extend(
            value.table(|table| listener::read(table, directory, &mut groups, &mut endpoints)),
        );
    }
    // With an error the action that uses a group may be the one that could not be read.
    if !root.has_errors() {
        groups.warn_of_unused(&group_tables);
        for (value, listener) in listener_tables.iter().zip(&listeners) {
            warn_of_mismatch(value, listener, &target_groups);
        }
        let listeners: Vec<_> = listener_tables.iter().zip(&listeners).collect();
        let target_groups: Vec<_> = group_tables.iter().zip(&target_groups).collect();
        quotas::hold(load_balancer.quotas, &listeners, &target_groups);
    }

    Model {
        load_balancer,
        listeners,
        target_groups,
    }
}

/// HTTP/2 comes to HTTPS listeners only, and nothing else gets to targets that speak it.
fn warn_of_mismatch(
    value: &Value<'_>,
    listener: &ListenerSettings,
    target_groups: &[TargetGroupSettings],
) {
    if listener.protocol != ListenerProtocol::Http {
        return;
    }
    let forwarded = listener.rules.actions().flat_map(Action::target_groups);
    let mut mismatched: Vec<&str> = forwarded
        .filter_map(|weighted| target_groups.get(weighted.target_group))
        .filter(|group| group.protocol_version != ProtocolVersion::Http1)
        .map(|group| group.name.as_str())
        .collect();
    mismatched.sort_unstable();
    mismatched.dedup();
    for name in mismatched {
        value.warn(
            format_args!(
                "speaks HTTP/1.1 only, and every request that it forwards to `{name}` gets a 464"
            ),
            "set protocol = \"HTTPS\", or protocol_version = \"HTTP1\" in the target group",
        );
    }
}

fn refuse_repeated_names(tables: &[Value<'_>], groups: &[TargetGroupSettings]) {
    for (index, (value, group)) in tables.iter().zip(groups).enumerate() {
        let name_is_taken = || {
            groups[..index]
                .iter()
                .any(|earlier| earlier.name == group.name)
        };
        if !group.name.is_empty() && name_is_taken() {
            value.error(
                format_args!("another target group is called `{}`", group.name),
                "give each target group a name of its own",
            );
        }
    }
}

/// The target groups of the file, by name, and which of them are used.
pub(super) struct Groups {
    names: Vec<String>,
    stickiness: Vec<Option<Stickiness>>,
    used: BTreeSet<usize>,
    /// Whether these are certainly all: no name could not be read.
    complete: bool,
}

impl Groups {
    fn new(groups: &[TargetGroupSettings], file_is_complete: bool) -> Self {
        Self {
            names: groups.iter().map(|group| group.name.clone()).collect(),
            stickiness: groups
                .iter()
                .map(|group| group.stickiness.clone())
                .collect(),
            used: BTreeSet::new(),
            complete: file_is_complete && groups.iter().all(|group| !group.name.is_empty()),
        }
    }

    /// The index of the group that a value names; it counts as used from now on.
    pub(super) fn find(&mut self, value: &Value<'_>) -> Option<usize> {
        let name = value.string()?;
        let index = self.names.iter().position(|known| known == name);
        self.used.extend(index);
        if index.is_none() && self.complete {
            let right = match self.names.as_slice() {
                [] => "add a table [[target_group]]".to_owned(),
                names => format!("the target groups here are {}", names.join(", ")),
            };
            value.error(format_args!("there is no target group `{name}`"), right);
        }
        index
    }

    pub(super) fn stickiness(&self, group: usize) -> Option<&Stickiness> {
        self.stickiness.get(group)?.as_ref()
    }

    fn warn_of_unused(&self, tables: &[Value<'_>]) {
        for (index, (value, name)) in tables.iter().zip(&self.names).enumerate() {
            if !self.used.contains(&index) {
                value.warn(
                    format_args!("nothing forwards to the target group `{name}`"),
                    "use it in an action, or leave it out",
                );
            }
        }
    }
}
