//! Redirects and fixed responses, as they are seen by a client.

use bytes::Bytes;
use serde_json::Value;

use crate::harness::http2::Http2;
use crate::harness::{Message, Proxy, Setup, Target};

/// A rule for each action, at `/1`, `/2` and so on, whatever follows.
fn start(setup: Setup, actions: &[&str]) -> Proxy {
    let number = |(setup, nth): (Setup, u32), action: &&str| {
        let condition = format!("{{ path_pattern = ['/{nth}', '/{nth}/*'] }}");
        (setup.rule_action(nth, &condition, action), nth + 1)
    };
    actions.iter().fold((setup, 1), number).0.start()
}

fn get(proxy: &Proxy, target: &str) -> Message {
    let request = format!("GET {target} HTTP/1.1\r\nHost: Example.com:8080\r\n\r\n");
    proxy.connect().exchange(request)
}

fn redirect_url(line: &Value) -> String {
    line["redirect_url"].as_str().unwrap().to_owned()
}

#[test]
fn locations() {
    let app = Target::saying("never");
    let proxy = start(
        Setup::to([app.address]),
        &[
            "{ type = 'redirect', protocol = 'HTTPS', port = '443', status_code = 'HTTP_301' }",
            "{ type = 'redirect', host = 'www.#{host}', status_code = 'HTTP_302' }",
            "{ type = 'redirect', path = '/#{host}/#{port}/#{path}', query = '', status_code = 'HTTP_301' }",
            "{ type = 'redirect', port = 8443, query = 'from=#{protocol}&#{query}', status_code = 'HTTP_302' }",
        ],
    );
    let port = proxy.port();
    let cases = [
        (
            "/1/a?b=c",
            301,
            "https://Example.com:443/1/a?b=c".to_owned(),
        ),
        ("/1", 301, "https://Example.com:443/1".to_owned()),
        ("/1?", 301, "https://Example.com:443/1".to_owned()),
        (
            "/2/%2F//x?a=%20?&b",
            302,
            format!("http://www.Example.com:{port}/2/%2F//x?a=%20?&b"),
        ),
        (
            "/3/x?gone",
            301,
            format!("http://Example.com:{port}/Example.com/{port}/3/x"),
        ),
        (
            "/4?a",
            302,
            "http://Example.com:8443/4?from=HTTP&a".to_owned(),
        ),
    ];
    for (target, status, location) in &cases {
        let answer = get(&proxy, target);
        assert_eq!(answer.status(), *status, "{target}");
        assert_eq!(
            answer.field("location"),
            Some(location.as_str()),
            "{target}"
        );
        assert_eq!(answer.field("content-type"), Some("text/html"));
        assert_eq!(answer.field("server"), Some("lintel"));
        assert!(
            answer.text().contains(&format!("<h1>{status} ")),
            "the ALB's page"
        );
    }
    // Two workers' lines come in any order.
    let mut logged: Vec<_> = proxy.log(6).iter().map(redirect_url).collect();
    let mut sent = cases.map(|(_, _, location)| location);
    logged.sort_unstable();
    sent.sort_unstable();
    assert_eq!(logged, sent);
    assert!(app.requests().is_empty());
}

#[test]
fn over_tls_the_protocol_is_https() {
    let app = Target::saying("never");
    let action = "{ type = 'redirect', path = '/there', status_code = 'HTTP_302' }";
    let proxy = start(Setup::to([app.address]).https(), &[action]);
    let answer = proxy.connect_tls().get("/1?q");
    let location = format!("https://example.com:{}/there?q", proxy.port());
    assert_eq!(answer.field("location"), Some(location.as_str()));
}

#[test]
fn a_location_of_more_than_8_kib_is_a_507() {
    let app = Target::saying("never");
    let action = "{ type = 'redirect', host = 'b.com', port = '80', status_code = 'HTTP_301' }";
    let proxy = start(Setup::to([app.address]), &[action]);
    let room = 8 * 1024 - "http://b.com:80/1/".len();
    let longest = format!("/1/{}", "x".repeat(room));
    let answer = get(&proxy, &longest);
    assert_eq!(answer.status(), 301);
    assert_eq!(answer.field("location").map(str::len), Some(8 * 1024));
    let answer = get(&proxy, &format!("{longest}x"));
    assert_eq!(answer.status(), 507);
    assert!(!answer.has("location"));
    let lines = proxy.log(2);
    let line = lines
        .iter()
        .find(|line| line["elb_status_code"] == 507)
        .unwrap();
    assert_eq!(
        (&line["reason"], &line["matched_rule_priority"]),
        (&"redirect_too_long".into(), &1.into())
    );
}

#[test]
fn fixed_responses() {
    let app = Target::saying("never");
    let proxy = start(
        Setup::to([app.address]),
        &[
            "{ type = 'fixed-response', status_code = '200', content_type = 'text/html', message_body = '<p>\u{fc}</p>' }",
            "{ type = 'fixed-response', status_code = '404', content_type = 'application/json', message_body = '{}' }",
            "{ type = 'fixed-response', status_code = 503, message_body = 'plain' }",
            "{ type = 'fixed-response', status_code = '599', content_type = 'text/css' }",
            "{ type = 'fixed-response', status_code = '204' }",
            "{ type = 'fixed-response', status_code = '200', content_type = 'application/javascript', message_body = '1' }",
            "{ type = 'fixed-response', status_code = '400', content_type = 'text/css', message_body = 'a {}' }",
        ],
    );
    let utf8 = |kind: &str| Some(format!("{kind}; charset=utf-8"));
    for (target, status, content_type, length, body) in [
        ("/1", 200, utf8("text/html"), Some("9"), "<p>\u{fc}</p>"),
        ("/2", 404, utf8("application/json"), Some("2"), "{}"),
        ("/3", 503, utf8("text/plain"), Some("5"), "plain"),
        ("/4", 599, None, Some("0"), ""),
        ("/5", 204, None, None, ""),
        ("/6", 200, utf8("application/javascript"), Some("1"), "1"),
        ("/7", 400, utf8("text/css"), Some("4"), "a {}"),
    ] {
        let answer = get(&proxy, target);
        assert_eq!(answer.status(), status);
        assert_eq!(
            answer.field("content-type"),
            content_type.as_deref(),
            "{target}"
        );
        assert_eq!(answer.field("content-length"), length, "{target}");
        assert_eq!(answer.field("server"), Some("lintel"));
        assert_eq!(answer.text(), body);
    }
    assert!(app.requests().is_empty());
}

/// Behind such a head a client looks for its next response.
#[tokio::test]
async fn a_status_without_content_has_no_body() {
    let app = Target::saying("never");
    let none = "{ type = 'fixed-response', status_code = '204', message_body = 'body' }";
    let reset = "{ type = 'fixed-response', status_code = '205', message_body = 'body' }";
    let proxy = start(Setup::to([app.address]).https(), &[none, reset]);
    let mut client = proxy.connect_tls();
    for (target, status, length) in [("/1", 204, None), ("/2", 205, Some("0")), ("/1", 204, None)] {
        let answer = client.get(target);
        assert_eq!(answer.status(), status, "{target}");
        assert_eq!(answer.field("content-length"), length, "{target}");
        assert_eq!(answer.field("content-type"), None, "{target}");
    }
    let client = Http2::connect(proxy.address()).await;
    for (target, status) in [("/1", 204), ("/2", 205)] {
        assert_eq!(client.get(target).await, (status, Bytes::new()), "{target}");
    }
    assert!(proxy.log(5).iter().all(|line| line["reason"].is_null()));
}
