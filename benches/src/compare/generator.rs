//! Asks, as fast as it is answered or at a fixed rate, and counts: threads with a runtime and connections of their own
//! each. Written to cost as little as it can and the same whoever is measured, because it shares the machine with what is
//! measured.
//!
//! In two steps, so that what is measured is only the second: opening connections and warming up ([`Generator::start`]),
//! then measuring ([`Generator::run`]) or going home ([`Generator::dismiss`]).

mod client;
mod http1;
mod http2;
mod stream;
mod websocket;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use lintel_common::shutdown::Shutdown;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};

use super::workload::Workload;
use crate::client::failure::Failure;
use crate::pacer::Pacer;
use crate::schedule::Schedule;
use crate::tally::Tally;
use client::Client;

/// A request that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client that failed goes on after this; failures may come faster than answers.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// How many of a thread's clients may open their connections at a time when each asks once.
const OPENING: usize = 64;
/// And how long all of them may take.
const OPENING_TIMEOUT: Duration = Duration::from_secs(60);

/// What to do to whom.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) workload: &'static Workload,
    pub(super) connections: usize,
    pub(super) address: SocketAddr,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) threads: usize,
    pub(super) warm_up: WarmUp,
    /// Of the measurement.
    pub(super) duration: Duration,
    /// Ends it early.
    pub(super) stop: Shutdown,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum WarmUp {
    /// All ask for so long.
    For(Duration),
    /// Each asks once.
    Once,
}

/// Threads that have warmed up and wait.
#[derive(Debug)]
pub(super) struct Generator {
    threads: Vec<JoinHandle<anyhow::Result<Tally>>>,
    /// Each is told when the clock starts; dropped, they send the threads home.
    begin: Vec<mpsc::Sender<Instant>>,
}

#[derive(Debug)]
pub(super) struct Measured {
    pub(super) tally: Tally,
    /// From the start to the last answer.
    pub(super) elapsed: Duration,
}

impl Generator {
    pub(super) fn start(load: &Load) -> anyhow::Result<Self> {
        let threads = load.threads.min(load.connections);
        let (warm, warmed_up) = mpsc::channel();
        let mut generator = Self {
            threads: Vec::new(),
            begin: Vec::new(),
        };
        for index in 0..threads {
            let (begin, begun) = mpsc::channel();
            let (load, warm) = (load.clone(), warm.clone());
            let thread = thread::Builder::new()
                .name(format!("generator-{index}"))
                .spawn(move || Thread::new(load, threads, index)?.run(&warm, &begun))
                .context("cannot start a thread")?;
            generator.threads.push(thread);
            generator.begin.push(begin);
        }
        drop(warm);
        for _ in 0..threads {
            // A thread that has failed says why when it is joined.
            if warmed_up.recv().is_err() {
                break;
            }
        }
        Ok(generator)
    }

    /// What was counted, the warm-up's failures too.
    pub(super) fn run(self) -> anyhow::Result<Measured> {
        let start = Instant::now();
        for begin in &self.begin {
            // A thread that has failed says why when it is joined.
            let _ = begin.send(start);
        }
        let tally = self.dismiss()?;
        let end = tally.last.unwrap_or(start);
        Ok(Measured {
            elapsed: end.saturating_duration_since(start),
            tally,
        })
    }

    /// Ends every thread and its connections once it has done what it was told. Not told to begin, it has counted the
    /// warm-up.
    pub(super) fn dismiss(self) -> anyhow::Result<Tally> {
        drop(self.begin);
        let mut tally = Tally::default();
        for thread in self.threads {
            let counted = thread
                .join()
                .map_err(|_| anyhow!("a generator thread panicked"))??;
            tally.merge(&counted);
        }
        Ok(tally)
    }
}

/// One thread and its clients.
struct Thread {
    runtime: tokio::runtime::Runtime,
    tasks: LocalSet,
    clients: Vec<Client>,
    load: Load,
    /// Which of how many.
    index: usize,
    threads: usize,
}

/// When a client asks.
enum Turns {
    /// As soon as it has its answer, until then.
    Until(Instant),
    Once(Semaphore),
    AtARate(Pacer),
}

impl Thread {
    fn new(load: Load, threads: usize, index: usize) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot make a runtime")?;
        // As equal as whole numbers allow.
        let all = load.connections;
        let share = all / threads + usize::from(index < all % threads);
        Ok(Self {
            runtime,
            tasks: LocalSet::new(),
            clients: Client::all(&load, share)?,
            load,
            index,
            threads,
        })
    }

    fn run(
        mut self,
        warm: &mpsc::Sender<()>,
        begun: &mpsc::Receiver<Instant>,
    ) -> anyhow::Result<Tally> {
        let warming_up = match self.load.warm_up {
            WarmUp::For(duration) => Turns::Until(Instant::now() + duration),
            WarmUp::Once => Turns::Once(Semaphore::new(OPENING)),
        };
        let warmed_up = self.phase(warming_up, self.load.warm_up.duration())?;
        // Whoever waits for it may have given up.
        let _ = warm.send(());
        let Ok(start) = begun.recv() else {
            return Ok(warmed_up);
        };
        let turns = match self.load.workload.rate {
            None => Turns::Until(start + self.load.duration),
            Some(rate) => {
                let (index, threads) = (self.index as u64, self.threads as u64);
                let schedule = Schedule::new(rate, self.load.duration, index, threads);
                // A timer belongs to the runtime.
                let _inside = self.runtime.enter();
                Turns::AtARate(Pacer::new(schedule, start).context("cannot make a timer")?)
            }
        };
        let mut tally = self.phase(turns, self.load.duration)?;
        tally.merge_errors(&warmed_up);
        Ok(tally)
    }

    /// All clients ask as they are told, for so long; what is under way then is waited for.
    fn phase(&mut self, turns: Turns, duration: Duration) -> anyhow::Result<Tally> {
        let clients = std::mem::take(&mut self.clients);
        let all = clients.len();
        let shared = Rc::new(Shared {
            tally: RefCell::default(),
            turns,
            stop: self.load.stop.clone(),
        });
        let phase = async {
            let mut asking = JoinSet::new();
            for client in clients {
                asking.spawn_local(Rc::clone(&shared).ask(client));
            }
            let pace = shared.pace(all);
            let mut pace = std::pin::pin!(pace);
            let mut paced = false;
            let deadline = tokio::time::sleep(duration + TIMEOUT);
            let mut deadline = std::pin::pin!(deadline);
            loop {
                tokio::select! {
                    ended = asking.join_next() => match ended {
                        Some(client) => self.clients.push(client.context("a client panicked")?),
                        None => return anyhow::Ok(()),
                    },
                    ended = &mut pace, if !paced => {
                        ended.context("the timer failed")?;
                        paced = true;
                    }
                    () = &mut deadline => return Ok(()),
                    () = self.load.stop.requested() => return Ok(()),
                }
            }
        };
        self.tasks.block_on(&self.runtime, phase)?;
        let mut tally = shared.tally.take();
        if !self.load.stop.is_requested() {
            let now = Instant::now();
            for _ in self.clients.len()..all {
                tally.record(now, now, Err(Failure::Timeout(TIMEOUT)));
            }
        }
        if let Turns::AtARate(pacer) = &shared.turns {
            tally.due = pacer.due();
            tally.not_started = pacer.due() - pacer.taken();
        }
        Ok(tally)
    }
}

/// What the clients of one thread share in a phase.
struct Shared {
    tally: RefCell<Tally>,
    turns: Turns,
    stop: Shutdown,
}

impl Shared {
    async fn ask(self: Rc<Self>, mut client: Client) -> Client {
        match &self.turns {
            Turns::Until(end) => {
                let mut began = Instant::now();
                while began < *end && !self.stop.is_requested() {
                    began = self.ask_once(&mut client, began).await;
                }
            }
            Turns::Once(opening) => {
                // It is never closed.
                let _permit = opening.acquire().await;
                self.ask_once(&mut client, Instant::now()).await;
            }
            Turns::AtARate(pacer) => {
                while let Some(due) = pacer.next().await {
                    self.ask_once(&mut client, due).await;
                }
            }
        }
        client
    }

    /// Gives when the next one may begin.
    async fn ask_once(&self, client: &mut Client, began: Instant) -> Instant {
        let outcome = client.exchange().await;
        let failed = outcome.is_err();
        let ended = Instant::now();
        self.tally.borrow_mut().record(began, ended, outcome);
        if failed {
            tokio::time::sleep(AFTER_FAILURE).await;
            return Instant::now();
        }
        ended
    }

    /// At a rate: makes requests due.
    async fn pace(&self, clients: usize) -> std::io::Result<()> {
        match &self.turns {
            Turns::AtARate(pacer) => pacer.run(clients).await,
            Turns::Until(_) | Turns::Once(_) => Ok(()),
        }
    }
}

impl WarmUp {
    /// At most.
    fn duration(self) -> Duration {
        match self {
            Self::For(duration) => duration,
            Self::Once => OPENING_TIMEOUT,
        }
    }
}

/// Whom the certificate speaks for.
fn server_name() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("it is a name")
}

fn malformed(reason: &str) -> Failure {
    Failure::Broken(format!("not an answer: {reason}"))
}
