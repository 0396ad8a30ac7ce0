//! From the first start to the page, through the loss of an app server, and over a restart of everything.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::lintel::{LIMIT, Lintel, send, wait_for};

#[test]
fn one_command_serves_the_application_and_keeps_what_was_entered() {
    let root = tempfile::tempdir().unwrap();
    let lintel = Lintel::start(&root, &["--app-servers", "3"]);
    let page = lintel.get(&lintel.page("/"));
    assert_eq!(page.status, 200);
    assert!(page.body.contains("csrf_token"), "{}", page.body);

    let redirect = lintel.get(&format!(
        "http://localhost:{}/index?page=1",
        lintel.ports.http
    ));
    assert_eq!(
        (redirect.status, redirect.location),
        (301, lintel.page("/index?page=1"))
    );
    lintel.wait_until_healthy(3);

    // Health is told by who asks for it now and then: later than the proxy itself knows it.
    for told in [
        "app-1",
        "app-3",
        "sqlite://",
        "is healthy",
        &lintel.page("/"),
        "certs/ca.pem",
    ] {
        wait_for(&format!("{told} in the output"), LIMIT, || {
            lintel.output().contains(told).then_some(())
        });
    }
    for private in ["secret_key", "certs/site.key", "certs/ca.key"] {
        let mode = fs::metadata(lintel.file(private))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{private}");
    }
    lintel.add_entry("kept over a restart");
    let kept = ["certs/ca.pem", "certs/site.pem", "secret_key"];
    let before = kept.map(|name| fs::read(lintel.file(name)).unwrap());
    lintel.stop();

    let again = Lintel::start(&root, &[]);
    assert!(
        again
            .get(&again.page("/"))
            .body
            .contains("kept over a restart")
    );
    assert_eq!(kept.map(|name| fs::read(again.file(name)).unwrap()), before);
    again.stop();
}

#[test]
fn only_the_app_servers_know_the_way_to_the_database() {
    let root = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", root.path().join("own.db").display());
    let lintel = Lintel::start_in(&root, &[], &[("DATABASE_URL", &url)]);
    for (child, knows) in [("appserver run", true), ("proxy run", false)] {
        let environ = fs::read(format!("/proc/{}/environ", lintel.child(child))).unwrap();
        let environ = String::from_utf8(environ).unwrap();
        assert_eq!(environ.contains(&url), knows, "{child}");
        assert_eq!(environ.contains("SECRET_KEY"), knows, "{child}");
    }
    lintel.stop();
}

#[test]
fn a_killed_app_server_is_started_again_and_nobody_notices() {
    let root = tempfile::tempdir().unwrap();
    let lintel = Lintel::start(&root, &[]);
    lintel.wait_until_healthy(2);
    let victim = lintel.child("appserver run");
    send(victim, Signal::KILL);
    wait_for("the new one", LIMIT, || {
        assert_eq!(lintel.get(&lintel.page("/")).status, 200);
        let servers = lintel
            .children()
            .into_iter()
            .filter(|(_, command_line)| command_line.contains("appserver run"));
        (servers.filter(|&(pid, _)| pid != victim).count() == 2).then_some(())
    });
    lintel.wait_until_healthy(2);
    for told in [
        &format!("(pid {victim}) was killed by SIGKILL; starting it again in 1 s"),
        "runs again, pid",
    ] {
        wait_for(&format!("{told} in the output"), LIMIT, || {
            lintel.output().contains(told).then_some(())
        });
    }
    lintel.stop();
}

#[test]
fn a_killed_proxy_is_started_again() {
    let root = tempfile::tempdir().unwrap();
    let lintel = Lintel::start(&root, &[]);
    send(lintel.child("proxy run"), Signal::KILL);
    wait_for("it to be told", LIMIT, || {
        lintel.output().contains("proxy runs again").then_some(())
    });
    wait_for("the page", LIMIT, || {
        (lintel.curl(&[&lintel.page("/")])?.status == 200).then_some(())
    });
    lintel.stop();
}

#[test]
fn a_private_database_server_keeps_what_was_entered() {
    if !["/usr/sbin/mariadbd", "/usr/sbin/mysqld"]
        .iter()
        .any(|path| Path::new(path).exists())
    {
        eprintln!("skipped: no MariaDB or MySQL server is installed");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    for start in ["first", "second"] {
        let lintel = Lintel::start(&root, &["--database", "mysql"]);
        assert!(
            lintel.output().contains("mysql://lintel@127.0.0.1:"),
            "{}",
            lintel.output()
        );
        let page = lintel.get(&lintel.page("/"));
        assert_eq!(page.body.contains("in MariaDB"), start == "second");
        if start == "first" {
            lintel.add_entry("in MariaDB");
        }
        lintel.stop();
    }
    let password = fs::metadata(root.path().join("data/mysql/password")).unwrap();
    assert_eq!(password.permissions().mode() & 0o777, 0o600);
}

#[test]
fn with_a_flag_every_request_is_in_the_access_log() {
    let root = tempfile::tempdir().unwrap();
    let lintel = Lintel::start(&root, &["--access-log"]);
    lintel.get(&lintel.page("/index?seen=1"));
    let log = lintel.file("access.log");
    wait_for("the record", Duration::from_secs(10), || {
        let text = fs::read_to_string(&log).ok()?;
        let record: serde_json::Value = serde_json::from_str(text.lines().last()?).ok()?;
        record.to_string().contains("/index?seen=1").then_some(())
    });
    lintel.stop();
}
