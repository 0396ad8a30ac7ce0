//! The server under load: found by its URL, and it must be the user's own.

use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use http::Uri;
use rustls::pki_types::ServerName;

use super::tls;
use crate::client::endpoint::Endpoint;

/// The first connection, which shows that there is a server at all.
const FIRST_CONNECT: Duration = Duration::from_secs(5);

pub(super) fn endpoint(
    url: &Uri,
    http2: bool,
    authorities: Option<&Path>,
    insecure: bool,
    owned: bool,
) -> anyhow::Result<Endpoint> {
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
        Some((Arc::new(config), name))
    } else {
        None
    };
    let port = url.port_u16().unwrap_or(if https { 443 } else { 80 });
    Ok(Endpoint::new(find(host, port, owned)?, tls, http2))
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
        match TcpStream::connect_timeout(address, FIRST_CONNECT) {
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
            let refused = endpoint(&url.parse().unwrap(), http2, None, false, false);
            let error = refused.unwrap_err().to_string();
            assert!(error.contains(reason), "{url}: {error}");
        }
    }
}
