//! Free ports of the loopback address for programs that must be told theirs before they start.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::Context as _;

/// Below those that the system hands out to outgoing connections, of which there are going to be many.
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;

#[derive(Debug)]
pub(super) struct Ports {
    next: u16,
}

impl Ports {
    /// Two programs that look at the same time begin at different places.
    pub(super) fn new() -> Self {
        let place = std::process::id().wrapping_mul(37) % u32::from(LAST - FIRST);
        Self {
            next: FIRST + place as u16,
        }
    }

    pub(super) fn free(&mut self) -> anyhow::Result<SocketAddr> {
        for _ in FIRST..LAST {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.next));
            self.next = if self.next + 1 < LAST {
                self.next + 1
            } else {
                FIRST
            };
            if TcpListener::bind(address).is_ok() {
                return Ok(address);
            }
        }
        None.with_context(|| format!("no free port between {FIRST} and {LAST}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_can_be_had() {
        let mut ports = Ports::new();
        let first = ports.free().unwrap();
        let _taken = TcpListener::bind(first).unwrap();
        let second = ports.free().unwrap();
        assert_ne!(first, second);
        ports.next = first.port();
        assert_ne!(ports.free().unwrap(), first);
    }
}
