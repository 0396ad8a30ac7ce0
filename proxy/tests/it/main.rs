//! The proxy through its public doors: real files, real sockets on port 0.

mod config;
