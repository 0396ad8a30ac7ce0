//! One worker's connections to targets: opened on demand, kept while idle, used again last-in first-out. No connection
//! leaves its worker, so nothing here is shared or locked. It knows no retries: a connection that turns out dead is the
//! forwarder's case.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use lintel_common::metered::Metered;
use lintel_common::metrics::GaugeGuard;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::request_body::RequestBody;
use super::stream::{ReadsOn, TargetStream, Watcher};
use super::traffic::Traffic;
use crate::metrics::Metrics;

/// Idle connections kept for one target by one worker; more are closed when they become idle.
const MOST_IDLE: usize = 256;

/// Fields and bytes that a response head may have.
const MOST_FIELDS: usize = 256;
const MOST_HEAD: usize = 32 * 1024;

/// What one connection may hold of a body that its other side does not take.
const BUFFER: usize = 64 * 1024;

/// How much may lie in the kernel unsent before a connection counts as not writable. A full send buffer would have to
/// drain by a third, a megabyte or more, before a slow reader is seen to move.
const UNSENT: u32 = 128 * 1024;

/// A connection in use by one request.
#[derive(Debug)]
pub struct TargetConnection {
    address: SocketAddr,
    pub sender: SendRequest<RequestBody>,
    pub traffic: Arc<Traffic>,
    stream: Watcher,
    /// It has carried a request before.
    pub reused: bool,
}

#[derive(Debug)]
struct Idle {
    sender: SendRequest<RequestBody>,
    traffic: Arc<Traffic>,
    stream: Watcher,
    until: Instant,
}

#[derive(Debug)]
pub struct Pool {
    idle: RefCell<HashMap<SocketAddr, Vec<Idle>>>,
    metrics: Arc<Metrics>,
}

impl Pool {
    pub fn new(metrics: Arc<Metrics>) -> Rc<Self> {
        Rc::new(Self {
            idle: RefCell::default(),
            metrics,
        })
    }

    /// The connection that became idle last and still lives.
    pub async fn take(&self, address: SocketAddr) -> Option<TargetConnection> {
        loop {
            let Idle {
                sender,
                traffic,
                stream,
                ..
            } = self.idle.borrow_mut().get_mut(&address)?.pop()?;
            if !sender.is_ready() {
                // One that has just ended its response may need a turn of its task; one that then still is not ready
                // has been closed, or its target has not taken all of the last request.
                tokio::task::yield_now().await;
            }
            if sender.is_ready() && stream.is_quiet() {
                return Some(TargetConnection {
                    address,
                    sender,
                    traffic,
                    stream,
                    reused: true,
                });
            }
        }
    }

    pub async fn connect(&self, address: SocketAddr) -> io::Result<TargetConnection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        // Else a target that reads slowly would look like one that does not: see UNSENT.
        SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT)?;
        let traffic = Arc::<Traffic>::default();
        let active = GaugeGuard::new(&self.metrics.active_target_connections);
        let stream = TargetStream::new(stream, active);
        let watcher = stream.watcher();
        let stream = Metered::new(stream, Arc::clone(&traffic));
        let io = TokioIo::new(ReadsOn::new(stream));
        let (sender, driver) = http1::Builder::new()
            .preserve_header_case(true)
            .max_headers(MOST_FIELDS)
            .max_header_size(MOST_HEAD)
            .max_buf_size(BUFFER)
            .handshake(io)
            .await
            .map_err(io::Error::other)?;
        self.metrics.new_target_connections.inc();
        tokio::task::spawn_local(async move {
            // Its errors reach whoever waits for a response; an idle connection has nobody to tell.
            let _ = driver.with_upgrades().await;
        });
        Ok(TargetConnection {
            address,
            sender,
            traffic,
            stream: watcher,
            reused: false,
        })
    }

    /// A response has ended cleanly: its connection may carry another request within `idle_timeout`.
    pub fn put(&self, connection: TargetConnection, idle_timeout: Duration) {
        let TargetConnection {
            address,
            sender,
            traffic,
            stream,
            ..
        } = connection;
        if sender.is_closed() {
            return;
        }
        let mut pool = self.idle.borrow_mut();
        let idle = pool.entry(address).or_default();
        if idle.len() < MOST_IDLE {
            idle.push(Idle {
                sender,
                traffic,
                stream,
                until: Instant::now() + idle_timeout,
            });
        }
    }

    /// Closes connections that have been idle for long enough, or have been closed by their target.
    pub fn sweep(&self) {
        let now = Instant::now();
        self.idle.borrow_mut().retain(|_, idle| {
            idle.retain(|idle| !idle.sender.is_closed() && now < idle.until);
            !idle.is_empty()
        });
    }

    /// Closes every idle connection.
    pub fn clear(&self) {
        self.idle.borrow_mut().clear();
    }
}
