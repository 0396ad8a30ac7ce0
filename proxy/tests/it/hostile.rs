//! Found by attack: what a hostile client or an odd target of HTTP/2 could do.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Request, Response};
use http_body_util::BodyExt;

use crate::harness::http2::{Http2, empty, full, request, whole};
use crate::harness::http2_target::Http2Target;
use crate::harness::{Proxy, Setup, Target, ok};

const SOON: Duration = Duration::from_secs(8);

fn setup(address: SocketAddr, version: &str) -> Setup {
    Setup::to([address])
        .https()
        .with("workers = 1")
        .group(&format!("protocol_version = '{version}'"))
}

/// Health is checked elsewhere, in a way that passes.
fn behind(address: SocketAddr, version: &str) -> (Http2Target, Proxy) {
    let (health, setup) = with_health(setup(address, version));
    (health, setup.start())
}

fn with_health(setup: Setup) -> (Http2Target, Setup) {
    let health = Http2Target::saying("well");
    let setup = setup.group(&format!(
        "health_check = {{ port = {}, interval = 1, protocol = 'HTTP' }}",
        health.address.port()
    ));
    (health, setup)
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(SOON, future).await;
    waited.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

type Answering = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An HTTP/2 server frame by frame.
fn raw(
    most: Option<u32>,
    answer: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> Answering + Send + Sync + 'static,
) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let answer = Arc::clone(&answer);
                tokio::spawn(async move {
                    let mut builder = h2::server::Builder::new();
                    if let Some(most) = most {
                        builder.max_concurrent_streams(most);
                    }
                    let mut connection = builder.handshake(stream).await.unwrap();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        tokio::spawn(answer(request, respond));
                    }
                });
            }
        });
    });
    address
}

#[tokio::test]
async fn slow_readers_do_not_stop_other_clients_of_their_target() {
    let target = Http2Target::answering(|request| {
        Box::pin(async move {
            let size = if request.uri().path() == "/big" {
                2 * 1024 * 1024
            } else {
                32
            };
            Response::new(full(vec![b'x'; size]))
        })
    });
    let (_health, proxy) = behind(target.address, "HTTP2");
    let slow = Http2::connect_with_window(proxy.address(), 65_535).await;
    let mut held = Vec::new();
    for _ in 0..40 {
        let response = slow.send(request("GET", "/big", empty())).await.unwrap();
        held.push(response);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let other = Http2::connect(proxy.address()).await;
    let (status, body) = soon("another client's answer", other.get("/small")).await;
    assert_eq!((status, body.len()), (200, 32));
}

/// Rules look at the host that the target is shown.
#[test]
fn a_preserved_host_is_the_one_that_was_routed_by() {
    let target = Target::answering(|_| ok("well"));
    let proxy = Setup::to([target.address])
        .with("preserve_host_header = true")
        .rule(1, "{ host_header = ['internal.test'] }", "forbidden")
        .start();
    let mut client = proxy.connect();
    let asked = "GET http://public.test/ HTTP/1.1\r\nHost: internal.test\r\n\r\n";
    assert_eq!(client.exchange(asked).text(), "forbidden");
    let asked = "GET http://internal.test/ HTTP/1.1\r\nHost: public.test\r\n\r\n";
    assert_eq!(client.exchange(asked).text(), "well");
    assert_eq!(target.only_request().all("Host"), ["public.test"]);
}

/// RFC 9113 8.3.1
#[tokio::test]
async fn a_host_beside_another_authority_is_refused() {
    let target = Target::answering(|_| ok("well"));
    for preserve in ["true", "false"] {
        let proxy = Setup::to([target.address])
            .https()
            .with(&format!("preserve_host_header = {preserve}"))
            .start();
        let tls = crate::harness::http2::connect(proxy.address()).await;
        let (sender, connection) = h2::client::handshake(tls).await.unwrap();
        tokio::spawn(connection);
        for (host, status) in [("internal.test", 400), ("PUBLIC.test", 200)] {
            let mut sender = sender.clone().ready().await.unwrap();
            let asked = Request::get("https://public.test/").header("host", host);
            let (response, _) = sender.send_request(asked.body(()).unwrap(), true).unwrap();
            assert_eq!(soon("an answer", response).await.unwrap().status(), status);
        }
    }
}

#[tokio::test]
async fn content_of_a_204_goes_nowhere() {
    let address = raw(None, |_, mut respond| {
        Box::pin(async move {
            let head = Response::builder().status(204).body(()).unwrap();
            let mut stream = respond.send_response(head, false).unwrap();
            let _ = stream.send_data(Bytes::from("surprise"), true);
        })
    });
    let (_health, proxy) = behind(address, "HTTP2");
    let client = Http2::connect(proxy.address()).await;
    let response = client.send(request("GET", "/", empty())).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "", "with {status}");
}

#[tokio::test]
async fn a_stream_that_its_target_refuses_is_opened_elsewhere() {
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let address = raw(None, move |_, mut respond| {
        let nth = counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Box::pin(async move {
            // The second and the fourth.
            if nth % 2 == 1 {
                return respond.send_reset(h2::Reason::REFUSED_STREAM);
            }
            let _ = respond.send_response(Response::new(()), true);
        })
    });
    let (_health, proxy) = behind(address, "HTTP2");
    let client = Http2::connect(proxy.address()).await;
    assert_eq!(client.get("/").await.0, 200);
    // Whatever its method, as it was not looked at; but not for ever.
    for method in ["GET", "POST"] {
        let answer = client.send(request(method, "/", empty())).await.unwrap();
        assert_eq!(answer.status(), 200, "{method}");
    }
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 5);
    let opened = proxy.metric("new_connection_count_total{side=\"target\"}");
    assert_eq!(opened, 3, "each on a connection of its own");
}

#[tokio::test]
async fn nothing_is_switched_over_http2() {
    let address = raw(None, |_, mut respond| {
        Box::pin(async move {
            let switching = Response::builder().status(101).body(()).unwrap();
            let _ = respond.send_informational(switching);
            let _ = respond.send_response(Response::new(()), true);
        })
    });
    let (_health, proxy) = behind(address, "HTTP2");
    let client = Http2::connect(proxy.address()).await;
    assert_eq!(client.get("/").await.0, 502);
    assert_eq!(proxy.log_line()["reason"], "target_unexpected_upgrade");
}

#[tokio::test]
async fn head_and_304_with_a_length_pass() {
    let address = raw(None, |request, mut respond| {
        Box::pin(async move {
            let status = if request.method() == "HEAD" { 200 } else { 304 };
            let head = Response::builder()
                .status(status)
                .header("content-length", "12345")
                .body(())
                .unwrap();
            let late = request.uri().path() == "/late";
            let mut stream = respond.send_response(head, !late).unwrap();
            if late {
                let _ = stream.send_data(Bytes::new(), true);
            }
        })
    });
    let (_health, proxy) = behind(address, "HTTP2");
    for (method, path, status) in [
        ("HEAD", "/", 200),
        ("GET", "/", 304),
        ("HEAD", "/late", 200),
        ("GET", "/late", 304),
    ] {
        let client = Http2::connect(proxy.address()).await;
        let response = soon("a head", client.send(request(method, path, empty()))).await;
        let response = response.unwrap_or_else(|error| panic!("{method} {path}: {error:?}"));
        assert_eq!(response.status(), status, "{method} {path}");
        assert_eq!(response.headers()["content-length"], "12345");
        let body = soon("an end", response.into_body().collect()).await;
        let body = body.unwrap_or_else(|error| panic!("{method} {path}: {error:?}"));
        assert_eq!(body.to_bytes(), "");
    }
}

#[tokio::test]
async fn interim_responses_of_http2_targets_reach_the_client() {
    let address = raw(None, |_, mut respond| {
        Box::pin(async move {
            let interim = Response::builder()
                .status(103)
                .header("link", "</a.css>; rel=preload")
                .body(())
                .unwrap();
            respond.send_informational(interim).unwrap();
            let head = Response::builder().status(200).body(()).unwrap();
            let _ = respond.send_response(head, true);
        })
    });
    let (_health, proxy) = behind(address, "HTTP2");
    let tls = crate::harness::http2::connect(proxy.address()).await;
    let (sender, connection) = h2::client::handshake(tls).await.unwrap();
    tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    let asked = Request::get("https://example.com/").body(()).unwrap();
    let (mut response, _) = sender.send_request(asked, true).unwrap();
    let interim = soon(
        "an interim response",
        std::future::poll_fn(|cx| response.poll_informational(cx)),
    )
    .await;
    assert_eq!(interim.unwrap().unwrap().status(), 103);
}

#[test]
fn a_certificate_that_nobody_verified_is_not_told_as_verified() {
    let target = Target::saying("well");
    let setup = Setup::to([target.address]).https();
    let proxy = setup
        .clone()
        .listener("mutual_authentication = { mode = 'passthrough' }")
        .start();
    let forged = crate::harness::tls::Identity::self_signed(|params| {
        params
            .distinguished_name
            .push(rcgen::DnType::OrganizationName, "admins");
    });
    let mut client = proxy.connect_tls_showing(Some(&forged)).unwrap();
    crate::harness::tls::write_authority(proxy.path("ca.pem").parent().unwrap());
    proxy
        .reload(
            &setup.listener("mutual_authentication = { mode = 'verify', trust_store = 'ca.pem' }"),
        )
        .unwrap();
    assert_eq!(client.get("/").status(), 403);
    assert!(target.requests().is_empty());
}

#[test]
fn who_has_shown_no_certificate_is_not_served_after_it_is_asked_for() {
    let target = Target::saying("well");
    let setup = Setup::to([target.address]).https();
    let proxy = setup.clone().start();
    let mut client = proxy.connect_tls();
    assert_eq!(client.get("/").status(), 200);
    crate::harness::tls::write_authority(proxy.path("ca.pem").parent().unwrap());
    proxy
        .reload(
            &setup.listener("mutual_authentication = { mode = 'verify', trust_store = 'ca.pem' }"),
        )
        .unwrap();
    assert_eq!(client.get("/").status(), 403);
    assert_eq!(target.requests().len(), 1);
}

#[tokio::test]
async fn a_huge_head_does_not_harm_other_streams() {
    for size in [20_000, 40_000, 100_000, 400_000] {
        let address = raw(None, move |request, mut respond| {
            Box::pin(async move {
                let path = request.uri().path().to_owned();
                let mut head = Response::builder().status(200);
                if path == "/huge" {
                    for nth in 0..(size / 1000) {
                        head = head.header(format!("x-{nth}"), "v".repeat(1000));
                    }
                }
                let head = head.body(()).unwrap();
                let Ok(mut stream) = respond.send_response(head, path == "/huge") else {
                    return;
                };
                if path == "/slow" {
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    let _ = stream.send_data(Bytes::from("end"), true);
                } else if path != "/huge" {
                    let _ = stream.send_data(Bytes::from("end"), true);
                }
            })
        });
        let (_health, proxy) = behind(address, "HTTP2");
        let client = Http2::connect(proxy.address()).await;
        let slow = client.send(request("GET", "/slow", empty())).await.unwrap();
        let tls = crate::harness::http2::connect(proxy.address()).await;
        let (sender, connection) = h2::client::Builder::new()
            .max_header_list_size(10_000_000)
            .handshake::<_, Bytes>(tls)
            .await
            .unwrap();
        tokio::spawn(connection);
        let mut sender = sender.ready().await.unwrap();
        let asked = Request::get("https://example.com/huge").body(()).unwrap();
        let (huge, _) = sender.send_request(asked, true).unwrap();
        let huge = soon("an answer", huge).await;
        let huge = huge.map_or(0, |response| response.status().as_u16());
        let rest = soon("the rest", slow.into_body().collect()).await;
        assert!(rest.is_ok(), "{size}: {huge}");
        assert_eq!(huge, if size > 32_768 { 502 } else { 200 }, "{size}");
    }
}

/// How many streams it takes is known before it is asked.
#[tokio::test]
async fn a_burst_on_a_new_connection_to_a_target_of_few_streams() {
    let ran = Arc::new(Mutex::new(HashMap::<String, usize>::new()));
    let counted = Arc::clone(&ran);
    let target = Http2Target::with_streams(3, move |request| {
        let counted = Arc::clone(&counted);
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            if request.into_body().collect().await.is_ok() {
                *counted.lock().unwrap().entry(path).or_default() += 1;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            Response::new(full("well"))
        })
    });
    let (_health, proxy) = behind(target.address, "HTTP2");
    let client = Http2::connect(proxy.address()).await;
    for round in 0..20 {
        let calls = (0..30).map(|nth| {
            let client = &client;
            async move {
                let asked = request("POST", &format!("/{round}-{nth}"), full("body"));
                whole(client.send(asked).await.unwrap()).await.0
            }
        });
        let all = soon("answers", futures_util::future::join_all(calls)).await;
        assert!(all.iter().all(|&status| status == 200), "{all:?}");
    }
    let ran = ran.lock().unwrap();
    assert_eq!(ran.len(), 600);
    assert!(ran.values().all(|&times| times == 1));
}

#[tokio::test]
async fn an_upload_that_stalls_does_not_stop_other_clients_of_its_target() {
    let target = Http2Target::answering(|request| {
        Box::pin(async move {
            if request.uri().path() == "/stall" {
                tokio::time::sleep(Duration::from_secs(60)).await;
                drop(request);
                return Response::new(empty());
            }
            let body = request.into_body().collect().await.unwrap().to_bytes();
            Response::new(full(body.len().to_string()))
        })
    });
    let (_health, proxy) = behind(target.address, "HTTP2");
    let stalled = Arc::new(Http2::connect(proxy.address()).await);
    let asked = Arc::clone(&stalled);
    let stalling = tokio::spawn(async move {
        asked
            .send(request("POST", "/stall", full(vec![0; 3_000_000])))
            .await
            .is_ok()
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let other = Http2::connect(proxy.address()).await;
    let (status, _) = soon("a request without a body", other.get("/")).await;
    assert_eq!(status, 200);
    let sent = other.send(request("POST", "/other", full(vec![0; 200_000])));
    let response = soon("another client's upload", sent).await.unwrap();
    assert_eq!(whole(response).await, (200, Bytes::from("200000")));
    stalling.abort();
}
