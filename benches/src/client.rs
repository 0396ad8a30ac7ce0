//! Requests as a client on hyper sends them: where to ([`endpoint`]), on which connection ([`link`]), one request and its
//! checked answer ([`exchange`]; its body's bytes: [`content`]), and why one does not count ([`failure`]). When to send and
//! what to count are the caller's.

pub(crate) mod content;
pub(crate) mod endpoint;
pub(crate) mod exchange;
pub(crate) mod failure;
pub(crate) mod link;
