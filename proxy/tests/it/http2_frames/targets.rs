//! Targets that end a connection or refuse a stream, with requests under way.

use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use super::*;
use crate::harness::Gate;
use crate::harness::http2_target::Http2Target;
use crate::harness::target::Connection;

type Streams = Arc<Mutex<Vec<(usize, u32)>>>;

/// A target that speaks HTTP/2 and leaves its answers to `answer`, which is given the stream. And on which connection and
/// stream each request came.
fn raw_target(
    answer: impl Fn(&mut Connection, u32) -> io::Result<()> + Send + Sync + 'static,
) -> (Target, Streams) {
    let streams = Streams::default();
    let noted = Arc::clone(&streams);
    let target = Target::scripted(move |connection| {
        assert_eq!(connection.bytes(PREFACE.len())?, PREFACE);
        connection.send(frame(SETTINGS, 0, 0, []))?;
        loop {
            let got = Frame::read(connection)?;
            match got.kind {
                SETTINGS | PING if got.flags & ACK == 0 => {
                    let echo = if got.kind == PING { &*got.payload } else { &[] };
                    connection.send(frame(got.kind, ACK, 0, echo))?;
                }
                HEADERS => {
                    let nth = connection.nth;
                    noted.lock().unwrap().push((nth, got.stream));
                    answer(connection, got.stream)?;
                }
                _ => {}
            }
        }
    });
    (target, streams)
}

fn well(connection: &mut Wire<TcpStream>, stream: u32) -> io::Result<()> {
    connection.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, [0x88]))
}

fn goodbye(last: u32, reason: Reason) -> Vec<u8> {
    let payload = [last.to_be_bytes(), u32::from(reason).to_be_bytes()].concat();
    frame(GOAWAY, 0, 0, payload)
}

/// Health is checked elsewhere, in a way that passes.
fn before(target: &Target) -> (Http2Target, Proxy) {
    let health = Http2Target::saying("well");
    let port = health.address.port();
    let setup = Setup::to([target.address])
        .https()
        .with("workers = 1")
        .group("protocol_version = 'HTTP2'")
        .group(&format!(
            "health_check = {{ port = {port}, interval = 1, protocol = 'HTTP' }}"
        ));
    (health, setup.start())
}

const RETRIES: &str = "retry_count_total{target_group=\"app\"}";

/// RFC 9113 8.7
#[test]
fn what_a_target_has_not_looked_at_is_asked_once_more_on_a_new_connection() {
    let refusals: [fn(u32) -> Vec<u8>; 4] = [
        |stream| goodbye(stream - 2, Reason::NO_ERROR),
        |stream| goodbye(stream - 2, Reason::ENHANCE_YOUR_CALM),
        |stream| {
            let (any, none) = (u32::MAX >> 1, stream - 2);
            let both = [any, none].map(|last| goodbye(last, Reason::NO_ERROR));
            both.concat()
        },
        |stream| {
            let reason = u32::from(Reason::REFUSED_STREAM).to_be_bytes();
            frame(RST_STREAM, 0, stream, reason)
        },
    ];
    for (nth, refusal) in refusals.into_iter().enumerate() {
        let (target, streams) = raw_target(move |connection, stream| {
            if (connection.nth, stream) == (1, 3) {
                return connection.send(refusal(stream));
            }
            well(connection, stream)
        });
        let (_health, proxy) = before(&target);
        let mut client = Client::connect(&proxy);
        assert_eq!(client.get("/"), Answer(200));
        for _ in 0..2 {
            assert_eq!(client.ask(&asking("POST", "/")), Answer(200), "{nth}");
        }
        let streams = streams.lock().unwrap();
        assert_eq!(streams[..3], [(1, 1), (1, 3), (2, 1)], "{nth}");
        assert_eq!((streams.len(), proxy.metric(RETRIES)), (4, 1), "{nth}");
    }
}

#[test]
fn what_is_refused_on_the_connection_that_it_opened_is_asked_once_more() {
    let (target, streams) = raw_target(|connection, stream| match connection.nth {
        1 => connection.send(goodbye(0, Reason::NO_ERROR)),
        _ => well(connection, stream),
    });
    let (_health, proxy) = before(&target);
    let mut client = Client::connect(&proxy);
    assert_eq!(client.ask(&asking("POST", "/")), Answer(200));
    assert_eq!(*streams.lock().unwrap(), [(1, 1), (2, 1)]);
}

#[test]
fn what_is_refused_on_its_new_connection_too_is_not_asked_a_third_time() {
    let (target, streams) = raw_target(|connection, stream| match stream {
        1 if connection.nth == 1 => well(connection, stream),
        _ => connection.send(goodbye(stream.saturating_sub(2), Reason::NO_ERROR)),
    });
    let (_health, proxy) = before(&target);
    let mut client = Client::connect(&proxy);
    assert_eq!(client.get("/"), Answer(200));
    assert_eq!(client.ask(&asking("POST", "/")), Answer(0));
    assert_eq!(*streams.lock().unwrap(), [(1, 1), (1, 3), (2, 1)]);
    assert_eq!(proxy.log(2)[1]["elb_status_code"], 502);
}

#[test]
fn what_a_goodbye_covers_is_waited_for_and_never_asked_again() {
    for answers in [true, false] {
        let gate = Gate::default();
        let closed = gate.clone();
        let (target, streams) =
            raw_target(move |connection, stream| match (connection.nth, stream) {
                (1, 3) => Ok(()),
                (1, 5) => {
                    connection.send(goodbye(3, Reason::NO_ERROR))?;
                    closed.pass();
                    if answers {
                        return well(connection, 3);
                    }
                    Err(io::ErrorKind::ConnectionAborted.into())
                }
                _ => well(connection, stream),
            });
        let (_health, proxy) = before(&target);
        let mut client = Client::connect(&proxy);
        assert_eq!(client.get("/"), Answer(200));
        let covered = client.open(END_HEADERS | END_STREAM, &asking("POST", "/covered"));
        until("the first request", || streams.lock().unwrap().len() == 2);
        assert_eq!(client.ask(&asking("POST", "/newer")), Answer(200));
        gate.open();
        let said = client.said_of(covered);
        assert_eq!(said, Answer(if answers { 200 } else { 0 }));
        assert_eq!(client.ask(&asking("POST", "/after")), Answer(200));
        let expected = [(1, 1), (1, 3), (1, 5), (2, 1), (2, 3)];
        assert_eq!(*streams.lock().unwrap(), expected);
        assert_eq!(proxy.metric(RETRIES), 1);
        let covered = proxy.log(4).remove(2);
        assert_eq!(covered["elb_status_code"], if answers { 200 } else { 502 });
    }
}
