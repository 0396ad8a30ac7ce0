//! Responses that end otherwise than they said: too early, too late, or with a body where none may be.

use std::io::ErrorKind;

use crate::bodies::{behind, raw};
use crate::harness::client::get;
use crate::harness::{Gate, Setup, Target, ok, until};

#[test]
fn a_truncated_counted_body_is_not_made_whole() {
    let target = Target::scripted(|connection| {
        connection.request()?;
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    });
    assert_truncated(&target);
}

#[test]
fn a_truncated_chunked_body_is_not_made_whole() {
    let target = Target::scripted(|connection| {
        connection.request()?;
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
    });
    assert_truncated(&target);
}

#[test]
fn a_reset_in_the_middle_of_a_body_does_not_make_it_whole() {
    let target = Target::scripted(|connection| {
        connection.request()?;
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")?;
        connection.reset_at_end();
        Ok(())
    });
    assert_truncated(&target);
}

#[track_caller]
fn assert_truncated(target: &Target) {
    let proxy = behind(target);
    let mut client = proxy.connect();
    client.send(get("/")).unwrap();
    let error = client.response().expect_err("half a response");
    assert!(
        matches!(
            error.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
        ),
        "{error}"
    );
    let line = proxy.log_line();
    assert_eq!(line["reason"], "target_response_incomplete");
    assert_eq!(line["elb_status_code"], 200);
}

#[test]
fn bytes_after_a_response_are_never_another_answer() {
    let target = Target::answering(|request| [ok(request.uri()), ok("poison")].concat());
    let proxy = behind(&target);
    for nth in 0..20 {
        let path = format!("/{nth}");
        assert_eq!(proxy.get(&path).text(), path);
    }
}

#[test]
fn a_body_longer_than_announced_is_cut_at_its_length() {
    let target = raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello world");
    let proxy = behind(&target);
    let mut client = proxy.connect();
    for _ in 0..10 {
        let answer = client.get("/");
        assert_eq!((answer.status(), answer.text()), (200, "hello"));
    }
}

#[test]
fn bytes_on_an_idle_connection_are_never_an_answer() {
    let gate = Gate::default();
    let closed = gate.clone();
    let target = Target::scripted(move |connection| {
        let request = connection.request()?;
        connection.send(ok(request.uri()))?;
        if connection.nth == 1 {
            closed.pass();
            connection.send(ok("poison"))?;
        }
        // Answers go on for whoever takes the connection again.
        loop {
            let request = connection.request()?;
            connection.send(ok(request.uri()))?;
        }
    });
    // One worker: the second request would take the same connection.
    let proxy = Setup::to([target.address]).with("workers = 1").start();
    assert_eq!(proxy.get("/one").text(), "/one");
    gate.open();
    until("the poisoned connection is dropped", || {
        target.open_connections() == 0
    });
    assert_eq!(proxy.get("/two").text(), "/two");
}

#[test]
fn an_old_targets_version_is_its_own() {
    let target = raw("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    let proxy = behind(&target);
    let mut client = proxy.connect();
    for _ in 0..2 {
        let seen = client.get("/");
        assert!(seen.start.starts_with("HTTP/1.1 200"), "{seen:?}");
        assert_eq!(seen.text(), "hello");
    }
    // Without a length the end of the body is the end of the connection: the client must be able to tell a broken one.
    let target = Target::scripted(|connection| {
        connection.request()?;
        connection.send("HTTP/1.0 200 OK\r\n\r\nhel")?;
        connection.reset_at_end();
        Ok(())
    });
    let proxy = behind(&target);
    let mut client = proxy.connect();
    client.send(get("/")).unwrap();
    assert!(client.response().is_err());
}

#[test]
fn a_response_without_content_says_no_length_of_it() {
    let target = raw("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n");
    let proxy = behind(&target);
    let seen = proxy
        .connect()
        .exchange("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!seen.has("content-length"), "{seen:?}");
}

#[test]
fn a_response_that_has_no_body_has_none() {
    for answer in [
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    ] {
        let target = raw(answer);
        let proxy = behind(&target);
        let mut client = proxy.connect();
        for _ in 0..3 {
            let seen = client.get("/");
            assert_eq!(seen.body, b"", "{answer:?}");
            assert!(!seen.has("transfer-encoding"), "{seen:?}");
        }
        assert_eq!(target.connections(), 1, "kept after {answer:?}");
        let lines = proxy.log(3);
        assert!(
            lines.iter().all(|line| line["reason"].is_null()),
            "{lines:#?}"
        );
    }
}

#[test]
fn a_body_where_none_may_be_reaches_nobody() {
    let target = Target::answering(|request| {
        let head = match request.uri() {
            "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
            "/304" => "HTTP/1.1 304 Not Modified\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n",
        };
        [head, "poison"].concat().into_bytes()
    });
    let proxy = behind(&target);
    let mut client = proxy.connect();
    for request in [
        "GET /204 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /304 HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        assert_eq!(client.exchange(request).body, b"");
        assert_eq!(client.get("/whole").text(), "poison", "after {request:?}");
    }
}
