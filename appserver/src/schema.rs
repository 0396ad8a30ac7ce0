//! The tables, and how they come to be: numbered migrations, applied once even when several
//! instances start together. `entry` is the table of the original Flask application; one that exists
//! is adopted with its rows.

use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use rusqlite::TransactionBehavior;

use crate::database::mysql::MySqlPool;
use crate::database::{Database, DatabaseError, sqlite};

/// How long one instance waits for another that is migrating.
const LOCK_SECONDS: u64 = 30;
/// Bounds the whole migration on MySQL, altering a large old table included.
const LIMIT: Duration = Duration::from_mins(10);

/// The version that this program needs. A newer one in the database is left alone: migrations only
/// ever add, so that old and new instances can run side by side while a fleet is rolled.
const VERSION: u32 = 1;

/// Brings the tables to the state that this program needs. Safe to call at every start, from any number of instances.
pub async fn migrate(database: &Database) -> Result<(), DatabaseError> {
    match database {
        Database::MySql(pool) => tokio::time::timeout(LIMIT, migrate_mysql(pool))
            .await
            .unwrap_or(Err(DatabaseError::Schema(
                "it took longer than ten minutes",
            ))),
        Database::Sqlite(pool) => sqlite::run_apart(pool, migrate_sqlite).await,
    }
}

/// MySQL commits each CREATE and ALTER by itself, so every step can be run again; the lock ends with
/// the connection, which is not one of the pool's.
async fn migrate_mysql(pool: &MySqlPool) -> Result<(), DatabaseError> {
    let mut connection = pool.dedicated_connection().await?;
    let conn = &mut connection.conn;
    // Lock names are the server's, at most 64 characters: hence the digest of the database's name. (MySQL 9 has no MD5.)
    let locked: Option<Option<i64>> = conn
        .exec_first(
            "SELECT GET_LOCK(CONCAT('lintel.schema.', LEFT(SHA2(DATABASE(), 256), 40)), ?)",
            (LOCK_SECONDS,),
        )
        .await?;
    if locked.flatten() != Some(1) {
        return Err(DatabaseError::Schema(
            "another instance has been preparing them for too long",
        ));
    }
    conn.query_drop(
        "CREATE TABLE IF NOT EXISTS schema_version (\
            version INT NOT NULL PRIMARY KEY, \
            applied_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP\
         ) ENGINE = InnoDB",
    )
    .await?;
    let version: Option<Option<u32>> = conn
        .query_first("SELECT CAST(MAX(version) AS UNSIGNED) FROM schema_version")
        .await?;
    if version.flatten().unwrap_or(0) < VERSION {
        create_entry(conn).await?;
        adopt_entry(conn).await?;
        conn.exec_drop(
            "INSERT INTO schema_version (version) VALUES (?)",
            (VERSION,),
        )
        .await?;
        tracing::info!(version = VERSION, "tables prepared");
    }
    connection.conn.disconnect().await?;
    Ok(())
}

/// `MEDIUMTEXT`, since `TEXT` ends one byte before the longest description (65,536).
async fn create_entry(conn: &mut Conn) -> Result<(), DatabaseError> {
    conn.query_drop(
        "CREATE TABLE IF NOT EXISTS entry (\
            id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, \
            title VARCHAR(64) NOT NULL, \
            description MEDIUMTEXT NOT NULL, \
            status TINYINT(1) NOT NULL DEFAULT 0\
         ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4",
    )
    .await?;
    Ok(())
}

/// Widens an original table: descriptions were 120 characters, often in a three-byte character set,
/// and indexed whole, which a text column cannot be. The status stays as it is, NULL included.
async fn adopt_entry(conn: &mut Conn) -> Result<(), DatabaseError> {
    let description: Option<(String, String)> = conn
        .query_first(
            "SELECT LOWER(DATA_TYPE), COALESCE(CHARACTER_SET_NAME, '') FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'entry' AND COLUMN_NAME = 'description'",
        )
        .await?;
    let (kind, charset) = description.ok_or(DatabaseError::Schema(
        "the table `entry` has no column `description`; rename that table",
    ))?;
    if matches!(kind.as_str(), "mediumtext" | "longtext") && charset == "utf8mb4" {
        return Ok(());
    }
    let indexes: Vec<String> = conn
        .query(
            "SELECT DISTINCT INDEX_NAME FROM information_schema.STATISTICS \
             WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'entry' AND COLUMN_NAME = 'description'",
        )
        .await?;
    let drop = |name: &String| format!("DROP INDEX `{}`, ", name.replace('`', "``"));
    let drops = indexes.iter().map(drop).collect::<Vec<_>>().concat();
    conn.query_drop(format!(
        "ALTER TABLE entry {drops}\
            MODIFY title VARCHAR(64) CHARACTER SET utf8mb4 NOT NULL, \
            MODIFY description MEDIUMTEXT CHARACTER SET utf8mb4 NOT NULL, \
            DEFAULT CHARACTER SET utf8mb4"
    ))
    .await?;
    tracing::info!("the existing table `entry` was adopted");
    Ok(())
}

/// One transaction: whoever comes second waits for it and finds the work done. `AUTOINCREMENT` keeps
/// the number of a deleted entry from being given to a new one, to which an old link would lead.
fn migrate_sqlite(connection: &mut rusqlite::Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_version (
            version INTEGER NOT NULL PRIMARY KEY,
            applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
         );",
    )?;
    let version: Option<u32> =
        transaction.query_row("SELECT max(version) FROM schema_version", [], |row| {
            row.get(0)
        })?;
    if version.unwrap_or(0) < VERSION {
        transaction.execute_batch(
            "CREATE TABLE IF NOT EXISTS entry (
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                title TEXT NOT NULL CHECK (length(title) <= 64),
                description TEXT NOT NULL,
                status INTEGER NOT NULL DEFAULT 0
             );",
        )?;
        transaction.execute(
            "INSERT INTO schema_version (version) VALUES (?1)",
            [VERSION],
        )?;
    }
    transaction.commit()
}
