//! The streams of a session, and what is known of each. A stream's place is kept until whoever answers it has left, which
//! may be later than its end.

use std::task::{Context, Waker};

use bytes::Bytes;
use http::HeaderMap;
use lintel_common::server::Ongoing;

use super::window::Window;
use crate::http1::{Fields, Malformed};

/// Places that are kept when nobody is there.
const FEW: usize = 8;

/// Where a stream is, for the one who answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    place: u32,
    pub(super) id: u32,
}

#[derive(Debug)]
pub(super) struct Stream {
    id: u32,
    /// Content that has come and was not taken.
    pub(super) content: Vec<u8>,
    /// Bytes of content that were taken and are still held.
    pub(super) taken: usize,
    pub(super) trailers: Option<Box<Result<Fields, Malformed>>>,
    /// More may come.
    pub(super) receiving: bool,
    /// What is missing of the content by what the head says.
    pub(super) missing: Option<u64>,
    pub(super) window: Window,
    /// All of the response was accepted; what waits included.
    pub(super) answered: bool,
    /// Content that the client may still be sent. Its settings may have brought it below nothing.
    pub(super) credit: i64,
    /// Accepted and not written: there is no credit.
    pub(super) waiting: Option<Box<Waiting>>,
    /// In the session's queue.
    pub(super) queued: bool,
    /// Room that it was told of and has not used.
    pub(super) granted: i64,
    /// Reset by either side, or its connection is over.
    pub(super) gone: bool,
    /// The final head was sent.
    pub(super) begun: bool,
    /// Of the one who answers; whatever happens wakes it.
    pub(super) waker: Option<Waker>,
    /// Who answers has not left yet.
    pub(super) held: bool,
    /// The exchange of the one who has left before everything was written.
    pub(super) ongoing: Option<Ongoing>,
}

/// Of a response, what there is no credit for.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) content: Bytes,
    pub(super) last: bool,
    pub(super) trailers: Option<HeaderMap>,
}

impl Stream {
    pub(super) fn new(
        id: u32,
        receiving: bool,
        missing: Option<u64>,
        window: Window,
        credit: i64,
    ) -> Self {
        Self {
            id,
            content: Vec::new(),
            taken: 0,
            trailers: None,
            receiving,
            missing,
            window,
            answered: false,
            credit,
            waiting: None,
            queued: false,
            granted: 0,
            gone: false,
            begun: false,
            waker: None,
            held: true,
            ongoing: None,
        }
    }

    /// Everything was written that will be.
    pub(super) fn is_sent(&self) -> bool {
        self.answered && self.waiting.is_none()
    }

    pub(super) fn wait(&mut self, cx: &mut Context<'_>) {
        if !self
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            self.waker = Some(cx.waker().clone());
        }
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Of the stream at each place while frames of it may come, else 0. Beside the places, because it is looked through.
    ids: Vec<u32>,
    places: Vec<Option<Stream>>,
    free: Vec<u32>,
    /// Those that the client counts.
    open: usize,
}

impl Streams {
    /// Those that the client counts.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Nobody is there, not even one who has to leave yet.
    pub(super) fn is_empty(&self) -> bool {
        self.kept() == 0
    }

    pub(super) fn insert(&mut self, stream: Stream) -> Key {
        let id = stream.id;
        self.open += 1;
        if let Some(place) = self.free.pop() {
            self.ids[place as usize] = id;
            self.places[place as usize] = Some(stream);
            return Key { place, id };
        }
        let place = self.places.len() as u32;
        self.ids.push(id);
        self.places.push(Some(stream));
        Key { place, id }
    }

    /// Those whose places are taken: the open ones and those that somebody has to leave yet.
    pub(super) fn kept(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Of a stream of which frames may come.
    pub(super) fn find(&self, id: u32) -> Option<Key> {
        let place = self.ids.iter().position(|other| *other == id)? as u32;
        Some(Key { place, id })
    }

    pub(super) fn find_mut(&mut self, id: u32) -> Option<(Key, &mut Stream)> {
        let key = self.find(id)?;
        Some((key, self.get(key)?))
    }

    pub(super) fn get(&mut self, key: Key) -> Option<&mut Stream> {
        let stream = self.places.get_mut(key.place as usize)?.as_mut();
        stream.filter(|stream| stream.id == key.id)
    }

    /// Nothing more comes of it that would mean anything.
    pub(super) fn close(&mut self, key: Key) {
        if let Some(id) = self.ids.get_mut(key.place as usize)
            && *id == key.id
        {
            *id = 0;
            self.open -= 1;
        }
    }

    /// Nobody asks for it any more.
    pub(super) fn remove(&mut self, key: Key) -> Option<Stream> {
        self.get(key)?;
        self.close(key);
        let removed = self.places.get_mut(key.place as usize)?.take()?;
        self.free.push(key.place);
        if self.is_empty() && self.places.capacity() > FEW {
            *self = Self::default();
        }
        Some(removed)
    }

    /// All of which frames may come.
    pub(super) fn keys(&self) -> Vec<Key> {
        let keys = self.ids.iter().zip(0..);
        keys.filter(|(id, _)| **id != 0)
            .map(|(id, place)| Key { place, id: *id })
            .collect()
    }

    /// Also those of which nothing more can come.
    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.places.iter_mut().flatten()
    }
}
