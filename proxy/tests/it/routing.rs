//! Which answer a request gets: rules and their actions, the protocol it was spoken in, and what is no request at all.

use crate::harness::client::get;
use crate::harness::tls::{self, OTHER};
use crate::harness::{Gate, Message, Proxy, Setup, Target, ok};

/// Answers with what the request line asks for.
fn echo_path() -> Target {
    Target::answering(|request| ok(request.uri()))
}

fn echo() -> (Target, Proxy) {
    let target = echo_path();
    let proxy = Setup::to([target.address]).start();
    (target, proxy)
}

#[test]
fn the_rule_of_the_path_answers_and_the_default_takes_the_rest() {
    let app = Target::saying("default");
    let proxy = Setup::to([app.address])
        .rule(20, "{ path_pattern = ['/a*'] }", "a")
        .rule(10, "{ path_pattern = ['/ab/?', '/x'] }", "ab")
        .start();
    for (path, answer) in [
        ("/", "default"),
        ("/a", "a"),
        ("/ab/c", "ab"),
        ("/ab/cd", "a"),
        ("/x?y=/a", "ab"),
        ("/A", "default"),
        ("/nothing/is/here", "default"),
    ] {
        assert_eq!(proxy.get(path).text(), answer, "{path}");
    }
}

#[test]
fn the_rule_of_the_host_answers_whatever_its_case_and_port() {
    let app = Target::saying("default");
    let proxy = Setup::to([app.address])
        .rule(1, "{ host_header = ['*.example.com'] }", "sub")
        .start();
    for (host, answer) in [
        ("a.example.com", "sub"),
        ("A.EXAMPLE.COM:8080", "sub"),
        ("example.com", "default"),
        ("a.example.com.evil", "default"),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(proxy.connect().exchange(request).text(), answer, "{host}");
    }
}

#[test]
fn a_rule_forwards_to_a_group_of_its_own() {
    let (app, api) = (Target::saying("app"), Target::saying("api"));
    let proxy = Setup::to([app.address])
        .other_group("api", &[api.address])
        .rule_action(
            1,
            "{ path_pattern = ['/api/*'] }",
            "{ type = 'forward', target_group = 'api' }",
        )
        .start();
    assert_eq!(proxy.get("/api/x").text(), "api");
    assert_eq!(proxy.get("/apix").text(), "app");
    assert_eq!(api.only_request().uri(), "/api/x");
}

#[test]
fn a_redirect_names_the_place_and_keeps_what_it_does_not_change() {
    let app = Target::saying("never");
    let proxy = Setup::to([app.address])
        .rule_action(
            1,
            "{ path_pattern = ['/old/*'] }",
            "{ type = 'redirect', protocol = 'HTTPS', port = '443', path = '/new/#{path}', status_code = 'HTTP_301' }",
        )
        .start();
    let mut client = proxy.connect();
    let answer = client.get("/old/page?a=b");
    assert_eq!(answer.status(), 301);
    assert_eq!(
        answer.field("location"),
        Some("https://example.com:443/new/old/page?a=b")
    );
    assert_eq!(answer.field("server"), Some("lintel"));
    assert_eq!(answer.field("content-length"), Some("134"));
    assert!(answer.has("date"));
    assert_eq!(client.get("/old/again").status(), 301, "kept alive");
    assert!(app.requests().is_empty());
}

#[test]
fn a_fixed_response_is_as_written() {
    let app = Target::saying("never");
    let proxy = Setup::to([app.address])
        .rule_action(
            1,
            "{ path_pattern = ['/teapot'] }",
            "{ type = 'fixed-response', status_code = '418', content_type = 'text/plain', message_body = 'short and stout' }",
        )
        .start();
    let answer = proxy.get("/teapot");
    assert_eq!(answer.status(), 418);
    assert_eq!(answer.text(), "short and stout");
    assert_eq!(
        answer.field("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(answer.field("server"), Some("lintel"));
    let head = proxy
        .connect()
        .exchange("HEAD /teapot HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(head.field("content-length"), Some("15"));
}

#[test]
fn an_upload_to_a_fixed_response_leaves_the_connection_usable() {
    let app = Target::saying("app");
    let proxy = Setup::to([app.address])
        .rule(1, "{ path_pattern = ['/fixed'] }", "fixed")
        .start();
    let mut client = proxy.connect();
    assert_eq!(client.post("/fixed", "body").text(), "fixed");
    assert_eq!(client.get("/").text(), "app");
    assert_eq!(
        app.only_request().method(),
        "GET",
        "nothing is left of the body"
    );
}

#[test]
fn the_certificate_is_the_one_of_the_name_asked_for() {
    let app = Target::saying("app");
    let proxy = Setup::to([app.address]).https().start();
    // The client refuses a certificate that is not for the name.
    for name in ["example.com", "a.example.com", OTHER] {
        let mut client = proxy.connect_tls_as(name, &["http/1.1"]);
        assert_eq!(client.get("/").status(), 200, "{name}");
    }
    let unknown = tls::handshake(proxy.stream(), "unknown.test", &[]);
    let error = unknown
        .map(drop)
        .expect_err("the default certificate")
        .to_string();
    assert!(error.contains("not valid for name"), "{error}");
}

#[test]
fn the_protocol_is_chosen_by_alpn() {
    let app = Target::saying("app");
    let setup = Setup::to([app.address]).https();
    let proxy = setup.clone().start();
    let chosen = |proxy: &Proxy, offered: &[&str]| {
        let mut client = proxy.connect_tls_as("example.com", offered);
        client.stream().conn.alpn_protocol().map(<[u8]>::to_vec)
    };
    for (offered, expected) in [
        (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
        (&["http/1.1", "h2"], Some(b"h2")),
        (&["http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        assert_eq!(chosen(&proxy, offered).as_deref(), expected, "{offered:?}");
    }
    let without = setup.with("enable_http2 = false").start();
    let chosen = chosen(&without, &["h2", "http/1.1"]);
    assert_eq!(chosen.as_deref(), Some(&b"http/1.1"[..]));
}

/// Who begins with HTTP/2 all the same is told that there is none.
#[test]
fn without_tls_there_is_no_http2() {
    let (target, proxy) = echo();
    let mut client = proxy.connect();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    assert_eq!(client.response().unwrap().status(), 505);
    client.rest().expect("the end of the connection");
    assert!(target.requests().is_empty());
}

#[test]
fn an_old_client_is_answered_and_its_connection_closed() {
    let (target, proxy) = echo();
    let mut client = proxy.connect();
    let answer = client.exchange("GET /old HTTP/1.0\r\n\r\n");
    assert_eq!((answer.status(), answer.text()), (200, "/old"));
    assert!(!answer.has("transfer-encoding"));
    client.assert_closed();
    let request = target.only_request();
    assert_eq!(request.start, "GET /old HTTP/1.1");
    let host = format!("web:{}", proxy.port());
    assert_eq!(request.field("host"), Some(host.as_str()));
}

#[test]
fn an_old_client_may_keep_its_connection() {
    let (_target, proxy) = echo();
    let mut client = proxy.connect();
    let request = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let answer = client.exchange(request);
    let connection = answer.field("connection").unwrap_or_default();
    assert!(connection.eq_ignore_ascii_case("keep-alive"));
    assert_eq!(client.exchange(request).status(), 200);
}

#[test]
fn an_old_client_gets_a_chunked_response_as_plain_bytes() {
    let target = Target::answering(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
            .to_vec()
    });
    let proxy = Setup::to([target.address]).start();
    let answer = proxy.connect().exchange("GET / HTTP/1.0\r\n\r\n");
    assert!(!answer.has("transfer-encoding"));
    assert_eq!(answer.text(), "abcdef");
}

#[test]
fn a_head_request_gets_the_fields_and_no_body() {
    let target = Target::answering(|request| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec();
        match request.method() {
            "HEAD" => head,
            _ => [&head[..], b"hello"].concat(),
        }
    });
    let proxy = Setup::to([target.address]).start();
    let mut client = proxy.connect();
    for _ in 0..3 {
        let head = client.exchange("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(head.field("content-length"), Some("5"));
        assert_eq!(client.get("/").text(), "hello");
    }
    assert_eq!(target.connections(), 1, "the connection was kept");
}

#[test]
fn a_connection_serves_many_requests() {
    let (target, proxy) = echo();
    let mut client = proxy.connect();
    for nth in 0..100 {
        let path = format!("/{nth}");
        assert_eq!(client.get(&path).text(), path);
    }
    assert_eq!(target.connections(), 1);
}

/// Whoever comes to a worker finds the connection that another client has left, unless it is at work.
#[test]
fn connections_to_targets_serve_all_clients_and_one_request_at_a_time() {
    let gate = Gate::default();
    let closed = gate.clone();
    let target = Target::answering(move |request| {
        if request.uri() == "/slow" {
            closed.pass();
        }
        ok(request.uri())
    });
    let proxy = Setup::to([target.address]).with("workers = 1").start();
    for _ in 0..3 {
        assert_eq!(proxy.get("/").text(), "/");
    }
    assert_eq!(target.connections(), 1);
    let mut waiting = proxy.connect();
    waiting.send(get("/slow")).unwrap();
    target.wait_for_requests(4);
    assert_eq!(proxy.get("/quick").text(), "/quick");
    assert_eq!(target.connections(), 2);
    gate.open();
    assert_eq!(waiting.response().unwrap().text(), "/slow");
}

#[test]
fn requests_in_one_go_are_answered_in_order() {
    let (_target, proxy) = echo();
    let paths: Vec<String> = (0..50).map(|nth| format!("/{nth}")).collect();
    let mut client = proxy.connect();
    let all: String = paths.iter().map(|path| get(path)).collect();
    client.send(all).unwrap();
    for path in &paths {
        assert_eq!(client.response().unwrap().text(), path);
    }
}

#[test]
fn a_client_that_asks_for_it_gets_its_connection_closed() {
    let (target, proxy) = echo();
    let mut client = proxy.connect();
    let answer = client.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(answer.status(), 200);
    client.assert_closed();
    // The connection to the target is another matter.
    assert_eq!(proxy.get("/").status(), 200);
    assert_eq!(target.requests().len(), 2);
}

#[test]
fn an_absolute_request_target_decides_the_host() {
    let (target, proxy) = echo();
    let answer = proxy
        .connect()
        .exchange("GET http://Name.example/x?y=z HTTP/1.1\r\nHost: other.example\r\n\r\n");
    assert_eq!(answer.text(), "/x?y=z");
    let host = format!("name.example:{}", proxy.port());
    assert_eq!(target.only_request().field("host"), Some(host.as_str()));
}

#[test]
fn the_whole_server_can_be_asked_for_its_options() {
    let (target, proxy) = echo();
    let answer = proxy
        .connect()
        .exchange("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(answer.status(), 200);
    assert_eq!(target.only_request().start, "OPTIONS * HTTP/1.1");
}

#[test]
fn a_request_without_exactly_one_good_host_is_refused() {
    let (target, proxy) = echo();
    let hosts = [
        "",
        "Host:\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nHost: b\r\n",
        "Host: a, b\r\n",
        "Host: a/b\r\n",
        "Host: user@a\r\n",
    ];
    for host in hosts {
        let mut client = proxy.connect();
        let answer = client.exchange(format!("GET / HTTP/1.1\r\n{host}X: y\r\n\r\n"));
        assert_eq!(answer.status(), 400, "{host:?}");
        assert_eq!(answer.field("content-length"), Some("122"), "{host:?}");
        assert_eq!(answer.field("connection"), Some("close"), "{host:?}");
        client.assert_closed();
    }
    assert!(target.requests().is_empty());
    for line in proxy.log(hosts.len()) {
        assert_eq!(line["elb_status_code"], 400);
        assert_eq!(line["reason"], "invalid_host");
    }
}

#[test]
fn trace_and_connect_are_not_allowed() {
    let (target, proxy) = echo();
    for request in [
        "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
    ] {
        let answer = proxy.connect().exchange(request);
        assert_eq!(answer.status(), 405, "{request:?}");
        assert_eq!(answer.field("server"), Some("lintel"));
    }
    assert!(target.requests().is_empty());
    let lines = proxy.log(2);
    assert!(
        lines
            .iter()
            .all(|line| line["reason"] == "method_not_allowed")
    );
}

#[test]
fn any_other_method_passes() {
    let (target, proxy) = echo();
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "brew"] {
        let answer = proxy
            .connect()
            .exchange(format!("{method} /m HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(answer.text(), "/m", "{method}");
    }
    let methods: Vec<String> = target.requests().iter().map(method).collect();
    assert_eq!(
        methods,
        ["PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "brew"]
    );
}

fn method(request: &Message) -> String {
    request.method().to_owned()
}

#[test]
fn the_path_reaches_the_target_as_it_was_sent() {
    let (_target, proxy) = echo();
    for path in [
        "/a/../b/./c",
        "//double//slash",
        "/%2e%2e/%2F?q=%20+&&=",
        "/semi;colon,comma",
        "/?",
        "/?a?b",
        "/'()*!$&",
    ] {
        assert_eq!(proxy.get(path).text(), path);
    }
}

#[test]
fn an_answer_of_its_own_looks_like_the_albs() {
    let proxy = Setup::to([]).start();
    let answer = proxy.get("/");
    assert_eq!(answer.start, "HTTP/1.1 503 Service Temporarily Unavailable");
    assert_eq!(answer.field("server"), Some("lintel"));
    assert_eq!(answer.field("content-type"), Some("text/html"));
    assert_eq!(
        answer.text(),
        "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n\
         <center><h1>503 Service Temporarily Unavailable</h1></center>\r\n</body>\r\n</html>\r\n"
    );
}

#[test]
fn what_is_no_request_is_refused_and_recorded() {
    let (target, proxy) = echo();
    let requests = [
        "nonsense\r\n\r\n",
        "GET / HTTP/3.7\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    ];
    for request in requests {
        let mut client = proxy.connect();
        client.send(request).unwrap();
        let answer = client.response().expect(request);
        assert!(matches!(answer.status(), 400 | 501 | 505), "{request:?}");
        client.rest().expect("the end of the connection");
    }
    assert!(target.requests().is_empty());
    for line in proxy.log(requests.len()) {
        let reason = match line["elb_status_code"].as_u64() {
            Some(505) => "unsupported_version",
            Some(501) => "unknown_transfer_encoding",
            _ => "malformed_request",
        };
        assert_eq!(line["reason"], reason);
        assert_eq!(line["target_port"], serde_json::Value::Null);
    }
}
