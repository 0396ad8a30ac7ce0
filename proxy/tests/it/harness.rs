//! What the tests of the running proxy share: a proxy in this process, targets that follow a script, clients that see
//! bytes. A test states what is special about it and nothing else. No test knows a port before it is bound, and none
//! sleeps to let something happen: it waits for the thing itself, at most [`PATIENCE`].

pub mod client;
pub mod http2;
pub mod http2_target;
pub mod program;
pub mod proxy;
pub mod target;
pub mod tls;
pub mod wire;

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

pub use program::Program;
pub use proxy::{Proxy, Setup};
pub use target::{Refusing, Target, ok};
pub use wire::{Message, Wire};

/// How long anything that must happen may take, on a machine with much else to do.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `seen` has an answer.
pub fn eventually<T>(what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = seen() {
            return found;
        }
        assert!(Instant::now() < give_up, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until `holds` does.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    eventually(what, || holds().then_some(()));
}

/// Keeps scripts waiting until the test lets them go on.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    pub fn pass(&self) {
        let closed = self.0.0.lock().unwrap();
        let waited = self.0.1.wait_timeout_while(closed, PATIENCE, |open| !*open);
        assert!(!waited.unwrap().1.timed_out(), "the gate was never opened");
    }
}
