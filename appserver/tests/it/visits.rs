//! The footer: who is believed about the client.

use tempfile::tempdir;

use crate::client::send;
use crate::process::{AppServer, sqlite};

const ROOT: &str = "1-67891233-abcdef012345678912345678";

fn footer(app: &AppServer) -> String {
    let trace = format!("Root={ROOT}");
    let headers = [
        ("X-Forwarded-For", "6.6.6.6, 203.0.113.7"),
        ("X-Forwarded-Proto", "https"),
        ("X-Amzn-Trace-Id", trace.as_str()),
    ];
    let body = send(app.address, "GET", "/", &headers, b"").body;
    body[body.find("<footer").unwrap()..].to_owned()
}

#[test]
fn a_trusted_proxy_is_believed() {
    let folder = tempdir().unwrap();
    let app = AppServer::ready(&[
        ("DATABASE_URL", &sqlite(folder.path())),
        ("INSTANCE_ID", "app-7"),
    ]);
    let footer = footer(&app);
    for shown in [
        "<b>203.0.113.7</b>",
        "<b>https</b>",
        "<b>app-7</b>",
        "<b>SQLite</b>",
        ROOT,
    ] {
        assert!(footer.contains(shown), "{shown} is not in {footer}");
    }
    assert!(!footer.contains("6.6.6.6"));
}

#[test]
fn others_are_not() {
    let folder = tempdir().unwrap();
    let app = AppServer::ready(&[
        ("DATABASE_URL", &sqlite(folder.path())),
        ("TRUSTED_PROXIES", "192.0.2.0/24"),
    ]);
    let footer = footer(&app);
    for shown in ["<b>127.0.0.1</b>", "<b>http</b>"] {
        assert!(footer.contains(shown), "{shown} is not in {footer}");
    }
    assert!(!footer.contains("203.0.113.7") && !footer.contains(ROOT));
}
