//! What cannot be started: the exit code, and one line that says what to do.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::lintel::{Lintel, Ports, command};

/// Runs it to its end and gives what it said on standard error, which must be one line.
fn refused(arguments: &[&str], code: i32) -> String {
    let root = tempfile::tempdir().unwrap();
    let data_dir = root.path().join("data").display().to_string();
    let mut all = Ports::choose().arguments();
    let mine = ["--data-dir".to_owned(), data_dir];
    all.extend(
        mine.into_iter()
            .chain(arguments.iter().map(|&argument| argument.to_owned())),
    );
    // A flag that is given twice is an error, so those of the test replace the others.
    for flag in arguments
        .iter()
        .filter(|argument| argument.starts_with("--"))
    {
        let first = all.iter().position(|argument| argument == flag).unwrap();
        let last = all.iter().rposition(|argument| argument == flag).unwrap();
        if first != last {
            all.drain(first..first + 2);
        }
    }
    let output = command().args(&all).output().unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{complaint}");
    assert_eq!(complaint.trim_end().lines().count(), 1, "{complaint}");
    assert!(complaint.starts_with("lintel: "), "{complaint}");
    complaint
}

fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} in {text}");
    }
}

#[test]
fn a_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for flag in ["--http-port", "--https-port", "--admin-port"] {
        assert_contains(&refused(&[flag, &port], 2), &[&port, "is taken", flag]);
    }
}

#[test]
fn two_ports_that_are_the_same() {
    let complaint = refused(&["--http-port", "8443", "--https-port", "8443"], 1);
    assert_contains(&complaint, &["--http-port", "--https-port", "8443"]);
}

#[test]
fn an_address_of_another_machine() {
    assert_contains(
        &refused(&["--listen", "192.0.2.1"], 2),
        &["192.0.2.1", "--listen"],
    );
}

#[test]
fn a_directory_that_cannot_be_written() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("data")] {
        let path = path.display().to_string();
        assert_contains(&refused(&["--data-dir", &path], 2), &[&path, "--data-dir"]);
    }
}

#[test]
fn a_directory_that_is_in_use() {
    let root = tempfile::tempdir().unwrap();
    let lintel = Lintel::start(&root, &[]);
    let path = lintel.file("").display().to_string();
    assert_contains(
        &refused(&["--data-dir", &path], 2),
        &["another lintel", "--data-dir"],
    );
    lintel.stop();
}

#[test]
fn a_database_that_cannot_be_reached() {
    let started = Instant::now();
    // A port that nobody listens on, and one where somebody accepts but never speaks.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = mute.local_addr().unwrap().port();
    for port in [1, mute] {
        let url = format!("mysql://somebody:hunter2@127.0.0.1:{port}/flaskcrud");
        let complaint = refused(&["--database", &url], 2);
        assert_contains(
            &complaint,
            &[
                &format!("mysql://somebody@127.0.0.1:{port}/flaskcrud"),
                "--database",
            ],
        );
        assert!(!complaint.contains("hunter2"), "{complaint}");
    }
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_database_that_is_none() {
    assert_contains(
        &refused(&["--database", "postgres://db/app"], 1),
        &["--database: ", "mysql://"],
    );
}

#[test]
fn a_database_file_that_cannot_be_opened() {
    let url = "sqlite:///no/such/directory/lintel.db";
    let complaint = refused(&["--database", url], 2);
    assert_contains(&complaint, &[url, "make its file usable", "--database"]);
}

#[test]
fn certificates_that_are_incomplete() {
    let root = tempfile::tempdir().unwrap();
    let certs = root.path().join("certs");
    lintel_certs::ensure(&certs, &[]).unwrap();
    fs::remove_file(certs.join("ca.key")).unwrap();
    let path = root.path().display().to_string();
    assert_contains(
        &refused(&["--data-dir", &path], 2),
        &["ca.key is missing", "delete"],
    );
}

#[test]
fn arguments_that_are_wrong_and_questions() {
    let run = |arguments: &[&str]| {
        let output = command().args(arguments).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    for wrong in [
        &["--no-such-flag"][..],
        &["--app-servers", "0"],
        &["--min", "3", "--max", "2"],
        &["--max", "1", "--app-servers", "2"],
        &["--http-port", "0"],
        &["no-such-command"],
    ] {
        assert_eq!(run(wrong).0, Some(1), "{wrong:?}");
    }
    for (question, answer) in [
        (&["--help"][..], "--app-servers"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["proxy", "--help"], "dev-certs"),
        (&["appserver", "--help"], "run"),
    ] {
        let (code, output) = run(question);
        assert_eq!(code, Some(0), "{question:?}");
        assert!(output.contains(answer), "{question:?}: {output}");
    }
}
