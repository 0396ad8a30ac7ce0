//! Frames without content: what the client says of its streams, of its connection and of what it takes.

use super::super::frame::{self, Head, LARGEST};
use super::{Farewell, GOODBYE, LARGEST_WINDOW, Reason, Session};

impl Session {
    pub(super) fn priority(&mut self, head: Head, payload: &[u8]) -> Result<(), Reason> {
        let is_idle = self.is_idle(head.stream);
        if payload.len() != 5 && is_idle {
            return Err(Reason::FrameSizeError);
        }
        if payload.len() != 5 {
            return self.blame(head.stream, Reason::FrameSizeError);
        }
        let depends_on_itself = frame::number(payload) & (u32::MAX >> 1) == head.stream;
        if depends_on_itself && !is_idle {
            return self.blame(head.stream, Reason::ProtocolError);
        }
        Ok(())
    }

    pub(super) fn client_resets(&mut self, head: Head, payload: &[u8]) -> Result<(), Reason> {
        frame::only_number(payload)?;
        if self.is_idle(head.stream) {
            return Err(Reason::ProtocolError);
        }
        if let Some(key) = self.streams.find(head.stream) {
            self.abandon(key)?;
            self.lose(key);
        }
        Ok(())
    }

    pub(super) fn settings(&mut self, head: Head, payload: &[u8]) -> Result<(), Reason> {
        if head.has(frame::ACK) {
            return if payload.is_empty() {
                Ok(())
            } else {
                Err(Reason::FrameSizeError)
            };
        }
        let mut initial_credit = None;
        for (name, value) in frame::settings(payload)? {
            match name {
                frame::HEADER_TABLE_SIZE => self.encoder.set_most(value),
                frame::ENABLE_PUSH if value > 1 => return Err(Reason::ProtocolError),
                frame::INITIAL_WINDOW_SIZE if i64::from(value) > LARGEST_WINDOW => {
                    return Err(Reason::FlowControlError);
                }
                frame::INITIAL_WINDOW_SIZE => initial_credit = Some(value),
                frame::MAX_FRAME_SIZE if !(LARGEST as u32..1 << 24).contains(&value) => {
                    return Err(Reason::ProtocolError);
                }
                // What else it takes is more than we send.
                _ => {}
            }
        }
        if let Some(value) = initial_credit {
            self.set_initial_credit(value)?;
        }
        self.is_settled = true;
        frame::write_settings_ack(self.output());
        self.serve_queue();
        Ok(())
    }

    /// Also of the streams that there are (RFC 9113 6.9.2).
    fn set_initial_credit(&mut self, value: u32) -> Result<(), Reason> {
        let value = i64::from(value);
        let more = value - self.initial_credit;
        self.initial_credit = value;
        for key in self.streams.keys() {
            if let Some(stream) = self.streams.get(key) {
                stream.credit += more;
                if stream.credit > LARGEST_WINDOW {
                    return Err(Reason::FlowControlError);
                }
                if more > 0 {
                    self.credited(key);
                }
            }
        }
        Ok(())
    }

    pub(super) fn ping(&mut self, head: Head, payload: &[u8]) -> Result<(), Reason> {
        let payload = payload.try_into().map_err(|_| Reason::FrameSizeError)?;
        if !head.has(frame::ACK) {
            frame::write_ping(frame::ACK, payload, self.output());
        } else if payload == GOODBYE && self.farewell == Farewell::Said {
            self.farewell = Farewell::Final;
            let last = self.last_taken;
            frame::write_goaway(last, Reason::NoError, self.output());
        }
        Ok(())
    }

    pub(super) fn window_update(&mut self, head: Head, payload: &[u8]) -> Result<(), Reason> {
        let increment = i64::from(frame::only_number(payload)?);
        if increment == 0 {
            return Err(Reason::ProtocolError);
        }
        if head.stream == 0 {
            self.credit += increment;
            if self.credit > LARGEST_WINDOW {
                return Err(Reason::FlowControlError);
            }
            self.serve_queue();
            return Ok(());
        }
        if self.is_idle(head.stream) {
            return Err(Reason::ProtocolError);
        }
        if let Some((key, stream)) = self.streams.find_mut(head.stream) {
            stream.credit += increment;
            if stream.credit > LARGEST_WINDOW {
                return self.blame(head.stream, Reason::FlowControlError);
            }
            self.credited(key);
        }
        Ok(())
    }
}
