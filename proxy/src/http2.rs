//! HTTP/2 (RFC 9113) as the proxy speaks it with its clients, without I/O: bytes in, requests and bytes out.
//!
//! In reading order: a [`session`] is one connection; it reads `frame`s, keeps what it knows of each of its `streams`,
//! and counts how much either side may send by `window`s. A block of fields is packed by [`hpack`] and becomes a head of
//! `http1`'s kind in `request`, so that from there on nobody asks over which version a request came. What a client does
//! wrong ends its stream or its connection with a [`Reason`].
//!
//! Not here: sockets, time, what becomes of a request (all the listener's), and HTTP/2 towards targets (`forward::http2`).

pub mod hpack;
pub mod session;

mod frame;
mod reason;
mod request;
mod streams;
mod window;

pub use reason::Reason;
pub use request::Flaw;
pub use session::{Gone, Incoming, Session};
pub use streams::Key;

#[cfg(test)]
pub(crate) use request::asked;
