//! A stream for the one who answers it.

use std::io::{self, ErrorKind};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use lintel_common::server::Ongoing;

use super::super::frame;
use super::super::hpack::Encoder;
use super::super::streams::Waiting;
use super::{Key, Reason, Session, Stream, signed};
use crate::http1::{Fields, Malformed};

/// Nobody is there any more who could be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

impl Session {
    /// The client does not want this any more, or has gone.
    pub fn is_gone(&mut self, key: Key) -> bool {
        self.stream_to_answer(key).is_err()
    }

    /// Ready when the client does not want this any more, or has gone.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>, key: Key) -> Poll<()> {
        match self.streams.get(key) {
            Some(stream) if !stream.gone => {
                stream.wait(cx);
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// What has come of the content; `None` at its end. Its room is given back by [`release`](Self::release).
    pub fn poll_content(
        &mut self,
        cx: &mut Context<'_>,
        key: Key,
    ) -> Poll<Option<io::Result<Vec<u8>>>> {
        match self.streams.get(key) {
            // Of what had come something may be forgotten: it has no end.
            Some(stream) if stream.gone => {
                Poll::Ready(Some(Err(ErrorKind::ConnectionReset.into())))
            }
            Some(stream) if !stream.content.is_empty() => {
                let content = std::mem::take(&mut stream.content);
                stream.taken += content.len();
                Poll::Ready(Some(Ok(content)))
            }
            Some(stream) if !stream.receiving => Poll::Ready(None),
            Some(stream) => {
                stream.wait(cx);
                Poll::Pending
            }
            None => Poll::Ready(Some(Err(ErrorKind::ConnectionReset.into()))),
        }
    }

    /// Everything of the request has come and was taken, but for trailers.
    pub fn is_taken(&mut self, key: Key) -> bool {
        let stream = self.streams.get(key);
        stream.is_none_or(|stream| {
            !stream.receiving && stream.content.is_empty() && stream.trailers.is_none()
        })
    }

    /// Those that may be passed on, once the content has ended.
    pub fn take_trailers(&mut self, key: Key) -> Result<Option<Fields>, Malformed> {
        let stream = self.streams.get(key);
        let trailers = stream.and_then(|stream| stream.trailers.take());
        trailers.map(|trailers| *trailers).transpose()
    }

    /// So much of the content is not held any more.
    pub fn release(&mut self, key: Key, bytes: usize) {
        self.give_back(bytes);
        if let Some(stream) = self.streams.get(key)
            && {
                stream.taken = stream.taken.saturating_sub(bytes);
                stream.receiving && !stream.gone
            }
            && let Some(increment) = stream.window.give_back(bytes)
        {
            frame::write_window_update(key.id, increment, self.output());
        }
        if !self.unwritten().is_empty() {
            self.wake_driver();
        }
    }

    /// Sends a head, `over` the last thing of its response.
    pub fn send_head(
        &mut self,
        key: Key,
        status: u16,
        over: bool,
        fields: impl FnOnce(&mut Encoder, &mut Vec<u8>),
    ) -> Result<(), Gone> {
        let stream = self.stream_to_answer(key)?;
        stream.answered = over;
        stream.begun = status >= 200;
        self.write_block(key.id, over, |encoder, out| {
            encoder.status(status, out);
            fields(encoder, out);
        });
        if over {
            self.finish(key);
        }
        self.wake_driver();
        Ok(())
    }

    /// Ready with how many bytes the client takes soon, of those that are wanted: no more of them come to lie here.
    pub fn poll_room(
        &mut self,
        cx: &mut Context<'_>,
        key: Key,
        wanted: usize,
    ) -> Poll<Result<usize, Gone>> {
        let was_its_turn = self.end_turn(key);
        let room = self.room();
        let stream = match self.stream_to_answer(key) {
            Ok(stream) => stream,
            Err(gone) => return Poll::Ready(Err(gone)),
        };
        let of_stream = stream.credit;
        if stream.waiting.is_none() {
            if let Ok(room @ 1..) = usize::try_from(room.min(of_stream)) {
                return Poll::Ready(Ok(room.min(wanted)));
            }
            if of_stream > 0 && !stream.queued {
                stream.queued = true;
                self.queue.push_back(key);
            }
        }
        if let Some(stream) = self.streams.get(key) {
            stream.wait(cx);
        }
        if was_its_turn {
            // Its client may have taken back what it was for.
            self.serve_queue();
        }
        Poll::Pending
    }

    /// Sends a piece of content, `last` the last one, and trailers behind it. What there is no credit for lies here.
    pub fn send(
        &mut self,
        key: Key,
        content: Bytes,
        last: bool,
        trailers: Option<HeaderMap>,
    ) -> Result<(), Gone> {
        self.stream_to_answer(key)?.answered = last;
        self.end_turn(key);
        let room = self.room();
        let stream = self.stream_to_answer(key)?;
        let waiting = Waiting {
            content,
            last,
            trailers,
        };
        let fits = signed(waiting.content.len()) <= room.min(stream.credit);
        if stream.waiting.is_none() && (fits || waiting.content.is_empty()) {
            self.write_content(key, waiting);
        } else {
            match &mut stream.waiting {
                // Only what is short comes unasked.
                Some(before) => {
                    let content = [&*before.content, &*waiting.content].concat();
                    **before = Waiting {
                        content: content.into(),
                        ..waiting
                    };
                }
                none => *none = Some(Box::new(waiting)),
            }
            self.credited(key);
        }
        self.wake_driver();
        Ok(())
    }

    /// Ends what cannot come to its end.
    pub fn abort(&mut self, key: Key, reason: Reason) {
        if self.stream_to_answer(key).is_ok() {
            self.reset(key, reason);
            self.wake_driver();
        }
    }

    /// Who answers is done; the exchange lasts until its client has got everything.
    pub fn leave(&mut self, key: Key, ongoing: Ongoing) {
        let Some(stream) = self.streams.get(key) else {
            return;
        };
        stream.held = false;
        stream.waker = None;
        let taken = std::mem::take(&mut stream.taken);
        let content = std::mem::take(&mut stream.content);
        if stream.gone {
            self.streams.remove(key);
        } else if stream.answered {
            stream.ongoing = Some(ongoing);
            self.finish(key);
        } else {
            // A panic, or nothing to say.
            self.reset(key, Reason::InternalError);
        }
        self.give_back(taken);
        self.forget(content);
        // A connection may have waited for this one to be over.
        self.wake_driver();
    }

    fn stream_to_answer(&mut self, key: Key) -> Result<&mut Stream, Gone> {
        let stream = self.streams.get(key);
        stream.filter(|stream| !stream.gone).ok_or(Gone)
    }

    /// A stream has more credit, or something that waits for it.
    pub(super) fn credited(&mut self, key: Key) {
        let Some(stream) = self.streams.get(key) else {
            return;
        };
        if stream.credit <= 0 || stream.queued {
            return;
        }
        if stream.waiting.is_some() {
            self.send_waiting(key);
        } else {
            stream.wake();
        }
    }

    /// Sends of what waits as much as there is credit and room for.
    pub(super) fn send_waiting(&mut self, key: Key) {
        let room = self.room();
        let Some(stream) = self.streams.get(key) else {
            return;
        };
        let Some(mut waiting) = stream.waiting.take() else {
            return;
        };
        let room = usize::try_from(room.min(stream.credit)).unwrap_or(0);
        if waiting.content.len() <= room {
            self.write_content(key, *waiting);
            if let Some(stream) = self.streams.get(key) {
                stream.wake();
            }
            return;
        }
        let queue = stream.credit > signed(room) && !stream.queued;
        stream.queued |= queue;
        let content = waiting.content.split_to(room);
        stream.waiting = Some(waiting);
        if !content.is_empty() {
            self.write_content(
                key,
                Waiting {
                    content,
                    last: false,
                    trailers: None,
                },
            );
        }
        if queue {
            self.queue.push_back(key);
        }
    }

    /// There is credit for it.
    fn write_content(&mut self, key: Key, piece: Waiting) {
        let Waiting {
            content,
            last,
            trailers,
        } = piece;
        let bytes = signed(content.len());
        self.credit -= bytes;
        if let Some(stream) = self.streams.get(key) {
            stream.credit -= bytes;
        }
        let last_frame = last && trailers.is_none();
        frame::write_data(key.id, &content, last_frame, self.output());
        if let Some(trailers) = trailers {
            self.write_block(key.id, true, |encoder, out| {
                for (name, value) in &trailers {
                    encoder.field(name.as_str().as_bytes(), value.as_bytes(), out);
                }
            });
        }
        if last {
            self.finish(key);
        }
    }

    fn write_block(&mut self, id: u32, last: bool, write: impl FnOnce(&mut Encoder, &mut Vec<u8>)) {
        if self.output.capacity() == 0 {
            self.output = self.buffers.lend();
        }
        let encoder = &mut self.encoder;
        frame::write_block(id, last, &mut self.output, |out| {
            encoder.begin(out);
            write(encoder, out);
        });
    }
}
