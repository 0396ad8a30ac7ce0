//! The six kinds of conditions: rules with one fixed response each, and requests with the response that they get.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use crate::harness::http2::{self, Http2};
use crate::harness::{Proxy, Setup, Target, Wire};

/// A rule for each condition, whose number is its priority and its answer; in the file the last one comes first.
fn proxy(conditions: &[&str]) -> (Target, Proxy) {
    let app = Target::saying("0");
    let setup = (1..)
        .zip(conditions)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .fold(Setup::to([app.address]), |setup, (number, condition)| {
            setup.rule(number, condition, &number.to_string())
        });
    (app, setup.start())
}

/// Each head, with `\n` for a line's end, gets the answer of that rule.
#[track_caller]
fn assert_answers(proxy: &Proxy, cases: &[(&str, u32)]) {
    let mut client = proxy.connect();
    for (head, rule) in cases {
        let head = head.replace('\n', "\r\n");
        let answer = client.exchange(format!("{head}\r\n\r\n"));
        assert_eq!(answer.text(), rule.to_string(), "{head}");
    }
}

#[test]
fn host_header() {
    let (_app, proxy) = proxy(&[
        "{ host_header = ['*.example.com', 'a?c.org'] }",
        "{ host_header = { regex_values = ['^(www|api)[.]'] } }",
        "{ host_header = { values = ['one.test.net'], regex_values = ['two'] } }",
    ]);
    assert_answers(
        &proxy,
        &[
            ("GET / HTTP/1.1\nHost: a.example.com", 1),
            ("GET / HTTP/1.1\nHost: A.B.EXAMPLE.com:8080", 1),
            ("GET / HTTP/1.1\nHost: example.com", 0),
            ("GET / HTTP/1.1\nHost: abc.org", 1),
            ("GET / HTTP/1.1\nHost: ac.org", 0),
            ("GET / HTTP/1.1\nHost: WWW.elsewhere.org", 2),
            ("GET / HTTP/1.1\nHost: xwww.elsewhere.org", 0),
            ("GET / HTTP/1.1\nHost: one.test.net", 3),
            ("GET / HTTP/1.1\nHost: number-two.net", 3),
            ("GET http://a.example.com/ HTTP/1.1\nHost: other", 1),
            (
                "GET / HTTP/1.1\nHost: other\nX-Forwarded-Host: a.example.com",
                0,
            ),
        ],
    );
}

#[test]
fn path_pattern() {
    let (_app, proxy) = proxy(&[
        "{ path_pattern = ['/img/*', '/exact', '/a?c'] }",
        "{ path_pattern = { regex_values = ['^/v[0-9]+/', '[.](png|jpe?g)$'] } }",
        "{ path_pattern = ['/package.service/*', '/~\"+&@:$'] }",
    ]);
    assert_answers(
        &proxy,
        &[
            ("GET /img/a/b.gif HTTP/1.1\nHost: a", 1),
            ("GET /img/ HTTP/1.1\nHost: a", 1),
            ("GET /img HTTP/1.1\nHost: a", 0),
            ("GET /IMG/a HTTP/1.1\nHost: a", 0),
            ("GET /x?/img/ HTTP/1.1\nHost: a", 0),
            ("GET /exact?x HTTP/1.1\nHost: a", 1),
            ("GET /exact/ HTTP/1.1\nHost: a", 0),
            ("GET /a/c HTTP/1.1\nHost: a", 1),
            ("GET /x/../img/%61 HTTP/1.1\nHost: a", 1),
            ("GET /v12/x HTTP/1.1\nHost: a", 2),
            ("GET /V12/x HTTP/1.1\nHost: a", 0),
            ("GET /x/v12/x HTTP/1.1\nHost: a", 0),
            ("GET /deep/in/a.jpeg HTTP/1.1\nHost: a", 2),
            ("GET /a.jpeg?v=2 HTTP/1.1\nHost: a", 2),
            ("GET /a?b.png HTTP/1.1\nHost: a", 0),
            (
                "POST /package.service/Method HTTP/1.1\nHost: a\nContent-Length: 0",
                3,
            ),
            ("GET /~\"+&@:$ HTTP/1.1\nHost: a", 3),
        ],
    );
}

#[test]
fn http_header() {
    let (_app, proxy) = proxy(&[
        "{ http_header = { name = 'X-Canary', values = ['1', 'yes*'] } }",
        "{ http_header = { name = 'User-Agent', regex_values = ['(curl|wget)/[0-9]'] } }",
        "{ http_header = { name = 'X-A', values = ['1'] } }, { http_header = { name = 'x-a', values = ['2'] } }",
    ]);
    assert_answers(
        &proxy,
        &[
            ("GET / HTTP/1.1\nHost: a\nX-Canary: 1", 1),
            ("GET / HTTP/1.1\nHost: a\nx-cAnArY: YES please", 1),
            ("GET / HTTP/1.1\nHost: a\nX-Canary: 11", 0),
            ("GET / HTTP/1.1\nHost: a\nX-Canary: 0\nX-Canary: 1", 1),
            ("GET / HTTP/1.1\nHost: a\nX-Canary: 0, 1", 0),
            ("GET / HTTP/1.1\nHost: a\nX-Canaryx: 1", 0),
            ("GET / HTTP/1.1\nHost: a\nUser-Agent: Curl/8.1", 2),
            ("GET / HTTP/1.1\nHost: a\nUser-Agent: curl", 0),
            ("GET / HTTP/1.1\nHost: a\nX-A: 1", 0),
            ("GET / HTTP/1.1\nHost: a\nX-A: 2\nX-A: 1", 3),
        ],
    );
}

#[test]
fn http_request_method() {
    let (_app, proxy) = proxy(&["{ http_request_method = ['POST', 'PURGE', 'X_Y-Z'] }"]);
    assert_answers(
        &proxy,
        &[
            ("POST / HTTP/1.1\nHost: a\nContent-Length: 0", 1),
            ("PURGE / HTTP/1.1\nHost: a", 1),
            ("purge / HTTP/1.1\nHost: a", 0),
            ("PURGES / HTTP/1.1\nHost: a", 0),
            ("X_Y-Z / HTTP/1.1\nHost: a", 1),
            ("GET / HTTP/1.1\nHost: a\nX-HTTP-Method-Override: POST", 0),
        ],
    );
}

#[test]
fn query_string() {
    let (_app, proxy) = proxy(&[
        "{ query_string = [{ key = 'v', value = '1' }, { value = '*wild*' }] }",
        "{ query_string = [{ key = 'lit\\*', value = '\\?\\\\' }] }",
        "{ query_string = [{ key = 'a', value = '1' }] }, { query_string = [{ key = 'b', value = '2' }] }",
        "{ query_string = [{ key = 'empty', value = '' }] }",
        "{ query_string = [{ key = 'w?ld-*', value = 'x' }] }",
    ]);
    assert_answers(
        &proxy,
        &[
            ("GET /?v=1 HTTP/1.1\nHost: a", 1),
            ("GET /?x&V=1&y HTTP/1.1\nHost: a", 1),
            ("GET /?v=12 HTTP/1.1\nHost: a", 0),
            ("GET /?any=some-WILD-thing HTTP/1.1\nHost: a", 1),
            ("GET /?wild=x HTTP/1.1\nHost: a", 0),
            ("GET /?v=%31 HTTP/1.1\nHost: a", 0),
            ("GET /v=1 HTTP/1.1\nHost: a", 0),
            ("GET /?LIT*=?\\ HTTP/1.1\nHost: a", 2),
            ("GET /?litx=?\\ HTTP/1.1\nHost: a", 0),
            ("GET /?lit*=x\\ HTTP/1.1\nHost: a", 0),
            ("GET /?a=1 HTTP/1.1\nHost: a", 0),
            ("GET /?b=2&a=1 HTTP/1.1\nHost: a", 3),
            ("GET /?empty HTTP/1.1\nHost: a", 4),
            ("GET /?empty= HTTP/1.1\nHost: a", 4),
            ("GET /?empty=x HTTP/1.1\nHost: a", 0),
            ("GET /?Wild-key=X HTTP/1.1\nHost: a", 5),
            ("GET /?wld-key=x HTTP/1.1\nHost: a", 0),
        ],
    );
}

/// A request from this address of the loopback network.
fn get_from(proxy: &Proxy, address: [u8; 4], head: &str) -> String {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let local = SocketAddr::from((Ipv4Addr::from(address), 0));
    socket.bind(&local.into()).unwrap();
    socket.connect(&proxy.address().into()).unwrap();
    let mut client = Wire::tcp(TcpStream::from(socket));
    client.exchange(head).text().to_owned()
}

#[test]
fn source_ip() {
    let (_app, proxy) = proxy(&[
        "{ source_ip = ['127.0.0.16/28', '2001:db8::/32'] }",
        "{ source_ip = ['10.0.0.0/8'] }",
        "{ source_ip = ['127.0.0.2/32'] }",
    ]);
    let get = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n";
    for (address, answer) in [
        ([127, 0, 0, 1], "0"),
        ([127, 0, 0, 2], "3"),
        ([127, 0, 0, 15], "0"),
        ([127, 0, 0, 16], "1"),
        ([127, 0, 0, 31], "1"),
        ([127, 0, 0, 32], "0"),
    ] {
        assert_eq!(get_from(&proxy, address, get), answer, "{address:?}");
    }
}

#[test]
fn all_conditions_of_a_rule_must_hold() {
    // Of each kind two values. A wildcard in the middle leaves it to the condition what becomes of the text around it.
    let (_app, proxy) = proxy(&[
        "{ path_pattern = ['/v?/api/*', '/other'] }, { host_header = ['*.e?ample.com', 'other.org'] }, \
         { http_request_method = ['GET', 'PURGE'] }, { http_header = { name = 'X-Canary', values = ['1', 'yes'] } }, \
         { query_string = [{ key = 'v', value = '2' }, { key = 'w', value = '3' }] }, \
         { source_ip = ['127.0.0.0/30', '127.0.0.8/32'] }",
    ]);
    let right = ["GET", "/v1/api/x", "v=2", "a.example.com", "1"];
    let answer = |parts: [&str; 5], from| {
        let [method, path, query, host, canary] = parts;
        let head = format!(
            "{method} {path}?{query} HTTP/1.1\r\nHost: {host}\r\nX-Canary: {canary}\r\n\r\n"
        );
        get_from(&proxy, [127, 0, 0, from], &head)
    };
    assert_eq!(answer(right, 1), "1");
    for (part, text, rule) in [
        (0, "PURGE", "1"),
        (0, "PUT", "0"),
        (1, "/other", "1"),
        (1, "/v/api/x", "0"),
        (2, "w=3", "1"),
        (2, "v=3", "0"),
        (3, "other.org", "1"),
        (3, "a.ample.com", "0"),
        (4, "yes", "1"),
        (4, "2", "0"),
    ] {
        let mut parts = right;
        parts[part] = text;
        assert_eq!(answer(parts, 1), rule, "{text}");
    }
    for (from, rule) in [(8, "1"), (9, "0")] {
        assert_eq!(answer(right, from), rule, "from 127.0.0.{from}");
    }
}

#[test]
fn the_lowest_priority_wins_whatever_it_looks_at() {
    let (_app, proxy) = proxy(&[
        "{ query_string = [{ value = 'first' }] }",
        "{ path_pattern = ['/a/*'] }",
        "{ http_header = { name = 'X-A', values = ['*'] } }",
        "{ path_pattern = ['/a/b'] }",
        "{ path_pattern = { regex_values = ['b$'] } }",
    ]);
    assert_answers(
        &proxy,
        &[
            ("GET /a/b?x=first HTTP/1.1\nHost: a\nX-A: 1", 1),
            ("GET /a/b HTTP/1.1\nHost: a\nX-A: 1", 2),
            ("GET /b HTTP/1.1\nHost: a\nX-A: 1", 3),
            ("GET /b HTTP/1.1\nHost: a", 5),
            ("GET / HTTP/1.1\nHost: a", 0),
        ],
    );
}

#[tokio::test]
async fn over_http2_the_same_holds() {
    let app = Target::saying("0");
    let proxy = Setup::to([app.address])
        .https()
        .rule(1, "{ host_header = ['api.example.com'] }", "1")
        .rule(2, "{ http_header = { name = 'Cookie', values = ['a=1; b=2'] } }", "2")
        .rule(3, "{ path_pattern = ['/p'] }, { query_string = [{ key = 'q', value = '1' }] }, { http_request_method = ['PUT'] }", "3")
        .start();
    let client = Http2::connect(proxy.address()).await;
    for (method, uri, answer) in [
        ("GET", "https://api.example.com/", "1"),
        ("GET", "https://other.example.com/", "2"),
        ("PUT", "https://other.example.com/p?q=1", "2"),
        ("GET", "https://other.example.com/none", "0"),
        ("PUT", "https://other.example.com/p?q=1", "3"),
    ] {
        let mut request = http::Request::builder().method(method).uri(uri);
        if answer == "2" {
            request = request.header("cookie", "a=1").header("cookie", "b=2");
        }
        let response = client
            .send(request.body(http2::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(
            http2::whole(response).await,
            (200, answer.into()),
            "{method} {uri}"
        );
    }
}
