//! The control side of a target group: which targets are registered, from where, in what health, and which of them are
//! draining. Values and a given time in, changes out; no request comes here, and nothing here waits.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{Snapshot, Target, TargetHealthDescription};
use crate::health_check::state::{Outcome, Reason, State, TargetHealth};
use crate::model::{Discovery, HealthCheckSettings, TargetGroupSettings, TargetSettings};

/// One stay of a target in the group. A target that left and came back has a new one, so that a check which began
/// before cannot speak about the time after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Registration(u64);

/// One check to be made.
#[derive(Debug, Clone)]
pub struct Check {
    pub address: SocketAddr,
    pub settings: HealthCheckSettings,
}

#[derive(Debug)]
pub(super) struct Registry {
    settings: TargetGroupSettings,
    discovered: Vec<TargetSettings>,
    in_use: bool,
    /// In order of registration, draining ones included.
    members: Vec<Member>,
    last_registration: Registration,
    changes: watch::Sender<()>,
}

#[derive(Debug)]
struct Member {
    target: Arc<Target>,
    registration: Registration,
    health: TargetHealth,
    /// Draining until then at most.
    deregistered_at: Option<Instant>,
}

impl Member {
    fn set_health(&mut self, target_group: &str, next: TargetHealth) {
        if next.state != self.health.state {
            let (from, to) = (self.health.state.as_str(), next.state.as_str());
            let reason = next.reason.map(Reason::code);
            tracing::info!(target_group, target = %self.target.address(), from, to, reason, "target health changed");
        }
        self.health = next;
    }
}

impl Registry {
    pub(super) fn new(settings: TargetGroupSettings, changes: watch::Sender<()>) -> Self {
        let mut registry = Self {
            settings,
            discovered: Vec::new(),
            in_use: true,
            members: Vec::new(),
            last_registration: Registration(0),
            changes,
        };
        registry.reconcile(Instant::now());
        registry
    }

    pub(super) fn update(&mut self, settings: TargetGroupSettings, now: Instant) {
        self.settings = settings;
        self.reconcile(now);
    }

    /// Whether anything changed.
    pub(super) fn discovered(&mut self, targets: Vec<TargetSettings>, now: Instant) -> bool {
        let changed = targets != self.discovered;
        if changed {
            self.discovered = targets;
            self.reconcile(now);
        }
        changed
    }

    /// Whether anything changed.
    pub(super) fn set_in_use(&mut self, in_use: bool) -> bool {
        let changed = in_use != self.in_use;
        self.in_use = in_use;
        if changed {
            for at in 0..self.members.len() {
                if self.members[at].deregistered_at.is_none() {
                    self.register(at);
                }
            }
        }
        changed
    }

    pub(super) fn is_in_use(&self) -> bool {
        self.in_use
    }

    pub(super) fn discovery(&self) -> Option<(Discovery, u16)> {
        let discovery = self.settings.discovery.clone()?;
        Some((discovery, self.settings.port))
    }

    pub(super) fn registrations_after(&self, last: Option<Registration>) -> Vec<Registration> {
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

    pub(super) fn begin_check(&mut self, registration: Registration) -> Option<Check> {
        let settings = self.settings.health_check.clone();
        let member = self.checked(registration)?;
        member.health = member.health.checking();
        let target = member.target.settings();
        let address = SocketAddr::new(target.id, settings.port.unwrap_or(target.port));
        Some(Check { address, settings })
    }

    pub(super) fn check_interval(&mut self, registration: Registration) -> Option<Duration> {
        self.checked(registration)?;
        Some(self.settings.health_check.interval)
    }

    /// Whether the state changed.
    pub(super) fn record(&mut self, registration: Registration, outcome: Outcome) -> bool {
        let found = self
            .members
            .iter_mut()
            .find(|member| member.registration == registration);
        let Some(member) = found else { return false };
        let before = member.health.state;
        member.set_health(
            &self.settings.name,
            member.health.after(outcome, &self.settings.health_check),
        );
        member.health.state != before
    }

    pub(super) fn end_deregistrations(&mut self, now: Instant) -> Option<Instant> {
        let target_group = self.settings.name.as_str();
        self.members.retain(|member| {
            let Some(deadline) = member.deregistered_at else { return true };
            let in_flight = member.target.in_flight();
            if in_flight > 0 && now < deadline {
                return true;
            }
            tracing::info!(target_group, target = %member.target.address(), cut = in_flight, "target deregistered");
            if in_flight > 0 {
                // Without any, nobody is to be told; a request that has chosen it and not begun yet may still run.
                member.target.set_drained();
            }
            false
        });
        self.members
            .iter()
            .filter_map(|member| member.deregistered_at)
            .min()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let registered = self
            .members
            .iter()
            .filter(|member| member.deregistered_at.is_none());
        let (healthy, others): (Vec<_>, Vec<_>) =
            registered.partition(|member| member.health.state == State::Healthy);
        let targets = |members: Vec<&Member>| {
            members
                .into_iter()
                .map(|member| Arc::clone(&member.target))
                .collect()
        };
        let fail_open = healthy.is_empty();
        let (eligible, others) = if fail_open {
            (others, healthy)
        } else {
            (healthy, others)
        };
        Snapshot {
            eligible: targets(eligible),
            others: targets(others),
            fail_open,
            retry: self.settings.retry,
        }
    }

    pub(super) fn descriptions(&self) -> Vec<TargetHealthDescription> {
        let describe = |member: &Member| {
            let target = member.target.settings();
            TargetHealthDescription {
                id: target.id,
                port: target.port,
                availability_zone: target.availability_zone.clone(),
                state: member.health.state,
                reason: member.health.reason.map(Reason::code),
                description: member.health.reason.map(Reason::description),
                in_flight: member.target.in_flight(),
            }
        };
        self.members.iter().map(describe).collect()
    }

    /// Makes the members what the file and discovery name; where both name a target, the file's word counts.
    fn reconcile(&mut self, now: Instant) {
        let named = self.settings.targets.iter().chain(&self.discovered);
        let mut addresses = HashSet::new();
        let wanted: Vec<TargetSettings> = named
            .filter(|target| addresses.insert(target.address()))
            .cloned()
            .collect();

        for member in self
            .members
            .iter_mut()
            .filter(|member| member.deregistered_at.is_none())
        {
            if !addresses.contains(&member.target.address()) {
                member.target.set_draining(true);
                member.deregistered_at = Some(now + self.settings.deregistration_delay);
                member.set_health(&self.settings.name, TargetHealth::DRAINING);
            }
        }
        for target in wanted {
            match self
                .members
                .iter()
                .position(|member| member.target.address() == target.address())
            {
                Some(at) => self.keep(at, target),
                None => self.add(target),
            }
        }
        self.end_deregistrations(now);
    }

    fn keep(&mut self, at: usize, settings: TargetSettings) {
        let member = &mut self.members[at];
        if *member.target.settings() != settings {
            member.target = Arc::new(member.target.with_settings(settings));
        }
        if member.deregistered_at.take().is_some() {
            member.target.set_draining(false);
            self.register(at);
        }
    }

    fn add(&mut self, settings: TargetSettings) {
        tracing::info!(target_group = self.settings.name.as_str(), target = %settings.address(), "target registered");
        self.members.push(Member {
            target: Arc::new(Target::new(settings, self.changes.clone())),
            registration: self.last_registration,
            health: TargetHealth::UNUSED,
            deregistered_at: None,
        });
        self.register(self.members.len() - 1);
    }

    /// Begins a new stay of a member, with nothing known of its health.
    fn register(&mut self, at: usize) {
        self.last_registration.0 += 1;
        let member = &mut self.members[at];
        member.registration = self.last_registration;
        let health = if self.in_use {
            TargetHealth::REGISTERED
        } else {
            TargetHealth::UNUSED
        };
        member.set_health(&self.settings.name, health);
    }

    fn checked(&mut self, registration: Registration) -> Option<&mut Member> {
        let mut members = self.members.iter_mut();
        members.find(|member| member.registration == registration && member.health.is_checked())
    }
}
