//! An ALB's quotas for a whole load balancer. More works here, so going beyond one is a warning with the name of the error
//! that an ALB would answer with.

use std::collections::BTreeSet;

use lintel_common::config_file::Value;

use crate::action::Action;
use crate::model::{ListenerProtocol, ListenerSettings, TargetGroupSettings};

const LISTENERS: usize = 50;
const RULES: usize = 100;
const CERTIFICATES: usize = 25;
const TARGET_GROUPS: usize = 100;
const TARGETS: usize = 1000;

/// Each table with what became of it, in the order of the file.
pub(super) fn warn(
    listeners: &[(&Value<'_>, &ListenerSettings)],
    groups: &[(&Value<'_>, &TargetGroupSettings)],
) {
    let mut used = BTreeSet::new();
    let mut counts = [
        Count::new("listeners", LISTENERS, "TooManyListeners"),
        Count::new("rules", RULES, "TooManyRules"),
        Count::new(
            "additional certificates",
            CERTIFICATES,
            "TooManyCertificates",
        ),
        Count::new(
            "target groups",
            TARGET_GROUPS,
            "TooManyUniqueTargetGroupsPerLoadBalancer",
        ),
    ];
    for (value, listener) in listeners {
        let certificates = match &listener.protocol {
            ListenerProtocol::Http => 0,
            ListenerProtocol::Https(tls) => tls.additional_certificates.len(),
        };
        let forwarded = listener.rules.actions().flat_map(Action::target_groups);
        let before = used.len();
        used.extend(forwarded.map(|weighted| weighted.target_group));
        let more = [
            1,
            listener.rules.rules().len(),
            certificates,
            used.len() - before,
        ];
        for (count, more) in counts.iter_mut().zip(more) {
            count.add(more, value);
        }
    }
    let mut targets = Count::new("targets", TARGETS, "TooManyTargets");
    for (value, group) in groups {
        targets.add(group.targets.len(), value);
    }
}

struct Count {
    what: &'static str,
    most: usize,
    error: &'static str,
    so_far: usize,
}

impl Count {
    fn new(what: &'static str, most: usize, error: &'static str) -> Self {
        Self {
            what,
            most,
            error,
            so_far: 0,
        }
    }

    /// Says so at the table that goes beyond the quota.
    fn add(&mut self, more: usize, place: &Value<'_>) {
        let before = self.so_far;
        self.so_far += more;
        if before <= self.most && self.so_far > self.most {
            let (count, what, error) = (self.so_far, self.what, self.error);
            place.warn(
                format_args!(
                    "makes it {count} {what}, which works here but not on an ALB ({error})"
                ),
                format_args!("an ALB takes {} in a load balancer", self.most),
            );
        }
    }
}
