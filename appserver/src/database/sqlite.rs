//! SQLite connections for bb8. SQLite answers on the calling thread, so each use of a connection is
//! one trip to tokio's blocking threads.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use super::DatabaseError;

pub type SqlitePool = bb8::Pool<SqliteConnections>;

/// How long a writer waits for another one, of this process or another.
const BUSY_LIMIT: Duration = Duration::from_secs(5);

/// Opens connections to one file.
#[derive(Debug)]
pub struct SqliteConnections(PathBuf);

pub struct SqliteConnection {
    connection: Connection,
    unusable: bool,
}

pub(super) fn pool(path: &Path, pool_size: u32) -> SqlitePool {
    super::builder(pool_size).build_unchecked(connections(path))
}

pub(super) fn connections(path: &Path) -> SqliteConnections {
    SqliteConnections(path.to_owned())
}

impl bb8::ManageConnection for SqliteConnections {
    type Connection = SqliteConnection;
    type Error = DatabaseError;

    async fn connect(&self) -> Result<SqliteConnection, DatabaseError> {
        let path = self.0.clone();
        let connection = blocking(move || open(&path)).await??;
        Ok(SqliteConnection {
            connection,
            unusable: false,
        })
    }

    async fn is_valid(&self, _: &mut SqliteConnection) -> Result<(), DatabaseError> {
        Ok(()) // there is no peer that could have gone away
    }

    fn has_broken(&self, connection: &mut SqliteConnection) -> bool {
        connection.unusable || !connection.connection.is_autocommit()
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_LIMIT)?;
    write_ahead(&connection)?;
    // With a write-ahead log the default (NORMAL) survives the end of the process but not of the
    // power: only FULL syncs the log at each commit, before the write is acknowledged.
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// Readers and the writer do not wait for each other with a write-ahead log. Switching to it needs
/// the file for oneself, and does not wait for it as statements do.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let started = Instant::now();
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())) {
            Err(error) if is_busy(&error) && started.elapsed() < BUSY_LIMIT => {
                std::thread::sleep(Duration::from_millis(20));
            }
            result => return result,
        }
    }
}

/// Runs `work` with a connection of the pool on a blocking thread, to its end, even if nobody waits
/// for the result any longer.
pub(crate) async fn run<T: Send + 'static>(
    pool: &SqlitePool,
    work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, DatabaseError> {
    let mut connection = pool.get_owned().await?;
    let result = blocking(move || {
        // Unusable until the work has ended: a panic in it must not put the connection back.
        connection.unusable = true;
        let result = work(&mut connection.connection);
        connection.unusable = result.as_ref().is_err_and(breaks_connection);
        result
    });
    Ok(result.await??)
}

/// Runs `work` with a connection that is not one of the pool's, and tells why if there is none.
pub(crate) async fn run_apart<T: Send + 'static>(
    pool: &SqlitePool,
    work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, DatabaseError> {
    let mut connection = pool.dedicated_connection().await?;
    Ok(blocking(move || work(&mut connection.connection)).await??)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, DatabaseError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| DatabaseError::Interrupted)
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

fn breaks_connection(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::CannotOpen
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::FileLockingProtocolFailed
        )
    )
}

/// Whether SQLite said no. Only a failing disk leaves it open what is on it.
pub(super) fn refused(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() != Some(ErrorCode::SystemIoFailure)
}
