//! Connections to targets that speak TLS: what is left in a session, and how it ends.

use std::io::{Read, Write};
use std::net::SocketAddr;

use super::harness::Setup;
use super::harness::client::get;
use super::harness::tls::{ServerStream, scripted, write_authority};

fn over_tls(address: SocketAddr) -> Setup {
    Setup::to([address])
        .with("workers = 1")
        .group("protocol = 'HTTPS'")
}

fn request(stream: &mut ServerStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(())
}

/// All of it in one piece, in as many records as that takes.
fn send(stream: &mut ServerStream, parts: &[&[u8]], closing: bool) -> std::io::Result<()> {
    for part in parts {
        stream.conn.writer().write_all(part)?;
    }
    if closing {
        stream.conn.send_close_notify();
    }
    let mut records = Vec::new();
    while stream.conn.wants_write() {
        stream.conn.write_tls(&mut records)?;
    }
    stream.sock.write_all(&records)
}

fn response(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A response of so many bytes.
fn response_of(bytes: usize) -> String {
    let about = response(&"x".repeat(bytes)).len() - bytes;
    let response = response(&"x".repeat(bytes - about));
    assert_eq!(response.len(), bytes);
    response
}

#[test]
fn what_a_session_still_holds_is_nobodys_answer() {
    // As much as one read takes, so that it brings nothing of what follows.
    let first = response_of(16 * 1024);
    let length = first.len();
    let address = scripted(move |number, mut stream| {
        request(&mut stream)?;
        if number > 0 {
            loop {
                send(&mut stream, &[response("mine").as_bytes()], false)?;
                request(&mut stream)?;
            }
        }
        let second = response("somebody else's");
        send(&mut stream, &[first.as_bytes(), second.as_bytes()], false)?;
        request(&mut stream)
    });
    let proxy = over_tls(address).start();
    assert!(proxy.get("/").text().len() > length / 2);
    for _ in 0..3 {
        assert_eq!(proxy.get("/").text(), "mine");
    }
}

#[test]
fn a_session_that_has_said_goodbye_is_not_used_again() {
    let first = response_of(16 * 1024);
    let address = scripted(move |number, mut stream| {
        request(&mut stream)?;
        if number > 0 {
            return send(&mut stream, &[response("mine").as_bytes()], true);
        }
        // The socket stays open.
        send(&mut stream, &[first.as_bytes()], true)?;
        std::thread::sleep(std::time::Duration::from_secs(20));
        Ok(())
    });
    let proxy = over_tls(address).start();
    assert_eq!(proxy.get("/").status(), 200);
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(proxy.connect().exchange(post).text(), "mine");
}

#[test]
fn a_response_that_ends_with_its_connection_is_whole_if_tls_says_so() {
    let directory = tempfile::tempdir().unwrap();
    write_authority(directory.path());
    let ca = directory.path().join("ca.pem").display().to_string();
    let verified = format!("tls = {{ ca = '{ca}' }}");
    for (group, said, whole) in [
        (verified.as_str(), true, true),
        // Somebody between may have cut it.
        (verified.as_str(), false, false),
        // Many servers never say it, and who is not verified could be anybody.
        ("", false, true),
    ] {
        let address = scripted(move |_, mut stream| {
            request(&mut stream)?;
            send(&mut stream, &[b"HTTP/1.0 200 OK\r\n\r\nall of it"], said)
        });
        let proxy = over_tls(address).group(group).start();
        let mut client = proxy.connect();
        client.send(get("/")).unwrap();
        let answer = client.response();
        assert_eq!(answer.is_ok(), whole, "{group} {said}");
        let reason = proxy.log_line()["reason"].clone();
        if whole {
            assert_eq!(answer.unwrap().text(), "all of it");
            assert!(reason.is_null(), "{reason}");
        } else {
            assert_eq!(reason, "target_response_incomplete");
        }
    }
}
