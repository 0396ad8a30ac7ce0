//! The program `lintel-appserver`: its whole command line is [`lintel_appserver::main`].

use std::process::ExitCode;

fn main() -> ExitCode {
    lintel_appserver::main(std::env::args_os().collect())
}
