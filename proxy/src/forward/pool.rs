//! One worker's connections to targets: opened on demand, kept while idle, used again last-in first-out. No connection
//! leaves its worker, so nothing here is shared or locked. It knows no retries: a connection that turns out dead is the
//! forwarder's case.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::FixedState;
use lintel_common::metrics::GaugeGuard;
use lintel_common::stream::Stream;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::http2::Connections;
use crate::http1::buffers::Buffers;
use crate::http1::wire::Wire;
use crate::metrics::Metrics;

/// Idle connections kept for one target by one worker; more are closed when they become idle.
const MOST_IDLE: usize = 256;

/// How often idle connections are looked through.
pub const SWEEP: Duration = Duration::from_secs(1);

/// So long before its target may close an idle connection it is closed here. With what sweeps leave open it is a second
/// at least for a request on its way.
const BEFORE_ITS_TARGET: Duration = Duration::from_secs(3);

/// How much may lie in the kernel unsent before a connection counts as not writable. A full send buffer would have to
/// drain by a third, a megabyte or more, before a slow reader is seen to move.
const UNSENT: u32 = 32 * 1024;

/// What a connection may be used for: whose it is, and how it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Endpoint {
    pub address: SocketAddr,
    /// Of which `TargetTls`; 0 = without TLS.
    pub tls: u64,
}

/// A connection in use by one request. Handled in a box: it is handed on many times and made once.
#[derive(Debug)]
pub struct TargetConnection {
    endpoint: Endpoint,
    pub wire: Wire,
    /// It has carried a request before.
    pub reused: bool,
    _active: GaugeGuard,
}

#[derive(Debug)]
struct Idle {
    connection: Box<TargetConnection>,
    until: Instant,
}

pub async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    // Else a target that reads slowly would look like one that does not: see UNSENT.
    SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT)?;
    Ok(stream)
}

#[derive(Debug)]
pub struct Pool {
    /// Addresses are of our own choosing, so their hash need not withstand anybody.
    idle: RefCell<HashMap<Endpoint, Vec<Idle>, FixedState>>,
    /// When the pool was last swept: near enough for a time-out, and a request need not ask.
    swept: Cell<Instant>,
    /// The worker's, for everything that its connections read and write.
    pub buffers: Rc<Buffers>,
    metrics: Arc<Metrics>,
    /// To targets that speak HTTP/2.
    pub http2: Connections,
}

impl Pool {
    pub fn new(metrics: Arc<Metrics>) -> Rc<Self> {
        Rc::new(Self {
            idle: RefCell::default(),
            swept: Cell::new(Instant::now()),
            buffers: Rc::default(),
            http2: Connections::new(Arc::clone(&metrics)),
            metrics,
        })
    }

    /// The connection that became idle last and still lives. `thorough` asks the kernel whether it does, where the runtime
    /// has not heard otherwise: a system call, for requests that cannot be sent twice.
    pub fn take(&self, endpoint: Endpoint, thorough: bool) -> Option<Box<TargetConnection>> {
        let mut pool = self.idle.borrow_mut();
        let idle = pool.get_mut(&endpoint)?;
        while let Some(Idle { mut connection, .. }) = idle.pop() {
            if connection.wire.is_quiet(thorough) {
                connection.reused = true;
                return Some(connection);
            }
        }
        None
    }

    /// A connection that was made just now.
    pub fn opened(&self, endpoint: Endpoint, stream: Stream) -> Box<TargetConnection> {
        self.metrics.new_target_connections.inc();
        Box::new(TargetConnection {
            endpoint,
            wire: Wire::new(stream),
            reused: false,
            _active: GaugeGuard::new(&self.metrics.active_target_connections),
        })
    }

    /// A response has ended cleanly: its connection may carry another request within `idle_timeout`, and before its target
    /// closes it, if it is known that it is `kept` for so long: a request that meets a close may have run or not.
    pub fn put(
        &self,
        connection: Box<TargetConnection>,
        idle_timeout: Duration,
        kept: Option<Duration>,
    ) {
        let idle_timeout = match kept.map(|kept| kept.checked_sub(BEFORE_ITS_TARGET)) {
            None => idle_timeout,
            Some(Some(kept)) => kept.min(idle_timeout),
            Some(None) => return,
        };
        if !connection.wire.is_quiet(false) {
            return;
        }
        let mut pool = self.idle.borrow_mut();
        let idle = pool.entry(connection.endpoint).or_default();
        if idle.len() < MOST_IDLE {
            idle.push(Idle {
                connection,
                until: self.swept.get() + SWEEP + idle_timeout,
            });
        }
    }

    /// To be called every [`SWEEP`]. Closes connections that have been idle for long enough, or have been closed by their
    /// target, and lets go of buffers that nobody needed meanwhile.
    pub fn sweep(&self) {
        let now = Instant::now();
        self.swept.set(now);
        self.idle.borrow_mut().retain(|_, idle| {
            idle.retain(|idle| now < idle.until && idle.connection.wire.is_quiet(false));
            !idle.is_empty()
        });
        self.http2.sweep(now);
        self.buffers.shed();
    }

    /// Closes every idle connection.
    pub fn clear(&self) {
        self.idle.borrow_mut().clear();
        self.http2.clear();
    }
}
