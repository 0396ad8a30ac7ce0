//! A server to send requests to, and how a connection to it is opened.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::failure::Failure;

/// Enough that a large body is never held up by HTTP/2's own flow control.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 1 << 24;

pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    http2: bool,
}

/// An open connection, from the side of whoever sends requests. Its other half is a task.
pub(crate) enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Endpoint {
    pub(crate) fn new(
        address: SocketAddr,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
        http2: bool,
    ) -> Self {
        Self {
            address,
            tls: tls.map(|(config, name)| (TlsConnector::from(config), name)),
            http2,
        }
    }

    pub(crate) fn protocol(&self) -> &'static str {
        match (self.http2, &self.tls) {
            (true, _) => "HTTP/2 over TLS",
            (false, Some(_)) => "HTTP/1.1 over TLS",
            (false, None) => "HTTP/1.1",
        }
    }

    pub(crate) async fn connect(&self) -> Result<Sender, Failure> {
        let stream = self
            .open()
            .await
            .map_err(|error| Failure::connect(&error))?;
        let Some((connector, name)) = &self.tls else {
            return self.handshake(stream).await;
        };
        let stream = connector
            .connect(name.clone(), stream)
            .await
            .map_err(|error| Failure::connect(&error))?;
        if self.http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            let reason = "the server does not offer HTTP/2; leave out --http2";
            return Err(Failure::Connect(reason.to_owned()));
        }
        self.handshake(stream).await
    }

    async fn open(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn handshake<S>(&self, stream: S) -> Result<Sender, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let io = TokioIo::new(stream);
        // The errors of the spawned halves reach whoever waits for an answer.
        if self.http2 {
            let (sender, driver) = http2::Builder::new(LocalExecutor)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .handshake(io)
                .await
                .map_err(|error| Failure::connect(&error))?;
            tokio::task::spawn_local(driver);
            Ok(Sender::Http2(sender))
        } else {
            let (sender, driver) = http1::handshake(io)
                .await
                .map_err(|error| Failure::connect(&error))?;
            tokio::task::spawn_local(driver);
            Ok(Sender::Http1(sender))
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future<Output: 'static> + 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.address, self.protocol())
    }
}
