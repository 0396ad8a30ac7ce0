//! Whose turn it is to send, where all that want to cannot.

use super::super::frame;
use super::{Key, ROOM, Session, signed};

impl Session {
    /// Lets those go on that wait for room, as far as there is some. The share of each is kept for it: who comes first and
    /// has much to send leaves the others theirs.
    pub(super) fn serve_queue(&mut self) {
        while let Some(key) = self.queue.front().copied() {
            let room = self.room();
            if room <= 0 {
                return;
            }
            // A share is worth a frame, or it is all that there is.
            let frames = room / signed(frame::LARGEST);
            let share = room / frames.clamp(1, signed(self.queue.len()));
            self.queue.pop_front();
            let Some(stream) = self.streams.get(key) else {
                continue;
            };
            stream.queued = false;
            if stream.waiting.is_some() {
                self.send_waiting(key);
            } else if stream.credit > 0 && !stream.is_sent() {
                // One whose client has taken back its credit is woken when it gets some.
                stream.granted = share.min(stream.credit);
                self.promised += stream.granted;
                stream.wake();
            }
        }
    }

    /// What any stream may send now.
    pub(super) fn room(&self) -> i64 {
        let room = signed(ROOM) - signed(self.unwritten().len());
        self.credit.min(room) - self.promised
    }

    /// Nothing is kept for a stream any more. Whether it was its turn.
    pub(super) fn end_turn(&mut self, key: Key) -> bool {
        let stream = self.streams.get(key);
        let granted = stream.map_or(0, |stream| std::mem::take(&mut stream.granted));
        self.promised -= granted;
        granted > 0
    }
}
