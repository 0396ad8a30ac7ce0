//! An ALB's quotas, held to: what goes beyond one is an error, with the name of the one that an ALB answers with. The table
//! `load_balancer.quotas` raises them, as one asks AWS to.

use std::collections::BTreeSet;

use lintel_common::config_file::{Table, Value};

use super::values;
use crate::action::Action;
use crate::model::{ListenerProtocol, ListenerSettings, Quotas, TargetGroupSettings};

/// Whoever wants more than that has mistyped.
const MOST: u32 = 1_000_000;

impl Default for Quotas {
    /// An ALB's.
    fn default() -> Self {
        Self {
            listeners: 50,
            rules: 100,
            certificates: 25,
            target_groups: 100,
            targets: 1000,
            targets_in_group: 1000,
        }
    }
}

/// One of them.
struct Quota {
    /// As DescribeAccountLimits spells it, but for the hyphens.
    key: &'static str,
    what: &'static str,
    error: &'static str,
    of: fn(&mut Quotas) -> &mut usize,
}

const LISTENERS: Quota = Quota {
    key: "listeners_per_application_load_balancer",
    what: "listeners",
    error: "TooManyListeners",
    of: |quotas| &mut quotas.listeners,
};
const RULES: Quota = Quota {
    key: "rules_per_application_load_balancer",
    what: "rules",
    error: "TooManyRules",
    of: |quotas| &mut quotas.rules,
};
const CERTIFICATES: Quota = Quota {
    key: "certificates_per_application_load_balancer",
    what: "additional certificates",
    error: "TooManyCertificates",
    of: |quotas| &mut quotas.certificates,
};
const TARGET_GROUPS: Quota = Quota {
    key: "target_groups_per_application_load_balancer",
    what: "target groups",
    error: "TooManyUniqueTargetGroupsPerLoadBalancer",
    of: |quotas| &mut quotas.target_groups,
};
const TARGETS: Quota = Quota {
    key: "targets_per_application_load_balancer",
    what: "targets",
    error: "TooManyTargets",
    of: |quotas| &mut quotas.targets,
};
const TARGETS_IN_GROUP: Quota = Quota {
    key: "targets_per_target_group",
    what: "targets in one group",
    error: "TooManyTargets",
    of: |quotas| &mut quotas.targets_in_group,
};

/// Reads the table `quotas`; it may be left out.
pub(super) fn read(load_balancer: &mut Table<'_>) -> Quotas {
    let mut quotas = Quotas::default();
    if let Some(value) = load_balancer.get("quotas") {
        value.table(|table| raise(&mut quotas, table));
    }
    quotas
}

fn raise(quotas: &mut Quotas, table: &mut Table<'_>) {
    for quota in [
        LISTENERS,
        RULES,
        CERTIFICATES,
        TARGET_GROUPS,
        TARGETS,
        TARGETS_IN_GROUP,
    ] {
        let value = table.get(quota.key);
        if let Some(most) = value.and_then(|value| values::whole(&value, 1, MOST)) {
            *(quota.of)(quotas) = most as usize;
        }
    }
}

impl Quota {
    /// What is counted may be spread over several tables; the first one that is too much is told.
    fn hold<'v, 'r: 'v>(
        &self,
        mut quotas: Quotas,
        counts: impl IntoIterator<Item = (&'v Value<'r>, usize)>,
    ) {
        let most = *(self.of)(&mut quotas);
        let (mut total, mut beyond) = (0, None);
        for (place, count) in counts {
            total += count;
            if total > most {
                beyond.get_or_insert(place);
            }
        }
        if let Some(place) = beyond {
            let Self {
                key, what, error, ..
            } = self;
            place.error(
                format_args!("makes it {total} {what} where the quota is {most} ({error})"),
                format_args!("leave some out, or raise load_balancer.quotas.{key}"),
            );
        }
    }
}

/// Each table with what became of it, in the order of the file.
pub(super) fn hold(
    quotas: Quotas,
    listeners: &[(&Value<'_>, &ListenerSettings)],
    groups: &[(&Value<'_>, &TargetGroupSettings)],
) {
    let in_listeners = |count: &dyn Fn(&ListenerSettings) -> usize| {
        let counted = listeners.iter().map(|(place, it)| (*place, count(it)));
        counted.collect::<Vec<_>>()
    };
    LISTENERS.hold(quotas, in_listeners(&|_| 1));
    RULES.hold(quotas, in_listeners(&|it| it.rules.rules().len()));
    CERTIFICATES.hold(quotas, in_listeners(&additional_certificates));
    let mut used = BTreeSet::new();
    let new = listeners.iter().map(|(place, listener)| {
        let before = used.len();
        let forwarded = listener.rules.actions().flat_map(Action::target_groups);
        used.extend(forwarded.map(|weighted| weighted.target_group));
        (*place, used.len() - before)
    });
    TARGET_GROUPS.hold(quotas, new);
    let targets = groups
        .iter()
        .map(|(place, group)| (*place, group.targets.len()));
    let of_used = targets.clone().enumerate();
    let of_used = of_used.filter(|(group, _)| used.contains(group));
    TARGETS.hold(quotas, of_used.map(|(_, targets)| targets));
    for one in targets {
        TARGETS_IN_GROUP.hold(quotas, [one]);
    }
}

fn additional_certificates(listener: &ListenerSettings) -> usize {
    match &listener.protocol {
        ListenerProtocol::Http => 0,
        ListenerProtocol::Https(tls) => tls.additional_certificates.len(),
    }
}
