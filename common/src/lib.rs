//! Mechanism that both tiers of Lintel use. Nothing here knows what a load balancer or an application is.
//!
//! In reading order: a [`server`] accepts connections, each a [`stream`], with [`tls`] if asked, and hands requests to a
//! `Handler` until [`shutdown`]; [`forwarded`] reads and writes the forwarding headers; [`config_file`], [`telemetry`] and
//! [`metrics`] are what every process needs around that, a [`line_queue`] keeps slow disks and pipes out of the way, and children
//! end with their parent on a [`leash`].

pub mod server;

pub mod tls;

pub mod stream;

pub mod metered;

pub mod shutdown;

pub mod forwarded;

pub mod config_file;

pub mod line_queue;

pub mod leash;

pub mod telemetry;

pub mod metrics;
