//! A target group: who may take the next request, and who takes it. Every worker shares it; choosing costs one snapshot
//! load and one atomic increment. What changes the snapshot (registration, health, draining, slow start, weights) is in
//! `registry`, on the control side, behind a lock that requests never touch. Checks are sent by `health_check`, names looked up by
//! `discovery`; this knows neither.

pub mod algorithm;
mod anomaly;
mod registry;
mod slow_start;
mod snapshot;
pub mod target;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use lintel_common::tls::TargetTls;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::health_check::state::{Outcome, State};
use crate::model::{Discovery, Retry, TargetGroupSettings, TargetSettings};

pub use registry::{Check, Registration};
pub use snapshot::{Choice, NoTarget};
pub use target::{InFlight, Target};

use registry::Registry;
use snapshot::Snapshot;

#[derive(Debug)]
pub struct TargetGroup {
    name: String,
    snapshot: ArcSwap<Snapshot>,
    cursor: Cursor,
    /// Held shortly and never over an await.
    registry: Mutex<Registry>,
    /// Told after every change of targets, health or settings.
    changes: watch::Sender<()>,
    tls: ArcSwapOption<TargetTls>,
}

/// Whose turn it is. On a cache line of its own: every request writes it, and what lies beside it every request reads.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Cursor(AtomicUsize);

/// One target as `/target-health` shows it, fields in that order; whether it is anomalous only if asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetHealthDescription {
    pub id: IpAddr,
    pub port: u16,
    pub availability_zone: Option<String>,
    pub state: State,
    pub reason: Option<&'static str>,
    pub description: Option<Cow<'static, str>>,
    pub in_flight: usize,
    #[serde(skip)]
    pub anomaly_detection: AnomalyDetection,
}

/// In the words of DescribeTargetHealth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AnomalyDetection {
    /// `normal` or `anomalous`
    pub result: &'static str,
    /// `yes` or `no`
    pub mitigation_in_effect: &'static str,
}

impl TargetGroup {
    pub fn new(settings: TargetGroupSettings) -> Arc<Self> {
        let changes = watch::Sender::new(());
        let name = settings.name.clone();
        let registry = Registry::new(settings, changes.clone());
        Arc::new(Self {
            name,
            snapshot: ArcSwap::from_pointee(registry.snapshot()),
            cursor: Cursor::default(),
            registry: Mutex::new(registry),
            changes,
            tls: ArcSwapOption::empty(),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn retry(&self) -> Retry {
        self.snapshot.load().retry
    }

    /// The target for a request that `tried` have already failed. Call [`Target::begin`] at once.
    pub fn choose(&self, tried: &[Arc<Target>]) -> Result<Choice, NoTarget> {
        let snapshot = self.snapshot.load();
        let turn = self.cursor.0.fetch_add(1, Ordering::Relaxed);
        snapshot.choose(turn, tried)
    }

    /// The target at that address, if it may take requests: where a client sticks. Call [`Target::begin`] at once.
    pub fn eligible(&self, address: SocketAddr) -> Option<Choice> {
        self.snapshot.load().eligible(address)
    }

    /// How targets are spoken to where TLS is asked for, by the group's protocol or by its health checks.
    pub fn tls(&self) -> Option<Arc<TargetTls>> {
        self.tls.load_full()
    }

    /// To be called before requests or checks need it.
    pub fn set_tls(&self, tls: Arc<TargetTls>) {
        self.tls.store(Some(tls));
    }

    pub fn has_healthy_target(&self) -> bool {
        self.snapshot.load().has_healthy
    }

    /// Too few targets are healthy: requests go to all registered ones.
    pub fn is_fail_open(&self) -> bool {
        self.snapshot.load().fail_open
    }

    pub fn target_health(&self) -> Vec<TargetHealthDescription> {
        self.registry().descriptions()
    }

    /// New settings from the configuration file. Targets that stay keep their health and counts.
    pub fn update(&self, settings: TargetGroupSettings) {
        self.change(|registry| {
            registry.update(settings, Instant::now());
            true
        });
    }

    /// The targets that discovery knows now, besides those of the file. Those gone from both start draining.
    pub fn discovered(&self, targets: Vec<TargetSettings>) {
        self.change(|registry| registry.discovered(targets, Instant::now()));
    }

    /// Registers a target by hand, besides those of the file and of discovery. Whether it was not registered already.
    pub fn register(&self, target: TargetSettings) -> bool {
        self.change(|registry| registry.register(target, Instant::now()))
    }

    /// Deregisters a target, wherever it came from: it starts draining. Whether there is such a one.
    pub fn deregister(&self, address: SocketAddr) -> bool {
        let mut known = false;
        self.change(|registry| {
            let changed = registry.deregister(address, Instant::now());
            known = changed.is_some();
            changed.unwrap_or_default()
        });
        known
    }

    /// A rule or default action forwards to it.
    pub fn is_in_use(&self) -> bool {
        self.registry().is_in_use()
    }

    pub fn has_registered(&self, address: SocketAddr) -> bool {
        self.registry().has_registered(address)
    }

    /// How many targets, those that drain not counted.
    pub fn registered(&self) -> usize {
        self.registry().registered()
    }

    /// Only targets of one zone get requests, so that one without a zone would get none.
    pub fn is_zonal(&self) -> bool {
        self.registry().is_zonal()
    }

    /// Whether a rule or default action forwards to this group. If not, its targets are `unused` and not checked. A new
    /// group is taken to be in use.
    pub fn set_in_use(&self, in_use: bool) {
        self.change(|registry| registry.set_in_use(in_use));
    }

    /// Wakes after every change.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Where targets come from besides the file, and the port of those that name none.
    pub(crate) fn discovery(&self) -> Option<(Discovery, u16)> {
        self.registry().discovery()
    }

    /// The registrations that are to be checked and are newer than `last`, oldest first.
    pub(crate) fn registrations_after(&self, last: Option<Registration>) -> Vec<Registration> {
        self.registry().registrations_after(last)
    }

    /// What to check and how; `None` once this registration is over.
    pub(crate) fn begin_check(&self, registration: Registration) -> Option<Check> {
        self.registry().begin_check(registration)
    }

    /// Time from one check to the next; `None` once this registration is over.
    pub(crate) fn check_interval(&self, registration: Registration) -> Option<Duration> {
        self.registry().check_interval(registration)
    }

    /// The result of a check. Ignored if the registration has ended meanwhile.
    pub(crate) fn record(&self, registration: Registration, outcome: Outcome) {
        self.change(|registry| registry.record(registration, outcome, Instant::now()));
    }

    /// Does what time has made due: lets go of draining targets whose last request has ended or whose delay is over, ends
    /// slow starts, looks for anomalous targets. Returns when something will be due again.
    pub(crate) fn advance(&self, now: Instant) -> Option<Instant> {
        let mut next = None;
        self.change(|registry| {
            let changed = registry.advance(now);
            next = registry.next_due();
            changed
        });
        next
    }

    /// Changes the registry and, if that says that it did, what requests see; in one lock, so that snapshots are published in
    /// the order of their changes.
    fn change(&self, change: impl FnOnce(&mut Registry) -> bool) -> bool {
        let mut registry = self.registry();
        if !change(&mut registry) {
            return false;
        }
        let next = registry.snapshot();
        if registry.is_in_use() {
            self.tell_fail_open(&next);
        }
        self.snapshot.store(Arc::new(next));
        self.changes.send_replace(());
        true
    }

    /// Says so once when too few targets are healthy, and once when enough are again.
    fn tell_fail_open(&self, next: &Snapshot) {
        let target_group = self.name.as_str();
        match (self.snapshot.load().fail_open, next.fail_open) {
            (false, true) if next.eligible.is_empty() => {
                tracing::warn!(
                    target_group,
                    "no target is left: requests are answered with 503"
                );
            }
            (false, true) => {
                tracing::warn!(
                    target_group,
                    "too few targets are healthy: requests go to all registered ones"
                );
            }
            (true, false) => tracing::info!(target_group, "requests go to healthy targets"),
            (true, true) | (false, false) => {}
        }
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        // A panic elsewhere must not end health checking; every change leaves the registry whole.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(crate) mod tests;
