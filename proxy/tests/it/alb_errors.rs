//! The responses that an ALB makes itself: status, page, what becomes of the connection, and what the log says.

use std::time::Duration;

use crate::harness::http2::{self, Http2};
use crate::harness::{Message, Refusing, Setup, Target};

/// What a client sends, and status, title, whether the connection closes, and reason.
type Row = (&'static str, &'static str, bool, &'static str);

const HTTP_1_1: &str = "HTTP/1.1\r\nHost: example.com\r\n";

const REQUESTS: &[Row] = &[
    (
        "nonsense\r\n\r\n",
        "400 Bad Request",
        true,
        "malformed_request",
    ),
    (
        "GET / HTTP/1.1\r\n\r\n",
        "400 Bad Request",
        true,
        "invalid_host",
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "400 Bad Request",
        true,
        "invalid_host",
    ),
    (
        "GET / V\r\n\r\n",
        "400 Bad Request",
        true,
        "malformed_request",
    ),
    (
        "TRACE / 1.1\r\n",
        "405 Not Allowed",
        false,
        "method_not_allowed",
    ),
    (
        "CONNECT a:1 1.1\r\n",
        "405 Not Allowed",
        false,
        "method_not_allowed",
    ),
    (
        "GET / 1.1X: LONG\r\n\r\n",
        "413 Request Entity Too Large",
        true,
        "request_head_too_large",
    ),
    (
        "GET / 1.1MANY\r\n",
        "413 Request Entity Too Large",
        true,
        "request_head_too_large",
    ),
    (
        "GET /LONG 1.1\r\n",
        "414 Request-URI Too Large",
        true,
        "request_line_too_long",
    ),
    (
        "GET / 1.1X-Forwarded-For: HOPS\r\n\r\n",
        "463",
        false,
        "too_many_forwarded_addresses",
    ),
    (
        "POST / 1.1Transfer-Encoding: gzip\r\n\r\n",
        "501 Not Implemented",
        true,
        "unknown_transfer_encoding",
    ),
    (
        "POST / 1.1Transfer-Encoding: gzip, chunked\r\n\r\n",
        "501 Not Implemented",
        true,
        "unknown_transfer_encoding",
    ),
    (
        "POST / 1.1Transfer-Encoding: gzap\r\n\r\n",
        "400 Bad Request",
        true,
        "malformed_request",
    ),
    (
        "GET / HTTP/3.0\r\nHost: a\r\n\r\n",
        "505 HTTP Version Not Supported",
        true,
        "unsupported_version",
    ),
    (
        "GET /refusing 1.1\r\n",
        "502 Bad Gateway",
        false,
        "target_connection_failed",
    ),
    (
        "GET /empty 1.1\r\n",
        "503 Service Temporarily Unavailable",
        false,
        "no_targets",
    ),
    (
        "GET /silent 1.1\r\n",
        "504 Gateway Time-out",
        false,
        "target_response_timeout",
    ),
    (
        "GET /nonsense 1.1\r\n",
        "502 Bad Gateway",
        false,
        "target_malformed_response",
    ),
    (
        "GET /large 1.1\r\n",
        "502 Bad Gateway",
        false,
        "target_head_too_large",
    ),
];

fn bytes(row: &str) -> String {
    let fields = "X: ".to_owned() + &"x".repeat(1000) + "\r\n";
    row.replace(" 1.1", &format!(" {HTTP_1_1}"))
        .replace("LONG", &"x".repeat(17_000))
        .replace("MANY", &fields.repeat(80))
        .replace("HOPS", &["192.0.2.1"; 31].join(", "))
}

/// A listener behind which everything fails, at a path each.
fn failing(silent: &Target, refusing: &Refusing, nonsense: &Target, large: &Target) -> Setup {
    let forward = |name: &str| format!("{{ type = 'forward', target_group = '{name}' }}");
    Setup::to([])
        .with("response_timeout = 0.3")
        .other_group("silent", &[silent.address])
        .other_group("refusing", &[refusing.address])
        .other_group("nonsense", &[nonsense.address])
        .other_group("large", &[large.address])
        .other_group("empty", &[])
        .rule_action(1, "{ path_pattern = ['/silent'] }", &forward("silent"))
        .rule_action(2, "{ path_pattern = ['/refusing'] }", &forward("refusing"))
        .rule_action(3, "{ path_pattern = ['/nonsense'] }", &forward("nonsense"))
        .rule_action(4, "{ path_pattern = ['/empty'] }", &forward("empty"))
        .rule_action(5, "{ path_pattern = ['/large'] }", &forward("large"))
}

fn silent() -> Target {
    Target::scripted(|connection| connection.rest().map(drop))
}

fn page(title: &str) -> String {
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n\
         <center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
}

#[track_caller]
fn assert_page(answer: &Message, title: &str, closes: bool) {
    assert_eq!(answer.start.trim_end(), format!("HTTP/1.1 {title}"));
    assert_eq!(answer.text(), page(title));
    assert_eq!(answer.field("content-type"), Some("text/html"));
    assert_eq!(answer.field("server"), Some("lintel"));
    assert!(answer.has("date"));
    let names: Vec<_> = answer
        .fields
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "Server",
            "Date",
            "Content-Type",
            "Content-Length",
            "Connection"
        ]
    );
    let connection = if closes { "close" } else { "keep-alive" };
    assert_eq!(answer.field("connection"), Some(connection), "{title}");
}

#[test]
fn every_error_has_its_page_its_reason_and_its_end() {
    let (silent, refusing) = (silent(), Refusing::new());
    let nonsense = Target::scripted(|connection| {
        connection.request()?;
        connection.send("what?\r\n\r\n")
    });
    let large = Target::answering(|_| {
        let value = "x".repeat(33_000);
        format!("HTTP/1.1 200 OK\r\nX: {value}\r\nContent-Length: 0\r\n\r\n").into_bytes()
    });
    let proxy = failing(&silent, &refusing, &nonsense, &large).start_unhealthy();
    for (nth, (row, title, closes, reason)) in REQUESTS.iter().enumerate() {
        let mut client = proxy.connect();
        client.send(bytes(row)).unwrap();
        let answer = client.response().unwrap();
        assert_page(&answer, title, *closes);
        if *closes {
            client.assert_closed();
        } else {
            assert_eq!(
                client.get("/empty").status(),
                503,
                "{row}: the connection stays"
            );
        }
        let stayed = REQUESTS[..=nth].iter().filter(|row| !row.2).count();
        let lines = proxy.log(nth + 1 + stayed);
        let line = &lines[lines.len() - 1 - usize::from(!closes)];
        assert_eq!(line["reason"], *reason, "{row}");
        let status: u64 = title[..3].parse().unwrap();
        assert_eq!(line["elb_status_code"], status, "{row}");
        assert!(line["target_status_code"].is_null(), "{row}");
    }
    for (code, count) in [
        ("400", 5),
        ("405", 2),
        ("413", 2),
        ("414", 1),
        ("463", 1),
        ("501", 2),
        ("505", 1),
    ] {
        let series = format!("httpcode_elb_total{{code=\"{code}\"}}");
        assert_eq!(proxy.metric(&series), count, "{code}");
    }
}

#[test]
fn a_head_request_is_told_the_length_of_the_page() {
    let proxy = Setup::to([]).start();
    let mut client = proxy.connect();
    let answer = client.exchange("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((answer.status(), answer.body.len()), (503, 0));
    assert_eq!(answer.field("content-length"), Some("162"));
    assert_eq!(client.get("/").status(), 503);
}

#[test]
fn who_stops_in_the_middle_of_a_request_gets_408() {
    let proxy = Setup::to([]).with("request_header_timeout = 0.3").start();
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost").unwrap();
    assert_page(&client.response().unwrap(), "408 Request Time-out", true);
    client.assert_closed();
    assert_eq!(proxy.log_line()["reason"], "request_timeout");
}

#[test]
fn who_leaves_before_the_answer_is_460_in_the_log() {
    let target = silent();
    let proxy = Setup::to([target.address]).start();
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    target.wait_for_connections(1);
    client.set_patience(Duration::from_secs(1));
    client.reset();
    let line = proxy.log_line();
    assert_eq!(
        (&line["elb_status_code"], &line["reason"]),
        (&460.into(), &"client_closed".into())
    );
    assert_eq!(proxy.metric("httpcode_elb_total{code=\"460\"}"), 1);
}

#[test]
fn a_redirect_that_is_too_long_is_507_and_counted() {
    let proxy = Setup::to([])
        .rule_action(
            1,
            "{ path_pattern = ['/*'] }",
            "{ type = 'redirect', query = 'a=#{query}&b=#{query}', path = '/r#{path}', status_code = 'HTTP_301' }",
        )
        .start();
    let query = "x".repeat(5000);
    let answer = proxy.get(&format!("/?{query}"));
    assert_page(&answer, "507 Insufficient Storage", false);
    assert_eq!(proxy.log_line()["reason"], "redirect_too_long");
    assert_eq!(
        proxy.metric("http_redirect_url_limit_exceeded_count_total"),
        1
    );
    assert_eq!(proxy.metric("http_redirect_count_total"), 0);
}

#[tokio::test]
async fn over_http2_there_is_the_same_page_in_lower_case() {
    let proxy = Setup::to([]).https().start();
    let client = Http2::connect(proxy.address()).await;
    let request = http2::request("GET", "/", http2::empty());
    let response = client.send(request).await.unwrap();
    let names: Vec<_> = response
        .headers()
        .keys()
        .map(http::HeaderName::as_str)
        .collect();
    assert_eq!(names, ["server", "date", "content-type", "content-length"]);
    let (status, body) = http2::whole(response).await;
    assert_eq!(
        (status, &body[..]),
        (503, page("503 Service Temporarily Unavailable").as_bytes())
    );
}

#[tokio::test]
async fn a_client_of_grpc_gets_a_status_that_it_understands() {
    let refusing = Refusing::new();
    let proxy = Setup::to([refusing.address])
        .https()
        .group("protocol_version = 'GRPC'")
        .start_unhealthy();
    let client = Http2::connect(proxy.address()).await;
    let mut request = http2::request("POST", "/a.B/C", http2::empty());
    let headers = request.headers_mut();
    headers.insert("content-type", "application/grpc+proto".parse().unwrap());
    let response = client.send(request).await.unwrap();
    for (name, value) in [
        ("content-type", "application/grpc"),
        ("grpc-status", "14"),
        ("grpc-message", "unavailable"),
    ] {
        assert_eq!(response.headers()[name], value);
    }
    assert_eq!(http2::whole(response).await, (502, "".into()));
    assert_eq!(proxy.log_line()["type"], "grpcs");
    let plain = http2::request("POST", "/a.B/C", http2::empty());
    assert_eq!(client.send(plain).await.unwrap().status(), 502);
    assert_eq!(
        proxy.metric("grpc_request_count_total{target_group=\"app\"}"),
        1
    );
}
