//! The client's end: what it sends and is sent, and its books of credit and windows.

use super::*;

impl Play<'_> {
    pub(super) fn request(&mut self, over: bool) {
        if self.next > 2 * MOST_REQUESTS {
            return;
        }
        let id = self.next;
        self.next += 2;
        let flags = END_HEADERS | if over { END_STREAM } else { 0 };
        self.receive(&frame(HEADERS, flags, id, request("POST")));
        // It may be refused.
        if let Some(Incoming { key, .. }) = self.session.next_request() {
            self.streams.push(Stream {
                key,
                id,
                woken: Arc::default(),
                held: true,
                begun: false,
                answered: false,
                accepted: 0,
                heard: 0,
                ended: false,
                gone: false,
                credit: self.initial,
                window: STREAM_WINDOW,
                sent: 0,
                taken: 0,
                unreleased: 0,
                over,
            });
        }
    }

    pub(super) fn client_acts(&mut self, what: u8) {
        let Some(at) = self.pick(|stream| !stream.gone) else {
            return;
        };
        let Stream { id, sent, .. } = self.streams[at];
        match what {
            // Rarely: not much is left to look at.
            4 => {
                self.streams[at].gone = true;
                self.receive(&frame(RST_STREAM, 0, id, [0, 0, 0, 8]));
            }
            _ if what % 16 == 4 => {
                let increment = self.size(1 << 18).max(1);
                self.update(Some(at), signed(increment));
            }
            _ if !self.streams[at].over => {
                let room = self.window.min(self.streams[at].window);
                let size = self.size(room.min(16_384));
                let last = what & 64 > 0;
                if size == 0 && !last {
                    // Many of them are taken for an attack.
                    return;
                }
                let padding = usize::from(what >> 4) * 5 % (room - size + 1).min(16_384 - size + 1);
                let mut payload = content(id, sent, size);
                let mut flags = if last { END_STREAM } else { 0 };
                if padding > 0 {
                    flags |= PADDED;
                    payload.insert(0, padding as u8 - 1);
                    payload.resize(size + padding, 0);
                }
                self.window -= payload.len();
                let stream = &mut self.streams[at];
                stream.window -= payload.len();
                stream.sent += size;
                stream.over = last;
                self.receive(&frame(DATA, flags, id, payload));
            }
            _ => {}
        }
    }

    /// Credit where there is none. Whether that is anywhere.
    pub(super) fn grant(&mut self) -> bool {
        let mut granted = self.credit <= 0;
        if granted {
            self.update(None, 30_000);
        }
        for at in 0..self.streams.len() {
            let Stream {
                credit,
                gone,
                ended,
                ..
            } = self.streams[at];
            if credit <= 0 && !gone && !ended {
                self.update(Some(at), 5_000 - credit);
                granted = true;
            }
        }
        granted
    }

    pub(super) fn update(&mut self, at: Option<usize>, increment: i64) {
        let id = at.map_or(0, |at| self.streams[at].id);
        let credit = match at {
            Some(at) => &mut self.streams[at].credit,
            None => &mut self.credit,
        };
        // Beyond it is an error.
        if *credit + increment < 1 << 30 {
            *credit += increment;
            let increment = (increment as u32).to_be_bytes();
            self.receive(&frame(WINDOW_UPDATE, 0, id, increment));
        }
    }

    pub(super) fn set_initial(&mut self, value: u32) {
        let more = i64::from(value) - self.initial;
        self.initial = value.into();
        for stream in &mut self.streams {
            stream.credit += more;
        }
        let setting = [&[0, 4][..], &value.to_be_bytes()].concat();
        self.receive(&frame(SETTINGS, 0, 0, setting));
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.act(|session| session.receive(bytes));
    }

    pub(super) fn act(&mut self, act: impl FnOnce(&mut Session)) {
        let before = self.session.unwritten().len();
        act(&mut self.session);
        let said = self.session.unwritten()[before..].to_vec();
        self.hear(&said);
    }

    pub(super) fn write(&mut self, bytes: usize) {
        let unwritten = self.session.unwritten().len();
        let bytes = bytes.min(unwritten);
        self.session.wrote(bytes);
        let said = self.session.unwritten()[unwritten - bytes..].to_vec();
        self.hear(&said);
    }

    /// What has come to be written, at once.
    pub(super) fn hear(&mut self, mut said: &[u8]) {
        while let Some((head, rest)) = said.split_first_chunk::<9>() {
            let [a, b, c, kind, flags, stream @ ..] = *head;
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            let (payload, rest) = rest.split_at(length);
            said = rest;
            self.hear_frame(kind, flags, u32::from_be_bytes(stream), payload);
        }
        assert!(said.is_empty(), "part of a frame");
    }

    fn hear_frame(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) {
        let stream = self.streams.iter_mut().find(|stream| stream.id == id);
        let end = flags & END_STREAM > 0;
        match (kind, stream) {
            (DATA, Some(stream)) => {
                assert!(!stream.gone && !stream.ended);
                assert_eq!(payload, content(id, stream.heard, payload.len()));
                stream.heard += payload.len();
                stream.ended = end;
                if !payload.is_empty() {
                    stream.credit -= signed(payload.len());
                    self.credit -= signed(payload.len());
                    assert!(stream.credit >= 0 && self.credit >= 0, "beyond all credit");
                }
            }
            (HEADERS, Some(stream)) => {
                assert!(!stream.gone && !stream.ended);
                stream.ended = end;
            }
            (RST_STREAM, Some(stream)) => stream.gone = true,
            // One that was refused.
            (RST_STREAM, None) => assert_eq!(payload, [0, 0, 0, 7]),
            (WINDOW_UPDATE, stream) => {
                let increment = u32::from_be_bytes(payload.try_into().expect("a number")) as usize;
                let (window, most) = match stream {
                    Some(stream) => (&mut stream.window, STREAM_WINDOW),
                    None => (&mut self.window, CONNECTION_WINDOW),
                };
                *window += increment;
                assert!(*window <= most);
            }
            (GOAWAY, _) => {
                assert_eq!(payload[4..], [0; 4]);
                self.goodbyes += 1;
            }
            (SETTINGS | PING, None) => {}
            (kind, _) => panic!("a frame of kind {kind} on {id}"),
        }
    }
}
