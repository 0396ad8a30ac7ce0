//! What is asked of every proxy: a list, one entry a workload, as the reports name them.

use std::num::NonZeroU32;

use serde::Serialize;

use super::request::Request;
use super::rules::Conditions;

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// For where there is little room.
    pub(crate) short: &'static str,
    pub(crate) title: &'static str,
    pub(crate) kind: Kind,
    pub(crate) protocol: Protocol,
    pub(crate) connections: usize,
    /// Requests at a time on each connection.
    pub(crate) streams: usize,
    pub(crate) request: Request,
    pub(crate) lifetime: Lifetime,
    /// Requests a second, evenly spaced; `None`: a closed loop, as fast as answers come.
    pub(crate) rate: Option<NonZeroU32>,
}

/// What is done with the clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// They ask, and what that costs is measured.
    Load,
    /// The same, of ourselves with and without an access log.
    AccessLog,
    /// The same, of ourselves with one rule and with a hundred.
    Rules(Conditions),
    /// They ask the whole application: app servers and a database.
    WholePath,
    /// Each asks once and stays, and what that takes of memory is measured.
    Idle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Protocol {
    Http,
    /// HTTP/1.1 over TLS.
    Https,
    /// Over TLS.
    Http2,
}

/// Of a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Lifetime {
    Kept,
    /// One request; with TLS, after a full handshake.
    OneRequest,
    /// One request; the TLS session is that of the connection before.
    OneRequestResumed,
}

/// What a cost is given in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    MicrosecondsPerRequest,
    MillisecondsPerGibibyte,
    KibibytesPerConnection,
}

/// A hundred rules beside one.
const RULES: Workload = Workload {
    kind: Kind::Rules(Conditions::AllKinds),
    request: Request::Routed,
    ..BASE
};

const RATE: NonZeroU32 = NonZeroU32::new(4000).expect("it is not zero");

/// What most workloads are like.
const BASE: Workload = Workload {
    name: "",
    short: "",
    title: "",
    kind: Kind::Load,
    protocol: Protocol::Http,
    connections: 64,
    streams: 1,
    request: Request::Get("/small"),
    lifetime: Lifetime::Kept,
    rate: None,
};

/// All of them, in the order in which they run.
pub(crate) static WORKLOADS: [Workload; 24] = [
    Workload {
        name: "W1",
        short: "HTTP, small",
        title: "HTTP/1.1 keep-alive, GET of 128 bytes, 64 connections",
        ..BASE
    },
    Workload {
        name: "W2",
        short: "HTTPS, small",
        title: "HTTPS (TLS 1.3) HTTP/1.1 keep-alive, GET of 128 bytes, 64 connections",
        protocol: Protocol::Https,
        ..BASE
    },
    Workload {
        name: "W3",
        short: "HTTP/2, small",
        title: "HTTP/2 over TLS 1.3 to HTTP/1.1 targets, GET of 128 bytes, 16 connections of 32 streams",
        protocol: Protocol::Http2,
        connections: 16,
        streams: 32,
        ..BASE
    },
    Workload {
        name: "W4",
        short: "HTTP, 1 MiB down",
        title: "HTTP/1.1, GET of 1 MiB, 16 connections",
        connections: 16,
        request: Request::Get("/large"),
        ..BASE
    },
    Workload {
        name: "W4S",
        short: "HTTPS, 1 MiB down",
        title: "HTTPS (TLS 1.3) HTTP/1.1, GET of 1 MiB, 16 connections",
        protocol: Protocol::Https,
        connections: 16,
        request: Request::Get("/large"),
        ..BASE
    },
    Workload {
        name: "W5",
        short: "full handshake",
        title: "a new HTTPS connection for each request, full TLS 1.3 handshake, 32 at a time",
        protocol: Protocol::Https,
        connections: 32,
        lifetime: Lifetime::OneRequest,
        ..BASE
    },
    Workload {
        name: "W5R",
        short: "resumed handshake",
        title: "a new HTTPS connection for each request, resumed TLS 1.3 session, 32 at a time",
        protocol: Protocol::Https,
        connections: 32,
        lifetime: Lifetime::OneRequestResumed,
        ..BASE
    },
    Workload {
        name: "W6",
        short: "memory, idle HTTP",
        title: "memory of 5,000 idle HTTP/1.1 connections after one request each",
        kind: Kind::Idle,
        connections: 5000,
        ..BASE
    },
    Workload {
        name: "W6S",
        short: "memory, idle HTTPS",
        title: "memory of 5,000 idle HTTPS (TLS 1.3) HTTP/1.1 connections after one request each",
        kind: Kind::Idle,
        protocol: Protocol::Https,
        connections: 5000,
        ..BASE
    },
    Workload {
        name: "W6H",
        short: "memory, idle HTTP/2",
        title: "memory of 1,000 idle HTTP/2 connections after one request each",
        kind: Kind::Idle,
        protocol: Protocol::Http2,
        connections: 1000,
        ..BASE
    },
    Workload {
        name: "W7",
        short: "HTTP, 1 MiB up",
        title: "HTTP/1.1, POST of 1 MiB, 16 connections",
        connections: 16,
        request: Request::Upload,
        ..BASE
    },
    Workload {
        name: "W7S",
        short: "HTTPS, 1 MiB up",
        title: "HTTPS (TLS 1.3) HTTP/1.1, POST of 1 MiB, 16 connections",
        protocol: Protocol::Https,
        connections: 16,
        request: Request::Upload,
        ..BASE
    },
    Workload {
        name: "W8",
        short: "HTTP, 4,000/s",
        title: "open loop, 4,000 requests/s over 32 HTTP/1.1 connections, GET of 128 bytes",
        connections: 32,
        rate: Some(RATE),
        ..BASE
    },
    Workload {
        name: "W8S",
        short: "HTTPS, 4,000/s",
        title: "open loop, 4,000 requests/s over 32 HTTPS (TLS 1.3) HTTP/1.1 connections, GET of 128 bytes",
        protocol: Protocol::Https,
        connections: 32,
        rate: Some(RATE),
        ..BASE
    },
    Workload {
        name: "W9",
        short: "HTTP, browser page",
        title: "HTTP/1.1 as a browser asks (20 headers, 1.5 KiB of cookies), 8 KiB of HTML, 64 connections",
        request: Request::Page,
        ..BASE
    },
    Workload {
        name: "W9S",
        short: "HTTPS, browser page",
        title: "HTTPS (TLS 1.3) HTTP/1.1 as a browser asks (20 headers, 1.5 KiB of cookies), 8 KiB of HTML, 64 connections",
        protocol: Protocol::Https,
        request: Request::Page,
        ..BASE
    },
    Workload {
        name: "W10",
        short: "new connections",
        title: "a new TCP connection for each HTTP/1.1 request, GET of 128 bytes, 32 at a time",
        connections: 32,
        lifetime: Lifetime::OneRequest,
        ..BASE
    },
    Workload {
        name: "W11",
        short: "WebSocket frames",
        title: "WebSocket, frames of 1 KiB there and back, 64 connections",
        request: Request::Frame,
        ..BASE
    },
    Workload {
        name: "W11S",
        short: "WebSocket over TLS",
        title: "WebSocket over TLS 1.3, frames of 1 KiB there and back, 64 connections",
        protocol: Protocol::Https,
        request: Request::Frame,
        ..BASE
    },
    Workload {
        name: "W12",
        short: "whole path",
        title: "the whole path: HTTPS as a browser asks, two app servers, MariaDB, a page of 20 entries, 32 connections",
        kind: Kind::WholePath,
        protocol: Protocol::Https,
        connections: 32,
        request: Request::List,
        ..BASE
    },
    Workload {
        name: "WL",
        short: "access log",
        title: "as W1, ourselves with a JSON access log to a file and without",
        kind: Kind::AccessLog,
        ..BASE
    },
    Workload {
        name: "WRP",
        short: "rules, path and host",
        title: "a GET of 128 bytes matched by the last of 100 rules of paths and hosts, ourselves with that one alone and with all",
        kind: Kind::Rules(Conditions::PathsAndHosts),
        ..RULES
    },
    Workload {
        name: "WRH",
        short: "rules, headers",
        title: "the same with conditions on headers",
        kind: Kind::Rules(Conditions::Headers),
        ..RULES
    },
    Workload {
        name: "WRA",
        short: "rules, all kinds",
        title: "the same with all kinds of conditions",
        ..RULES
    },
];

impl Workload {
    pub(crate) fn unit(&self) -> Unit {
        match (self.kind, self.request) {
            (Kind::Idle, _) => Unit::KibibytesPerConnection,
            (_, Request::Upload | Request::Get("/large")) => Unit::MillisecondsPerGibibyte,
            _ => Unit::MicrosecondsPerRequest,
        }
    }
}

impl Workload {
    pub(crate) fn has_long_bodies(&self) -> bool {
        self.unit() == Unit::MillisecondsPerGibibyte
    }

    /// A relay passes on what it gets, so it knows no TLS; and it opens a connection to a target for each of a client's,
    /// which proxies need not.
    pub(crate) fn has_floor(&self) -> bool {
        matches!(self.kind, Kind::Load | Kind::Idle | Kind::WholePath)
            && !self.protocol.is_encrypted()
            && self.lifetime == Lifetime::Kept
    }
}

impl Protocol {
    pub(crate) fn is_encrypted(self) -> bool {
        self != Self::Http
    }
}

impl Unit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MicrosecondsPerRequest => "CPU us/request",
            Self::MillisecondsPerGibibyte => "CPU ms/GiB",
            Self::KibibytesPerConnection => "KiB/connection",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
        assert_eq!(names.len(), WORKLOADS.len());
    }

    /// The relay, which knows no TLS, and the clients of HTTP/2 rely on it.
    #[test]
    fn streams_and_handshakes_are_where_they_can_be() {
        for workload in &WORKLOADS {
            let http2 = workload.protocol == Protocol::Http2;
            assert!(http2 || workload.streams == 1, "{}", workload.name);
            assert!(
                !http2 || workload.lifetime == Lifetime::Kept,
                "{}",
                workload.name
            );
            let resumes = workload.lifetime == Lifetime::OneRequestResumed;
            assert!(
                workload.protocol.is_encrypted() || !resumes,
                "{}",
                workload.name
            );
        }
    }
}
