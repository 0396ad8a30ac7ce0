//! What the origin reads of a request head: where to, what follows, and whether the proxy's headers are there.

use super::body::Expected;

/// A head has to fit in so much, and in so many fields.
pub(super) const MAX_HEAD: usize = 64 * 1024;
const MAX_FIELDS: usize = 128;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) head_length: usize,
    pub(super) route: Route,
    pub(super) body: Expected,
    pub(super) expects_continue: bool,
    pub(super) keeps_alive: bool,
    /// X-Forwarded-For, -Proto and -Port say what they should; looked at only if asked for.
    pub(super) is_forwarded: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    Small,
    Page,
    Large,
    Upload,
    Health,
    Report {
        reset: bool,
        /// Of the requests from now on.
        expected: Option<Forwarding>,
    },
    /// With the client's key.
    WebSocket(Vec<u8>),
    Unknown,
}

/// What the forwarding headers must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forwarding {
    /// Anything.
    Something,
    /// For clients on this machine, that they came to this port.
    Exactly { https: bool, port: u16 },
}

/// Not HTTP/1.x, or contradictory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Request {
    /// None: the head is not complete yet.
    pub(super) fn parse(
        received: &[u8],
        expected: Option<Forwarding>,
    ) -> Result<Option<Self>, Malformed> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut head = httparse::Request::new(&mut fields);
        let httparse::Status::Complete(head_length) =
            head.parse(received).map_err(|_| Malformed)?
        else {
            return Ok(None);
        };
        let mut seen = Fields::default();
        for field in &*head.headers {
            seen.look_at(field, expected)?;
        }
        let body = match (seen.is_chunked, seen.content_length) {
            (true, Some(_)) => return Err(Malformed),
            (true, None) => Expected::Chunks,
            (false, length) => Expected::Length(length.unwrap_or(0)),
        };
        let method = head.method.ok_or(Malformed)?;
        let target = head.path.ok_or(Malformed)?;
        Ok(Some(Self {
            head_length,
            route: route(method, target, seen.websocket_key),
            body,
            expects_continue: seen.expects_continue,
            // A client of HTTP/1.0 would have to be told that its connection is kept.
            keeps_alive: head.version == Some(1) && !seen.closes,
            is_forwarded: seen.forwarding == ALL_FORWARDING,
        }))
    }
}

fn route(method: &str, target: &str, websocket_key: Option<&[u8]>) -> Route {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match (method, path) {
        ("GET", "/small") => Route::Small,
        ("GET", "/page") => Route::Page,
        ("GET", "/large") => Route::Large,
        ("POST", "/upload") => Route::Upload,
        ("GET", "/health") => Route::Health,
        ("GET", "/__report") => Route::Report {
            reset: query.split('&').any(|part| part == "reset"),
            expected: Forwarding::parse(query),
        },
        ("GET", "/ws") => {
            websocket_key.map_or(Route::Unknown, |key| Route::WebSocket(key.to_vec()))
        }
        _ => Route::Unknown,
    }
}

impl Forwarding {
    /// `proto=https&port=8443`, anywhere in a query.
    fn parse(query: &str) -> Option<Self> {
        let mut parts = query.split('&').filter_map(|part| part.split_once('='));
        let mut value = |wanted| parts.find_map(|(name, value)| (name == wanted).then_some(value));
        let https = match value("proto")? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let port = value("port")?.parse().ok()?;
        Some(Self::Exactly { https, port })
    }

    fn is_right_for(self, value: &[u8]) -> bool {
        match self {
            Self::Something => !value.is_empty(),
            Self::Exactly { .. } => value == b"127.0.0.1",
        }
    }

    fn is_right_proto(self, value: &[u8]) -> bool {
        match self {
            Self::Something => !value.is_empty(),
            Self::Exactly { https: true, .. } => value == b"https",
            Self::Exactly { https: false, .. } => value == b"http",
        }
    }

    fn is_right_port(self, value: &[u8]) -> bool {
        match self {
            Self::Something => !value.is_empty(),
            Self::Exactly { port, .. } => {
                let text = std::str::from_utf8(value);
                text.ok().and_then(|text| text.parse().ok()) == Some(port)
            }
        }
    }
}

const ALL_FORWARDING: u8 = 0b111;

#[derive(Default)]
struct Fields<'a> {
    content_length: Option<u64>,
    is_chunked: bool,
    closes: bool,
    expects_continue: bool,
    websocket_key: Option<&'a [u8]>,
    /// A bit each.
    forwarding: u8,
}

impl<'a> Fields<'a> {
    /// By the length of the name first: most fields are none of these.
    fn look_at(
        &mut self,
        field: &httparse::Header<'a>,
        expected: Option<Forwarding>,
    ) -> Result<(), Malformed> {
        let (name, value) = (field.name, field.value);
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
        match name.len() {
            6 if is("expect") => self.expects_continue = true,
            10 if is("connection") => self.closes = value.eq_ignore_ascii_case(b"close"),
            14 if is("content-length") => {
                let length = std::str::from_utf8(value)
                    .ok()
                    .and_then(|text| text.trim().parse().ok())
                    .ok_or(Malformed)?;
                if self.content_length.replace(length).is_some() {
                    return Err(Malformed);
                }
            }
            15 if is("x-forwarded-for") => {
                self.forwarded(0b001, expected.is_some_and(|e| e.is_right_for(value)));
            }
            16 if is("x-forwarded-port") => {
                self.forwarded(0b010, expected.is_some_and(|e| e.is_right_port(value)));
            }
            17 if is("x-forwarded-proto") => {
                self.forwarded(0b100, expected.is_some_and(|e| e.is_right_proto(value)));
            }
            17 if is("sec-websocket-key") => self.websocket_key = Some(value),
            17 if is("transfer-encoding") => {
                if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed);
                }
                self.is_chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn forwarded(&mut self, bit: u8, is_right: bool) {
        if is_right {
            self.forwarding |= bit;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(head: &str) -> Result<Option<Request>, Malformed> {
        Request::parse(head.as_bytes(), Some(Forwarding::Something))
    }

    #[test]
    fn what_is_read_of_a_head() {
        let request = parse("GET /small?x HTTP/1.1\r\nHost: a\r\n\r\nGET")
            .unwrap()
            .unwrap();
        let expected = Request {
            head_length: 34,
            route: Route::Small,
            body: Expected::Length(0),
            expects_continue: false,
            keeps_alive: true,
            is_forwarded: false,
        };
        assert_eq!(request, expected);
        let request = parse(
            "POST /upload HTTP/1.1\r\ntransfer-encoding: Chunked\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        );
        let request = request.unwrap().unwrap();
        assert_eq!(
            (request.route, request.body),
            (Route::Upload, Expected::Chunks)
        );
        assert!(request.expects_continue && !request.keeps_alive);
    }

    #[test]
    fn forwarding_headers_must_be_there_and_say_something() {
        let cases = [
            (
                "X-Forwarded-For: 1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n",
                true,
            ),
            (
                "x-forwarded-port: 80\r\nx-forwarded-for: 1\r\nx-forwarded-proto: http\r\n",
                true,
            ),
            (
                "X-Forwarded-For: 1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port:\r\n",
                false,
            ),
            ("X-Forwarded-For: 1\r\nX-Forwarded-Port: 80\r\n", false),
            ("", false),
        ];
        for (fields, expected) in cases {
            let head = format!("GET /small HTTP/1.1\r\n{fields}\r\n");
            assert_eq!(
                parse(&head).unwrap().unwrap().is_forwarded,
                expected,
                "{fields}"
            );
        }
    }

    #[test]
    fn forwarding_headers_must_say_what_is_true() {
        let expected = Forwarding::parse("reset&proto=https&port=8443");
        let exactly = Forwarding::Exactly {
            https: true,
            port: 8443,
        };
        assert_eq!(expected, Some(exactly));
        for query in [
            "",
            "reset",
            "proto=https",
            "proto=ftp&port=1",
            "proto=http&port=x",
        ] {
            assert_eq!(Forwarding::parse(query), None, "{query}");
        }
        for (address, proto, port, is_forwarded) in [
            ("127.0.0.1", "https", "8443", true),
            ("127.0.0.1", "http", "8443", false),
            ("127.0.0.1", "https", "443", false),
            ("10.0.0.1", "https", "8443", false),
            ("", "https", "8443", false),
        ] {
            let head = format!(
                "GET /small HTTP/1.1\r\nX-Forwarded-For: {address}\r\nX-Forwarded-Proto: {proto}\r\n\
                 X-Forwarded-Port: {port}\r\n\r\n"
            );
            let request = Request::parse(head.as_bytes(), expected).unwrap().unwrap();
            assert_eq!(request.is_forwarded, is_forwarded, "{head}");
        }
    }

    #[test]
    fn unfinished_and_malformed_heads() {
        assert_eq!(parse("GET /small HTTP/1.1\r\nHost: a\r\n"), Ok(None));
        for head in [
            "GET\r\n\r\n",
            "POST /upload HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            "POST /upload HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "POST /upload HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST /upload HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        ] {
            assert_eq!(parse(head), Err(Malformed), "{head}");
        }
    }
}
