//! What can be chosen about the path as a whole. The proxy's and the app servers' own settings are theirs.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;

/// The flags of `lintel up`.
#[derive(Clone, Args)]
pub(crate) struct UpOptions {
    /// How many app servers run behind the proxy, as an Auto Scaling group's desired capacity
    /// [default: 2, or the nearest that --min and --max allow]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    app_servers: Option<u8>,

    /// The fewest app servers that there may be, as an Auto Scaling group's MinSize. Nothing scales by load yet: the
    /// number stays as it is at the start
    #[arg(long, value_name = "N")]
    min: Option<u8>,

    /// The most app servers that there may be, as an Auto Scaling group's MaxSize
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    max: Option<u8>,

    /// Where everything that is written lies: certificates, database, keys, configuration, logs
    #[arg(long, value_name = "DIR", default_value = "lintel-data")]
    pub(crate) data_dir: PathBuf,

    /// mysql://USER:PASSWORD@HOST/NAME, sqlite://PATH, or `mysql` for a private MySQL or MariaDB server, if one is
    /// installed [default: $DATABASE_URL, else SQLite in the data directory]
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,

    /// Port that redirects to HTTPS
    #[arg(long, value_name = "PORT", default_value = "8080", value_parser = port())]
    pub(crate) http_port: u16,

    /// Port that serves the application
    #[arg(long, value_name = "PORT", default_value = "8443", value_parser = port())]
    pub(crate) https_port: u16,

    /// Port of /ready, /target-health and /metrics, on 127.0.0.1
    #[arg(long, value_name = "PORT", default_value = "9900", value_parser = port())]
    pub(crate) admin_port: u16,

    /// Lowest port of the app servers, on 127.0.0.1; ports that are taken are passed over
    #[arg(long, value_name = "PORT", default_value = "8001", value_parser = port())]
    pub(crate) app_port: u16,

    /// Address to listen on, several if given several times; 0.0.0.0 and :: let other machines in
    /// [default: 127.0.0.1 and, where there is IPv6, ::1]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<IpAddr>,

    /// Write an access log, one JSON object a request, to access.log in the data directory
    #[arg(long)]
    pub(crate) access_log: bool,
}

const APP_SERVERS: u8 = 2;

impl UpOptions {
    /// How many app servers run.
    pub(crate) fn app_servers(&self) -> Result<u8, Failure> {
        let (min, max) = (self.min.unwrap_or(0), self.max.unwrap_or(u8::MAX));
        let wrong = |text: String| Err(Failure::Input(text));
        if min > max {
            return wrong(format!(
                "--min {min} is more than --max {max}; lower the one or raise the other"
            ));
        }
        match self.app_servers {
            Some(asked) if asked < min => wrong(format!(
                "--app-servers {asked} is less than --min {min}; ask for {min} or more, or lower --min"
            )),
            Some(asked) if asked > max => wrong(format!(
                "--app-servers {asked} is more than --max {max}; ask for {max} or less, or raise --max"
            )),
            Some(asked) => Ok(asked),
            None => Ok(APP_SERVERS.clamp(min, max)),
        }
    }
}

fn port() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..)
}

/// The database's URL may hold a password.
impl fmt::Debug for UpOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("UpOptions")
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        up: UpOptions,
    }

    #[test]
    fn the_desired_capacity_lies_between_min_and_max() {
        for (flags, expected) in [
            ("", Ok(2)),
            ("--app-servers 4", Ok(4)),
            ("--min 3", Ok(3)),
            ("--min 0", Ok(2)),
            ("--max 1", Ok(1)),
            ("--min 1 --max 3", Ok(2)),
            ("--min 2 --max 4 --app-servers 4", Ok(4)),
            ("--min 3 --max 2", Err("--min 3 is more than --max 2")),
            (
                "--min 3 --app-servers 2",
                Err("--app-servers 2 is less than --min 3"),
            ),
            (
                "--max 3 --app-servers 4",
                Err("--app-servers 4 is more than --max 3"),
            ),
        ] {
            let arguments = std::iter::once("lintel").chain(flags.split_whitespace());
            let options = CommandLine::try_parse_from(arguments).unwrap().up;
            match (options.app_servers(), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{flags}"),
                (Err(Failure::Input(text)), Err(expected)) => {
                    assert!(text.starts_with(expected) && text.contains("; "), "{text}");
                }
                (found, _) => panic!("{flags}: {found:?}"),
            }
        }
    }
}
