//! One client's connection: what its bytes mean, and which bytes it is sent. Two sides use it. Its driver shows it what has
//! come ([`receive`](Session::receive)), takes the requests that are in it, and writes what is to be written; whoever
//! answers a request uses its stream, by a [`Key`]: that half is `answering`.
//!
//! Everything here has a bound: blocks by the number of their frames, content by windows, what is written by
//! `ROOM` besides what answers frames, and these are not read while too much waits. What costs its sender less than us is
//! counted.

mod answering;
mod control;
mod frames;
mod queue;

use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Waker};

use lintel_common::server::Ongoing;

pub use answering::Gone;

use super::Reason;
use super::frame;
use super::hpack::{Decoder, Encoder};
use super::request::Flaw;
use super::streams::{Key, Stream, Streams};
use super::window::Window;
use crate::http1::RequestHead;
use crate::http1::buffers::Buffers;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What may come of a request before its handler takes it, and of all of a connection's.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Before anybody says otherwise.
const DEFAULT_WINDOW: u32 = 65_535;
const LARGEST_WINDOW: i64 = (1 << 31) - 1;

/// The table for what comes, as it is where nothing is said of it.
const TABLE: usize = 4096;

/// Content waits with its stream when so much is to be written.
const ROOM: usize = 64 * 1024;

/// Nothing is read while so much is to be written.
const MOST_UNWRITTEN: usize = 2 * ROOM;

/// Streams that were reset because of the client's own mistakes, before its connection is given up.
const MOST_MISTAKES: u32 = 1024;

/// Frames of content in a row with nothing in them.
const MOST_EMPTY: u32 = 100;

/// Frames of a block of fields behind its first.
const MOST_CONTINUATIONS: u32 = 16;

/// Requests that a client may reset before they are answered, besides half of all that it sends: each may have cost a
/// connection to a target.
const MOST_ABANDONED: u64 = 200;

/// Streams that we have reset, of which frames may be on their way: more than there may be at a time.
const MOST_RESET: usize = 256;

/// A guess of a head by the one before it goes no further.
const USUAL_HEAD: usize = 4096;

/// In the PING behind the first goodbye: what comes before its answer was sent without knowing of it.
const GOODBYE: [u8; 8] = *b"goodbye.";

#[derive(Debug)]
pub struct Session {
    buffers: Rc<Buffers>,
    limits: Limits,
    decoder: Decoder,
    encoder: Encoder,
    /// Of the preface, what has come.
    preface: usize,
    /// The client's first settings have come.
    is_settled: bool,
    /// A frame of which not all has come.
    partial: Vec<u8>,
    /// A block of fields of which not all has come.
    block: Option<Block>,
    /// What a head was last, which the next one may be.
    usual_head: usize,
    incoming: VecDeque<Incoming>,
    streams: Streams,
    /// Latest stream of the client, and the latest that was taken from it.
    last_seen: u32,
    last_taken: u32,
    /// Those that we have reset last.
    reset: VecDeque<u32>,
    window: Window,
    /// To be written, from `written` on.
    output: Vec<u8>,
    written: usize,
    /// Bytes that were written before what is in `output`.
    before: u64,
    /// Exchanges that last until so many bytes are written.
    endings: VecDeque<(u64, Ongoing)>,
    /// Streams that wait for room or for the connection's credit.
    queue: VecDeque<Key>,
    /// Room that is kept for those whose turn it is.
    promised: i64,
    /// Content that the client may still be sent, of all streams, and at the beginning of each.
    credit: i64,
    initial_credit: i64,
    farewell: Farewell,
    /// The client has said goodbye.
    client_leaves: bool,
    requests: u64,
    /// Those that their client has ended before they were answered.
    abandoned: u64,
    mistakes: u32,
    empty: u32,
    /// Nothing is read any more, and no stream goes on.
    over: bool,
    driver: Option<Waker>,
    /// The driver is at work or knows that it is wanted.
    roused: bool,
}

/// What a connection's client may do.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub concurrent_streams: u32,
    /// What the fields of a head may be together, as RFC 9113 6.5.2 counts them.
    pub header_list: usize,
}

/// A request whose head has come.
#[derive(Debug)]
pub struct Incoming {
    pub key: Key,
    pub head: RequestHead,
    /// It is not for a target.
    pub flaw: Option<Flaw>,
    /// The head is all of it.
    pub over: bool,
}

/// A block of fields of which not all has come.
#[derive(Debug)]
struct Block {
    stream: u32,
    end_stream: bool,
    depends_on_itself: bool,
    bytes: Vec<u8>,
    continuations: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Farewell {
    Unsaid,
    /// Announced; what the client had sent before is still taken.
    Said,
    /// Nothing more is taken.
    Final,
}

impl Session {
    pub fn new(limits: Limits, buffers: Rc<Buffers>) -> Self {
        let mut session = Self {
            buffers,
            limits,
            decoder: Decoder::new(TABLE),
            encoder: Encoder::new(),
            preface: 0,
            is_settled: false,
            partial: Vec::new(),
            block: None,
            usual_head: 0,
            incoming: VecDeque::new(),
            streams: Streams::default(),
            last_seen: 0,
            last_taken: 0,
            reset: VecDeque::new(),
            window: Window::new(CONNECTION_WINDOW),
            output: Vec::new(),
            written: 0,
            before: 0,
            endings: VecDeque::new(),
            queue: VecDeque::new(),
            promised: 0,
            credit: DEFAULT_WINDOW.into(),
            initial_credit: DEFAULT_WINDOW.into(),
            farewell: Farewell::Unsaid,
            client_leaves: false,
            requests: 0,
            abandoned: 0,
            mistakes: 0,
            empty: 0,
            over: false,
            driver: None,
            roused: true,
        };
        let header_list = u32::try_from(limits.header_list).unwrap_or(u32::MAX);
        let settings = [
            (frame::MAX_CONCURRENT_STREAMS, limits.concurrent_streams),
            (frame::INITIAL_WINDOW_SIZE, STREAM_WINDOW),
            (frame::MAX_HEADER_LIST_SIZE, header_list),
        ];
        let output = session.output();
        frame::write_settings(&settings, output);
        frame::write_window_update(0, CONNECTION_WINDOW - DEFAULT_WINDOW, output);
        session
    }

    /// The next request that has come.
    pub fn next_request(&mut self) -> Option<Incoming> {
        self.incoming.pop_front()
    }

    /// Bytes may be read now.
    pub fn may_receive(&self) -> bool {
        !self.over && self.unwritten().len() < MOST_UNWRITTEN
    }

    /// Nothing more will happen once everything is written.
    pub fn is_over(&self) -> bool {
        let last_words = self.farewell == Farewell::Final || self.client_leaves;
        self.over || last_words && self.streams.is_empty()
    }

    /// What is to be written.
    pub fn unwritten(&self) -> &[u8] {
        self.output.get(self.written..).unwrap_or_default()
    }

    /// So much was.
    pub fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        let written = self.before + self.written as u64;
        if self.written >= self.output.len() {
            self.before = written;
            self.written = 0;
            self.buffers.give_back(std::mem::take(&mut self.output));
        } else if self.written >= ROOM {
            // What was written must not pile up in front of what never all is.
            self.output.drain(..self.written);
            self.before = written;
            self.written = 0;
        }
        while self.endings.front().is_some_and(|(end, _)| *end <= written) {
            self.endings.pop_front();
        }
        self.serve_queue();
    }

    /// The driver looks; whatever comes to be written before it [`rest`](Self::rest)s it finds by itself.
    pub fn rouse(&mut self) {
        self.roused = true;
    }

    /// The driver is to be woken when there is something to be written.
    pub fn rest(&mut self, cx: &mut Context<'_>) {
        self.roused = false;
        if !self
            .driver
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            self.driver = Some(cx.waker().clone());
        }
    }

    /// Asks the client to go: what it has sent by the time that it hears of this is answered.
    pub fn say_goodbye(&mut self) {
        if self.farewell == Farewell::Unsaid && !self.over {
            self.farewell = Farewell::Said;
            let output = self.output();
            frame::write_goaway(LARGEST_WINDOW as u32, Reason::NoError, output);
            frame::write_ping(0, GOODBYE, output);
        }
    }

    /// Ends the connection for what its client has done.
    pub fn give_up(&mut self, reason: Reason) {
        if !self.over {
            let last = self.last_taken;
            frame::write_goaway(last, reason, self.output());
            self.end();
        }
    }

    /// The connection is no more: whoever answers hears of it.
    pub fn end(&mut self) {
        self.over = true;
        self.queue.clear();
        self.endings.clear();
        for key in self.streams.keys() {
            self.lose(key);
        }
        for stream in self.streams.all() {
            stream.gone = true;
            stream.wake();
        }
    }

    /// The buffer behind what is to be written.
    fn output(&mut self) -> &mut Vec<u8> {
        if self.output.capacity() == 0 {
            self.output = self.buffers.lend();
        }
        &mut self.output
    }

    /// What was accepted so far ends there.
    fn position(&self) -> u64 {
        self.before + self.output.len() as u64
    }

    /// Somebody else than the driver has something to be written.
    fn wake_driver(&mut self) {
        if !self.roused {
            self.roused = true;
            if let Some(driver) = &self.driver {
                driver.wake_by_ref();
            }
        }
    }

    /// Content of the connection's window is not held any more.
    fn give_back(&mut self, bytes: usize) {
        if let Some(increment) = self.window.give_back(bytes) {
            frame::write_window_update(0, increment, self.output());
        }
    }

    /// Ends one stream, and says so to its client.
    fn reset(&mut self, key: Key, reason: Reason) {
        self.refuse(key.id, reason);
        self.lose(key);
    }

    /// Says that a stream is not to go on of which nothing is known here.
    fn refuse(&mut self, id: u32, reason: Reason) {
        frame::write_reset(id, reason, self.output());
        if self.reset.contains(&id) {
            return;
        }
        if self.reset.len() == MOST_RESET {
            self.reset.pop_front();
        }
        self.reset.push_back(id);
    }

    /// The same for what its client has done wrong.
    fn blame(&mut self, id: u32, reason: Reason) -> Result<(), Reason> {
        self.mistakes += 1;
        if self.mistakes > MOST_MISTAKES {
            return Err(Reason::EnhanceYourCalm);
        }
        match self.streams.find(id) {
            Some(key) => {
                self.abandon(key)?;
                self.reset(key, reason);
            }
            None => self.refuse(id, reason),
        }
        Ok(())
    }

    /// The client ends a stream, by a word or a mistake.
    fn abandon(&mut self, key: Key) -> Result<(), Reason> {
        match self.streams.get(key) {
            Some(stream) if !stream.begun => self.count_abandoned(),
            _ => Ok(()),
        }
    }

    fn count_abandoned(&mut self) -> Result<(), Reason> {
        self.abandoned += 1;
        if self.abandoned > MOST_ABANDONED + self.requests / 2 {
            return Err(Reason::EnhanceYourCalm);
        }
        Ok(())
    }

    /// Nothing more comes of a stream, and nothing more goes.
    fn lose(&mut self, key: Key) {
        let was_its_turn = self.end_turn(key);
        let Some(stream) = self.streams.get(key) else {
            return;
        };
        stream.gone = true;
        stream.waiting = None;
        stream.ongoing = None;
        stream.wake();
        let content = std::mem::take(&mut stream.content);
        let (queued, held) = (stream.queued, stream.held);
        self.streams.close(key);
        if queued {
            self.queue.retain(|other| *other != key);
        }
        if !held {
            self.streams.remove(key);
        }
        self.forget(content);
        if was_its_turn {
            self.serve_queue();
        }
    }

    /// Content that nobody takes.
    fn forget(&mut self, content: Vec<u8>) {
        self.give_back(content.len());
        self.buffers.give_back(content);
    }

    /// After everything of a response was accepted and written here: a client that still sends need not.
    fn finish(&mut self, key: Key) {
        let end = self.position();
        let Some(stream) = self.streams.get(key) else {
            return;
        };
        if !stream.is_sent() || stream.gone {
            return;
        }
        if let Some(ongoing) = stream.ongoing.take() {
            self.endings.push_back((end, ongoing));
        }
        let (receiving, held) = (stream.receiving, stream.held);
        self.end_turn(key);
        if !receiving {
            self.streams.close(key);
        }
        if !held && receiving {
            self.reset(key, Reason::NoError);
        } else if !held {
            self.streams.remove(key);
        }
    }
}

/// Bytes beside what the client lets us send, which it may bring below nothing.
fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
