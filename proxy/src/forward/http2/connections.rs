//! One worker's HTTP/2 connections to targets: as few as their targets' limits on streams allow, kept while idle.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use foldhash::fast::FixedState;
use h2::client::SendRequest;
use lintel_common::metrics::GaugeGuard;
use lintel_common::stream::Stream;
use tokio::sync::Mutex;
use tokio::task::spawn_local;
use tokio::time::{Instant, timeout};

use crate::forward::Forwarder;
use crate::forward::pool::Endpoint;
use crate::gateway_error::GatewayError;
use crate::http1::limits;
use crate::metrics::Metrics;
use crate::target_group::Target;

/// What may come of a response before its client takes it.
const STREAM_WINDOW: u32 = 64 * 1024;

/// The most that HTTP/2 has: clients who do not read what is theirs must not use up what other clients' streams need.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// What may wait of a request until its target takes it.
const MOST_UNSENT: usize = 64 * 1024;

#[derive(Debug)]
pub struct Connections {
    of: RefCell<HashMap<Endpoint, Rc<Endpoints>, FixedState>>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Endpoints {
    open: RefCell<Vec<Rc<Connection>>>,
    /// Held by who connects, so that many requests at once do not make as many connections.
    connecting: Mutex<()>,
}

#[derive(Debug)]
struct Connection {
    sender: SendRequest<Bytes>,
    streams: Cell<usize>,
    /// Streams whose upload its target does not take now.
    stalled: Cell<usize>,
    /// It takes no more streams: it has ended, is ending, or did not answer.
    retired: Cell<bool>,
    opened: Instant,
    /// Without a stream it may be kept until then.
    until: Cell<Instant>,
    _active: GaugeGuard,
}

/// One stream's hold of its connection.
#[derive(Debug)]
pub(super) struct Held {
    connection: Rc<Connection>,
    idle_timeout: Duration,
    stalled: bool,
}

impl Connections {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            of: RefCell::default(),
            metrics,
        }
    }

    /// A connection with room for a stream, and whether it was there already. One from before `opened_after` will not do:
    /// those who want a new one all at once share what they open.
    pub(super) async fn get(
        &self,
        forwarder: &Forwarder<'_>,
        target: &Target,
        opened_after: Option<Instant>,
    ) -> Result<(Held, bool), GatewayError> {
        let idle_timeout = forwarder.settings.idle_timeout;
        let endpoint = forwarder.endpoint(target);
        let of = Rc::clone(self.of.borrow_mut().entry(endpoint).or_default());
        if let Some(held) = of.take(idle_timeout, opened_after) {
            return Ok((held, true));
        }
        let limit = forwarder.settings.connect_timeout;
        let turn = timeout(limit, of.connecting.lock()).await;
        let _turn = turn.map_err(|_| GatewayError::TargetConnectTimeout)?;
        // Somebody else may have made one meanwhile.
        if let Some(held) = of.take(idle_timeout, opened_after) {
            return Ok((held, true));
        }
        let stream = Box::pin(forwarder.connect(endpoint.address)).await?;
        let connection = Box::pin(self.shake_hands(stream, limit)).await?;
        let held = Held::new(&connection, idle_timeout);
        of.open.borrow_mut().push(connection);
        Ok((held, false))
    }

    async fn shake_hands(
        &self,
        stream: Stream,
        limit: Duration,
    ) -> Result<Rc<Connection>, GatewayError> {
        let mut builder = h2::client::Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buffer_size(MOST_UNSENT)
            // A larger one is refused by us, so that h2 does not give up the connection of others.
            .max_header_list_size(16 * limits::RESPONSE_HEAD as u32);
        let refused = |error: h2::Error| {
            tracing::debug!(%error, "no HTTP/2 with a target");
            GatewayError::TargetConnectionFailed
        };
        let (sender, mut driver) = builder.handshake(stream).await.map_err(refused)?;
        let pings = driver.ping_pong();
        self.metrics.new_target_connections.inc();
        let connection = Rc::new(Connection {
            sender,
            streams: Cell::new(0),
            stalled: Cell::new(0),
            retired: Cell::new(false),
            opened: Instant::now(),
            until: Cell::new(Instant::now()),
            _active: GaugeGuard::new(&self.metrics.active_target_connections),
        });
        let driven = Rc::downgrade(&connection);
        // Ends when nobody holds the connection or a stream of it any more.
        spawn_local(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "an HTTP/2 connection to a target ended");
            }
            if let Some(connection) = driven.upgrade() {
                connection.retired.set(true);
            }
        });
        // Its settings come before its answer to a ping: how many streams it takes is known then, and that it speaks HTTP/2.
        if let Some(mut pings) = pings {
            let answered = timeout(limit, pings.ping(h2::Ping::opaque())).await;
            answered
                .map_err(|_| GatewayError::TargetConnectTimeout)?
                .map_err(refused)?;
        }
        Ok(connection)
    }

    /// Closes connections that have been without a stream for long enough, and lets go of those that have ended.
    pub fn sweep(&self, now: Instant) {
        self.of.borrow_mut().retain(|_, of| {
            let mut open = of.open.borrow_mut();
            open.retain(|connection| {
                let idle = connection.streams.get() == 0 && now >= connection.until.get();
                !idle && !connection.retired.get()
            });
            !open.is_empty() || of.connecting.try_lock().is_err()
        });
    }

    /// No more streams; those that are open go on.
    pub fn clear(&self) {
        self.of.borrow_mut().clear();
    }
}

impl Endpoints {
    fn take(&self, idle_timeout: Duration, opened_after: Option<Instant>) -> Option<Held> {
        let open = self.open.borrow();
        let has_room = |connection: &&Rc<Connection>| {
            let most = connection.sender.current_max_send_streams();
            // A stalled upload may hold all that its target takes on this connection: others shall not wait behind it.
            let stalled = connection.stalled.get() > 0;
            let new = opened_after.is_none_or(|after| connection.opened > after);
            new && !connection.retired.get() && !stalled && connection.streams.get() < most
        };
        let found = open.iter().find(has_room)?;
        Some(Held::new(found, idle_timeout))
    }
}

impl Held {
    fn new(connection: &Rc<Connection>, idle_timeout: Duration) -> Self {
        connection.streams.set(connection.streams.get() + 1);
        Self {
            connection: Rc::clone(connection),
            idle_timeout,
            stalled: false,
        }
    }

    pub(super) fn sender(&self) -> SendRequest<Bytes> {
        self.connection.sender.clone()
    }

    /// Whether the target takes what there is of the upload.
    pub(super) fn set_stalled(&mut self, stalled: bool) {
        let count = &self.connection.stalled;
        match (self.stalled, stalled) {
            (false, true) => count.set(count.get() + 1),
            (true, false) => count.set(count.get() - 1),
            (false, false) | (true, true) => {}
        }
        self.stalled = stalled;
    }

    /// No further streams there.
    pub(super) fn retire(&self) {
        self.connection.retired.set(true);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set_stalled(false);
        let connection = &self.connection;
        connection.streams.set(connection.streams.get() - 1);
        connection.until.set(Instant::now() + self.idle_timeout);
    }
}
