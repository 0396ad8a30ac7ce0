//! The program `lintel-benches`: measurements of Lintel and of whatever stands beside it. Here is only the choice of the
//! subcommand, one a module; the microbenchmarks are apart, in `benches/`, and run by `cargo bench`.

mod client;
mod compare;
mod instructions;
mod load;
mod origin;
mod pacer;
mod schedule;
mod tally;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

const COULD_NOT_START: u8 = 2;

/// Measurements of Lintel, and a load generator for your own servers.
#[derive(Debug, Parser)]
#[command(name = "lintel-benches", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure what a request costs in Lintel, nginx, HAProxy and Envoy, side by side
    Compare(compare::Options),
    /// Count the instructions that the proxy executes for a request, and hold them against a baseline
    Instructions(instructions::Options),
    /// Send requests to a URL and report what came of them
    Load(load::Options),
    /// The servers behind what is measured
    #[command(hide = true)]
    Origin(origin::Options),
    /// The proxy that is measured: the same program as lintel-proxy, so that one build has both
    #[command(hide = true, disable_help_flag = true)]
    Proxy(PassedOn),
    /// Pass bytes on without looking at them
    #[command(hide = true)]
    Relay(compare::relay::Options),
    /// Become PROGRAM, and end when PARENT ends
    #[command(hide = true)]
    Leash(PassedOn),
}

#[derive(Debug, Args)]
struct PassedOn {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Compare(options) => compare::main(&options),
        Command::Instructions(options) => instructions::main(&options),
        Command::Load(options) => load::main(&options),
        Command::Origin(options) => origin::main(&options),
        Command::Proxy(PassedOn { arguments }) => {
            let name = OsString::from("lintel-benches proxy");
            lintel_proxy::main(std::iter::once(name).chain(arguments).collect())
        }
        Command::Relay(options) => compare::relay::main(&options),
        Command::Leash(PassedOn { arguments }) => {
            eprintln!(
                "lintel-benches: {}",
                lintel_common::leash::become_program(arguments)
            );
            ExitCode::from(COULD_NOT_START)
        }
    }
}
