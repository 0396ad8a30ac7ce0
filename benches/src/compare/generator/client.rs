//! Whoever sends one request after the other: a connection, or a stream of one.

use std::rc::Rc;

use super::http2::Http2;
use super::{Load, http1, websocket};
use crate::client::exchange::Answer;
use crate::client::failure::Failure;
use crate::client::link::Link;
use crate::compare::request::Request;
use crate::compare::workload::Protocol;

pub(super) enum Client {
    Http1(http1::Client),
    Http2(Rc<Http2>, Rc<Link>),
    WebSocket(Box<websocket::Client>),
}

impl Client {
    /// Those of so many connections.
    pub(super) fn all(load: &Load, connections: usize) -> anyhow::Result<Vec<Self>> {
        let workload = load.workload;
        if workload.protocol == Protocol::Http2 {
            let target = Rc::new(Http2::new(load)?);
            let links = std::iter::repeat_with(Rc::<Link>::default).take(connections);
            return Ok(links
                .flat_map(|link| std::iter::repeat_n(link, workload.streams))
                .map(|link| Self::Http2(Rc::clone(&target), link))
                .collect());
        }
        if workload.request == Request::Frame {
            let client = || Self::WebSocket(Box::new(websocket::Client::new(load)));
            return Ok(std::iter::repeat_with(client).take(connections).collect());
        }
        let target = Rc::new(http1::Target::new(load));
        let client = || Self::Http1(http1::Client::new(load, Rc::clone(&target)));
        Ok(std::iter::repeat_with(client).take(connections).collect())
    }

    pub(super) async fn exchange(&mut self) -> Result<Answer, Failure> {
        match self {
            Self::Http1(client) => client.exchange().await,
            Self::Http2(target, link) => target.exchange(link).await,
            Self::WebSocket(client) => client.exchange().await,
        }
    }
}
