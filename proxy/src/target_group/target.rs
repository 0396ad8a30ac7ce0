//! One target as requests see it: where it is, how many of them it has in flight and has failed, and whether it is on its
//! way out. Its health is not here: the group keeps that, and requests meet it only as a target's presence among the
//! eligible ones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use tokio::sync::watch;

use super::anomaly::Conduct;
use crate::model::TargetSettings;

#[derive(Debug)]
pub struct Target {
    settings: TargetSettings,
    /// Apart from the settings, because it outlives a change of them.
    activity: Arc<Activity>,
}

#[derive(Debug)]
struct Activity {
    /// In flight in the low half, begun so far in the high one: one step counts both.
    requests: AtomicU64,
    errors: AtomicU32,
    draining: AtomicBool,
    drained: AtomicBool,
    /// Told when the last request of a draining target has ended.
    changes: watch::Sender<()>,
}

const BEGUN: u64 = 1 << 32;
const IN_FLIGHT: u64 = BEGUN - 1;

impl Target {
    pub(super) fn new(settings: TargetSettings, changes: watch::Sender<()>) -> Self {
        let activity = Activity {
            requests: AtomicU64::new(0),
            errors: AtomicU32::new(0),
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
        self.activity.requests.fetch_add(BEGUN + 1, SeqCst);
        InFlight(Arc::clone(&self.activity))
    }

    pub fn in_flight(&self) -> usize {
        (self.activity.requests.load(SeqCst) & IN_FLIGHT) as usize
    }

    /// A request failed for the target's sake: no connection, or a status of 5xx.
    pub fn count_error(&self) {
        self.activity.errors.fetch_add(1, Relaxed);
    }

    /// Requests begun and errors so far; both wrap around.
    pub(super) fn conduct(&self) -> Conduct {
        Conduct {
            requests: (self.activity.requests.load(Relaxed) / BEGUN) as u32,
            errors: self.activity.errors.load(Relaxed),
        }
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
        let last = self.0.requests.fetch_sub(1, SeqCst) & IN_FLIGHT == 1;
        if last && self.0.draining.load(SeqCst) {
            self.0.changes.send_replace(());
        }
    }
}
