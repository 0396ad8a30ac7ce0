//! Which targets are to be checked, and what becomes of a check's result.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::{Check, Member, Registration, Registry};
use crate::health_check::state::Outcome;

impl Registry {
    pub(in super::super) fn registrations_after(
        &self,
        last: Option<Registration>,
    ) -> Vec<Registration> {
        let checked = self
            .members
            .iter()
            .filter(|member| member.health.is_checked());
        let mut newer: Vec<_> = checked
            .map(|member| member.registration)
            .filter(|new| last < Some(*new))
            .collect();
        newer.sort_unstable();
        newer
    }

    pub(in super::super) fn begin_check(&mut self, registration: Registration) -> Option<Check> {
        let settings = self.settings.health_check.clone();
        let member = self.checked(registration)?;
        member.health = member.health.checking();
        let target = member.target.settings();
        let address = SocketAddr::new(target.id, settings.port.unwrap_or(target.port));
        Some(Check { address, settings })
    }

    pub(in super::super) fn check_interval(
        &mut self,
        registration: Registration,
    ) -> Option<Duration> {
        self.checked(registration)?;
        Some(self.settings.health_check.interval)
    }

    /// Whether the state changed.
    pub(in super::super) fn record(
        &mut self,
        registration: Registration,
        outcome: Outcome,
        now: Instant,
    ) -> bool {
        let mut members = self.members.iter();
        let Some(at) = members.position(|member| member.registration == registration) else {
            return false;
        };
        // By itself it would get everything at once anyway.
        let slow_start =
            !self.settings.slow_start.is_zero() && self.members.iter().any(Member::is_settled);
        let member = &mut self.members[at];
        let before = member.health.state;
        let next = member.health.after(outcome, &self.settings.health_check);
        member.set_health(&self.settings.name, next);
        let changed = member.health.state != before;
        if changed && member.is_healthy() && slow_start && !member.came_first {
            member.slow_start = Some(now);
        }
        changed
    }

    fn checked(&mut self, registration: Registration) -> Option<&mut Member> {
        let mut members = self.members.iter_mut();
        members.find(|member| member.registration == registration && member.health.is_checked())
    }
}
