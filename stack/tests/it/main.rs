//! The program as a person uses it: the real executable, real processes, real ports, curl as the client.

#![expect(
    clippy::unwrap_used,
    reason = "in a test a surprise is a failure, also in what tests share"
)]

mod browser;
mod lintel;
mod refusals;
mod stopping;
mod tidy;
mod whole_path;
