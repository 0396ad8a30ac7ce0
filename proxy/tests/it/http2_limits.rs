//! What an HTTP/2 client may do is bounded as it is over HTTP/1.1, and by what only HTTP/2 makes cheap.

use std::time::Duration;

use bytes::Bytes;
use http::Request;

use crate::harness::http2::{Http2, connect, empty, request, whole};
use crate::harness::{PATIENCE, Proxy, Setup, Target, ok};

fn behind(target: &Target) -> Proxy {
    Setup::to([target.address]).https().start()
}

/// The ALB's limits hold however a head comes.
#[tokio::test]
async fn heads_are_held_to_the_limits_of_http1() {
    let target = Target::saying("app");
    let proxy = behind(&target);
    let client = Http2::connect(proxy.address()).await;
    let long = format!("/{}", "a".repeat(20_000));
    let long = client.get(&long).await.0;
    let mut large = request("GET", "/", empty());
    let value = "y".repeat(20_000).parse().unwrap();
    large.headers_mut().insert("x", value);
    let large = whole(client.send(large).await.unwrap()).await.0;
    assert_eq!((long, large), (414, 413));
    assert!(target.requests().is_empty());
    for (count, status) in [(2048, 200), (2049, 413)] {
        let mut many = request("GET", "/", empty());
        for nth in 0..count {
            let name = http::HeaderName::try_from(format!("x-{nth}")).unwrap();
            many.headers_mut().insert(name, "y".parse().unwrap());
        }
        let many = client.send(many).await.unwrap();
        assert_eq!(many.status(), status, "{count}");
    }
}

/// Also one of which not everything is kept, after which both sides still have the same table.
#[tokio::test]
async fn a_head_that_is_too_large_is_answered_and_logged() {
    let target = Target::saying("app");
    let proxy = behind(&target);
    let client = Http2::connect(proxy.address()).await;
    for fields in [12, 40] {
        let mut large = request("GET", "/", empty());
        for nth in 0..fields {
            let name = http::HeaderName::try_from(format!("x-{nth}")).unwrap();
            let value = "y".repeat(6000).parse().unwrap();
            large.headers_mut().insert(name, value);
        }
        assert_eq!(whole(client.send(large).await.unwrap()).await.0, 413);
        assert_eq!(client.get("/").await.0, 200);
    }
    let log = proxy.log(4);
    for record in [&log[0], &log[2]] {
        assert_eq!(record["reason"], "request_head_too_large");
    }
}

/// RFC 9110 6.5.1, as over HTTP/1.1.
#[tokio::test]
async fn a_clients_trailers_do_not_say_what_belongs_into_a_head() {
    let target = Target::answering(|_| ok(""));
    let proxy = behind(&target);
    let stream = connect(proxy.address()).await;
    let (mut sender, driver) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(driver);
    let request = Request::post("https://example.com/").header("te", "trailers");
    let (response, mut body) = sender
        .send_request(request.body(()).unwrap(), false)
        .unwrap();
    body.send_data(Bytes::from("hello"), false).unwrap();
    let mut trailers = http::HeaderMap::new();
    for name in [
        "x-sum",
        "content-length",
        "host",
        "authorization",
        "cookie",
        "x_forwarded_for",
    ] {
        trailers.insert(name, "7".parse().unwrap());
    }
    body.send_trailers(trailers).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
    driver.abort();
    let sum = ("x-sum".to_owned(), "7".to_owned());
    assert_eq!(target.only_request().trailers, [sum]);
}

/// CVE-2023-44487, by a client that waits until each request is at work: every reset costs a connection to a target.
#[tokio::test]
async fn a_client_that_only_resets_is_sent_away() {
    let target = Target::scripted(|connection| {
        connection.request()?;
        connection.rest().map(drop)
    });
    let proxy = behind(&target);
    let stream = connect(proxy.address()).await;
    let (mut sender, driver) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(driver);
    for nth in 0..1500 {
        if std::future::poll_fn(|cx| sender.poll_ready(cx))
            .await
            .is_err()
        {
            return;
        }
        let request = Request::get("https://example.com/").body(()).unwrap();
        let Ok((response, _)) = sender.send_request(request, true) else {
            return;
        };
        while target.requests().len() <= nth && !driver.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(response);
    }
    panic!("1500 requests, all of them reset, and the connection lives");
}

/// As at an ALB, which tells clients to open another connection then.
#[tokio::test]
async fn after_ten_thousand_requests_a_connection_says_goodbye_and_loses_nothing() {
    let proxy = Setup::to([])
        .https()
        .rule_action(
            1,
            "{ path_pattern = ['/*'] }",
            "{ type = 'fixed-response', status_code = '204' }",
        )
        .start();
    let client = Http2::connect(proxy.address()).await;
    let mut answered = 0;
    let refused = loop {
        let batch = (0..100).map(|_| client.send(request("GET", "/", empty())));
        let (good, bad): (Vec<_>, Vec<_>) = futures_util::future::join_all(batch)
            .await
            .into_iter()
            .partition(Result::is_ok);
        answered += good.len();
        if let Some(error) = bad.into_iter().find_map(Result::err) {
            break error;
        }
        assert!(answered < 11_000, "it goes on for ever");
    };
    assert!(
        refused.is_canceled() || refused.is_closed(),
        "never sent: {refused:?}"
    );
    // And what was on its way when the client heard of it.
    assert!((10_000..10_300).contains(&answered), "{answered}");
    let ended = tokio::time::timeout(PATIENCE, client.driver).await;
    assert!(ended.unwrap().unwrap().is_ok(), "an end in order");
    assert_eq!(Http2::connect(proxy.address()).await.get("/").await.0, 204);
}
