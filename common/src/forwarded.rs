//! The headers in which one hop tells the next who the client was: written by the proxy, read by the app server. Values
//! only; which header lines exist and whether to believe them is decided by the callers.

use std::net::IpAddr;

use ipnet::IpNet;

/// Who the client is, seen from here: the peer, or, while that is a trusted proxy, the address it names before itself.
///
/// Walks the list from the right and stops at the first address that is not trusted, or at text that is no address: what
/// stands left of it could have been written by anybody.
pub fn client_address<'a>(
    peer: IpAddr,
    forwarded_for: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &[IpNet],
) -> IpAddr {
    let mut client = peer.to_canonical();
    for hop in forwarded_for.rev().flat_map(|line| line.rsplit(',')) {
        if !is_trusted(client, trusted) {
            break;
        }
        match parse_hop(hop.trim()) {
            Some(address) => client = address,
            None => break,
        }
    }
    client
}

/// Whether forwarding headers of this peer may be believed.
pub fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

/// `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]`, `[::1]:80`.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    if let Ok(address) = hop.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let host = match hop.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None => hop.rsplit_once(':')?.0,
    };
    host.parse::<IpAddr>()
        .ok()
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_client_behind_trusted_proxies() {
        let trusted: Vec<IpNet> = vec![
            "127.0.0.0/8".parse().unwrap(),
            "10.0.0.0/8".parse().unwrap(),
        ];
        for (peer, lines, expected) in [
            ("203.0.113.9", vec!["1.1.1.1"], "203.0.113.9"),
            ("127.0.0.1", vec![], "127.0.0.1"),
            ("127.0.0.1", vec!["198.51.100.7"], "198.51.100.7"),
            (
                "127.0.0.1",
                vec!["6.6.6.6, 198.51.100.7, 10.1.1.1"],
                "198.51.100.7",
            ),
            (
                "127.0.0.1",
                vec!["6.6.6.6", "198.51.100.7", "10.1.1.1"],
                "198.51.100.7",
            ),
            ("127.0.0.1", vec!["10.2.2.2, 10.1.1.1"], "10.2.2.2"),
            ("127.0.0.1", vec!["6.6.6.6, nonsense, 10.1.1.1"], "10.1.1.1"),
            ("127.0.0.1", vec!["198.51.100.7:4711"], "198.51.100.7"),
            ("127.0.0.1", vec!["[2001:db8::1]:4711"], "2001:db8::1"),
            ("127.0.0.1", vec!["2001:db8::1"], "2001:db8::1"),
            ("::ffff:127.0.0.1", vec!["198.51.100.7"], "198.51.100.7"),
        ] {
            let client = client_address(address(peer), lines.iter().copied(), &trusted);
            assert_eq!(client, address(expected), "{peer} {lines:?}");
        }
    }
}
