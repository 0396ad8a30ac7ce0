//! What the origin answers: bodies that are the same in every process, so that a client can check any byte of them, and
//! the whole answers made of them in advance.

use std::sync::LazyLock;
use std::time::SystemTime;

const SMALL: usize = 128;
const PAGE: usize = 8 * 1024;
const LARGE: usize = 1024 * 1024;

struct Bodies {
    small: Vec<u8>,
    page: Vec<u8>,
    large: Vec<u8>,
}

static BODIES: LazyLock<Bodies> = LazyLock::new(|| Bodies {
    small: text(1, SMALL),
    page: html(PAGE),
    large: text(3, LARGE),
});

/// The body of the answer to a GET of this path, where it has a fixed one.
pub(crate) fn content(path: &str) -> Option<&'static [u8]> {
    match path {
        "/small" => Some(&BODIES.small),
        "/page" => Some(&BODIES.page),
        "/large" => Some(&BODIES.large),
        "/health" => Some(b"ok"),
        _ => None,
    }
}

/// Letters and digits without a period, so that bytes which are missing or repeated show.
fn text(seed: u64, length: usize) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    let mut state = seed;
    let next = || {
        // Knuth's MMIX generator; its high bits are the good ones.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        LETTERS[(state >> 58) as usize]
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn html(length: usize) -> Vec<u8> {
    const START: &[u8] =
        b"<!DOCTYPE html>\n<html lang=\"en\"><head><title>Entries</title></head><body><p>";
    const END: &[u8] = b"</p></body></html>\n";
    [START, &text(2, length - START.len() - END.len()), END].concat()
}

/// Whole answers, head and body.
pub(super) struct Answers {
    pub(super) small: Vec<u8>,
    pub(super) page: Vec<u8>,
    pub(super) large: Vec<u8>,
    pub(super) health: Vec<u8>,
}

impl Answers {
    /// Their Date is the time of the start: nobody who measures a proxy looks at it, but many servers send one.
    pub(super) fn new() -> Self {
        let date = format!("Date: {}\r\n", httpdate::fmt_http_date(SystemTime::now()));
        let plain = format!("Server: origin\r\n{date}Content-Type: text/plain\r\n");
        let page = format!(
            "Server: origin\r\n{date}Content-Type: text/html; charset=utf-8\r\n\
             Cache-Control: private, no-cache\r\nETag: \"5f3c8a1e-2000\"\r\nVary: Accept-Encoding, Cookie\r\n\
             Set-Cookie: session=7d1f0c2b9a5e4c38; Path=/; HttpOnly; Secure; SameSite=Lax\r\n\
             X-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src 'self'; frame-ancestors 'none'\r\n"
        );
        Self {
            small: ok(&plain, &BODIES.small),
            page: ok(&page, &BODIES.page),
            large: ok(&plain, &BODIES.large),
            health: ok(&plain, b"ok"),
        }
    }
}

/// `headers`: whole lines, without Content-Length.
pub(super) fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_have_their_lengths_and_no_short_period() {
        for (path, length) in [("/small", SMALL), ("/page", PAGE), ("/large", LARGE)] {
            assert_eq!(content(path).unwrap().len(), length, "{path}");
        }
        let large = content("/large").unwrap();
        for period in [1, 64, 4096, 16 * 1024, 64 * 1024] {
            assert_ne!(large[..period], large[period..2 * period]);
        }
        assert_eq!(content("/upload"), None);
    }
}
