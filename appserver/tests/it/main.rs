//! The app server from outside: the store against real databases, the program over real sockets.

mod api;
mod client;
mod forms;
mod mariadb;
mod process;
mod stop;
mod store;
mod visits;
