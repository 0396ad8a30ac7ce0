//! What runs: workers, listeners, target groups with their health checks and discovery, the admin endpoints; started,
//! changed by a reload, and stopped in order. All of it is looked after by one control thread; requests never come here.

mod certificates;
mod control;
mod logs;
mod reload;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use lintel_common::config_file::{Diagnostic, Severity};
use lintel_common::shutdown::{self, ShutdownTrigger};
use lintel_common::tls::TlsError;
use tokio::sync::{mpsc, oneshot};

use crate::log_file;
use crate::model::{LoadBalancerSettings, Model};
use crate::secret_keys::NoKeys;
use crate::target_group::TargetGroup;

use control::Control;
pub use reload::Changes;

/// Requests to the control thread that may wait.
const QUEUE: usize = 16;

/// Why the load balancer cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "cannot listen on {address} ({key}): {source}; {}",
        bind_advice(source)
    )]
    Bind {
        address: SocketAddr,
        key: String,
        source: io::Error,
    },
    #[error(
        "cannot open the {name} {path} (load_balancer.{key}): {source}; {}",
        log_file::advice(source)
    )]
    Log {
        name: &'static str,
        key: &'static str,
        path: String,
        source: io::Error,
    },
    #[error(
        "cannot read load_balancer.admin_token_file {path}: {source}; it must hold the token, and this user must be able to read it"
    )]
    AdminToken { path: String, source: io::Error },
    #[error(
        "cannot read {path} (load_balancer.secret_key_files): {source}; this user must be able to read it"
    )]
    SecretKey { path: String, source: io::Error },
    #[error(transparent)]
    Keys(#[from] NoKeys),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("a certificate in them has expired; put a renewed one in its place")]
    ExpiredCertificate,
    #[error("the ssl_policy {0} is not known")]
    SslPolicy(String),
    #[error("cannot start a thread: {0}; raise this user's limits")]
    Thread(io::Error),
    #[error("cannot receive signals: {0}; raise this user's limits")]
    Signals(io::Error),
    #[error("metrics cannot be set up: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl StartError {
    /// The key of the configuration file that it is about, if it is about one.
    fn key(&self) -> Option<String> {
        match self {
            Self::Bind { key, .. } => Some(key.clone()),
            Self::Log { key, .. } => Some(format!("load_balancer.{key}")),
            Self::AdminToken { .. } => Some("load_balancer.admin_token_file".to_owned()),
            Self::SecretKey { .. } => Some("load_balancer.secret_key_files".to_owned()),
            _ => None,
        }
    }
}

fn bind_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "end the program that has this port, or change the port",
        io::ErrorKind::PermissionDenied => {
            "use a port of 1024 or more, or give the program CAP_NET_BIND_SERVICE"
        }
        io::ErrorKind::AddrNotAvailable => "use an address that this machine has",
        _ => "change the address or the port",
    }
}

/// Why a reload was refused. The running configuration stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error("the configuration has mistakes")]
    Config(Vec<Diagnostic>),
    #[error("the configuration could not be read: {0}; report this as a mistake of the program")]
    Panicked(#[from] tokio::task::JoinError),
    #[error("the configuration was not read within 5 s; look at the disk or pipe that it lies on")]
    Unread,
    #[error("load_balancer.{0} cannot change while running; restart to change it")]
    NeedsRestart(&'static str),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("this load balancer was started without a configuration file")]
    NoFile,
    #[error("the load balancer is stopping")]
    Stopping,
}

impl ReloadError {
    /// As `check` reports mistakes in `file`. What is not the matter of one place in it stands at its beginning.
    pub(crate) fn into_diagnostics(self, file: &Path) -> Vec<Diagnostic> {
        let message = self.to_string();
        let key = match self {
            Self::Config(diagnostics) => return diagnostics,
            Self::NeedsRestart(key) => Some(format!("load_balancer.{key}")),
            Self::Start(error) => error.key(),
            Self::Panicked(_) | Self::Unread | Self::NoFile | Self::Stopping => None,
        };
        let key = key.unwrap_or_else(|| "file".to_owned());
        let message = message
            .strip_prefix(&format!("{key} "))
            .unwrap_or(&message)
            .to_owned();
        vec![Diagnostic {
            file: file.to_owned(),
            line: 1,
            column: 1,
            severity: Severity::Error,
            key,
            message,
        }]
    }
}

/// What the control thread is asked for.
pub(crate) enum Request {
    /// Read the configuration file again.
    Reload(oneshot::Sender<Result<Changes, ReloadError>>),
    ReopenLogs,
}

/// What the admin endpoints show; replaced as a whole by a reload.
#[derive(Debug)]
pub(crate) struct Overview {
    pub groups: Vec<GroupInUse>,
    pub settings: LoadBalancerSettings,
}

#[derive(Debug)]
pub(crate) struct GroupInUse {
    pub group: Arc<TargetGroup>,
    /// A rule or default action forwards to it with a weight above 0.
    pub takes_requests: bool,
}

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopReport {
    /// Connections that were still open when the time for finishing was over.
    pub cut: usize,
}

/// A load balancer that runs. Dropping it without [`wait`](Self::wait) leaves it running.
#[derive(Debug)]
pub struct Running {
    listeners: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    trigger: ShutdownTrigger,
    requests: mpsc::Sender<Request>,
    thread: JoinHandle<StopReport>,
}

/// Binds everything, starts everything, and returns when connections are accepted. `config` is what a reload reads.
pub fn start(model: Model, config: Option<PathBuf>) -> Result<Running, StartError> {
    let (trigger, shutdown) = shutdown::channel();
    let (requests, queue) = mpsc::channel(QUEUE);
    let control = Control::start(model, config, shutdown.clone())?;
    let (listeners, admin) = (control.addresses(), control.admin_address());
    let from_admin = requests.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StartError::Thread)?;
    let thread = std::thread::Builder::new()
        .name("control".into())
        .spawn(move || {
            let report = control.run(&runtime, queue, from_admin, &shutdown);
            // A name server that does not answer must not hold up the stop.
            runtime.shutdown_background();
            report
        })
        .map_err(StartError::Thread)?;
    Ok(Running {
        listeners,
        admin,
        trigger,
        requests,
        thread,
    })
}

impl Running {
    /// As bound, in the order of the configuration.
    pub fn listeners(&self) -> &[SocketAddr] {
        &self.listeners
    }

    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    pub fn trigger(&self) -> ShutdownTrigger {
        self.trigger.clone()
    }

    /// Resolves when the load balancer has stopped.
    pub async fn stopped(&self) {
        self.requests.closed().await;
    }

    /// Blocks until the load balancer has stopped.
    pub fn wait(self) -> StopReport {
        self.thread.join().unwrap_or_else(|_| {
            tracing::error!("the control thread panicked");
            StopReport { cut: 0 }
        })
    }

    /// Reads the configuration file again and applies it, all of it or nothing.
    pub async fn reload_file(&self) -> Result<Changes, ReloadError> {
        request_reload(&self.requests).await
    }

    /// Goes on with new log files of the old names.
    pub async fn reopen_logs(&self) {
        // If it is stopping there is nothing left to reopen.
        let _ = self.requests.send(Request::ReopenLogs).await;
    }
}

pub(crate) async fn request_reload(
    requests: &mpsc::Sender<Request>,
) -> Result<Changes, ReloadError> {
    let (reply, answer) = oneshot::channel();
    requests
        .send(Request::Reload(reply))
        .await
        .map_err(|_| ReloadError::Stopping)?;
    answer.await.map_err(|_| ReloadError::Stopping)?
}
