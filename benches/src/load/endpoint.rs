//! The server under load: its address, which must be the user's own, and how a connection to it is opened.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream as BlockingStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::failure::Failure;
use super::tls;

/// The first connection, which shows that there is a server at all.
const FIRST_CONNECT: Duration = Duration::from_secs(5);

/// Enough that a large body is never held up by HTTP/2's own flow control.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 1 << 24;

pub(super) struct Endpoint {
    pub(super) address: SocketAddr,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    http2: bool,
}

/// An open connection, from the side of whoever sends requests. Its other half is a task.
pub(super) enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Endpoint {
    pub(super) fn new(
        url: &Uri,
        http2: bool,
        authorities: Option<&Path>,
        insecure: bool,
        owned: bool,
    ) -> anyhow::Result<Self> {
        let https = match url.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => bail!("the URL must begin with http:// or https://"),
        };
        let host = url.host().context("the URL names no host")?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if url
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            bail!("a user name in the URL is not sent; use --header 'authorization: ...'");
        }
        if http2 && !https {
            bail!("--http2 is for https:// URLs: the protocol is agreed on in the TLS handshake");
        }
        let tls = if https {
            let config = tls::client_config(authorities, insecure, http2)?;
            let name = ServerName::try_from(host.to_owned())
                .with_context(|| format!("{host} cannot stand in a certificate"))?;
            Some((TlsConnector::from(Arc::new(config)), name))
        } else {
            None
        };
        let port = url.port_u16().unwrap_or(if https { 443 } else { 80 });
        Ok(Self {
            address: find(host, port, owned)?,
            tls,
            http2,
        })
    }

    pub(super) fn protocol(&self) -> &'static str {
        match (self.http2, &self.tls) {
            (true, _) => "HTTP/2 over TLS",
            (false, Some(_)) => "HTTP/1.1 over TLS",
            (false, None) => "HTTP/1.1",
        }
    }

    pub(super) async fn connect(&self) -> Result<Sender, Failure> {
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

/// The first of the host's addresses where a server listens; all of them must be the user's to load.
fn find(host: &str, port: u16, owned: bool) -> anyhow::Result<SocketAddr> {
    let addresses: Vec<SocketAddr> = (host, port)
        .to_socket_addrs()
        .with_context(|| format!("the name {host} is not known"))?
        .collect();
    let public = addresses.iter().find(|address| !is_ours(address.ip()));
    if let (Some(public), false) = (public, owned) {
        bail!(
            "{host} is {}, which is neither on this machine nor in a private network: only load what you may; \
             if it is yours, say --i-own-this-host",
            public.ip()
        );
    }
    let mut refusal = None;
    for address in &addresses {
        match BlockingStream::connect_timeout(address, FIRST_CONNECT) {
            Ok(_) => return Ok(*address),
            Err(error) => refusal = Some((address, error)),
        }
    }
    match refusal {
        Some((address, error)) => Err(error)
            .with_context(|| format!("cannot connect to {address}: is the server running there?")),
        None => bail!("the name {host} has no address"),
    }
}

/// On this machine, on this link or in a private network (RFC 1918, RFC 4193).
fn is_ours(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified()
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.is_unspecified()
        }
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.address, self.protocol())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_addresses_without_being_told() {
        for (address, ours) in [
            ("127.0.0.1", true),
            ("127.8.9.1", true),
            ("10.1.2.3", true),
            ("172.16.0.1", true),
            ("172.32.0.1", false),
            ("192.168.1.1", true),
            ("169.254.0.1", true),
            ("192.0.2.1", false),
            ("8.8.8.8", false),
            ("::1", true),
            ("fd00::1", true),
            ("fe80::1", true),
            ("::ffff:10.0.0.1", true),
            ("::ffff:8.8.8.8", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_ours(address.parse().unwrap()), ours, "{address}");
        }
    }

    #[test]
    fn urls_that_cannot_be_loaded_are_refused_with_the_reason() {
        for (url, http2, reason) in [
            ("/path", false, "must begin with"),
            ("ftp://localhost/", false, "must begin with"),
            ("http://a:b@localhost/", false, "user name"),
            ("http://localhost/", true, "--http2"),
            ("https://localhost/", false, "--cacert"),
            ("http://192.0.2.1/", false, "--i-own-this-host"),
        ] {
            let refused = Endpoint::new(&url.parse().unwrap(), http2, None, false, false);
            let error = refused.unwrap_err().to_string();
            assert!(error.contains(reason), "{url}: {error}");
        }
    }
}
