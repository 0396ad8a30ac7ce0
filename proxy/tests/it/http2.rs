//! HTTP/2 clients: many requests at once on one connection, each of which may end without the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;

use crate::harness::http2::{Http2, connect, empty, full, growing, request, whole};
use crate::harness::{Gate, PATIENCE, Proxy, Setup, Target, ok};

const MIB: usize = 1024 * 1024;

fn behind(target: &Target) -> Proxy {
    Setup::to([target.address]).https().start()
}

/// Takes requests and answers none.
fn silent() -> Target {
    Target::scripted(|connection| {
        connection.request()?;
        connection.rest().map(drop)
    })
}

/// Like `harness::until`, for a test that also drives connections.
async fn until_async(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waited).await;
    assert!(waited.is_ok(), "waited in vain: {what}");
}

#[tokio::test]
async fn a_request_does_not_wait_for_a_slow_one() {
    let gate = Gate::default();
    let closed = gate.clone();
    let target = Target::answering(move |request| {
        if request.uri() == "/slow" {
            closed.pass();
        }
        ok(request.uri())
    });
    let proxy = behind(&target);
    let client = Http2::connect(proxy.address()).await;
    let slow = client.send(request("GET", "/slow", empty()));
    let quick = async {
        let answer = client.get("/quick").await;
        gate.open();
        answer
    };
    let (slow, quick) = tokio::join!(slow, quick);
    assert_eq!(quick, (200, Bytes::from("/quick")));
    assert_eq!(whole(slow.unwrap()).await, (200, Bytes::from("/slow")));
    let lines = proxy.log(2);
    assert!(lines.iter().all(|line| line["type"] == "h2"));
    let request_line = format!("GET https://example.com:{}/quick HTTP/2.0", proxy.port());
    assert_eq!(lines[0]["request_line"], request_line);
}

#[tokio::test]
async fn as_many_streams_at_once_as_the_alb_allows() {
    let gate = Gate::default();
    let (closed, now, most) = (
        gate.clone(),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
    );
    let (running, peak) = (Arc::clone(&now), Arc::clone(&most));
    let target = Target::answering(move |request| {
        let at_once = running.fetch_add(1, SeqCst) + 1;
        peak.fetch_max(at_once, SeqCst);
        closed.pass();
        running.fetch_sub(1, SeqCst);
        ok(request.uri())
    });
    let proxy = behind(&target);
    let client = Arc::new(Http2::connect(proxy.address()).await);
    let requests: Vec<_> = (0..150)
        .map(|nth| {
            let client = Arc::clone(&client);
            tokio::spawn(async move { client.get(&format!("/{nth}")).await })
        })
        .collect();
    until_async("128 at once", || now.load(SeqCst) == 128).await;
    gate.open();
    for (nth, request) in requests.into_iter().enumerate() {
        assert_eq!(
            request.await.unwrap(),
            (200, Bytes::from(format!("/{nth}")))
        );
    }
    assert_eq!(most.load(SeqCst), 128);
    proxy.log(150);
}

#[tokio::test]
async fn uploads_keep_their_framing() {
    let target = Target::answering(|request| ok(&request.body.len().to_string()));
    let proxy = behind(&target);
    let client = Http2::connect(proxy.address()).await;
    let counted = client.send(request("POST", "/", full(vec![1; 4 * MIB])));
    assert_eq!(whole(counted.await.unwrap()).await.1, (4 * MIB).to_string());

    let (sender, body) = growing();
    let feed = async move {
        for _ in 0..64 {
            sender.send(Bytes::from(vec![2; 64 * 1024])).await.unwrap();
        }
    };
    let (grown, ()) = tokio::join!(client.send(request("POST", "/", body)), feed);
    assert_eq!(whole(grown.unwrap()).await.1, (4 * MIB).to_string());

    let requests = target.requests();
    let length = (4 * MIB).to_string();
    assert_eq!(requests[0].field("content-length"), Some(length.as_str()));
    assert_eq!(requests[1].field("transfer-encoding"), Some("chunked"));
    assert!(!requests[1].has("content-length"));
}

#[tokio::test]
async fn a_large_download_arrives_whole() {
    let target = Target::answering(|_| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 32 * MIB);
        [head.as_bytes(), &vec![3; 32 * MIB]].concat()
    });
    let proxy = behind(&target);
    let client = Http2::connect(proxy.address()).await;
    let (status, body) = client.get("/").await;
    assert_eq!((status, body.len()), (200, 32 * MIB));
    assert!(body.iter().all(|byte| *byte == 3));
}

#[tokio::test]
async fn a_stream_reset_while_waiting_cancels_the_targets_work() {
    let target = silent();
    let proxy = behind(&target);
    let client = Http2::connect(proxy.address()).await;
    let waiting = client.send(request("GET", "/", empty()));
    tokio::select! {
        _ = waiting => panic!("nobody answers"),
        () = until_async("the request at the target", || !target.requests().is_empty()) => {}
    }
    until_async("the target is let go", || target.open_connections() == 0).await;
    let line = proxy.log_line();
    assert_eq!(line["elb_status_code"], 460);
    assert_eq!(line["reason"], "client_closed");
}

#[tokio::test]
async fn a_stream_reset_in_the_response_cancels_the_targets_work() {
    let target = Target::scripted(|connection| {
        connection.request()?;
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")?;
        connection.rest().map(drop)
    });
    let proxy = behind(&target);
    let client = Http2::connect(proxy.address()).await;
    let response = client.send(request("GET", "/", empty())).await.unwrap();
    assert_eq!(response.status(), 200);
    drop(response);
    until_async("the target is let go", || target.open_connections() == 0).await;
    let line = proxy.log_line();
    assert_eq!(line["elb_status_code"], 200);
    assert_eq!(line["reason"], "client_closed");
    assert!(!client.driver.is_finished(), "the connection lives");
}

#[tokio::test]
async fn a_truncated_body_is_a_reset_stream() {
    let target = Target::scripted(|connection| {
        connection.request()?;
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
    });
    let proxy = behind(&target);
    let client = Http2::connect(proxy.address()).await;
    let response = client.send(request("GET", "/", empty())).await.unwrap();
    let body = response.into_body().collect().await;
    assert!(body.is_err(), "half a body passed for a whole one");
    assert_eq!(proxy.log_line()["reason"], "target_response_incomplete");
}

#[tokio::test]
async fn an_early_answer_ends_the_upload_and_nothing_else() {
    let target = Target::scripted(|connection| {
        let head = connection.request_head()?;
        connection.send(ok(head.uri()))?;
        connection.rest().map(drop)
    });
    let proxy = behind(&target);
    let client = Http2::connect(proxy.address()).await;
    for _ in 0..3 {
        let (sender, body) = growing();
        let response = client.send(request("POST", "/early", body)).await.unwrap();
        assert_eq!(whole(response).await, (200, Bytes::from("/early")));
        drop(sender);
    }
}

#[tokio::test]
async fn trailers_reach_a_client_that_offered_to_take_them() {
    let target = Target::answering(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n"
            .to_vec()
    });
    let proxy = behind(&target);
    let client = Http2::connect(proxy.address()).await;
    let mut offering = request("GET", "/", empty());
    let trailers = "trailers".parse().unwrap();
    offering.headers_mut().insert("te", trailers);
    let response = client.send(offering).await.unwrap();
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["x-sum"], "7");
    let response = client.send(request("GET", "/", empty())).await.unwrap();
    let body = response.into_body().collect().await.unwrap();
    assert!(body.trailers().is_none());
}

#[tokio::test]
async fn answers_of_the_proxys_own_are_whole() {
    let proxy = Setup::to([])
        .rule(1, "{ path_pattern = ['/fixed'] }", "fixed")
        .https()
        .start();
    let client = Http2::connect(proxy.address()).await;
    assert_eq!(client.get("/fixed").await, (200, Bytes::from("fixed")));
    let response = client.send(request("GET", "/", empty())).await.unwrap();
    assert_eq!(response.headers()["server"], "lintel");
    assert_eq!(response.headers()["content-type"], "text/html");
    let (status, page) = whole(response).await;
    assert_eq!((status, page.len()), (503, 162));
    let head = client
        .send(request("HEAD", "/fixed", empty()))
        .await
        .unwrap();
    assert_eq!(head.headers()["content-length"], "5");
    assert_eq!(whole(head).await.1.len(), 0);
}

#[tokio::test]
async fn a_connection_without_streams_ends_when_it_was_idle_for_too_long() {
    let target = Target::saying("app");
    let proxy = Setup::to([target.address])
        .https()
        .with("idle_timeout = 0.5")
        .start();
    let client = Http2::connect(proxy.address()).await;
    assert_eq!(client.get("/").await.0, 200);
    let ended = tokio::time::timeout(PATIENCE, client.driver).await;
    assert!(ended.expect("a GOAWAY").unwrap().is_ok());
}

#[tokio::test]
async fn a_response_without_content_says_no_length() {
    let target = Target::saying("never");
    let proxy = Setup::to([target.address])
        .https()
        .rule_action(
            1,
            "{ path_pattern = ['/*'] }",
            "{ type = 'fixed-response', status_code = '204' }",
        )
        .start();
    let client = Http2::connect(proxy.address()).await;
    let answer = client.send(request("GET", "/", empty())).await.unwrap();
    assert_eq!(answer.status(), 204);
    assert!(!answer.headers().contains_key("content-length"));
}

/// The last of a response may lie with us long after its target has sent it.
#[tokio::test]
async fn a_client_that_reads_slowly_gets_all_of_it() {
    const WINDOW: usize = 16 * 1024;
    const BODY: usize = 60 * 1024;
    let target = Target::answering(|_| ok(&"x".repeat(BODY)));
    let proxy = Setup::to([target.address])
        .https()
        .with("idle_timeout = 0.6")
        .start();
    let client = Http2::connect_with_window(proxy.address(), WINDOW as u32).await;
    let response = client.send(request("GET", "/", empty())).await.unwrap();
    let mut body = response.into_body();
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let piece = frame.unwrap().into_data().unwrap();
        read += piece.len();
        // A window of 16 KiB in 0.4 s: slower than the idle time-out as a whole, but never still for as long.
        let share = piece.len() as f64 / WINDOW as f64;
        tokio::time::sleep(Duration::from_millis(400).mul_f64(share)).await;
    }
    assert_eq!(read, BODY);
    assert!(proxy.log_line()["reason"].is_null());
}

/// A target may answer while it reads, and its client may send all before it reads the rest of the answer.
#[tokio::test]
async fn an_upload_goes_on_while_its_response_waits_for_the_client() {
    const UPLOAD: usize = 2 * MIB;
    const FIRST: usize = 192 * 1024;
    let target = Target::scripted(|connection| {
        connection.request_head()?;
        let length = FIRST + UPLOAD;
        connection.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
        ))?;
        connection.send(vec![b'.'; FIRST])?;
        let upload = connection.bytes(UPLOAD)?;
        connection.send(upload)
    });
    let proxy = behind(&target);
    let client = Http2::connect_with_window(proxy.address(), 16 * 1024).await;
    let (sender, body) = growing();
    let mut sending = request("POST", "/mirror", body);
    sending
        .headers_mut()
        .insert("content-length", UPLOAD.into());
    let response = client.send(sending).await.unwrap();
    assert_eq!(response.status(), 200);
    let upload: Vec<u8> = (0..UPLOAD).map(|nth| (nth / 1000) as u8).collect();
    let send_all = async {
        for piece in upload.chunks(32 * 1024) {
            sender.send(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        drop(sender);
    };
    let sent = tokio::time::timeout(PATIENCE, send_all).await;
    assert!(sent.is_ok(), "the upload stands still");
    let (_, content) = whole(response).await;
    assert!(content[..FIRST].iter().all(|byte| *byte == b'.'));
    assert_eq!(content[FIRST..], upload);
    let line = proxy.log_line();
    assert!(line["reason"].is_null());
    assert!(line["received_bytes"].as_u64() > Some(UPLOAD as u64));
}

/// By a client that hears of them, which hyper's does not.
#[tokio::test]
async fn a_client_hears_of_interim_responses() {
    let target = Target::scripted(|connection| {
        connection.request_head()?;
        connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x\r\n\r\n")?;
        let body = connection.bytes(5)?;
        connection.send(ok(&String::from_utf8_lossy(&body)))
    });
    let proxy = behind(&target);
    let stream = connect(proxy.address()).await;
    let (mut sender, driver) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(driver);
    let request = Request::post("https://example.com/")
        .header("expect", "100-continue")
        .header("content-length", "5")
        .body(())
        .unwrap();
    let (mut response, mut body) = sender.send_request(request, false).unwrap();
    let mut interim = Vec::new();
    while interim.len() < 2 {
        let next = std::future::poll_fn(|cx| response.poll_informational(cx));
        let next = tokio::time::timeout(PATIENCE, next).await;
        interim.push(next.expect("an interim response").unwrap().unwrap());
    }
    let statuses: Vec<_> = interim.iter().map(|head| head.status().as_u16()).collect();
    assert_eq!(statuses, [100, 103]);
    assert_eq!(interim[1].headers()["link"], "</a.css>");
    assert!(!interim[1].headers().contains_key("connection"));
    body.send_data(Bytes::from("hello"), true).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), 200);
    let content = response.into_body().data().await.unwrap().unwrap();
    assert_eq!(content, "hello");
    driver.abort();
    assert!(proxy.log_line()["reason"].is_null());
}

/// What HTTP/1.1 refuses in a path does not come in by the other door.
#[tokio::test]
async fn paths_are_as_plain_as_those_of_http1() {
    let target = Target::answering(|request| ok(request.uri()));
    let proxy = behind(&target);
    let client = Http2::connect(proxy.address()).await;
    for path in ["/\u{e9}t\u{e9}", "/?q=\u{e9}", "/a\\b"] {
        let (status, _) = client.get(path).await;
        let over_http1 = proxy.connect_tls().get(path).status();
        assert_eq!((status, over_http1), (400, 400), "{path}");
    }
    assert!(target.requests().is_empty());
    assert_eq!(client.get("/%C3%A9?a=%5C").await.0, 200);
}

/// However the connection ends under a stream, the target is let go and the record says why.
#[tokio::test]
async fn what_ends_a_connection_ends_its_streams() {
    let target = silent();
    let proxy = behind(&target);
    let client = Http2::connect(proxy.address()).await;
    let waiting = client.send(request("GET", "/", empty()));
    tokio::select! {
        _ = waiting => panic!("nobody answers"),
        () = until_async("the request at the target", || !target.requests().is_empty()) => {}
    }
    client.driver.abort();
    until_async("the target is let go", || target.open_connections() == 0).await;
    assert_eq!(proxy.log_line()["reason"], "client_closed");

    let target = silent();
    let setup = Setup::to([target.address]).https();
    let proxy = setup.with("shutdown_timeout = 0.3").start();
    let client = Http2::connect(proxy.address()).await;
    let waiting = client.send(request("GET", "/", empty()));
    let stop = async {
        until_async("the request at the target", || {
            !target.requests().is_empty()
        })
        .await;
        proxy.request_stop();
    };
    let (waiting, ()) = tokio::join!(waiting, stop);
    assert!(waiting.is_err());
    assert_eq!(proxy.log_line()["reason"], "shutdown");

    let target = Target::answering(|_| ok(&"x".repeat(MIB)));
    let setup = Setup::to([target.address]).https();
    let proxy = setup.with("idle_timeout = 0.5").start();
    let client = Http2::connect_with_window(proxy.address(), 16 * 1024).await;
    let response = client.send(request("GET", "/", empty())).await.unwrap();
    until_async("the target is let go", || target.open_connections() == 0).await;
    assert_eq!(proxy.log_line()["reason"], "client_stalled");
    drop(response);
}
