//! The process: how it starts, what it says when it cannot, how it stops, what survives.

use std::net::TcpListener;
use std::process::Output;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::tempdir;

use crate::client::send;
use crate::process::{AppServer, KEY, command, program, sqlite, until};

fn ended(settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = program(settings).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn wrong_settings_are_all_named_and_no_secret_is() {
    let (code, said) = ended(&[
        ("BIND", "nowhere"),
        ("SECRET_KEY", "you-will-never-guess"),
        ("DATABASE_URL", "mysql://user:hunter2@db"),
        ("LOG_FORMAT", "xml"),
    ]);
    assert_eq!(code, Some(1), "{said}");
    for variable in ["BIND: ", "SECRET_KEY: ", "DATABASE_URL: ", "LOG_FORMAT: "] {
        assert!(
            said.lines().any(|line| line.starts_with(variable)),
            "{variable} is not in {said}"
        );
    }
    assert!(
        said.contains("openssl rand -hex 32")
            && !said.contains("hunter2")
            && !said.contains("never-guess")
    );
}

#[test]
fn wrong_arguments_end_with_1_and_help_with_0() {
    let run = |arguments: &[&str]| {
        let output = command(env!("CARGO_BIN_EXE_lintel-appserver"))
            .args(arguments)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    assert_eq!(run(&[]).0, Some(1));
    assert_eq!(run(&["walk"]).0, Some(1));
    assert_eq!(
        run(&["--version"]),
        (
            Some(0),
            format!("lintel-appserver {}\n", env!("CARGO_PKG_VERSION"))
        )
    );
    for arguments in [&["--help"][..], &["run", "--help"]] {
        let (code, help) = run(arguments);
        assert_eq!(code, Some(0));
        for variable in [
            "BIND",
            "DATABASE_URL",
            "SECRET_KEY",
            "TRUSTED_PROXIES",
            "SHUTDOWN_TIMEOUT",
        ] {
            assert!(help.contains(variable), "{variable} is not in the help");
        }
    }
}

#[test]
fn a_taken_port_ends_with_2() {
    let folder = tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, said) = ended(&[("BIND", &address), ("DATABASE_URL", &sqlite(folder.path()))]);
    assert_eq!(code, Some(2));
    assert!(
        said.contains(&format!("cannot listen on {address}")) && said.contains("set BIND"),
        "{said}"
    );
}

#[test]
fn a_database_out_of_reach_ends_with_2_after_the_last_attempt() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for (url, cause) in [
        (
            format!("mysql://user:hunter2@127.0.0.1:{nobody}/x"),
            "cannot be used: Connection refused",
        ),
        (
            "sqlite:///no/such/folder/x.db".to_owned(),
            "cannot be used: unable to open",
        ),
    ] {
        let (code, said) = ended(&[("DATABASE_URL", &url), ("DATABASE_ATTEMPTS", "1")]);
        assert_eq!(code, Some(2), "{said}");
        assert!(
            said.contains(cause) && said.contains("; start it, or correct DATABASE_URL"),
            "{said}"
        );
        assert!(!said.contains("hunter2") && !said.contains(KEY), "{said}");
    }
}

#[test]
fn it_listens_before_the_database_is_there() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut app = AppServer::start(&[(
        "DATABASE_URL",
        &format!("mysql://user@127.0.0.1:{nobody}/x"),
    )]);
    assert_eq!(app.get("/health").status, 200);
    assert_eq!(app.get("/ready").status, 503);
    let page = app.get("/");
    assert_eq!((page.status, page.header("retry-after")), (503, Some("5")));
    assert!(page.body.contains("The application is starting"));
    assert_eq!(app.get("/api/entries").status, 503);
    assert_eq!(app.get("/metrics").status, 200);
    let stats: serde_json::Value = serde_json::from_str(&app.get("/pool-stats").body).unwrap();
    assert_eq!(stats["database_status"], "connecting");
    app.signal(Signal::TERM);
    assert_eq!(app.wait(), Some(0), "it can be stopped meanwhile");
}

#[test]
fn pool_stats_keep_their_names() {
    let folder = tempdir().unwrap();
    let app = AppServer::ready(&[
        ("DATABASE_URL", &sqlite(folder.path())),
        ("INSTANCE_ID", "app-1"),
    ]);
    let stats: serde_json::Value = serde_json::from_str(&app.get("/pool-stats").body).unwrap();
    assert_eq!(stats["connection_pool"]["pool_size"], 5);
    assert_eq!(stats["connection_pool"]["pool_name"], "sqlite");
    assert_eq!(stats["connection_pool"]["active_connections"], 0);
    assert_eq!(stats["connection_pool"]["total_connections"], 1);
    assert_eq!(
        (&stats["database_status"], &stats["server"]),
        (&"connected".into(), &"app-1".into())
    );
    assert!(stats["message"].is_string() && stats["timestamp"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn metrics_count_requests_by_route_and_code() {
    let folder = tempdir().unwrap();
    let app = AppServer::on_sqlite(folder.path());
    app.get("/");
    app.get("/");
    app.get("/script");
    let text = app.get("/metrics").body;
    for line in [
        "lintel_appserver_requests_total{code=\"200\",route=\"list\"} 2",
        "lintel_appserver_requests_total{code=\"404\",route=\"none\"} 1",
        "lintel_appserver_request_duration_seconds_count{route=\"list\"} 2",
        "lintel_appserver_requests_in_flight 1",
        "lintel_appserver_database_connections_max 5",
        "lintel_appserver_database_reached 1",
        "lintel_appserver_panics_total 0",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in {text}"
        );
    }
    assert!(!text.contains("script"));
}

#[test]
fn health_says_that_it_stops_before_it_stops_listening() {
    let folder = tempdir().unwrap();
    let mut app = AppServer::ready(&[
        ("DATABASE_URL", &sqlite(folder.path())),
        ("SHUTDOWN_DELAY", "1"),
        ("SHUTDOWN_TIMEOUT", "5"),
    ]);
    let begun = Instant::now();
    app.signal(Signal::TERM);
    app.until_status("/health", 503);
    assert_eq!(app.get("/ready").status, 503);
    assert_eq!(app.get("/").status, 200, "it serves on meanwhile");
    assert_eq!(app.wait(), Some(0));
    assert!(
        begun.elapsed() >= Duration::from_secs(1),
        "ended after {:?}",
        begun.elapsed()
    );
}

#[test]
fn a_second_signal_ends_the_wait() {
    let folder = tempdir().unwrap();
    let mut app = AppServer::ready(&[
        ("DATABASE_URL", &sqlite(folder.path())),
        ("SHUTDOWN_DELAY", "600"),
    ]);
    app.signal(Signal::INT);
    app.until_status("/health", 503);
    app.signal(Signal::INT);
    assert_eq!(app.wait(), Some(0));
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let folder = tempdir().unwrap();
    let mut app = AppServer::on_sqlite(folder.path());
    app.add("Acknowledged", "text");
    app.signal(Signal::KILL);
    assert_eq!(app.wait(), None);
    assert!(
        AppServer::on_sqlite(folder.path())
            .get("/")
            .body
            .contains("Acknowledged")
    );
}

#[test]
fn several_instances_prepare_one_empty_file_together() {
    let folder = tempdir().unwrap();
    let url = sqlite(folder.path());
    let apps: Vec<AppServer> = (0..4)
        .map(|_| AppServer::start(&[("DATABASE_URL", &url)]))
        .collect();
    for app in &apps {
        app.until_status("/ready", 200);
        assert!(
            !app.logged().contains("cannot be used"),
            "the first attempt succeeds"
        );
    }
    apps[0].add("Shared", "text");
    assert!(apps[3].get("/").body.contains("Shared"));
}

#[test]
fn requests_leave_no_user_text_in_the_log() {
    let folder = tempdir().unwrap();
    let app = AppServer::ready(&[
        ("DATABASE_URL", &sqlite(folder.path())),
        ("LINTEL_LOG", "debug"),
    ]);
    app.add("Wholly private", "my diary");
    send(app.address, "GET", "/private-path", &[], b"");
    let log = until(Duration::from_secs(10), "both requests are logged", || {
        Some(app.logged()).filter(|log| log.contains("\"status\":404"))
    });
    assert!(
        !log.contains("Wholly") && !log.contains("diary") && !log.contains("private-path"),
        "{log}"
    );
}
