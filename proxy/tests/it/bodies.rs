//! Bodies in both directions: framing, size, trailers, and answers before their end. Ends that are not the right ones are
//! in `endings`.

use crate::harness::client::get;
use crate::harness::{Gate, Proxy, Setup, Target, ok};

const MIB: usize = 1024 * 1024;

pub(super) fn behind(target: &Target) -> Proxy {
    Setup::to([target.address]).start()
}

/// Answers with the body it was sent.
fn echo() -> Target {
    Target::answering(|request| ok(request.text()))
}

/// Sends these bytes as its answer to everything and keeps the connection.
pub(super) fn raw(answer: &'static str) -> Target {
    Target::answering(move |_| answer.as_bytes().to_vec())
}

fn chunked(pieces: &[&str]) -> String {
    let chunk = |piece: &&str| format!("{:x}\r\n{piece}\r\n", piece.len());
    let mut chunks: Vec<String> = pieces.iter().map(chunk).collect();
    chunks.push("0\r\n\r\n".to_owned());
    chunks.concat()
}

/// Bytes that differ from place to place.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 251 + at % 251) as u8).collect()
}

#[test]
fn a_counted_body_stays_counted() {
    let target = echo();
    let proxy = behind(&target);
    let answer = proxy.connect().post("/", "hello");
    assert_eq!(answer.field("content-length"), Some("5"));
    assert_eq!(answer.text(), "hello");
    let request = target.only_request();
    assert_eq!(request.field("content-length"), Some("5"));
    assert!(!request.has("transfer-encoding"));
}

#[test]
fn a_chunked_body_stays_chunked() {
    let target = Target::answering(|_| {
        let body = chunked(&["a", "bc", "def"]);
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}").into_bytes()
    });
    let proxy = behind(&target);
    let body = chunked(&["hello ", "world"]);
    let request = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let answer = proxy.connect().exchange(request);
    assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
    assert!(!answer.has("content-length"));
    assert_eq!(answer.text(), "abcdef");
    let request = target.only_request();
    assert_eq!(request.field("transfer-encoding"), Some("chunked"));
    assert!(!request.has("content-length"));
    assert_eq!(request.text(), "hello world");
}

#[test]
fn a_body_is_a_body_whatever_the_method() {
    let target = echo();
    let proxy = behind(&target);
    let mut client = proxy.connect();
    for method in ["GET", "DELETE", "OPTIONS", "PUT", "PATCH"] {
        let counted = format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
        assert_eq!(client.exchange(counted).text(), "body", "{method}");
        // Behind a GET with a body the connection closes.
        client = if method == "GET" {
            proxy.connect()
        } else {
            client
        };
        let body = chunked(&["ch", "unks"]);
        let chunks =
            format!("{method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        assert_eq!(client.exchange(chunks).text(), "chunks", "{method}");
        client = if method == "GET" {
            proxy.connect()
        } else {
            client
        };
    }
    assert_eq!(
        target.requests().len(),
        10,
        "no body was taken for a request"
    );
}

#[test]
fn an_empty_body_is_announced_as_it_was() {
    let target = echo();
    let proxy = behind(&target);
    let mut client = proxy.connect();
    assert_eq!(client.post("/", "").status(), 200);
    let empty = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(client.exchange(empty).status(), 200);
    assert_eq!(client.get("/").status(), 200);
    let requests = target.requests();
    assert_eq!(requests[0].field("content-length"), Some("0"));
    assert!(requests[1].body.is_empty());
    assert!(!requests[2].has("content-length") && !requests[2].has("transfer-encoding"));
}

#[test]
fn a_large_upload_arrives_unchanged() {
    let target = Target::answering(|request| ok(&request.body.len().to_string()));
    let proxy = behind(&target);
    let body = pattern(64 * MIB);
    let mut client = proxy.connect();
    let head = format!(
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send(head).unwrap();
    client.send(&body).unwrap();
    assert_eq!(client.response().unwrap().text(), body.len().to_string());
    assert!(target.only_request().body == body, "changed on the way");
    let line = proxy.log_line();
    assert!(line["received_bytes"].as_u64().unwrap() > body.len() as u64);
}

#[test]
fn a_large_download_arrives_unchanged() {
    let body = pattern(64 * MIB);
    let sent = body.clone();
    let target = Target::answering(move |request| {
        let head = match request.uri() {
            "/counted" => format!("Content-Length: {}\r\n\r\n", sent.len()),
            _ => format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", sent.len()),
        };
        let end: &[u8] = if request.uri() == "/counted" {
            b""
        } else {
            b"\r\n0\r\n\r\n"
        };
        [b"HTTP/1.1 200 OK\r\n", head.as_bytes(), &sent, end].concat()
    });
    let proxy = behind(&target);
    let mut client = proxy.connect();
    for path in ["/counted", "/chunked"] {
        assert!(client.get(path).body == body, "{path} changed on the way");
    }
    for line in proxy.log(2) {
        assert!(line["sent_bytes"].as_u64().unwrap() > body.len() as u64);
    }
}

#[test]
fn a_response_without_a_length_ends_with_its_connection() {
    let target = Target::scripted(|connection| {
        connection.request()?;
        connection.send("HTTP/1.1 200 OK\r\n\r\nuntil the end")
    });
    let proxy = behind(&target);
    let mut client = proxy.connect();
    for _ in 0..2 {
        assert_eq!(client.get("/").text(), "until the end");
    }
}

#[test]
fn a_response_is_passed_on_as_it_comes() {
    let gate = Gate::default();
    let closed = gate.clone();
    let target = Target::scripted(move |connection| {
        connection.request()?;
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")?;
        closed.pass();
        connection.send("-last")
    });
    let proxy = behind(&target);
    let mut client = proxy.connect();
    client.send(get("/")).unwrap();
    assert_eq!(client.head().unwrap().status(), 200);
    assert_eq!(client.bytes(5).unwrap(), b"first");
    gate.open();
    assert_eq!(client.bytes(5).unwrap(), b"-last");
}

#[test]
fn an_upload_is_passed_on_as_it_comes() {
    let target = Target::scripted(|connection| {
        let head = connection.request_head()?;
        assert_eq!(head.field("content-length"), Some("10"));
        let first = connection.bytes(5)?;
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")?;
        connection.send(first)?;
        let last = connection.bytes(5)?;
        connection.send(last)
    });
    let proxy = behind(&target);
    let mut client = proxy.connect();
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst")
        .unwrap();
    assert_eq!(client.head().unwrap().status(), 200);
    assert_eq!(client.bytes(5).unwrap(), b"first");
    client.send("-last").unwrap();
    assert_eq!(client.bytes(5).unwrap(), b"-last");
}

#[test]
fn trailers_reach_a_client_that_offered_to_take_them() {
    let target = raw(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n",
    );
    let proxy = behind(&target);
    let mut client = proxy.connect();
    let plain = client.get("/");
    assert_eq!((plain.text(), plain.trailers.len()), ("ok", 0));
    let offered =
        client.exchange("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
    assert_eq!(offered.text(), "ok");
    assert_eq!(offered.trailers.len(), 1, "{:?}", offered.trailers);
    assert!(offered.trailers[0].0.eq_ignore_ascii_case("x-sum"));
    assert_eq!(offered.trailers[0].1, "7");
    assert_eq!(target.requests()[1].field("te"), Some("trailers"));
    assert_eq!(target.connections(), 1, "the connection was kept");
}

#[test]
fn a_clients_trailers_do_not_reach_the_target_unasked() {
    let target = echo();
    let proxy = behind(&target);
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                   2\r\nok\r\n0\r\nX-Forwarded-For: forged\r\n\r\n";
    assert_eq!(proxy.connect().exchange(request).text(), "ok");
    assert!(target.only_request().trailers.is_empty());
}

#[test]
fn a_client_that_waits_is_told_to_continue_once_the_target_is_there() {
    let target = echo();
    let proxy = behind(&target);
    let mut client = proxy.connect();
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        .unwrap();
    assert_eq!(client.head().unwrap().status(), 100);
    client.send("hello").unwrap();
    assert_eq!(client.response().unwrap().text(), "hello");
    assert!(!target.only_request().has("expect"));
}

#[test]
fn a_client_that_waits_is_not_told_to_continue_before_an_answer_of_the_proxys_own() {
    let app = Target::saying("app");
    let proxy = behind(&app);
    let expecting = |path: &str, host: &str| {
        format!("POST {path} HTTP/1.1\r\n{host}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    };
    let mut client = proxy.connect();
    client.send(expecting("/", "")).unwrap();
    assert_eq!(client.head().unwrap().status(), 400);
    let empty = Setup::to([])
        .rule(1, "{ path_pattern = ['/fixed'] }", "fixed")
        .start();
    for (path, status) in [("/fixed", 200), ("/", 503)] {
        let mut client = empty.connect();
        client.send(expecting(path, "Host: a\r\n")).unwrap();
        assert_eq!(client.head().unwrap().status(), status);
    }
}

#[test]
fn an_answer_before_the_upload_is_over_reaches_the_client() {
    assert_answered_early(&Target::scripted(|connection| {
        loop {
            let mut request = connection.request_head()?;
            connection.send("HTTP/1.1 413 Payload Too Large\r\nContent-Length: 3\r\n\r\nbig")?;
            connection.request_body(&mut request)?;
        }
    }));
}

#[test]
fn an_answer_before_a_reset_reaches_the_client() {
    assert_answered_early(&Target::scripted(|connection| {
        connection.request_head()?;
        // What follows is not read, so the connection ends with a reset.
        connection.send("HTTP/1.1 413 Payload Too Large\r\nContent-Length: 3\r\n\r\nbig")
    }));
}

#[track_caller]
fn assert_answered_early(target: &Target) {
    let proxy = behind(target);
    for _ in 0..20 {
        let mut client = proxy.connect();
        let length = 4 * MIB;
        client
            .send(format!(
                "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
            ))
            .unwrap();
        // As much as the proxy takes.
        for piece in vec![0; length].chunks(64 * 1024) {
            if client.send(piece).is_err() {
                break;
            }
        }
        let answer = client.response().expect("the early answer");
        assert_eq!((answer.status(), answer.text()), (413, "big"));
    }
    for line in proxy.log(20) {
        assert_eq!(line["elb_status_code"], 413, "{line}");
    }
}

#[test]
fn an_early_answer_does_not_leave_the_upload_on_a_connection_that_is_used_again() {
    let target = Target::scripted(|connection| {
        loop {
            let head = connection.request_head()?;
            connection.send(ok(head.uri()))?;
        }
    });
    let proxy = Setup::to([target.address]).with("workers = 1").start();
    let mut client = proxy.connect();
    // What would come behind it would be a part of its last field.
    client
        .send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\nGET /smuggled HTTP/1.1\r\nX: ")
        .unwrap();
    assert_eq!(client.response().unwrap().text(), "/early");
    for _ in 0..3 {
        assert_eq!(proxy.get("/next").text(), "/next");
    }
    let uris: Vec<String> = target
        .requests()
        .iter()
        .map(|request| request.uri().to_owned())
        .collect();
    assert_eq!(uris, ["/early", "/next", "/next", "/next"]);
}
