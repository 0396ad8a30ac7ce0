//! A client in bytes, and what a session makes of it.

use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::HeaderMap;
use lintel_common::server::Connection;

use super::super::frame::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PRIORITY,
    PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE,
};
use super::*;
use play::{Woken, frame};

mod endings;
mod errors;
mod foreign;
mod mistakes;
mod play;
mod queue;
mod random;
mod receiving;
mod sending;

const PADDED: u8 = 0x8;
const WITH_PRIORITY: u8 = 0x20;

type Field<'f> = (&'f str, &'f str);

const ASKING: [Field<'_>; 3] = [(":scheme", "https"), (":authority", "a"), (":path", "/")];

/// In literals that leave nothing in the table.
fn block(fields: &[Field<'_>]) -> Vec<u8> {
    let string = |text: &str| {
        assert!(text.len() < 127);
        [&[text.len() as u8], text.as_bytes()].concat()
    };
    let literal = |(name, value): &Field<'_>| [vec![0], string(name), string(value)].concat();
    fields.iter().flat_map(literal).collect()
}

fn request(method: &str, more: &[Field<'_>]) -> Vec<u8> {
    block(&[&[(":method", method)], &ASKING[..], more].concat())
}

fn setting(name: u16, value: u32) -> Vec<u8> {
    [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// What a session says, of a block that there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Settings,
    Acknowledged,
    Head(u32, bool),
    Data(u32, Vec<u8>, bool),
    Reset(u32, Reason),
    Ping(u8),
    GoAway(u32, Reason),
    Grown(u32, u32),
}

fn said(mut bytes: &[u8]) -> Vec<Said> {
    let mut all = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk() {
        let head = frame::Head::read(*head);
        let (payload, rest) = rest.split_at(head.length);
        bytes = rest;
        let (stream, last) = (head.stream, head.has(END_STREAM));
        all.push(match head.kind {
            DATA => Said::Data(stream, payload.to_vec(), last),
            HEADERS => Said::Head(stream, last),
            RST_STREAM => Said::Reset(stream, reason(payload)),
            SETTINGS if head.has(ACK) => Said::Acknowledged,
            SETTINGS => Said::Settings,
            PING => Said::Ping(head.flags),
            GOAWAY => Said::GoAway(frame::number(payload), reason(&payload[4..])),
            WINDOW_UPDATE => Said::Grown(stream, frame::number(payload)),
            kind => panic!("a frame of kind {kind}"),
        });
    }
    assert!(bytes.is_empty(), "part of a frame");
    all
}

fn reason(code: &[u8]) -> Reason {
    let all = [
        Reason::NoError,
        Reason::ProtocolError,
        Reason::InternalError,
        Reason::FlowControlError,
        Reason::StreamClosed,
        Reason::FrameSizeError,
        Reason::RefusedStream,
        Reason::Cancel,
        Reason::CompressionError,
        Reason::EnhanceYourCalm,
    ];
    let code = frame::number(code);
    let known = all.into_iter().find(|reason| *reason as u32 == code);
    known.expect("a reason of ours")
}

struct Client {
    session: Session,
    connection: Connection,
    /// Handlers that are done.
    left: usize,
}

impl Client {
    /// It has its settings from the session and the other way round.
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(settings: &[u8]) -> Self {
        let mut client = Self::silent(4);
        client.sends([PREFACE, &frame(SETTINGS, 0, 0, settings)].concat());
        let grown = Said::Grown(0, CONNECTION_WINDOW - DEFAULT_WINDOW);
        assert_eq!(client.hears(), [Said::Settings, grown, Said::Acknowledged]);
        client
    }

    fn silent(concurrent_streams: u32) -> Self {
        let limits = Limits {
            concurrent_streams,
            header_list: 1024,
        };
        let nobody = std::net::SocketAddr::from(([0; 4], 0));
        Self {
            session: Session::new(limits, Rc::default()),
            connection: Connection::new(nobody, nobody),
            left: 0,
        }
    }

    fn sends(&mut self, bytes: impl AsRef<[u8]>) {
        self.session.receive(bytes.as_ref());
    }

    /// All that is to be written.
    fn hears(&mut self) -> Vec<Said> {
        let mut all = Vec::new();
        while !self.session.unwritten().is_empty() {
            all.extend_from_slice(self.session.unwritten());
            self.session.wrote(self.session.unwritten().len());
        }
        said(&all)
    }

    /// A request without content, with a handler.
    #[track_caller]
    fn gets(&mut self, id: u32) -> Key {
        let flags = END_HEADERS | END_STREAM;
        self.sends(frame(HEADERS, flags, id, request("GET", &[])));
        self.taken(id)
    }

    /// One whose content follows.
    #[track_caller]
    fn posts(&mut self, id: u32, fields: &[Field<'_>]) -> Key {
        self.sends(frame(HEADERS, END_HEADERS, id, request("POST", fields)));
        self.taken(id)
    }

    #[track_caller]
    fn taken(&mut self, id: u32) -> Key {
        let incoming = self.session.next_request().expect("a request");
        assert_eq!(incoming.key.id, id);
        assert!(self.session.next_request().is_none());
        incoming.key
    }

    /// A handler that has begun to answer.
    #[track_caller]
    fn answers(&mut self, key: Key) {
        self.session.send_head(key, 200, false, |_, _| {}).unwrap();
    }

    #[track_caller]
    fn content(&mut self, key: Key, content: impl AsRef<[u8]>, last: bool) {
        let content = Bytes::copy_from_slice(content.as_ref());
        self.session.send(key, content, last, None).unwrap();
    }

    fn leaves(&mut self, key: Key) {
        self.session.leave(key, self.connection.begin());
        self.left += 1;
    }

    /// Exchanges that are over.
    fn ended(&mut self) -> usize {
        let streams = self.session.streams.all();
        let waiting = streams.filter(|stream| stream.ongoing.is_some()).count();
        self.left - waiting - self.session.endings.len()
    }

    fn room(&mut self, key: Key, woken: &Arc<Woken>) -> Poll<Result<usize, Gone>> {
        let waker = Waker::from(Arc::clone(woken));
        let cx = &mut Context::from_waker(&waker);
        self.session.poll_room(cx, key, usize::MAX)
    }

    /// What lies there of a request's content, taken and held: how much.
    #[track_caller]
    fn takes(&mut self, key: Key) -> usize {
        let cx = &mut Context::from_waker(Waker::noop());
        match self.session.poll_content(cx, key) {
            Poll::Ready(Some(Ok(content))) => content.len(),
            other => panic!("{other:?} and no content"),
        }
    }

    /// A request that comes after all else is answered: the session goes on.
    #[track_caller]
    fn goes_on(&mut self, id: u32) {
        let key = self.gets(id);
        self.session.send_head(key, 204, true, |_, _| {}).unwrap();
        self.leaves(key);
        assert_eq!(self.hears(), [Said::Head(id, true)]);
    }

    /// What the client may still send, once it has heard everything, and what it was not told yet.
    fn window(&self) -> u32 {
        self.session.window.whole()
    }
}

fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
}

fn settings(name: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, setting(name, value))
}

fn data(stream: u32, bytes: usize, last: bool) -> Vec<u8> {
    let flags = if last { END_STREAM } else { 0 };
    frame(DATA, flags, stream, vec![0; bytes])
}

/// How much content there is of a stream, and how often its end.
fn total(said: &[Said], id: u32) -> (usize, usize) {
    let of_it = said.iter().map(|said| match said {
        Said::Data(stream, content, last) if *stream == id => (content.len(), *last),
        Said::Head(stream, last) if *stream == id => (0, *last),
        _ => (0, false),
    });
    of_it.fold((0, 0), |(bytes, ends), (more, last)| {
        (bytes + more, ends + usize::from(last))
    })
}
