//! What targets do in HTTP/1.1 besides answering in time: interim answers, early ones, late ones, none.

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use http_body_util::BodyExt;

use crate::harness::client::{get, post};
use crate::harness::http2::{Http2, empty, growing, request, whole};
use crate::harness::target::Connection;
use crate::harness::{Proxy, Setup, Target, Wire, ok, until};

const MIB: usize = 1024 * 1024;

fn behind(target: &Target) -> Proxy {
    Setup::to([target.address]).start()
}

/// Sends as many interim responses as the path says, then the final one.
fn hinting() -> Target {
    Target::scripted(|connection| {
        loop {
            let request = connection.request()?;
            let count: usize = request.uri().trim_start_matches('/').parse().unwrap();
            for nth in 0..count {
                connection.send(format!(
                    "HTTP/1.1 103 Early Hints\r\nLink: {nth}\r\nConnection: X-Hop\r\nX-Hop: 1\r\nContent-Length: 5\r\n\r\n"
                ))?;
            }
            connection.send(ok("final"))?;
        }
    })
}

#[test]
fn interim_responses_reach_the_client_in_order() {
    let target = hinting();
    let proxy = behind(&target);
    let mut client = proxy.connect();
    client.send(get("/16")).unwrap();
    for nth in 0..16 {
        let head = client.head().unwrap();
        assert_eq!(head.start, "HTTP/1.1 103 Early Hints");
        assert_eq!(head.fields, [("Link".to_owned(), nth.to_string())]);
    }
    assert_eq!(client.response().unwrap().text(), "final");
    assert_eq!(client.get("/0").text(), "final");
}

#[test]
fn one_interim_response_too_many_is_502() {
    let target = hinting();
    let proxy = behind(&target);
    let mut client = proxy.connect();
    assert_eq!(client.get("/17").status(), 502);
    assert_eq!(proxy.log_line()["reason"], "target_malformed_response");
    assert_eq!(client.get("/0").text(), "final", "kept alive");
}

#[test]
fn an_old_client_gets_no_interim_response() {
    let target = hinting();
    let proxy = behind(&target);
    let mut client = proxy.connect();
    client.send("GET /3 HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(client.head().unwrap().status(), 200);
}

#[test]
fn a_targets_100_is_for_the_proxy_and_what_follows_for_the_client() {
    let target = Target::scripted(|connection| {
        loop {
            connection.request()?;
            connection.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")?;
            connection.send(ok("final"))?;
            // Too late to be part of any answer.
            connection.send("HTTP/1.1 100 Continue\r\n\r\n")?;
        }
    });
    let proxy = behind(&target);
    let mut client = proxy.connect();
    for _ in 0..20 {
        client.send(get("/")).unwrap();
        assert_eq!(client.head().unwrap().status(), 102);
        assert_eq!(client.response().unwrap().text(), "final");
    }
}

#[test]
fn a_client_that_waits_to_send_gets_a_refusal_and_keeps_nothing_waiting() {
    let target = Target::scripted(|connection| {
        loop {
            let mut request = connection.request_head()?;
            connection.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno")?;
            connection.request_body(&mut request)?;
        }
    });
    let proxy = behind(&target);
    let mut client = proxy.connect();
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        .unwrap();
    let answer = client.response().unwrap();
    assert_eq!((answer.status(), answer.text()), (417, "no"));
    // The body was never sent: nothing that follows could be told from it.
    assert_eq!(answer.field("connection"), Some("close"));
    client.assert_closed();
}

/// Sends an upload of 100 MiB, all of it, before it looks for an answer.
fn upload_all<S: Read + Write>(client: &mut Wire<S>, chunked: bool) {
    const LENGTH: usize = 100 * MIB;
    let framing = if chunked {
        "Transfer-Encoding: chunked".to_owned()
    } else {
        format!("Content-Length: {LENGTH}")
    };
    client
        .send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"))
        .unwrap();
    let piece = vec![b'x'; MIB];
    for _ in 0..LENGTH / MIB {
        if chunked {
            client.send("100000\r\n").unwrap();
        }
        client.send(&piece).unwrap();
        if chunked {
            client.send("\r\n").unwrap();
        }
    }
    if chunked {
        client.send("0\r\n\r\n").unwrap();
    }
}

/// What a target does once it has refused an upload.
const AFTERWARDS: [fn(&mut Connection) -> std::io::Result<()>; 3] = [
    // Closes, with a reset as there is something unread.
    |_| Ok(()),
    // Takes a part, then closes.
    |connection| connection.bytes(5 * MIB).map(drop),
    // Keeps the connection and takes nothing more.
    |_| {
        thread::sleep(Duration::from_secs(3));
        Ok(())
    },
];

fn refusing(afterwards: usize, fields: &'static str) -> Target {
    Target::scripted(move |connection| {
        connection.request_head()?;
        connection.send(format!(
            "HTTP/1.1 413 Payload Too Large\r\n{fields}Content-Length: 3\r\n\r\nbig"
        ))?;
        AFTERWARDS[afterwards](connection)
    })
}

#[test]
fn a_client_that_sends_100_mib_before_it_reads_gets_its_early_answer() {
    for afterwards in 0..AFTERWARDS.len() {
        for fields in ["", "Connection: close\r\n"] {
            let target = refusing(afterwards, fields);
            let proxy = behind(&target);
            for chunked in [false, true] {
                let mut client = proxy.connect();
                upload_all(&mut client, chunked);
                let answer = client.response().expect("the early answer");
                assert_eq!((answer.status(), answer.text()), (413, "big"));
                assert_eq!(answer.field("connection"), Some("close"));
                client.assert_closed();
            }
            for line in proxy.log(2) {
                assert!(line["reason"].is_null(), "{line}");
            }
        }
    }
}

#[test]
fn a_tls_client_that_sends_100_mib_before_it_reads_gets_its_early_answer() {
    let target = refusing(0, "");
    let proxy = Setup::to([target.address]).https().start();
    let mut client = proxy.connect_tls();
    upload_all(&mut client, false);
    let answer = client.response().expect("the early answer");
    assert_eq!((answer.status(), answer.text()), (413, "big"));
    let mut rest = Vec::new();
    client.stream().read_to_end(&mut rest).expect("an end");
}

/// The answer's head is early, its content late: in between only the upload moves, for longer than `idle_timeout`.
fn answering_early_and_late() -> Target {
    Target::scripted(|connection| {
        let mut request = connection.request_head()?;
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")?;
        connection.request_body(&mut request)?;
        connection.send("taken")
    })
}

const PIECES: usize = 15;

fn pace() {
    thread::sleep(Duration::from_millis(100));
}

#[test]
fn an_upload_that_goes_on_keeps_a_response_alive_that_has_begun() {
    let target = answering_early_and_late();
    let proxy = Setup::to([target.address])
        .with("idle_timeout = 0.5")
        .start();
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
    assert_eq!(client.response().unwrap().text(), "taken");
    assert!(proxy.log_line()["reason"].is_null());
}

#[tokio::test]
async fn an_http2_upload_that_goes_on_keeps_a_response_alive_that_has_begun() {
    let target = answering_early_and_late();
    let proxy = Setup::to([target.address])
        .https()
        .with("idle_timeout = 0.5")
        .start();
    let client = Http2::connect(proxy.address()).await;
    let (sender, body) = growing();
    let response = client.send(request("POST", "/", body)).await.unwrap();
    let feed = async move {
        for _ in 0..PIECES {
            tokio::time::sleep(Duration::from_millis(100)).await;
            sender.send("x".into()).await.unwrap();
        }
    };
    let ((status, text), ()) = tokio::join!(whole(response), feed);
    assert_eq!((status, &text[..]), (200, &b"taken"[..]));
}

/// Answers while it reads, with as much as it reads.
fn mirror() -> Target {
    Target::scripted(|connection| {
        let head = connection.request_head()?;
        let length: usize = head.field("content-length").unwrap().parse().unwrap();
        connection.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
        ))?;
        let mut left = length;
        while left > 0 {
            let piece = connection.bytes(left.min(10_000))?;
            left -= piece.len();
            connection.send(piece)?;
        }
        Ok(())
    })
}

/// Each side stops now and then, so that each direction is blocked while the other goes on.
#[test]
fn an_answer_and_an_upload_that_block_in_turn_both_arrive() {
    const LENGTH: usize = 4 * MIB;
    let target = mirror();
    let proxy = behind(&target);
    let mut client = proxy.connect();
    let mut writer = client.stream().try_clone().unwrap();
    let sent: Vec<u8> = (0..LENGTH).map(|index| (index % 251) as u8).collect();
    let received = thread::scope(|scope| {
        scope.spawn(|| {
            write!(
                writer,
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n"
            )
            .unwrap();
            for piece in sent.chunks(LENGTH / 8) {
                writer.write_all(piece).unwrap();
                pace();
            }
        });
        assert_eq!(client.head().unwrap().status(), 200);
        let mut received = Vec::new();
        for _ in 0..4 {
            received.extend(client.bytes(LENGTH / 4).unwrap());
            pace();
        }
        received
    });
    assert!(received == sent);
}

/// The first connection is ended under its second request, without a word.
fn ends_the_second_request() -> Target {
    Target::scripted(|connection| {
        let first = connection.nth == 1;
        loop {
            let request = connection.request()?;
            if first && request.uri() == "/second" {
                return Ok(());
            }
            connection.send(ok("app"))?;
        }
    })
}

/// Its end must not be missing from a second attempt, if there is one.
#[test]
fn an_empty_body_in_chunks_is_whole_at_every_attempt() {
    let target = ends_the_second_request();
    let proxy = Setup::to([target.address])
        .with("workers = 1")
        .with("response_timeout = 5")
        .start();
    let mut client = proxy.connect();
    assert_eq!(client.get("/first").text(), "app");
    let second =
        "DELETE /second HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let answer = client.exchange(second);
    assert!(matches!(answer.status(), 200 | 502), "{answer:?}");
    assert_eq!(client.get("/third").text(), "app");
}

#[test]
fn a_target_that_reads_half_an_upload_and_leaves_is_502() {
    let target = Target::scripted(|connection| {
        connection.request_head()?;
        connection.bytes(1000).map(drop)
    });
    let proxy = behind(&target);
    let mut client = proxy.connect();
    let answer = client.exchange(post("/", &"x".repeat(100_000)));
    assert_eq!(answer.status(), 502);
    assert_eq!(proxy.log_line()["reason"], "target_closed");
    assert_eq!(target.requests().len(), 1);
    until("the target is let go", || target.open_connections() == 0);
}

#[tokio::test]
async fn a_reset_is_no_end_of_a_response_without_a_length_over_http2() {
    let target = Target::scripted(|connection| {
        connection.request()?;
        connection.send("HTTP/1.1 200 OK\r\n\r\nhalf")?;
        // The reset takes back what has not been read.
        pace();
        connection.reset_at_end();
        Ok(())
    });
    let proxy = Setup::to([target.address]).https().start();
    let client = Http2::connect(proxy.address()).await;
    let response = client.send(request("GET", "/", empty())).await.unwrap();
    let body = response.into_body().collect().await;
    assert!(body.is_err(), "half a body passed for a whole one");
    assert_eq!(proxy.log_line()["reason"], "target_response_incomplete");
}
