//! `lintel-benches load`.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use lintel_common::tls::{self, SslPolicy};
use serde_json::Value;

use crate::server::Server;

struct Run {
    code: i32,
    report: Value,
}

impl Run {
    fn count(&self, pointer: &str) -> u64 {
        self.report
            .pointer(pointer)
            .and_then(Value::as_u64)
            .unwrap_or_else(|| panic!("no number {pointer} in {:#}", self.report))
    }

    fn milliseconds(&self, quantile: &str) -> f64 {
        self.report["latency_ms"][quantile].as_f64().unwrap()
    }
}

fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lintel-benches"))
        .arg("load")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn load(server: &Server, scheme: &str, path: &str, more: &[&str]) -> Run {
    let url = format!("{scheme}://localhost:{}{path}", server.address.port());
    let mut arguments = vec![
        url.as_str(),
        "--json",
        "--duration",
        "1",
        "--connections",
        "4",
    ];
    arguments.extend(more);
    let output = program(&arguments);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    Run {
        code: output.status.code().unwrap(),
        report,
    }
}

fn refused(arguments: &[&str]) -> String {
    let output = program(arguments);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(output.stdout.is_empty());
    message
}

/// A server certificate for localhost in this directory, and the authority's file.
fn tls_server(directory: &Path) -> (Server, String) {
    let files = lintel_certs::ensure(directory, &[]).unwrap();
    let key = tls::load_certified_key(&files.site, &files.site_key).unwrap();
    let policy = SslPolicy::by_name(SslPolicy::DEFAULT).unwrap();
    let config = tls::server_config(
        vec![key],
        policy,
        true,
        tls::tickets().unwrap(),
        &tls::MutualAuthentication::Off,
    )
    .unwrap();
    let authority = files.ca.to_str().unwrap().to_owned();
    (Server::start(Some(Arc::clone(&config))), authority)
}

#[test]
fn a_closed_loop_counts_what_the_server_saw() {
    let server = Server::start(None);
    let run = load(&server, "http", "/", &["--threads", "2"]);
    assert_eq!(run.code, 0, "{:#}", run.report);
    let requests = run.count("/requests");
    assert!(requests > 100, "{requests}");
    assert_eq!(requests, server.requests());
    assert_eq!(run.count("/statuses/200"), requests);
    assert_eq!(run.count("/errors/total"), 0);
    assert_eq!(run.count("/bytes_received"), requests * 13);
    assert_eq!(run.count("/connections_opened"), 4);
    assert_eq!(server.seen.connections.load(Ordering::Relaxed), 4);
    assert_eq!(run.report["loop"], "closed");
    assert!(run.milliseconds("min") > 0.0);
    assert!(run.milliseconds("p50") <= run.milliseconds("p99"));
    assert!(run.milliseconds("p99") <= run.milliseconds("max"));
}

#[test]
fn bodies_are_sent_whole() {
    let server = Server::start(None);
    let run = load(&server, "http", "/", &["--body-size", "100000"]);
    assert_eq!(run.code, 0, "{:#}", run.report);
    let sent = run.count("/requests") * 100_000;
    assert_eq!(run.count("/bytes_sent"), sent);
    assert_eq!(server.seen.body_bytes.load(Ordering::Relaxed), sent);
}

#[test]
fn http2_over_tls_shares_connections_among_streams() {
    let directory = tempfile::tempdir().unwrap();
    let (server, authority) = tls_server(directory.path());
    let arguments = ["--http2", "--streams", "8", "--cacert", &authority];
    let run = load(&server, "https", "/", &arguments);
    assert_eq!(run.code, 0, "{:#}", run.report);
    let requests = run.count("/requests");
    assert!(requests > 100, "{requests}");
    assert_eq!(requests, server.requests());
    assert_eq!(requests, server.seen.http2_requests.load(Ordering::Relaxed));
    assert_eq!(run.count("/connections_opened"), 4);
    assert_eq!(run.report["protocol"], "HTTP/2 over TLS");
}

#[test]
fn certificates_are_checked_unless_told_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    let (server, _) = tls_server(directory.path());
    let run = load(&server, "https", "/", &["--insecure"]);
    assert_eq!((run.code, run.count("/errors/total")), (0, 0));
    assert_eq!(run.report["protocol"], "HTTP/1.1 over TLS");
    assert_eq!(server.seen.http2_requests.load(Ordering::Relaxed), 0);

    let other = tempfile::tempdir().unwrap();
    let stranger = lintel_certs::ensure(other.path(), &[]).unwrap().ca;
    let url = format!("https://localhost:{}/", server.address.port());
    let before = server.requests();
    let message = refused(&[&url, "--cacert", stranger.to_str().unwrap()]);
    assert!(message.contains("certificate"), "{message}");
    assert_eq!(server.requests(), before);
}

#[test]
fn an_open_loop_sends_at_its_rate() {
    let server = Server::start(None);
    let run = load(&server, "http", "/", &["--rate", "300", "--threads", "2"]);
    assert_eq!(run.code, 0, "{:#}", run.report);
    assert_eq!(run.count("/loop/open/due"), 300);
    assert_eq!(run.count("/requests"), 300);
    assert_eq!(server.requests(), 300);
}

/// Four connections at 20 ms each answer at most 200 a second. At 400 the queue grows, so the median request waits about as
/// long as half the run: a generator that measured from sending would report 20 ms.
#[test]
fn an_open_loop_counts_the_wait_for_a_connection() {
    let server = Server::start(None);
    let run = load(&server, "http", "/slow", &["--rate", "400"]);
    assert_eq!((run.code, run.count("/requests")), (0, 400));
    assert!(run.milliseconds("min") >= 20.0);
    assert!(run.milliseconds("p50") > 200.0, "{:#}", run.report);
    assert!(run.milliseconds("max") > 500.0, "{:#}", run.report);
}

#[test]
fn a_connection_that_the_server_closes_is_no_error() {
    let server = Server::start(None);
    let run = load(&server, "http", "/close", &[]);
    assert_eq!(run.code, 0, "{:#}", run.report);
    let requests = run.count("/requests");
    assert_eq!(requests, server.requests());
    let used = server.seen.connections.load(Ordering::Relaxed);
    assert_eq!(used, requests, "a connection a request");
    assert_eq!(run.count("/connections_opened"), requests);
}

#[test]
fn a_wrong_status_is_an_error() {
    let server = Server::start(None);
    let run = load(&server, "http", "/500", &["--rate", "200"]);
    assert_eq!(run.code, 1);
    assert_eq!(run.count("/requests"), 180);
    assert_eq!(run.count("/errors/status/count"), 20);
    assert_eq!(run.count("/errors/total"), 20);
    assert_eq!(run.count("/statuses/500"), 20);
    assert_eq!(
        run.count("/connections_opened"),
        4,
        "an answer all the same"
    );
}

#[test]
fn half_an_answer_is_an_error_and_the_next_request_has_a_new_connection() {
    let server = Server::start(None);
    let run = load(&server, "http", "/cut", &["--rate", "200"]);
    assert_eq!(run.code, 1);
    assert_eq!(run.count("/errors/broken/count"), 20);
    assert_eq!(run.count("/errors/total"), 20);
    assert_eq!(run.count("/requests"), 180);
    // After the very last one there is no next request.
    assert_eq!(run.count("/connections_opened"), 4 + 19);
}

#[test]
fn bodies_of_unannounced_length_must_be_alike_unless_told_otherwise() {
    let server = Server::start(None);
    let run = load(&server, "http", "/longer", &["--rate", "200"]);
    assert_eq!(run.code, 1);
    assert_eq!(run.count("/errors/length/count"), 100);
    let run = load(&server, "http", "/longer", &["--any-length"]);
    assert_eq!(run.code, 0, "{:#}", run.report);
}

#[test]
fn no_answer_in_time_is_an_error() {
    let server = Server::start(None);
    let run = load(&server, "http", "/never", &["--timeout", "1"]);
    assert_eq!(run.code, 1);
    assert_eq!(run.count("/errors/timeout/count"), 4);
    assert_eq!(run.count("/requests"), 0);
    assert_eq!(run.report["latency_ms"], Value::Null);
}

#[test]
fn the_status_that_counts_can_be_named() {
    let server = Server::start(None);
    let run = load(&server, "http", "/host", &["--header", "Host: other"]);
    assert_eq!(run.code, 0, "{:#}", run.report);
    let run = load(&server, "http", "/host", &["--expect-status", "404"]);
    assert_eq!(run.code, 0, "{:#}", run.report);
    let run = load(&server, "http", "/", &["--expect-status", "404"]);
    assert_eq!((run.code, run.count("/requests")), (1, 0));
}

#[test]
fn what_cannot_start_says_why() {
    let unused = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    assert!(refused(&[&unused]).contains("is the server running"));
    assert!(refused(&["http://192.0.2.1/"]).contains("--i-own-this-host"));
    assert!(refused(&["https://localhost/"]).contains("--insecure"));
    let crowded = [unused.as_str(), "--threads", "9", "--connections", "2"];
    assert!(refused(&crowded).contains("--threads"));
}
