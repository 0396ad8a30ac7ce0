//! The program as its users meet it, a process with arguments, an exit code and JSON; the load generator against a server
//! that counts for itself.

#![expect(
    clippy::unwrap_used,
    reason = "what the tests stand on fails with a panic"
)]

mod compare;
mod instructions;
mod load;
mod origin;
mod relay;
mod server;
