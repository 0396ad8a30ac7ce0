//! Stopping as on SIGTERM: what was accepted is answered, nothing new is taken, and all of it within the bound.

use std::io;
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::process::Signal;
use tokio_tungstenite::tungstenite;

use crate::harness::client::get;
use crate::harness::http2::{Http2, empty, request, whole};
use crate::harness::http2_target::Http2Target;
use crate::harness::program::free_address;
use crate::harness::{Gate, PATIENCE, Program, Proxy, Setup, Target, Wire, eventually, ok, until};

/// Answers once the gate is open.
fn gated(gate: &Gate) -> Target {
    let gate = gate.clone();
    Target::answering(move |request| {
        gate.pass();
        ok(request.uri())
    })
}

fn refused(proxy: &Proxy) -> bool {
    match TcpStream::connect(proxy.address()) {
        Err(error) => error.kind() == io::ErrorKind::ConnectionRefused,
        Ok(_) => false,
    }
}

#[test]
fn requests_in_flight_finish() {
    let gate = Gate::default();
    let target = gated(&gate);
    let proxy = Setup::to([target.address]).start();
    let mut clients: Vec<_> = (0..10).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        client.send(get("/in-flight")).unwrap();
    }
    target.wait_for_requests(10);
    proxy.request_stop();
    until("new connections are refused", || refused(&proxy));
    gate.open();
    for client in &mut clients {
        let answer = client.response().unwrap();
        assert_eq!(answer.text(), "/in-flight");
        assert_eq!(answer.field("connection"), Some("close"));
        client.assert_closed();
    }
    let stopped = proxy.stopped();
    assert_eq!(stopped.report.cut, 0);
    assert_eq!(stopped.log.len(), 10);
    until("targets are let go", || target.open_connections() == 0);
}

#[test]
fn a_response_under_way_is_sent_to_its_end() {
    let gate = Gate::default();
    let closed = gate.clone();
    let target = Target::scripted(move |connection| {
        connection.request()?;
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")?;
        closed.pass();
        connection.send("-last")
    });
    let proxy = Setup::to([target.address]).start();
    let mut client = proxy.connect();
    client.send(get("/")).unwrap();
    let mut answer = client.head().unwrap();
    proxy.request_stop();
    until("new connections are refused", || refused(&proxy));
    gate.open();
    client.response_body(&mut answer, "GET").unwrap();
    assert_eq!(answer.text(), "first-last");
    client.assert_closed();
    assert_eq!(proxy.stopped().report.cut, 0);
}

#[test]
fn connections_that_wait_to_be_accepted_are_answered() {
    let target = Target::answering(|request| ok(request.uri()));
    let proxy = Setup::to([target.address]).start();
    let mut clients: Vec<_> = (0..50).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        client.send(get("/queued")).unwrap();
    }
    proxy.request_stop();
    for client in &mut clients {
        assert_eq!(client.response().unwrap().text(), "/queued");
    }
    assert_eq!(proxy.stopped().report.cut, 0);
}

#[test]
fn a_connection_just_opened_may_still_bring_its_request() {
    let target = Target::answering(|request| ok(request.uri()));
    let proxy = Setup::to([target.address]).start();
    let mut client = proxy.connect();
    proxy.request_stop();
    let answer = client.get("/late");
    assert_eq!(answer.text(), "/late");
    assert_eq!(answer.field("connection"), Some("close"));
}

#[test]
fn idle_connections_do_not_hold_up_the_stop() {
    let target = Target::saying("app");
    let proxy = Setup::to([target.address])
        .with("shutdown_timeout = 60")
        .start();
    let (mut used, mut unused) = (proxy.connect(), proxy.connect());
    assert_eq!(used.get("/").status(), 200);
    let started = Instant::now();
    let stopped = proxy.stop();
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(stopped.report.cut, 0);
    used.assert_closed();
    unused.assert_closed();
}

/// Clients that never rest: each of them goes on until it finds the door closed.
#[test]
fn under_load_no_accepted_request_fails() {
    let target = Target::answering(|request| ok(request.uri()));
    let proxy = Setup::to([target.address]).start();
    let (answered, stopping) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&proxy, &stopping);
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(count) = use_a_connection(&proxy, &stopping) {
                    answered.fetch_add(count, SeqCst);
                }
            });
        }
        until("load", || answered.load(SeqCst) > 200);
    });
    let stopped = proxy.stopped();
    assert_eq!(stopped.report.cut, 0);
    let fine = |line: &&serde_json::Value| line["elb_status_code"] == 200;
    assert_eq!(stopped.log.iter().filter(fine).count(), stopped.log.len());
}

/// Stops the proxy, and with it its clients, also when the test fails.
struct StopAtEnd<'a>(&'a Proxy, &'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.1.store(true, SeqCst);
        self.0.request_stop();
    }
}

/// Requests on one connection until it is closed by an answer that says so; how many, or none when nobody listens.
fn use_a_connection(proxy: &Proxy, stopping: &AtomicBool) -> Option<usize> {
    let stream = TcpStream::connect(proxy.address()).ok()?;
    let mut client = Wire::tcp(stream);
    for nth in 1..=20 {
        let answer = client.send(get("/load")).and_then(|()| client.response());
        match answer {
            Ok(answer) => {
                assert_eq!(answer.text(), "/load");
                if answer.field("connection") == Some("close") {
                    return Some(nth);
                }
            }
            // The kernel took the connection when nobody accepted any more.
            Err(_) if nth == 1 && stopping.load(SeqCst) => return None,
            Err(error) => panic!("request {nth} of a connection failed: {error}"),
        }
    }
    Some(20)
}

#[test]
fn the_bound_ends_what_does_not_end_by_itself() {
    let target = Target::scripted(|connection| {
        connection.request()?;
        connection.rest().map(drop)
    });
    let proxy = Setup::to([target.address])
        .with("shutdown_timeout = 0.3")
        .start();
    let mut clients: Vec<_> = (0..200).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        client.send(get("/")).unwrap();
    }
    target.wait_for_requests(200);
    let stopped = proxy.stop();
    assert_eq!(stopped.report.cut, 200);
    let cut = |line: &&serde_json::Value| line["reason"] == "shutdown";
    assert_eq!(stopped.log.iter().filter(cut).count(), 200);
    assert_eq!(stopped.log.len(), 200);
    for client in &mut clients {
        client.assert_closed();
    }
    until("targets are let go", || target.open_connections() == 0);
}

/// Of all that there is to wait for.
#[tokio::test]
async fn nothing_goes_on_beyond_the_bound() {
    let silent = Target::scripted(|connection| {
        connection.request()?;
        connection.rest().map(drop)
    });
    let silent2 = Http2Target::answering(|_| Box::pin(std::future::pending()));
    let version2 = "protocol_version = 'HTTP2'";
    let bound = "shutdown_timeout = 0.5";
    let to_http1 = Setup::to([silent.address]).with(bound);
    let to_http2 = Setup::to([silent2.address]).with(bound).group(version2);
    for (what, setup, version) in [
        ("HTTP/1.1", to_http1.clone(), 1),
        ("HTTP/1.1 over TLS", to_http1.clone().https(), 1),
        ("HTTP/2 to HTTP/1.1", to_http1.https(), 2),
        ("HTTP/2", to_http2.https(), 2),
    ] {
        let https = what != "HTTP/1.1";
        let proxy = setup.start_unhealthy();
        let waiting = silent.requests().len() + silent2.requests().len();
        let mut clients = (None, None, None);
        if version == 2 {
            let client = Http2::connect(proxy.address()).await;
            let request = request("GET", "/", empty());
            clients.0 = Some(tokio::spawn(
                async move { client.send(request).await.is_ok() },
            ));
        } else if https {
            clients
                .1
                .insert(proxy.connect_tls())
                .send(get("/"))
                .unwrap();
        } else {
            clients.2.insert(proxy.connect()).send(get("/")).unwrap();
        }
        while silent.requests().len() + silent2.requests().len() == waiting {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let started = Instant::now();
        let stopped = proxy.stop();
        let took = started.elapsed();
        assert!(took < Duration::from_millis(1300), "{what}: {took:?}");
        assert_eq!(stopped.report.cut, 1, "{what}");
        assert_eq!(stopped.log[0]["reason"], "shutdown", "{what}");
    }
}

/// A reload may have given it more time than it began with.
#[test]
fn the_bound_is_that_of_the_last_reload() {
    let gate = Gate::default();
    let target = gated(&gate);
    let address = free_address();
    let listener = format!(
        "[[listener]]\naddress = '127.0.0.1'\nport = {}\nprotocol = 'HTTP'\n\
         default_action = {{ type = 'forward', target_group = 'app' }}",
        address.port()
    );
    let setup = Setup::to([target.address])
        .with("shutdown_timeout = 0.3")
        .more(&listener);
    let mut program = Program::start(&setup, Stdio::null());
    let file = program.directory.path().join("lintel-proxy.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("= 0.3", "= 60")).unwrap();
    program.signal(Signal::HUP);
    until("the reload", || {
        let metrics = program.admin("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let reloaded = "reload_count_total{result=\"applied\"} 1";
        metrics.text().contains(reloaded)
    });
    until("the listener", || TcpStream::connect(address).is_ok());
    let mut client = Wire::tcp(TcpStream::connect(address).unwrap());
    client.send(get("/")).unwrap();
    target.wait_for_requests(1);
    program.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(900));
    gate.open();
    assert_eq!(client.response().unwrap().status(), 200);
    let status = eventually("the end of the program", || {
        program.child.try_wait().unwrap()
    });
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_second_wish_to_stop_is_granted_at_once() {
    let target = Target::scripted(|connection| {
        connection.request()?;
        connection.rest().map(drop)
    });
    let proxy = Setup::to([target.address])
        .with("shutdown_timeout = 600")
        .start();
    let mut client = proxy.connect();
    client.send(get("/")).unwrap();
    target.wait_for_requests(1);
    proxy.request_stop();
    until("new connections are refused", || refused(&proxy));
    proxy.running().trigger().expire();
    assert_eq!(proxy.stopped().report.cut, 1);
}

#[test]
fn a_websocket_lives_until_the_bound_and_is_cut_then() {
    let target = Target::scripted(|connection| {
        let stream = connection.stream().try_clone()?;
        let mut socket = tungstenite::accept(stream).map_err(io::Error::other)?;
        while let Ok(message) = socket.read() {
            if socket.send(message).is_err() {
                break;
            }
        }
        Ok(())
    });
    let proxy = Setup::to([target.address])
        .with("shutdown_timeout = 2")
        .start();
    let (mut socket, _) = tungstenite::client("ws://a/ws", proxy.stream()).unwrap();
    proxy.request_stop();
    until("new connections are refused", || refused(&proxy));
    let message = tungstenite::Message::text("still here");
    socket.send(message.clone()).unwrap();
    assert_eq!(socket.read().unwrap(), message);
    let stopped = proxy.stopped();
    assert_eq!(stopped.report.cut, 1);
    assert_eq!(stopped.log.len(), 1);
    assert_eq!(stopped.log[0]["type"], "ws");
    assert_eq!(stopped.log[0]["reason"], "shutdown");
    assert!(socket.read().is_err());
}

#[test]
fn while_it_drains_it_is_well_but_not_ready() {
    let gate = Gate::default();
    let target = gated(&gate);
    let proxy = Setup::to([target.address]).start();
    let mut client = proxy.connect();
    client.send(get("/")).unwrap();
    target.wait_for_requests(1);
    proxy.request_stop();
    until("not ready", || proxy.admin("GET", "/ready").status() == 503);
    assert_eq!(proxy.admin("GET", "/health").status(), 200);
    assert_eq!(
        proxy.target_health()["target_groups"][0]["targets"][0]["in_flight"],
        1
    );
    gate.open();
    assert_eq!(client.response().unwrap().status(), 200);
}

#[tokio::test]
async fn http2_streams_in_flight_finish_and_no_new_ones_begin() {
    let gate = Gate::default();
    let target = gated(&gate);
    let proxy = Setup::to([target.address]).https().start();
    let client = Http2::connect(proxy.address()).await;
    let in_flight = client.send(request("GET", "/in-flight", empty()));
    let stop = async {
        while target.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        proxy.request_stop();
        // A GOAWAY makes the client's side of the connection refuse new streams.
        let closed = async { while client.send(request("GET", "/ping", empty())).await.is_ok() {} };
        gate.open();
        tokio::time::timeout(PATIENCE, closed)
            .await
            .expect("a GOAWAY");
    };
    let (answer, ()) = tokio::join!(in_flight, stop);
    assert_eq!(
        whole(answer.unwrap()).await,
        (200, Bytes::from("/in-flight"))
    );
    let ended = tokio::time::timeout(PATIENCE, client.driver).await;
    assert!(ended.expect("the end of the connection").unwrap().is_ok());
    assert_eq!(proxy.stopped().report.cut, 0);
}

#[test]
fn an_unfinished_handshake_does_not_hold_up_the_stop() {
    let target = Target::saying("app");
    let proxy = Setup::to([target.address])
        .https()
        .with("shutdown_timeout = 60")
        .start();
    let mut client = proxy.connect();
    client.send([0x16, 0x03]).unwrap();
    let started = Instant::now();
    proxy.stop();
    assert!(started.elapsed() < Duration::from_secs(30));
}
