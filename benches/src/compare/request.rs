//! One request and the answer it must get, in every form that the clients need.

use serde::Serialize;

use crate::origin;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Of this path, with the fewest headers.
    Get(&'static str),
    /// Of little, with what rules look at.
    Routed,
    /// A page, as a browser asks for it.
    Page,
    /// The application's page of entries, as a browser asks for it.
    List,
    /// 1 MiB.
    Upload,
    /// On a WebSocket; the request is what opens it.
    Frame,
}

const UPLOAD: usize = 1024 * 1024;

/// How every page of the application ends.
pub(crate) const HTML_END: &[u8] = b"</html>";

/// What the origin answers to it.
const UPLOADED: &[u8] = b"1048576";

impl Request {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Get(path) => path,
            Self::Routed => "/small?version=100",
            Self::Page => "/page",
            Self::List => "/",
            Self::Upload => "/upload",
            Self::Frame => "/ws",
        }
    }

    /// Host and all others, in this order.
    pub(crate) fn headers(self) -> Vec<(&'static str, String)> {
        let host = match self {
            Self::Routed => "www.service-100.example.com",
            _ => "localhost",
        };
        let mut headers = vec![("Host", host.to_owned())];
        match self {
            Self::Get(_) => {}
            Self::Routed => headers.extend(ROUTED.map(|(name, value)| (name, value.to_owned()))),
            Self::Page | Self::List => {
                headers.extend(BROWSER.map(|(name, value)| (name, value.to_owned())));
                headers.push(("Cookie", cookies()));
            }
            Self::Upload => headers.push(("Content-Length", UPLOAD.to_string())),
            Self::Frame => {
                headers.extend(UPGRADE.map(|(name, value)| (name, value.to_owned())));
            }
        }
        headers
    }

    pub(crate) fn url(self) -> String {
        format!("https://localhost{}", self.path())
    }

    /// As it stands on an HTTP/1.1 connection.
    pub(crate) fn bytes(self) -> Vec<u8> {
        let method = if self == Self::Upload { "POST" } else { "GET" };
        let mut text = format!("{method} {} HTTP/1.1\r\n", self.path());
        for (name, value) in self.headers() {
            text.extend([name, ": ", &value, "\r\n"]);
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.resize(bytes.len() + self.body_length(), b'x');
        bytes
    }

    pub(crate) fn body_length(self) -> usize {
        if self == Self::Upload { UPLOAD } else { 0 }
    }

    /// The body of its answer; `None` where that is an HTML page of the application.
    pub(crate) fn known_content(self) -> Option<&'static [u8]> {
        match self {
            Self::Upload => Some(UPLOADED),
            Self::List => None,
            Self::Routed => origin::content("/small"),
            Self::Get(_) | Self::Page | Self::Frame => origin::content(self.path()),
        }
    }

    pub(crate) fn content(self) -> &'static [u8] {
        self.known_content().unwrap_or_default()
    }
}

/// RFC 6455 has this key as its example, and with it the answer.
const UPGRADE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];
pub(crate) const WEBSOCKET_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const ROUTED: [(&str, &str); 3] = [
    ("User-Agent", USER_AGENT),
    ("Accept", "*/*"),
    ("X-Tenant", "tenant-100"),
];

const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

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
    ("User-Agent", USER_AGENT),
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
    fn an_upload_is_as_long_as_it_says() {
        let bytes = Request::Upload.bytes();
        let head = b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\n";
        assert_eq!(bytes.len(), head.len() + 1_048_576);
        assert!(bytes.starts_with(head));
    }

    #[test]
    fn answers_are_known_in_advance() {
        for (request, length) in [
            (Request::Get("/small"), 128),
            (Request::Get("/large"), 1 << 20),
            (Request::Routed, 128),
            (Request::Page, 8192),
            (Request::Upload, 7),
        ] {
            assert_eq!(request.content().len(), length, "{request:?}");
        }
    }
}
