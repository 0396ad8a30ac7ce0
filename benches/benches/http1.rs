//! Reading HTTP/1.1: a small request and a browser's, a response, fields looked up and gone through, and chunks.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::Method;
use lintel_proxy::http1::body::{CHUNK_END, LAST_CHUNK, chunk_header};
use lintel_proxy::http1::{Decoder, Length, Name, RequestHead, ResponseHead};

const SMALL: &[u8] =
    b"GET / HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n\
    Accept-Encoding: gzip\r\nConnection: keep-alive\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: app\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
    Content-Type: text/html; charset=utf-8\r\nContent-Length: 8192\r\nConnection: keep-alive\r\n\r\n";

const BROWSER: &str = "GET /entries?page=3 HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: max-age=0\r\n\
    sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\", \"Google Chrome\";v=\"140\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    DNT: 1\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 \
    Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-User: ?1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Referer: https://www.example.com/entries?page=2\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    If-None-Match: W/\"2b7a-19a4f3c1e58\"\r\n\
    Priority: u=0, i\r\n";

/// 20 fields, 1.5 KiB of them cookies.
fn browser() -> Vec<u8> {
    let cookie = "_session_token_of_something=0123456789abcdef0123456789abcdef; ".repeat(24);
    format!("{BROWSER}Cookie: {cookie}\r\n\r\n").into_bytes()
}

fn request(input: &[u8]) -> RequestHead {
    let read = RequestHead::read(black_box(input));
    read.ok().flatten().expect("a whole head").0
}

fn heads(c: &mut Criterion) {
    let mut group = c.benchmark_group("http1/head");
    for (name, input) in [("small", SMALL.to_vec()), ("browser", browser())] {
        group.throughput(Throughput::Bytes(input.len() as u64));
        group.bench_function(format!("request/{name}"), |b| b.iter(|| request(&input)));
        // All but the last byte: what it costs to see that there is more to come.
        let unfinished = &input[..input.len() - 1];
        group.bench_function(format!("request/{name}/unfinished"), |b| {
            b.iter(|| RequestHead::read(black_box(unfinished)));
        });
    }
    group.throughput(Throughput::Bytes(RESPONSE.len() as u64));
    group.bench_function("response", |b| {
        b.iter(|| ResponseHead::read(black_box(RESPONSE), &Method::GET));
    });
    group.finish();
}

fn fields(c: &mut Criterion) {
    let head = request(&browser());
    let fields = head.fields();
    let mut group = c.benchmark_group("http1/fields");
    group.bench_function("get", |b| b.iter(|| fields.get(black_box(Name::Cookie))));
    group.bench_function("named", |b| {
        b.iter(|| fields.named(black_box("priority")).next());
    });
    group.bench_function("write", |b| {
        let mut out = Vec::with_capacity(4096);
        b.iter(|| {
            out.clear();
            fields.write(&mut out);
            black_box(out.len())
        });
    });
    group.finish();
}

fn chunks(c: &mut Criterion) {
    let mut group = c.benchmark_group("http1/chunks");
    for size in [4, 1024, 16 * 1024] {
        let mut stream = Vec::new();
        for _ in 0..16 {
            chunk_header(size, &mut stream);
            stream.resize(stream.len() + size, b'a');
            stream.extend_from_slice(CHUNK_END);
        }
        stream.extend_from_slice(LAST_CHUNK);
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_function(format!("16 of {size}"), |b| {
            b.iter(|| {
                let mut decoder = Decoder::new(Length::Chunked);
                let mut at = 0;
                while !decoder.is_finished() {
                    let piece = decoder.read(black_box(&stream[at..])).expect("good chunks");
                    at += piece.consumed;
                }
                at
            });
        });
    }
    group.finish();
}

criterion_group!(benches, heads, fields, chunks);
criterion_main!(benches);
