//! The process from start to stop: listens at once, reaches the database meanwhile, serves, drains.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use lintel_common::server::{self, Options};
use lintel_common::shutdown::{self, Shutdown, ShutdownTrigger};
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};

use crate::app::App;
use crate::config::Settings;
use crate::csrf::Csrf;
use crate::database::Database;
use crate::entries::Entries;
use crate::schema;

/// Between two tries to reach the database at the start.
const ATTEMPT_INTERVAL: Duration = Duration::from_secs(5);
/// Longer than the 60 s that load balancers keep an idle connection, so that they end it and not we:
/// otherwise a request could be on its way into a connection that we are closing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// What SQLite may still be doing when everything else has ended.
const LAST_WORK: Duration = Duration::from_secs(1);

/// Serves until it is told to stop. An error says what to do.
pub(crate) fn run(settings: Settings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start; the system refuses an event queue (raise its limits)")?;
    let result = LocalSet::new().block_on(&runtime, serve(settings));
    runtime.shutdown_timeout(LAST_WORK);
    result
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    let listener = TcpListener::bind(settings.bind).await.with_context(|| {
        format!(
            "cannot listen on {}; stop what listens there or set BIND to another address",
            settings.bind
        )
    })?;
    let address = listener
        .local_addr()
        .context("the listening socket has no address")?;
    let open = |source| Database::open(source, settings.pool_size);
    let entries = Entries::new(
        open(&settings.database),
        settings.replica.as_ref().map(open),
    );
    if settings.secret_key.is_monotonous() {
        tracing::warn!(
            "SECRET_KEY repeats a few characters, so it can be guessed; make one with: openssl rand -hex 32"
        );
    }
    let csrf = Csrf::new(settings.secret_key.expose().as_bytes());
    let app = App::new(
        settings.instance_id.clone(),
        settings.trusted_proxies.clone(),
        csrf,
        entries,
    )
    .map(Rc::new)
    .context("the metrics are inconsistent; please report this")?;
    tracing::info!(%address, instance = settings.instance_id, database = %settings.database, "listening");

    let (signals, signalled) = shutdown::channel();
    let (trigger, stop) = shutdown::channel();
    spawn_local(shutdown::on_signals(
        signals,
        settings.shutdown_delay + settings.shutdown_timeout,
    ));
    let stopping = spawn_local(stop_in_order(
        Rc::clone(&app),
        settings.shutdown_delay,
        signalled,
        trigger,
    ));

    let options = Options {
        idle_timeout: IDLE_TIMEOUT,
        active_connections: Some(app.metrics.active_connections.clone()),
        ..Options::default()
    };
    tokio::select! {
        () = server::serve(listener, Rc::clone(&app), options, stop) => {}
        unreachable = reach_database(&app, &settings) => return Err(unreachable),
    }
    let cut = if stopping.is_finished() {
        stopping.await?
    } else {
        0
    };
    match cut {
        0 => tracing::info!("stopped; every request was answered"),
        cut => tracing::warn!(connections = cut, "stopped; connections were cut"),
    }
    Ok(())
}

/// Load balancers need time to notice: first `/health` says so, then listening ends. Returns when the time for finishing
/// is over, with the number of connections that were still open then.
async fn stop_in_order(
    app: Rc<App>,
    delay: Duration,
    signalled: Shutdown,
    trigger: ShutdownTrigger,
) -> i64 {
    signalled.requested().await;
    app.stop();
    tracing::info!(?delay, "stopping");
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        () = signalled.expired() => {}
    }
    trigger.request();
    signalled.expired().await;
    let open = app.metrics.active_connections.get();
    trigger.expire();
    open
}

/// Once the database was reached this never ends: a database that is lost later may come back.
async fn reach_database(app: &App, settings: &Settings) -> anyhow::Error {
    let attempts = settings.attempts;
    let mut attempt = 1;
    loop {
        let error = match schema::migrate(app.store().database()).await {
            Ok(()) => {
                app.database_reached();
                tracing::info!("the database was reached");
                return std::future::pending().await;
            }
            Err(error) => error,
        };
        tracing::warn!(%error, attempt, attempts, "the database cannot be used yet");
        if attempt >= attempts {
            return anyhow!(
                "the database {} cannot be used: {error}; start it, or correct DATABASE_URL",
                settings.database
            );
        }
        attempt += 1;
        tokio::time::sleep(ATTEMPT_INTERVAL).await;
    }
}
