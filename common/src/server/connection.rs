//! One connection, from accept to its end: TLS handshake, HTTP/2 by the handler itself, HTTP/1.1 by hyper or by the
//! handler, time-outs, draining. A watchdog beside hyper sees what hyper does not: a client that stopped in the middle of
//! a request head (408), one that stopped reading, one that has nothing to say.

pub mod http2;

use std::any::Any;
use std::cell::OnceCell;
use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

pub use super::activity::Cut;
pub use super::activity::Watch;
use super::activity::{Activity, Ongoing, Tracked};
use super::{Accepted, Event, Handler, OpenConnection, Options, Service};
use crate::metered::Metered;
use crate::shutdown::Shutdown;
use crate::stream::Stream;
use crate::tls::with_shown;

/// Sent to a client whose request head did not become complete; the page is the ALB's.
const REQUEST_TIMEOUT: &[u8] = b"HTTP/1.1 408 Request Time-out\r\n\
Content-Type: text/html\r\nContent-Length: 132\r\nConnection: close\r\n\r\n\
<html>\r\n<head><title>408 Request Time-out</title></head>\r\n<body>\r\n\
<center><h1>408 Request Time-out</h1></center>\r\n</body>\r\n</html>\r\n";

/// The smallest buffer that hyper takes; beside a whole head there must be room for reading on.
const MIN_BUFFER: usize = 8 * 1024;

/// How long a client may take to accept our last bytes.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What a handler may know of the connection a request came on.
#[derive(Debug)]
pub struct Connection {
    /// Random, for telling connections apart in logs.
    pub id: u128,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    pub tls: Option<TlsInfo>,
    /// With what the handshake was made.
    pub tls_config: Option<Arc<rustls::ServerConfig>>,
    pub http2: bool,
    pub accepted_at: Instant,
    peer_address: OnceCell<Box<str>>,
    /// For the handler to keep what it would otherwise work out for each request.
    pub kept: OnceCell<Box<dyn Any>>,
    activity: Arc<Activity>,
}

#[derive(Debug, Clone)]
pub struct TlsInfo {
    pub protocol: rustls::ProtocolVersion,
    pub cipher_suite: rustls::CipherSuite,
    /// That the client has asked for, if a certificate is for it.
    pub server_name: Option<Box<str>>,
    pub key_exchange: Option<rustls::NamedGroup>,
    /// How long the handshake took.
    pub handshake: Duration,
    pub resumed: bool,
    /// What the client has shown of itself, its own certificate first; empty if nothing.
    pub client_certificates: Vec<CertificateDer<'static>>,
}

/// What is known of a TLS handshake that failed.
#[derive(Debug)]
pub struct HandshakeFailure {
    pub error: io::Error,
    /// That the client has shown as its own, if it came to that; nobody says that it has the key.
    pub client_certificate: Option<CertificateDer<'static>>,
}

impl Connection {
    /// Accepted now, and nothing is known of it yet.
    pub fn new(peer: SocketAddr, local: SocketAddr) -> Self {
        Self {
            id: random_id(),
            peer,
            local,
            tls: None,
            tls_config: None,
            http2: false,
            accepted_at: Instant::now(),
            peer_address: OnceCell::new(),
            kept: OnceCell::new(),
            activity: Arc::default(),
        }
    }

    /// The peer's IP address as text, an IPv4 one always as such. Every request of the connection is told it.
    pub fn peer_address(&self) -> &str {
        self.peer_address
            .get_or_init(|| self.peer.ip().to_canonical().to_string().into())
    }

    /// Whether the peer uses IPv6, and not IPv4 in its clothes.
    pub fn is_ipv6(&self) -> bool {
        match self.peer {
            SocketAddr::V4(_) => false,
            SocketAddr::V6(peer) => peer.ip().to_ipv4_mapped().is_none(),
        }
    }

    /// A request or response body has moved on: the connection is not idle.
    pub fn moved(&self) {
        self.activity.moved_on();
    }

    /// Why the server has ended this connection under its requests, if it has.
    pub fn cut(&self) -> Option<Cut> {
        self.activity.was_cut()
    }

    /// A request's head is complete; its exchange lasts as long as what this gives.
    pub fn begin(&self) -> Ongoing {
        self.activity.begin()
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.activity.requests()
    }

    fn watched(&self, established: Established) -> WatchedStream {
        let activity = Arc::clone(&self.activity);
        Metered::new(
            established.stream,
            Watch {
                activity,
                _open: established.open,
            },
        )
    }
}

/// A connection's bytes, which count as activity.
pub type WatchedStream = Metered<Stream, Watch>;

/// A connection that is ready for its first request.
#[derive(Debug)]
pub struct Established {
    pub stream: Stream,
    /// The connection counts as open while this lives.
    pub open: OpenConnection,
}

pub(super) async fn run<H: Handler>(
    accepted: Accepted,
    handler: Rc<H>,
    options: Rc<Options>,
    shutdown: Shutdown,
) {
    let Accepted { stream, peer, open } = accepted;
    let Ok(local) = stream.local_addr() else {
        return;
    };
    let mut connection = Connection::new(peer, local);
    let Some(config) = handler.tls() else {
        let stream = Stream::Plain(stream);
        let established = Established { stream, open };
        handler.event(Event::Established {
            connection: &connection,
        });
        return handler
            .http1(established, Rc::new(connection), options, shutdown)
            .await;
    };
    // In a box: it is large, and a connection without requests should not be.
    let shaken = Box::pin(handshake(stream, Arc::clone(&config), &options, &shutdown));
    let stream = match with_shown(shaken).await {
        (Ok(stream), _) => stream,
        (Err(error), client_certificate) => {
            return handler.event(Event::HandshakeFailed {
                connection: &connection,
                failure: &HandshakeFailure {
                    error,
                    client_certificate,
                },
            });
        }
    };
    let (_, session) = stream.get_ref();
    connection.tls = tls_info(session, connection.accepted_at.elapsed(), &*handler);
    connection.tls_config = Some(config);
    connection.http2 = session.alpn_protocol() == Some(b"h2");
    if connection.http2 {
        // PING and SETTINGS are bytes too, but nobody's request.
        connection.activity.count_only_content();
    }
    let stream = Stream::Tls(Box::new(tokio_rustls::TlsStream::Server(stream)));
    let established = Established { stream, open };
    handler.event(Event::Established {
        connection: &connection,
    });
    let connection = Rc::new(connection);
    if connection.http2 {
        http2::serve(established, handler, connection, options, shutdown).await;
    } else {
        handler
            .http1(established, connection, options, shutdown)
            .await;
    }
}

/// Unguessable is not needed, unique is: what the standard library seeds its hash maps with does.
fn random_id() -> u128 {
    let seeds = RandomState::new();
    u128::from(seeds.hash_one(0_u8)) << 64 | u128::from(seeds.hash_one(1_u8))
}

async fn handshake(
    stream: TcpStream,
    config: Arc<rustls::ServerConfig>,
    options: &Options,
    shutdown: &Shutdown,
) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
    let accepted = tokio_rustls::TlsAcceptor::from(config).accept(stream);
    let given_up = async {
        shutdown.requested().await;
        tokio::select! {
            () = tokio::time::sleep(options.drain_grace) => {}
            () = shutdown.expired() => {}
        }
    };
    tokio::select! {
        result = tokio::time::timeout(options.tls_handshake_timeout, accepted) => match result {
            Ok(result) => result,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "TLS handshake took too long")),
        },
        () = given_up => Err(io::Error::new(io::ErrorKind::Interrupted, "shutting down")),
    }
}

fn tls_info(
    session: &rustls::ServerConnection,
    handshake: Duration,
    handler: &impl Handler,
) -> Option<TlsInfo> {
    let asked_for = session.server_name();
    let server_name = asked_for.filter(|name| handler.has_certificate_for(name));
    Some(TlsInfo {
        protocol: session.protocol_version()?,
        cipher_suite: session.negotiated_cipher_suite()?.suite(),
        server_name: server_name.map(Box::from),
        key_exchange: session
            .negotiated_key_exchange_group()
            .map(rustls::crypto::SupportedKxGroup::name),
        handshake,
        resumed: session.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
        client_certificates: session
            .peer_certificates()
            .map(<[_]>::to_vec)
            .unwrap_or_default(),
    })
}

/// HTTP/1.1 by hyper.
pub async fn http1<H: Service>(
    established: Established,
    handler: Rc<H>,
    connection: Rc<Connection>,
    options: Rc<Options>,
    shutdown: Shutdown,
) {
    let stream = connection.watched(established);
    let service = service_fn(|request| {
        let exchange = connection.activity.begin();
        // Called here, so that the handler learns of every request that was read, also when its client has gone by now.
        let answer = Rc::clone(&handler).handle(request, Rc::clone(&connection));
        let connection = Rc::clone(&connection);
        let expires = options
            .client_keep_alive
            .map(|age| connection.accepted_at + age);
        let draining = shutdown.clone();
        async move {
            let mut response = answer.await;
            let last = draining.is_requested() || expires.is_some_and(|at| Instant::now() >= at);
            if last && response.status() != http::StatusCode::SWITCHING_PROTOCOLS {
                response
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response.map(|body| Tracked::new(body, exchange)))
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .header_read_timeout(None)
        .auto_date_header(options.date_header)
        .max_headers(options.max_header_fields)
        .max_header_size(options.max_head_size)
        .max_buf_size(options.max_head_size.max(MIN_BUFFER) + MIN_BUFFER);
    let mut driver = builder
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut watchdog = Watchdog::new(&options, shutdown.clone());
    loop {
        let next = tokio::select! {
            ended = Pin::new(&mut driver) => {
                if let Err(error) = ended.as_ref()
                    && (error.is_parse() || error.is_parse_too_large())
                {
                    handler.event(Event::MalformedRequest { connection: &connection, error });
                }
                return;
            }
            next = watchdog.next(&connection.activity) => next,
        };
        match next {
            Next::Finish if connection.activity.requests() > 0 => {
                Pin::new(&mut driver).graceful_shutdown();
            }
            // Silent since it was opened, as browsers do to be quick later: nobody waits for an answer.
            Next::Finish => return,
            Next::Idle => return connection.activity.cut(Cut::Idle),
            Next::Expired => return connection.activity.cut(Cut::Shutdown),
            Next::HeadOverdue => {
                handler.event(Event::RequestTimeout {
                    connection: &connection,
                });
                if let Some(parts) = driver.into_parts() {
                    say_and_close(parts.io.into_inner(), REQUEST_TIMEOUT).await;
                }
                return;
            }
        }
    }
}

async fn say_and_close<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, words: &[u8]) {
    let said = async {
        stream.write_all(words).await?;
        stream.shutdown().await
    };
    // A client that does not take it has been given its chance.
    let _ = tokio::time::timeout(LAST_WORDS, said).await;
}

/// What the watchdog wants next.
enum Next {
    /// A stop was requested and the grace is over: nothing more will be read but what is under way.
    Finish,
    /// Nothing moved for `idle_timeout`, and no answer of ours is due.
    Idle,
    /// A request head is incomplete for `request_header_timeout`.
    HeadOverdue,
    /// The time for finishing is over.
    Expired,
}

/// Looks at the connection's activity four times an idle time-out, instead of moving a timer at every byte.
struct Watchdog {
    shutdown: Shutdown,
    idle_timeout: Duration,
    head_timeout: Duration,
    drain_grace: Duration,
    tick: Duration,
    /// When the grace after a requested stop is over.
    finish_at: Option<Instant>,
    seen: u64,
    seen_at: Instant,
}

impl Watchdog {
    fn new(options: &Options, shutdown: Shutdown) -> Self {
        let tick = options.idle_timeout.min(options.request_header_timeout) / 4;
        Self {
            shutdown,
            idle_timeout: options.idle_timeout,
            head_timeout: options.request_header_timeout,
            drain_grace: options.drain_grace,
            tick: tick.max(Duration::from_millis(5)),
            finish_at: None,
            seen: 0,
            seen_at: Instant::now(),
        }
    }

    async fn next(&mut self, activity: &Activity) -> Next {
        loop {
            let now = Instant::now();
            let look = now + self.tick;
            let look = match self.finish_at {
                Some(finish_at) if finish_at > now => look.min(finish_at),
                _ => look,
            };
            tokio::select! {
                () = self.shutdown.requested(), if self.finish_at.is_none() => {
                    self.finish_at = Some(Instant::now() + self.drain_grace);
                    continue;
                }
                () = self.shutdown.expired() => return Next::Expired,
                () = tokio::time::sleep_until(look) => {}
            }
            if let Some(next) = self.look(activity, Instant::now()) {
                return next;
            }
        }
    }

    fn look(&mut self, activity: &Activity, now: Instant) -> Option<Next> {
        let moved = activity.moved();
        if moved != self.seen {
            (self.seen, self.seen_at) = (moved, now);
        }
        if activity.answering() {
            return None;
        }
        let head_overdue = |since: Instant| now >= since + self.head_timeout;
        if activity.head_since().is_some_and(head_overdue) {
            return Some(Next::HeadOverdue);
        }
        if now >= self.seen_at + self.idle_timeout {
            return Some(Next::Idle);
        }
        let finish = self.finish_at.is_some_and(|finish_at| now >= finish_at);
        finish.then_some(Next::Finish)
    }
}
