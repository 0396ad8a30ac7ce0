//! Rewriting heads: the client's into the target's, for a small request and for a browser's, and the response's back.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use http::Method;
use lintel_proxy::forward::headers::{Asked, ClientSide, ToClient, to_client, to_target, trace_id};
use lintel_proxy::http1::{RequestHead, ResponseHead};
use lintel_proxy::model::{HeaderModification, RequestHeaders};

const COOKIE_SIZE: usize = 1536;

const BROWSER: [(&str, &str); 18] = [
    ("connection", "keep-alive"),
    ("cache-control", "max-age=0"),
    (
        "sec-ch-ua",
        r#""Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140""#,
    ),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", r#""Linux""#),
    ("dnt", "1"),
    ("upgrade-insecure-requests", "1"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
    ),
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-user", "?1"),
    ("sec-fetch-dest", "document"),
    ("referer", "https://www.example.com/entries?page=2"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-GB,en;q=0.9,de;q=0.8"),
    ("if-none-match", r#"W/"2b7a-19a4f3c1e58""#),
    ("priority", "u=0, i"),
];

fn read(request: &str) -> RequestHead {
    let (head, _) = RequestHead::read(request.as_bytes())
        .expect("a request")
        .expect("all of it");
    head
}

fn small() -> RequestHead {
    read(
        "GET / HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n\r\n",
    )
}

/// 20 headers, 1.5 KiB of them cookies.
fn browser() -> RequestHead {
    let mut cookie = String::new();
    while cookie.len() < COOKIE_SIZE {
        cookie.push_str("_session_token_of_something=0123456789abcdef0123456789abcdef; ");
    }
    cookie.truncate(COOKIE_SIZE);
    let mut request = String::from("GET /entries?page=3 HTTP/1.1\r\nHost: www.example.com\r\n");
    for (name, value) in BROWSER {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.extend(["cookie: ", cookie.trim_end(), "\r\n\r\n"]);
    let head = read(&request);
    assert_eq!(head.fields().len(), 20);
    head
}

fn response() -> ResponseHead {
    let response = "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\n\
         content-length: 8192\r\ncache-control: no-store\r\n\
         date: Thu, 01 Jan 2026 00:00:00 GMT\r\nconnection: keep-alive\r\n\
         keep-alive: timeout=5\r\n\r\n";
    let (head, _) = ResponseHead::read(response.as_bytes(), &Method::GET)
        .expect("a response")
        .expect("all of it");
    head
}

fn rewrite(c: &mut Criterion) {
    let modification = HeaderModification::NONE;
    let client = ClientSide {
        address: "192.0.2.7",
        address_port: 40000,
        tls: None,
        certificates: None,
        port: 443,
        load_balancer: "lintel",
        headers: RequestHeaders::DEFAULT,
        modification: &modification,
    };
    let mut group = c.benchmark_group("headers");
    let (mut out, mut id) = (Vec::new(), Vec::new());
    for (name, head) in [("small", small()), ("browser", browser())] {
        group.bench_function(format!("to_target/{name}"), |b| {
            b.iter(|| {
                out.clear();
                id.clear();
                trace_id(&head, black_box(0x6955_4b80), black_box(7), &mut id);
                to_target(
                    &head,
                    &Asked::of(&head, "www.example.com", None),
                    &client,
                    &id,
                    &mut out,
                )
            });
        });
    }
    let head = response();
    group.bench_function("to_client", |b| {
        b.iter(|| {
            out.clear();
            to_client(&head, &ToClient::default(), &[], &mut out);
        });
    });
    group.finish();
}

criterion_group!(benches, rewrite);
criterion_main!(benches);
