//! Which addresses and ports are free. Asked before anything is started, because an error of one process is easier to
//! read than that of one of five.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use crate::failure::Failure;
use crate::options::UpOptions;

/// The addresses that the proxy listens on: those asked for, each once, else the loopback ones that this machine has.
pub(crate) fn listen_addresses(asked: &[IpAddr]) -> Vec<IpAddr> {
    if !asked.is_empty() {
        return apart(asked);
    }
    // Browsers try ::1 first for localhost.
    let v6 = IpAddr::from(Ipv6Addr::LOCALHOST);
    let mut addresses = vec![IpAddr::from(Ipv4Addr::LOCALHOST)];
    if TcpListener::bind((v6, 0)).is_ok() {
        addresses.push(v6);
    }
    addresses
}

/// Without those named before, and those that 0.0.0.0 or :: includes: a second socket could not have the same port.
fn apart(asked: &[IpAddr]) -> Vec<IpAddr> {
    let includes = |all: &IpAddr, one: &IpAddr| {
        all.is_unspecified() && !one.is_unspecified() && all.is_ipv4() == one.is_ipv4()
    };
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in asked {
        if !addresses.contains(address) && !asked.iter().any(|all| includes(all, address)) {
            addresses.push(*address);
        }
    }
    addresses
}

/// Fails with the first port that cannot be had.
pub(crate) fn check(options: &UpOptions, addresses: &[IpAddr]) -> Result<(), Failure> {
    let admin = [IpAddr::from(Ipv4Addr::LOCALHOST)];
    let wanted = [
        (options.http_port, "--http-port", addresses),
        (options.https_port, "--https-port", addresses),
        (options.admin_port, "--admin-port", &admin),
    ];
    for (index, (port, flag, _)) in wanted.iter().enumerate() {
        if let Some((_, other, _)) = wanted[..index].iter().find(|(earlier, ..)| earlier == port) {
            return Err(Failure::Input(format!(
                "{other} and {flag} are both {port}; give each a port of its own"
            )));
        }
    }
    for (port, flag, addresses) in wanted {
        for &address in addresses {
            let address = SocketAddr::new(address, port);
            if let Err(error) = TcpListener::bind(address) {
                return Err(Failure::Start(explain(address, flag, &error)));
            }
        }
    }
    Ok(())
}

fn explain(address: SocketAddr, flag: &str, error: &io::Error) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {port} on {} is taken; end the program that listens there (ss -ltnp 'sport = :{port}') or choose another port with {flag}",
            address.ip()
        ),
        io::ErrorKind::PermissionDenied => {
            format!("this user may not listen on port {port}; choose one above 1023 with {flag}")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!(
                "this machine has no address {}; choose another with --listen",
                address.ip()
            )
        }
        _ => format!("cannot listen on {address}: {error}; choose another port with {flag}"),
    }
}

/// `count` ports on 127.0.0.1 that are free now, the lowest from `base` on, so that they are mostly the same at every
/// start. `avoid` are those that somebody else is about to take.
pub(crate) fn choose(base: u16, count: usize, avoid: &[u16]) -> Result<Vec<u16>, Failure> {
    let free = |port: &u16| {
        !avoid.contains(port) && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()
    };
    let ports: Vec<u16> = (base..=u16::MAX).filter(free).take(count).collect();
    if ports.len() < count {
        return Err(Failure::Start(format!(
            "no {count} free ports on 127.0.0.1 from {base} on; end programs that listen there"
        )));
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_is_listened_on_twice() {
        for (asked, listened) in [
            (&["127.0.0.1", "127.0.0.1"][..], &["127.0.0.1"][..]),
            (&["127.0.0.1", "0.0.0.0", "::1"], &["0.0.0.0", "::1"]),
            (&["::", "::1", "::", "0.0.0.0"], &["::", "0.0.0.0"]),
            (&["10.0.0.1", "10.0.0.2"], &["10.0.0.1", "10.0.0.2"]),
        ] {
            let asked: Vec<IpAddr> = asked.iter().map(|text| text.parse().unwrap()).collect();
            let addresses: Vec<String> = listen_addresses(&asked)
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(addresses, listened, "{asked:?}");
        }
    }

    #[test]
    fn ports_that_are_taken_or_promised_are_passed_over() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let base = taken.local_addr().unwrap().port();
        if base > u16::MAX - 100 {
            return; // too near the end to find three more
        }
        let chosen = choose(base, 2, &[base + 1]).unwrap();
        assert!(
            chosen.iter().all(|&port| port > base + 1),
            "{chosen:?} from {base}"
        );
        assert!(chosen[0] < chosen[1]);
    }

    #[test]
    fn running_out_of_ports_is_an_error() {
        assert!(choose(u16::MAX, 2, &[]).is_err());
    }

    #[test]
    fn every_cause_has_its_advice() {
        let address = SocketAddr::from(([127, 0, 0, 1], 443));
        let cases = [
            (io::ErrorKind::AddrInUse, "is taken"),
            (io::ErrorKind::PermissionDenied, "above 1023"),
            (io::ErrorKind::AddrNotAvailable, "--listen"),
            (io::ErrorKind::Other, "--https-port"),
        ];
        for (kind, advice) in cases {
            let text = explain(address, "--https-port", &kind.into());
            assert!(
                text.contains(advice) && text.contains("443")
                    || kind == io::ErrorKind::AddrNotAvailable,
                "{text}"
            );
        }
    }
}
