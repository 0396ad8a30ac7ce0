//! Target groups of the protocol versions HTTP2 and GRPC: which requests they take, and what becomes of streams.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};
use http::{Request, Response};
use http_body_util::BodyExt;
use lintel_proxy::config;

use crate::harness::client::get;
use crate::harness::http2::{Body, Http2, empty, full, growing, request, whole};
use crate::harness::http2_target::{Answer, Http2Target, growing_with_trailers};
use crate::harness::tls::{TlsFront, write_certificates};
use crate::harness::{PATIENCE, Proxy, Setup, Target, ok};

mod endings;

const MIB: usize = 1024 * 1024;

fn behind(target: &Http2Target, version: &str) -> Proxy {
    setup(target, version).start()
}

fn setup(target: &Http2Target, version: &str) -> Setup {
    // Health is checked with the group's version too.
    let health = format!(
        "health_check = {{ port = {}, interval = 0.2, matcher = '{}' }}",
        target.address.port(),
        if version == "GRPC" { "0-99" } else { "200-499" }
    );
    Setup::to([target.address])
        .https()
        .with("workers = 1")
        .group(&format!("protocol_version = '{version}'"))
        .group(&health)
}

#[test]
fn a_websocket_fits_no_group_of_http2() {
    for version in ["HTTP2", "GRPC"] {
        let target = Http2Target::saying("well");
        let proxy = setup(&target, version).start_unhealthy();
        let mut client = proxy.connect_tls();
        client
            .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            .unwrap();
        assert_eq!(client.response().unwrap().status(), 464, "{version}");
    }
}

fn echo() -> Http2Target {
    Http2Target::answering(|request| {
        Box::pin(async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            Response::builder()
                .header("x-length", body.len())
                .body(full(body))
                .unwrap()
        })
    })
}

/// Not of health checks.
fn requests(target: &Http2Target) -> Vec<http::request::Parts> {
    let mut requests = target.requests();
    requests.retain(|request| {
        let agent = request.headers.get("user-agent");
        agent.is_none_or(|agent| agent != "ELB-HealthChecker/2.0")
    });
    requests
}

async fn until_async(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waited).await;
    assert!(waited.is_ok(), "waited in vain: {what}");
}

fn call(path: &str, body: Body) -> Request<Body> {
    let mut call = request("POST", path, body);
    let headers = call.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("te", HeaderValue::from_static("trailers"));
    call
}

fn grpc_status(status: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    trailers
}

/// Answers each piece of the request as it comes, and behind the last one with a status.
fn calls() -> Http2Target {
    Http2Target::answering(|request| -> Answer {
        Box::pin(async move {
            let (sender, body) = growing_with_trailers(grpc_status("0"));
            let mut pieces = request.into_body();
            tokio::spawn(async move {
                while let Some(Ok(frame)) = pieces.frame().await {
                    let Ok(piece) = frame.into_data() else { break };
                    if sender.send(piece).await.is_err() {
                        break;
                    }
                }
            });
            Response::builder()
                .header("content-type", "application/grpc")
                .body(body)
                .unwrap()
        })
    })
}

#[tokio::test]
async fn requests_reach_the_target_as_http2() {
    let target = echo();
    let proxy = behind(&target, "HTTP2");
    let client = Http2::connect(proxy.address()).await;
    let mut sent = request("PUT", "/a/b?c=d", full("hello"));
    let headers = sent.headers_mut();
    headers.insert("x-custom", HeaderValue::from_static("1"));
    headers.append("cookie", HeaderValue::from_static("a=1"));
    headers.append("cookie", HeaderValue::from_static("b=2"));
    let response = client.send(sent).await.unwrap();
    assert_eq!(response.headers()["x-length"], "5");
    assert_eq!(whole(response).await, (200, Bytes::from("hello")));

    let seen = requests(&target).remove(0);
    let port = proxy.port();
    assert_eq!(seen.method, "PUT");
    assert_eq!(
        seen.uri.to_string(),
        format!("http://example.com:{port}/a/b?c=d")
    );
    assert_eq!(seen.headers["x-custom"], "1");
    assert_eq!(seen.headers["cookie"], "a=1; b=2");
    assert_eq!(seen.headers["x-forwarded-for"], "127.0.0.1");
    assert_eq!(seen.headers["x-forwarded-proto"], "https");
    assert_eq!(seen.headers["x-forwarded-port"], port.to_string());
    assert_eq!(seen.headers["content-length"], "5");
    assert!(seen.headers.contains_key("x-amzn-trace-id"));
    assert!(!seen.headers.contains_key("host"));
    let record = proxy.log_line();
    assert_eq!(record["target_status_code"], 200);
    assert_eq!(record["target_port"], target.address.to_string());
}

#[tokio::test]
async fn which_requests_fit_which_group() {
    let http1 = Target::saying("1");
    let http2 = Http2Target::saying("2");
    let grpc = calls();
    let to_http1 = Setup::to([http1.address]).https().start();
    let to_http2 = behind(&http2, "HTTP2");
    let to_grpc = behind(&grpc, "GRPC");
    for (proxy, version, old, plain, posted, called) in [
        (&to_http1, "HTTP1", 200, 200, 200, 464),
        (&to_http2, "HTTP2", 464, 200, 200, 200),
        (&to_grpc, "GRPC", 464, 464, 200, 200),
    ] {
        let mut client = proxy.connect_tls_as("example.com", &["http/1.1"]);
        assert_eq!(
            client.exchange(get("/")).status(),
            old,
            "HTTP/1.1 to {version}"
        );
        let client = Http2::connect(proxy.address()).await;
        for (request, status) in [
            (request("GET", "/", empty()), plain),
            (request("POST", "/", full("x")), posted),
            (call("/a.B/C", full("x")), called),
        ] {
            let what = format!("{request:?} to {version}");
            let response = client.send(request).await.unwrap();
            assert_eq!(response.status(), status, "{what}");
        }
        let refused = proxy.log(4);
        let mismatches = refused
            .iter()
            .filter(|record| record["reason"] == "protocol_mismatch");
        let expected = [old, plain, posted, called];
        let expected = expected.iter().filter(|&&status| status == 464).count();
        assert_eq!(mismatches.count(), expected);
    }
}

#[tokio::test]
async fn turns_and_draining_are_the_same_with_every_version() {
    let saying = |name: &'static str| {
        Http2Target::answering(move |request| {
            Box::pin(async move {
                if request.uri().path() == "/slow" {
                    std::future::pending::<()>().await;
                }
                Response::builder()
                    .header("grpc-status", "0")
                    .header("content-type", "application/grpc")
                    .body(full(name))
                    .unwrap()
            })
        })
    };
    for (version, matcher) in [("HTTP2", "200"), ("GRPC", "0")] {
        let targets = [saying("a"), saying("b")];
        let health = format!("health_check = {{ interval = 0.2, matcher = '{matcher}' }}");
        let proxy = Setup::to(targets.iter().map(|target| target.address))
            .https()
            .with("workers = 1")
            .group(&format!("protocol_version = '{version}'"))
            .group("deregistration_delay = 0.2")
            .group(&health)
            .start();
        let client = Http2::connect(proxy.address()).await;
        let ask = || async {
            let response = client.send(request("POST", "/", full("x"))).await;
            whole(response.unwrap()).await.1
        };
        let turns = [ask().await, ask().await, ask().await, ask().await];
        assert_ne!(turns[0], turns[1], "{version}: {turns:?}");
        assert_eq!(turns[..2], turns[2..], "{version}: {turns:?}");

        let [a, b] = &targets;
        let deregister = |target: &Http2Target| {
            let path = format!("/target-groups/app/targets/{}", target.address);
            assert_eq!(proxy.admin("DELETE", &path).status(), 202);
        };
        deregister(a);
        assert_eq!([ask().await, ask().await], ["b", "b"], "{version}");
        let slow = client.send(request("POST", "/slow", full("x")));
        let taken_away = async {
            let is_slow = |request: &http::request::Parts| request.uri.path() == "/slow";
            until_async("the request", || b.requests().iter().any(is_slow)).await;
            deregister(b);
        };
        let (slow, ()) = tokio::join!(slow, taken_away);
        assert_eq!(slow.unwrap().status(), 502, "{version}");
    }
}

/// Over HTTP/1.1: `alb_requests::a_name_of_the_listeners_own_is_not_said_by_trailers`.
#[tokio::test]
async fn a_name_of_the_listeners_own_is_not_said_by_trailers() {
    let target = Http2Target::answering(|request| {
        Box::pin(async move {
            let body = request.into_body().collect().await.unwrap();
            let trailers = body.trailers().map_or(0, HeaderMap::len);
            let answer = Response::builder().header("x-trailers", trailers);
            answer.body(empty()).unwrap()
        })
    });
    let renamed = "routing_http_request_x_amzn_tls_version_header_name = 'X-V'";
    let setup = setup(&target, "HTTP2");
    for (setup, passed_on) in [(setup.clone(), "1"), (setup.listener(renamed), "0")] {
        let proxy = setup.start();
        let client = Http2::connect(proxy.address()).await;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-v", HeaderValue::from_static("forged"));
        let (sender, body) = growing_with_trailers(trailers);
        drop(sender);
        let response = client.send(request("POST", "/", body)).await.unwrap();
        assert_eq!(response.headers()["x-trailers"], passed_on);
    }
}

#[tokio::test]
async fn a_call_streams_both_ways_and_ends_with_its_status() {
    let target = calls();
    let proxy = behind(&target, "GRPC");
    let client = Http2::connect(proxy.address()).await;
    let (sender, body) = growing();
    let response = client.send(call("/chat.Chat/Talk", body)).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/grpc");
    let mut pieces = response.into_body();
    for word in ["one", "two", "three"] {
        sender.send(Bytes::from(word)).await.unwrap();
        let piece = pieces.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(piece, word, "before the request has ended");
    }
    drop(sender);
    let trailers = pieces
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_trailers()
        .unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    assert!(pieces.frame().await.is_none());
    assert_eq!(proxy.log_line()["target_status_code"], 200);
}

#[tokio::test]
async fn large_bodies_arrive_whole_in_both_directions_at_once() {
    let target = calls();
    let proxy = behind(&target, "HTTP2");
    let client = Http2::connect(proxy.address()).await;
    let (sender, body) = growing();
    let feed = async move {
        for nth in 0..256_u32 {
            sender
                .send(Bytes::from(vec![nth as u8; 64 * 1024]))
                .await
                .unwrap();
        }
    };
    let answered = async {
        let response = client.send(request("POST", "/", body)).await.unwrap();
        whole(response).await.1
    };
    let (echoed, ()) = tokio::join!(answered, feed);
    assert_eq!(echoed.len(), 16 * MIB);
    for (nth, block) in echoed.chunks(64 * 1024).enumerate() {
        assert!(block.iter().all(|&byte| byte == nth as u8), "block {nth}");
    }
}

#[tokio::test]
async fn many_requests_share_one_connection() {
    let target = echo();
    let proxy = behind(&target, "HTTP2");
    let client = Http2::connect(proxy.address()).await;
    let calls = (0..100).map(|nth| client.get_owned(format!("/{nth}")));
    for (status, _) in futures_util::future::join_all(calls).await {
        assert_eq!(status, 200);
    }
    assert_eq!(requests(&target).len(), 100);
    until_async("one connection", || target.open_connections() == 1).await;
    assert_eq!(proxy.metric("active_connection_count{side=\"target\"}"), 1);
}

#[tokio::test]
async fn a_targets_limit_on_streams_is_kept() {
    let running = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&running);
    let target = Http2Target::with_streams(2, move |request| {
        let counted = std::sync::Arc::clone(&counted);
        Box::pin(async move {
            if request.uri().path() != "/warm" {
                counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Response::new(full("well"))
        })
    });
    let proxy = behind(&target, "HTTP2");
    let client = Http2::connect(proxy.address()).await;
    // The target's settings are known then.
    assert_eq!(client.get("/warm").await.0, 200);
    let calls = (0..10).map(|nth| client.get_owned(format!("/{nth}")));
    for (status, _) in futures_util::future::join_all(calls).await {
        assert_eq!(status, 200);
    }
    assert!(target.open_connections() >= 5, "two streams on each");
}

#[tokio::test]
async fn over_tls_http2_is_negotiated() {
    let target = echo();
    let front = TlsFront::of_http2(target.address);
    let proxy = Setup::to([front.address])
        .https()
        .with("workers = 1")
        .group("protocol = 'HTTPS'")
        .group("protocol_version = 'HTTP2'")
        .group("health_check = { protocol = 'HTTPS', interval = 0.2 }")
        .start();
    let client = Http2::connect(proxy.address()).await;
    assert_eq!(client.get("/").await.0, 200);
    assert_eq!(requests(&target)[0].uri.scheme_str(), Some("https"));
}

#[tokio::test]
async fn health_is_checked_with_the_groups_version() {
    let target = Http2Target::answering(|request| {
        Box::pin(async move {
            let status = if request.method() == "POST" {
                "12"
            } else {
                "0"
            };
            Response::builder()
                .header("content-type", "application/grpc")
                .header("grpc-status", status)
                .body(empty())
                .unwrap()
        })
    });
    let port = target.address.port();
    for (version, method, path, matcher) in [
        ("GRPC", "POST", "/AWS.ALB/healthcheck", "12"),
        ("HTTP2", "GET", "/", "200"),
    ] {
        let before = target.requests().len();
        let proxy = Setup::to([target.address])
            .group(&format!("protocol_version = '{version}'"))
            .group(&format!(
                "health_check = {{ port = {port}, interval = 0.2 }}"
            ))
            .start();
        proxy.wait_for_health(target.address, "healthy");
        let check = target.requests().remove(before);
        assert_eq!(check.method, method);
        assert_eq!(check.uri.path(), path);
        assert_eq!(check.headers["user-agent"], "ELB-HealthChecker/2.0");
        drop(proxy);

        let other = if version == "GRPC" { "0" } else { "201" };
        let proxy = Setup::to([target.address])
            .group(&format!("protocol_version = '{version}'"))
            .group(&format!(
                "health_check = {{ port = {port}, interval = 0.2, matcher = '{other}' }}"
            ))
            .start_unhealthy();
        proxy.wait_for_health(target.address, "unhealthy");
        let (_, reason) = proxy.health_of(target.address);
        assert_eq!(reason.as_deref(), Some("Target.ResponseCodeMismatch"));
        let shown = proxy.target_health();
        let description = &shown["target_groups"][0]["targets"][0]["description"];
        let expected = format!("Health checks failed with these codes: [{matcher}]");
        assert_eq!(*description, expected);
    }
}

#[test]
fn a_listener_without_http2_in_front_of_it_is_a_warning() {
    let text = |protocol: &str| {
        let certificate = match protocol {
            "HTTPS" => "certificate = { chain = 'site.pem', key = 'site.key' }",
            _ => "",
        };
        format!(
            "[[target_group]]\nname = 'app'\nport = 1\nprotocol_version = 'GRPC'\ntargets = ['10.0.0.1']\n\
             [[listener]]\nport = 443\nprotocol = '{protocol}'\n{certificate}\n\
             default_action = {{ type = 'forward', target_group = 'app' }}\n"
        )
    };
    let directory = tempfile::tempdir().unwrap();
    write_certificates(directory.path());
    let warnings = |protocol: &str| {
        let loaded = config::parse(&text(protocol), &directory.path().join("f.toml")).unwrap();
        let lines = loaded.warnings.iter().map(ToString::to_string);
        lines.collect::<Vec<_>>()
    };
    assert_eq!(warnings("HTTPS"), [""; 0]);
    let warned = warnings("HTTP");
    assert_eq!(warned.len(), 1);
    assert!(
        warned[0].ends_with(
            "f.toml:6:1: warning: listener[0]: speaks HTTP/1.1 only, and every request that it forwards to `app` \
             gets a 464; set protocol = \"HTTPS\", or protocol_version = \"HTTP1\" in the target group"
        ),
        "{warned:?}"
    );
}
