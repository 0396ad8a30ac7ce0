//! Stopping: one value that every task watches. Asked first to finish ([`Shutdown::requested`]), later to drop everything
//! ([`Shutdown::expired`]). Who asks, and how long lies between, is the caller's: [`on_signals`] is the usual way.

use std::io;
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
pub struct Shutdown(watch::Receiver<Phase>);

/// What asks them to stop. Dropping it asks nothing.
#[derive(Debug, Clone)]
pub struct ShutdownTrigger(watch::Sender<Phase>);

pub fn channel() -> (ShutdownTrigger, Shutdown) {
    let (sender, receiver) = watch::channel(Phase::Running);
    (ShutdownTrigger(sender), Shutdown(receiver))
}

impl Shutdown {
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() >= Phase::Requested
    }

    pub fn is_expired(&self) -> bool {
        *self.0.borrow() >= Phase::Expired
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
        let mut receiver = self.0.clone();
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

    pub fn subscribe(&self) -> Shutdown {
        Shutdown(self.0.subscribe())
    }

    fn advance(&self, phase: Phase) {
        self.0.send_if_modified(|now| {
            let later = phase > *now;
            if later {
                *now = phase;
            }
            later
        });
    }
}

/// SIGTERM or SIGINT requests a stop; `bound` later, or at a second signal, it expires. Returns then.
pub async fn on_signals(trigger: ShutdownTrigger, bound: Duration) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    either(&mut terminate, &mut interrupt).await;
    trigger.request();
    tokio::select! {
        () = either(&mut terminate, &mut interrupt) => {}
        () = tokio::time::sleep(bound) => {}
    }
    trigger.expire();
    Ok(())
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
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

    #[tokio::test(start_paused = true)]
    async fn without_a_trigger_nothing_stops() {
        let (trigger, shutdown) = channel();
        drop(trigger);
        let waited = tokio::time::timeout(Duration::from_secs(3600), shutdown.requested()).await;
        assert!(waited.is_err());
    }
}
