//! Targets that follow a script: a thread a connection, raw sockets, everything received kept for the test to look at.

use std::any::Any;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};

use super::wire::reset_on_drop;
use super::{Message, Wire, until};

/// A `200 OK` with this body.
pub fn ok(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Something that listens. It ends when it is dropped; a script that panicked fails the test then.
pub struct Target {
    pub address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    ended: AtomicUsize,
    requests: Mutex<Vec<Message>>,
    panic: Mutex<Option<String>>,
    stopping: AtomicBool,
}

/// One connection as its script sees it.
pub struct Connection {
    wire: Wire<TcpStream>,
    seen: Arc<Seen>,
    /// 1 for the first.
    pub nth: usize,
}

impl Target {
    /// Runs the script for every connection. Its errors end the connection and nothing else: peers leave.
    pub fn scripted(
        script: impl Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        let (script, shared) = (Arc::new(script), Arc::clone(&seen));
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if shared.stopping.load(SeqCst) {
                    return;
                }
                let mut connection = Connection {
                    wire: Wire::tcp(stream),
                    nth: shared.connections.fetch_add(1, SeqCst) + 1,
                    seen: Arc::clone(&shared),
                };
                let script = Arc::clone(&script);
                std::thread::spawn(move || {
                    let followed = catch_unwind(AssertUnwindSafe(|| script(&mut connection)));
                    if let Err(panic) = followed {
                        *connection.seen.panic.lock().unwrap() = Some(said(&*panic));
                    }
                    let seen = Arc::clone(&connection.seen);
                    drop(connection);
                    seen.ended.fetch_add(1, SeqCst);
                });
            }
        });
        Self { address, seen }
    }

    /// Answers every request, as many as come on a connection.
    pub fn answering(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::scripted(move |connection| {
            loop {
                let request = connection.request()?;
                connection.send(answer(&request))?;
            }
        })
    }

    /// Answers everything with this text.
    pub fn saying(text: &'static str) -> Self {
        Self::answering(move |_| ok(text))
    }

    /// What was received so far, in the order of its completion.
    pub fn requests(&self) -> Vec<Message> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// The request that must be the only one.
    #[track_caller]
    pub fn only_request(&self) -> Message {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    pub fn connections(&self) -> usize {
        self.seen.connections.load(SeqCst)
    }

    pub fn open_connections(&self) -> usize {
        self.connections() - self.seen.ended.load(SeqCst)
    }

    pub fn wait_for_requests(&self, count: usize) {
        until("requests at the target", || {
            self.seen.requests.lock().unwrap().len() >= count
        });
    }

    pub fn wait_for_connections(&self, count: usize) {
        until("connections at the target", || self.connections() >= count);
    }
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("something unprintable").to_owned()
}

impl Drop for Target {
    fn drop(&mut self) {
        self.seen.stopping.store(true, SeqCst);
        // Wakes the accepting thread.
        drop(TcpStream::connect(self.address));
        let panicked = self.seen.panic.lock().unwrap().take();
        if let Some(panicked) = panicked
            && !std::thread::panicking()
        {
            panic!("a target's script panicked: {panicked}");
        }
    }
}

impl Connection {
    /// A whole request, noted as received.
    pub fn request(&mut self) -> io::Result<Message> {
        let request = self.wire.request()?;
        self.note(&request);
        Ok(request)
    }

    /// A request's head only, noted as received.
    pub fn request_head(&mut self) -> io::Result<Message> {
        let request = self.wire.head()?;
        self.note(&request);
        Ok(request)
    }

    fn note(&self, request: &Message) {
        self.seen.requests.lock().unwrap().push(request.clone());
    }

    /// The connection will end with a reset when the script does.
    pub fn reset_at_end(&mut self) {
        reset_on_drop(self.wire.stream());
    }
}

impl Deref for Connection {
    type Target = Wire<TcpStream>;

    fn deref(&self) -> &Wire<TcpStream> {
        &self.wire
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Wire<TcpStream> {
        &mut self.wire
    }
}

/// An address that refuses connections for as long as this lives: bound, so that nobody else can have it, and not
/// listening.
pub struct Refusing {
    pub address: SocketAddr,
    _bound: socket2::Socket,
}

impl Refusing {
    pub fn new() -> Self {
        let socket = bound_socket();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self {
            address,
            _bound: socket,
        }
    }
}

/// An address where connecting takes for ever: it listens, nobody accepts, and its queue is full.
pub struct Unreachable {
    pub address: SocketAddr,
    _listening: socket2::Socket,
    _queued: Vec<socket2::Socket>,
}

impl Unreachable {
    pub fn new() -> Self {
        let listening = bound_socket();
        listening.listen(0).unwrap();
        let address = listening.local_addr().unwrap();
        let queued = (0..4).map(|_| {
            let client = socket2::Socket::new(
                socket2::Domain::IPV4,
                socket2::Type::STREAM,
                Some(socket2::Protocol::TCP),
            );
            let client = client.unwrap();
            client.set_nonblocking(true).unwrap();
            // In progress for as long as the queue is full.
            let _ = client.connect(&address);
            client
        });
        Self {
            address: address.as_socket().unwrap(),
            _queued: queued.collect(),
            _listening: listening,
        }
    }
}

fn bound_socket() -> socket2::Socket {
    let socket = socket2::Socket::new(
        socket2::Domain::IPV4,
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    );
    let socket = socket.unwrap();
    let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&address.into()).unwrap();
    socket
}

/// Where health checks go when a test is not about them: always well, and never in a target's way.
pub fn health_port() -> u16 {
    static ANSWERING: OnceLock<Target> = OnceLock::new();
    ANSWERING
        .get_or_init(|| Target::saying("well"))
        .address
        .port()
}
