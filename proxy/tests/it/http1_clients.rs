//! HTTP/1.1 clients as they come: in a hurry, in pieces, half gone, slow, and those that leave.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::client::{get, post};
use crate::harness::target::Unreachable;
use crate::harness::{Gate, PATIENCE, Program, Proxy, Setup, Target, Wire, ok, until};

const MIB: usize = 1024 * 1024;

/// What a client that has left is noticed within, on a busy machine.
const SOON: Duration = Duration::from_secs(3);

fn behind(target: &Target) -> Proxy {
    Setup::to([target.address]).start()
}

/// Answers with the request's path and body.
fn echo() -> Target {
    Target::answering(|request| ok(&format!("{} {}", request.uri(), request.text())))
}

/// Takes requests and answers none.
fn silent() -> Target {
    Target::scripted(|connection| {
        connection.request()?;
        connection.rest().map(drop)
    })
}

/// Answers with so many bytes, whatever is asked.
fn large(size: usize) -> Target {
    let response = ok(&"x".repeat(size));
    Target::scripted(move |connection| {
        loop {
            connection.request()?;
            connection.send(&response)?;
        }
    })
}

#[test]
fn a_client_that_has_said_its_last_word_is_answered() {
    let target = echo();
    let proxy = behind(&target);
    let mut client = proxy.connect();
    client.send(get("/only")).unwrap();
    client.stream().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.response().unwrap().text(), "/only ");
    client.assert_closed();
    assert!(proxy.log_line()["reason"].is_null());
}

#[test]
fn a_tls_client_that_has_said_its_last_word_is_answered() {
    let target = echo();
    let proxy = Setup::to([target.address]).https().start();
    let mut client = proxy.connect_tls();
    client.send(get("/only")).unwrap();
    client.stream().conn.send_close_notify();
    client.stream().flush().unwrap();
    assert_eq!(client.response().unwrap().text(), "/only ");
    assert!(proxy.log_line()["reason"].is_null());
}

#[test]
fn requests_in_one_go_are_answered_though_nothing_more_will_come() {
    let target = echo();
    let proxy = behind(&target);
    let mut client = proxy.connect();
    let requests: String = (0..20).map(|nth| get(&format!("/{nth}"))).collect();
    client.send(requests).unwrap();
    client.stream().shutdown(Shutdown::Write).unwrap();
    for nth in 0..20 {
        assert_eq!(client.response().unwrap().text(), format!("/{nth} "));
    }
    client.assert_closed();
    proxy.log(20);
}

/// That it takes nothing for a while is no reason to think that it has gone.
#[test]
fn a_half_closed_client_gets_all_of_a_response_that_it_reads_late() {
    let target = large(8 * MIB);
    let proxy = behind(&target);
    let mut client = proxy.connect();
    client.send(get("/")).unwrap();
    client.stream().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.head().unwrap().status(), 200);
    thread::sleep(Duration::from_secs(1));
    assert_eq!(client.rest().unwrap().len(), 8 * MIB);
    assert!(proxy.log_line()["reason"].is_null());
}

#[test]
fn a_half_closed_client_gets_all_of_a_response_that_pauses() {
    let target = Target::scripted(|connection| {
        connection.request()?;
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")?;
        thread::sleep(Duration::from_secs(1));
        connection.send("half")
    });
    let proxy = behind(&target);
    let mut client = proxy.connect();
    client.send(get("/")).unwrap();
    client.stream().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.response().expect("all of it").text(), "halfhalf");
    assert!(proxy.log_line()["reason"].is_null());
}

#[test]
fn half_a_request_and_then_no_more_is_400() {
    let target = silent();
    let proxy = behind(&target);
    let mut client = proxy.connect();
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        .unwrap();
    client.stream().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.response().unwrap().status(), 400);
    client.assert_closed();
    let line = proxy.log_line();
    assert_eq!(line["reason"], "request_body_incomplete");
}

#[test]
fn a_client_that_leaves_while_its_target_thinks_is_noticed() {
    let target = silent();
    let proxy = behind(&target);
    let leave: [fn(&Proxy, &Target); 2] = [
        |proxy, target| {
            let mut client = proxy.connect();
            client.send(get("/closes")).unwrap();
            target.wait_for_requests(1);
        },
        |proxy, target| {
            let mut client = proxy.connect();
            client.send(get("/resets")).unwrap();
            target.wait_for_requests(2);
            client.reset();
        },
    ];
    for (nth, leave) in leave.iter().enumerate() {
        leave(&proxy, &target);
        let left = Instant::now();
        until("the target is let go", || target.open_connections() == 0);
        assert!(left.elapsed() < SOON, "after {:?}", left.elapsed());
        let line = proxy.log(nth + 1).pop().unwrap();
        assert_eq!(line["elb_status_code"], 460);
        assert_eq!(line["reason"], "client_closed");
        assert_eq!(line["sent_bytes"], 0);
    }
    assert_nothing_is_left(&proxy);
}

#[test]
fn a_client_that_leaves_while_its_target_is_connected_to_is_noticed() {
    let unreachable = Unreachable::new();
    let proxy = Setup::to([unreachable.address])
        .with("connect_timeout = 20")
        .start();
    let mut client = proxy.connect();
    client.send(get("/")).unwrap();
    until("the request is under way", || {
        proxy.metric("request_count_total{target_group=\"app\"}") == 1
    });
    drop(client);
    let left = Instant::now();
    let line = proxy.log_line();
    assert_eq!(line["reason"], "client_closed");
    assert!(left.elapsed() < SOON, "after {:?}", left.elapsed());
}

/// Nobody reads its socket, as the target takes nothing: only that it is no more can be seen.
#[test]
fn a_client_that_resets_an_upload_that_nobody_takes_is_noticed() {
    let gate = Gate::default();
    let closed = gate.clone();
    let target = Target::scripted(move |connection| {
        connection.request_head()?;
        closed.pass();
        Ok(())
    });
    let proxy = Setup::to([target.address])
        .with("response_timeout = 20")
        .start();
    let mut client = proxy.connect();
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
        .unwrap();
    let patience = Some(Duration::from_millis(300));
    client.stream().set_write_timeout(patience).unwrap();
    while client.send(vec![0; 64 * 1024]).is_ok() {}
    client.reset();
    let left = Instant::now();
    let line = proxy.log_line();
    assert!(left.elapsed() < SOON, "after {:?}", left.elapsed());
    assert_eq!(line["elb_status_code"], 400);
    assert_eq!(line["reason"], "request_body_incomplete");
    gate.open();
}

fn assert_nothing_is_left(proxy: &Proxy) {
    proxy.wait_for_metric("active_connection_count{side=\"client\"}", 0);
    proxy.wait_for_metric("active_connection_count{side=\"target\"}", 0);
    let health = proxy.target_health();
    assert_eq!(health["target_groups"][0]["targets"][0]["in_flight"], 0);
}

/// Requests of every kind on one connection.
fn conversation() -> (Vec<u8>, Vec<(&'static str, String)>) {
    let long = "long ".repeat(5000);
    let chunked = "PUT /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                   4;name=\"va;lue\"\r\nwiki\r\n00005\r\npedia\r\n0\r\n\r\n";
    let requests = [
        get("/first"),
        post("/counted", "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"),
        chunked.to_owned(),
        "HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "DELETE /empty HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            .to_owned(),
        post("/long", &long),
        // Some clients end a body with an empty line too many.
        format!("\r\n{}", get("/last")),
    ];
    let answers = vec![
        ("GET", "/first ".to_owned()),
        (
            "POST",
            "/counted GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        ),
        ("PUT", "/chunked wikipedia".to_owned()),
        ("HEAD", String::new()),
        ("DELETE", "/empty ".to_owned()),
        ("POST", format!("/long {long}")),
        ("GET", "/last ".to_owned()),
    ];
    (requests.concat().into_bytes(), answers)
}

fn assert_conversation<S: Read + Write>(client: &mut Wire<S>, answers: &[(&str, String)]) {
    for (method, text) in answers {
        let answer = client.response_to(method).unwrap();
        assert_eq!((answer.status(), answer.text()), (200, text.as_str()));
    }
}

#[test]
fn requests_are_the_same_in_one_segment_and_in_any_pieces() {
    let target = echo();
    let proxy = behind(&target);
    let (bytes, answers) = conversation();
    for size in [usize::MAX, 16 * 1024, 1000, 7] {
        let mut client = proxy.connect();
        let mut writer = client.stream().try_clone().unwrap();
        let pieces = bytes.chunks(size.min(bytes.len()));
        thread::scope(|scope| {
            scope.spawn(|| {
                for piece in pieces {
                    writer.write_all(piece).unwrap();
                }
            });
            assert_conversation(&mut client, &answers);
        });
    }
    assert_eq!(target.requests().len(), 4 * answers.len());
    let lines = proxy.log(4 * answers.len());
    assert!(lines.iter().all(|line| line["reason"].is_null()));
}

#[test]
fn requests_over_tls_are_the_same_in_records_of_any_size() {
    let target = echo();
    let proxy = Setup::to([target.address]).https().start();
    let (bytes, answers) = conversation();
    for size in [bytes.len(), 1000, 100] {
        let mut client = proxy.connect_tls();
        for piece in bytes.chunks(size) {
            client.send(piece).unwrap();
        }
        assert_conversation(&mut client, &answers);
    }
    proxy.log(3 * answers.len());
}

/// There is always a part of the next request, so that a reader that only forgets when it has used up everything would
/// never forget.
#[test]
fn a_client_that_never_pauses_takes_no_more_memory() {
    const REQUESTS: usize = 4000;
    const GROWTH: usize = 8 * 1024;
    let target = Target::saying("app");
    let (program, address) = Program::in_front_of(&target);
    let mut client = Wire::tcp(TcpStream::connect(address).unwrap());
    assert_eq!(client.get("/first").status(), 200);
    let before = program.memory();
    let padding = "p".repeat(15_000);
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Padding: {padding}\r\n\r\n");
    let mut writer = client.stream().try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || (0..REQUESTS).try_for_each(|_| writer.write_all(request.as_bytes())));
        for _ in 0..REQUESTS {
            assert_eq!(client.response().unwrap().status(), 200);
        }
    });
    let after = program.memory();
    assert!(after <= before + GROWTH, "from {before} to {after} KiB");
}

#[test]
fn the_next_request_may_come_before_an_upload_is_answered() {
    let gate = Gate::default();
    let closed = gate.clone();
    let target = Target::answering(move |request| {
        if request.method() == "POST" {
            closed.pass();
        }
        ok(&format!("{} {}", request.uri(), request.body.len()))
    });
    let proxy = behind(&target);
    let mut client = proxy.connect();
    let body = "b".repeat(MIB);
    client.send(post("/upload", &body)).unwrap();
    client.send(get("/next").repeat(3)).unwrap();
    target.wait_for_requests(1);
    gate.open();
    let upload = client.response().unwrap();
    assert_eq!(upload.text(), format!("/upload {MIB}"));
    for _ in 0..3 {
        assert_eq!(client.response().unwrap().text(), "/next 0");
    }
}

#[test]
fn a_client_that_sends_its_body_at_once_is_not_told_to() {
    let target = echo();
    let proxy = behind(&target);
    let mut client = proxy.connect();
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody")
        .unwrap();
    let head = client.head().unwrap();
    assert_eq!(head.status(), 200);
}

#[test]
fn an_old_client_is_never_told_to_continue() {
    let target = echo();
    let proxy = behind(&target);
    let mut client = proxy.connect();
    client
        .send("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        .unwrap();
    client.set_patience(Duration::from_millis(200));
    assert!(client.head().is_err(), "nothing before the body");
    client.set_patience(PATIENCE);
    client.send("body").unwrap();
    assert_eq!(client.response().unwrap().text(), "/ body");
    client.assert_closed();
}

#[test]
fn an_old_client_with_many_requests_keeps_its_connection_as_long_as_it_asks_to() {
    let target = echo();
    let proxy = behind(&target);
    let mut client = proxy.connect();
    let kept = "GET /kept HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n";
    let last = "GET /last HTTP/1.0\r\n\r\n";
    client.send([kept, kept, last, kept].concat()).unwrap();
    for _ in 0..2 {
        let answer = client.response().unwrap();
        assert_eq!(answer.field("connection"), Some("keep-alive"));
    }
    let answer = client.response().unwrap();
    assert_eq!(answer.text(), "/last ");
    assert_eq!(answer.field("connection"), Some("close"));
    client.assert_closed();
    assert_eq!(target.requests().len(), 3);
}

#[test]
fn a_tls_client_that_takes_nothing_is_recorded_as_the_one_who_stalled() {
    let target = large(64 * MIB);
    let proxy = Setup::to([target.address])
        .https()
        .with("idle_timeout = 0.5")
        .start();
    let mut clients: Vec<_> = (0..4).map(|_| proxy.connect_tls()).collect();
    for client in &mut clients {
        client.send(get("/")).unwrap();
        assert_eq!(client.head().unwrap().status(), 200);
    }
    for line in proxy.log(clients.len()) {
        assert_eq!(line["reason"], "client_stalled", "{line}");
    }
}

/// It takes something many times within the time-out, but little in all.
#[test]
fn a_client_that_reads_slowly_all_the_time_is_not_given_up() {
    let target = large(64 * MIB);
    let proxy = Setup::to([target.address])
        .with("idle_timeout = 1.5")
        .start();
    let socket = socket2::Socket::new(
        socket2::Domain::IPV4,
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    );
    let socket = socket.unwrap();
    // A small window opens again with every piece that is read.
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&proxy.address().into()).unwrap();
    let mut client = Wire::tcp(socket.into());
    client.send(get("/")).unwrap();
    assert_eq!(client.head().unwrap().status(), 200);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        client.bytes(4096).expect("a connection that goes on");
        thread::sleep(Duration::from_millis(50));
    }
    proxy.log(0);
}

#[test]
fn an_idle_tls_connection_ends_with_a_word() {
    let target = echo();
    let proxy = Setup::to([target.address])
        .https()
        .with("idle_timeout = 0.3")
        .start();
    let mut client = proxy.connect_tls();
    assert_eq!(client.get("/").status(), 200);
    let mut rest = Vec::new();
    // Without a close_notify this is an error.
    client.stream().read_to_end(&mut rest).expect("an end");
    assert!(rest.is_empty());
}

#[test]
fn an_empty_line_behind_a_body_is_no_beginning_of_a_request() {
    let target = echo();
    let proxy = Setup::to([target.address])
        .with("idle_timeout = 1")
        .with("request_header_timeout = 0.3")
        .start();
    let mut client = proxy.connect();
    client.send(post("/", "body") + "\r\n").unwrap();
    assert_eq!(client.response().unwrap().text(), "/ body");
    client.assert_closed();
    proxy.log(1);
}

/// What it says further is content, and framed as such; a tunnel would pass it on as it is.
#[test]
fn a_request_with_content_opens_no_websocket() {
    let target = Target::scripted(|connection| {
        let mut request = connection.request_head()?;
        connection.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        )?;
        connection.request_body(&mut request)
    });
    let proxy = behind(&target);
    let mut client = proxy.connect();
    client
        .send(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
             Transfer-Encoding: chunked\r\n\r\na\r\n01234",
        )
        .unwrap();
    assert_eq!(client.response().unwrap().status(), 502);
    assert_eq!(proxy.log_line()["reason"], "target_unexpected_upgrade");
}

/// An ALB counts bytes.
#[test]
fn many_short_fields_pass() {
    let field = |nth: usize| format!("X-{nth}: y\r\n");
    let many = |count: usize| (0..count).map(field).collect::<Vec<_>>().concat();
    let fields = many(1000);
    let target = Target::answering(move |_| {
        format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{fields}\r\nok").into_bytes()
    });
    let proxy = behind(&target);
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", many(2000));
    let answer = proxy.connect().exchange(request);
    assert_eq!((answer.status(), answer.text()), (200, "ok"));
    assert_eq!(answer.field("x-999"), Some("y"));
    assert_eq!(target.only_request().field("x-1999"), Some("y"));
}
