//! What the user asks for, and the plan that comes of it: checked once, then fixed for the whole run. Opening connections
//! and sending requests are not here.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};

use super::target;
use crate::client::endpoint::Endpoint;
use crate::client::exchange::{Expectation, Template};
use crate::schedule::Schedule;

const AFTER_HELP: &str = "\
Only answers that pass every check count: the status, and a body as long as its Content-Length or, where there is none,
as long as the first such answer's. Without --rate the loop is closed: each client waits for its answer before it asks
again. With --rate latency counts from when a request was due (coordinated omission is accounted for).

Exit codes: 0 every request was answered, 1 some were not, 2 could not start.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Options {
    /// http:// or https://, on this machine or in a private network
    url: Uri,
    /// Connections, kept open as long as the server lets them be
    #[arg(short, long, value_name = "N", default_value = "64")]
    connections: NonZeroUsize,
    /// How long requests are started; those under way then are waited for
    #[arg(short, long, value_name = "SECONDS", default_value = "10")]
    duration: NonZeroU32,
    /// Open loop: requests a second, evenly spaced over all connections
    #[arg(short, long, value_name = "R")]
    rate: Option<NonZeroU32>,
    /// A request that takes longer has failed
    #[arg(long, value_name = "SECONDS", default_value = "30")]
    timeout: NonZeroU32,
    /// Threads; connections are shared out among them
    #[arg(long, value_name = "N", default_value = "1")]
    threads: NonZeroUsize,
    /// HTTP/2 (over TLS, by ALPN) instead of HTTP/1.1
    #[arg(long)]
    http2: bool,
    /// Requests at a time on one HTTP/2 connection
    #[arg(long, value_name = "N", default_value = "1", requires = "http2")]
    streams: NonZeroUsize,
    /// Trust the authorities in this PEM file, and no others
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    cacert: Option<PathBuf>,
    /// Take any certificate
    #[arg(short = 'k', long)]
    insecure: bool,
    /// GET, or POST if there is a body
    #[arg(short = 'X', long)]
    method: Option<Method>,
    /// A header of every request; may be given several times, Host too
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Send a body of this many bytes
    #[arg(long, value_name = "BYTES", default_value = "0")]
    body_size: usize,
    /// The one status that counts; otherwise every 2xx and 3xx does
    #[arg(long, value_name = "CODE")]
    expect_status: Option<StatusCode>,
    /// Answers without a Content-Length may differ in length
    #[arg(long)]
    any_length: bool,
    /// The report as JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Allow a public address; you must have the permission of whoever runs it
    #[arg(long)]
    i_own_this_host: bool,
}

fn header(text: &str) -> anyhow::Result<(HeaderName, HeaderValue)> {
    let (name, value) = text
        .split_once(':')
        .context("a header is written 'name: value'")?;
    Ok((
        name.trim().parse().context("not a header name")?,
        value.trim().parse().context("not a header value")?,
    ))
}

/// What is going to happen.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) url: Uri,
    pub(super) endpoint: Endpoint,
    pub(super) template: Template,
    pub(super) expectation: Expectation,
    pub(super) connections: usize,
    /// Requests at a time on one connection.
    pub(super) streams: usize,
    pub(super) threads: usize,
    pub(super) duration: Duration,
    pub(super) timeout: Duration,
    pub(super) rate: Option<NonZeroU32>,
}

impl Plan {
    pub(super) fn new(options: &Options) -> anyhow::Result<Self> {
        let seconds = |seconds: NonZeroU32| Duration::from_secs(seconds.get().into());
        let connections = options.connections.get();
        let threads = options.threads.get();
        if threads > connections {
            bail!(
                "{threads} threads have no use for {connections} connections: use more --connections or fewer --threads"
            );
        }
        let endpoint = target::endpoint(
            &options.url,
            options.http2,
            options.cacert.as_deref(),
            options.insecure,
            options.i_own_this_host,
        )?;
        let method = options.method.clone().unwrap_or(match options.body_size {
            0 => Method::GET,
            _ => Method::POST,
        });
        Ok(Self {
            template: Template::new(
                &options.url,
                options.http2,
                method,
                &options.headers,
                options.body_size,
            )?,
            expectation: Expectation::new(options.expect_status, options.any_length),
            url: options.url.clone(),
            endpoint,
            connections,
            streams: options.streams.get(),
            threads,
            duration: seconds(options.duration),
            timeout: seconds(options.timeout),
            rate: options.rate,
        })
    }

    /// Connections of one thread: as equal as whole numbers allow.
    pub(super) fn share(&self, thread: usize) -> usize {
        self.connections / self.threads + usize::from(thread < self.connections % self.threads)
    }

    /// When the requests of one thread are due; `None` in a closed loop.
    pub(super) fn schedule(&self, thread: usize) -> Option<Schedule> {
        self.rate
            .map(|rate| Schedule::new(rate, self.duration, thread as u64, self.threads as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_curl_reads_them() {
        let (name, value) = header("X-Test:  a: b ").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-test", "a: b"));
        for bad in ["no colon", "bad name: x", "x: a\nb", ": x"] {
            assert!(header(bad).is_err(), "{bad:?}");
        }
    }
}
