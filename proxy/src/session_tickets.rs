//! TLS session tickets that every load balancer of a fleet can open: sealed with keys of the secrets that they share.
//! Without such secrets rustls makes keys of its own and replaces them by the hour; these are as good as their secrets, and
//! are replaced with them.

use rustls::server::ProducesTickets;

use crate::secret_keys::Keys;

/// What clients are told, in seconds.
const LIFETIME: u32 = 6 * 60 * 60;

#[derive(Debug)]
pub struct SessionTickets(pub Keys);

impl ProducesTickets for SessionTickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.0.seal(plain)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.0.open(ticket)
    }
}
