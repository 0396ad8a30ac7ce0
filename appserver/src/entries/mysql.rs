//! The queries as MySQL and MariaDB have them, prepared once a connection. Rows are converted with
//! `from_row_opt`: the plain conversions panic on what an older table may hold.

use mysql_async::prelude::Queryable as _;
use mysql_async::{Row, from_row_opt};

use crate::database::DatabaseError;
use crate::database::mysql::{MySqlPool, read, write};
use crate::entry::{Change, Content, Entry, EntryId};

// The status may be NULL in a table that the original application made: it counts as off.
const LIST: &str = "SELECT id, title, SUBSTRING(description, 1, ?), COALESCE(status, 0) <> 0 \
                    FROM entry ORDER BY id DESC LIMIT ? OFFSET ?";
const FIND: &str =
    "SELECT id, title, description, COALESCE(status, 0) <> 0 FROM entry WHERE id = ?";
const ADD: &str = "INSERT INTO entry (title, description, status) VALUES (?, ?, ?)";
const CHANGE: &str = "UPDATE entry SET title = COALESCE(?, title), description = COALESCE(?, description), \
                      status = COALESCE(?, status) WHERE id = ?";
const TURN: &str = "UPDATE entry SET status = COALESCE(status, 0) = 0 WHERE id = ?";
const DELETE: &str = "DELETE FROM entry WHERE id = ?";

pub(super) async fn list(
    pool: &MySqlPool,
    characters: u32,
    limit: u32,
    offset: i64,
) -> Result<Vec<Entry>, DatabaseError> {
    let rows: Vec<Row> = read(pool, async |conn| {
        conn.exec(LIST, (characters, limit, offset)).await
    })
    .await?;
    rows.into_iter().map(entry).collect()
}

pub(super) async fn find(pool: &MySqlPool, id: EntryId) -> Result<Option<Entry>, DatabaseError> {
    let row: Option<Row> =
        read(pool, async |conn| conn.exec_first(FIND, (id.get(),)).await).await?;
    row.map(entry).transpose()
}

pub(super) async fn add(
    pool: &MySqlPool,
    content: Content,
    status: bool,
) -> Result<EntryId, DatabaseError> {
    let id = write(pool, async |conn| {
        conn.exec_drop(ADD, (content.title, content.description, status))
            .await?;
        Ok(conn.last_insert_id())
    })
    .await?;
    id.and_then(|id| u32::try_from(id).ok())
        .and_then(EntryId::new)
        .ok_or(DatabaseError::UnreadableRow)
}

pub(super) async fn change(
    pool: &MySqlPool,
    id: EntryId,
    change: Change,
) -> Result<bool, DatabaseError> {
    write(pool, async |conn| {
        conn.exec_drop(
            CHANGE,
            (change.title, change.description, change.status, id.get()),
        )
        .await?;
        Ok(conn.affected_rows() > 0)
    })
    .await
}

pub(super) async fn turn(pool: &MySqlPool, id: EntryId) -> Result<bool, DatabaseError> {
    affects(pool, TURN, id).await
}

pub(super) async fn delete(pool: &MySqlPool, id: EntryId) -> Result<bool, DatabaseError> {
    affects(pool, DELETE, id).await
}

async fn affects(
    pool: &MySqlPool,
    statement: &'static str,
    id: EntryId,
) -> Result<bool, DatabaseError> {
    write(pool, async |conn| {
        conn.exec_drop(statement, (id.get(),)).await?;
        Ok(conn.affected_rows() > 0)
    })
    .await
}

fn entry(row: Row) -> Result<Entry, DatabaseError> {
    let (id, title, description, status) = from_row_opt::<(u32, String, String, bool)>(row)
        .map_err(|_| DatabaseError::UnreadableRow)?;
    let id = EntryId::new(id).ok_or(DatabaseError::UnreadableRow)?;
    Ok(Entry {
        id,
        title,
        description,
        status,
    })
}
