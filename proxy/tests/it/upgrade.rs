//! WebSockets, through a foreign implementation on both ends, and everything that only looks like one.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use serde_json::Value;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use crate::harness::target::Connection;
use crate::harness::{Setup, Target, ok, until};

/// Asks for a WebSocket.
const ASK: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn as_io(error: tungstenite::Error) -> io::Error {
    match error {
        tungstenite::Error::Io(error) => error,
        other => io::Error::other(other),
    }
}

/// Accepts a WebSocket and sends every message back.
fn echo(connection: &mut Connection) -> io::Result<()> {
    let stream = connection.stream().try_clone()?;
    let mut socket = tungstenite::accept(stream).map_err(io::Error::other)?;
    loop {
        let message = socket.read().map_err(as_io)?;
        if message.is_text() || message.is_binary() {
            socket.send(message).map_err(as_io)?;
        }
    }
}

/// Opens a WebSocket on a stream to the proxy.
fn open<S: Read + Write>(stream: S) -> WebSocket<S> {
    match tungstenite::client("ws://example.com/ws", stream) {
        Ok((socket, _)) => socket,
        Err(error) => panic!("no WebSocket: {error}"),
    }
}

#[track_caller]
fn assert_echoes<S: Read + Write>(socket: &mut WebSocket<S>, message: &Message) {
    socket.send(message.clone()).unwrap();
    assert!(socket.read().unwrap() == *message, "changed on the way");
}

/// Says goodbye and waits for the other side's.
fn close<S: Read + Write>(mut socket: WebSocket<S>) {
    socket.close(None).unwrap();
    while socket.read().is_ok() {}
}

fn bytes(line: &Value, field: &str) -> u64 {
    line[field].as_u64().unwrap()
}

#[test]
fn messages_go_both_ways_and_are_counted() {
    let target = Target::scripted(echo);
    let proxy = Setup::to([target.address]).start();
    let mut socket = open(proxy.stream());
    for nth in 0..20 {
        assert_echoes(&mut socket, &Message::text(format!("message {nth}")));
    }
    let large = Message::binary(vec![7; 8 * 1024 * 1024]);
    assert_echoes(&mut socket, &large);
    close(socket);
    let line = proxy.log_line();
    assert_eq!(line["type"], "ws");
    assert_eq!(line["elb_status_code"], 101);
    assert_eq!(line["target_status_code"], 101);
    assert!(line["reason"].is_null(), "{line}");
    for field in ["received_bytes", "sent_bytes"] {
        let bytes = bytes(&line, field);
        assert!(
            (8 * 1024 * 1024..9 * 1024 * 1024).contains(&bytes),
            "{line}"
        );
    }
    until("nothing open", || target.open_connections() == 0);
    proxy.wait_for_metric("active_connection_count{side=\"client\"}", 0);
}

#[test]
fn messages_go_both_ways_over_tls() {
    let target = Target::scripted(echo);
    let proxy = Setup::to([target.address]).https().start();
    let mut socket = open(proxy.connect_tls().into_stream());
    assert_echoes(&mut socket, &Message::text("over TLS"));
    close(socket);
    let line = proxy.log_line();
    assert_eq!(line["type"], "wss");
    assert_eq!(line["ssl_protocol"], "TLSv1.3");
}

#[test]
fn the_target_sees_the_request_for_an_upgrade() {
    let target = Target::answering(|_| ok("no"));
    let proxy = Setup::to([target.address]).start();
    proxy.connect().exchange(ASK);
    let request = target.only_request();
    assert_eq!(request.field("connection"), Some("Upgrade"));
    assert_eq!(request.field("upgrade"), Some("websocket"));
    assert_eq!(
        request.field("sec-websocket-key"),
        Some("dGhlIHNhbXBsZSBub25jZQ==")
    );
    assert!(request.has("x-forwarded-for"));
}

/// A second request hidden behind the first must be read as one, not poured into a tunnel.
#[test]
fn a_refused_upgrade_leaves_an_ordinary_connection() {
    for status in ["200 OK", "403 Forbidden", "426 Upgrade Required"] {
        let target = Target::answering(move |request| match request.uri() {
            "/ws" => {
                format!("HTTP/1.1 {status}\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nno")
                    .into_bytes()
            }
            path => ok(path),
        });
        let proxy = Setup::to([target.address]).start();
        let mut client = proxy.connect();
        client
            .send(format!("{ASK}GET /next HTTP/1.1\r\nHost: a\r\n\r\n"))
            .unwrap();
        let refused = client.response().unwrap();
        assert_eq!(refused.start, format!("HTTP/1.1 {status}"));
        assert_eq!(refused.text(), "no");
        assert_eq!(client.response().unwrap().text(), "/next");
        let lines = proxy.log(2);
        assert!(
            lines.iter().all(|line| line["type"] == "http"),
            "{lines:#?}"
        );
    }
}

#[test]
fn an_upgrade_to_something_else_is_502() {
    for fields in [
        "Connection: Upgrade\r\nUpgrade: h2c\r\n",
        "Connection: Upgrade\r\n",
        "",
    ] {
        let target = Target::scripted(move |connection| {
            connection.request()?;
            connection.send(format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n"))?;
            connection.rest().map(drop)
        });
        let proxy = Setup::to([target.address]).start();
        assert_eq!(proxy.connect().exchange(ASK).status(), 502, "{fields:?}");
        let line = proxy.log_line();
        assert_eq!(line["reason"], "target_unexpected_upgrade", "{fields:?}");
        assert_eq!(line["type"], "http");
    }
}

#[test]
fn only_a_get_can_become_a_websocket() {
    let target = Target::answering(|_| ok("no"));
    let proxy = Setup::to([target.address]).start();
    proxy.connect().exchange(ASK.replace("GET", "PUT"));
    assert!(!target.only_request().has("upgrade"));
}

#[test]
fn a_silent_websocket_ends() {
    let target = Target::scripted(echo);
    let proxy = Setup::to([target.address])
        .with("idle_timeout = 0.5")
        .start();
    let mut socket = open(proxy.stream());
    assert_echoes(&mut socket, &Message::text("once"));
    assert!(socket.read().is_err(), "nobody spoke");
    until("the target is let go", || target.open_connections() == 0);
    assert_eq!(proxy.log_line()["type"], "ws");
}

#[test]
fn a_websocket_that_speaks_now_and_then_stays() {
    let target = Target::scripted(echo);
    let proxy = Setup::to([target.address])
        .with("idle_timeout = 0.6")
        .start();
    let mut socket = open(proxy.stream());
    for _ in 0..15 {
        std::thread::sleep(Duration::from_millis(100));
        assert_echoes(&mut socket, &Message::text("still here"));
    }
}

#[test]
fn when_the_target_leaves_the_client_sees_it() {
    let target = Target::scripted(|connection| {
        let stream = connection.stream().try_clone()?;
        let mut socket = tungstenite::accept(stream).map_err(io::Error::other)?;
        socket.send(Message::text("bye")).map_err(as_io)
    });
    let proxy = Setup::to([target.address]).start();
    let mut socket = open(proxy.stream());
    assert_eq!(socket.read().unwrap(), Message::text("bye"));
    let error = as_io(socket.read().unwrap_err());
    assert_ne!(error.kind(), ErrorKind::WouldBlock, "{error}");
    drop(socket);
    assert_eq!(proxy.log_line()["elb_status_code"], 101);
}

#[test]
fn when_the_client_leaves_the_target_sees_it() {
    let target = Target::scripted(echo);
    let proxy = Setup::to([target.address]).start();
    let mut socket = open(proxy.stream());
    assert_echoes(&mut socket, &Message::text("here"));
    drop(socket);
    until("the target is let go", || target.open_connections() == 0);
    assert_eq!(proxy.log_line()["elb_status_code"], 101);
}

#[test]
fn bytes_sent_right_behind_the_request_are_not_lost() {
    let target = Target::scripted(|connection| {
        connection.request()?;
        connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst")?;
        let early = connection.bytes(5)?;
        connection.send(early)
    });
    let proxy = Setup::to([target.address]).start();
    let mut client = proxy.connect();
    client.send(format!("{ASK}early")).unwrap();
    assert_eq!(client.head().unwrap().status(), 101);
    assert_eq!(client.rest().unwrap(), b"firstearly");
}

#[test]
fn many_websockets_live_side_by_side() {
    let target = Target::scripted(echo);
    let proxy = Setup::to([target.address]).start();
    let mut sockets: Vec<_> = (0..50).map(|_| open(proxy.stream())).collect();
    for (nth, socket) in sockets.iter_mut().enumerate() {
        assert_echoes(socket, &Message::text(format!("{nth}")));
    }
    proxy.wait_for_metric("active_connection_count{side=\"target\"}", 50);
    sockets.into_iter().for_each(close);
    proxy.log(50);
    until("nothing in flight", || {
        proxy.target_health()["target_groups"][0]["targets"][0]["in_flight"] == 0
    });
}
