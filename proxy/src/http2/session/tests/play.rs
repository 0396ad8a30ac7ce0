//! A client and its handlers that do whatever some bytes say, each of them what it may do, and what must hold all along. For
//! properties, and for fuzzing: it uses nothing but what is public.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

#[path = "play/client.rs"]
mod client;

use super::{Bytes, Connection, HeaderMap, Incoming, Key, Limits, Reason, Session};

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// What the session lets its client send, of all streams and of one.
const CONNECTION_WINDOW: usize = 1024 * 1024;
const STREAM_WINDOW: usize = 256 * 1024;

/// Were there more of them, resets and refusals could be taken for an attack.
const MOST_REQUESTS: u32 = 120;

const LIMITS: Limits = Limits {
    concurrent_streams: 8,
    header_list: 4096,
};

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let length = (payload.len() as u32).to_be_bytes();
    let stream = stream.to_be_bytes();
    [&length[1..], &[kind, flags], &stream, payload].concat()
}

/// A GET or whatever it is, in literals that leave nothing in the table.
pub(super) fn request(method: &str) -> Vec<u8> {
    let literal = |name: &str, value: &str| {
        let (lengths, bytes) = ([name.len() as u8, value.len() as u8], value.as_bytes());
        [&[0, lengths[0]], name.as_bytes(), &lengths[1..], bytes].concat()
    };
    [
        literal(":method", method),
        literal(":scheme", "https"),
        literal(":authority", "a"),
        literal(":path", "/"),
    ]
    .concat()
}

/// How often somebody was woken.
#[derive(Debug, Default)]
pub(super) struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Woken {
    /// Since it was asked last.
    pub(super) fn take(&self) -> usize {
        self.0.swap(0, Relaxed)
    }
}

/// All that a session makes of bytes that come in these pieces: requests with their content, and what it says, answers
/// included.
pub(super) fn read<'p>(
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> (Session, Vec<String>, Vec<u8>) {
    let mut session = Session::new(LIMITS, std::rc::Rc::default());
    let (mut keys, mut requests) = (Vec::new(), Vec::new());
    for piece in pieces {
        session.receive(piece);
        while let Some(incoming) = session.next_request() {
            requests.push(format!("{incoming:?}"));
            keys.push(incoming.key);
        }
    }
    let cx = &mut Context::from_waker(Waker::noop());
    for key in keys {
        let content = session.poll_content(cx, key);
        requests.push(format!("{content:?} {:?}", session.take_trailers(key)));
        // Of those that have gone nothing is heard.
        let _ = session.send_head(key, 200, false, |_, _| {});
        let _ = session.send(key, Bytes::from_static(&[0; 99]), true, None);
    }
    let output = session.unwritten().to_vec();
    (session, requests, output)
}

/// Cuts it into pieces of these sizes and one more, in turn.
pub(super) fn pieces<'s>(mut stream: &'s [u8], sizes: &[u8]) -> Vec<&'s [u8]> {
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if stream.is_empty() {
            break;
        }
        let (piece, rest) = stream.split_at(stream.len().min(1 + usize::from(*size)));
        pieces.push(piece);
        stream = rest;
    }
    pieces.push(stream);
    pieces
}

/// A byte of content by where it stands.
fn text(stream: u32, at: usize) -> u8 {
    (at % 251) as u8 ^ stream as u8
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).expect("not so many")
}

fn content(stream: u32, from: usize, bytes: usize) -> Vec<u8> {
    (from..from + bytes).map(|at| text(stream, at)).collect()
}

struct Stream {
    key: Key,
    id: u32,
    woken: Arc<Woken>,
    /// Its handler is there; it has begun, and accepted the last of the response.
    held: bool,
    begun: bool,
    answered: bool,
    /// Content of the response that was accepted, and that has come to the client; and its end.
    accepted: usize,
    heard: usize,
    ended: bool,
    /// Reset by either side.
    gone: bool,
    /// What the client may be sent, and what it may send.
    credit: i64,
    window: usize,
    /// Content of the request: sent, taken, and still held.
    sent: usize,
    taken: usize,
    unreleased: usize,
    /// The client has sent all.
    over: bool,
}

pub(super) struct Play<'d> {
    pub(super) session: Session,
    connection: Connection,
    data: &'d [u8],
    streams: Vec<Stream>,
    next: u32,
    initial: i64,
    credit: i64,
    window: usize,
    goodbyes: usize,
}

impl<'d> Play<'d> {
    pub(super) fn new(data: &'d [u8]) -> Self {
        let nobody = std::net::SocketAddr::from(([0; 4], 0));
        let mut play = Self {
            session: Session::new(LIMITS, std::rc::Rc::default()),
            connection: Connection::new(nobody, nobody),
            data,
            streams: Vec::new(),
            next: 1,
            initial: 65_535,
            credit: 65_535,
            window: 65_535,
            goodbyes: 0,
        };
        let said = play.session.unwritten().to_vec();
        play.hear(&said);
        play.receive(&[PREFACE, &frame(SETTINGS, 0, 0, [])].concat());
        play
    }

    /// Until the bytes are used up; `check` looks on.
    pub(super) fn run(&mut self, check: impl Fn(&mut Session)) {
        while !self.data.is_empty() {
            self.step();
            check(&mut self.session);
        }
    }

    /// Whoever waits gets on and ends, all leave, and nothing is left of it.
    pub(super) fn end(&mut self) {
        self.get_on();
        for at in 0..self.streams.len() {
            self.leave(at);
        }
        for _ in 0..1000 {
            self.write(usize::MAX);
            self.grant();
            let waits = |stream: &Stream| stream.answered && !stream.ended && !stream.gone;
            if !self.streams.iter().any(waits) && self.session.unwritten().is_empty() {
                break;
            }
        }
        for stream in &self.streams {
            assert!(stream.gone || stream.ended && stream.heard == stream.accepted);
        }
        // Of what is given back the client may not have been told of less than half.
        assert!(self.window > CONNECTION_WINDOW / 2);
        self.act(Session::say_goodbye);
        assert_eq!((self.goodbyes, self.session.is_over()), (1, false));
        self.receive(&frame(PING, ACK, 0, b"goodbye."));
        assert_eq!((self.goodbyes, self.session.is_over()), (2, true));
        self.write(usize::MAX);
    }

    fn byte(&mut self) -> u8 {
        let (byte, rest) = self.data.split_first().unwrap_or((&0, &[]));
        self.data = rest;
        *byte
    }

    /// Of every order of magnitude.
    fn size(&mut self, most: usize) -> usize {
        let byte = usize::from(self.byte());
        ((byte & 15) << (byte >> 4)).min(most)
    }

    fn pick(&mut self, which: impl Fn(&Stream) -> bool) -> Option<usize> {
        let byte = usize::from(self.byte());
        let those = self.streams.iter().enumerate();
        let those: Vec<_> = those.filter(|(_, stream)| which(stream)).collect();
        let (at, _) = those.get(byte % those.len().max(1))?;
        Some(*at)
    }

    fn step(&mut self) {
        let what = self.byte();
        match what % 16 {
            0 | 1 => self.request(what & 16 > 0),
            2..=4 => self.client_acts(what),
            5 => {
                let increment = self.size(1 << 20).max(1);
                self.update(None, signed(increment));
            }
            6 => {
                let initial = [0, 1, 100, 5000, 65_535, 1 << 20];
                let value = initial[usize::from(self.byte()) % initial.len()];
                self.set_initial(value);
            }
            7 | 8 => {
                let bytes = self.size(usize::MAX);
                self.write(bytes);
            }
            _ => self.handler_acts(what),
        }
    }

    fn handler_acts(&mut self, what: u8) {
        let Some(at) = self.pick(|stream| stream.held) else {
            return;
        };
        let key = self.streams[at].key;
        let answers = !self.streams[at].answered;
        match what % 16 {
            9 | 10 if answers => {
                let part = self.size(1 << 20).max(1);
                self.send_what_fits(at, part, what & 16 > 0);
            }
            11 if answers => {
                // Unasked, and so short.
                let size = self.size(16_384);
                self.send(at, size, what & 16 > 0, what & 32 > 0);
            }
            12 => self.take(at),
            13 => {
                let bytes = self.size(self.streams[at].unreleased);
                self.streams[at].unreleased -= bytes;
                self.act(|session| session.release(key, bytes));
            }
            14 if what & 16 > 0 => self.act(|session| session.abort(key, Reason::Cancel)),
            14 if answers => {
                let _ = self.begin(at, if what & 32 > 0 { 103 } else { 204 });
            }
            15 if what & 16 > 0 => self.leave(at),
            _ => {}
        }
    }

    /// False: its client has gone.
    fn begin(&mut self, at: usize, status: u16) -> bool {
        let Stream {
            key, gone, begun, ..
        } = self.streams[at];
        if begun {
            return true;
        }
        self.streams[at].begun = status >= 200;
        self.streams[at].answered = status == 204;
        let mut sent = Ok(());
        self.act(|session| sent = session.send_head(key, status, status == 204, |_, _| {}));
        assert_eq!(sent.is_err(), gone);
        sent.is_ok()
    }

    fn send(&mut self, at: usize, bytes: usize, last: bool, trailers: bool) {
        if !self.begin(at, 200) {
            return;
        }
        let stream = &mut self.streams[at];
        let Stream { key, id, gone, .. } = *stream;
        let piece = content(id, stream.accepted, bytes);
        stream.accepted += bytes;
        stream.answered = last;
        let mut fields = HeaderMap::new();
        fields.insert("a", http::HeaderValue::from_static("b"));
        let trailers = (last && trailers).then_some(fields);
        let mut sent = Ok(());
        self.act(|session| sent = session.send(key, Bytes::from(piece), last, trailers));
        assert_eq!(sent.is_err(), gone);
    }

    /// False: it waits for room.
    fn send_what_fits(&mut self, at: usize, wanted: usize, last: bool) -> bool {
        let Stream {
            key,
            gone,
            credit,
            ref woken,
            ..
        } = self.streams[at];
        let waker = Waker::from(Arc::clone(woken));
        let mut room = Poll::Pending;
        self.act(|session| room = session.poll_room(&mut Context::from_waker(&waker), key, wanted));
        match room {
            Poll::Ready(Ok(room)) => {
                assert!(room > 0 && room <= wanted);
                assert!(signed(room) <= credit.min(self.credit));
                self.send(at, room, last && room == wanted, false);
                true
            }
            Poll::Ready(Err(_)) => {
                assert!(gone);
                true
            }
            Poll::Pending => {
                assert!(!gone);
                false
            }
        }
    }

    fn take(&mut self, at: usize) {
        let stream = &mut self.streams[at];
        let waker = Waker::from(Arc::clone(&stream.woken));
        let taken = self
            .session
            .poll_content(&mut Context::from_waker(&waker), stream.key);
        match taken {
            Poll::Ready(Some(Ok(piece))) => {
                assert_eq!(piece, content(stream.id, stream.taken, piece.len()));
                stream.taken += piece.len();
                stream.unreleased += piece.len();
            }
            Poll::Ready(Some(Err(_))) => assert!(stream.gone),
            Poll::Ready(None) => assert!(stream.over && stream.taken == stream.sent),
            Poll::Pending => assert!(!stream.over && !stream.gone),
        }
    }

    fn leave(&mut self, at: usize) {
        if std::mem::take(&mut self.streams[at].held) {
            let key = self.streams[at].key;
            let ongoing = self.connection.begin();
            self.act(|session| session.leave(key, ongoing));
        }
    }

    /// Every handler that has not answered sends some more, when it is woken and not before.
    fn get_on(&mut self) {
        let wants = |stream: &Stream| stream.held && !stream.answered && !stream.gone;
        let mut left = vec![20_000_usize; self.streams.len()];
        for stream in &self.streams {
            stream.woken.wake_by_ref();
        }
        for _ in 0..10_000 {
            let mut moved = false;
            for (at, left) in left.iter_mut().enumerate() {
                while wants(&self.streams[at]) && self.streams[at].woken.take() > 0 {
                    moved = true;
                    let before = self.streams[at].accepted;
                    if self.send_what_fits(at, *left, true) {
                        *left -= self.streams[at].accepted - before;
                        self.streams[at].woken.wake_by_ref();
                    }
                }
            }
            if !self.session.unwritten().is_empty() {
                self.write(30_000);
            } else if !self.grant() && !moved {
                break;
            }
        }
        assert!(!self.streams.iter().any(wants), "somebody was forgotten");
    }
}
