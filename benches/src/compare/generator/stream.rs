//! A client's connection, plain or over TLS, and how it is opened: kept, or a new one for each request.

use std::io;
use std::net::SocketAddr;

use rustls::HandshakeKind;
use rustls::client::Resumption;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Load, server_name};
use crate::client::failure::Failure;
use crate::compare::workload::Lifetime;

/// Sessions of one client; it has one at a time, and servers send a few tickets.
const SESSIONS: usize = 8;

/// Opens connections. One a client, because a session is for one client.
pub(super) struct Opener {
    address: SocketAddr,
    tls: Option<TlsConnector>,
    lifetime: Lifetime,
    opened: bool,
}

pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Opener {
    pub(super) fn new(load: &Load) -> Self {
        let lifetime = load.workload.lifetime;
        let tls = load.tls.as_ref().map(|shared| {
            let mut config = (**shared).clone();
            if lifetime == Lifetime::OneRequestResumed {
                config.resumption = Resumption::in_memory_sessions(SESSIONS);
            }
            TlsConnector::from(std::sync::Arc::new(config))
        });
        Self {
            address: load.address,
            tls,
            lifetime,
            opened: false,
        }
    }

    pub(super) async fn open(&mut self) -> Result<Stream, Failure> {
        let stream = self
            .connect()
            .await
            .map_err(|error| Failure::connect(&error))?;
        if let Stream::Tls(stream) = &stream {
            self.check(stream.get_ref().1.handshake_kind())?;
        }
        self.opened = true;
        Ok(stream)
    }

    async fn connect(&self) -> io::Result<Stream> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(match &self.tls {
            None => Stream::Plain(stream),
            Some(tls) => Stream::Tls(Box::new(tls.connect(server_name(), stream).await?)),
        })
    }

    /// The handshake was of the kind that is to be measured; a client's first one must be a full one.
    fn check(&self, kind: Option<HandshakeKind>) -> Result<(), Failure> {
        let resumes = self.opened && self.lifetime == Lifetime::OneRequestResumed;
        match kind {
            Some(HandshakeKind::Resumed) if resumes => Ok(()),
            Some(HandshakeKind::Full) if !resumes => Ok(()),
            _ => Err(Failure::Connect(format!(
                "the handshake was {kind:?}, which is not what was asked for"
            ))),
        }
    }

    pub(super) fn keeps(&self) -> bool {
        self.lifetime == Lifetime::Kept
    }
}

impl Stream {
    /// At least one byte.
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        let read = match self {
            Self::Plain(stream) => stream.read(buffer).await,
            Self::Tls(stream) => stream.read(buffer).await,
        };
        match read {
            Ok(0) => Err(Failure::Broken(
                "the connection ended before the answer did".to_owned(),
            )),
            Ok(length) => Ok(length),
            Err(error) => Err(broken(&error)),
        }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => match stream.write_all(bytes).await {
                Ok(()) => stream.flush().await,
                Err(error) => Err(error),
            },
        };
        written.map_err(|error| broken(&error))
    }

    /// Says so to the other side first.
    pub(super) async fn close(mut self) {
        // Everything that counts has been read.
        let _ = match &mut self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
        };
    }
}

fn broken(error: &io::Error) -> Failure {
    Failure::Broken(error.to_string())
}
