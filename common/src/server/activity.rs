//! What moves on a connection, seen from its two ends: the meter of its stream ([`Watch`]) and a response body
//! that says when it is over ([`Tracked`]). The watchdog in `connection` reads it; nothing here decides anything.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::OpenConnection;
use crate::metered::Meter;

/// A write of at least so many bytes carries content: acknowledgements of HTTP/2 (PING, SETTINGS) are far smaller.
const CONTENT: usize = 256;

/// Shared by the stream, the exchanges and the watchdog of one connection. Atomic because an upgraded stream must be
/// `Send`, not because another thread looks.
#[derive(Debug)]
pub(super) struct Activity {
    created: Instant,
    bytes: AtomicU64,
    requests: AtomicU64,
    exchanges: AtomicU32,
    answering: AtomicU32,
    /// Milliseconds from `created`, plus one, at which the head now being read began; 0 = none is.
    head_since: AtomicU64,
    only_content: AtomicBool,
    cut: AtomicU8,
}

/// Why a connection was ended under its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing moved for `idle_timeout`: the client took nothing of its response.
    Idle,
    /// The time for finishing after a requested stop was over.
    Shutdown,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            created: Instant::now(),
            bytes: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            exchanges: AtomicU32::new(0),
            answering: AtomicU32::new(0),
            head_since: AtomicU64::new(0),
            only_content: AtomicBool::new(false),
            cut: AtomicU8::new(0),
        }
    }
}

impl Activity {
    /// A request head is complete; the exchange lasts until its response body is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Ongoing {
        self.head_since.store(0, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        self.exchanges.fetch_add(1, Relaxed);
        self.answering.fetch_add(1, Relaxed);
        Ongoing {
            activity: Arc::clone(self),
            answering: true,
        }
    }

    /// Whether a handler is at work whose response has not begun.
    pub(super) fn answering(&self) -> bool {
        self.answering.load(Relaxed) > 0
    }

    /// Whether a response is due or on its way.
    pub(super) fn exchanging(&self) -> bool {
        self.exchanges.load(Relaxed) > 0
    }

    pub(super) fn cut(&self, why: Cut) {
        self.cut.store(why as u8 + 1, Relaxed);
    }

    pub(super) fn was_cut(&self) -> Option<Cut> {
        match self.cut.load(Relaxed) {
            0 => None,
            cut if cut == Cut::Idle as u8 + 1 => Some(Cut::Idle),
            _ => Some(Cut::Shutdown),
        }
    }

    /// From here on only what carries content counts: requests, what is said of their bodies, and writes that are larger
    /// than frames which only keep a connection going.
    pub(super) fn count_only_content(&self) {
        self.only_content.store(true, Relaxed);
    }

    pub(super) fn moved_on(&self) {
        self.bytes.fetch_add(1, Relaxed);
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Grows with everything that moves.
    pub(super) fn moved(&self) -> u64 {
        self.bytes.load(Relaxed) + self.requests.load(Relaxed)
    }

    pub(super) fn head_since(&self) -> Option<Instant> {
        let millis = self.head_since.load(Relaxed).checked_sub(1)?;
        Some(self.created + std::time::Duration::from_millis(millis))
    }

    fn read(&self, bytes: usize) {
        if self.only_content.load(Relaxed) {
            return;
        }
        self.bytes.fetch_add(bytes as u64, Relaxed);
        if bytes > 0 && self.exchanges.load(Relaxed) == 0 && self.head_since.load(Relaxed) == 0 {
            let now = u64::try_from(self.created.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
            self.head_since.store(now + 1, Relaxed);
        }
    }

    fn wrote(&self, bytes: usize) {
        if bytes >= CONTENT || !self.only_content.load(Relaxed) {
            self.bytes.fetch_add(bytes as u64, Relaxed);
        }
    }
}

/// From a complete request head to the end of its response.
#[derive(Debug)]
pub struct Ongoing {
    activity: Arc<Activity>,
    answering: bool,
}

impl Ongoing {
    /// The response has begun.
    pub fn answered(&mut self) {
        if std::mem::take(&mut self.answering) {
            self.activity.answering.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        self.answered();
        self.activity.exchanges.fetch_sub(1, Relaxed);
    }
}

pin_project_lite::pin_project! {
    /// A response body that ends its exchange when it is dropped.
    pub(super) struct Tracked<B> {
        #[pin]
        body: B,
        exchange: Ongoing,
    }
}

impl<B> Tracked<B> {
    pub(super) fn new(body: B, mut exchange: Ongoing) -> Self {
        exchange.answered();
        Self { body, exchange }
    }
}

impl<B: Body> Body for Tracked<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let polled = this.body.poll_frame(cx);
        if polled.is_ready() {
            this.exchange.activity.moved_on();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The meter of a connection's stream: its traffic counts as activity, and while the stream lives, upgraded or not, its
/// connection is open.
#[derive(Debug)]
pub struct Watch {
    pub(super) activity: Arc<Activity>,
    pub(super) _open: OpenConnection,
}

impl Meter for Watch {
    fn received(&self, bytes: usize) {
        self.activity.read(bytes);
    }

    fn sent(&self, bytes: usize) {
        self.activity.wrote(bytes);
    }
}
