//! One worker: a thread with a single-threaded runtime, its own sockets (`SO_REUSEPORT` lets the kernel spread
//! connections over the workers), its own connections to targets. A request never leaves its worker.

use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use lintel_common::server;
use lintel_common::shutdown::Shutdown;
use tokio::runtime::{self, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_local};

use crate::access_log::Recorder;
use crate::forward::pool::{Pool, SWEEP};
use crate::listener::{Listener, Routes, server_options};
use crate::log_file::LogFile;
use crate::metrics::Metrics;

/// Listening sockets that may wait for their worker to take them on.
const QUEUE: usize = 64;

/// A worker's own socket of one listener.
#[derive(Debug)]
pub struct Socket {
    pub socket: TcpListener,
    pub routes: Arc<ArcSwap<Routes>>,
    /// Of this listener: a reload may remove it while others stay.
    pub shutdown: Shutdown,
}

/// What all workers are given.
#[derive(Debug, Clone)]
pub struct Shared {
    pub metrics: Arc<Metrics>,
    pub log: Option<LogFile>,
    pub connection_log: Option<LogFile>,
    pub load_balancer: String,
    pub shutdown: Shutdown,
}

#[derive(Debug)]
pub struct Worker {
    pub sockets: mpsc::Sender<Socket>,
    pub thread: JoinHandle<()>,
}

impl Worker {
    /// `ended` hears of its end.
    pub fn start(
        index: usize,
        shared: Shared,
        first: Vec<Socket>,
        ended: mpsc::Sender<()>,
    ) -> io::Result<Self> {
        let (sockets, more) = mpsc::channel(QUEUE);
        let (started, has_started) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                // Made here: it never leaves its thread.
                let runtime = match runtime::Builder::new_current_thread()
                    .enable_all()
                    .build_local(LocalOptions::default())
                {
                    Ok(runtime) => runtime,
                    Err(error) => {
                        let _ = started.send(Err(error));
                        return;
                    }
                };
                let _ = started.send(Ok(()));
                // A task of its own: the outermost future is polled whenever any task was.
                let _ = runtime.block_on(async { spawn_local(run(shared, first, more)).await });
                runtime.shutdown_background();
                // The control thread waits for as many messages as there are workers; nobody else holds this end.
                let _ = ended.try_send(());
            })?;
        match has_started.recv() {
            Ok(Ok(())) => Ok(Self { sockets, thread }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::Error::other("a worker's thread ended at once")),
        }
    }
}

async fn run(shared: Shared, first: Vec<Socket>, mut more: mpsc::Receiver<Socket>) {
    let pool = Pool::new(Arc::clone(&shared.metrics));
    let shutdown = shared.shutdown;
    let recorder = Rc::new(Recorder {
        metrics: shared.metrics,
        log: shared.log.as_ref().map(LogFile::of_worker),
        connection_log: shared.connection_log.as_ref().map(LogFile::of_worker),
        load_balancer: shared.load_balancer,
    });
    let mut serving = JoinSet::new();
    for socket in first {
        serving.spawn_local(serve(socket, Rc::clone(&pool), Rc::clone(&recorder)));
    }
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            Some(socket) = more.recv() => {
                serving.spawn_local(serve(socket, Rc::clone(&pool), Rc::clone(&recorder)));
            }
            _ = sweep.tick() => pool.sweep(),
            Some(_) = serving.join_next() => {}
            () = shutdown.requested(), if serving.is_empty() => break,
        }
    }
    pool.clear();
}

async fn serve(socket: Socket, pool: Rc<Pool>, recorder: Rc<Recorder>) {
    let listener = match tokio::net::TcpListener::from_std(socket.socket) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "a listening socket could not be used");
            return;
        }
    };
    let gauge = recorder.metrics.active_client_connections.clone();
    let options = server_options(&socket.routes.load().settings, &gauge);
    let handler = Listener::new(socket.routes, pool, recorder, socket.shutdown.clone());
    server::serve(listener, Rc::new(handler), options, socket.shutdown).await;
}
