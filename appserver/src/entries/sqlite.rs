//! The same queries as SQLite has them.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::database::DatabaseError;
use crate::database::sqlite::{SqlitePool, run};
use crate::entry::{Change, Content, Entry, EntryId};

const LIST: &str = "SELECT id, title, substr(description, 1, ?1), coalesce(status, 0) <> 0 \
                    FROM entry ORDER BY id DESC LIMIT ?2 OFFSET ?3";
const FIND: &str =
    "SELECT id, title, description, coalesce(status, 0) <> 0 FROM entry WHERE id = ?1";
const ADD: &str = "INSERT INTO entry (title, description, status) VALUES (?1, ?2, ?3)";
const CHANGE: &str = "UPDATE entry SET title = coalesce(?1, title), description = coalesce(?2, description), \
                      status = coalesce(?3, status) WHERE id = ?4";
const TURN: &str = "UPDATE entry SET status = coalesce(status, 0) = 0 WHERE id = ?1";
const DELETE: &str = "DELETE FROM entry WHERE id = ?1";

pub(super) async fn list(
    pool: &SqlitePool,
    characters: u32,
    limit: u32,
    offset: i64,
) -> Result<Vec<Entry>, DatabaseError> {
    run(pool, move |connection| {
        let mut statement = connection.prepare_cached(LIST)?;
        statement
            .query_map(params![characters, limit, offset], entry)?
            .collect()
    })
    .await
}

pub(super) async fn find(pool: &SqlitePool, id: EntryId) -> Result<Option<Entry>, DatabaseError> {
    run(pool, move |connection| {
        connection
            .prepare_cached(FIND)?
            .query_row(params![id.get()], entry)
            .optional()
    })
    .await
}

pub(super) async fn add(
    pool: &SqlitePool,
    content: Content,
    status: bool,
) -> Result<EntryId, DatabaseError> {
    let id = run(pool, move |connection| {
        connection
            .prepare_cached(ADD)?
            .insert(params![content.title, content.description, status])
    })
    .await?;
    u32::try_from(id)
        .ok()
        .and_then(EntryId::new)
        .ok_or(DatabaseError::UnreadableRow)
}

pub(super) async fn change(
    pool: &SqlitePool,
    id: EntryId,
    change: Change,
) -> Result<bool, DatabaseError> {
    run(pool, move |connection| {
        let changed = connection.prepare_cached(CHANGE)?.execute(params![
            change.title,
            change.description,
            change.status,
            id.get()
        ])?;
        Ok(changed > 0)
    })
    .await
}

pub(super) async fn turn(pool: &SqlitePool, id: EntryId) -> Result<bool, DatabaseError> {
    run(pool, move |connection| affects(connection, TURN, id)).await
}

pub(super) async fn delete(pool: &SqlitePool, id: EntryId) -> Result<bool, DatabaseError> {
    run(pool, move |connection| affects(connection, DELETE, id)).await
}

fn affects(connection: &Connection, statement: &str, id: EntryId) -> rusqlite::Result<bool> {
    Ok(connection
        .prepare_cached(statement)?
        .execute(params![id.get()])?
        > 0)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let id: u32 = row.get(0)?;
    let id = EntryId::new(id).ok_or(rusqlite::Error::IntegralValueOutOfRange(0, i64::from(id)))?;
    Ok(Entry {
        id,
        title: row.get(1)?,
        description: row.get(2)?,
        status: row.get(3)?,
    })
}
