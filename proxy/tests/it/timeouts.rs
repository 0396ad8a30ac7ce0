//! Every wait has an end of its own, and none of them ends what still moves. Time-outs here are short because the
//! configuration says so.

use std::io::Read;
use std::time::{Duration, Instant};

use crate::harness::client::get;
use crate::harness::target::Unreachable;
use crate::harness::{Proxy, Setup, Target, ok};

/// Long enough for a busy machine not to run into it by itself.
const SHORT: &str = "0.5";

fn behind(target: &Target, settings: &[&str]) -> Proxy {
    let setup = Setup::to([target.address]);
    let with = |setup: Setup, key: &&str| setup.with(&format!("{key} = {SHORT}"));
    settings.iter().fold(setup, with).start()
}

/// Reads requests and never answers.
fn silent() -> Target {
    Target::scripted(|connection| {
        connection.request()?;
        connection.rest().map(drop)
    })
}

/// With these fields in its responses.
fn saying_of_itself(fields: &str) -> Target {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{fields}\r\n");
    Target::answering(move |_| answer.clone().into_bytes())
}

#[test]
fn a_head_that_does_not_end_is_408() {
    let target = Target::saying("app");
    let proxy = behind(&target, &["request_header_timeout"]);
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: exam").unwrap();
    let answer = client.response().unwrap();
    assert_eq!(answer.start, "HTTP/1.1 408 Request Time-out");
    assert_eq!(answer.field("connection"), Some("close"));
    client.assert_closed();
    assert_eq!(proxy.log_line()["reason"], "request_timeout");
    assert_eq!(proxy.metric("httpcode_elb_total{code=\"408\"}"), 1);
}

#[test]
fn a_head_that_comes_in_drops_is_408_all_the_same() {
    let target = Target::saying("app");
    let proxy = behind(&target, &["request_header_timeout"]);
    let mut client = proxy.connect();
    client.set_patience(Duration::from_millis(20));
    client.send("GET / HTTP/1.1\r\nX: ").unwrap();
    let answer = crate::harness::eventually("408", || {
        // Fails once the answer is there.
        let _ = client.send("x");
        client.head().ok()
    });
    assert_eq!(answer.status(), 408);
}

#[test]
fn the_second_head_on_a_connection_has_its_own_time() {
    let target = Target::saying("app");
    let proxy = behind(&target, &["request_header_timeout"]);
    let mut client = proxy.connect();
    assert_eq!(client.get("/").status(), 200);
    client.send("GET /again HTTP/1.1\r\n").unwrap();
    assert_eq!(client.response().unwrap().status(), 408);
    let lines = proxy.log(2);
    assert_eq!(lines[1]["reason"], "request_timeout");
}

#[test]
fn a_body_that_stalls_is_408() {
    let target = silent();
    let proxy = behind(&target, &["idle_timeout"]);
    let mut client = proxy.connect();
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        .unwrap();
    let answer = client.response().unwrap();
    assert_eq!(answer.status(), 408);
    client.rest().expect("the end of the connection");
    let line = proxy.log_line();
    assert_eq!(line["reason"], "request_timeout");
    assert_eq!(line["elb_status_code"], 408);
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let target = Target::saying("app");
    let proxy = behind(&target, &["idle_timeout"]);
    let mut used = proxy.connect();
    assert_eq!(used.get("/").status(), 200);
    used.assert_closed();
    proxy.connect().assert_closed();
    proxy.log(1);
}

#[test]
fn a_target_that_says_nothing_is_504() {
    let target = silent();
    let proxy = behind(&target, &["response_timeout"]);
    let mut client = proxy.connect();
    let answer = client.get("/");
    assert_eq!(answer.start, "HTTP/1.1 504 Gateway Time-out");
    assert_eq!(
        target.requests().len(),
        1,
        "a request that may run is not repeated"
    );
    let line = proxy.log_line();
    assert_eq!(line["reason"], "target_response_timeout");
    assert!(line["request_processing_time"].as_f64().unwrap() >= 0.0);
    for time in ["target_processing_time", "response_processing_time"] {
        assert_eq!(line[time], -1.0, "{time}");
    }
    client.send(get("/")).unwrap();
    assert_eq!(client.response().unwrap().status(), 504, "kept alive");
}

#[test]
fn a_target_that_takes_an_upload_and_says_nothing_is_504() {
    let target = silent();
    let proxy = behind(&target, &["response_timeout"]);
    let answer = proxy.connect().post("/", "whole");
    assert_eq!(answer.status(), 504);
}

#[test]
fn a_target_that_cannot_be_reached_in_time_is_504() {
    let unreachable = Unreachable::new();
    let proxy = Setup::to([unreachable.address])
        .with("connect_timeout = 0.3")
        .start();
    assert_eq!(proxy.get("/").status(), 504);
    assert_eq!(proxy.log_line()["reason"], "target_connect_timeout");
}

#[test]
fn a_target_that_cannot_be_reached_in_time_is_passed_over() {
    let (unreachable, target) = (Unreachable::new(), Target::saying("app"));
    let proxy = Setup::to([unreachable.address, target.address])
        .with("connect_timeout = 0.3")
        .start();
    for _ in 0..2 {
        assert_eq!(proxy.get("/").text(), "app");
    }
}

#[test]
fn a_response_that_stalls_is_broken_off() {
    let target = Target::scripted(|connection| {
        connection.request()?;
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")?;
        connection.rest().map(drop)
    });
    let proxy = behind(&target, &["idle_timeout"]);
    let mut client = proxy.connect();
    client.send(get("/")).unwrap();
    assert_eq!(client.head().unwrap().status(), 200);
    assert_eq!(client.rest().unwrap(), b"half");
    let line = proxy.log_line();
    assert_eq!(line["reason"], "target_response_stalled");
    assert_eq!(line["elb_status_code"], 200);
}

#[test]
fn a_client_that_stops_reading_is_given_up() {
    const SIZE: usize = 64 * 1024 * 1024;
    let target = Target::answering(|_| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
        [head.as_bytes(), &vec![0; SIZE]].concat()
    });
    let proxy = behind(&target, &["idle_timeout"]);
    let mut client = proxy.connect();
    client.send(get("/")).unwrap();
    assert_eq!(client.head().unwrap().status(), 200);
    // And no more: buffers fill up.
    let line = proxy.log_line();
    assert_eq!(line["reason"], "client_stalled");
    crate::harness::until("the target is let go", || target.open_connections() == 0);
}

/// Each piece comes well within the time-out, all of them together take many times as long.
#[test]
fn a_slow_transfer_that_goes_on_is_not_cut() {
    const PIECES: usize = 15;
    let pace = || std::thread::sleep(Duration::from_millis(100));
    let target = Target::scripted(move |connection| {
        let request = connection.request()?;
        assert_eq!(request.body.len(), PIECES);
        connection.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {PIECES}\r\n\r\n"
        ))?;
        for _ in 0..PIECES {
            pace();
            connection.send("x")?;
        }
        Ok(())
    });
    let proxy = behind(
        &target,
        &["idle_timeout", "response_timeout", "request_header_timeout"],
    );
    let mut client = proxy.connect();
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {PIECES}\r\n\r\n"
        ))
        .unwrap();
    for _ in 0..PIECES {
        pace();
        client.send("x").unwrap();
    }
    let answer = client.response().unwrap();
    assert_eq!((answer.status(), answer.body.len()), (200, PIECES));
    assert!(proxy.log_line()["reason"].is_null());
}

#[test]
fn a_target_may_think_longer_than_a_connection_may_be_idle() {
    let target = Target::answering(|_| {
        std::thread::sleep(Duration::from_millis(1500));
        ok("thought")
    });
    let proxy = Setup::to([target.address])
        .with("idle_timeout = 0.4")
        .with("response_timeout = 20")
        .start();
    assert_eq!(proxy.get("/").text(), "thought");
}

#[test]
fn a_tls_handshake_that_does_not_end_is_given_up() {
    let target = Target::saying("app");
    let proxy = Setup::to([target.address])
        .https()
        .with("tls_handshake_timeout = 0.3")
        .start();
    let mut client = proxy.connect();
    // The beginning of a ClientHello.
    client.send([0x16, 0x03, 0x01]).unwrap();
    client.assert_closed();
    proxy.wait_for_metric("client_tls_negotiation_error_count_total", 1);
    proxy.connect().assert_closed();
    proxy.wait_for_metric("client_tls_negotiation_error_count_total", 2);
    proxy.log(0);
}

#[test]
fn what_is_no_tls_is_refused() {
    let target = Target::saying("app");
    let proxy = Setup::to([target.address]).https().start();
    let mut client = proxy.connect();
    client.send(get("/")).unwrap();
    let mut rest = Vec::new();
    // An alert, then the end.
    let _ = client.stream().read_to_end(&mut rest);
    assert!(!rest.starts_with(b"HTTP"));
    proxy.wait_for_metric("client_tls_negotiation_error_count_total", 1);
}

#[test]
fn a_connection_past_its_age_ends_with_its_next_answer() {
    let target = Target::saying("app");
    let proxy = Setup::to([target.address])
        .with("client_keep_alive = 0.3")
        .start();
    let mut client = proxy.connect();
    let born = Instant::now();
    assert_eq!(client.get("/").field("connection"), None);
    std::thread::sleep(Duration::from_millis(400).saturating_sub(born.elapsed()));
    assert_eq!(client.get("/").field("connection"), Some("close"));
    client.assert_closed();
}

#[test]
fn the_age_is_the_one_that_held_when_the_connection_was_made() {
    let target = Target::saying("app");
    let setup = Setup::to([target.address]);
    let proxy = setup.clone().with("client_keep_alive = 0.3").start();
    let mut short = proxy.connect();
    let born = Instant::now();
    assert_eq!(short.get("/").status(), 200);
    proxy.reload(&setup.with("client_keep_alive = 60")).unwrap();
    let mut long = proxy.connect();
    assert_eq!(long.get("/").status(), 200);
    std::thread::sleep(Duration::from_millis(400).saturating_sub(born.elapsed()));
    assert_eq!(short.get("/").field("connection"), Some("close"));
    assert_eq!(long.get("/").field("connection"), None);
}

#[test]
fn idle_connections_to_targets_are_closed() {
    let target = Target::saying("app");
    let proxy = behind(&target, &["idle_timeout"]);
    assert_eq!(proxy.get("/").status(), 200);
    crate::harness::until("the pool is empty", || target.open_connections() == 0);
    proxy.wait_for_metric("active_connection_count{side=\"target\"}", 0);
}

#[test]
fn a_connection_is_not_used_when_its_target_may_be_closing_it() {
    for (key, said, kept) in [
        ("", "", true),
        ("", "Keep-Alive: timeout=2\r\n", false),
        ("", "Keep-Alive: max=100, Timeout = 5\r\n", true),
        ("target_keep_alive = 2.5", "", false),
        ("target_keep_alive = 75", "Keep-Alive: timeout=2\r\n", false),
        ("target_keep_alive = 2", "Keep-Alive: timeout=75\r\n", false),
        ("target_keep_alive = 75", "", true),
    ] {
        let target = saying_of_itself(said);
        let proxy = Setup::to([target.address])
            .with("workers = 1")
            .group(key)
            .start();
        for _ in 0..3 {
            assert_eq!(proxy.get("/").status(), 200);
        }
        let connections = if kept { 1 } else { 3 };
        assert_eq!(target.connections(), connections, "{key} {said}");
    }
}

/// It is open for 5 s.
#[test]
fn an_idle_connection_is_closed_before_its_target_does_it() {
    let target = saying_of_itself("Keep-Alive: timeout=5\r\n");
    let proxy = Setup::to([target.address]).start();
    assert_eq!(proxy.get("/").status(), 200);
    assert_eq!(target.open_connections(), 1);
    crate::harness::until("the pool is empty", || target.open_connections() == 0);
}
