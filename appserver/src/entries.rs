//! The entries: every query of the application, with one contract for MySQL and SQLite. Each change
//! is one statement that commits by itself, so that what is acknowledged is stored, and two people
//! who change the same entry at once cannot undo each other's change by accident.

mod mysql;
mod sqlite;

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::database::{Database, DatabaseError, OPERATION_LIMIT};
use crate::entry::{Change, Content, Entry, EntryId};

/// Entries on one page.
pub const PAGE_SIZE: u32 = 20;
/// How long a replica that failed is left alone.
const REPLICA_REST: Duration = Duration::from_secs(5);

/// A page of the list, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageNumber(NonZeroU32);

impl PageNumber {
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    pub fn get(self) -> u32 {
        self.0.get()
    }

    fn offset(self) -> i64 {
        i64::from(self.get() - 1) * i64::from(PAGE_SIZE)
    }
}

/// One page of the list, newest first.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// Whether there are older entries. How many is not counted: that would read the whole table
    /// for every page.
    pub has_older: bool,
}

/// Which copy of the data a list is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Must show what was written a moment ago.
    Latest,
    /// May lag behind by what the replica lags.
    Replica,
}

pub struct Entries {
    primary: Database,
    replica: Option<Replica>,
}

struct Replica {
    database: Database,
    failed_at: Cell<Option<Instant>>,
}

impl Entries {
    pub fn new(primary: Database, replica: Option<Database>) -> Self {
        let replica = replica.map(|database| Replica {
            database,
            failed_at: Cell::default(),
        });
        Self { primary, replica }
    }

    pub fn database(&self) -> &Database {
        &self.primary
    }

    pub fn has_replica(&self) -> bool {
        self.replica.is_some()
    }

    /// A page of the list with descriptions cut to `characters`. From the replica if that will do
    /// and it is well.
    pub async fn list(
        &self,
        page: PageNumber,
        characters: u32,
        freshness: Freshness,
    ) -> Result<Page, DatabaseError> {
        if let Some(replica) = self.replica.as_ref().filter(|replica| replica.is_well())
            && freshness == Freshness::Replica
        {
            match list(&replica.database, page, characters).await {
                Err(error) => replica.failed(&error),
                page => return page,
            }
        }
        list(&self.primary, page, characters).await
    }

    pub async fn find(&self, id: EntryId) -> Result<Option<Entry>, DatabaseError> {
        bounded(async {
            match &self.primary {
                Database::MySql(pool) => mysql::find(pool, id).await,
                Database::Sqlite(pool) => sqlite::find(pool, id).await,
            }
        })
        .await
    }

    pub async fn add(&self, content: Content, status: bool) -> Result<EntryId, DatabaseError> {
        bounded(async {
            match &self.primary {
                Database::MySql(pool) => mysql::add(pool, content, status).await,
                Database::Sqlite(pool) => sqlite::add(pool, content, status).await,
            }
        })
        .await
    }

    /// False: there is no such entry. So it is below.
    pub async fn change(&self, id: EntryId, change: Change) -> Result<bool, DatabaseError> {
        bounded(async {
            match &self.primary {
                Database::MySql(pool) => mysql::change(pool, id, change).await,
                Database::Sqlite(pool) => sqlite::change(pool, id, change).await,
            }
        })
        .await
    }

    /// Turns the status on or off, whichever it is not.
    pub async fn turn(&self, id: EntryId) -> Result<bool, DatabaseError> {
        bounded(async {
            match &self.primary {
                Database::MySql(pool) => mysql::turn(pool, id).await,
                Database::Sqlite(pool) => sqlite::turn(pool, id).await,
            }
        })
        .await
    }

    pub async fn delete(&self, id: EntryId) -> Result<bool, DatabaseError> {
        bounded(async {
            match &self.primary {
                Database::MySql(pool) => mysql::delete(pool, id).await,
                Database::Sqlite(pool) => sqlite::delete(pool, id).await,
            }
        })
        .await
    }
}

impl Replica {
    fn is_well(&self) -> bool {
        self.failed_at
            .get()
            .is_none_or(|at| at.elapsed() > REPLICA_REST)
    }

    fn failed(&self, error: &DatabaseError) {
        tracing::warn!(%error, "the replica failed; reading from the primary");
        self.failed_at.set(Some(Instant::now()));
    }
}

async fn list(
    database: &Database,
    page: PageNumber,
    characters: u32,
) -> Result<Page, DatabaseError> {
    bounded(async {
        // One more than is shown tells whether there is another page.
        let limit = PAGE_SIZE + 1;
        let mut entries = match database {
            Database::MySql(pool) => mysql::list(pool, characters, limit, page.offset()).await,
            Database::Sqlite(pool) => sqlite::list(pool, characters, limit, page.offset()).await,
        }?;
        let has_older = entries.len() > PAGE_SIZE as usize;
        entries.truncate(PAGE_SIZE as usize);
        Ok(Page { entries, has_older })
    })
    .await
}

async fn bounded<T>(
    operation: impl Future<Output = Result<T, DatabaseError>>,
) -> Result<T, DatabaseError> {
    tokio::time::timeout(OPERATION_LIMIT, operation)
        .await
        .unwrap_or(Err(DatabaseError::TimedOut))
}
