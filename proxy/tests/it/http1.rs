//! The HTTP/1.1 codec from outside: what it makes of a corpus of messages, what holds for all messages, and where it and
//! hyper differ.

pub(crate) mod corpus;
mod differential;
mod hyper_reading;
pub(crate) mod properties;
pub(crate) mod reading;
