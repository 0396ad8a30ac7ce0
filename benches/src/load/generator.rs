//! One thread of load: its own runtime, its own connections, its own counts.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use lintel_common::shutdown::Shutdown;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, LocalSet};

use super::options::Plan;
use super::progress::Progress;
use crate::client::exchange::exchange;
use crate::client::failure::{Failure, Kind};
use crate::client::link::Link;
use crate::pacer::Pacer;
use crate::tally::Tally;

/// A closed loop's client that found no connection tries again after this; it would only measure how fast it is refused.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);

pub(super) struct Generator {
    pub(super) plan: Arc<Plan>,
    /// Which of the plan's threads this is.
    pub(super) index: usize,
    /// Told once the connections are open; dropped when the thread ends.
    pub(super) opened: mpsc::Sender<Opened>,
    /// When the clock started, once it has.
    pub(super) begun: watch::Receiver<Option<Instant>>,
    pub(super) progress: Arc<Progress>,
    pub(super) stop: Shutdown,
}

/// How the first connections went.
pub(super) struct Opened {
    pub(super) connections: usize,
    pub(super) failure: Option<Failure>,
}

/// When the next request is to be sent.
enum Turns {
    /// As soon as the last one has ended, until then.
    Closed(Instant),
    Open(Pacer),
}

/// What the clients of one thread share.
struct Shared {
    plan: Arc<Plan>,
    turns: Turns,
    tally: RefCell<Tally>,
    progress: Arc<Progress>,
    stop: Shutdown,
}

impl Generator {
    /// Blocks until the last request has ended or the stop has expired.
    pub(super) fn run(self) -> anyhow::Result<Tally> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot make a runtime")?;
        LocalSet::new().block_on(&runtime, self.generate())
    }

    async fn generate(mut self) -> anyhow::Result<Tally> {
        let links: Vec<Rc<Link>> = (0..self.plan.share(self.index))
            .map(|_| Rc::default())
            .collect();
        let opened = tokio::select! {
            opened = self.open(&links) => opened,
            () = self.stop.requested() => return Ok(Tally::default()),
        };
        // There is room for one message of each thread.
        let _ = self.opened.try_send(opened);
        let begun = tokio::select! {
            begun = self.begun.wait_for(Option::is_some) => begun.ok().and_then(|start| *start),
            () = self.stop.expired() => None,
        };
        let Some(start) = begun else {
            return Ok(Tally::default());
        };
        let turns = match self.plan.schedule(self.index) {
            Some(schedule) => {
                Turns::Open(Pacer::new(schedule, start).context("cannot make a timer")?)
            }
            None => Turns::Closed(start + self.plan.duration),
        };
        let shared = Rc::new(Shared {
            plan: self.plan,
            turns,
            tally: RefCell::default(),
            progress: self.progress,
            stop: self.stop,
        });
        shared.load(&links).await?;
        let mut tally = shared.tally.take();
        tally.connections = links.iter().map(|link| link.opened()).sum();
        if let Turns::Open(pacer) = &shared.turns {
            tally.due = pacer.due();
            tally.not_started = pacer.due() - pacer.taken();
        }
        Ok(tally)
    }

    /// Opens all connections at once.
    async fn open(&self, links: &[Rc<Link>]) -> Opened {
        let mut attempts = JoinSet::new();
        for link in links {
            let (link, plan) = (Rc::clone(link), Arc::clone(&self.plan));
            attempts.spawn_local(async move {
                let open = async {
                    link.put(link.take(&plan.endpoint).await?.sender).await;
                    Ok(())
                };
                tokio::time::timeout(plan.timeout, open)
                    .await
                    .unwrap_or(Err(Failure::Timeout(plan.timeout)))
            });
        }
        let mut opened = Opened {
            connections: 0,
            failure: None,
        };
        while let Some(Ok(attempt)) = attempts.join_next().await {
            match attempt {
                Ok(()) => opened.connections += 1,
                Err(failure) => opened.failure = Some(failure),
            }
        }
        opened
    }
}

impl Shared {
    async fn load(self: &Rc<Self>, links: &[Rc<Link>]) -> anyhow::Result<()> {
        let mut clients = JoinSet::new();
        for link in links {
            for _ in 0..self.plan.streams {
                clients.spawn_local(Rc::clone(self).client(Rc::clone(link)));
            }
        }
        let pace = self.pace(clients.len());
        let mut pace = std::pin::pin!(pace);
        let mut paced = false;
        loop {
            tokio::select! {
                ended = clients.join_next() => match ended {
                    Some(ended) => ended.context("a client panicked")?,
                    None => return Ok(()),
                },
                ended = &mut pace, if !paced => {
                    ended.context("the timer failed")?;
                    paced = true;
                }
                () = self.stop.expired() => return Ok(()),
            }
        }
    }

    /// In an open loop: makes requests due, then allows the late ones as long as a request may take.
    async fn pace(&self, clients: usize) -> std::io::Result<()> {
        let Turns::Open(pacer) = &self.turns else {
            return Ok(());
        };
        tokio::select! {
            ended = pacer.run(clients) => ended?,
            () = self.stop.requested() => {}
        }
        tokio::select! {
            () = tokio::time::sleep(self.plan.timeout) => {}
            () = self.stop.requested() => {}
        }
        pacer.close();
        Ok(())
    }

    /// One request after the other.
    async fn client(self: Rc<Self>, link: Rc<Link>) {
        let plan = &self.plan;
        while let Some(began) = self.next().await {
            self.progress.starts();
            let outcome = exchange(
                &link,
                &plan.endpoint,
                &plan.template,
                &plan.expectation,
                plan.timeout,
            )
            .await;
            let ended = Instant::now();
            self.progress.ended(outcome.is_ok());
            let refused = matches!(&outcome, Err(failure) if failure.kind() == Kind::Connect);
            self.tally.borrow_mut().record(began, ended, outcome);
            if refused && matches!(self.turns, Turns::Closed(_)) {
                tokio::time::sleep(AFTER_REFUSAL).await;
            }
        }
    }

    /// From when the latency of the next request counts; `None` if there is to be none.
    async fn next(&self) -> Option<Instant> {
        match &self.turns {
            Turns::Closed(end) => {
                let now = Instant::now();
                (now < *end && !self.stop.is_requested()).then_some(now)
            }
            Turns::Open(pacer) => pacer.next().await,
        }
    }
}
