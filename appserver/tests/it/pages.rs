//! What the pages show: escaped, paged, with errors and assets of their own.

use tempfile::tempdir;

use crate::client::send;
use crate::process::AppServer;

const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn markup_of_users_is_shown_not_obeyed() {
    let folder = tempdir().unwrap();
    let app = AppServer::on_sqlite(folder.path());
    let title = "\"><script>alert(1)</script>";
    let description = "</textarea><img src=x onerror='alert(2)'>";
    app.add(title, description);
    let refused = app.submit("/add", &[("title", title), ("description", "")]);
    for page in [
        app.get("/"),
        app.get("/update/1"),
        app.get("/delete/1"),
        refused,
    ] {
        assert!(
            !page.body.contains("<script") && !page.body.contains("<img"),
            "{}",
            page.body
        );
        let policy = page.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self';"),
            "{policy}"
        );
    }
    assert!(
        app.get("/update/1")
            .body
            .contains("\n&lt;/textarea&gt;&lt;img src=x")
    );
}

#[test]
fn the_list_is_paged_newest_first() {
    let folder = tempdir().unwrap();
    let app = AppServer::on_sqlite(folder.path());
    for number in 1..=45 {
        let entry = format!("{{\"title\":\"Entry {number}.\",\"description\":\"text\"}}");
        assert_eq!(app.json("POST", "/api/entries", &entry).status, 201);
    }
    for (path, shown, hidden, newer, older) in [
        (
            "/",
            ["Entry 45.", "Entry 26."],
            "Entry 25.",
            None,
            Some("href=\"/?page=2\""),
        ),
        (
            "/?page=2",
            ["Entry 25.", "Entry 6."],
            "Entry 26.",
            Some("href=\"/\" rel=\"prev\""),
            Some("href=\"/?page=3\""),
        ),
        (
            "/?page=3",
            ["Entry 5.", "Entry 1."],
            "Entry 6.",
            Some("href=\"/?page=2\" rel=\"prev\""),
            None,
        ),
    ] {
        let body = app.get(path).body;
        let places = shown.map(|title| {
            body.find(title)
                .unwrap_or_else(|| panic!("{path} lacks {title}"))
        });
        assert!(places[0] < places[1] && !body.contains(hidden), "{path}");
        assert_eq!(
            (body.contains("rel=\"prev\""), body.contains("rel=\"next\"")),
            (newer.is_some(), older.is_some())
        );
        for link in [newer, older].into_iter().flatten() {
            assert!(body.contains(link), "{path} lacks {link}");
        }
    }
    assert!(
        app.get("/?page=4")
            .body
            .contains("No entries on this page.")
    );
    for path in [
        "/?page=0",
        "/?page=x",
        "/?page=-1",
        "/?page=99999999999",
        "/?page=",
    ] {
        assert_eq!(app.get(path).status, 404, "{path}");
    }
    let turned = app.submit("/turn/3?page=3", &[]);
    assert_eq!(
        turned.header("location"),
        Some("/?page=3"),
        "one comes back to where one was"
    );
}

#[test]
fn wrong_addresses_and_methods_get_their_pages() {
    let folder = tempdir().unwrap();
    let app = AppServer::on_sqlite(folder.path());
    app.add("An entry", "text");
    for path in [
        "/nope",
        "/index/",
        "/update/01",
        "/update/2",
        "/update/0",
        "/update/99999999999999999999",
    ] {
        let missing = app.get(path);
        assert_eq!(missing.status, 404, "{path}");
        assert!(missing.body.contains("There is nothing here"));
    }
    for (method, path, allow) in [
        ("GET", "/turn/1", "POST"),
        ("GET", "/add", "POST"),
        ("PUT", "/delete/1", "GET, HEAD, POST"),
    ] {
        let refused = send(app.address, method, path, &[], b"");
        assert_eq!(
            (refused.status, refused.header("allow")),
            (405, Some(allow)),
            "{method} {path}"
        );
    }
    let options = send(app.address, "OPTIONS", "/", &[], b"");
    assert_eq!(
        (options.status, options.header("allow")),
        (204, Some("GET, HEAD"))
    );
    for path in ["/", "/update/1", "/delete/1", "/health", "/nope"] {
        let (get, head) = (app.get(path), send(app.address, "HEAD", path, &[], b""));
        assert_eq!(
            (head.status, head.body.as_str()),
            (get.status, ""),
            "{path}"
        );
        assert_eq!(
            head.header("content-length"),
            get.header("content-length"),
            "{path}"
        );
    }
    let list = app.get("/").body;
    assert!(
        list.contains("An entry") && list.contains(">Off</span>"),
        "none of this changed anything"
    );

    let foreign = send(
        app.address,
        "POST",
        "/add",
        &[("Content-Type", "multipart/form-data; boundary=x")],
        b"--x",
    );
    assert_eq!(foreign.status, 415);
    assert_eq!(
        send(
            app.address,
            "POST",
            "/add",
            &[("Content-Type", FORM)],
            b"title=%FF"
        )
        .status,
        400
    );
}

#[test]
fn style_and_icon_are_served_and_kept() {
    let folder = tempdir().unwrap();
    let app = AppServer::on_sqlite(folder.path());
    let page = app.get("/").body;
    for (name, content_type) in [
        ("style-", "text/css; charset=utf-8"),
        ("icon-", "image/svg+xml"),
    ] {
        let path = page.split('"').find(|part| part.contains(name)).unwrap();
        let asset = app.get(path);
        assert_eq!(
            (asset.status, asset.header("content-type")),
            (200, Some(content_type))
        );
        assert!(asset.header("cache-control").unwrap().contains("immutable"));
        let other = app.get(&format!("/assets/{name}0123456789abcdef.x"));
        assert_eq!(
            (other.status, other.header("cache-control")),
            (200, Some("no-cache"))
        );
    }
    assert_eq!(app.get("/").header("cache-control"), Some("no-store"));
}
