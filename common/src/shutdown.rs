//! Stopping: one value that every task watches. Asked first to finish ([`Shutdown::requested`]), later to drop everything
//! ([`Shutdown::expired`]). Who asks, and how long lies between, is the caller's: [`on_signals`] is the usual way.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    Requested,
    Expired,
}

/// What tasks watch. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown {
    changes: watch::Receiver<Phase>,
    /// The same, to be looked at in passing: every request does, and the channel's lock is shared by all threads.
    now: Arc<AtomicU8>,
}

/// What asks them to stop. Dropping it asks nothing.
#[derive(Debug, Clone)]
pub struct ShutdownTrigger {
    changes: watch::Sender<Phase>,
    now: Arc<AtomicU8>,
}

pub fn channel() -> (ShutdownTrigger, Shutdown) {
    let (sender, receiver) = watch::channel(Phase::Running);
    let now = Arc::new(AtomicU8::new(Phase::Running as u8));
    let trigger = ShutdownTrigger {
        changes: sender,
        now: Arc::clone(&now),
    };
    let shutdown = Shutdown {
        changes: receiver,
        now,
    };
    (trigger, shutdown)
}

impl Shutdown {
    pub fn is_requested(&self) -> bool {
        self.now.load(Ordering::Acquire) >= Phase::Requested as u8
    }

    pub fn is_expired(&self) -> bool {
        self.now.load(Ordering::Acquire) >= Phase::Expired as u8
    }

    /// Resolves once a stop was asked for: take nothing new, finish what runs.
    pub async fn requested(&self) {
        self.reached(Phase::Requested).await;
    }

    /// Resolves once the time for finishing is over.
    pub async fn expired(&self) {
        self.reached(Phase::Expired).await;
    }

    async fn reached(&self, phase: Phase) {
        let mut receiver = self.changes.clone();
        if receiver.wait_for(|now| *now >= phase).await.is_err() {
            // The trigger is gone without having asked: nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }
}

impl ShutdownTrigger {
    pub fn request(&self) {
        self.advance(Phase::Requested);
    }

    pub fn expire(&self) {
        self.advance(Phase::Expired);
    }

    /// Whether anything that this stops is still there.
    pub fn is_watched(&self) -> bool {
        self.changes.receiver_count() > 0
    }

    pub fn subscribe(&self) -> Shutdown {
        Shutdown {
            changes: self.changes.subscribe(),
            now: Arc::clone(&self.now),
        }
    }

    fn advance(&self, phase: Phase) {
        self.changes.send_if_modified(|now| {
            let later = phase > *now;
            if later {
                *now = phase;
                self.now.store(phase as u8, Ordering::Release);
            }
            later
        });
    }
}

/// SIGTERM or SIGINT requests a stop; `bound` later, or at a second signal, it expires. Returns then.
pub async fn on_signals(trigger: ShutdownTrigger, bound: Duration) -> io::Result<()> {
    StopSignals::new()?.follow(trigger, bound).await;
    Ok(())
}

/// SIGTERM and SIGINT, which from the making of this on no longer end the process by themselves: made before anything
/// that must be stopped in order, it misses none.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Inside a runtime.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// As [`on_signals`].
    pub async fn follow(mut self, trigger: ShutdownTrigger, bound: Duration) {
        self.either().await;
        trigger.request();
        tokio::select! {
            () = self.either() => {}
            () = tokio::time::sleep(bound) => {}
        }
        trigger.expire();
    }

    async fn either(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stop_goes_forward_only() {
        let (trigger, shutdown) = channel();
        assert!(!shutdown.is_requested());
        trigger.expire();
        trigger.request();
        assert!(shutdown.is_requested() && shutdown.is_expired());
        shutdown.requested().await;
        shutdown.expired().await;
    }

    #[tokio::test]
    async fn a_subscriber_that_comes_late_sees_the_stop() {
        let (trigger, _shutdown) = channel();
        trigger.request();
        trigger.subscribe().requested().await;
    }

    #[test]
    fn what_has_stopped_no_longer_watches() {
        let (trigger, shutdown) = channel();
        assert!(trigger.is_watched());
        drop(shutdown);
        assert!(!trigger.is_watched());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_trigger_nothing_stops() {
        let (trigger, shutdown) = channel();
        drop(trigger);
        let waited = tokio::time::timeout(Duration::from_secs(3600), shutdown.requested()).await;
        assert!(waited.is_err());
    }
}
