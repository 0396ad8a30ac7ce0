//! Who asks, and which way the request came: the peer's word, where the peer is a proxy that we
//! trust; else what the connection itself shows.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;
use lintel_common::forwarded;
use lintel_common::server::Connection;

/// Shown in the footer of each page, so that anybody can see the path work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visit {
    pub(crate) client: IpAddr,
    pub(crate) scheme: &'static str,
    pub(crate) trace_id: Option<String>,
    /// Whether a proxy that we trust stands between.
    pub(crate) proxied: bool,
}

impl Visit {
    pub(crate) fn new(headers: &HeaderMap, connection: &Connection, trusted: &[IpNet]) -> Self {
        Self::from_parts(
            headers,
            connection.peer.ip(),
            connection.tls.is_some(),
            trusted,
        )
    }

    fn from_parts(headers: &HeaderMap, peer: IpAddr, tls: bool, trusted: &[IpNet]) -> Self {
        let peer = peer.to_canonical();
        let direct = Self {
            client: peer,
            scheme: if tls { "https" } else { "http" },
            trace_id: None,
            proxied: false,
        };
        if !forwarded::is_trusted(peer, trusted) {
            return direct;
        }
        let forwarded_for = headers.get_all("x-forwarded-for");
        let lines = || forwarded_for.iter().filter_map(|line| line.to_str().ok());
        Self {
            client: forwarded::client_address(peer, lines(), trusted),
            scheme: scheme(headers).unwrap_or(direct.scheme),
            trace_id: trace_id(headers),
            proxied: lines().next().is_some(),
        }
    }
}

/// The last value is the one that the nearest proxy wrote.
fn scheme(headers: &HeaderMap) -> Option<&'static str> {
    let line = headers
        .get_all("x-forwarded-proto")
        .iter()
        .next_back()?
        .to_str()
        .ok()?;
    match line.rsplit(',').next()?.trim() {
        "https" => Some("https"),
        "http" => Some("http"),
        _ => None,
    }
}

/// The `Root` of `X-Amzn-Trace-Id`, as far as it looks like one.
fn trace_id(headers: &HeaderMap) -> Option<String> {
    let line = headers.get("x-amzn-trace-id")?.to_str().ok()?;
    let root = line
        .split(';')
        .find_map(|field| field.trim().strip_prefix("Root="))?;
    let plain = root
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (plain && (1..=64).contains(&root.len())).then(|| root.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "1-67891233-abcdef012345678912345678";

    fn visit(peer: &str, headers: &[(&'static str, &str)]) -> Visit {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let trusted = [
            "127.0.0.0/8".parse().unwrap(),
            "10.0.0.0/8".parse().unwrap(),
        ];
        Visit::from_parts(&map, peer.parse().unwrap(), false, &trusted)
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        for (peer, forwarded_for, proto, client, scheme) in [
            (
                "10.0.0.5",
                Some("203.0.113.7"),
                Some("https"),
                "203.0.113.7",
                "https",
            ),
            (
                "::ffff:10.0.0.5",
                Some("203.0.113.7"),
                Some("https"),
                "203.0.113.7",
                "https",
            ),
            (
                "198.51.100.9",
                Some("203.0.113.7"),
                Some("https"),
                "198.51.100.9",
                "http",
            ),
            (
                "10.0.0.5",
                Some("6.6.6.6, 203.0.113.7, 10.0.0.4"),
                Some("http, https"),
                "203.0.113.7",
                "https",
            ),
            (
                "10.0.0.5",
                Some("6.6.6.6, nonsense"),
                None,
                "10.0.0.5",
                "http",
            ),
            (
                "10.0.0.5",
                Some("2001:db8::1"),
                Some("ftp"),
                "2001:db8::1",
                "http",
            ),
            ("10.0.0.5", None, None, "10.0.0.5", "http"),
        ] {
            let mut headers = Vec::new();
            headers.extend(forwarded_for.map(|value| ("x-forwarded-for", value)));
            headers.extend(proto.map(|value| ("x-forwarded-proto", value)));
            let visit = visit(peer, &headers);
            assert_eq!(
                (visit.client.to_string().as_str(), visit.scheme),
                (client, scheme),
                "{peer} {headers:?}"
            );
        }
    }

    #[test]
    fn the_trace_id_is_the_root() {
        for (value, trace_id) in [
            (format!("Root={ROOT}"), Some(ROOT)),
            (format!("Self=1-x; Root={ROOT};Parent=7"), Some(ROOT)),
            ("Root=<script>".to_owned(), None),
            (format!("Root={}", "a".repeat(65)), None),
            ("Root=".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(
                visit("127.0.0.1", &[("x-amzn-trace-id", &value)])
                    .trace_id
                    .as_deref(),
                trace_id
            );
            assert_eq!(
                visit("192.0.2.1", &[("x-amzn-trace-id", &value)]).trace_id,
                None
            );
        }
    }
}
