//! The proxy through its public doors: real files, real sockets on port 0.

#![expect(
    clippy::unwrap_used,
    reason = "what cannot be unwrapped fails the test"
)]

mod config;
#[expect(unreachable_pub, reason = "a test binary has no outside")]
mod harness;

mod access_log;
mod accounting;
mod admin;
mod alb_certificates;
mod alb_clients;
mod alb_compatibility;
mod alb_desync;
mod alb_errors;
mod alb_grpc;
mod alb_health_checks;
mod alb_http2_targets;
mod alb_logs;
mod alb_metrics;
mod alb_requests;
mod alb_rules;
mod alb_stickiness;
mod alb_target_groups;
mod alb_targets;
mod alb_tls;
mod balance;
mod bodies;
mod endings;
mod explain;
mod headers;
mod hostile;
mod http1;
mod http1_clients;
mod http1_endings;
mod http1_targets;
mod http2;
mod http2_endings;
mod http2_frames;
mod http2_limits;
mod logs;
mod memory;
mod reload;
mod relocation;
mod retry;
mod routing;
mod shutdown;
mod timeouts;
mod tls_targets;
mod upgrade;
