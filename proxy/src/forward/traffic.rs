//! How many bytes have passed on a connection to a target: what tells a request that may have run from one that certainly
//! has not.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use lintel_common::metered::Meter;

/// Atomic because an upgraded stream must be `Send`, not because another thread looks.
#[derive(Debug, Default)]
pub struct Traffic {
    received: AtomicU64,
    sent: AtomicU64,
}

/// The counts at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub received: u64,
    pub sent: u64,
}

impl Traffic {
    pub fn mark(&self) -> Mark {
        Mark {
            received: self.received.load(Relaxed),
            sent: self.sent.load(Relaxed),
        }
    }
}

impl Meter for Traffic {
    fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Relaxed);
    }

    fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Relaxed);
    }
}
