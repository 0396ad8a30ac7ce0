use super::*;
use http::Request;

const CLIENT: ClientSide<'_> = ClientSide {
    peer: SocketAddr::new(
        std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)),
        4711,
    ),
    https: true,
    port: 443,
    load_balancer: "web",
};

fn head(lines: &[(&str, &str)]) -> request::Parts {
    let mut request = Request::builder().uri("/a?b=c");
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn rewrite(lines: &[(&str, &str)]) -> (request::Parts, Rewritten) {
    let mut head = head(lines);
    let trace_id = trace_id(&head.headers, 0x1234, 0xabc);
    let rewritten = to_target(&mut head, &CLIENT, trace_id).unwrap();
    (head, rewritten)
}

#[test]
fn the_target_learns_who_the_client_is() {
    let (head, _) = rewrite(&[
        ("host", "Example.com:443"),
        ("x-forwarded-for", "198.51.100.1"),
        ("x-forwarded-for", "198.51.100.2"),
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-port", "70"),
    ]);
    assert_eq!(
        head.headers["x-forwarded-for"],
        "198.51.100.1, 198.51.100.2, 192.0.2.7"
    );
    assert_eq!(head.headers["x-forwarded-proto"], "https");
    assert_eq!(head.headers["x-forwarded-port"], "443");
    assert_eq!(head.headers["host"], "example.com");
    assert_eq!(head.headers.get_all("x-forwarded-proto").iter().count(), 1);
}

#[test]
fn hop_by_hop_headers_stay_on_their_hop() {
    let (head, _) = rewrite(&[
        ("host", "a"),
        (
            "connection",
            "close, X-Secret, Host, X-Forwarded-For, Content-Length",
        ),
        ("x-secret", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("te", "gzip"),
        ("upgrade", "h2c"),
        ("expect", "100-continue"),
        ("content-length", "3"),
        ("x-kept", "1"),
    ]);
    let mut names: Vec<_> = head.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "content-length",
            "host",
            "x-amzn-trace-id",
            "x-forwarded-for",
            "x-forwarded-port",
            "x-forwarded-proto",
            "x-kept"
        ]
    );
}

#[test]
fn nobody_but_the_load_balancer_speaks_for_it() {
    let (head, _) = rewrite(&[
        ("host", "a"),
        ("x-amzn-tls-version", "forged"),
        ("x-amzn-mtls-clientcert", "forged"),
        ("x_forwarded_for", "forged"),
        ("content_length", "0"),
        ("x_amzn_trace_id", "forged"),
        ("my_own", "kept"),
    ]);
    assert!(!head.headers.values().any(|value| value == "forged"));
    assert!(!head.headers.contains_key("content_length"));
    assert_eq!(head.headers["my_own"], "kept");
}

#[test]
fn a_websocket_keeps_its_upgrade() {
    let (head, rewritten) = rewrite(&[
        ("host", "a"),
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
    ]);
    assert!(rewritten.websocket);
    assert_eq!(head.headers["connection"], "Upgrade");
    assert_eq!(head.headers["upgrade"], "websocket");
    let (head, rewritten) = rewrite(&[("host", "a"), ("upgrade", "websocket")]);
    assert!(!rewritten.websocket && !head.headers.contains_key("upgrade"));
}

#[test]
fn the_host_is_one_and_a_host() {
    for (lines, expected) in [
        (&[("host", "a.example")][..], Ok("a.example")),
        (&[("host", "[::1]:8443")], Ok("[::1]:8443")),
        (&[], Err(GatewayError::InvalidHost)),
        (&[("host", "")], Err(GatewayError::InvalidHost)),
        (
            &[("host", "a"), ("host", "a")],
            Err(GatewayError::InvalidHost),
        ),
        (&[("host", "a, b")], Err(GatewayError::InvalidHost)),
        (&[("host", "a/b")], Err(GatewayError::InvalidHost)),
        (&[("host", "user@a")], Err(GatewayError::InvalidHost)),
        (&[("host", "[::1")], Err(GatewayError::InvalidHost)),
        (&[("host", "a:b")], Err(GatewayError::InvalidHost)),
        (&[("host", "a:99999")], Err(GatewayError::InvalidHost)),
        (&[("host", ":80")], Err(GatewayError::InvalidHost)),
        (&[("host", "a:")], Err(GatewayError::InvalidHost)),
    ] {
        assert_eq!(host(&head(lines)), expected, "{lines:?}");
    }
    let mut old = head(&[]);
    old.version = Version::HTTP_10;
    assert_eq!(host(&old), Ok(""));
    let mut absolute = head(&[("host", "other")]);
    absolute.uri = Uri::from_static("http://name:8080/x");
    assert_eq!(host(&absolute), Ok("name:8080"));
    absolute.uri = Uri::from_static("http://user@name/x");
    assert_eq!(host(&absolute), Err(GatewayError::InvalidHost));
}

#[test]
fn one_framing_or_none() {
    for (lines, expected) in [
        (&[][..], true),
        (&[("content-length", "0")], true),
        (&[("content-length", "+5")], false),
        (&[("content-length", "5, 5")], false),
        (&[("content-length", "5"), ("content-length", "5")], false),
        (&[("transfer-encoding", "Chunked")], true),
        (&[("transfer-encoding", "gzip, chunked")], false),
        (
            &[
                ("transfer-encoding", "chunked"),
                ("transfer-encoding", "chunked"),
            ],
            false,
        ),
        (&[("transfer-encoding", "identity")], false),
        (
            &[("content-length", "5"), ("transfer-encoding", "chunked")],
            false,
        ),
    ] {
        assert_eq!(
            is_framed_in_one_way(&head(lines).headers),
            expected,
            "{lines:?}"
        );
    }
}

#[test]
fn the_hosts_port_is_the_listeners_or_none() {
    for (host, port, expected) in [
        ("example.com", 443, "example.com"),
        ("example.com:8443", 443, "example.com"),
        ("example.com", 8443, "example.com:8443"),
        ("example.com:8443", 8443, "example.com:8443"),
        ("", 80, "web"),
    ] {
        let client = ClientSide { port, ..CLIENT };
        assert_eq!(host_for_target(host, &client).unwrap(), expected);
    }
}

#[test]
fn trace_ids_are_made_or_merged() {
    for (received, expected) in [
        ("", "Root=1-00001234-000000000000000000000abc"),
        (
            "Root=1-a-b",
            "Self=1-00001234-000000000000000000000abc;Root=1-a-b",
        ),
        (
            "Self=1-x-y;Root=1-a-b;App=me",
            "Self=1-00001234-000000000000000000000abc;Root=1-a-b;App=me",
        ),
        ("App=me", "Root=1-00001234-000000000000000000000abc;App=me"),
    ] {
        let mut headers = HeaderMap::new();
        if !received.is_empty() {
            headers.insert(X_AMZN_TRACE_ID, HeaderValue::from_static(received));
        }
        assert_eq!(trace_id(&headers, 0x1234, 0xabc), expected);
    }
}

#[test]
fn cookie_crumbs_become_one_cookie() {
    let mut h2 = head(&[("host", "a"), ("cookie", "a=1"), ("cookie", "b=2")]);
    h2.version = Version::HTTP_2;
    to_target(&mut h2, &CLIENT, HeaderValue::from_static("t")).unwrap();
    assert_eq!(h2.headers.get_all("cookie").iter().count(), 1);
    assert_eq!(h2.headers["cookie"], "a=1; b=2");
}
