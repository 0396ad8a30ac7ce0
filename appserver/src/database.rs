//! The database: connection pools (bb8) for MySQL and SQLite, and what can go wrong with them. It
//! knows connections, not entries: the queries are in `entries`, the tables in `schema`.

pub mod mysql;
pub mod sqlite;

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bb8::ManageConnection as _;
use mysql::MySqlPool;
use sqlite::SqlitePool;

/// How long a request waits for a free connection. The pool waits this long even when the server
/// refuses at once, so it is short.
const CHECKOUT_LIMIT: Duration = Duration::from_secs(2);
/// How long one operation may take; after it the request fails.
pub(crate) const OPERATION_LIMIT: Duration = Duration::from_secs(10);
/// Connections idle for longer are closed: below the 350 s after which NAT gateways and network load
/// balancers forget a connection without a word.
const IDLE_LIMIT: Duration = Duration::from_mins(5);

/// Where the data is.
#[derive(Clone)]
pub enum Source {
    MySql(Box<mysql_async::Opts>),
    Sqlite(std::path::PathBuf),
}

/// Without the password.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MySql(opts) => write!(
                f,
                "mysql://{}@{}:{}/{}",
                opts.user().unwrap_or_default(),
                opts.ip_or_hostname(),
                opts.tcp_port(),
                opts.db_name().unwrap_or_default()
            ),
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Makes one connection and closes it: for whoever must know, before anything else, why there is none.
pub async fn connect_once(source: &Source) -> Result<(), DatabaseError> {
    match source {
        // A connection that is only dropped is an aborted client in the server's log.
        Source::MySql(opts) => {
            let connection = mysql::connections(opts).connect().await?;
            connection.conn.disconnect().await?;
        }
        Source::Sqlite(path) => drop(sqlite::connections(path).connect().await?),
    }
    Ok(())
}

/// A pool of connections. Clones share it.
#[derive(Clone)]
pub enum Database {
    MySql(MySqlPool),
    Sqlite(SqlitePool),
}

impl Database {
    /// A pool that connects when it is first asked to. Must be called inside a tokio runtime.
    pub fn open(source: &Source, pool_size: u32) -> Self {
        match source {
            Source::MySql(opts) => Self::MySql(mysql::pool(opts, pool_size)),
            Source::Sqlite(path) => Self::Sqlite(sqlite::pool(path, pool_size)),
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::MySql(_) => "MySQL",
            Self::Sqlite(_) => "SQLite",
        }
    }

    /// One round trip, without reading any table.
    pub async fn ping(&self) -> Result<(), DatabaseError> {
        match self {
            Self::MySql(pool) => mysql::ping(pool).await,
            Self::Sqlite(pool) => {
                sqlite::run(pool, |connection| connection.execute_batch("SELECT 1")).await
            }
        }
    }

    pub fn pool_size(&self) -> u32 {
        match self {
            Self::MySql(pool) => pool.config().max_size,
            Self::Sqlite(pool) => pool.config().max_size,
        }
    }

    pub fn pool_state(&self) -> bb8::State {
        match self {
            Self::MySql(pool) => pool.state(),
            Self::Sqlite(pool) => pool.state(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("no connection to the database became free within {} s", CHECKOUT_LIMIT.as_secs())]
    NoConnection,
    #[error("connecting to the database took longer than {} s", mysql::CONNECT_LIMIT.as_secs())]
    ConnectTimedOut,
    #[error("the database did not answer within {} s", OPERATION_LIMIT.as_secs())]
    TimedOut,
    #[error("the first start could not prepare the tables: {0}")]
    Schema(&'static str),
    #[error("a row could not be read as an entry")]
    UnreadableRow,
    #[error("a database task ended before its time")]
    Interrupted,
    #[error("{}", mysql::said(.0))]
    MySql(#[from] mysql_async::Error),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

impl DatabaseError {
    /// Whether a change that failed so has certainly not been made. Otherwise nobody knows, and the
    /// person who made it must be told to look.
    pub fn nothing_changed(&self) -> bool {
        match self {
            Self::NoConnection | Self::ConnectTimedOut | Self::Schema(_) => true,
            Self::TimedOut | Self::UnreadableRow | Self::Interrupted => false,
            Self::MySql(error) => mysql::refused(error),
            Self::Sqlite(error) => sqlite::refused(error),
        }
    }

    /// Whether the database was there, and said something else than what was asked of it.
    pub fn is_answer(&self) -> bool {
        match self {
            Self::NoConnection | Self::ConnectTimedOut | Self::TimedOut | Self::Interrupted => {
                false
            }
            Self::Schema(_) | Self::UnreadableRow | Self::Sqlite(_) => true,
            Self::MySql(error) => matches!(error, mysql_async::Error::Server(_)),
        }
    }
}

impl<E: Into<DatabaseError>> From<bb8::RunError<E>> for DatabaseError {
    fn from(error: bb8::RunError<E>) -> Self {
        match error {
            bb8::RunError::User(error) => error.into(),
            bb8::RunError::TimedOut => Self::NoConnection,
        }
    }
}

fn builder<M: bb8::ManageConnection<Error = DatabaseError>>(pool_size: u32) -> bb8::Builder<M> {
    bb8::Pool::builder()
        .max_size(pool_size)
        .connection_timeout(CHECKOUT_LIMIT)
        .idle_timeout(IDLE_LIMIT)
        .error_sink(Box::new(LogSink::default()))
}

/// bb8 tells whoever waits only "timed out"; the cause comes here. Logged at most every five
/// seconds, because a lost database fails once a request.
#[derive(Debug, Default)]
struct LogSink(Mutex<SinkState>);

#[derive(Clone, Copy, Debug, Default)]
struct SinkState {
    logged_at: Option<Instant>,
    not_logged: u32,
}

impl bb8::ErrorSink<DatabaseError> for LogSink {
    fn sink(&self, error: DatabaseError) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state
            .logged_at
            .is_some_and(|at| at.elapsed() < Duration::from_secs(5))
        {
            state.not_logged += 1;
            return;
        }
        tracing::warn!(%error, not_logged = state.not_logged, "a database connection failed");
        *state = SinkState {
            logged_at: Some(Instant::now()),
            not_logged: 0,
        };
    }

    fn boxed_clone(&self) -> Box<dyn bb8::ErrorSink<DatabaseError>> {
        Box::new(Self::default())
    }
}
