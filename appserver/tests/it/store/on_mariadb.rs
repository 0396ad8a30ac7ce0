//! What only MariaDB can do to the store: old tables, lost connections, replicas.

use std::time::Duration;

use futures_util::future::try_join_all;
use lintel_appserver::database::{Database, DatabaseError};
use lintel_appserver::entries::{Entries, Freshness, PageNumber};
use lintel_appserver::entry::EntryId;
use lintel_appserver::schema::migrate;
use mysql_async::prelude::Queryable as _;

use super::{content, open, source};
use crate::mariadb::MariaDb;

/// The table as the original's ORM makes it, in a database of three-byte text, with rows of before.
pub(super) async fn an_original_table_is_adopted(server: &MariaDb) {
    server.create("original").await;
    let mut conn = server.connect(Some("original")).await;
    conn.query_drop(
        "CREATE TABLE entry (id INTEGER NOT NULL AUTO_INCREMENT, title VARCHAR(64) NOT NULL, \
         description VARCHAR(120) NOT NULL, status BOOL, PRIMARY KEY (id))",
    )
    .await
    .unwrap();
    conn.query_drop("CREATE INDEX ix_entry_title ON entry (title)")
        .await
        .unwrap();
    conn.query_drop("CREATE INDEX ix_entry_description ON entry (description)")
        .await
        .unwrap();
    conn.query_drop(
        "INSERT INTO entry (title, description, status) VALUES ('old', 'über', NULL), ('on', 'x', 1)",
    )
    .await
    .unwrap();
    let url = server.url("original");
    try_join_all((0..5).map(|_| async { migrate(&open(&url)).await }))
        .await
        .unwrap();

    let entries = Entries::new(open(&url), None);
    let old = EntryId::new(1).unwrap();
    let found = entries.find(old).await.unwrap().unwrap();
    assert_eq!(
        (
            found.title.as_str(),
            found.description.as_str(),
            found.status
        ),
        ("old", "über", false)
    );
    assert!(
        entries
            .find(EntryId::new(2).unwrap())
            .await
            .unwrap()
            .unwrap()
            .status
    );
    assert!(entries.turn(old).await.unwrap());
    assert!(
        entries.find(old).await.unwrap().unwrap().status,
        "NULL counts as off"
    );
    let long = "😀".repeat(16_384);
    let added = entries.add(content("😀", &long), false).await.unwrap();
    assert_eq!(
        entries.find(added).await.unwrap().unwrap().description,
        long
    );
    let versions: Vec<u32> = conn
        .query("SELECT version FROM schema_version")
        .await
        .unwrap();
    assert_eq!(versions, [1]);
}

pub(super) async fn a_foreign_table_is_refused(server: &MariaDb) {
    server.create("foreign_table").await;
    let mut conn = server.connect(Some("foreign_table")).await;
    conn.query_drop("CREATE TABLE entry (id INT, amount INT)")
        .await
        .unwrap();
    let refused = migrate(&open(&server.url("foreign_table"))).await;
    assert!(
        matches!(refused, Err(DatabaseError::Schema(_))),
        "{refused:?}"
    );
}

/// ER_NO_SUCH_THREAD
const NO_SUCH_THREAD: u16 = 1094;

pub(super) async fn lost_connections_cost_no_read(server: &MariaDb) {
    let entries = Entries::new(open(&server.url("original")), None);
    let id = EntryId::new(1).unwrap();
    for round in 0..3 {
        try_join_all((0..5).map(|_| entries.find(id)))
            .await
            .unwrap();
        let mut conn = server.connect(None).await;
        let mine = conn.id();
        let ids: Vec<u32> = conn
            .exec(
                "SELECT id FROM information_schema.processlist WHERE user = 'lintel' AND id <> ?",
                (mine,),
            )
            .await
            .unwrap();
        assert!(!ids.is_empty());
        for id in ids {
            let killed = conn.query_drop(format!("KILL CONNECTION {id}")).await;
            // One that was closing anyway may have gone by now.
            let gone = matches!(&killed, Err(mysql_async::Error::Server(error)) if error.code == NO_SUCH_THREAD);
            assert!(killed.is_ok() || gone, "{killed:?}");
        }
        // At once, so that no connection has been idle for long enough to be asked first.
        for _ in 0..10 {
            assert!(entries.find(id).await.unwrap().is_some(), "round {round}");
        }
    }
}

/// A request that is dropped in the middle of its query must not leave the answer to the next one.
pub(super) async fn an_abandoned_query_reaches_nobody_else(server: &MariaDb) {
    let entries = Entries::new(Database::open(&source(&server.url("original")), 1), None);
    let (one, two) = (EntryId::new(1).unwrap(), EntryId::new(2).unwrap());
    for microseconds in (0..600).step_by(20) {
        let _ = tokio::time::timeout(Duration::from_micros(microseconds), entries.find(one)).await;
        let found = entries.find(two).await.unwrap().unwrap();
        assert_eq!(found.id, two, "after {microseconds} us");
    }
}

pub(super) async fn a_lost_replica_is_replaced_by_the_primary(server: &MariaDb) {
    let primary = open(&server.url("original"));
    server.create("replica").await;
    let replica = open(&server.url("replica"));
    migrate(&replica).await.unwrap();
    let entries = Entries::new(primary.clone(), Some(replica));
    let count = async |freshness| {
        entries
            .list(PageNumber::FIRST, 10, freshness)
            .await
            .unwrap()
            .entries
            .len()
    };
    assert_eq!(
        (
            count(Freshness::Replica).await,
            count(Freshness::Latest).await
        ),
        (0, 3),
        "each has its own rows"
    );
    server
        .connect(None)
        .await
        .query_drop("DROP DATABASE replica")
        .await
        .unwrap();
    assert_eq!(count(Freshness::Replica).await, 3, "the primary answers");
}
