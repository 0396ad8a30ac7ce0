//! A server to load: it counts the requests it sees, and misbehaves where it is asked to.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lintel_common::shutdown::{self, Shutdown, ShutdownTrigger};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What it has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) requests: AtomicU64,
    pub(crate) body_bytes: AtomicU64,
    /// On which a request came.
    pub(crate) connections: AtomicU64,
    pub(crate) http2_requests: AtomicU64,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    stop: ShutdownTrigger,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// On a thread of its own, until it is dropped.
    pub(crate) fn start(tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        let (stop, stopping) = shutdown::channel();
        let counts = Arc::clone(&seen);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            tokio::task::LocalSet::new().block_on(&runtime, serve(listener, tls, counts, stopping));
        });
        Self {
            address,
            seen,
            stop,
            thread: Some(thread),
        }
    }

    pub(crate) fn requests(&self) -> u64 {
        self.seen.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.expire();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(
    listener: std::net::TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    seen: Arc<Seen>,
    stopping: Shutdown,
) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted.unwrap(),
            () = stopping.requested() => return,
        };
        let (tls, seen) = (tls.clone(), Arc::clone(&seen));
        tokio::task::spawn_local(async move {
            match tls {
                None => connection(stream, false, seen).await,
                Some(tls) => {
                    let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await else {
                        return;
                    };
                    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    connection(stream, http2, seen).await;
                }
            }
        });
    }
}

async fn connection<S>(stream: S, http2: bool, seen: Arc<Seen>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let used = Rc::new(std::cell::Cell::new(false));
    let service = service_fn(move |request| {
        if !used.replace(true) {
            seen.connections.fetch_add(1, Ordering::Relaxed);
        }
        answer(request, Arc::clone(&seen))
    });
    let io = TokioIo::new(stream);
    // How a connection ends is what the tests look at from the other side.
    if http2 {
        let _ = hyper::server::conn::http2::Builder::new(LocalExecutor)
            .serve_connection(io, service)
            .await;
    } else {
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(io, service)
            .await;
    }
}

async fn answer(
    request: Request<Incoming>,
    seen: Arc<Seen>,
) -> Result<Response<Either<Full<Bytes>, Odd>>, Infallible> {
    let number = seen.requests.fetch_add(1, Ordering::Relaxed);
    if request.version() == http::Version::HTTP_2 {
        seen.http2_requests.fetch_add(1, Ordering::Relaxed);
    }
    let (head, body) = request.into_parts();
    let received = body.collect().await.map_or(0, |body| body.to_bytes().len());
    seen.body_bytes
        .fetch_add(received as u64, Ordering::Relaxed);

    let mut response = Response::new(Either::Left(Full::from("hello, world\n")));
    match head.uri.path() {
        "/close" => {
            let close = http::HeaderValue::from_static("close");
            response.headers_mut().insert("connection", close);
        }
        // Every tenth.
        "/500" if number % 10 == 9 => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
        "/host" if head.headers.get("host").is_none_or(|host| host != "other") => {
            *response.status_mut() = StatusCode::NOT_FOUND;
        }
        "/cut" if number % 10 == 9 => *response.body_mut() = Either::Right(Odd::Cut),
        "/longer" => {
            *response.body_mut() = Either::Right(Odd::Unannounced(number as usize % 2 + 1));
        }
        "/slow" => tokio::time::sleep(Duration::from_millis(20)).await,
        "/never" => std::future::pending().await,
        _ => {}
    }
    Ok(response)
}

/// Bodies that a checking client must not take for good.
enum Odd {
    /// Ends in an error after its first bytes.
    Cut,
    /// So many bytes, without saying so in advance.
    Unannounced(usize),
    Over,
}

impl Body for Odd {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(match std::mem::replace(&mut *self, Self::Over) {
            Self::Cut => Some(Err(std::io::Error::other("cut on purpose"))),
            Self::Unannounced(size) => Some(Ok(Frame::data(Bytes::from(vec![b'x'; size])))),
            Self::Over => None,
        })
    }
}

#[derive(Clone)]
struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future<Output: 'static> + 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
