use http::Request;

use super::*;

const CLIENT: ClientSide<'_> = ClientSide {
    address: "192.0.2.7",
    https: true,
    certificates: None,
    port: 443,
    load_balancer: "web",
};

fn text(start: &str, lines: &[(&str, &str)]) -> String {
    let mut text = format!("{start}\r\n");
    for (name, value) in lines {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text + "\r\n"
}

fn request(start: &str, lines: &[(&str, &str)]) -> RequestHead {
    let (head, _) = RequestHead::read(text(start, lines).as_bytes())
        .expect("a request")
        .expect("all of it");
    head
}

fn head(lines: &[(&str, &str)]) -> RequestHead {
    request("GET /a?b=c HTTP/1.1", lines)
}

/// As an HTTP/2 client sends it.
fn http2(lines: &[(&str, &str)]) -> RequestHead {
    let mut request = Request::get("https://a/").version(Version::HTTP_2);
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    RequestHead::from_http(&request.body(()).unwrap().into_parts().0, Length::Empty)
}

/// The target's head, read back.
fn rewritten(head: &RequestHead) -> (RequestHead, Rewritten) {
    let mut out = Vec::new();
    let mut id = Vec::new();
    trace_id(head.fields(), 0x1234, 0xabc, &mut id);
    let rewritten = to_target(
        head,
        &Asked::of(head, host(head).unwrap(), None),
        &CLIENT,
        &id,
        &mut out,
    );
    let (head, length) = RequestHead::read(&out).unwrap().expect("a whole head");
    assert_eq!(length, out.len());
    (head, rewritten)
}

fn rewrite(lines: &[(&str, &str)]) -> (RequestHead, Rewritten) {
    rewritten(&head(lines))
}

fn all<'h>(head: &'h RequestHead, name: &str) -> Vec<&'h str> {
    let values = head.fields().named(name);
    values
        .map(|value| std::str::from_utf8(value).unwrap())
        .collect()
}

#[test]
fn the_target_learns_who_the_client_is() {
    let (head, _) = rewrite(&[
        ("host", "Example.com:443"),
        ("x-forwarded-for", "198.51.100.1"),
        ("x-forwarded-for", ""),
        ("x-forwarded-for", "198.51.100.2"),
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-port", "70"),
    ]);
    assert_eq!(head.path_and_query(), "/a?b=c");
    for (name, value) in [
        ("X-Forwarded-For", "198.51.100.1, 198.51.100.2, 192.0.2.7"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Port", "443"),
        ("host", "example.com"),
    ] {
        assert_eq!(all(&head, name), [value]);
        assert!(head.fields().iter().any(|field| field.spelled == name));
    }
}

#[test]
fn what_stays_keeps_its_order_and_spelling() {
    let (head, _) = rewrite(&[
        ("ACCEPT", "*/*"),
        ("Host", "a"),
        ("x-One", "1"),
        ("X-Two", "2"),
        ("x-one", "3"),
    ]);
    let fields: Vec<_> = head.fields().iter().map(|field| field.spelled).collect();
    assert_eq!(fields[..5], ["ACCEPT", "Host", "x-One", "X-Two", "x-one"]);
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
    let names: Vec<_> = head.fields().iter().map(|field| field.spelled).collect();
    assert_eq!(
        names,
        [
            "host",
            "content-length",
            "x-kept",
            "X-Forwarded-For",
            "X-Forwarded-Proto",
            "X-Forwarded-Port",
            "X-Amzn-Trace-Id",
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
    assert!(!head.fields().iter().any(|field| field.value == b"forged"));
    assert!(all(&head, "content_length").is_empty());
    assert_eq!(all(&head, "my_own"), ["kept"]);
}

#[test]
fn a_websocket_keeps_its_upgrade() {
    let (head, rewritten) = rewrite(&[
        ("host", "a"),
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
    ]);
    assert!(rewritten.websocket);
    assert_eq!(all(&head, "connection"), ["Upgrade"]);
    assert_eq!(all(&head, "upgrade"), ["websocket"]);
    let (head, rewritten) = rewrite(&[("host", "a"), ("upgrade", "websocket")]);
    assert!(!rewritten.websocket && all(&head, "upgrade").is_empty());
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
    assert_eq!(host(&request("GET / HTTP/1.0", &[])), Ok(""));
    let absolute = request("GET http://name:8080/x HTTP/1.1", &[("host", "other")]);
    assert_eq!(host(&absolute), Ok("name:8080"));
}

#[test]
fn the_hosts_port_is_the_listeners_or_none() {
    for (host, port, expected) in [
        ("example.com", 443, "example.com"),
        ("Example.COM:8443", 443, "example.com"),
        ("example.com", 8443, "example.com:8443"),
        ("example.com:8443", 8443, "example.com:8443"),
        ("", 80, "web"),
    ] {
        let client = ClientSide { port, ..CLIENT };
        let mut out = Vec::new();
        let asked = Asked {
            host,
            keeps_port: false,
            path_and_query: "/",
        };
        write_host(&asked, &client, b"Host", &mut out);
        assert_eq!(out, format!("Host: {expected}\r\n").as_bytes());
    }
    let (head, _) = rewritten(&request("GET / HTTP/1.0", &[]));
    assert_eq!(all(&head, "host"), ["web"]);
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
        let mut fields = Fields::default();
        if !received.is_empty() {
            fields.push("x-amzn-trace-id", received.as_bytes());
        }
        let mut merged = Vec::new();
        trace_id(&fields, 0x1234, 0xabc, &mut merged);
        assert_eq!(std::str::from_utf8(&merged), Ok(expected));
    }
}

#[test]
fn cookie_crumbs_become_one_cookie() {
    let (head, _) = rewritten(&http2(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")]));
    assert_eq!(all(&head, "cookie"), ["a=1; b=2"]);
    assert_eq!(all(&head, "host"), ["a"]);
}

fn response(start: &str, lines: &[(&str, &str)]) -> ResponseHead {
    let (head, _) = ResponseHead::read(text(start, lines).as_bytes(), &Method::GET)
        .expect("a response")
        .expect("all of it");
    head
}

fn to_client_text(head: &ResponseHead, how: &ToClient) -> String {
    let mut out = Vec::new();
    to_client(head, how, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_response_keeps_what_is_the_clients() {
    let head = response(
        "HTTP/1.0 418 short and stout",
        &[
            ("Server", "app"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("trailer", "x-sum"),
            ("set-cookie", "a"),
            ("Set-Cookie", "b"),
        ],
    );
    let how = ToClient {
        chunked: true,
        connection: Some("close"),
        ..ToClient::default()
    };
    assert_eq!(
        to_client_text(&head, &how),
        "HTTP/1.1 418 short and stout\r\nServer: app\r\nset-cookie: a\r\nSet-Cookie: b\r\n\
         Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let how = ToClient {
        trailers: true,
        ..how
    };
    assert!(to_client_text(&head, &how).contains("trailer: x-sum\r\n"));
    let headers = to_http2_client(head, false);
    assert_eq!(headers.len(), 3);
    assert_eq!(headers.get_all("set-cookie").iter().count(), 2);
}

#[test]
fn no_content_has_no_length() {
    let head = response("HTTP/1.1 204 No Content", &[("content-length", "5")]);
    let text = to_client_text(&head, &ToClient::default());
    assert_eq!(text, "HTTP/1.1 204 No Content\r\n\r\n");
    let head = response("HTTP/1.1 103 Early Hints", &[("content-length", "5")]);
    let text = to_client_text(&head, &ToClient::default());
    assert_eq!(text, "HTTP/1.1 103 Early Hints\r\n\r\n");
    let head = response("HTTP/1.1 304 Not Modified", &[("content-length", "5")]);
    assert!(to_client_text(&head, &ToClient::default()).contains("content-length: 5"));
}

#[test]
fn the_load_balancers_own_fields_are_spelled_like_the_albs() {
    let mut out = Vec::new();
    let how = ToClient::default();
    own_to_client(&GatewayError::NoTargets.response(), &how, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("HTTP/1.1 503 Service Temporarily Unavailable\r\n"));
    for name in [
        "\r\nServer: lintel\r\n",
        "\r\nContent-Type: ",
        "\r\nContent-Length: 162\r\n",
    ] {
        assert!(text.contains(name), "{text}");
    }
}
