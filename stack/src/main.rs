//! The program `lintel`: the whole path, browser -> proxy -> app servers -> database, on one machine. Here are the
//! command line and the exit codes; [`up`] is what happens, in its order. Nothing here serves a request: the proxy and
//! the app servers are processes of their own, started from this same executable.
//!
//! In reading order: [`up`] prepares a [`data_dir`], looks at [`ports`], writes the proxy's [`proxy_config`], has a
//! [`database`] (perhaps a private [`mysql`] server), then starts a [`group`] of app servers and the proxy, each an
//! [`instance`] on a [`leash`], and tells of their [`health`] on the [`console`].

mod child_log;
mod console;
mod data_dir;
mod database;
mod environment;
mod failure;
mod group;
mod health;
mod instance;
mod mysql;
mod options;
mod ports;
mod proxy_config;
mod up;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use lintel_common::leash;

use failure::Failure;
use options::UpOptions;

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 wrong arguments or settings, 2 could not start (port taken, no database).
The app servers' other settings come from the environment; see `lintel appserver --help`.";

/// Runs the whole path on this machine: a TLS proxy, app servers, a database.
#[derive(Debug, Parser)]
#[command(name = "lintel", version, after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(flatten)]
    up: UpOptions,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything and run until Ctrl-C (what `lintel` alone does)
    Up(UpOptions),
    /// The proxy alone: the same program as lintel-proxy
    #[command(disable_help_flag = true)]
    Proxy(PassedOn),
    /// An app server alone: the same program as lintel-appserver
    #[command(disable_help_flag = true)]
    Appserver(PassedOn),
    /// Become PROGRAM, and end when PARENT ends
    #[command(hide = true)]
    Leash(PassedOn),
}

#[derive(Debug, Args)]
struct PassedOn {
    /// Arguments of that program; try --help
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl PassedOn {
    fn with_name(self, name: &str) -> Vec<OsString> {
        std::iter::once(OsString::from(name))
            .chain(self.arguments)
            .collect()
    }
}

fn main() -> ExitCode {
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(message) => {
            // A message that cannot be printed has no other place to go.
            let _ = message.print();
            return if message.use_stderr() {
                ExitCode::from(1)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let done = match command_line.command {
        Some(Command::Proxy(arguments)) => {
            return lintel_proxy::main(arguments.with_name("lintel proxy"));
        }
        Some(Command::Appserver(arguments)) => {
            return lintel_appserver::main(arguments.with_name("lintel appserver"));
        }
        Some(Command::Leash(leash)) => Err(Failure::Start(leash::become_program(leash.arguments))),
        Some(Command::Up(options)) => up::run(&options),
        None => up::run(&command_line.up),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            console::complain(&failure.to_string());
            failure.exit_code()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn flags_work_with_and_without_the_subcommand() {
        for arguments in [
            &["lintel", "--app-servers", "4"][..],
            &["lintel", "up", "--app-servers", "4"],
        ] {
            let parsed = CommandLine::try_parse_from(arguments).unwrap();
            let options = match parsed.command {
                Some(Command::Up(options)) => options,
                _ => parsed.up,
            };
            assert_eq!(options.app_servers().unwrap(), 4);
        }
    }

    #[test]
    fn what_follows_proxy_is_the_proxys() {
        let parsed =
            CommandLine::try_parse_from(["lintel", "proxy", "--help", "--config", "x"]).unwrap();
        let Some(Command::Proxy(passed)) = parsed.command else {
            panic!("{parsed:?}")
        };
        assert_eq!(
            passed.with_name("lintel proxy"),
            ["lintel proxy", "--help", "--config", "x"]
        );
    }
}
