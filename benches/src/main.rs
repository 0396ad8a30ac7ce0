//! The program `lintel-benches`: measurements of Lintel and of whatever stands beside it. Here is only the choice of the
//! subcommand, one a module; the microbenchmarks are apart, in `benches/`, and run by `cargo bench`.

mod load;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measurements of Lintel, and a load generator for your own servers.
#[derive(Debug, Parser)]
#[command(name = "lintel-benches", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send requests to a URL and report what came of them
    Load(load::Options),
}

fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Load(options) => load::main(&options),
    }
}
