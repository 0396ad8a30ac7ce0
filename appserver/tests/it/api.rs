//! The entries as JSON.

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::client::{Answer, send};
use crate::process::AppServer;

fn value(answer: &Answer) -> Value {
    assert_eq!(
        answer.header("content-type"),
        Some("application/json"),
        "{}",
        answer.body
    );
    serde_json::from_str(&answer.body).unwrap()
}

#[test]
fn an_entry_lives_by_json() {
    let folder = tempdir().unwrap();
    let app = AppServer::on_sqlite(folder.path());
    let added = app.json(
        "POST",
        "/api/entries",
        r#"{"title":" One ","description":"a\r\nb"}"#,
    );
    assert_eq!(
        (added.status, added.header("location")),
        (201, Some("/api/entries/1"))
    );
    let entry = json!({"id": 1, "title": "One", "description": "a\nb", "status": false});
    assert_eq!(value(&added), entry);
    assert_eq!(value(&app.get("/api/entries/1")), entry);
    assert_eq!(
        value(&app.get("/api/entries")),
        json!({"entries": [entry], "page": 1, "next_page": null})
    );

    let changed = app.json("PATCH", "/api/entries/1", r#"{"status":true}"#);
    assert_eq!(
        value(&changed),
        json!({"id": 1, "title": "One", "description": "a\nb", "status": true})
    );
    let turned = app.json("POST", "/api/entries/1/turn", "");
    assert_eq!(
        (turned.status, value(&turned)["status"].as_bool()),
        (200, Some(false))
    );
    let replaced = app.json(
        "PUT",
        "/api/entries/1",
        r#"{"title":"Two","description":"c","status":true}"#,
    );
    assert_eq!(
        value(&replaced),
        json!({"id": 1, "title": "Two", "description": "c", "status": true})
    );

    assert_eq!(
        send(app.address, "DELETE", "/api/entries/1", &[], b"").status,
        204
    );
    for (method, path, body) in [
        ("GET", "/api/entries/1", ""),
        ("PATCH", "/api/entries/1", "{}"),
        (
            "PUT",
            "/api/entries/1",
            r#"{"title":"Two","description":"c","status":true}"#,
        ),
        ("POST", "/api/entries/1/turn", ""),
        ("DELETE", "/api/entries/1", ""),
        ("GET", "/api/nope", ""),
    ] {
        let missing = app.json(method, path, body);
        assert_eq!(missing.status, 404, "{method} {path}");
        assert_eq!(value(&missing)["fields"], json!({}));
    }
}

#[test]
fn what_was_read_can_be_sent_back() {
    let folder = tempdir().unwrap();
    let app = AppServer::on_sqlite(folder.path());
    app.add("One", "text");
    app.add("Two", "text");
    let read = app.get("/api/entries/1");
    for method in ["PUT", "PATCH"] {
        let sent = app.json(method, "/api/entries/1", &read.body);
        assert_eq!((sent.status, value(&sent)), (200, value(&read)), "{method}");
        let other = app.json(method, "/api/entries/2", &read.body);
        assert_eq!(other.status, 400, "{method}");
        let error = value(&other)["error"].as_str().unwrap().to_owned();
        assert!(error.contains("id"), "{error}");
    }
    assert_eq!(app.json("POST", "/api/entries", &read.body).status, 400);
    assert_eq!(value(&app.get("/api/entries/2"))["title"], "Two");
}

#[test]
fn mistakes_are_told_by_field() {
    let folder = tempdir().unwrap();
    let app = AppServer::on_sqlite(folder.path());
    app.add("One", "text");
    for (method, path, body, status, fields) in [
        (
            "POST",
            "/api/entries",
            "{}",
            422,
            &["description", "title"][..],
        ),
        (
            "POST",
            "/api/entries",
            r#"{"title":"t"}"#,
            422,
            &["description"],
        ),
        (
            "PATCH",
            "/api/entries/1",
            r#"{"title":""}"#,
            422,
            &["title"],
        ),
        (
            "PUT",
            "/api/entries/1",
            r#"{"title":"t"}"#,
            422,
            &["description", "status"],
        ),
        ("POST", "/api/entries", "title=t", 400, &[]),
        (
            "POST",
            "/api/entries",
            r#"{"title":7,"description":"d"}"#,
            400,
            &[],
        ),
        (
            "POST",
            "/api/entries",
            r#"{"titel":"t","description":"d"}"#,
            400,
            &[],
        ),
    ] {
        let refused = app.json(method, path, body);
        assert_eq!(refused.status, status, "{method} {body}");
        let value = value(&refused);
        let named: Vec<&String> = value["fields"].as_object().unwrap().keys().collect();
        assert_eq!(named, fields, "{method} {body}");
        assert!(!value["error"].as_str().unwrap().is_empty());
    }
    assert_eq!(value(&app.get("/api/entries/1"))["title"], "One");
}

#[test]
fn other_sites_cannot_use_it() {
    let folder = tempdir().unwrap();
    let app = AppServer::on_sqlite(folder.path());
    app.add("One", "text");
    let (json, text) = (
        ("Content-Type", "application/json"),
        ("Content-Type", "text/plain"),
    );
    let entry = br#"{"title":"Theirs","description":"d"}"#;
    for (method, path, headers, status) in [
        (
            "POST",
            "/api/entries",
            [json, ("Origin", "https://evil.example")],
            403,
        ),
        (
            "POST",
            "/api/entries",
            [json, ("Sec-Fetch-Site", "cross-site")],
            403,
        ),
        (
            "PATCH",
            "/api/entries/1",
            [json, ("Origin", "https://evil.example")],
            403,
        ),
        (
            "DELETE",
            "/api/entries/1",
            [json, ("Origin", "https://evil.example")],
            403,
        ),
        (
            "POST",
            "/api/entries/1/turn",
            [json, ("Origin", "https://evil.example")],
            403,
        ),
        // What a form or a script without leave could send.
        ("POST", "/api/entries", [text, ("X", "y")], 415),
        ("POST", "/api/entries/1/turn", [text, ("X", "y")], 415),
    ] {
        let refused = send(app.address, method, path, &headers, entry);
        assert_eq!(refused.status, status, "{method} {path} {headers:?}");
    }
    let list = value(&app.get("/api/entries"));
    assert_eq!(
        list["entries"],
        json!([{"id": 1, "title": "One", "description": "text", "status": false}])
    );
}

#[test]
fn a_change_that_was_made_is_never_told_as_a_failure() {
    let folder = tempdir().unwrap();
    let file = rusqlite::Connection::open(folder.path().join("lintel.db")).unwrap();
    // An older table may hold what can be turned, but not shown.
    file.execute_batch(
        "CREATE TABLE entry (id INTEGER PRIMARY KEY, title TEXT, description TEXT, status INTEGER);
         INSERT INTO entry VALUES (1, 'One', NULL, 0);",
    )
    .unwrap();
    let app = AppServer::on_sqlite(folder.path());
    assert_eq!(app.json("POST", "/api/entries/1/turn", "").status, 204);
    let status = file.query_row("SELECT status FROM entry", [], |row| row.get(0));
    assert_eq!(status, Ok(true));
    let unread = app.get("/api/entries/1");
    assert_eq!(unread.status, 503);
    assert!(
        value(&unread)["error"]
            .as_str()
            .unwrap()
            .starts_with("The database could not do this."),
        "{}",
        unread.body
    );
}

#[test]
fn lists_are_paged_and_whole() {
    let folder = tempdir().unwrap();
    let app = AppServer::on_sqlite(folder.path());
    let long = "x".repeat(5000);
    for number in 1..=21 {
        let entry = json!({"title": format!("Entry {number}"), "description": long}).to_string();
        assert_eq!(app.json("POST", "/api/entries", &entry).status, 201);
    }
    let first = value(&app.get("/api/entries"));
    assert_eq!(
        (
            first["entries"].as_array().unwrap().len(),
            &first["next_page"]
        ),
        (20, &json!(2))
    );
    assert_eq!(
        first["entries"][0],
        json!({"id": 21, "title": "Entry 21", "description": long, "status": false})
    );
    let second = value(&app.get("/api/entries?page=2"));
    assert_eq!(
        (
            second["entries"].as_array().unwrap().len(),
            &second["next_page"]
        ),
        (1, &Value::Null)
    );
    assert_eq!(app.get("/api/entries?page=x").status, 404);
}
