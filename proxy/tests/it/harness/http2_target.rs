//! Targets that speak HTTP/2 from the first byte: hyper's server, on a thread of its own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::HeaderMap;
use http::{Request, Response, request};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::{Notify, mpsc, oneshot};

use super::http2::{Body, full};

pub type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

pub struct Http2Target {
    pub address: SocketAddr,
    seen: Arc<Seen>,
    _stop: oneshot::Sender<()>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<request::Parts>>,
    open: AtomicUsize,
    /// Connections are to take no new requests.
    go_away: Notify,
    /// Connections are to break.
    break_off: Notify,
}

impl Http2Target {
    pub fn answering(answer: impl Fn(Request<Incoming>) -> Answer + Send + Sync + 'static) -> Self {
        Self::with_streams(200, answer)
    }

    /// Takes that many requests at once on a connection.
    pub fn with_streams(
        most: u32,
        answer: impl Fn(Request<Incoming>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        let (shared, answer) = (Arc::clone(&seen), Arc::new(answer));
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let accepting = async {
                    loop {
                        let (stream, _) = listener.accept().await.unwrap();
                        let (seen, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                        tokio::spawn(serve(stream, most, seen, answer));
                    }
                };
                tokio::select! {
                    () = accepting => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            seen,
            _stop: stop,
        }
    }

    /// Answers everything with this text.
    pub fn saying(text: &'static str) -> Self {
        Self::answering(move |_| Box::pin(async move { Response::new(full(text)) }))
    }

    pub fn requests(&self) -> Vec<request::Parts> {
        self.seen.requests.lock().unwrap().clone()
    }

    pub fn open_connections(&self) -> usize {
        self.seen.open.load(SeqCst)
    }

    /// Says on every connection that no more requests are taken there.
    pub fn go_away(&self) {
        self.seen.go_away.notify_waiters();
    }

    /// Every connection ends without a word.
    pub fn break_off(&self) {
        self.seen.break_off.notify_waiters();
    }
}

async fn serve(
    stream: tokio::net::TcpStream,
    most: u32,
    seen: Arc<Seen>,
    answer: Arc<impl Fn(Request<Incoming>) -> Answer + Send + Sync + 'static>,
) {
    seen.open.fetch_add(1, SeqCst);
    let noting = Arc::clone(&seen);
    let service = service_fn(move |request: Request<Incoming>| {
        let (parts, body) = request.into_parts();
        noting.requests.lock().unwrap().push(parts.clone());
        let answering = answer(Request::from_parts(parts, body));
        async move { Ok::<_, Infallible>(answering.await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(most)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    loop {
        tokio::select! {
            _ = connection.as_mut() => break,
            () = seen.go_away.notified() => connection.as_mut().graceful_shutdown(),
            () = seen.break_off.notified() => break,
        }
    }
    seen.open.fetch_sub(1, SeqCst);
}

/// A response that grows as its sender sends, and ends with these trailers.
pub fn growing_with_trailers(trailers: HeaderMap) -> (mpsc::Sender<Bytes>, Body) {
    let (sender, receiver) = mpsc::channel::<Bytes>(1);
    let pieces = futures_util::stream::unfold(
        (receiver, Some(trailers)),
        |(mut receiver, mut trailers)| async {
            match receiver.recv().await {
                Some(piece) => Some((Ok(Frame::data(piece)), (receiver, trailers))),
                None => Some((Ok(Frame::trailers(trailers.take()?)), (receiver, None))),
            }
        },
    );
    (sender, StreamBody::new(pieces).boxed())
}
