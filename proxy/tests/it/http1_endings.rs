//! What ends a connection, a request or a wait in HTTP/1.1 when it does not end by itself, and what must not end it.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::pin::pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use lintel_common::shutdown;
use lintel_proxy::http1::wait::{StopWatch, Timer};
use tokio::time::Instant;

use crate::harness::client::{Client, get};
use crate::harness::target::Connection;
use crate::harness::{Gate, Program, Proxy, Setup, Target, Wire, ok, until};

/// Leaves the task nothing of what the runtime lets it do in one turn.
fn use_up_the_turn(cx: &mut Context<'_>) {
    while pin!(tokio::task::coop::consume_budget())
        .as_mut()
        .poll(cx)
        .is_ready()
    {}
}

/// A big transfer uses up the turn in which the first timer is set.
#[tokio::test(start_paused = true)]
async fn a_timer_that_is_set_at_the_end_of_a_turn_wakes_its_task() {
    let mut timer = Timer::default();
    let at = Instant::now() + Duration::from_secs(1);
    let mut turns = 0;
    let waited = poll_fn(|cx| {
        turns += 1;
        if turns == 1 {
            use_up_the_turn(cx);
        }
        timer.poll_until(cx, at)
    });
    let waited = tokio::time::timeout(Duration::from_secs(60), waited).await;
    assert!(waited.is_ok(), "nobody was woken");
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_is_watched_from_the_end_of_a_turn_wakes_its_task() {
    let (trigger, stop) = shutdown::channel();
    let mut stop = StopWatch::new(stop);
    let mut turns = 0;
    let watched = poll_fn(|cx| {
        turns += 1;
        if turns == 1 {
            use_up_the_turn(cx);
        }
        stop.watch(cx);
        if stop.is_requested() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    // In a task of its own: what wakes this one is the watch alone.
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        trigger.request();
        std::future::pending::<()>().await;
    });
    let woken = tokio::time::timeout(Duration::from_secs(60), watched).await;
    assert!(woken.is_ok(), "nobody was woken");
}

fn behind(target: &Target) -> Proxy {
    Setup::to([target.address]).start()
}

/// Without chunks the end of the connection is all that says that a response is whole.
#[test]
fn half_a_response_to_an_old_client_does_not_end_like_a_whole_one() {
    let target = Target::scripted(|connection| {
        let request = connection.request()?;
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")?;
        if request.uri() == "/whole" {
            connection.send("0\r\n\r\n")?;
        }
        Ok(())
    });
    let proxy = behind(&target);
    let read = |path: &str| {
        let mut client = proxy.connect();
        client.send(format!("GET {path} HTTP/1.0\r\n\r\n")).unwrap();
        assert_eq!(client.head().unwrap().status(), 200);
        assert_eq!(client.bytes(4).unwrap(), b"half");
        client.bytes(1).expect_err("nothing more").kind()
    };
    assert_eq!(read("/whole"), ErrorKind::UnexpectedEof);
    assert_eq!(read("/half"), ErrorKind::ConnectionReset);
    let reasons: Vec<_> = proxy
        .log(2)
        .iter()
        .map(|line| line["reason"].clone())
        .collect();
    assert_eq!(reasons[0], serde_json::Value::Null);
    assert_eq!(reasons[1], "target_response_incomplete");
}

#[test]
fn a_head_that_is_finished_after_the_stop_is_answered() {
    let target = Target::saying("app");
    let proxy = behind(&target);
    let mut client = proxy.connect();
    assert_eq!(client.get("/").status(), 200);
    client.send("GET / HTTP/1.1\r\nHost: exam").unwrap();
    // It was read once an answer to another client is there that came after it, on each worker.
    for _ in 0..20 {
        assert_eq!(proxy.get("/").status(), 200);
    }
    proxy.request_stop();
    until("it is stopping", || {
        TcpStream::connect(proxy.address()).is_err()
    });
    client.send("ple.com\r\n\r\n").unwrap();
    let answer = client.response().unwrap();
    assert_eq!(answer.text(), "app");
    assert_eq!(answer.field("connection"), Some("close"));
    assert_eq!(proxy.stopped().report.cut, 0);
}

#[test]
fn an_upload_under_way_at_the_stop_is_taken_to_its_end() {
    let target = Target::answering(|request| ok(request.text()));
    let proxy = behind(&target);
    let mut client = proxy.connect();
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf-")
        .unwrap();
    target.wait_for_connections(1);
    proxy.request_stop();
    until("it is stopping", || {
        TcpStream::connect(proxy.address()).is_err()
    });
    client.send("half").unwrap();
    let answer = client.response().unwrap();
    assert_eq!(answer.text(), "half-half");
    assert_eq!(answer.field("connection"), Some("close"));
    assert_eq!(proxy.stopped().report.cut, 0);
}

/// One that was answered before it had sent everything, and does not go.
#[test]
fn a_connection_that_only_lingers_does_not_hold_up_the_stop() {
    let target = Target::scripted(|connection| {
        connection.request_head()?;
        connection.send("HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\n\r\n")?;
        connection.rest().map(drop)
    });
    let proxy = Setup::to([target.address])
        .with("shutdown_timeout = 25")
        .start();
    let mut client = proxy.connect();
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf-")
        .unwrap();
    assert_eq!(client.response().unwrap().status(), 413);
    client.assert_closed();
    let began = Instant::now();
    let stopped = proxy.stop();
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(stopped.report.cut, 0);
    assert_eq!(stopped.log.len(), 1);
    drop(client);
}

/// What is asked for, what the client does then, and the reason that the line gives.
type Fate = (&'static str, fn(Client), Option<&'static str>);

/// Requests that end in every way there is.
const FATES: [Fate; 8] = [
    ("/whole", |mut client| drop(client.response()), None),
    ("/silent", drop, Some("client_closed")),
    ("/silent", Client::reset, Some("client_closed")),
    (
        "/half",
        |mut client| drop(client.rest()),
        Some("target_response_incomplete"),
    ),
    (
        "/nothing",
        |mut client| drop(client.response()),
        Some("target_closed"),
    ),
    (
        "/nonsense",
        |mut client| drop(client.response()),
        Some("target_malformed_response"),
    ),
    (
        "/endless",
        |mut client| drop(client.head()),
        Some("client_closed"),
    ),
    (
        "/endless",
        |mut client| {
            client.head().unwrap();
            client.reset();
        },
        Some("client_closed"),
    ),
];

fn meet(connection: &mut Connection) -> std::io::Result<()> {
    loop {
        let request = connection.request()?;
        match request.uri() {
            "/whole" => connection.send(ok("whole"))?,
            "/half" => return connection.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf"),
            "/nothing" => return Ok(()),
            "/nonsense" => return connection.send("HTTP/1.1 20 OK\r\n\r\n"),
            "/endless" => {
                connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                while connection.send("3\r\nabc\r\n".repeat(1000)).is_ok() {}
                return Ok(());
            }
            _ => return connection.rest().map(drop),
        }
    }
}

#[test]
fn every_ending_is_one_line_and_leaves_nothing_behind() {
    let target = Target::scripted(meet);
    let proxy = behind(&target);
    for (nth, (path, fate, reason)) in FATES.iter().enumerate() {
        let mut client = proxy.connect();
        client.send(get(path)).unwrap();
        target.wait_for_requests(nth + 1);
        fate(client);
        let line = proxy.log(nth + 1).pop().unwrap();
        assert_eq!(line["reason"].as_str(), *reason, "{path}: {line}");
        assert_eq!(line["received_bytes"], get(path).len(), "{path}");
    }
    proxy.wait_for_metric("active_connection_count{side=\"client\"}", 0);
    let health = proxy.target_health();
    assert_eq!(health["target_groups"][0]["targets"][0]["in_flight"], 0);
    let requests = "request_count_total{target_group=\"app\"}";
    assert_eq!(usize::try_from(proxy.metric(requests)), Ok(FATES.len()));
}

/// Hundredths of a second of one core that the program has used.
fn used(program: &Program) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", program.child.id())).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Holds its connection in a state that never ends by itself.
fn hold(connection: &mut Connection, gate: &Gate) -> std::io::Result<()> {
    let request = connection.request_head()?;
    match request.uri() {
        "/ws" => connection.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        )?,
        "/begun" => connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5")?,
        "/early" => connection.send("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")?,
        "/endless" => {
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            while connection.send("3\r\nabc\r\n".repeat(1000)).is_ok() {}
        }
        _ => {}
    }
    gate.pass();
    Ok(())
}

/// Where a client stops.
#[derive(Clone)]
struct Phase {
    sent: String,
    /// It sends more, as much as is taken.
    fills: bool,
    /// It says that it has said everything.
    ends: bool,
}

impl Phase {
    fn behind(sent: impl Into<String>) -> Self {
        Self {
            sent: sent.into(),
            fills: false,
            ends: false,
        }
    }

    fn filling(self) -> Self {
        Self {
            fills: true,
            ..self
        }
    }

    fn ending(self) -> Self {
        Self { ends: true, ..self }
    }

    fn enter(&self, address: SocketAddr) -> Client {
        let mut client = Wire::tcp(TcpStream::connect(address).unwrap());
        let patience = Some(Duration::from_millis(200));
        client.stream().set_write_timeout(patience).unwrap();
        // Not all of it may be taken, which is the point.
        let _ = client.send(&self.sent);
        while self.fills && client.send(vec![0; 64 * 1024]).is_ok() {}
        if self.ends {
            client.stream().shutdown(Shutdown::Write).unwrap();
        }
        client
    }
}

fn phases() -> Vec<Phase> {
    let upload = |path: &str| {
        Phase::behind(format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n"
        ))
    };
    let socket = Phase::behind(
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    vec![
        Phase::behind(""),
        Phase::behind("GET / HTTP/1.1\r\nHo"),
        Phase::behind(get("/")),
        Phase::behind(get("/").repeat(5000)),
        Phase::behind(get("/endless")),
        Phase::behind(get("/endless")).ending(),
        Phase::behind(get("/begun")),
        Phase::behind(get("/begun")).ending(),
        upload("/"),
        upload("/").filling(),
        upload("/").filling().ending(),
        upload("/early"),
        socket.clone(),
        socket.clone().filling(),
        socket.ending(),
    ]
}

/// Clients and targets stop in every phase; nothing moves, so nothing may run.
#[test]
fn what_stands_still_costs_nothing() {
    let gate = Gate::default();
    let closed = gate.clone();
    let target = Target::scripted(move |connection| hold(connection, &closed));
    let (program, address) = Program::in_front_of(&target);
    let clients: Vec<Client> = phases().iter().map(|phase| phase.enter(address)).collect();
    // By then nobody believes in those that were half closed before an answer.
    thread::sleep(Duration::from_secs(1));
    // On a busy machine what was begun may still be under way; what never ends is there in each of them.
    let windows: Vec<_> = (0..5)
        .map(|_| {
            let before = used(&program);
            thread::sleep(Duration::from_secs(2));
            used(&program) - before
        })
        .take_while(|&used| used > 10)
        .collect();
    assert!(
        windows.len() < 5,
        "{windows:?} hundredths of a second in two seconds"
    );
    gate.open();
    drop(clients);
}
