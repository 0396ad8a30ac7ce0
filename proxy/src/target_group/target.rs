//! One target as requests see it: where it is, how many of them it has in flight, and whether it is on its way out. Its
//! health is not here: the group keeps that, and requests meet it only as a target's presence among the eligible ones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use tokio::sync::watch;

use crate::model::TargetSettings;

#[derive(Debug)]
pub struct Target {
    settings: TargetSettings,
    /// Apart from the settings, because it outlives a change of them.
    activity: Arc<Activity>,
}

#[derive(Debug)]
struct Activity {
    in_flight: AtomicUsize,
    draining: AtomicBool,
    drained: AtomicBool,
    /// Told when the last request of a draining target has ended.
    changes: watch::Sender<()>,
}

impl Target {
    pub(super) fn new(settings: TargetSettings, changes: watch::Sender<()>) -> Self {
        let activity = Activity {
            in_flight: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            drained: AtomicBool::new(false),
            changes,
        };
        Self {
            settings,
            activity: Arc::new(activity),
        }
    }

    /// The same target under changed settings: requests in flight go on counting.
    pub(super) fn with_settings(&self, settings: TargetSettings) -> Self {
        Self {
            settings,
            activity: Arc::clone(&self.activity),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.settings.address()
    }

    pub fn settings(&self) -> &TargetSettings {
        &self.settings
    }

    /// Counts a request as in flight until the guard is dropped. To be called as soon as the target is chosen: a
    /// draining target is kept, and its requests bounded by the delay, only as long as something is in flight.
    pub fn begin(&self) -> InFlight {
        self.activity.in_flight.fetch_add(1, SeqCst);
        InFlight(Arc::clone(&self.activity))
    }

    pub fn in_flight(&self) -> usize {
        self.activity.in_flight.load(SeqCst)
    }

    /// Deregistered: gets no new requests.
    pub fn is_draining(&self) -> bool {
        self.activity.draining.load(SeqCst)
    }

    /// The deregistration delay is over: what is still in flight must end (502, as the ALB does). Requests look at it from
    /// time to time; being told would cost each of them a lock.
    pub fn is_drained(&self) -> bool {
        self.activity.drained.load(SeqCst)
    }

    pub(super) fn set_draining(&self, draining: bool) {
        self.activity.draining.store(draining, SeqCst);
    }

    /// Ends what is still in flight.
    pub(super) fn set_drained(&self) {
        self.activity.drained.store(true, SeqCst);
    }
}

/// A request in flight on a target.
#[derive(Debug)]
pub struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        // Sequentially consistent, and so is the group's side (set draining, then read the count): one of the two sees
        // the other, and no draining target waits for its delay after its last request.
        let last = self.0.in_flight.fetch_sub(1, SeqCst) == 1;
        if last && self.0.draining.load(SeqCst) {
            self.0.changes.send_replace(());
        }
    }
}
