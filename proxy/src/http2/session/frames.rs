//! What has come: frames one by one, requests and their content. Frames without content are in `control`.

use super::super::frame::{self, HEAD, Head, LARGEST};
use super::super::request::{Gathered, Malformed, Trailers};
use super::{
    Block, Farewell, Incoming, MOST_CONTINUATIONS, MOST_EMPTY, PREFACE, Reason, STREAM_WINDOW,
    Session, Stream, USUAL_HEAD, Window,
};
use crate::http1::Length;

impl Session {
    /// Whatever the pieces are in which they come, the same is read from the same bytes.
    pub fn receive(&mut self, input: &[u8]) {
        if self.over {
            return;
        }
        if let Err(reason) = self.read(input) {
            tracing::debug!(?reason, "an HTTP/2 client is sent away");
            self.give_up(reason);
        }
    }

    fn read(&mut self, mut input: &[u8]) -> Result<(), Reason> {
        while let Some(expected) = PREFACE.get(self.preface) {
            let Some((byte, rest)) = input.split_first() else {
                return Ok(());
            };
            if byte != expected {
                return Err(Reason::ProtocolError);
            }
            self.preface += 1;
            input = rest;
        }
        if !self.partial.is_empty() {
            input = self.complete(input)?;
        }
        while let Some((head, rest)) = input.split_first_chunk::<HEAD>() {
            let head = checked(*head)?;
            let Some((payload, rest)) = rest.split_at_checked(head.length) else {
                break;
            };
            self.frame(head, payload)?;
            input = rest;
        }
        if !input.is_empty() {
            if self.partial.capacity() == 0 {
                self.partial = self.buffers.lend();
            }
            self.partial.extend_from_slice(input);
        }
        Ok(())
    }

    /// Adds what is missing of the frame that was begun; the rest.
    fn complete<'i>(&mut self, mut input: &'i [u8]) -> Result<&'i [u8], Reason> {
        loop {
            let head = self.partial.first_chunk::<HEAD>();
            let head = head.map(|head| checked(*head)).transpose()?;
            let size = head.map_or(HEAD, |head| HEAD + head.length);
            let missing = size - self.partial.len();
            let (more, rest) = input.split_at(missing.min(input.len()));
            self.partial.extend_from_slice(more);
            input = rest;
            match head {
                _ if more.len() < missing => return Ok(input),
                None => {}
                Some(head) => {
                    let whole = std::mem::take(&mut self.partial);
                    self.frame(head, whole.get(HEAD..).unwrap_or_default())?;
                    self.buffers.give_back(whole);
                    return Ok(input);
                }
            }
        }
    }

    fn frame(&mut self, head: Head, payload: &[u8]) -> Result<(), Reason> {
        if let Some(block) = &self.block
            && (head.kind != frame::CONTINUATION || head.stream != block.stream)
        {
            return Err(Reason::ProtocolError);
        }
        if !self.is_settled && (head.kind != frame::SETTINGS || head.has(frame::ACK)) {
            return Err(Reason::ProtocolError);
        }
        let of_stream = matches!(
            head.kind,
            frame::DATA
                | frame::HEADERS
                | frame::PRIORITY
                | frame::RST_STREAM
                | frame::CONTINUATION
        );
        let of_connection = matches!(head.kind, frame::SETTINGS | frame::PING | frame::GOAWAY);
        if of_stream && head.stream == 0 || of_connection && head.stream != 0 {
            return Err(Reason::ProtocolError);
        }
        match head.kind {
            frame::DATA => self.data(head, payload),
            frame::HEADERS => self.headers(head, payload),
            frame::PRIORITY => self.priority(head, payload),
            frame::RST_STREAM => self.client_resets(head, payload),
            frame::SETTINGS => self.settings(head, payload),
            frame::PUSH_PROMISE => Err(Reason::ProtocolError),
            frame::PING => self.ping(head, payload),
            frame::GOAWAY if payload.len() < 8 => Err(Reason::FrameSizeError),
            frame::GOAWAY => {
                self.client_leaves = true;
                Ok(())
            }
            frame::WINDOW_UPDATE => self.window_update(head, payload),
            frame::CONTINUATION => self.continuation(head, payload),
            // RFC 9113 4.1
            _ => Ok(()),
        }
    }

    /// Of a stream that is not open.
    fn late(&mut self, id: u32) -> Result<(), Reason> {
        if self.is_idle(id) {
            Err(Reason::ProtocolError)
        } else if self.reset.contains(&id) {
            // It was on its way.
            Ok(())
        } else {
            self.blame(id, Reason::StreamClosed)
        }
    }

    pub(super) fn is_idle(&self, id: u32) -> bool {
        id > self.last_seen || id.is_multiple_of(2)
    }

    fn data(&mut self, head: Head, payload: &[u8]) -> Result<(), Reason> {
        let content = head.unpadded(payload)?;
        let last = head.has(frame::END_STREAM);
        if !self.window.take(payload.len()) {
            return Err(Reason::FlowControlError);
        }
        self.empty = if content.is_empty() && !last {
            self.empty + 1
        } else {
            0
        };
        if self.empty > MOST_EMPTY {
            return Err(Reason::EnhanceYourCalm);
        }
        let Some((key, stream)) = self.streams.find_mut(head.stream) else {
            self.give_back(payload.len());
            return self.late(head.stream);
        };
        let wrong = if !stream.receiving {
            Some(Reason::StreamClosed)
        } else if !stream.window.take(payload.len()) {
            Some(Reason::FlowControlError)
        } else if !stream.expects(content.len(), last) {
            Some(Reason::ProtocolError)
        } else {
            None
        };
        if let Some(reason) = wrong {
            self.give_back(payload.len());
            return self.blame(head.stream, reason);
        }
        stream.receiving = !last;
        let padding = payload.len() - content.len();
        if stream.held {
            if stream.content.capacity() == 0 && !content.is_empty() {
                stream.content = self.buffers.lend();
            }
            stream.content.extend_from_slice(content);
            stream.wake();
            if padding > 0 {
                stream.taken += padding;
                self.release(key, padding);
            }
        } else {
            // Answered already.
            self.give_back(payload.len());
        }
        if last {
            self.finish(key);
        }
        Ok(())
    }

    fn headers(&mut self, head: Head, payload: &[u8]) -> Result<(), Reason> {
        let payload = head.unpadded(payload)?;
        let (dependency, bytes) = head.dependency(payload)?;
        let end_stream = head.has(frame::END_STREAM);
        let depends_on_itself = dependency == Some(head.stream);
        if head.has(frame::END_HEADERS) {
            return self.block(head.stream, end_stream, depends_on_itself, bytes);
        }
        let mut kept = self.buffers.lend();
        kept.extend_from_slice(bytes);
        self.block = Some(Block {
            stream: head.stream,
            end_stream,
            depends_on_itself,
            bytes: kept,
            continuations: 0,
        });
        Ok(())
    }

    fn continuation(&mut self, head: Head, payload: &[u8]) -> Result<(), Reason> {
        let block = self.block.as_mut().ok_or(Reason::ProtocolError)?;
        block.continuations += 1;
        if block.continuations > MOST_CONTINUATIONS {
            return Err(Reason::EnhanceYourCalm);
        }
        block.bytes.extend_from_slice(payload);
        if head.has(frame::END_HEADERS)
            && let Some(block) = self.block.take()
        {
            self.block(
                block.stream,
                block.end_stream,
                block.depends_on_itself,
                &block.bytes,
            )?;
            self.buffers.give_back(block.bytes);
        }
        Ok(())
    }

    /// A whole block. It is unpacked even if nobody wants it: the table must stay the client's.
    fn block(
        &mut self,
        id: u32,
        end_stream: bool,
        depends_on_itself: bool,
        bytes: &[u8],
    ) -> Result<(), Reason> {
        if id > self.last_seen && !id.is_multiple_of(2) {
            return self.request(id, end_stream, depends_on_itself, bytes);
        }
        let mut trailers = Trailers::default();
        self.unpack(bytes, |name, value| trailers.field(name, value))?;
        let Some((key, stream)) = self.streams.find_mut(id) else {
            return if self.reset.contains(&id) {
                Ok(())
            } else {
                Err(Reason::ProtocolError)
            };
        };
        if !stream.receiving {
            return self.blame(id, Reason::StreamClosed);
        }
        let fitting = end_stream && !depends_on_itself && stream.expects(0, true);
        match trailers.finish() {
            Ok(trailers) if fitting => {
                stream.trailers = trailers.map(Box::new);
                stream.receiving = false;
                stream.wake();
                self.finish(key);
                Ok(())
            }
            _ => self.blame(id, Reason::ProtocolError),
        }
    }

    fn request(
        &mut self,
        id: u32,
        over: bool,
        depends_on_itself: bool,
        bytes: &[u8],
    ) -> Result<(), Reason> {
        let mut gathered = Gathered::new(self.limits.header_list, self.usual_head);
        self.unpack(bytes, |name, value| gathered.field(name, value))?;
        self.last_seen = id;
        let most = self.limits.concurrent_streams as usize;
        let full = self.streams.kept() >= 2 * most;
        if full || self.streams.open() >= most || self.farewell == Farewell::Final {
            self.refuse(id, Reason::RefusedStream);
            // It has reset more than it may have open before anybody could look.
            return if full { self.count_abandoned() } else { Ok(()) };
        }
        self.last_taken = id;
        if depends_on_itself {
            return self.blame(id, Reason::ProtocolError);
        }
        self.usual_head = gathered.size().next_multiple_of(256).min(USUAL_HEAD);
        let request = match gathered.finish(over) {
            Ok(request) => request,
            Err(Malformed(why)) => {
                tracing::debug!(why, "a malformed request");
                return self.blame(id, Reason::ProtocolError);
            }
        };
        self.requests += 1;
        let missing = match request.head.length() {
            Length::Known(length) => Some(length),
            _ => None,
        };
        let window = Window::new(STREAM_WINDOW);
        let stream = Stream::new(id, !over, missing, window, self.initial_credit);
        let key = self.streams.insert(stream);
        self.incoming.push_back(Incoming {
            key,
            head: request.head,
            flaw: request.flaw,
            over,
        });
        Ok(())
    }

    fn unpack(&mut self, bytes: &[u8], field: impl FnMut(&[u8], &[u8])) -> Result<(), Reason> {
        let mut scratch = self.buffers.lend();
        let unpacked = self.decoder.decode(bytes, &mut scratch, field);
        self.buffers.give_back(scratch);
        unpacked.map_err(|_| Reason::CompressionError)
    }
}

impl Stream {
    /// Whether so much more of content, and perhaps its end, is what the head has said.
    fn expects(&mut self, bytes: usize, last: bool) -> bool {
        let Some(missing) = &mut self.missing else {
            return true;
        };
        let Some(left) = missing.checked_sub(bytes as u64) else {
            return false;
        };
        *missing = left;
        left == 0 || !last
    }
}

fn checked(head: [u8; HEAD]) -> Result<Head, Reason> {
    let head = Head::read(head);
    if head.length > LARGEST {
        return Err(Reason::FrameSizeError);
    }
    Ok(head)
}
