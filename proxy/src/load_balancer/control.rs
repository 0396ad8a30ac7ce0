//! The control thread: holds what runs, answers reload requests, and stops everything in order: listeners, workers, then
//! health checks and admin, so that a drain can be watched to its end.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use lintel_common::shutdown::{self, Shutdown, ShutdownTrigger};
use rustls::server::ProducesTickets;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use super::certificates;
use super::logs::Logs;
use super::reload::target_tls;
use super::{GroupInUse, Overview, ReloadError, Request, StartError, StopReport};
use crate::action::Action;
use crate::admin::Admin;
use crate::health_check_log::HealthCheckLog;
use crate::listener::Routes;
use crate::metrics::Metrics;
use crate::model::Model;

use crate::secret_keys::Keys;
use crate::target_group::TargetGroup;
use crate::worker::{Shared, Socket, Worker};
use crate::{config, discovery, health_check, socket};

/// How long the files of a reload may take to be read. A pipe or a network disk may never answer.
const READ_LIMIT: Duration = Duration::from_secs(5);

/// How long workers may take to notice that the time for finishing is over.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// How long the stop may wait for whoever takes the last lines of the access log, and for threads that have nothing left
/// to do.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Which listening socket is meant, also across reloads: address, port as configured, and which of those that ask for
/// the same port (only port 0 can be asked for more than once).
pub(super) type ListenerKey = (IpAddr, u16, usize);

pub(super) struct RunningListener {
    pub address: SocketAddr,
    pub routes: Arc<ArcSwap<Routes>>,
    pub trigger: ShutdownTrigger,
}

pub(super) struct RunningGroup {
    pub group: Arc<TargetGroup>,
    /// Stops its health checks and discovery.
    trigger: ShutdownTrigger,
}

/// What seals that clients bring back.
#[derive(Debug, Clone)]
pub(super) struct Secrets {
    pub stickiness: Arc<Keys>,
    pub tickets: Arc<dyn ProducesTickets>,
}

pub(super) struct Control {
    pub model: Model,
    pub listeners: HashMap<ListenerKey, RunningListener>,
    /// Removed by a reload; their clients may still be there.
    pub retired: Vec<RunningListener>,
    /// As in the model's list.
    pub groups: Vec<RunningGroup>,
    pub metrics: Arc<Metrics>,
    /// Of sticky sessions, where no file has any.
    /// Of this process alone.
    pub random_secrets: Secrets,
    pub secrets: Secrets,
    /// The files of HTTPS listeners as they were when their TLS was made.
    pub certificates_seen: certificates::Seen,
    pub workers: Vec<Worker>,
    pub overview: Arc<ArcSwap<Overview>>,
    addresses: Vec<SocketAddr>,
    config: Option<PathBuf>,
    admin: Option<Admin>,
    logs: Logs,
    ended: mpsc::Receiver<()>,
}

impl Control {
    pub(super) fn start(
        model: Model,
        config: Option<PathBuf>,
        shutdown: Shutdown,
    ) -> Result<Self, StartError> {
        let settings = &model.load_balancer;
        let metrics = Arc::new(Metrics::new()?);
        let overview = Arc::new(ArcSwap::from_pointee(Overview {
            groups: Vec::new(),
            settings: settings.clone(),
        }));
        let admin = Admin::bind(settings, &metrics, &overview, &shutdown)?;
        let logs = Logs::start(settings, &metrics)?;
        let workers = settings.workers;
        let random_secrets = Secrets {
            stickiness: Arc::new(Keys::random()?),
            tickets: lintel_common::tls::tickets()?,
        };
        let shared = Shared {
            metrics: Arc::clone(&metrics),
            log: logs.access.clone(),
            connection_log: logs.connection.clone(),
            load_balancer: identity(&settings.name),
            shutdown,
        };
        let (sender, ended) = mpsc::channel(workers);
        let mut control = Self {
            certificates_seen: certificates::see(&model),
            model,
            listeners: HashMap::new(),
            retired: Vec::new(),
            groups: Vec::new(),
            metrics,
            secrets: random_secrets.clone(),
            random_secrets,
            workers: Vec::new(),
            overview,
            addresses: Vec::new(),
            config,
            admin,
            logs,
            ended,
        };
        control.groups = control
            .groups_of(&control.model)
            .into_iter()
            .map(RunningGroup::new)
            .collect();
        let mut sockets = control.open_listeners()?;
        for index in 0..workers {
            let first = sockets.iter_mut().filter_map(Vec::pop).collect();
            let worker = Worker::start(index, shared.clone(), first, sender.clone());
            control.workers.push(worker.map_err(StartError::Thread)?);
        }
        control.publish();
        Ok(control)
    }

    /// One socket a worker for each listener of the model.
    fn open_listeners(&mut self) -> Result<Vec<Vec<Socket>>, StartError> {
        let groups = self.groups_of(&self.model);
        let tls = target_tls(&self.model, &groups)?;
        for (group, tls) in groups.iter().zip(&tls) {
            group.set_tls(Arc::clone(tls));
        }
        let groups = self.routing_groups(&self.model, &groups, &tls);
        self.secrets = self.secrets_of(&self.model)?;
        let mut sockets = Vec::new();
        for (key, listener) in keyed(&self.model) {
            let bound = bind(key, self.model.load_balancer.workers, self.holds(key.1))?;
            let address = bound
                .first()
                .map_or(SocketAddr::new(key.0, key.1), |(_, address)| *address);
            let routes = Self::routes(
                &self.model,
                listener,
                address.port(),
                &groups,
                &self.secrets,
            )?;
            let (running, opened) = RunningListener::open(address, routes, bound);
            self.addresses.push(address);
            self.listeners.insert(key, running);
            sockets.push(opened);
        }
        Ok(sockets)
    }

    /// A listener of ours has the port, or had it a moment ago and may not have let go yet.
    pub(super) fn holds(&self, port: u16) -> bool {
        self.listeners
            .values()
            .chain(&self.retired)
            .any(|listener| listener.has(port))
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    pub(super) fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(Admin::address)
    }

    /// Runs until the load balancer has stopped.
    pub(super) fn run(
        mut self,
        runtime: &Runtime,
        mut queue: mpsc::Receiver<Request>,
        from_admin: mpsc::Sender<Request>,
        shutdown: &Shutdown,
    ) -> StopReport {
        let local = LocalSet::new();
        let (admin_trigger, admin_shutdown) = shutdown::channel();
        if let Some(admin) = self.admin.take() {
            let config = self.config.clone().unwrap_or_default();
            local.spawn_local(admin.run(from_admin, config, admin_shutdown));
        }
        let report = local.block_on(runtime, async {
            let log = self.health_check_log();
            for running in &self.groups {
                running.spawn(log.as_ref());
            }
            self.serve_requests(&mut queue, shutdown).await;
            let report = self.stop_listeners(shutdown).await;
            self.groups.iter().for_each(|group| group.trigger.request());
            admin_trigger.expire();
            report
        });
        join(self.workers);
        self.logs.flush(LAST_LINES);
        report
    }

    async fn serve_requests(&mut self, queue: &mut mpsc::Receiver<Request>, shutdown: &Shutdown) {
        let mut look = tokio::time::interval(certificates::LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let request = tokio::select! {
                request = queue.recv() => request,
                _ = look.tick() => {
                    tokio::select! {
                        () = self.look_at_certificates() => continue,
                        () = shutdown.requested() => return,
                    }
                }
                () = shutdown.requested() => return,
            };
            match request {
                Some(Request::Reload(reply)) => {
                    let changes = tokio::select! {
                        changes = self.reload() => changes,
                        () = shutdown.requested() => Err(ReloadError::Stopping),
                    };
                    // Whoever asked may have gone; the reload stands.
                    let _ = reply.send(changes);
                }
                Some(Request::ReopenLogs) => {
                    self.logs.reopen();
                }
                None => return shutdown.requested().await,
            }
        }
    }

    pub(super) fn health_check_log(&self) -> Option<HealthCheckLog> {
        Some(HealthCheckLog {
            file: self.logs.health_check.clone()?,
            metrics: Arc::clone(&self.metrics),
            load_balancer: identity(&self.model.load_balancer.name),
        })
    }

    async fn reload(&mut self) -> Result<super::Changes, ReloadError> {
        let changes = self.try_reload().await;
        let result = if changes.is_ok() {
            "applied"
        } else {
            "refused"
        };
        self.metrics.reloads.with_label_values(&[result]).inc();
        changes
    }

    async fn try_reload(&mut self) -> Result<super::Changes, ReloadError> {
        let path = self.config.clone().ok_or(ReloadError::NoFile)?;
        // On a thread of its own: health checks do not wait for a disk that does not answer.
        let loading = tokio::task::spawn_blocking(move || config::load(&path));
        let loaded = tokio::time::timeout(READ_LIMIT, loading)
            .await
            .map_err(|_| ReloadError::Unread)??;
        self.apply(loaded.map_err(ReloadError::Config)?.model).await
    }

    async fn stop_listeners(&mut self, shutdown: &Shutdown) -> StopReport {
        for listener in self.listeners.values() {
            listener.trigger.request();
        }
        let bound = self.model.load_balancer.shutdown_timeout;
        let mut left = self.workers.len();
        tokio::select! {
            () = all_ended(&mut self.ended, &mut left) => return StopReport { cut: 0 },
            () = tokio::time::sleep(bound) => {}
            () = shutdown.expired() => {}
        }
        let open = self.metrics.active_client_connections.get();
        for listener in self.listeners.values().chain(&self.retired) {
            listener.trigger.expire();
        }
        let last = all_ended(&mut self.ended, &mut left);
        if tokio::time::timeout(LAST_MOMENT, last).await.is_err() {
            tracing::error!(workers = left, "workers did not stop in time");
        }
        StopReport {
            cut: usize::try_from(open).unwrap_or_default(),
        }
    }

    /// Shows the admin endpoints what runs now, and tells groups whether they are used.
    pub(super) fn publish(&self) {
        let mut in_use = vec![false; self.groups.len()];
        let mut takes_requests = in_use.clone();
        let listeners = self.model.listeners.iter();
        let actions = listeners.flat_map(|listener| listener.rules.actions());
        for weighted in actions.flat_map(Action::target_groups) {
            in_use[weighted.target_group] = true;
            takes_requests[weighted.target_group] |= weighted.weight > 0;
        }
        let groups = self
            .groups
            .iter()
            .zip(in_use.into_iter().zip(takes_requests));
        let groups = groups.map(|(running, (in_use, takes_requests))| {
            running.group.set_in_use(in_use);
            GroupInUse {
                group: Arc::clone(&running.group),
                takes_requests,
            }
        });
        let groups = groups.collect();
        let expiry = &self.metrics.certificate_expiry;
        expiry.reset();
        for running in self.listeners.values() {
            let routes = running.routes.load();
            if let Some(not_after) = routes
                .tls
                .as_ref()
                .and_then(|tls| tls.not_after.iter().flatten().min())
            {
                let port = routes.port.to_string();
                expiry.with_label_values(&[&port]).set(*not_after);
            }
        }
        let settings = self.model.load_balancer.clone();
        self.overview.store(Arc::new(Overview { groups, settings }));
    }
}

/// They have said that they end, or that was waited for in vain: no thread may hold up the stop.
fn join(workers: Vec<Worker>) {
    let give_up = Instant::now() + LAST_LINES;
    for Worker { thread, .. } in workers {
        while !thread.is_finished() && Instant::now() < give_up {
            std::thread::sleep(Duration::from_millis(1));
        }
        if !thread.is_finished() {
            tracing::error!("a worker does not end; it is left behind");
        } else if thread.join().is_err() {
            tracing::error!("a worker panicked");
        }
    }
}

async fn all_ended(ended: &mut mpsc::Receiver<()>, left: &mut usize) {
    while *left > 0 {
        // A worker that panicked says nothing; its end of the channel goes with it.
        let Some(()) = ended.recv().await else {
            return;
        };
        *left -= 1;
    }
}

impl RunningGroup {
    pub(super) fn new(group: Arc<TargetGroup>) -> Self {
        Self {
            group,
            trigger: shutdown::channel().0,
        }
    }

    /// On the control thread.
    pub(super) fn spawn(&self, log: Option<&HealthCheckLog>) {
        tokio::task::spawn_local(health_check::run(
            Arc::clone(&self.group),
            log.cloned(),
            self.trigger.subscribe(),
        ));
        tokio::task::spawn_local(discovery::run(
            Arc::clone(&self.group),
            self.trigger.subscribe(),
        ));
    }

    pub(super) fn stop(&self) {
        self.trigger.request();
    }
}

impl RunningListener {
    pub(super) fn has(&self, port: u16) -> bool {
        self.address.port() == port
    }

    pub(super) fn open(
        address: SocketAddr,
        routes: Routes,
        bound: Vec<(std::net::TcpListener, SocketAddr)>,
    ) -> (Self, Vec<Socket>) {
        let (trigger, shutdown) = shutdown::channel();
        let routes = Arc::new(ArcSwap::from_pointee(routes));
        let socket = |(socket, _)| Socket {
            socket,
            routes: Arc::clone(&routes),
            shutdown: shutdown.clone(),
        };
        let sockets = bound.into_iter().map(socket).collect();
        (
            Self {
                address,
                routes,
                trigger,
            },
            sockets,
        )
    }
}

/// The sockets of one listener, one a worker, with the address that port 0 has become. `ours` = a listener of ours has
/// the port already.
pub(super) fn bind(
    key: ListenerKey,
    workers: usize,
    ours: bool,
) -> Result<Vec<(std::net::TcpListener, SocketAddr)>, StartError> {
    let address = SocketAddr::new(key.0, key.1);
    let failed = |source| StartError::Bind {
        address,
        key: "listener.port".into(),
        source,
    };
    let sockets = socket::listen(address, workers, ours).map_err(failed)?;
    sockets
        .into_iter()
        .map(|socket| {
            let bound = socket.local_addr().map_err(failed)?;
            Ok((socket, bound))
        })
        .collect()
}

/// Each listener's sockets by their identity, in the order of the configuration.
pub(super) fn keyed(
    model: &Model,
) -> impl Iterator<Item = (ListenerKey, &crate::model::ListenerSettings)> {
    let mut seen = HashMap::<(IpAddr, u16), usize>::new();
    let pairs = model.listeners.iter().flat_map(|listener| {
        listener
            .addresses
            .iter()
            .map(move |address| (*address, listener))
    });
    pairs.map(move |(address, listener)| {
        let nth = seen.entry((address, listener.port)).or_default();
        *nth += 1;
        ((address, listener.port, *nth), listener)
    })
}

/// `app/NAME/ID`, as the ALB names itself in its logs; the ID follows from the name (FNV-1a), so it is the same at every
/// start and on every node.
fn identity(name: &str) -> String {
    let id = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("app/{name}/{id:016x}")
}
