//! MySQL and MariaDB connections for bb8. Two properties matter: no connection is ever lent out with
//! another request's answer still on it, and a restarted or failed-over server costs no request more
//! than it must.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder};

use super::DatabaseError;

pub type MySqlPool = bb8::Pool<MySqlConnections>;

/// mysql_async has no limit of its own: a server that accepts and stays mute would hold a place in
/// the pool for ever.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const PING_LIMIT: Duration = Duration::from_secs(1);
/// A connection used within this time is lent out without asking the server first.
const FRESH: Duration = Duration::from_secs(1);

/// What each session is set to, in one statement, since several would run in reverse order. Strict
/// everywhere (RDS is not by default, and would cut long texts), and no write waits for a lock
/// longer than its request does.
const SESSION: &str = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', \
                       SESSION innodb_lock_wait_timeout = 5";

/// Makes connections and judges them.
#[derive(Debug)]
pub struct MySqlConnections {
    opts: Opts,
    /// When a connection last broke: what was used before then is asked before it is lent out again.
    broke_at: Mutex<Option<Instant>>,
}

pub struct MySqlConnection {
    pub(crate) conn: Conn,
    used_at: Instant,
    unusable: bool,
}

pub(super) fn pool(opts: &Opts, pool_size: u32) -> MySqlPool {
    super::builder(pool_size).build_unchecked(connections(opts))
}

pub(super) fn connections(opts: &Opts) -> MySqlConnections {
    let opts = OptsBuilder::from_opts(opts.clone())
        // Otherwise TCP to loopback silently becomes a Unix socket, with other grants.
        .prefer_socket(false)
        // An UPDATE that changes nothing must differ from one that finds nothing.
        .client_found_rows(true)
        .stmt_cache_size(32)
        .tcp_keepalive(Some(Duration::from_secs(30)))
        .init(vec![SESSION]);
    MySqlConnections {
        opts: opts.into(),
        broke_at: Mutex::default(),
    }
}

impl bb8::ManageConnection for MySqlConnections {
    type Connection = MySqlConnection;
    type Error = DatabaseError;

    async fn connect(&self) -> Result<MySqlConnection, DatabaseError> {
        let conn = tokio::time::timeout(CONNECT_LIMIT, Conn::new(self.opts.clone()))
            .await
            .map_err(|_| DatabaseError::ConnectTimedOut)??;
        Ok(MySqlConnection {
            conn,
            used_at: Instant::now(),
            unusable: false,
        })
    }

    async fn is_valid(&self, connection: &mut MySqlConnection) -> Result<(), DatabaseError> {
        let broke_at = *self.broke_at.lock().unwrap_or_else(PoisonError::into_inner);
        if connection.used_at.elapsed() < FRESH && broke_at.is_none_or(|at| at < connection.used_at)
        {
            return Ok(());
        }
        tokio::time::timeout(PING_LIMIT, connection.conn.ping())
            .await
            .map_err(|_| DatabaseError::TimedOut)?
            .map_err(DatabaseError::from)
    }

    /// mysql_async marks a connection disconnected for the length of every command, so one that comes
    /// back in the middle of a query (the client left, a limit passed) is thrown away here.
    fn has_broken(&self, connection: &mut MySqlConnection) -> bool {
        let now = Instant::now();
        connection.used_at = now;
        let broken = connection.unusable || connection.conn.is_disconnected();
        if broken {
            *self.broke_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        }
        broken
    }
}

impl MySqlConnection {
    fn note<T>(&mut self, result: mysql_async::Result<T>) -> mysql_async::Result<T> {
        self.unusable |= result.as_ref().is_err_and(breaks_connection);
        result
    }
}

pub(super) async fn ping(pool: &MySqlPool) -> Result<(), DatabaseError> {
    read(pool, async |conn| conn.ping().await).await
}

/// Runs a query that changes nothing; if the connection turns out to be dead, once more on another.
pub(crate) async fn read<T>(
    pool: &MySqlPool,
    query: impl AsyncFn(&mut Conn) -> mysql_async::Result<T>,
) -> Result<T, DatabaseError> {
    let mut retried = false;
    loop {
        let mut connection = pool.get().await?;
        let result = query(&mut connection.conn).await;
        match connection.note(result) {
            Err(error) if breaks_connection(&error) && !retried => retried = true,
            result => return Ok(result?),
        }
    }
}

/// Runs a statement that changes something: once, whatever happens.
pub(crate) async fn write<T>(
    pool: &MySqlPool,
    statement: impl AsyncFnOnce(&mut Conn) -> mysql_async::Result<T>,
) -> Result<T, DatabaseError> {
    let mut connection = pool.get().await?;
    let result = statement(&mut connection.conn).await;
    Ok(connection.note(result)?)
}

/// The driver puts this before what the system says, once for every layer it went through.
pub(super) fn said(error: &mysql_async::Error) -> String {
    error.to_string().replace("Input/output error: ", "")
}

/// Also a server that has become read-only: after a fail-over the old primary keeps its connections,
/// and only a new connection finds the new primary.
fn breaks_connection(error: &mysql_async::Error) -> bool {
    match error {
        mysql_async::Error::Server(error) => matches!(error.code, 1053 | 1290 | 1792 | 1836 | 4031),
        error => error.is_fatal(),
    }
}

/// Whether the server said no. One that was stopping (1053, 1927, 4031) or interrupted (1317) may
/// have said it after the fact.
pub(super) fn refused(error: &mysql_async::Error) -> bool {
    match error {
        mysql_async::Error::Server(error) => !matches!(error.code, 1053 | 1317 | 1927 | 4031),
        _ => false,
    }
}
