mod response;

use super::host::write_host;
use super::*;
use crate::http1::ResponseHead;
use crate::model::ForwardedFor;

static TLS: TlsInfo = TlsInfo {
    key_exchange: None,
    handshake: std::time::Duration::ZERO,
    protocol: rustls::ProtocolVersion::TLSv1_2,
    cipher_suite: rustls::CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    server_name: None,
    resumed: false,
    client_certificates: Vec::new(),
};

static UNMODIFIED: HeaderModification = HeaderModification::NONE;

const CLIENT: ClientSide<'_> = ClientSide {
    address: "192.0.2.7",
    address_port: 40000,
    tls: Some(&TLS),
    certificates: None,
    port: 443,
    load_balancer: "web",
    headers: RequestHeaders::DEFAULT,
    modification: &UNMODIFIED,
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
    let fields: Vec<_> = lines
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    crate::http2::asked("GET", "/", &fields)
}

/// The target's head, read back.
fn rewritten(head: &RequestHead) -> (RequestHead, Rewritten) {
    rewritten_for(head, &CLIENT)
}

fn rewritten_for(head: &RequestHead, client: &ClientSide<'_>) -> (RequestHead, Rewritten) {
    let mut out = Vec::new();
    let mut id = Vec::new();
    trace_id(head, 0x1234, 0xabc, &mut id);
    let asked = Asked::of(head, host(head, false).unwrap(), None);
    let rewritten = to_target(head, &asked, client, &id, &mut out);
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
        assert_eq!(host(&head(lines), false), expected, "{lines:?}");
    }
    assert_eq!(host(&request("GET / HTTP/1.0", &[]), false), Ok(""));
    let absolute = request("GET http://name:8080/x HTTP/1.1", &[("host", "other")]);
    assert_eq!(host(&absolute, false), Ok("name:8080"));
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
            has_new_host: false,
            host,
            keeps_port: false,
            path_and_query: b"/",
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
        (
            "Self=1-x-y;App=me",
            "Self=1-00001234-000000000000000000000abc;App=me",
        ),
        ("App=me", "Root=1-00001234-000000000000000000000abc;App=me"),
    ] {
        let line = ("x-amzn-trace-id", received);
        let head = head(Some(line).filter(|_| !received.is_empty()).as_slice());
        let mut merged = Vec::new();
        trace_id(&head, 0x1234, 0xabc, &mut merged);
        assert_eq!(std::str::from_utf8(&merged), Ok(expected));
    }
}

#[test]
fn in_a_head_of_more_than_7_kib_the_trace_id_is_replaced() {
    for (padding, kept) in [(7 * 1024 - 200, true), (7 * 1024, false)] {
        let head = head(&[
            ("x-amzn-trace-id", "Root=1-a-b"),
            ("x", &"x".repeat(padding)),
        ]);
        let mut merged = Vec::new();
        trace_id(&head, 0x1234, 0xabc, &mut merged);
        let merged = String::from_utf8(merged).unwrap();
        assert_eq!(merged.contains("Root=1-a-b"), kept, "{merged}");
        assert_eq!(merged.starts_with("Root=1-00001234-"), !kept, "{merged}");
    }
    let path = format!("/{}", "x".repeat(8 * 1024));
    let text = format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-Amzn-Trace-Id: Root=1-a-b\r\n\r\n");
    let (head, _) = RequestHead::read(text.as_bytes()).unwrap().unwrap();
    let mut merged = Vec::new();
    trace_id(&head, 0x1234, 0xabc, &mut merged);
    assert!(merged.starts_with(b"Self="), "a long path is no field");
}

#[test]
fn forwarded_for_is_as_its_mode_says() {
    let received = ("x-forwarded-for", "198.51.100.1");
    let append = |port| ForwardedFor::Append { port };
    for (mode, address, lines, expected) in [
        (append(false), "192.0.2.7", &[][..], &["192.0.2.7"][..]),
        (
            append(false),
            "2001:db8::7",
            &[received],
            &["198.51.100.1, 2001:db8::7"],
        ),
        (append(true), "192.0.2.7", &[], &["192.0.2.7:40000"]),
        (
            append(true),
            "192.0.2.7",
            &[received],
            &["198.51.100.1, 192.0.2.7:40000"],
        ),
        (append(true), "2001:db8::7", &[], &["[2001:db8::7]:40000"]),
        (
            append(true),
            "2001:db8::7",
            &[received],
            &["198.51.100.1, [2001:db8::7]:40000"],
        ),
        (ForwardedFor::Preserve, "192.0.2.7", &[], &[]),
        (
            ForwardedFor::Preserve,
            "192.0.2.7",
            &[received, received],
            &["198.51.100.1"; 2],
        ),
        (ForwardedFor::Remove, "192.0.2.7", &[received], &[]),
    ] {
        let headers = RequestHeaders {
            forwarded_for: mode,
            ..RequestHeaders::DEFAULT
        };
        let client = ClientSide {
            address,
            headers,
            ..CLIENT
        };
        let (head, _) = rewritten_for(&head(&[&[("host", "a")], lines].concat()), &client);
        assert_eq!(
            all(&head, "x-forwarded-for"),
            expected,
            "{mode:?} {address}"
        );
        assert_eq!(all(&head, "x-forwarded-proto"), ["https"]);
    }
}

#[test]
fn a_host_that_is_preserved_is_the_clients_own() {
    let headers = RequestHeaders {
        preserve_host: true,
        ..RequestHeaders::DEFAULT
    };
    let client = ClientSide { headers, ..CLIENT };
    let absolute = "GET http://elsewhere.test/ HTTP/1.1";
    for (head, expected) in [
        (head(&[("HOST", "Example.COM:8443")]), "Example.COM:8443"),
        (request(absolute, &[("Host", "Example.com")]), "Example.com"),
        (request("GET / HTTP/1.0", &[]), "web"),
        (http2(&[]), "a"),
    ] {
        let (head, _) = rewritten_for(&head, &client);
        assert_eq!(all(&head, "host"), [expected]);
    }
}

#[test]
fn tls_is_told_under_the_listeners_names() {
    let headers = RequestHeaders {
        tls_version_and_cipher_suite: true,
        ..RequestHeaders::DEFAULT
    };
    let renamed = HeaderModification {
        tls_version: Some("X-Tls-Ver".into()),
        ..HeaderModification::NONE
    };
    let lines = [
        ("host", "a"),
        ("x-amzn-tls-version", "forged"),
        ("X-TLS-VER", "forged"),
        ("x_tls_ver", "forged"),
        ("x-other", "kept"),
    ];
    for (modification, name) in [(&UNMODIFIED, "x-amzn-tls-version"), (&renamed, "X-Tls-Ver")] {
        let client = ClientSide {
            headers,
            modification,
            ..CLIENT
        };
        let (head, _) = rewritten_for(&head(&lines), &client);
        assert_eq!(all(&head, name), ["TLSv1.2"]);
        let suite = ["ECDHE-RSA-AES128-GCM-SHA256"];
        assert_eq!(all(&head, "x-amzn-tls-cipher-suite"), suite);
        assert_eq!(all(&head, "x-other"), ["kept"]);
        let clear = ClientSide {
            tls: None,
            ..client
        };
        let (head, _) = rewritten_for(&self::head(&lines), &clear);
        assert!(all(&head, name).is_empty());
    }
}

#[test]
fn of_an_ambiguous_length_one_field_goes_on() {
    let five = ("Content-Length", "5");
    let chunked = ("Transfer-Encoding", "chunked");
    for (start, lines, lengths) in [
        ("POST / HTTP/1.1", &[five, chunked][..], &[][..]),
        ("POST / HTTP/1.1", &[chunked, five, five], &[]),
        (
            "POST / HTTP/1.1",
            &[five, ("content-length", "005"), five],
            &["5"],
        ),
        ("POST / HTTP/1.1", &[five], &["5"]),
        ("POST / HTTP/1.0", &[chunked], &[]),
    ] {
        let (head, _) = rewritten(&request(start, &[&[("host", "a")], lines].concat()));
        assert_eq!(all(&head, "content-length"), lengths, "{lines:?}");
        let codings = all(&head, "transfer-encoding");
        assert_eq!(codings.is_empty(), !lengths.is_empty(), "{lines:?}");
        assert!(!head.has_ambiguous_length(), "{lines:?}");
    }
}

#[test]
fn cookie_crumbs_become_one_cookie() {
    let (head, _) = rewritten(&http2(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")]));
    assert_eq!(all(&head, "cookie"), ["a=1; b=2"]);
    assert_eq!(all(&head, "host"), ["a"]);
}
