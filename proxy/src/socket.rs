//! Listening sockets: one a worker on the same port, and certainty that the port is ours alone.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait for `accept`; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// `count` sockets that share the address. Port 0 takes a free one, the same for all.
///
/// With `SO_REUSEPORT` a second program could silently take half of the connections, so a socket without it must be able
/// to bind first; except on a port that is `ours` already, under another address that this one overlaps.
pub(crate) fn listen(
    address: SocketAddr,
    count: usize,
    ours: bool,
) -> io::Result<Vec<TcpListener>> {
    match bind(address, false) {
        Ok(probe) => drop(probe),
        Err(error) if ours && error.kind() == io::ErrorKind::AddrInUse => {}
        Err(error) => return Err(error),
    }
    let mut address = address;
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = bind(address, true)?;
        socket.listen(BACKLOG)?;
        let socket = TcpListener::from(socket);
        address = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok(sockets)
}

fn bind(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    // Connections of an earlier run that are still closing do not count as a user of the port.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_shared_among_ourselves_only() {
        let sockets = listen("127.0.0.1:0".parse().unwrap(), 3, false).unwrap();
        let address = sockets[0].local_addr().unwrap();
        assert!(
            sockets
                .iter()
                .all(|socket| socket.local_addr().unwrap() == address)
        );
        let taken = listen(address, 1, false).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop(sockets);
        assert!(listen(address, 1, false).is_ok());
    }

    #[test]
    fn a_port_of_ours_can_be_had_under_an_overlapping_address() {
        for (one, other) in [("127.0.0.1:0", "0.0.0.0:0"), ("0.0.0.0:0", "127.0.0.1:0")] {
            let sockets = listen(one.parse().unwrap(), 2, false).unwrap();
            let mut other: SocketAddr = other.parse().unwrap();
            other.set_port(sockets[0].local_addr().unwrap().port());
            let taken = listen(other, 2, false).unwrap_err();
            assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
            assert_eq!(listen(other, 2, true).unwrap().len(), 2);
        }
    }

    #[test]
    fn what_somebody_else_has_is_not_ours_whatever_we_think() {
        let somebody = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = somebody.local_addr().unwrap();
        let taken = listen(address, 1, true).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }
}
