//! `lintel-benches origin`: what it answers, what it counts, and when it ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio_tungstenite::tungstenite::{self, Message, protocol::Role};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

struct Origin {
    child: Child,
    addresses: Vec<SocketAddr>,
    stdout: BufReader<ChildStdout>,
}

impl Origin {
    fn start(instances: usize, more: &[&str]) -> Self {
        Self::spawn(
            Command::new(env!("CARGO_BIN_EXE_lintel-benches"))
                .arg("origin")
                .args(more)
                .arg("--listen")
                .args(vec!["127.0.0.1:0"; instances]),
        )
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let addresses = line.strip_prefix("ready ").expect("it says ready");
        let addresses = addresses
            .split_whitespace()
            .map(|address| address.parse().unwrap());
        Self {
            child,
            addresses: addresses.collect(),
            stdout,
        }
    }

    fn connect(&self, instance: usize) -> TcpStream {
        let stream = TcpStream::connect(self.addresses[instance]).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn report(&self, query: &str) -> Value {
        let request = format!("GET /__report{query} HTTP/1.1\r\n\r\n");
        let (_, body) = exchange(&mut self.connect(0), request.as_bytes());
        serde_json::from_slice(&body).unwrap()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request and its answer's head and body.
fn exchange(stream: &mut TcpStream, request: &[u8]) -> (String, Vec<u8>) {
    stream.write_all(request).unwrap();
    answer(stream)
}

fn answer(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .split("Content-Length: ")
        .nth(1)
        .and_then(|rest| rest.lines().next());
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    (head, body)
}

fn post(fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST /upload HTTP/1.1\r\nHost: origin\r\n{fields}\r\n");
    [head.as_bytes(), body].concat()
}

#[test]
fn every_instance_gives_the_same_bodies_on_one_connection() {
    let origin = Origin::start(2, &[]);
    let mut bodies = Vec::new();
    for instance in 0..2 {
        let mut stream = origin.connect(instance);
        for (path, length, fields) in [
            ("/small", 128, 4),
            ("/page", 8192, 10),
            ("/large", 1 << 20, 4),
        ] {
            let (head, body) = exchange(
                &mut stream,
                format!("GET {path} HTTP/1.1\r\nHost: origin\r\n\r\n").as_bytes(),
            );
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
            assert_eq!(body.len(), length, "{path}");
            assert_eq!(
                head.lines().filter(|line| line.contains(": ")).count(),
                fields,
                "{head}"
            );
            bodies.push(body);
        }
    }
    assert!(bodies[..3] == bodies[3..], "the instances agree");
    assert!(bodies[1].starts_with(b"<!DOCTYPE html>"));
}

#[test]
fn pipelined_requests_are_answered_in_turn() {
    let origin = Origin::start(1, &[]);
    let mut stream = origin.connect(0);
    let upload = post("Transfer-Encoding: chunked\r\n", b"2\r\nab\r\n0\r\n\r\n");
    let requests = [
        &upload[..],
        b"GET /small HTTP/1.1\r\n\r\nGET /no HTTP/1.1\r\n\r\n",
    ]
    .concat();
    let (_, length) = exchange(&mut stream, &requests);
    assert_eq!(length, b"2");
    assert_eq!(answer(&mut stream).1.len(), 128);
    assert!(answer(&mut stream).0.starts_with("HTTP/1.1 404 "));
}

#[test]
fn uploads_are_read_to_their_end_and_measured() {
    let origin = Origin::start(1, &[]);
    let mut stream = origin.connect(0);
    let body = vec![b'x'; 1 << 20];
    let (_, length) = exchange(&mut stream, &post("Content-Length: 1048576\r\n", &body));
    assert_eq!(length, b"1048576");

    let chunk = [b"10000\r\n", &body[..0x10000], b"\r\n"].concat();
    let chunks = [chunk.repeat(3), b"0\r\nX-Trailer: 1\r\n\r\n".to_vec()].concat();
    let (_, length) = exchange(
        &mut stream,
        &post("Transfer-Encoding: chunked\r\n", &chunks),
    );
    assert_eq!(length, b"196608");

    // The body comes only after the interim answer.
    let (interim, _) = exchange(
        &mut stream,
        &post("Content-Length: 3\r\nExpect: 100-continue\r\n", b""),
    );
    assert_eq!(interim, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(exchange(&mut stream, b"abc").1, b"3");
    assert_eq!(origin.report("")["requests"], 3);
}

#[test]
fn what_is_malformed_or_too_long_is_refused() {
    let origin = Origin::start(1, &[]);
    for (request, status) in [
        ("nonsense\r\n\r\n".to_owned(), "400"),
        (
            format!("GET /small HTTP/1.1\r\nX: {}", "x".repeat(1 << 16)),
            "431",
        ),
    ] {
        let mut stream = origin.connect(0);
        let (head, _) = exchange(&mut stream, request.as_bytes());
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        // An end, or a reset because of what was not read.
        assert!(!matches!(stream.read(&mut [0]), Ok(1..)), "it closes");
    }
    let mut stream = origin.connect(0);
    stream
        .write_all(&post("Transfer-Encoding: chunked\r\n", b"x"))
        .unwrap();
    assert_eq!(
        stream.read(&mut [0]).unwrap(),
        0,
        "a broken body is not answered"
    );
}

#[test]
fn what_was_counted_is_told_by_instance_and_reset() {
    let origin = Origin::start(2, &["--expect-forwarding"]);
    let forwarded =
        "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n";
    for (instance, path, fields) in [
        (0, "/small", forwarded),
        (0, "/small", ""),
        (
            1,
            "/page",
            "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: \r\nX-Forwarded-Port: 80\r\n",
        ),
        (1, "/large", forwarded),
        (1, "/small", forwarded),
        (1, "/health", ""),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\n{fields}\r\n");
        exchange(&mut origin.connect(instance), request.as_bytes());
    }
    for _ in 0..2 {
        let report = origin.report("");
        assert_eq!(report["requests"], 5, "{report}");
        assert_eq!(report["missing_forwarding_headers"], 2, "{report}");
        assert_eq!(report["instances"][0]["requests"], 2);
        assert_eq!(report["instances"][1]["requests"], 3);
        let address = origin.addresses[1].to_string();
        assert_eq!(report["instances"][1]["address"], address);
    }
    assert_eq!(origin.report("?reset")["requests"], 5);
    let report = origin.report("");
    assert_eq!(report["requests"], 0);
    assert_eq!(report["missing_forwarding_headers"], 0);
}

#[test]
fn a_connection_is_closed_when_its_client_asks_for_it() {
    let origin = Origin::start(1, &[]);
    for request in [
        "GET /small HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET /small HTTP/1.0\r\n\r\n",
    ] {
        let mut stream = origin.connect(0);
        assert_eq!(exchange(&mut stream, request.as_bytes()).1.len(), 128);
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
}

/// A foreign client checks the handshake and the frames.
#[test]
fn websocket_messages_come_back() {
    let origin = Origin::start(1, &[]);
    let mut stream = origin.connect(0);
    let (head, _) = exchange(
        &mut stream,
        b"GET /ws HTTP/1.1\r\nHost: origin\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    // The answer to this key is the example of RFC 6455.
    assert!(
        head.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
        "{head}"
    );
    let mut socket = tungstenite::WebSocket::from_raw_socket(stream, Role::Client, None);
    for message in [
        Message::text("hello"),
        Message::binary(vec![1; 70_000]),
        Message::binary(vec![2; 1000]),
        Message::text(""),
    ] {
        socket.send(message.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), message);
    }
    socket.send(Message::Ping("x".into())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong("x".into()));
    socket.close(None).unwrap();
    while socket.read().is_ok() {}
    assert_eq!(origin.report("")["requests"], 1);
}

#[test]
fn it_ends_on_sigterm_and_sigint() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut origin = Origin::start(1, &[]);
        let _idle = origin.connect(0);
        kill_process(Pid::from_child(&origin.child), signal).unwrap();
        assert!(origin.child.wait().unwrap().success());
    }
}

#[test]
fn it_ends_with_its_parent() {
    let program = env!("CARGO_BIN_EXE_lintel-benches");
    // The shell is the parent; it is killed, so it can tell its child nothing.
    let script = format!("{program:?} leash $$ {program:?} origin --listen 127.0.0.1:0 & wait");
    let mut origin = Origin::spawn(Command::new("sh").args(["-c", &script]));
    origin.child.kill().unwrap();
    origin.child.wait().unwrap();
    let start = Instant::now();
    while TcpStream::connect(origin.addresses[0]).is_ok() {
        assert!(start.elapsed() < PATIENCE, "it runs on");
        std::thread::sleep(Duration::from_millis(10));
    }
    // It held the other end.
    let mut rest = String::new();
    origin.stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let origin = Origin::start(1, &[]);
    let address = origin.addresses[0].to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_lintel-benches"))
        .args(["origin", "--listen", &address])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains(&format!("cannot listen on {address}")),
        "{message}"
    );
}
