//! HTTP/2 frame by frame, as no library of an honest peer writes it: floods that cost their sender little, requests
//! that are malformed, targets that go away under the streams that they have.

use std::io::{self, Read, Write};

use h2::Reason;

use crate::harness::client::TlsClient;
use crate::harness::{Proxy, Setup, Target, Wire, ok, until};
use Said::{Answer, GoAway, Reset};

mod floods;
mod targets;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

type Field = (&'static str, &'static str);

fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let stream = stream.to_be_bytes();
    [&length[1..], &[kind, flags], &stream, payload].concat()
}

/// In literals, which leave nothing in the peer's table.
fn block(fields: &[Field]) -> Vec<u8> {
    let string = |text: &str| {
        assert!(text.len() < 127);
        [&[text.len() as u8], text.as_bytes()].concat()
    };
    let literal = |(name, value): &Field| [vec![0], string(name), string(value)].concat();
    fields.iter().flat_map(literal).collect()
}

const fn asking(method: &'static str, path: &'static str) -> [Field; 4] {
    [
        (":method", method),
        (":scheme", "https"),
        (":authority", "example.com"),
        (":path", path),
    ]
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    fn read(from: &mut Wire<impl Read + Write>) -> io::Result<Self> {
        let head = from.bytes(9)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        Ok(Self {
            kind: head[3],
            flags: head[4],
            stream: number(&head[5..]),
            payload: from.bytes(length)?,
        })
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

/// What a client hears of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// 0 for a status that is not in HPACK's static table.
    Answer(u16),
    Reset(Reason),
    GoAway(Reason),
}

const MALFORMED: Said = Reset(Reason::PROTOCOL_ERROR);

struct Client {
    wire: TlsClient,
    /// The latest stream.
    stream: u32,
}

impl Client {
    fn connect(proxy: &Proxy) -> Self {
        let wire = proxy.connect_tls_as("example.com", &["h2"]);
        let mut client = Self { wire, stream: 0 };
        let settings = [frame(SETTINGS, 0, 0, []), frame(SETTINGS, ACK, 0, [])].concat();
        client.send([PREFACE, &settings].concat());
        for acknowledges in [0, ACK] {
            assert_eq!(client.next(SETTINGS).flags, acknowledges);
        }
        client
    }

    /// Whatever the server makes of it.
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.wire.send(bytes);
    }

    fn open(&mut self, flags: u8, fields: &[Field]) -> u32 {
        self.stream = if self.stream == 0 { 1 } else { self.stream + 2 };
        self.send(frame(HEADERS, flags, self.stream, block(fields)));
        self.stream
    }

    #[track_caller]
    fn next(&mut self, kind: u8) -> Frame {
        loop {
            let frame = Frame::read(&mut self.wire).expect("another frame");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    #[track_caller]
    fn said_of(&mut self, stream: u32) -> Said {
        loop {
            let frame = Frame::read(&mut self.wire).expect("a word of the request");
            match frame.kind {
                HEADERS if frame.stream == stream => {
                    return Answer(match frame.payload[0] {
                        0x88 => 200,
                        0x8c => 400,
                        _ => 0,
                    });
                }
                RST_STREAM if frame.stream == stream => {
                    return Reset(number(&frame.payload).into());
                }
                GOAWAY => return GoAway(number(&frame.payload[4..]).into()),
                _ => {}
            }
        }
    }

    #[track_caller]
    fn ask(&mut self, fields: &[Field]) -> Said {
        let stream = self.open(END_HEADERS | END_STREAM, fields);
        self.said_of(stream)
    }

    #[track_caller]
    fn get(&mut self, path: &'static str) -> Said {
        self.ask(&asking("GET", path))
    }

    #[track_caller]
    fn assert_sent_away(&mut self, reason: Reason) {
        let GoAway(said) = self.said_of(0) else {
            unreachable!("there is no such stream");
        };
        assert_eq!(said, reason);
        self.wire.rest().expect("the end of the connection");
    }
}

const BAD: [Field; 4] = asking("GET", "/bad");

fn with(more: &[Field]) -> Vec<Field> {
    [&BAD[..], more].concat()
}

fn without(name: &str) -> Vec<Field> {
    BAD.into_iter().filter(|field| field.0 != name).collect()
}

fn with_other(name: &str, value: &'static str) -> Vec<Field> {
    let other = |field: Field| (field.0, if field.0 == name { value } else { field.1 });
    BAD.map(other).to_vec()
}

/// RFC 9113 8.1.1: errors of their streams, which may be answered first; others of the connection go on.
#[test]
fn malformed_requests_reach_no_target() {
    let target = Target::saying("app");
    let setup = Setup::to([target.address]).https();
    let proxy = setup.with("workers = 1").start();
    let resets = vec![
        with(&[("connection", "close")]),
        with(&[("keep-alive", "timeout=5")]),
        with(&[("proxy-connection", "keep-alive")]),
        with(&[("transfer-encoding", "chunked")]),
        with(&[("upgrade", "websocket")]),
        with(&[("te", "gzip")]),
        with(&[("te", "trailers, gzip")]),
        with(&[("content-length", "4")]),
        with(&[(":path", "/")]),
        with(&[(":status", "200")]),
        [&[("x", "y")], &BAD[..]].concat(),
        without(":method"),
        without(":scheme"),
        without(":path"),
        with_other(":path", ""),
        with_other(":path", "bad"),
        with_other(":path", "http://example.com/"),
        with_other(":path", "/a b"),
        with_other(":path", "/ HTTP/1.1\r\nx: y"),
        with_other(":authority", ""),
        with_other(":authority", "a b"),
        with_other(":scheme", "ht tp"),
        vec![
            (":method", "GET"),
            (":scheme", "https"),
            ("host", "example.com"),
        ],
        with(&[("X", "y")]),
        with(&[("x y", "z")]),
        with(&[("x:", "y")]),
        with(&[("", "y")]),
        with(&[(":x", "y")]),
        with(&[("x", "y\rz: a")]),
        with(&[("x", "y\nz: a")]),
        with(&[("x", "y\0")]),
        with(&[("x", "\x7f")]),
        with_other(":method", "GET "),
        with_other(":method", ""),
    ];
    let pages = vec![
        with_other(":authority", "user@example.com"),
        with_other(":authority", "user:word@example.com"),
        with_other(":authority", "example.com:port"),
        with_other(":scheme", "ftp"),
        with_other(":path", "*"),
        without(":authority"),
        with(&[("content-length", "4"), ("content-length", "5")]),
        with(&[("content-length", "4, 4")]),
        with(&[("content-length", "+0")]),
        with(&[("content-length", " 0")]),
        with(&[("content-length", "0"), ("content-length", "0")]),
        with(&[("content-length", "")]),
        with(&[("x", " y")]),
        with(&[("x", "y\t")]),
        with(&[("x", " ")]),
    ];
    let mut good = 0;
    let mut client = Client::connect(&proxy);
    for (expected, malformed) in [(MALFORMED, resets), (Answer(400), pages)] {
        for fields in malformed {
            assert_eq!(client.ask(&fields), expected, "{fields:?}");
            assert_eq!(client.get("/good"), Answer(200), "after {fields:?}");
            good += 1;
        }
    }
    let requests = target.requests();
    assert!(requests.iter().all(|request| request.uri() == "/good"));
    assert_eq!(requests.len(), good);
}

/// It may begin to go on before it is known that it ends wrongly.
#[test]
fn content_that_is_not_as_long_as_it_says_is_no_whole_request() {
    let target = Target::saying("app");
    let proxy = Setup::to([target.address]).https().start();
    let mut client = Client::connect(&proxy);
    for (length, pieces) in [
        ("5", &["four"][..]),
        ("3", &["four"]),
        ("5", &["fo", "ur"]),
        ("4", &[""]),
    ] {
        let asked = [&asking("POST", "/bad")[..], &[("content-length", length)]].concat();
        let stream = client.open(END_HEADERS, &asked);
        let (last, before) = pieces.split_last().unwrap();
        for piece in before {
            client.send(frame(DATA, 0, stream, piece));
        }
        client.send(frame(DATA, END_STREAM, stream, last));
        let said = client.said_of(stream);
        assert_eq!(said, MALFORMED, "{length}: {pieces:?}");
        assert_eq!(client.get("/good"), Answer(200));
    }
    let requests = target.requests();
    assert!(requests.iter().all(|request| request.uri() == "/good"));
    until("broken requests let go", || target.open_connections() <= 1);
}

/// The end of the content had come, and was forgotten with the rest: a target must not take what it has for all.
#[test]
fn content_that_is_reset_behind_its_end_is_no_whole_request() {
    let (heads, ends) = std::sync::mpsc::channel();
    let target = Target::scripted(move |connection| {
        connection.request_head()?;
        heads.send(Vec::new()).unwrap();
        heads.send(connection.rest()?).unwrap();
        Ok(())
    });
    let proxy = Setup::to([target.address]).https().start();
    let mut client = Client::connect(&proxy);
    for _ in 0..20 {
        let stream = client.open(END_HEADERS, &asking("POST", "/"));
        assert_eq!(ends.recv().unwrap(), b"");
        let last = frame(DATA, END_STREAM, stream, "hello");
        let reset = frame(RST_STREAM, 0, stream, 8_u32.to_be_bytes());
        client.send([last, reset].concat());
        let rest = ends.recv().unwrap();
        assert!(!rest.ends_with(b"0\r\n\r\n"), "{}", rest.escape_ascii());
    }
}
