//! One contract for the store, on SQLite and on MariaDB, and a database that is mute or lost.

mod on_mariadb;

use futures_util::future::{join_all, try_join_all};
use lintel_appserver::config::Settings;
use lintel_appserver::database::{Database, DatabaseError, Source};
use lintel_appserver::entries::{Entries, Freshness, PageNumber};
use lintel_appserver::entry::{Change, Content, EntryId};
use lintel_appserver::schema::migrate;
use tempfile::tempdir;

use crate::mariadb;
use crate::process::{AppServer, KEY};

fn source(url: &str) -> Source {
    let settings = Settings::read(|name| match name {
        "DATABASE_URL" => Some(url.into()),
        "SECRET_KEY" => Some(KEY.into()),
        _ => None,
    });
    settings.expect("the URL is valid").database
}

fn open(url: &str) -> Database {
    Database::open(&source(url), 5)
}

fn content(title: &str, description: &str) -> Content {
    Content {
        title: title.to_owned(),
        description: description.to_owned(),
    }
}

fn page(number: u32) -> PageNumber {
    PageNumber::new(number).unwrap()
}

#[tokio::test]
async fn the_contract_on_sqlite() {
    let folder = tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("x.db").display());
    contract(&url).await;
}

#[tokio::test]
async fn the_contract_on_mariadb() {
    let Some(server) = mariadb::start() else {
        return;
    };
    server.create("contract").await;
    contract(&server.url("contract")).await;
    on_mariadb::an_original_table_is_adopted(&server).await;
    on_mariadb::a_foreign_table_is_refused(&server).await;
    on_mariadb::lost_connections_cost_no_read(&server).await;
    on_mariadb::an_abandoned_query_reaches_nobody_else(&server).await;
    on_mariadb::a_lost_replica_is_replaced_by_the_primary(&server).await;
}

async fn contract(url: &str) {
    let database = open(url);
    // Ten at once, over pools of their own as separate instances have them, and once more after.
    try_join_all((0..10).map(|_| async { migrate(&open(url)).await }))
        .await
        .unwrap();
    migrate(&database).await.unwrap();
    database.ping().await.unwrap();
    let entries = Entries::new(database, None);
    texts_come_back_as_they_went_in(&entries).await;
    changes_change_what_they_name(&entries).await;
    concurrent_changes_are_all_counted(&entries, &Entries::new(open(url), None)).await;
    lists_are_cut_and_ordered(&entries).await;
}

async fn texts_come_back_as_they_went_in(entries: &Entries) {
    let empty = entries
        .list(PageNumber::FIRST, 100, Freshness::Latest)
        .await
        .unwrap();
    assert!(empty.entries.is_empty() && !empty.has_older);
    let longest = "ä".repeat(32_768);
    for (title, description) in [
        ("plain", "plain"),
        ("'; DROP TABLE entry; --", "\" \\ % _ ` ? :x $1 \n\t end"),
        ("😀😀", "🚀 שלום 漢字 e\u{301}"),
        (&"😀".repeat(64), &longest),
    ] {
        let id = entries
            .add(content(title, description), true)
            .await
            .unwrap();
        let found = entries.find(id).await.unwrap().unwrap();
        assert_eq!(
            (
                found.id,
                found.title.as_str(),
                found.description.as_str(),
                found.status
            ),
            (id, title, description, true)
        );
        assert!(entries.delete(id).await.unwrap());
        assert_eq!(entries.find(id).await.unwrap(), None);
    }
    let cut = entries.add(content(&"x".repeat(65), "d"), false).await;
    assert!(
        matches!(&cut, Err(error) if error.nothing_changed()),
        "refused whole, never cut: {cut:?}"
    );
}

async fn changes_change_what_they_name(entries: &Entries) {
    let id = entries
        .add(content("title", "description"), false)
        .await
        .unwrap();
    let other = entries.add(content("other", "other"), false).await.unwrap();
    let look = async || {
        let entry = entries.find(id).await.unwrap().unwrap();
        (entry.title, entry.description, entry.status)
    };
    let title = Change {
        title: Some("new".into()),
        ..Change::default()
    };
    assert!(entries.change(id, title.clone()).await.unwrap());
    assert_eq!(look().await, ("new".into(), "description".into(), false));
    assert!(
        entries.change(id, title).await.unwrap(),
        "saving untouched still finds the entry"
    );
    let rest = Change {
        description: Some("text".into()),
        status: Some(true),
        ..Change::default()
    };
    assert!(entries.change(id, rest).await.unwrap());
    assert_eq!(look().await, ("new".into(), "text".into(), true));
    assert!(entries.turn(id).await.unwrap());
    assert_eq!(look().await, ("new".into(), "text".into(), false));
    let untouched = entries.find(other).await.unwrap().unwrap();
    assert_eq!(
        (untouched.title.as_str(), untouched.status),
        ("other", false)
    );

    assert!(entries.delete(other).await.unwrap());
    assert!(!entries.delete(other).await.unwrap());
    assert!(!entries.turn(other).await.unwrap());
    assert!(!entries.change(other, Change::default()).await.unwrap());
    let next = entries.add(content("next", "next"), false).await.unwrap();
    assert!(
        next.get() > other.get(),
        "the number of a deleted entry is not given again"
    );
    assert!(entries.delete(next).await.unwrap() && entries.delete(id).await.unwrap());
}

async fn concurrent_changes_are_all_counted(entries: &Entries, elsewhere: &Entries) {
    let id = entries
        .add(content("toggled", "by many"), false)
        .await
        .unwrap();
    let turns = join_all((0..41).map(|turn| {
        if turn % 2 == 0 {
            entries.turn(id)
        } else {
            elsewhere.turn(id)
        }
    }))
    .await;
    assert!(turns.into_iter().all(|found| found.unwrap()));
    assert!(
        entries.find(id).await.unwrap().unwrap().status,
        "41 turns of an entry that was off"
    );
    assert!(entries.delete(id).await.unwrap());

    let adds = (0..40).map(|number| {
        let store = if number % 2 == 0 { entries } else { elsewhere };
        store.add(content(&format!("entry {number}"), "at once"), false)
    });
    let ids: Vec<EntryId> = try_join_all(adds).await.unwrap();
    let mut distinct: Vec<u32> = ids.iter().map(|id| id.get()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 40);
    for id in ids {
        assert!(elsewhere.delete(id).await.unwrap());
    }
}

async fn lists_are_cut_and_ordered(entries: &Entries) {
    let mut ids = Vec::new();
    for number in 0..45 {
        ids.push(
            entries
                .add(
                    content(&format!("entry {number}"), "日本語のテキスト"),
                    false,
                )
                .await
                .unwrap(),
        );
    }
    ids.reverse();
    for (number, expected, more) in [
        (1, &ids[..20], true),
        (2, &ids[20..40], true),
        (3, &ids[40..], false),
        (4, &[], false),
    ] {
        let list = entries
            .list(page(number), 3, Freshness::Replica)
            .await
            .unwrap();
        let found: Vec<EntryId> = list.entries.iter().map(|entry| entry.id).collect();
        assert_eq!(
            (found.as_slice(), list.has_older),
            (expected, more),
            "page {number}"
        );
        assert!(
            list.entries
                .iter()
                .all(|entry| entry.description == "日本語"),
            "cut by characters"
        );
    }
    let last = entries
        .list(page(u32::MAX), 3, Freshness::Latest)
        .await
        .unwrap();
    assert!(last.entries.is_empty() && !last.has_older);
    assert_eq!(
        entries.find(ids[0]).await.unwrap().unwrap().description,
        "日本語のテキスト"
    );
}

#[tokio::test(start_paused = true)]
async fn a_mute_server_holds_nobody_up() {
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mysql://u:p@{}/x", mute.local_addr().unwrap());
    assert!(matches!(
        migrate(&open(&url)).await,
        Err(DatabaseError::ConnectTimedOut)
    ));
    let database = open(&url);
    for _ in 0..3 {
        let result = database.ping().await;
        assert!(
            matches!(result, Err(DatabaseError::NoConnection)),
            "{result:?}"
        );
    }
}

/// The program over the life of its database: late, lost, back again.
#[tokio::test]
async fn the_program_outlives_its_database() {
    let Some(mut server) = mariadb::start() else {
        return;
    };
    server.create("late").await;
    let url = server.url("late");
    server.kill();
    let mut apps: Vec<AppServer> = (0..2)
        .map(|_| AppServer::start(&[("DATABASE_URL", &url)]))
        .collect();
    assert_eq!(
        (apps[0].get("/health").status, apps[0].get("/ready").status),
        (200, 503)
    );
    server.run();
    for app in &apps {
        app.until_status("/ready", 200);
    }
    apps[0].add("Kept", "over the crash");
    assert!(apps[1].get("/").body.contains("Kept"));
    let token = apps[0].token();

    server.kill();
    let fields = [
        ("title", "Typed"),
        ("description", "while it was away"),
        ("csrf_token", token.as_str()),
    ];
    let refused = apps[0].post("/add", &fields, &[]);
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("5"))
    );
    assert!(
        refused.body.contains("while it was away</textarea>"),
        "what was typed is kept"
    );
    let list = apps[0].get("/");
    assert_eq!(list.status, 503);
    assert!(
        !list.body.contains("127.0.0.1:") && !list.body.contains("Connection refused"),
        "details stay in the log"
    );
    assert_eq!(
        (apps[0].get("/health").status, apps[0].get("/ready").status),
        (200, 503)
    );
    assert!(apps[0].get("/pool-stats").body.contains("\"disconnected\""));

    server.run();
    for app in &mut apps {
        app.until_status("/ready", 200);
        let list = app.get("/");
        assert_eq!(list.status, 200, "{}", list.body);
        assert!(list.body.contains("Kept") && !list.body.contains("Typed"));
        assert!(app.is_running());
    }
    apps[1].add("After", "the crash");
    let log = apps[0].logged();
    assert!(
        !log.contains("pass@word") && !log.contains("pass%40word"),
        "{log}"
    );
}
