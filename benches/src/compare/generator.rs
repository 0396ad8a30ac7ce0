//! Asks, as fast as it is answered, and counts: threads with a runtime and connections of their own each. Written to cost
//! as little as it can and the same whoever is measured, because it shares the machine with what is measured.
//!
//! In two steps, so that what is measured is only the second: opening connections and warming up ([`Generator::start`]),
//! then measuring ([`Generator::run`]).

mod http1;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use http::{HeaderName, HeaderValue, Method};
use lintel_common::shutdown::Shutdown;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::task::{JoinSet, LocalSet};

use super::workload::{Protocol, Workload};
use crate::client::endpoint::Endpoint;
use crate::client::exchange::{Answer, Expectation, Template, exchange};
use crate::client::failure::Failure;
use crate::client::link::Link;
use crate::tally::Tally;

/// A request that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client that failed goes on after this; failures may come faster than answers.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// What to do to whom.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) workload: &'static Workload,
    pub(super) address: SocketAddr,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) threads: usize,
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
    /// Ends it early.
    pub(super) stop: Shutdown,
}

/// Threads that have warmed up and wait.
#[derive(Debug)]
pub(super) struct Generator {
    threads: Vec<JoinHandle<anyhow::Result<Tally>>>,
    /// Dropped, they send the threads home; each is told when the clock starts.
    begin: Vec<mpsc::Sender<Instant>>,
}

impl Generator {
    pub(super) fn start(load: &Load) -> anyhow::Result<Self> {
        let threads = load.threads.min(load.workload.connections);
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
        for begin in self.begin {
            // A thread that has failed says why when it is joined.
            let _ = begin.send(start);
        }
        let mut tally = Tally::default();
        for thread in self.threads {
            let counted = thread
                .join()
                .map_err(|_| anyhow!("a generator thread panicked"))??;
            tally.merge(&counted);
        }
        let end = tally.last.unwrap_or(start);
        Ok(Measured {
            elapsed: end.saturating_duration_since(start),
            tally,
        })
    }
}

#[derive(Debug)]
pub(super) struct Measured {
    pub(super) tally: Tally,
    /// From the start to the last answer.
    pub(super) elapsed: Duration,
}

/// One thread and its clients.
struct Thread {
    runtime: tokio::runtime::Runtime,
    tasks: LocalSet,
    clients: Vec<Client>,
    load: Load,
}

impl Thread {
    fn new(load: Load, threads: usize, index: usize) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot make a runtime")?;
        // As equal as whole numbers allow.
        let all = load.workload.connections;
        let share = all / threads + usize::from(index < all % threads);
        let clients = match load.workload.protocol {
            Protocol::Http | Protocol::Https => {
                let target = Rc::new(http1::Target::new(&load));
                let client = |_| Client::Http1(http1::Client::new(Rc::clone(&target)));
                (0..share).map(client).collect()
            }
            Protocol::Http2 => {
                let target = Rc::new(Http2::new(&load)?);
                let streams = load.workload.streams;
                (0..share)
                    .flat_map(|_| std::iter::repeat_n(Rc::<Link>::default(), streams))
                    .map(|link| Client::Http2(Rc::clone(&target), link))
                    .collect()
            }
        };
        Ok(Self {
            runtime,
            tasks: LocalSet::new(),
            clients,
            load,
        })
    }

    fn run(
        mut self,
        warm: &mpsc::Sender<()>,
        begun: &mpsc::Receiver<Instant>,
    ) -> anyhow::Result<Tally> {
        let failed = self.phase(Instant::now() + self.load.warm_up)?;
        // Whoever waits for it may have given up.
        let _ = warm.send(());
        let Ok(start) = begun.recv() else {
            return Ok(failed);
        };
        let mut tally = self.phase(start + self.load.duration)?;
        tally.merge_errors(&failed);
        Ok(tally)
    }

    /// All clients ask until then; what is under way then is waited for.
    fn phase(&mut self, end: Instant) -> anyhow::Result<Tally> {
        let tally = Rc::new(RefCell::new(Tally::default()));
        let clients = std::mem::take(&mut self.clients);
        let all = clients.len();
        let phase = async {
            let mut asking = JoinSet::new();
            for client in clients {
                asking.spawn_local(ask(client, end, Rc::clone(&tally), self.load.stop.clone()));
            }
            let deadline = tokio::time::sleep_until((end + TIMEOUT).into());
            let mut deadline = std::pin::pin!(deadline);
            loop {
                tokio::select! {
                    ended = asking.join_next() => match ended {
                        Some(client) => self.clients.push(client.context("a client panicked")?),
                        None => return anyhow::Ok(()),
                    },
                    () = &mut deadline => return Ok(()),
                    () = self.load.stop.requested() => return Ok(()),
                }
            }
        };
        self.tasks.block_on(&self.runtime, phase)?;
        let mut tally = tally.take();
        if !self.load.stop.is_requested() {
            let now = Instant::now();
            for _ in self.clients.len()..all {
                tally.record(now, now, Err(Failure::Timeout(TIMEOUT)));
            }
        }
        Ok(tally)
    }
}

async fn ask(
    mut client: Client,
    end: Instant,
    tally: Rc<RefCell<Tally>>,
    stop: Shutdown,
) -> Client {
    let mut began = Instant::now();
    while began < end && !stop.is_requested() {
        let outcome = client.exchange().await;
        let failed = outcome.is_err();
        let ended = Instant::now();
        tally.borrow_mut().record(began, ended, outcome);
        began = ended;
        if failed {
            tokio::time::sleep(AFTER_FAILURE).await;
            began = Instant::now();
        }
    }
    client
}

/// Whoever sends one request after the other: a connection, or a stream of one.
enum Client {
    Http1(http1::Client),
    Http2(Rc<Http2>, Rc<Link>),
}

impl Client {
    async fn exchange(&mut self) -> Result<Answer, Failure> {
        match self {
            Self::Http1(client) => client.exchange().await,
            Self::Http2(target, link) => target.exchange(link).await,
        }
    }
}

/// By hyper's client; what it costs is the same for every proxy.
struct Http2 {
    endpoint: Endpoint,
    template: Template,
    expectation: Expectation,
}

impl Http2 {
    fn new(load: &Load) -> anyhow::Result<Self> {
        let request = load.workload.request;
        let mut headers = Vec::new();
        for (name, value) in request.headers() {
            headers.push((
                HeaderName::from_bytes(name.as_bytes())?,
                HeaderValue::from_str(&value)?,
            ));
        }
        let url = request.url().parse()?;
        let tls = load.tls.clone().map(|config| (config, server_name()));
        Ok(Self {
            endpoint: Endpoint::new(load.address, tls, true),
            template: Template::new(&url, true, Method::GET, &headers, 0)?,
            expectation: Expectation::of_content(request.content()),
        })
    }

    async fn exchange(&self, link: &Link) -> Result<Answer, Failure> {
        exchange(
            link,
            &self.endpoint,
            &self.template,
            &self.expectation,
            TIMEOUT,
        )
        .await
    }
}

/// Whom the certificate speaks for.
fn server_name() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("it is a name")
}
