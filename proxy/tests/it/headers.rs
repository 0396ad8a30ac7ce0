//! Which header fields the target sees and which the client sees, whole lists compared, so that nothing slips in.

use crate::harness::http2::{self, Http2};
use crate::harness::{Message, Proxy, Setup, Target};

/// A target that shows what it got, behind a proxy.
fn start() -> (Target, Proxy) {
    let target = Target::saying("ok");
    let proxy = Setup::to([target.address]).start();
    (target, proxy)
}

/// What the target sees of a request with these fields.
fn seen(fields: &str) -> (Message, Proxy) {
    let (target, proxy) = start();
    let answer = proxy
        .connect()
        .exchange(format!("GET / HTTP/1.1\r\n{fields}\r\n"));
    assert_eq!(answer.status(), 200);
    (target.only_request(), proxy)
}

fn names(message: &Message) -> Vec<String> {
    let mut names: Vec<String> = message
        .fields
        .iter()
        .map(|(name, _)| name.to_ascii_lowercase())
        .collect();
    names.sort_unstable();
    names
}

/// What the proxy sets on every request.
const ALWAYS: [&str; 5] = [
    "host",
    "x-amzn-trace-id",
    "x-forwarded-for",
    "x-forwarded-port",
    "x-forwarded-proto",
];

fn always_and(more: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = ALWAYS.iter().chain(more).map(ToString::to_string).collect();
    names.sort_unstable();
    names
}

#[test]
fn the_target_sees_who_the_client_is() {
    let (request, proxy) = seen("Host: example.com\r\nAccept: */*\r\n");
    assert_eq!(names(&request), always_and(&["accept"]));
    assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.field("x-forwarded-proto"), Some("http"));
    let port = proxy.port().to_string();
    assert_eq!(request.field("x-forwarded-port"), Some(port.as_str()));
}

#[test]
fn over_tls_the_target_sees_https() {
    let target = Target::saying("ok");
    let proxy = Setup::to([target.address]).https().start();
    proxy.connect_tls().get("/");
    let request = target.only_request();
    assert_eq!(request.field("x-forwarded-proto"), Some("https"));
    assert_eq!(names(&request), always_and(&[]));
}

#[test]
fn a_chain_of_proxies_is_appended_to() {
    let (request, _) = seen(
        "Host: a\r\nX-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 198.51.100.2, 198.51.100.3\r\n\
         X-Forwarded-Proto: gopher\r\nX-Forwarded-Port: 70\r\n",
    );
    assert_eq!(
        request.field("x-forwarded-for"),
        Some("198.51.100.1, 198.51.100.2, 198.51.100.3, 127.0.0.1")
    );
    assert_eq!(request.field("x-forwarded-proto"), Some("http"));
    assert_eq!(request.all("x-forwarded-port").len(), 1);
}

#[test]
fn a_trace_id_is_made() {
    let (request, proxy) = seen("Host: a\r\n");
    let trace_id = request.field("x-amzn-trace-id").unwrap();
    let parts: Vec<&str> = trace_id
        .strip_prefix("Root=1-")
        .unwrap()
        .split('-')
        .collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    assert_eq!(lengths, [8, 24], "{trace_id}");
    let hex = |part: &&str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(parts.iter().all(hex), "{trace_id}");
    assert_eq!(proxy.log_line()["trace_id"], trace_id);
}

#[test]
fn a_trace_id_is_carried_on_with_a_part_of_ours() {
    let root = "Root=1-67891233-abcdef012345678912345678";
    let (request, _) = seen(&format!(
        "Host: a\r\nX-Amzn-Trace-Id: Self=1-0-0;{root};Custom=1\r\n"
    ));
    let trace_id = request.field("x-amzn-trace-id").unwrap();
    assert!(trace_id.starts_with("Self=1-"), "{trace_id}");
    assert!(
        trace_id.ends_with(&format!(";{root};Custom=1")),
        "{trace_id}"
    );
    assert_eq!(trace_id.matches("Self=").count(), 1, "{trace_id}");
}

/// The listener's port is neither 80 nor 443 here, so it is what the host ends with.
#[test]
fn the_host_is_in_lower_case_and_ends_with_the_listeners_port() {
    let (target, proxy) = start();
    for host in ["Example.COM", "example.com:1", "EXAMPLE.com:443"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        proxy.connect().exchange(request);
    }
    let expected = format!("example.com:{}", proxy.port());
    for request in target.requests() {
        assert_eq!(request.field("host"), Some(expected.as_str()));
    }
}

#[test]
fn what_belongs_to_the_clients_connection_stays_there() {
    let (request, _) = seen(
        "Host: a\r\nConnection: X-Secret\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: keep-alive\r\nTE: gzip\r\nTrailer: X\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nX-Kept: 1\r\n",
    );
    let names = names(&request);
    for hop in [
        "connection",
        "x-secret",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
    ] {
        assert!(!names.iter().any(|name| name == hop), "{hop} in {names:?}");
    }
    assert!(names.iter().any(|name| name == "x-kept"));
}

#[test]
fn a_client_cannot_have_essential_fields_dropped() {
    let (request, _) = seen(
        "Host: a\r\nConnection: close, Host, X-Forwarded-For, X-Forwarded-Proto, X-Amzn-Trace-Id, Cookie\r\n\
         Cookie: a=1\r\nX-Forwarded-For: 198.51.100.1\r\n",
    );
    assert_eq!(
        request.field("x-forwarded-for"),
        Some("198.51.100.1, 127.0.0.1")
    );
    assert_eq!(request.field("cookie"), Some("a=1"));
    assert_eq!(names(&request), always_and(&["cookie"]));
}

#[test]
fn a_client_cannot_speak_for_the_load_balancer() {
    let (request, _) = seen(
        "Host: a\r\nX-Amzn-Tls-Version: forged\r\nX-Amzn-Mtls-Clientcert: forged\r\nX_Forwarded_For: forged\r\n\
         Content_Length: 7\r\nX_Amzn_Trace_Id: forged\r\nmy_own: kept\r\n",
    );
    assert_eq!(names(&request), always_and(&["my_own"]));
}

#[test]
fn the_clients_spelling_is_kept() {
    let (request, _) = seen("Host: a\r\nX-MiXeD-cAsE: 1\r\nlower-case: 2\r\nUPPER-CASE: 3\r\n");
    let spelled: Vec<&str> = request
        .fields
        .iter()
        .map(|field| field.0.as_str())
        .collect();
    for name in ["X-MiXeD-cAsE", "lower-case", "UPPER-CASE"] {
        assert!(spelled.contains(&name), "{spelled:?}");
    }
}

#[test]
fn the_clients_order_and_repeats_are_kept() {
    let (request, _) = seen("Host: a\r\nB: 1\r\nA: 1\r\nB: 2\r\nC: 1\r\n");
    assert_eq!(request.all("b"), ["1", "2"]);
    let sent: Vec<&str> = request
        .fields
        .iter()
        .map(|field| field.0.as_str())
        .filter(|name| matches!(*name, "A" | "C"))
        .collect();
    assert_eq!(sent, ["A", "C"]);
}

#[test]
fn the_proxys_own_fields_are_spelled_as_the_albs() {
    let (request, _) = seen("Host: a\r\n");
    let spelled: Vec<&str> = request
        .fields
        .iter()
        .map(|field| field.0.as_str())
        .collect();
    for name in [
        "Host",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Amzn-Trace-Id",
    ] {
        assert!(spelled.contains(&name), "{spelled:?}");
    }
}

#[test]
fn bytes_beyond_ascii_pass_unchanged() {
    let (request, _) = seen("Host: a\r\nX-Name: gr\u{fc}n \u{2713}\r\n");
    assert_eq!(request.field("x-name"), Some("gr\u{fc}n \u{2713}"));
}

#[test]
fn the_client_sees_the_targets_fields_and_none_of_its_connections() {
    let target = Target::answering(|_| {
        b"HTTP/1.1 200 Fine\r\nServer: app\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nX-MiXeD: 1\r\n\
          Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
          Proxy-Connection: x\r\nTE: x\r\nTrailer: x\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\nok"
            .to_vec()
    });
    let proxy = Setup::to([target.address]).start();
    let answer = proxy.get("/");
    assert_eq!(
        names(&answer),
        [
            "content-length",
            "date",
            "server",
            "set-cookie",
            "set-cookie",
            "x-mixed"
        ]
    );
    assert_eq!(answer.field("server"), Some("app"));
    assert_eq!(answer.field("date"), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
    assert_eq!(answer.all("set-cookie"), ["a=1", "b=2"]);
    assert!(answer.fields.iter().any(|field| field.0 == "X-MiXeD"));
}

#[test]
fn the_targets_reason_phrase_reaches_the_client() {
    let target =
        Target::answering(|_| b"HTTP/1.1 299 Quite Fine\r\nContent-Length: 0\r\n\r\n".to_vec());
    let proxy = Setup::to([target.address]).start();
    assert_eq!(proxy.get("/").start, "HTTP/1.1 299 Quite Fine");
}

#[test]
fn nothing_is_added_to_a_targets_response() {
    let (_target, proxy) = start();
    assert_eq!(names(&proxy.get("/")), ["content-length"]);
}

#[tokio::test]
async fn an_http2_request_becomes_an_http1_one() {
    let target = Target::saying("ok");
    let proxy = Setup::to([target.address]).https().start();
    let client = Http2::connect(proxy.address()).await;
    let mut request = http2::request("GET", "/a?b", http2::empty());
    for crumb in ["a=1", "b=2", "c=3"] {
        let crumb = crumb.parse().unwrap();
        request.headers_mut().append("cookie", crumb);
    }
    let response = client.send(request).await.unwrap();
    assert_eq!(http2::whole(response).await.0, 200);

    let request = target.only_request();
    assert_eq!(request.start, "GET /a?b HTTP/1.1");
    let host = format!("example.com:{}", proxy.port());
    assert_eq!(request.field("host"), Some(host.as_str()));
    assert_eq!(request.field("cookie"), Some("a=1; b=2; c=3"));
    assert_eq!(request.field("x-forwarded-proto"), Some("https"));
    assert_eq!(names(&request), always_and(&["cookie"]));
}

#[tokio::test]
async fn an_http2_client_sees_nothing_of_http1() {
    let target = Target::answering(|_| {
        b"HTTP/1.1 200 OK\r\nX-Mixed-Case: 1\r\nConnection: close\r\nKeep-Alive: timeout=5\r\n\
          Proxy-Connection: x\r\nTE: x\r\nTrailer: x\r\nUpgrade: x\r\n\
          Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
            .to_vec()
    });
    let proxy = Setup::to([target.address]).https().start();
    let client = Http2::connect(proxy.address()).await;
    let request = http2::request("GET", "/", http2::empty());
    let response = client.send(request).await.unwrap();
    let names: Vec<&str> = response
        .headers()
        .keys()
        .map(http::HeaderName::as_str)
        .collect();
    assert_eq!(names, ["x-mixed-case"]);
    assert_eq!(&http2::whole(response).await.1[..], b"ok");
}
