//! The requests that are counted: in rounds, one request at a time on each connection or stream, the next round when all
//! of them are answered, so that two runs do the same things in the same order.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::future::try_join_all;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use rustls::pki_types::ServerName;

use super::proxy::Proxy;
use crate::client::endpoint::Endpoint;
use crate::client::exchange::{self, Expectation, Template};
use crate::client::failure::Failure;
use crate::client::link::Link;
use crate::compare::tls;
use crate::compare::workload::{Protocol, Workload};

/// A request may take so long under valgrind.
const PATIENCE: Duration = Duration::from_secs(60);
const READY_POLL: Duration = Duration::from_millis(500);
const READY_POLLS: usize = 60;

/// Fails with the first request that is not answered as it should be.
pub(super) fn run(
    workload: &Workload,
    requests: usize,
    proxy: &Proxy,
    authority: &Path,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot make a runtime")?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        ready(proxy).await?;
        send(workload, requests, proxy, authority).await
    })
}

/// Nearly always at once: the first health checks are over.
async fn ready(proxy: &Proxy) -> anyhow::Result<()> {
    let endpoint = Endpoint::new(proxy.admin, None, false);
    let template = Template::new(
        &Uri::from_static("http://localhost/ready"),
        false,
        Method::GET,
        &[],
        0,
    )?;
    let expectation = Expectation::new(Some(StatusCode::OK), true);
    let link = Link::default();
    let mut polls = 0;
    loop {
        match exchange::exchange(&link, &endpoint, &template, &expectation, PATIENCE).await {
            Ok(_) => return Ok(()),
            Err(Failure::Status(_)) if polls < READY_POLLS => polls += 1,
            Err(failure) => bail!("the proxy does not become ready: {failure}"),
        }
        tokio::time::sleep(READY_POLL).await;
    }
}

async fn send(
    workload: &Workload,
    requests: usize,
    proxy: &Proxy,
    authority: &Path,
) -> anyhow::Result<()> {
    let is_http2 = workload.protocol == Protocol::Http2;
    let tls = if workload.protocol.is_encrypted() {
        let config = tls::client_config(authority, workload.protocol)?;
        Some((config, ServerName::try_from("localhost")?))
    } else {
        None
    };
    let endpoint = Endpoint::new(proxy.address, tls, is_http2);
    let headers = workload
        .request
        .headers()
        .into_iter()
        .map(|(name, value)| Ok((HeaderName::try_from(name)?, HeaderValue::try_from(value)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let url: Uri = workload.request.url().parse()?;
    let template = Template::new(&url, is_http2, Method::GET, &headers, 0)?;
    let expectation = Expectation::of_content(workload.request.content());
    let links: Vec<Link> = std::iter::repeat_with(Link::default)
        .take(workload.connections)
        .collect();
    let mut left = requests;
    while left > 0 {
        let round = left.min(workload.connections * workload.streams);
        let exchanges = links
            .iter()
            .cycle()
            .take(round)
            .map(|link| exchange::exchange(link, &endpoint, &template, &expectation, PATIENCE));
        if let Err(failure) = try_join_all(exchanges).await {
            bail!("a request failed: {failure}");
        }
        left -= round;
    }
    if links.iter().any(|link| link.opened() != 1) {
        bail!("the proxy has closed connections");
    }
    Ok(())
}
