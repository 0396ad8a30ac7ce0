//! `lintel-proxy`: what an AWS Application Load Balancer does, as a library and as a program.
//!
//! In reading order: a [`load_balancer`] runs [`worker`]s, each of which serves its [`listener`]s. A request passes
//! through `listener` from top to bottom: [`desync`] lets it pass; its [`rule`] gives an [`action`]; a forward action's
//! [`target_group`] gives a target, kept honest by [`health_check`], filled by [`discovery`], bound to clients by
//! [`stickiness`]; [`forward`] has the exchange with it. How
//! messages are read and written is in [`http1`] and [`http2`]. What fails becomes a [`gateway_error`]; what happened goes to the [`access_log`] and the [`metrics`].
//! [`config`] makes the [`model`] of all this from a file, and the admin endpoints show it.

mod admin;
mod command;
mod socket;

pub mod load_balancer;
pub mod worker;

pub mod listener;

pub mod desync;

pub mod rule;

pub mod action;

pub mod target_group;

pub mod stickiness;

pub mod secret_keys;

pub mod session_tickets;

pub mod health_check;

pub mod discovery;

pub mod forward;

pub mod http1;

pub mod http2;

pub mod gateway_error;

pub mod access_log;

pub mod connection_log;

pub mod health_check_log;

pub mod log_file;

pub mod metrics;

pub mod model;

pub mod config;

mod check;
mod explain;

pub use command::main;

/// Of every program that has the proxy in it. glibc's keeps for ever what a spike took, for it gives back memory only at
/// the end of a heap; this one gives back within ten seconds whatever lies unused, on a thread of its own.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How it is set, for jemalloc to find under this name. By default a thread looks through its cache after every 64 KiB that
/// it has asked for, which takes 1,900 of the 37,000 instructions of a request over HTTP/2.
#[expect(
    unsafe_code,
    reason = "the name of a symbol; what it saves is said above"
)]
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_SETTINGS: &[u8; 29] = b"tcache_gc_incr_bytes:2097152\0";
