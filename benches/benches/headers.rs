//! Rewriting heads: the client's into the target's, for a small request and for a browser's, and the response's back.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, Request, Response, request};
use lintel_proxy::forward::headers::{ClientSide, to_client, to_target, trace_id};

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

fn small() -> request::Parts {
    Request::get("/")
        .header("host", "www.example.com")
        .header("user-agent", "curl/8.14.1")
        .header("accept", "*/*")
        .body(())
        .expect("a request")
        .into_parts()
        .0
}

/// 20 headers, 1.5 KiB of them cookies.
fn browser() -> request::Parts {
    let mut cookie = String::new();
    while cookie.len() < COOKIE_SIZE {
        cookie.push_str("_session_token_of_something=0123456789abcdef0123456789abcdef; ");
    }
    cookie.truncate(COOKIE_SIZE);
    let mut request = Request::get("/entries?page=3").header("host", "www.example.com");
    for (name, value) in BROWSER {
        request = request.header(name, value);
    }
    let head = request
        .header("cookie", cookie.trim_end())
        .body(())
        .expect("a request")
        .into_parts()
        .0;
    assert_eq!(head.headers.len(), 20);
    head
}

fn response() -> HeaderMap {
    Response::builder()
        .header("content-type", "text/html; charset=utf-8")
        .header("content-length", "8192")
        .header("cache-control", "no-store")
        .header("date", "Thu, 01 Jan 2026 00:00:00 GMT")
        .header("connection", "keep-alive")
        .header("keep-alive", "timeout=5")
        .body(())
        .expect("a response")
        .into_parts()
        .0
        .headers
}

fn rewrite(c: &mut Criterion) {
    let client = ClientSide {
        peer: SocketAddr::from((Ipv4Addr::new(192, 0, 2, 7), 4711)),
        https: true,
        port: 443,
        load_balancer: "lintel",
    };
    let mut group = c.benchmark_group("headers");
    for (name, head) in [("small", small()), ("browser", browser())] {
        group.bench_function(format!("to_target/{name}"), |b| {
            b.iter_batched_ref(
                || head.clone(),
                |head| {
                    let trace_id = trace_id(&head.headers, black_box(0x6955_4b80), black_box(7));
                    to_target(head, &client, trace_id)
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.bench_function("to_client", |b| {
        b.iter_batched_ref(
            response,
            |headers| to_client(headers, false, false),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, rewrite);
criterion_main!(benches);
