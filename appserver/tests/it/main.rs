//! The app server from outside: the store against real databases, the program over real sockets.

#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod api;
mod client;
mod forms;
mod mariadb;
mod pages;
mod process;
mod stop;
mod store;
mod visits;
