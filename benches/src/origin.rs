//! `origin`: the fixed-answer HTTP/1.1 servers that stand behind whatever is measured. One process, one thread, several
//! instances (an address each), written to cost as little as it can, because it shares the machine with what is
//! measured: no hyper, answers made in advance, one read and one write a request.
//!
//! | request | answer |
//! |---|---|
//! | `GET /small` | 128 bytes |
//! | `GET /page` | 8 KiB of HTML under the headers that a web application sends |
//! | `GET /large` | 1 MiB |
//! | `POST /upload` | the length of the body that came, as decimal text |
//! | `GET /ws` | WebSocket: every frame comes back |
//! | `GET /health` | 200 |
//! | `GET /__report` | JSON: what was counted; with `?reset` counting begins anew; with `?proto=P&port=N` the forwarding headers must say this from then on |
//!
//! Requests for `/health` and `/__report` are not counted. An idle connection is kept for as long as its peer keeps it:
//! that is the peer's business here.

mod body;
mod connection;
mod content;
mod process;
mod request;
mod websocket;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

pub(crate) use content::content;
#[cfg(test)]
pub(crate) use process::InstanceReport;
pub(crate) use process::{Process, Report};
use request::Forwarding;

const COULD_NOT_START: u8 = 2;

/// How long accepting pauses where it fails (no descriptor left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The addresses of the instances; port 0: any free one, told on standard output
    #[arg(long, value_name = "ADDR", num_args = 1.., required = true)]
    listen: Vec<SocketAddr>,
    /// Count requests without X-Forwarded-For, -Proto and -Port
    #[arg(long)]
    expect_forwarding: bool,
}

/// What all connections share.
struct Origin {
    answers: content::Answers,
    /// Asked before every request, by one thread.
    expected: Mutex<Option<Forwarding>>,
    instances: Vec<Instance>,
    missing_forwarding_headers: AtomicU64,
}

struct Instance {
    address: SocketAddr,
    requests: AtomicU64,
}

impl Origin {
    fn count(&self, instance: usize, request: &request::Request) {
        self.instances[instance]
            .requests
            .fetch_add(1, Ordering::Relaxed);
        if !request.is_forwarded && self.expected().is_some() {
            self.missing_forwarding_headers
                .fetch_add(1, Ordering::Relaxed);
        }
    }

    fn expected(&self) -> Option<Forwarding> {
        *self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// If nothing is said, as before.
    fn expect(&self, expected: Option<Forwarding>) {
        if expected.is_some() {
            *self.expected.lock().unwrap_or_else(PoisonError::into_inner) = expected;
        }
    }

    fn report(&self, reset: bool) -> String {
        let read = |counter: &AtomicU64| {
            if reset {
                counter.swap(0, Ordering::Relaxed)
            } else {
                counter.load(Ordering::Relaxed)
            }
        };
        let counts: Vec<u64> = self.instances.iter().map(|i| read(&i.requests)).collect();
        let instances: Vec<_> = std::iter::zip(&self.instances, &counts)
            .map(|(instance, requests)| json!({"address": instance.address, "requests": requests}))
            .collect();
        json!({
            "requests": counts.iter().sum::<u64>(),
            "missing_forwarding_headers": read(&self.missing_forwarding_headers),
            "instances": instances,
        })
        .to_string()
    }
}

pub(crate) fn main(options: &Options) -> ExitCode {
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lintel-benches: {error:#}");
            ExitCode::from(COULD_NOT_START)
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot make a runtime")?
        .block_on(serve(options))
}

/// Until SIGTERM or SIGINT. What is under way then is dropped: nobody is measuring any more.
async fn serve(options: &Options) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut listeners = Vec::new();
    let mut instances = Vec::new();
    for address in &options.listen {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        instances.push(Instance {
            address: listener.local_addr()?,
            requests: AtomicU64::new(0),
        });
        listeners.push(listener);
    }
    let ready = instances.iter().fold("ready".to_owned(), |line, instance| {
        format!("{line} {}", instance.address)
    });
    let origin = Arc::new(Origin {
        answers: content::Answers::new(),
        expected: Mutex::new(options.expect_forwarding.then_some(Forwarding::Something)),
        instances,
        missing_forwarding_headers: AtomicU64::new(0),
    });
    for (instance, listener) in listeners.into_iter().enumerate() {
        tokio::spawn(accept(listener, Arc::clone(&origin), instance));
    }
    writeln!(io::stdout(), "{ready}").context("cannot tell that it is ready")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

async fn accept(listener: TcpListener, origin: Arc<Origin>, instance: usize) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let origin = Arc::clone(&origin);
                tokio::spawn(async move {
                    // How a peer ends its connection is seen on its side.
                    let _ = connection::serve(stream, &origin, instance).await;
                });
            }
            Err(error) => {
                eprintln!("lintel-benches: the origin cannot accept: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
