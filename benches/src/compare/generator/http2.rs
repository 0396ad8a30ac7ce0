//! A client of HTTP/2, by hyper: what it costs is the same for every proxy.

use http::{HeaderName, HeaderValue, Method};

use super::{Load, TIMEOUT, server_name};
use crate::client::endpoint::Endpoint;
use crate::client::exchange::{Answer, Expectation, Template, exchange};
use crate::client::failure::Failure;
use crate::client::link::Link;

/// Whom to ask what.
pub(super) struct Http2 {
    endpoint: Endpoint,
    template: Template,
    expectation: Expectation,
}

impl Http2 {
    pub(super) fn new(load: &Load) -> anyhow::Result<Self> {
        let request = load.workload.request;
        let mut headers = Vec::new();
        for (name, value) in request.headers() {
            headers.push((
                HeaderName::from_bytes(name.as_bytes())?,
                HeaderValue::from_str(&value)?,
            ));
        }
        let url = request.url().parse()?;
        let tls = load.tls.clone().map(|config| (config, server_name()));
        Ok(Self {
            endpoint: Endpoint::new(load.address, tls, true),
            template: Template::new(&url, true, Method::GET, &headers, 0)?,
            expectation: Expectation::of_content(request.content()),
        })
    }

    pub(super) async fn exchange(&self, link: &Link) -> Result<Answer, Failure> {
        exchange(
            link,
            &self.endpoint,
            &self.template,
            &self.expectation,
            TIMEOUT,
        )
        .await
    }
}
