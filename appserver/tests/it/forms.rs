//! The pages as a browser without scripts uses them.

use tempfile::tempdir;

use crate::client::send;
use crate::process::{AppServer, sqlite};

const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn an_entry_lives_by_forms() {
    let folder = tempdir().unwrap();
    let app = AppServer::on_sqlite(folder.path());
    assert!(app.get("/").body.contains("No entries yet."));

    app.add("Buy milk 🥛", "two litres\r\nfresh");
    let list = app.get("/index");
    assert_eq!(list.status, 200);
    assert!(list.body.contains("Buy milk 🥛") && list.body.contains(">Off</span>"));

    let turned = app.submit("/turn/1", &[]);
    assert_eq!((turned.status, turned.header("location")), (303, Some("/")));
    assert!(app.get("/").body.contains(">On</span>"));

    let edit = app.get("/update/1");
    assert!(
        edit.body.contains("value=\"Buy milk 🥛\"")
            && edit.body.contains("\ntwo litres\nfresh</textarea>")
    );
    let saved = app.submit(
        "/update/1",
        &[("title", "Buy oat milk"), ("description", "one litre")],
    );
    assert_eq!((saved.status, saved.header("location")), (303, Some("/")));
    let list = app.get("/").body;
    assert!(
        list.contains("Buy oat milk")
            && list.contains(">On</span>")
            && !list.contains("two litres")
    );

    let question = app.get("/delete/1");
    assert_eq!(question.status, 200);
    assert!(question.body.contains("Delete this entry?") && question.body.contains("Buy oat milk"));
    assert!(
        app.get("/").body.contains("Buy oat milk"),
        "asking changes nothing"
    );
    let deleted = app.submit("/delete/1", &[]);
    assert_eq!(
        (deleted.status, deleted.header("location")),
        (303, Some("/"))
    );
    assert!(app.get("/").body.contains("No entries yet."));
    for path in ["/update/1", "/delete/1"] {
        assert_eq!(app.get(path).status, 404, "{path}");
    }
    for path in ["/turn/1", "/delete/1"] {
        assert_eq!(app.submit(path, &[]).status, 404, "{path}");
    }
}

#[test]
fn what_was_typed_comes_back_with_what_is_wrong() {
    let folder = tempdir().unwrap();
    let app = AppServer::on_sqlite(folder.path());
    app.add("An entry", "its text");
    let long = "x".repeat(65);
    for (path, title, description, message) in [
        ("/add", "", "only a text", "Enter a title."),
        ("/add", "only a title", "  ", "Enter a description."),
        ("/add", long.as_str(), "text", "at most 64 characters"),
        (
            "/update/1",
            "a\tb",
            "text of the edit",
            "control characters",
        ),
    ] {
        let refused = app.submit(path, &[("title", title), ("description", description)]);
        assert_eq!(refused.status, 422, "{path} {title:?}");
        assert!(refused.body.contains(message), "{message}");
        assert!(
            refused.body.contains(&format!("value=\"{title}\"")),
            "the title is kept"
        );
        assert!(
            refused
                .body
                .contains(&format!("\n{description}</textarea>")),
            "the description is kept"
        );
        assert!(
            refused.body.contains(&format!("action=\"{path}\""))
                && refused.body.contains("role=\"alert\"")
        );
    }
    assert!(app.get("/").body.contains("An entry"));
    app.submit("/delete/1", &[]);
    let gone = app.submit(
        "/update/1",
        &[("title", "Late"), ("description", "typed for an hour")],
    );
    assert_eq!(gone.status, 404);
    assert!(
        gone.body.contains("typed for an hour</textarea>") && gone.body.contains("action=\"/add\"")
    );
}

#[test]
fn the_longest_entry_goes_in_and_comes_out_unchanged() {
    let folder = tempdir().unwrap();
    let app = AppServer::on_sqlite(folder.path());
    let (title, description) = ("😀".repeat(64), format!("a{}b", "\n".repeat(65_534)));
    app.add(&title, &description);
    let edit = app.get("/update/1").body;
    assert!(
        edit.contains(&format!("value=\"{title}\""))
            && edit.contains(&format!("\n{description}</textarea>"))
    );
    let saved = app.submit(
        "/update/1",
        &[
            ("title", &title),
            ("description", &description.replace('\n', "\r\n")),
        ],
    );
    assert_eq!(
        saved.status, 303,
        "saving untouched is no change and no error"
    );
    assert_eq!(
        app.submit(
            "/add",
            &[("title", "t"), ("description", &"x".repeat(65_537))]
        )
        .status,
        422
    );
}

#[test]
fn bodies_beyond_the_limit_are_answered_413() {
    let folder = tempdir().unwrap();
    let app = AppServer::on_sqlite(folder.path());
    let body = format!("title=t&description={}", "x".repeat(2 * 1024 * 1024));
    let declared = send(
        app.address,
        "POST",
        "/add",
        &[("Content-Type", FORM)],
        body.as_bytes(),
    );
    assert_eq!(declared.status, 413);
    assert!(declared.body.contains("too much text"));
    let chunked = format!(
        "POST /add HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {FORM}\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    assert_eq!(
        crate::client::exchange(app.address, chunked.as_bytes()).status,
        413
    );
    assert!(app.get("/").body.contains("No entries yet."));
}

fn theirs(token: &str) -> [(&str, &str); 3] {
    [
        ("title", "Theirs"),
        ("description", "kept text"),
        ("csrf_token", token),
    ]
}

#[test]
fn foreign_and_forged_forms_change_nothing() {
    let folder = tempdir().unwrap();
    let app = AppServer::on_sqlite(folder.path());
    app.add("Mine", "stays");
    let host = app.address.to_string();
    let token = app.token();
    for headers in [
        &[("Sec-Fetch-Site", "cross-site")][..],
        &[("Origin", "https://evil.example")],
        &[("Origin", "null")],
        &[
            ("Sec-Fetch-Site", "same-site"),
            ("Origin", "https://other.example"),
        ],
    ] {
        for path in ["/add", "/update/1", "/turn/1", "/delete/1"] {
            let refused = app.post(path, &theirs(&token), headers);
            assert_eq!(refused.status, 403, "{path} {headers:?}");
            assert!(
                !refused.body.contains("kept text"),
                "another site's text is not shown"
            );
        }
    }
    for forged in ["", "nonsense", "0.00", &format!("{token}0")] {
        for path in ["/add", "/update/1", "/turn/1", "/delete/1"] {
            assert_eq!(
                app.post(path, &theirs(forged), &[]).status,
                403,
                "{path} {forged:?}"
            );
        }
        let form = app.post("/add", &theirs(forged), &[]);
        assert!(
            form.body.contains("kept text</textarea>"),
            "our own form comes back to be sent again"
        );
        let again = app.post("/update/99", &theirs(&form.csrf_token()), &[]);
        assert_eq!(again.status, 404, "with a token that is good");
    }
    let list = app.get("/").body;
    assert!(list.contains("Mine") && list.contains(">Off</span>") && !list.contains("Theirs"));

    let own = format!("https://{}", host.replace("127.0.0.1:", "127.0.0.1:9"));
    for headers in [
        &[("Sec-Fetch-Site", "same-origin"), ("Origin", own.as_str())][..],
        &[("Origin", "http://127.0.0.1")],
    ] {
        assert_eq!(
            app.post("/turn/1", &theirs(&token), headers).status,
            303,
            "{headers:?}"
        );
    }
}

#[test]
fn any_instance_takes_the_form_of_another() {
    let folder = tempdir().unwrap();
    let one = AppServer::start(&[
        ("DATABASE_URL", &sqlite(folder.path())),
        ("INSTANCE_ID", "one"),
    ]);
    let other = AppServer::start(&[
        ("DATABASE_URL", &sqlite(folder.path())),
        ("INSTANCE_ID", "other"),
    ]);
    for app in [&one, &other] {
        app.until_status("/ready", 200);
    }
    let token = one.token();
    let fields = [
        ("title", "Shared"),
        ("description", "text"),
        ("csrf_token", token.as_str()),
    ];
    assert_eq!(other.post("/add", &fields, &[]).status, 303);
    assert!(one.get("/").body.contains("Shared"));
}
