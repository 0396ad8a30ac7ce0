//! How HTTP/2 responses and connections end: with all that is due, or with a word of what is not.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use bytes::Bytes;
use http::Request;

use crate::harness::http2::{Http2, connect, empty, request, whole};
use crate::harness::{Gate, PATIENCE, Proxy, Setup, Target, ok, tls};

const MIB: usize = 1024 * 1024;

fn behind(target: &Target) -> Proxy {
    Setup::to([target.address]).https().start()
}

/// The content of a response to a client that opens its window by hand.
async fn response_through(window: u32, proxy: &Proxy) -> h2::RecvStream {
    let stream = connect(proxy.address()).await;
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(window);
    let (mut sender, driver) = builder.handshake::<_, Bytes>(stream).await.unwrap();
    tokio::spawn(driver);
    let request = Request::get("https://example.com/").body(()).unwrap();
    let (response, _) = sender.send_request(request, true).unwrap();
    response.await.unwrap().into_body()
}

/// What a client has not taken yet of a response is its, also when its target and its record have ended.
#[tokio::test]
async fn a_stop_waits_for_what_a_client_has_yet_to_take() {
    const BODY: usize = 12 * 1024;
    let target = Target::answering(|_| ok(&"x".repeat(BODY)));
    let proxy = behind(&target);
    let mut client = Http2::connect_with_window(proxy.address(), 4 * 1024).await;
    let response = client.send(request("GET", "/", empty())).await.unwrap();
    proxy.request_stop();
    // For longer than connections are kept that have nothing to say.
    let ended = tokio::time::timeout(Duration::from_millis(1500), &mut client.driver).await;
    assert!(ended.is_err(), "the connection has ended");
    assert_eq!(whole(response).await.1.len(), BODY);
}

/// Nor does it matter that the end was said in time.
#[tokio::test]
async fn a_stop_waits_for_what_a_client_has_yet_to_take_of_chunks() {
    const BODY: usize = 12 * 1024;
    let gate = Gate::default();
    let closed = gate.clone();
    let target = Target::scripted(move |connection| {
        connection.request()?;
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        connection.send(format!("{BODY:x}\r\n{}\r\n", "x".repeat(BODY)))?;
        closed.pass();
        connection.send("0\r\n\r\n")
    });
    let proxy = behind(&target);
    let mut client = Http2::connect_with_window(proxy.address(), 4 * 1024).await;
    let response = client.send(request("GET", "/", empty())).await.unwrap();
    gate.open();
    proxy.log(1);
    proxy.request_stop();
    let ended = tokio::time::timeout(Duration::from_millis(1500), &mut client.driver).await;
    assert!(ended.is_err(), "the connection has ended");
    assert_eq!(whole(response).await.1.len(), BODY);
}

/// What a client says while our last bytes are on their way to it must not reset the connection under them.
#[test]
fn a_stop_does_not_cut_what_is_on_its_way() {
    const BODY: usize = 300_000;
    let target = Target::answering(|_| ok(&"x".repeat(BODY)));
    let proxy = behind(&target);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    socket.connect(&proxy.address().into()).unwrap();
    let mut stream = tls::handshake(socket.into(), "example.com", &["h2"]).unwrap();
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let begin = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        // Windows that never fill.
        frame(4, 0, 0, &[0, 4, 0x40, 0, 0, 0]),
        frame(8, 0, 0, &[0x3f, 0, 0, 0]),
        frame(1, 5, 1, b"\x82\x87\x84\x41\x0bexample.com"),
    ];
    stream.write_all(&begin.concat()).unwrap();
    target.wait_for_requests(1);
    proxy.request_stop();
    let mut taken = 0;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).expect("more of the response");
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        stream
            .read_exact(&mut payload)
            .expect("more of the response");
        match (head[3], head[4] & 1) {
            (0, over) => {
                taken += length;
                if over == 1 {
                    break;
                }
                // Slowly, and saying so.
                std::thread::sleep(Duration::from_millis(10));
                let _ = stream.write_all(&frame(8, 0, 0, &[0, 0, 1, 0]));
            }
            (6, 0) => stream.write_all(&frame(6, 1, 0, &payload)).unwrap(),
            _ => {}
        }
    }
    assert_eq!(taken, BODY);
}

/// RFC 9113 6.9.1: the end of a response takes nothing of a window.
#[tokio::test]
async fn a_response_ends_although_its_clients_window_is_full() {
    let gate = Gate::default();
    let closed = gate.clone();
    let target = Target::scripted(move |connection| {
        connection.request()?;
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")?;
        closed.pass();
        connection.send("0\r\n\r\n")
    });
    let proxy = behind(&target);
    let mut body = response_through(5, &proxy).await;
    assert_eq!(body.data().await.unwrap().unwrap(), "hello");
    gate.open();
    let rest = async {
        while let Some(piece) = body.data().await {
            assert_eq!(piece.unwrap(), "");
        }
    };
    let ended = tokio::time::timeout(PATIENCE, rest).await;
    ended.expect("the end of the response");
}

/// It takes less within the time-out than what is read from its target at once.
#[tokio::test]
async fn a_client_that_takes_little_at_a_time_is_not_taken_for_one_that_takes_nothing() {
    const BODY: usize = 80 * 1024;
    let target = Target::answering(|_| ok(&"x".repeat(BODY)));
    let setup = Setup::to([target.address]).https();
    let proxy = setup.with("idle_timeout = 0.5").start();
    let mut body = response_through(4 * 1024, &proxy).await;
    let mut taken = 0;
    while let Some(piece) = body.data().await {
        let length = piece.expect("more of the response").len();
        tokio::time::sleep(Duration::from_micros(30 * length as u64)).await;
        body.flow_control().release_capacity(length).unwrap();
        taken += length;
    }
    assert_eq!(taken, BODY);
}

/// Each stream has its own time-out, however busy others keep the connection.
#[tokio::test]
async fn a_response_that_its_client_does_not_take_ends_beside_others_that_it_does() {
    let target = Target::answering(|request| match request.uri() {
        "/large" => ok(&"x".repeat(MIB)),
        _ => ok("small"),
    });
    let setup = Setup::to([target.address]).https();
    let proxy = setup.with("idle_timeout = 1").start();
    let client = Http2::connect_with_window(proxy.address(), 16 * 1024).await;
    let large = client
        .send(request("GET", "/large", empty()))
        .await
        .unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let stalled = |line: &serde_json::Value| line["reason"] == "client_stalled";
    while !proxy.lines().iter().any(stalled) {
        assert!(tokio::time::Instant::now() < deadline, "it still stands");
        assert_eq!(client.get("/small").await.0, 200);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(large);
}
