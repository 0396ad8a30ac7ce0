//! A server: accepts, and gives each connection a task of its own in which everything else happens, the TLS handshake
//! included. Accepting cannot fail: when descriptors run out it pauses and goes on. Stopping drains: what was accepted is
//! answered, bounded by [`Shutdown::expired`].
//!
//! It runs on the `LocalSet` of one thread; to use more cores, run one a thread on sockets that share a port.

mod activity;
pub mod connection;
pub mod options;

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

pub use activity::Ongoing;
pub use connection::http2::Calls;
pub use connection::{Connection, Cut, Established, HandshakeFailure, TlsInfo, WatchedStream};
pub use options::Options;

use crate::metrics::GaugeGuard;
use crate::shutdown::Shutdown;

/// How long accepting rests when the machine has no descriptor or memory for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that the kernel may have ready when accepting ends. Clients that come faster than this loop takes them
/// must not keep it going.
const MOST_QUEUED: usize = 4096;

/// How long connections may take to end after the shutdown has expired. They need a turn of the runtime each: one that
/// is dropped instead could not say why it ended.
const LAST_TURN: Duration = Duration::from_secs(1);

/// How much may lie in the kernel unsent before a connection counts as not writable.
const UNSENT: u32 = 32 * 1024;

/// What serves connections. It cannot fail: an error is a response.
pub trait Handler: 'static {
    /// Serves one HTTP/1.1 connection to its end, keeping to these options and this shutdown.
    fn http1(
        self: Rc<Self>,
        established: Established,
        connection: Rc<Connection>,
        options: Rc<Options>,
        shutdown: Shutdown,
    ) -> impl Future<Output = ()> + 'static;

    /// Speaks HTTP/2 until the client has gone, or was told by the last call that no more is taken and has got its answers.
    /// Only a handler whose TLS configuration offers `h2` is asked.
    fn http2(
        self: Rc<Self>,
        _stream: &mut WatchedStream,
        _connection: &Rc<Connection>,
        _options: &Options,
        _calls: &Calls,
    ) -> impl Future<Output = ()> {
        std::future::ready(())
    }

    /// The TLS configuration for a new connection; `None` = cleartext.
    fn tls(&self) -> Option<Arc<rustls::ServerConfig>> {
        None
    }

    /// Whether a certificate is for the name that a client has asked for in its handshake, in lower case.
    fn has_certificate_for(&self, _name: &str) -> bool {
        true
    }

    /// Limits and time-outs for a new connection; `None` = those that `serve` was given.
    fn options(&self) -> Option<Rc<Options>> {
        None
    }

    /// What happens outside of requests, for logs and metrics.
    fn event(&self, _event: Event<'_>) {}
}

/// A handler whose HTTP/1.1 is hyper's ([`connection::http1`]): it answers requests.
pub trait Service: Handler {
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + 'static;

    fn handle(
        self: Rc<Self>,
        request: Request<Incoming>,
        connection: Rc<Connection>,
    ) -> impl Future<Output = Response<Self::Body>> + 'static;
}

/// What a connection does besides bringing requests.
#[derive(Debug)]
pub enum Event<'a> {
    Accepted,
    /// Closed as soon as it was accepted, as there are `max_connections` already.
    Rejected {
        peer: SocketAddr,
    },
    /// It is ready for its first request.
    Established {
        connection: &'a Connection,
    },
    /// The TLS handshake failed or took too long; no request was read.
    HandshakeFailed {
        connection: &'a Connection,
        failure: &'a HandshakeFailure,
    },
    /// A request that could not be read; hyper has answered 400, 414 or 431 and closed.
    MalformedRequest {
        connection: &'a Rc<Connection>,
        error: &'a hyper::Error,
    },
    /// A request head that was begun and not finished in time; answered 408 and closed.
    RequestTimeout {
        connection: &'a Rc<Connection>,
    },
}

/// Serves until a stop is requested, then lets what was accepted finish; returns when the last connection has ended or,
/// soon after the shutdown expired, without those that do not.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    handler: Rc<H>,
    options: Options,
    shutdown: Shutdown,
) {
    prepare(&listener);
    let options = Rc::new(options);
    let open = Arc::new(OpenConnections::default());
    let start = |stream: TcpStream, peer: SocketAddr| {
        let options = handler.options().unwrap_or_else(|| Rc::clone(&options));
        if options.are_used_up() {
            return handler.event(Event::Rejected { peer });
        }
        handler.event(Event::Accepted);
        let open = open.open(&options);
        tokio::task::spawn_local(connection::run(
            Accepted { stream, peer, open },
            Rc::clone(&handler),
            options,
            shutdown.clone(),
        ));
    };
    {
        let mut requested = std::pin::pin!(shutdown.requested());
        loop {
            tokio::select! {
                biased;
                // First: under load there is always one more to accept.
                () = &mut requested => break,
                (stream, peer) = accept(&listener) => start(stream, peer),
            }
        }
    }
    accept_queued(listener, start);
    tokio::select! {
        biased;
        () = open.none() => return,
        () = shutdown.expired() => {}
    }
    let _ = tokio::time::timeout(LAST_TURN, open.none()).await;
}

/// What the kernel has accepted for us is ours to answer, whether the runtime has heard of it or not.
fn accept_queued(listener: TcpListener, start: impl Fn(TcpStream, SocketAddr)) {
    let Ok(listener) = listener.into_std() else {
        return;
    };
    for _ in 0..MOST_QUEUED {
        let Ok((stream, peer)) = listener.accept() else {
            return;
        };
        if stream.set_nonblocking(true).is_ok()
            && let Ok(stream) = TcpStream::from_std(stream)
        {
            start(stream, peer);
        }
    }
}

/// What is set here every connection has that it accepts. Failing to set either costs latency, not correctness.
fn prepare(listener: &TcpListener) {
    let socket = SockRef::from(listener);
    let _ = socket.set_tcp_nodelay(true);
    // Else a slow reader may take minutes to free as much of a big send buffer as the kernel wants to see before it
    // calls it writable, and would be taken for one that has stopped.
    let _ = socket.set_tcp_notsent_lowat(UNSENT);
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut pausing = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if pausing {
                    tracing::info!("accepting connections again");
                }
                return (stream, peer);
            }
            Err(error) if is_exhausted(&error) => {
                if !pausing {
                    tracing::error!(%error, "cannot accept connections; trying again every 100 ms");
                    pausing = true;
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            // The client went away between its SYN and our accept, or the like: not the socket's fault.
            Err(error) => tracing::debug!(%error, "accept"),
        }
    }
}

fn is_exhausted(error: &io::Error) -> bool {
    // EMFILE, ENFILE, ENOMEM, ENOBUFS
    matches!(error.raw_os_error(), Some(24 | 23 | 12 | 105))
}

/// A connection that nobody has looked at yet.
struct Accepted {
    stream: TcpStream,
    peer: SocketAddr,
    open: OpenConnection,
}

/// How many connections are open, and who wants to know when none is. Atomic because an upgraded connection's guard
/// travels with its stream.
#[derive(Debug, Default)]
struct OpenConnections {
    count: AtomicUsize,
    changed: Notify,
}

/// Lives as long as its connection, upgraded or not.
#[derive(Debug)]
pub struct OpenConnection {
    all: Arc<OpenConnections>,
    _active: Option<GaugeGuard>,
}

impl OpenConnections {
    fn open(self: &Arc<Self>, options: &Options) -> OpenConnection {
        self.count.fetch_add(1, Ordering::Relaxed);
        OpenConnection {
            all: Arc::clone(self),
            _active: options.active_connections.as_ref().map(GaugeGuard::new),
        }
    }

    async fn none(&self) {
        while self.count.load(Ordering::Relaxed) > 0 {
            self.changed.notified().await;
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        if self.all.count.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.all.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::shutdown::{self, ShutdownTrigger};

    /// Asks for a stop at its first connection, and has the next one ready before this one is looked at.
    struct Besieged {
        address: SocketAddr,
        trigger: ShutdownTrigger,
        accepted: Cell<usize>,
    }

    impl Besieged {
        const MOST: usize = 3 * MOST_QUEUED;
    }

    impl Handler for Besieged {
        async fn http1(
            self: Rc<Self>,
            _established: Established,
            _connection: Rc<Connection>,
            _options: Rc<Options>,
            _shutdown: Shutdown,
        ) {
        }

        fn event(&self, event: Event<'_>) {
            if matches!(event, Event::Accepted) {
                self.trigger.request();
                self.accepted.set(self.accepted.get() + 1);
                if self.accepted.get() < Self::MOST {
                    drop(std::net::TcpStream::connect(self.address));
                }
            }
        }
    }

    #[tokio::test]
    async fn connections_have_what_their_listener_was_given() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        prepare(&listener);
        let _client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, _) = accept(&listener).await;
        assert!(stream.nodelay().unwrap());
        assert_eq!(SockRef::from(&stream).tcp_notsent_lowat().unwrap(), UNSENT);
    }

    #[tokio::test]
    async fn clients_without_end_do_not_keep_it_from_stopping() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (trigger, shutdown) = shutdown::channel();
        let handler = Rc::new(Besieged {
            address,
            trigger,
            accepted: Cell::new(0),
        });
        drop(std::net::TcpStream::connect(address));
        let serving = serve(listener, Rc::clone(&handler), Options::default(), shutdown);
        let local = tokio::task::LocalSet::new();
        let ended = tokio::time::timeout(Duration::from_secs(60), local.run_until(serving));
        ended.await.unwrap();
        assert!(handler.accepted.get() < Besieged::MOST);
    }
}
