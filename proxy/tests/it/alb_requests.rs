//! What an ALB does to the headers of requests and responses, key by key.

use std::net::TcpStream;

use crate::harness::http2::{self, Http2};
use crate::harness::tls::{Identity, write_authority};
use crate::harness::{Message, Proxy, Setup, Target, Wire, ok};

/// What the target sees of a request with these fields, under these keys of `[load_balancer]`.
#[track_caller]
fn seen(keys: &[&str], fields: &str) -> (Message, Proxy) {
    let target = Target::saying("ok");
    let mut setup = Setup::to([target.address]);
    for key in keys {
        setup = setup.with(key);
    }
    let proxy = setup.start();
    let request = format!("GET / HTTP/1.1\r\n{fields}\r\n");
    assert_eq!(proxy.connect().exchange(request).status(), 200);
    (target.only_request(), proxy)
}

#[test]
fn x_forwarded_for_is_appended_preserved_or_removed() {
    let came = "X-Forwarded-For: 198.51.100.1\r\nx-forwarded-for: 198.51.100.2\r\n";
    for (mode, fields, expected) in [
        (
            "append",
            came,
            &["198.51.100.1, 198.51.100.2, 127.0.0.1"][..],
        ),
        ("append", "", &["127.0.0.1"]),
        ("preserve", came, &["198.51.100.1", "198.51.100.2"]),
        ("preserve", "", &[]),
        ("remove", came, &[]),
        ("remove", "", &[]),
    ] {
        let key = format!("xff_header_processing_mode = '{mode}'");
        let (request, proxy) = seen(&[&key], &format!("Host: a\r\n{fields}"));
        assert_eq!(request.all("x-forwarded-for"), expected, "{mode}");
        assert_eq!(request.field("x-forwarded-proto"), Some("http"), "{mode}");
        let port = proxy.port().to_string();
        assert_eq!(
            request.field("x-forwarded-port"),
            Some(port.as_str()),
            "{mode}"
        );
    }
}

#[test]
fn the_clients_port_is_appended_if_asked_for() {
    let target = Target::saying("ok");
    let proxy = Setup::to([target.address])
        .with("enable_xff_client_port = true")
        .start();
    let mut client = proxy.connect();
    let local = client.stream().local_addr().unwrap().to_string();
    client.get("/");
    client.exchange("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: ::1\r\n\r\n");
    let requests = target.requests();
    assert_eq!(requests[0].field("x-forwarded-for"), Some(local.as_str()));
    let appended = format!("::1, {local}");
    assert_eq!(
        requests[1].field("x-forwarded-for"),
        Some(appended.as_str())
    );

    for mode in ["preserve", "remove"] {
        let mode = format!("xff_header_processing_mode = '{mode}'");
        let (request, _) = seen(&[&mode, "enable_xff_client_port = true"], "Host: a\r\n");
        assert!(!request.has("x-forwarded-for"));
    }
}

#[test]
fn more_than_30_forwarded_addresses_are_463() {
    let target = Target::saying("ok");
    for mode in ["append", "preserve", "remove"] {
        let proxy = Setup::to([target.address])
            .with(&format!("xff_header_processing_mode = '{mode}'"))
            .start();
        let line = |count: usize| {
            format!(
                "X-Forwarded-For: {}\r\n",
                vec!["192.0.2.1"; count].join(", ")
            )
        };
        for (lines, status) in [
            (line(30), 200),
            (line(31), 463),
            (line(15) + &line(15), 200),
            (line(16) + &line(15), 463),
            (format!("X-Forwarded-For: ,{}\r\n", ",".repeat(40)), 200),
        ] {
            let mut client = proxy.connect();
            let answer = client.exchange(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
            assert_eq!(answer.status(), status, "{mode}: {lines}");
            assert_eq!(client.get("/").status(), 200, "the connection stays");
        }
        assert_eq!(proxy.metric("httpcode_elb_total{code=\"463\"}"), 2);
        let reasons = proxy.log(10);
        let reason = |line: &&serde_json::Value| line["reason"] == "too_many_forwarded_addresses";
        assert_eq!(reasons.iter().filter(reason).count(), 2);
    }
}

#[test]
fn a_host_is_preserved_if_asked_for() {
    for host in ["Example.COM", "example.com:1", "EXAMPLE.com:443"] {
        let (request, _) = seen(
            &["preserve_host_header = true"],
            &format!("hOsT: {host}\r\n"),
        );
        assert_eq!(request.field("host"), Some(host));
        assert!(request.fields.iter().any(|(name, _)| name == "hOsT"));
    }
}

/// Rules look at the host that the target is shown, whichever that is.
#[test]
fn an_absolute_target_names_the_host_unless_that_is_preserved() {
    for (preserve, answer) in [(false, "ok"), (true, "by the field")] {
        let target = Target::saying("ok");
        let proxy = Setup::to([target.address])
            .with(&format!("preserve_host_header = {preserve}"))
            .rule(1, "{ host_header = ['example.com'] }", "by the field")
            .start();
        let asked = "GET http://Elsewhere.test/a HTTP/1.1\r\nHost: Example.com\r\n\r\n";
        assert_eq!(proxy.connect().exchange(asked).text(), answer);
        if !preserve {
            let host = target.only_request().field("host").unwrap().to_owned();
            assert_eq!(host, format!("elsewhere.test:{}", proxy.port()));
        }
    }
}

#[tokio::test]
async fn the_authority_of_http2_is_preserved_if_asked_for() {
    let target = Target::saying("ok");
    let proxy = Setup::to([target.address])
        .https()
        .with("preserve_host_header = true")
        .start();
    let client = Http2::connect(proxy.address()).await;
    let mut request = http2::request("GET", "/", http2::empty());
    *request.uri_mut() = "https://Example.com:444/".parse().unwrap();
    assert_eq!(client.send(request).await.unwrap().status(), 200);
    assert_eq!(target.only_request().field("host"), Some("Example.com:444"));
}

const TLS_HEADERS: &str = "enable_tls_version_and_cipher_suite_headers = true";

#[test]
fn targets_are_told_of_tls_if_asked_for() {
    let target = Target::saying("ok");
    let setup = Setup::to([target.address]).https();
    let forged = "GET / HTTP/1.1\r\nHost: example.com\r\nX-Amzn-Tls-Version: forged\r\n\
                  x_amzn_tls_cipher_suite: forged\r\nX-Amzn-Mtls-Clientcert: forged\r\nX-V: forged\r\n\
                  X-S: forged\r\n\r\n";
    let albs = ["x-amzn-tls-version", "x-amzn-tls-cipher-suite"];
    let of_tls13 = Some(["TLSv1.3", "TLS_AES_128_GCM_SHA256"]);
    let of_tls12 = Some(["TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"]);
    for (setup, names, expected) in [
        (setup.clone(), albs, None),
        (setup.clone().with(TLS_HEADERS), albs, of_tls13),
        (
            setup
                .clone()
                .with(TLS_HEADERS)
                .listener("routing_http_request_x_amzn_tls_version_header_name = 'X-V'")
                .listener("routing_http_request_x_amzn_tls_cipher_suite_header_name = 'X-S'"),
            ["X-V", "X-S"],
            of_tls13,
        ),
        (
            setup
                .with(TLS_HEADERS)
                .listener("ssl_policy = 'ELBSecurityPolicy-FS-1-2-Res-2020-10'"),
            albs,
            of_tls12,
        ),
    ] {
        let proxy = setup.start();
        assert_eq!(proxy.connect_tls().exchange(forged).status(), 200);
        let request = target.requests().pop().unwrap();
        for (nth, name) in names.into_iter().enumerate() {
            let expected = expected.map(|expected| expected[nth]);
            assert_eq!(request.field(name), expected);
            let spelled = request.fields.iter().any(|(field, _)| field == name);
            assert_eq!(spelled, expected.is_some(), "{name}");
        }
        for name in ["x_amzn_tls_cipher_suite", "x-amzn-mtls-clientcert"] {
            assert!(!request.has(name), "{name}");
        }
    }
}

#[test]
fn a_name_of_the_listeners_own_is_not_said_by_trailers() {
    let target = Target::answering(|_| ok(""));
    let setup = Setup::to([target.address]).https();
    let renamed = "routing_http_request_x_amzn_tls_version_header_name = 'X-V'";
    let forging = "POST / HTTP/1.1\r\nHost: example.com\r\nConnection: TE\r\nTE: trailers\r\n\
                   Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-V: forged\r\n\r\n";
    for (setup, passed_on) in [
        (setup.clone(), 1),
        (setup.with(TLS_HEADERS).listener(renamed), 0),
    ] {
        let proxy = setup.start();
        assert_eq!(proxy.connect_tls().exchange(forging).status(), 200);
        let request = target.requests().pop().unwrap();
        assert_eq!(request.body, b"ok");
        assert_eq!(request.trailers.len(), passed_on);
    }
}

#[test]
fn what_is_told_of_clients_certificates_has_the_listeners_names() {
    let directory = tempfile::tempdir().unwrap();
    write_authority(directory.path());
    let store = directory.path().join("ca.pem").display().to_string();
    let target = Target::saying("ok");
    let mut setup = Setup::to([target.address]).https().listener(&format!(
        "mutual_authentication = {{ mode = 'verify', trust_store = '{store}' }}"
    ));
    let names = ["serial_number", "issuer", "subject", "validity", "leaf"];
    for name in names {
        setup = setup.listener(&format!(
            "routing_http_request_x_amzn_mtls_clientcert_{name}_header_name = 'X-Own-{name}'"
        ));
    }
    let proxy = setup.start();
    let identity = Identity::of_authority(|_| ());
    let mut client = proxy.connect_tls_showing(Some(&identity)).unwrap();
    let forged = "GET / HTTP/1.1\r\nHost: example.com\r\nx-own-SUBJECT: forged\r\nx_own_subject: forged\r\n\r\n";
    assert_eq!(client.exchange(forged).status(), 200);
    let request = target.only_request();
    for name in names {
        let spelled = format!("X-Own-{name}");
        let found = request.fields.iter().filter(|(field, _)| *field == spelled);
        assert_eq!(found.count(), 1, "{name}");
    }
    assert_eq!(request.field("x-own-subject"), Some("CN=client.test"));
    assert!(!request.has("x_own_subject"));
    let albs = |field: &&(String, String)| field.0.to_lowercase().contains("mtls");
    assert_eq!(request.fields.iter().find(albs), None);
}

#[test]
fn without_tls_there_is_nothing_to_tell_of_it() {
    let (request, _) = seen(&[TLS_HEADERS], "Host: a\r\nx-amzn-tls-version: forged\r\n");
    assert!(!request.has("x-amzn-tls-version"));
    assert!(!request.has("x-amzn-tls-cipher-suite"));
}

#[test]
fn invalid_header_names_are_forwarded_or_dropped_and_counted() {
    let fields = "Host: a\r\nmy_own: 1\r\nx.y: 2\r\nX_Forwarded_For: forged\r\nValid-1: 3\r\nCookie: a_b=1\r\n";
    for (drops, kept) in [(false, true), (true, false)] {
        let key = format!("drop_invalid_header_fields = {drops}");
        let (request, proxy) = seen(&[&key], fields);
        for name in ["my_own", "x.y"] {
            assert_eq!(request.has(name), kept, "{name}");
        }
        assert!(!request.has("x_forwarded_for"));
        assert!(request.has("valid-1") && request.has("cookie"));
        let count =
            |what: &str| proxy.metric(&format!("{what}_invalid_header_request_count_total"));
        assert_eq!((count("forwarded"), count("dropped")), (i64::from(kept), 1));
        proxy
            .connect()
            .exchange("GET / HTTP/1.1\r\nHost: a\r\nValid-1: 1\r\n\r\n");
        assert_eq!((count("forwarded"), count("dropped")), (i64::from(kept), 1));
    }
}

#[test]
fn a_header_that_is_dropped_is_not_seen_by_rules_either() {
    let target = Target::saying("app");
    for (drops, answer) in [(false, "rule"), (true, "app")] {
        let proxy = Setup::to([target.address])
            .with(&format!("drop_invalid_header_fields = {drops}"))
            .rule(
                1,
                "{ http_header = { name = 'my_own', values = ['1'] } }",
                "rule",
            )
            .start();
        let request = "GET / HTTP/1.1\r\nHost: a\r\nmy_own: 1\r\n\r\n";
        assert_eq!(proxy.connect().exchange(request).text(), answer, "{drops}");
    }
}

const SET: [(&str, &str, &str); 10] = [
    (
        "access_control_allow_credentials",
        "access-control-allow-credentials",
        "true",
    ),
    (
        "access_control_allow_headers",
        "access-control-allow-headers",
        "X-A, X-B",
    ),
    (
        "access_control_allow_methods",
        "access-control-allow-methods",
        "GET,POST",
    ),
    (
        "access_control_allow_origin",
        "access-control-allow-origin",
        "https://example.com",
    ),
    (
        "access_control_expose_headers",
        "access-control-expose-headers",
        "*",
    ),
    ("access_control_max_age", "access-control-max-age", "86400"),
    (
        "content_security_policy",
        "content-security-policy",
        "default-src self; img-src *",
    ),
    (
        "strict_transport_security",
        "strict-transport-security",
        "max-age=31536000; includeSubDomains",
    ),
    (
        "x_content_type_options",
        "x-content-type-options",
        "nosniff",
    ),
    ("x_frame_options", "x-frame-options", "DENY"),
];

/// A listener that sets every response header there is, and has an answer of every kind.
fn setting(target: &Target) -> Setup {
    let mut setup = Setup::to([target.address])
        .https()
        .listener("routing_http_response_server_enabled = false")
        .rule(1, "{ path_pattern = ['/fixed'] }", "fixed")
        .rule_action(
            2,
            "{ path_pattern = ['/redirect'] }",
            "{ type = 'redirect', path = '/elsewhere', status_code = 'HTTP_302' }",
        )
        .other_group("empty", &[])
        .rule_action(
            3,
            "{ path_pattern = ['/empty'] }",
            "{ type = 'forward', target_group = 'empty' }",
        );
    for (key, _, value) in SET {
        setup = setup.listener(&format!(
            "routing_http_response_{key}_header_value = '{value}'"
        ));
    }
    setup
}

/// Says some of them itself.
fn opinionated() -> Target {
    Target::answering(|_| {
        b"HTTP/1.1 200 OK\r\nX-Frame-Options: SAMEORIGIN\r\nx-frame-options: ALLOWALL\r\nServer: app\r\n\
          access-control-max-age: 1\r\nX-Other: 1\r\nContent-Length: 2\r\n\r\nok"
            .to_vec()
    })
}

const ANSWERS: [(&str, u16); 4] = [
    ("/", 200),
    ("/fixed", 200),
    ("/redirect", 302),
    ("/empty", 503),
];

#[test]
fn response_headers_are_set_on_every_response_over_http1() {
    let target = opinionated();
    let proxy = setting(&target).start();
    let mut client = proxy.connect_tls();
    let mut answers: Vec<_> = ANSWERS
        .map(|(path, status)| (client.get(path), status))
        .into();
    answers.push((client.exchange("nonsense\r\n\r\n"), 400));
    answers.push((
        proxy
            .connect_tls()
            .exchange("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"),
        405,
    ));
    for (answer, status) in answers {
        assert_eq!(answer.status(), status);
        for (_, name, value) in SET {
            assert_eq!(answer.field(name), Some(value), "{status}");
        }
        let of_target = status == 200 && answer.has("x-other");
        assert_eq!(answer.has("server"), of_target, "{answer:?}");
    }
}

#[tokio::test]
async fn response_headers_are_set_on_every_response_over_http2() {
    let target = opinionated();
    let proxy = setting(&target).start();
    let client = Http2::connect(proxy.address()).await;
    for (path, status) in ANSWERS {
        let request = http2::request("GET", path, http2::empty());
        let response = client.send(request).await.unwrap();
        assert_eq!(response.status(), status);
        for (_, name, value) in SET {
            let all: Vec<_> = response.headers().get_all(name).iter().collect();
            assert_eq!(all, [value], "{path}");
        }
        assert_eq!(
            response.headers().contains_key("server"),
            path == "/",
            "{path}"
        );
    }
}

#[test]
fn interim_responses_are_left_alone() {
    let target = Target::answering(|_| {
        let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
        [&hints[..], &ok("ok")].concat()
    });
    let proxy = Setup::to([target.address])
        .listener("routing_http_response_x_frame_options_header_value = 'DENY'")
        .start();
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let hints = client.head().unwrap();
    assert_eq!((hints.status(), hints.fields.len()), (103, 1));
    assert_eq!(
        client.response().unwrap().field("x-frame-options"),
        Some("DENY")
    );
}

#[test]
fn the_headers_of_a_listener_change_with_a_reload() {
    let target = Target::saying("ok");
    let key = "routing_http_response_x_frame_options_header_value";
    let setup = |value: &str| Setup::to([target.address]).listener(&format!("{key} = '{value}'"));
    let proxy = setup("").start();
    assert!(!proxy.get("/").has("x-frame-options"));
    proxy.reload(&setup("DENY")).unwrap();
    assert_eq!(proxy.get("/").field("x-frame-options"), Some("DENY"));
}

#[test]
fn clients_that_use_ipv6_are_told_of_in_brackets_and_counted() {
    let target = Target::saying("ok");
    let proxy = Setup::to([target.address])
        .with("enable_xff_client_port = true")
        .more("[[listener]]\naddress = '::1'\nport = 0\ndefault_action = { type = 'forward', target_group = 'app' }")
        .start();
    let stream = TcpStream::connect(proxy.running().listeners()[1]).unwrap();
    let local = stream.local_addr().unwrap().to_string();
    let mut client = Wire::tcp(stream);
    let answer = client.get("/");
    assert_eq!(answer.status(), 200);
    proxy.get("/");
    let forwarded = target.requests()[0]
        .field("x-forwarded-for")
        .map(str::to_owned);
    assert!(local.starts_with("[::1]:"));
    assert_eq!(forwarded, Some(local));
    let lines = proxy.log(2);
    let bytes = |line: &serde_json::Value| {
        line["received_bytes"].as_i64().unwrap() + line["sent_bytes"].as_i64().unwrap()
    };
    assert_eq!(proxy.metric("ipv6_request_count_total"), 1);
    assert_eq!(proxy.metric("ipv6_processed_bytes_total"), bytes(&lines[0]));
    let both: i64 = lines.iter().map(bytes).sum();
    assert_eq!(proxy.metric("processed_bytes_total"), both);
}
