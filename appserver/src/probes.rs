//! What machines ask: `/health`, `/ready`, `/metrics`, `/pool-stats`. Says how things are, not why:
//! addresses and error texts go to the log only.

use std::time::Duration;

use http::StatusCode;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::app::App;
use crate::respond::{self, Answer};

/// How long a probe waits for the database.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
const PLAIN: &str = "text/plain; charset=utf-8";

/// Whether the process serves. Never asks the database: else a lost database would have every
/// instance replaced.
pub(crate) fn health(app: &App) -> Answer {
    if app.is_stopping() {
        respond::text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, "stopping\n")
    } else {
        respond::text(StatusCode::OK, PLAIN, "ok\n")
    }
}

/// Whether it could serve the list now.
pub(crate) async fn ready(app: &App) -> Answer {
    let no = |why: &'static str| respond::text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, why);
    if app.is_stopping() {
        no("stopping\n")
    } else if !app.is_reached() {
        no("waiting for the database\n")
    } else if !database_answers(app).await {
        no("the database does not answer\n")
    } else {
        respond::text(StatusCode::OK, PLAIN, "ready\n")
    }
}

pub(crate) fn metrics(app: &App) -> Answer {
    let text = app.metrics.render(app.store().database());
    respond::text(StatusCode::OK, lintel_common::metrics::CONTENT_TYPE, text)
}

#[derive(Serialize)]
struct PoolStats<'a> {
    connection_pool: ConnectionPool,
    database_status: &'static str,
    message: &'static str,
    server: &'a str,
    timestamp: String,
}

#[derive(Serialize)]
struct ConnectionPool {
    pool_size: u32,
    pool_name: String,
    active_connections: u32,
    total_connections: u32,
}

pub(crate) async fn pool_stats(app: &App) -> Answer {
    let (database_status, message) = if !app.is_reached() {
        ("connecting", "The database was not reached yet")
    } else if database_answers(app).await {
        ("connected", "The database answers")
    } else {
        ("disconnected", "The database does not answer")
    };
    let database = app.store().database();
    let state = database.pool_state();
    let stats = PoolStats {
        connection_pool: ConnectionPool {
            pool_size: database.pool_size(),
            pool_name: database.kind().to_ascii_lowercase(),
            active_connections: state.connections.saturating_sub(state.idle_connections),
            total_connections: state.connections,
        },
        database_status,
        message,
        server: &app.instance_id,
        timestamp: OffsetDateTime::now_utc()
            .format(&Rfc3339)
            .unwrap_or_default(),
    };
    respond::json(StatusCode::OK, &stats)
}

async fn database_answers(app: &App) -> bool {
    let ping = app.store().database().ping();
    match tokio::time::timeout(PROBE_LIMIT, ping).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::debug!(%error, "the database does not answer");
            false
        }
        Err(_elapsed) => false,
    }
}
