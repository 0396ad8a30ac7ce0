//! A foreign HTTP/2 client over TLS: hyper's.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;

use super::tls;

pub type Body = BoxBody<Bytes, io::Error>;

pub struct Http2 {
    pub sender: SendRequest<Body>,
    /// Ends when the connection does.
    pub driver: JoinHandle<hyper::Result<()>>,
}

impl Http2 {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::connect_with_window(address, 1024 * 1024).await
    }

    /// As a client that shows a certificate.
    pub async fn connect_showing(address: SocketAddr, identity: &tls::Identity) -> Self {
        let config = tls::client_config_as(identity, &["h2"]);
        let stream = connect_with(address, config).await;
        let (sender, driver) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        Self {
            sender,
            driver: tokio::spawn(driver),
        }
    }

    /// `window`: bytes of a response that may be on their way without having been read.
    pub async fn connect_with_window(address: SocketAddr, window: u32) -> Self {
        let (sender, driver) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(window)
            .handshake(TokioIo::new(connect(address).await))
            .await
            .unwrap();
        Self {
            sender,
            driver: tokio::spawn(driver),
        }
    }

    pub async fn get(&self, path: &str) -> (u16, Bytes) {
        whole(self.send(request("GET", path, empty())).await.unwrap()).await
    }

    pub async fn get_owned(&self, path: String) -> (u16, Bytes) {
        self.get(&path).await
    }

    pub async fn send(&self, request: Request<Body>) -> hyper::Result<Response<Incoming>> {
        let mut sender = self.sender.clone();
        sender.ready().await?;
        sender.send_request(request).await
    }
}

/// A connection on which both sides are to speak HTTP/2.
pub async fn connect(address: SocketAddr) -> TlsStream<TcpStream> {
    connect_with(address, tls::client_config(&["h2", "http/1.1"])).await
}

async fn connect_with(
    address: SocketAddr,
    config: Arc<rustls::ClientConfig>,
) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("example.com").unwrap();
    let connector = tokio_rustls::TlsConnector::from(config);
    let stream = connector.connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    stream
}

pub fn request(method: &str, path: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(format!("https://example.com{path}"))
        .body(body)
        .unwrap()
}

pub async fn whole(response: Response<Incoming>) -> (u16, Bytes) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap();
    (status, body.to_bytes())
}

pub fn empty() -> Body {
    full(Bytes::new())
}

pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed()
}

/// A body that grows as the test sends, and ends when it drops the sender.
pub fn growing() -> (mpsc::Sender<Bytes>, Body) {
    let (sender, receiver) = mpsc::channel::<Bytes>(1);
    let pieces = futures_util::stream::unfold(receiver, |mut receiver| async {
        let piece = receiver.recv().await?;
        Some((Ok(Frame::data(piece)), receiver))
    });
    (sender, StreamBody::new(pieces).boxed())
}
