//! The command line: `run`, `check`, `explain`, `dev-certs`. Exit codes: 0 done, 1 bad configuration or arguments, 2 could not start.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use lintel_common::config_file::{Diagnostic, Severity};
use lintel_common::shutdown::StopSignals;
use lintel_common::telemetry::{self, LogFormat};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::load_balancer::{self, ReloadError, Running, StartError};
use crate::{check, config, explain};

const BAD_INPUT: u8 = 1;
const COULD_NOT_START: u8 = 2;

#[derive(Debug, Parser)]
#[command(
    name = "lintel-proxy",
    version,
    about = "A load balancer that does what an AWS Application Load Balancer does"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the load balancer until SIGTERM or SIGINT; SIGHUP reloads the configuration and reopens log files
    Run {
        #[arg(long, value_name = "FILE", default_value = "lintel-proxy.toml")]
        config: PathBuf,
        /// How the program's own messages are written to standard error: text or json
        #[arg(long, env = "LOG_FORMAT", default_value_t)]
        log_format: LogFormat,
    },
    /// Report every mistake in a configuration file with its place
    Check {
        #[arg(long, value_name = "FILE", default_value = "lintel-proxy.toml")]
        config: PathBuf,
        #[arg(long, value_enum, default_value_t = check::Format::Text)]
        format: check::Format,
    },
    /// Say what would happen to a request, and why: listener, rule, action, and what the target would see
    Explain {
        #[arg(long, value_name = "FILE", default_value = "lintel-proxy.toml")]
        config: PathBuf,
        #[arg(long, value_enum, default_value_t = check::Format::Text)]
        format: check::Format,
        #[command(flatten)]
        request: explain::Arguments,
    },
    /// Make a development CA and a certificate for localhost: ca.pem, ca.key, site.pem, site.key
    DevCerts {
        /// Made if it is missing; files in it are never overwritten, but a certificate that has expired is renewed
        directory: PathBuf,
        /// A further name or address for a certificate that is made now
        #[arg(long = "name", value_name = "HOST")]
        names: Vec<String>,
    },
}

/// The whole program. The first argument is its name.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Printing fails only when nobody reads.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { BAD_INPUT } else { 0 });
        }
    };
    match arguments.command {
        Command::Run { config, log_format } => {
            let _last_lines = telemetry::init(log_format, "info");
            run(config)
        }
        Command::Check { config, format } => check::run(&config, format),
        Command::Explain {
            config,
            format,
            request,
        } => explain::run(&config, &request, format),
        Command::DevCerts { directory, names } => dev_certs(&directory, &names),
    }
}

fn run(path: PathBuf) -> ExitCode {
    let loaded = match config::load(&path) {
        Ok(loaded) => loaded,
        Err(diagnostics) => {
            for diagnostic in diagnostics {
                eprintln!("{diagnostic}");
            }
            return ExitCode::from(BAD_INPUT);
        }
    };
    loaded.warnings.iter().for_each(log);
    raise_descriptor_limit();
    let started = Signals::listen()
        .map_err(StartError::Signals)
        .and_then(|signals| Ok((signals, load_balancer::start(loaded.model, Some(path))?)));
    let ((runtime, signals), running) = match started {
        Ok(started) => started,
        Err(error) => {
            eprintln!("lintel-proxy: {error}");
            return ExitCode::from(COULD_NOT_START);
        }
    };
    let listeners = running
        .listeners()
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    let admin = running.admin().map(|address| address.to_string());
    tracing::info!(%listeners, admin = admin.as_deref().unwrap_or("off"), "listening");
    runtime.block_on(follow(signals, &running));
    let report = running.wait();
    if report.cut == 0 {
        tracing::info!("stopped");
    } else {
        tracing::warn!(
            "stopped; {} connections were cut because shutdown_timeout was over",
            report.cut
        );
    }
    ExitCode::SUCCESS
}

/// What the program is told by signals. They are noticed before anything runs, so that none ends it out of order.
struct Signals {
    stop: StopSignals,
    reload: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<(Runtime, Self)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let signals = {
            let _inside = runtime.enter();
            Self {
                stop: StopSignals::new()?,
                reload: signal(SignalKind::hangup())?,
            }
        };
        Ok((runtime, signals))
    }
}

/// Until the load balancer has stopped, or was told again to stop. It keeps to its `shutdown_timeout` by itself: a reload
/// may have changed that.
async fn follow(signals: Signals, running: &Running) {
    tokio::select! {
        () = signals.stop.follow(running.trigger(), Duration::MAX) => {}
        () = running.stopped() => {}
        () = reload_at(signals.reload, running) => {}
    }
}

/// Never returns.
async fn reload_at(mut signal: Signal, running: &Running) {
    loop {
        signal.recv().await;
        running.reopen_logs().await;
        match running.reload_file().await {
            Ok(_) => {}
            Err(ReloadError::Config(diagnostics)) => {
                tracing::error!("reload refused, the old configuration stays: it has mistakes");
                for diagnostic in &diagnostics {
                    log(diagnostic);
                }
            }
            Err(error) => {
                tracing::error!(%error, "reload refused, the old configuration stays");
            }
        }
    }
}

/// With a target of its own, so that whoever wrote the file on purpose can filter warnings.
fn log(diagnostic: &Diagnostic) {
    match diagnostic.severity {
        Severity::Error => tracing::error!(target: "lintel_proxy::config", "{diagnostic}"),
        Severity::Warning => tracing::warn!(target: "lintel_proxy::config", "{diagnostic}"),
    }
}

/// As many descriptors as this user may have: the usual soft limit of 1,024 is a thousand connections too few.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the limit of open files could not be raised");
        }
    }
}

fn dev_certs(directory: &std::path::Path, names: &[String]) -> ExitCode {
    match lintel_certs::ensure(directory, names) {
        Ok(certificates) => {
            println!("{certificates}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("lintel-proxy: {error}");
            ExitCode::from(BAD_INPUT)
        }
    }
}
