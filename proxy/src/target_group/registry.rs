//! The control side of a target group: which targets are registered, from where, in what health, and which of them are
//! draining. Values and a given time in, changes out; no request comes here, and nothing here waits. Below it: `checks`
//! (health), `time` (what the passing of time changes), `view` (what others see of it).

mod checks;
mod time;
mod view;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Target;
use super::anomaly::{Conduct, Standing};
use crate::health_check::state::{Reason, State, TargetHealth};
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
    /// By hand, besides those of the file and of discovery.
    registered: Vec<TargetSettings>,
    /// By hand, although the file or discovery names them: until somebody registers them again, the file's list changes,
    /// or nobody names them any more.
    deregistered: HashSet<SocketAddr>,
    in_use: bool,
    /// In order of registration, draining ones included.
    members: Vec<Member>,
    last_registration: Registration,
    /// When anomalous targets are looked for again.
    window_ends: Option<Instant>,
    changes: watch::Sender<()>,
}

#[derive(Debug)]
struct Member {
    target: Arc<Target>,
    registration: Registration,
    health: TargetHealth,
    /// Draining until then at most.
    deregistered_at: Option<Instant>,
    /// In slow start since then.
    slow_start: Option<Instant>,
    /// Nobody was there when it came: as at an ALB, a batch that fills an empty group together starts at once.
    came_first: bool,
    standing: Standing,
    /// Its counts when it was last judged.
    judged: Conduct,
}

impl Member {
    fn set_health(&mut self, target_group: &str, next: TargetHealth) {
        if next.state != self.health.state {
            let (from, to) = (self.health.state.as_str(), next.state.as_str());
            let reason = next.reason.map(Reason::code);
            tracing::info!(target_group, target = %self.target.address(), from, to, reason, "target health changed");
        }
        if next.state == State::Unhealthy {
            self.came_first = false;
        }
        if next.state != State::Healthy {
            self.slow_start = None;
            self.standing = Standing::NORMAL;
        }
        self.health = next;
    }

    fn is_registered(&self) -> bool {
        self.deregistered_at.is_none()
    }

    fn is_healthy(&self) -> bool {
        self.health.state == State::Healthy
    }

    /// Healthy, and not in slow start.
    fn is_settled(&self) -> bool {
        self.is_healthy() && self.slow_start.is_none()
    }
}

impl Registry {
    pub(super) fn new(settings: TargetGroupSettings, changes: watch::Sender<()>) -> Self {
        let mut registry = Self {
            settings,
            discovered: Vec::new(),
            registered: Vec::new(),
            deregistered: HashSet::new(),
            in_use: true,
            members: Vec::new(),
            last_registration: Registration(0),
            window_ends: None,
            changes,
        };
        registry.reconcile(Instant::now());
        registry
    }

    pub(super) fn update(&mut self, settings: TargetGroupSettings, now: Instant) {
        if settings.targets != self.settings.targets {
            let targets = settings.targets.iter();
            let named: HashSet<_> = targets.map(TargetSettings::address).collect();
            self.deregistered.retain(|address| !named.contains(address));
        }
        self.settings = settings;
        for member in &mut self.members {
            if self.settings.slow_start.is_zero() {
                member.slow_start = None;
            }
            if !self.settings.algorithm.mitigates_anomalies() {
                member.standing.weight = Standing::NORMAL.weight;
            }
        }
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

    pub(super) fn has_registered(&self, address: SocketAddr) -> bool {
        self.find(address).is_some_and(Member::is_registered)
    }

    pub(super) fn registered(&self) -> usize {
        let members = self.members.iter();
        members.filter(|member| member.is_registered()).count()
    }

    /// Whether it was not registered already.
    pub(super) fn register(&mut self, target: TargetSettings, now: Instant) -> bool {
        let address = target.address();
        let known = self.has_registered(address);
        if !known {
            self.deregistered.remove(&address);
            self.registered.retain(|other| other.address() != address);
            self.registered.push(target);
            self.reconcile(now);
        }
        !known
    }

    /// Whether anything changed, which it does not where the target is draining already; `None` = nobody knows it.
    pub(super) fn deregister(&mut self, address: SocketAddr, now: Instant) -> Option<bool> {
        let registered = self.find(address)?.is_registered();
        if registered {
            self.registered.retain(|target| target.address() != address);
            self.deregistered.insert(address);
            self.reconcile(now);
        }
        Some(registered)
    }

    /// Whether anything changed.
    pub(super) fn set_in_use(&mut self, in_use: bool) -> bool {
        let changed = in_use != self.in_use;
        self.in_use = in_use;
        if changed {
            for at in 0..self.members.len() {
                if self.members[at].is_registered() {
                    self.begin_stay(at, true);
                }
            }
        }
        changed
    }

    pub(super) fn is_in_use(&self) -> bool {
        self.in_use
    }

    pub(super) fn is_zonal(&self) -> bool {
        self.settings.only_zone.is_some()
    }

    pub(super) fn discovery(&self) -> Option<(Discovery, u16)> {
        let discovery = self.settings.discovery.clone()?;
        Some((discovery, self.settings.port))
    }

    fn find(&self, address: SocketAddr) -> Option<&Member> {
        let mut members = self.members.iter();
        members.find(|member| member.target.address() == address)
    }

    /// Makes the members what the file, discovery and hands have named; where several name a target, the first word
    /// counts.
    fn reconcile(&mut self, now: Instant) {
        let named = self.settings.targets.iter().chain(&self.discovered);
        let named: HashSet<_> = named.map(TargetSettings::address).collect();
        self.deregistered.retain(|address| named.contains(address));

        let named = self.settings.targets.iter().chain(&self.discovered);
        let named = named.filter(|target| !self.deregistered.contains(&target.address()));
        let mut addresses = HashSet::new();
        let wanted: Vec<TargetSettings> = named
            .chain(&self.registered)
            .filter(|target| addresses.insert(target.address()))
            .cloned()
            .collect();

        for member in self
            .members
            .iter_mut()
            .filter(|member| member.is_registered())
        {
            if !addresses.contains(&member.target.address()) {
                member.target.set_draining(true);
                member.deregistered_at = Some(now + self.settings.deregistration_delay);
                member.set_health(&self.settings.name, TargetHealth::DRAINING);
            }
        }
        let was_empty = !self.members.iter().any(Member::is_registered);
        for target in wanted {
            match self
                .members
                .iter()
                .position(|member| member.target.address() == target.address())
            {
                Some(at) => self.keep(at, target, was_empty),
                None => self.add(target, was_empty),
            }
        }
        self.end_deregistrations(now);
    }

    fn keep(&mut self, at: usize, settings: TargetSettings, came_first: bool) {
        let member = &mut self.members[at];
        if *member.target.settings() != settings {
            member.target = Arc::new(member.target.with_settings(settings));
        }
        if member.deregistered_at.take().is_some() {
            member.target.set_draining(false);
            self.begin_stay(at, came_first);
        }
    }

    fn add(&mut self, settings: TargetSettings, came_first: bool) {
        tracing::info!(target_group = self.settings.name.as_str(), target = %settings.address(), "target registered");
        self.members.push(Member {
            target: Arc::new(Target::new(settings, self.changes.clone())),
            registration: self.last_registration,
            health: TargetHealth::UNUSED,
            deregistered_at: None,
            slow_start: None,
            came_first,
            standing: Standing::NORMAL,
            judged: Conduct::default(),
        });
        self.begin_stay(self.members.len() - 1, came_first);
    }

    /// Begins a new stay of a member, with nothing known of its health.
    fn begin_stay(&mut self, at: usize, came_first: bool) {
        self.last_registration.0 += 1;
        let member = &mut self.members[at];
        member.registration = self.last_registration;
        member.came_first = came_first;
        let health = if self.in_use {
            TargetHealth::REGISTERED
        } else {
            TargetHealth::UNUSED
        };
        member.set_health(&self.settings.name, health);
    }
}
