//! What can be chosen about the path as a whole. The proxy's and the app servers' own settings are theirs.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

/// The flags of `lintel up`.
#[derive(Clone, Args)]
pub(crate) struct UpOptions {
    /// How many app servers run behind the proxy
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) app_servers: u8,

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
