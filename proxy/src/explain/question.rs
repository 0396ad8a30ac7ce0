//! The request that is asked about, as the proxy would read it from a client.

use std::net::{IpAddr, Ipv4Addr};

use crate::http1::{Malformed, RequestHead};

/// What the command line says of the request.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// The request's method
    #[arg(short = 'X', long, value_name = "METHOD", default_value = "GET")]
    method: String,
    /// A header of the request, `Name: value`; may be given several times
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// The client's address
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    from: IpAddr,
    /// As a client would be given it: http://HOST[:PORT]/PATH or https://...
    url: String,
}

#[derive(Debug)]
pub(super) struct Question {
    pub(super) https: bool,
    /// Of the URL, without its port: which listener, if an address decides.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) head: RequestHead,
    pub(super) from: IpAddr,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadQuestion {
    #[error("`{0}` is not a URL; write http://HOST/PATH or https://HOST/PATH")]
    Url(String),
    #[error("`{0}` is not a header; write 'Name: value'")]
    Header(String),
    #[error(
        "this is no request that the proxy could read ({0}); change the method, the URL or the headers"
    )]
    Request(#[from] Malformed),
}

impl Question {
    pub(super) fn new(arguments: &Arguments) -> Result<Self, BadQuestion> {
        let bad_url = || BadQuestion::Url(arguments.url.clone());
        let url = arguments.url.split('#').next().unwrap_or_default();
        let (scheme, rest) = url.split_once("://").ok_or_else(bad_url)?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(bad_url()),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if !crate::rule::is_host(authority) {
            return Err(bad_url());
        }
        let host = crate::rule::without_port(authority);
        let port = match authority[host.len()..].strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| bad_url())?,
            None if https => 443,
            None => 80,
        };
        Ok(Self {
            https,
            host: host.to_owned(),
            port,
            head: head(arguments, authority, target)?,
            from: arguments.from,
        })
    }
}

fn head(arguments: &Arguments, authority: &str, target: &str) -> Result<RequestHead, BadQuestion> {
    let slash = if target.starts_with('/') { "" } else { "/" };
    let mut lines = vec![format!("{} {slash}{target} HTTP/1.1", arguments.method)];
    let mut has_host = false;
    for header in &arguments.headers {
        let is_line = !header.contains(['\r', '\n']);
        let (name, value) = header
            .split_once(':')
            .filter(|_| is_line)
            .ok_or_else(|| BadQuestion::Header(header.clone()))?;
        has_host |= name.eq_ignore_ascii_case("host");
        lines.push(format!("{name}: {}", value.trim()));
    }
    if !has_host {
        lines.push(format!("Host: {authority}"));
    }
    let text = lines.join("\r\n") + "\r\n\r\n";
    match RequestHead::read(text.as_bytes())? {
        Some((head, length)) if length == text.len() => Ok(head),
        _ => Err(BadQuestion::Url(arguments.url.clone())),
    }
}
