//! What is asked of every proxy: a list, one entry a workload, as the reports name them.

use serde::Serialize;

use crate::origin;

/// All of them, in the order in which they run.
pub(crate) static WORKLOADS: [Workload; 5] = [
    Workload {
        name: "W1",
        title: "HTTP/1.1 keep-alive, GET of 128 bytes, 64 connections",
        protocol: Protocol::Http,
        connections: 64,
        streams: 1,
        request: Request::Get("/small"),
    },
    Workload {
        name: "W2",
        title: "HTTPS (TLS 1.3) HTTP/1.1 keep-alive, GET of 128 bytes, 64 connections",
        protocol: Protocol::Https,
        connections: 64,
        streams: 1,
        request: Request::Get("/small"),
    },
    Workload {
        name: "W3",
        title: "HTTP/2 over TLS 1.3 to HTTP/1.1 targets, GET of 128 bytes, 16 connections of 32 streams",
        protocol: Protocol::Http2,
        connections: 16,
        streams: 32,
        request: Request::Get("/small"),
    },
    Workload {
        name: "W9",
        title: "HTTP/1.1 as a browser asks (20 headers, 1.5 KiB of cookies), 8 KiB of HTML, 64 connections",
        protocol: Protocol::Http,
        connections: 64,
        streams: 1,
        request: Request::Page,
    },
    Workload {
        name: "W9S",
        title: "HTTPS (TLS 1.3) HTTP/1.1 as a browser asks (20 headers, 1.5 KiB of cookies), 8 KiB of HTML, 64 connections",
        protocol: Protocol::Https,
        connections: 64,
        streams: 1,
        request: Request::Page,
    },
];

#[derive(Debug, Serialize)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) protocol: Protocol,
    pub(crate) connections: usize,
    /// Requests at a time on each connection.
    pub(crate) streams: usize,
    pub(crate) request: Request,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    Http,
    /// HTTP/1.1 over TLS.
    Https,
    /// Over TLS.
    Http2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Request {
    /// Of this path, with the fewest headers.
    Get(&'static str),
    /// A page, as a browser asks for it.
    Page,
}

impl Protocol {
    pub(crate) fn is_encrypted(self) -> bool {
        self != Self::Http
    }
}

impl Request {
    fn path(self) -> &'static str {
        match self {
            Self::Get(path) => path,
            Self::Page => "/page",
        }
    }

    /// Host and all others, in this order.
    pub(crate) fn headers(self) -> Vec<(&'static str, String)> {
        let mut headers = vec![("Host", "localhost".to_owned())];
        if self == Self::Page {
            headers.extend(BROWSER.map(|(name, value)| (name, value.to_owned())));
            headers.push(("Cookie", cookies()));
        }
        headers
    }

    pub(crate) fn url(self) -> String {
        format!("https://localhost{}", self.path())
    }

    /// As it stands on an HTTP/1.1 connection.
    pub(crate) fn bytes(self) -> Vec<u8> {
        let mut text = format!("GET {} HTTP/1.1\r\n", self.path());
        for (name, value) in self.headers() {
            text.extend([name, ": ", &value, "\r\n"]);
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// The body of its answer.
    pub(crate) fn content(self) -> &'static [u8] {
        origin::content(self.path()).unwrap_or_default()
    }
}

/// With Host and Cookie, 20 headers.
const BROWSER: [(&str, &str); 18] = [
    ("Connection", "keep-alive"),
    ("Cache-Control", "max-age=0"),
    (
        "sec-ch-ua",
        "\"Chromium\";v=\"142\", \"Not_A Brand\";v=\"99\"",
    ),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", "\"Linux\""),
    ("DNT", "1"),
    ("Upgrade-Insecure-Requests", "1"),
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    ),
    (
        "Accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
    ),
    ("Sec-GPC", "1"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-User", "?1"),
    ("Sec-Fetch-Dest", "document"),
    (
        "Referer",
        "https://localhost/entries?page=2&sort=title&direction=ascending",
    ),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "en-GB,en;q=0.9,de;q=0.8"),
    ("Priority", "u=0, i"),
];

/// 1.5 KiB in twelve, a session among them, the rest as analytics leave them behind.
fn cookies() -> String {
    const LENGTH: usize = 1536;
    let mut cookies = String::new();
    for number in 0..12 {
        let name = if number == 0 {
            "session".to_owned()
        } else {
            format!("_ga_{number:02}")
        };
        let end = LENGTH * (number + 1) / 12;
        cookies.push_str(&name);
        cookies.push('=');
        while cookies.len() < end - 2 {
            cookies.push(char::from(b'a' + (cookies.len() * 7 % 26) as u8));
        }
        cookies.push_str("; ");
    }
    cookies.truncate(LENGTH - 2);
    cookies
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_browser_sends_twenty_headers_and_much_cookie() {
        let headers = Request::Page.headers();
        assert_eq!(headers.len(), 20);
        let (_, cookies) = &headers[19];
        assert_eq!(cookies.len(), 1534);
        assert_eq!(cookies.split("; ").count(), 12);
        assert!(cookies.split("; ").all(|cookie| cookie.len() > 100));
        let bytes = Request::Page.bytes();
        assert!(bytes.starts_with(b"GET /page HTTP/1.1\r\nHost: localhost\r\n"));
        assert!(bytes.ends_with(b"\r\n\r\n"));
        assert!(bytes.len() < 4096, "{}", bytes.len());
    }

    #[test]
    fn every_answer_is_known_in_advance() {
        for workload in &WORKLOADS {
            assert!(!workload.request.content().is_empty(), "{}", workload.name);
        }
    }

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
        assert_eq!(names.len(), WORKLOADS.len());
    }
}
