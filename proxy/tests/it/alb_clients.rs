//! What an ALB grants to clients: connections kept or not, HTTP/2 or not, and an answer where no rule holds.

use std::time::Duration;

use crate::harness::http2::{self, Http2, empty, request, whole};
use crate::harness::{Gate, PATIENCE, Setup, Target, ok};

#[test]
fn an_old_client_needs_no_host_and_keeps_its_connection_only_if_it_asks() {
    let target = Target::saying("app");
    let proxy = Setup::to([target.address])
        .rule(1, "{ path_pattern = ['/fixed'] }", "fixed")
        .rule(2, "{ host_header = ['named.test'] }", "named")
        .start();
    let own = format!("web:{}", proxy.port());
    for (path, fields, text, kept) in [
        ("/", "", "app", false),
        ("/", "Connection: close\r\n", "app", false),
        ("/", "Connection: Keep-Alive\r\n", "app", true),
        ("/", "Connection: x, keep-alive\r\n", "app", true),
        ("/", "Host: named.test\r\n", "named", false),
        ("/fixed", "", "fixed", false),
        ("/fixed", "Connection: keep-alive\r\n", "fixed", true),
    ] {
        let case = format!("{path} {fields}");
        let mut client = proxy.connect();
        let old = format!("GET {path} HTTP/1.0\r\n{fields}\r\n");
        let answer = client.exchange(&old);
        assert_eq!((answer.status(), answer.text()), (200, text), "{case}");
        let connection = answer.field("connection");
        if kept {
            assert_eq!(connection, Some("keep-alive"), "{case}");
            assert_eq!(client.exchange(&old).text(), text, "{case}");
        } else {
            assert_ne!(connection, Some("keep-alive"), "{case}");
            client.assert_closed();
        }
    }
    let requests = target.requests();
    assert_eq!(requests.len(), 6);
    for request in requests {
        assert_eq!(request.start, "GET / HTTP/1.1");
        assert_eq!(request.field("host"), Some(own.as_str()));
    }
    // Only an old one.
    assert_eq!(
        proxy.connect().exchange("GET / HTTP/1.1\r\n\r\n").status(),
        400
    );
}

#[tokio::test]
async fn pings_keep_no_connection_open() {
    let target = Target::saying("app");
    let proxy = Setup::to([target.address])
        .https()
        .with("idle_timeout = 0.6")
        .start();
    let stream = http2::connect(proxy.address()).await;
    let (sender, mut connection) = h2::client::handshake(stream).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    tokio::spawn(connection);
    let alive = async {
        let mut answered = 0;
        while pings.ping(h2::Ping::opaque()).await.is_ok() {
            answered += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        answered
    };
    let answered = tokio::time::timeout(PATIENCE, alive).await;
    assert!(answered.expect("it is closed all the same") > 3);
    drop(sender);
}

#[tokio::test]
async fn http2_has_no_websockets() {
    let target = Target::saying("app");
    let proxy = Setup::to([target.address]).https().start();
    let stream = http2::connect(proxy.address()).await;
    let (sender, mut connection) = h2::client::handshake(stream).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    tokio::spawn(connection);
    // The settings have come before the answer.
    pings.ping(h2::Ping::opaque()).await.unwrap();
    assert!(!sender.is_extended_connect_protocol_enabled());
}

#[tokio::test]
async fn an_http2_connection_past_its_age_says_goodbye_and_loses_nothing() {
    let gate = Gate::default();
    let held = gate.clone();
    let target = Target::answering(move |request| {
        if request.uri() == "/slow" {
            held.pass();
        }
        ok("app")
    });
    let proxy = Setup::to([target.address])
        .https()
        .with("client_keep_alive = 1")
        .start();
    let client = Http2::connect(proxy.address()).await;
    let slow = tokio::spawn({
        let sender = client.sender.clone();
        async move {
            let mut sender = sender;
            sender.send_request(request("GET", "/slow", empty())).await
        }
    });
    let mut answered = 0;
    let refused = loop {
        match client.send(request("GET", "/", empty())).await {
            Ok(answer) => assert_eq!(whole(answer).await.0, 200),
            Err(error) => break error,
        }
        answered += 1;
        assert!(answered < 100_000, "it goes on for ever");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert!(
        refused.is_canceled() || refused.is_closed(),
        "never sent: {refused:?}"
    );
    gate.open();
    let slow = slow.await.unwrap().expect("what was under way is answered");
    assert_eq!(whole(slow).await.0, 200);
    assert_eq!(target.requests().len(), answered + 1);
    let ended = tokio::time::timeout(PATIENCE, client.driver).await;
    assert!(ended.unwrap().unwrap().is_ok(), "an end in order");
    assert_eq!(Http2::connect(proxy.address()).await.get("/").await.0, 200);
}

#[tokio::test]
async fn an_http2_connection_past_its_age_takes_one_more_request() {
    let target = Target::saying("app");
    let proxy = Setup::to([target.address])
        .https()
        .with("client_keep_alive = 0.3")
        .start();
    let client = Http2::connect(proxy.address()).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(
        !client.driver.is_finished(),
        "nobody has asked for anything"
    );
    assert_eq!(client.get("/").await.0, 200);
    let ended = tokio::time::timeout(PATIENCE, client.driver).await;
    assert!(ended.unwrap().unwrap().is_ok(), "an end in order");
}

#[test]
fn switched_off_http2_is_offered_to_nobody_who_comes_then() {
    let target = Target::saying("app");
    let setup = Setup::to([target.address]).https();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let proxy = setup.clone().start();
    let old = runtime.block_on(Http2::connect(proxy.address()));
    assert_eq!(runtime.block_on(old.get("/")).0, 200);

    proxy
        .reload(&setup.clone().with("enable_http2 = false"))
        .unwrap();
    for offered in [&["h2", "http/1.1"][..], &["http/1.1"]] {
        let mut client = proxy.connect_tls_as("example.com", offered);
        let chosen = client.stream().conn.alpn_protocol().map(<[u8]>::to_vec);
        assert_eq!(chosen.as_deref(), Some(&b"http/1.1"[..]), "{offered:?}");
        assert_eq!(client.get("/").text(), "app");
    }
    assert_eq!(runtime.block_on(old.get("/")).0, 200, "who was there stays");

    proxy.reload(&setup).unwrap();
    let new = runtime.block_on(Http2::connect(proxy.address()));
    assert_eq!(runtime.block_on(new.get("/")).0, 200);
}

#[test]
fn where_no_rule_holds_the_default_action_answers() {
    let target = Target::saying("app");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let forward = "default_action = { type = 'forward', target_group = 'app' }";
    for https in [false, true] {
        let mut setup = Setup::to([target.address]).rule_action(
            1,
            "{ path_pattern = ['/app/*'] }",
            "{ type = 'forward', target_group = 'app' }",
        );
        if https {
            setup = setup.https();
        }
        let proxy = setup.clone().start();
        for (action, status, location) in [
            (
                "{ type = 'fixed-response', status_code = '404', content_type = 'text/plain', message_body = 'nothing here' }",
                404,
                None,
            ),
            (
                "{ type = 'fixed-response', status_code = '503' }",
                503,
                None,
            ),
            (
                "{ type = 'redirect', host = 'new.test', port = '443', protocol = 'HTTPS', status_code = 'HTTP_301' }",
                301,
                Some("https://new.test:443/no/such?page=1"),
            ),
        ] {
            let text = setup
                .text()
                .replace(forward, &format!("default_action = {action}"));
            proxy.reload_text(&text).unwrap();
            if https {
                runtime.block_on(async {
                    let client = Http2::connect(proxy.address()).await;
                    let answer = client.send(request("GET", "/no/such?page=1", empty()));
                    let answer = answer.await.unwrap();
                    assert_eq!(answer.status(), status);
                    let found = answer.headers().get("location");
                    assert_eq!(found.map(|value| value.to_str().unwrap()), location);
                    assert_eq!(client.get("/app/1").await, (200, "app".into()));
                });
            } else {
                let mut client = proxy.connect();
                let answer = client.get("/no/such?page=1");
                assert_eq!(answer.status(), status);
                assert_eq!(answer.field("location"), location);
                assert_eq!(client.get("/app/1").text(), "app");
            }
        }
    }
    assert_eq!(target.requests().len(), 6, "the others reached no target");
}
