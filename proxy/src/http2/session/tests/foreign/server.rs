//! A session between a pipe and handlers that do what their exchanges say.

use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use super::super::Client;
use super::*;

pub(super) struct Server<'e> {
    /// Of which only the session is of use.
    client: Client,
    io: DuplexStream,
    exchanges: &'e [Exchange],
    handlers: Vec<Handler<'e>>,
    /// Those that have done all that they had to.
    whole: usize,
}

struct Handler<'e> {
    key: Key,
    exchange: &'e Exchange,
    received: Vec<u8>,
    /// All of the request has come.
    over: bool,
    /// Of the response.
    begun: bool,
    sent: usize,
    left: bool,
}

impl<'e> Server<'e> {
    pub(super) fn new(io: DuplexStream, exchanges: &'e [Exchange]) -> Self {
        let mut client = Client::silent(4);
        client.session.limits.header_list = 1 << 20;
        Self {
            client,
            io,
            exchanges,
            handlers: Vec::new(),
            whole: 0,
        }
    }

    /// Until the client has gone.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.client.session.rouse();
        loop {
            let mut moved = self.take_requests();
            for handler in &mut self.handlers {
                moved |= handler.poll(cx, &mut self.client);
                self.whole += usize::from(handler.left && handler.is_whole());
            }
            self.handlers.retain(|handler| !handler.left);
            let session = &mut self.client.session;
            while !session.unwritten().is_empty() {
                match Pin::new(&mut self.io).poll_write(cx, session.unwritten()) {
                    Poll::Ready(Ok(written)) => session.wrote(written),
                    // It has its answers and has not waited for the rest.
                    Poll::Ready(Err(_)) => {
                        self.end();
                        return Poll::Ready(());
                    }
                    Poll::Pending => break,
                }
                moved = true;
            }
            if session.is_over() && session.unwritten().is_empty() {
                return Poll::Ready(());
            }
            let mut bytes = [0; 3000];
            let mut space = ReadBuf::new(&mut bytes);
            if session.may_receive() && Pin::new(&mut self.io).poll_read(cx, &mut space).is_ready()
            {
                assert!(!space.filled().is_empty(), "it has not said goodbye");
                session.receive(space.filled());
                moved = true;
            }
            if !moved {
                session.rest(cx);
                return Poll::Pending;
            }
        }
    }

    fn take_requests(&mut self) -> bool {
        let before = self.handlers.len();
        while let Some(incoming) = self.client.session.next_request() {
            let nth: usize = incoming.head.path()[1..].parse().unwrap();
            let exchange = &self.exchanges[nth];
            assert_eq!(incoming.flaw, None);
            let fields = incoming.head.into_fields().into_header_map(|_, _| true);
            assert_eq!(fields, exchange.request.fields());
            self.handlers.push(Handler {
                key: incoming.key,
                exchange,
                received: Vec::new(),
                over: false,
                begun: false,
                sent: 0,
                left: false,
            });
        }
        self.handlers.len() > before
    }

    fn end(&mut self) {
        self.client.session.end();
        for handler in std::mem::take(&mut self.handlers) {
            assert!(!handler.is_whole());
            self.client.leaves(handler.key);
        }
    }

    pub(super) fn check(mut self) {
        let whole = |exchange: &&Exchange| exchange.end == End::Whole;
        assert_eq!(self.whole, self.exchanges.iter().filter(whole).count());
        assert!(self.handlers.is_empty());
        assert!(self.client.session.streams.is_empty());
        assert_eq!(self.client.window(), CONNECTION_WINDOW);
        self.end();
        assert_eq!(self.client.ended(), self.client.left);
    }
}

impl Handler<'_> {
    fn is_whole(&self) -> bool {
        self.exchange.end == End::Whole
    }

    /// Whether it has done anything.
    fn poll(&mut self, cx: &mut Context<'_>, client: &mut Client) -> bool {
        let session = &mut client.session;
        if session.poll_gone(cx, self.key).is_ready() {
            assert!(
                self.exchange.end == End::ClientResets,
                "nobody has reset it"
            );
            return self.leave(client);
        }
        let received = self.receive(cx, session);
        let ready = self.over || self.exchange.early;
        if ready && !self.begun {
            self.begun = true;
            self.begin(session);
        }
        if !self.begun {
            return received;
        }
        let before = self.sent;
        let ended = self.send(cx, session);
        if ended && (self.over || self.exchange.end == End::ServerResets) {
            return self.leave(client);
        }
        received || self.sent > before
    }

    fn leave(&mut self, client: &mut Client) -> bool {
        client.leaves(self.key);
        self.left = true;
        true
    }

    fn receive(&mut self, cx: &mut Context<'_>, session: &mut Session) -> bool {
        let request = &self.exchange.request;
        let before = self.received.len();
        while !self.over {
            match session.poll_content(cx, self.key) {
                Poll::Pending => break,
                Poll::Ready(Some(piece)) => {
                    let piece = piece.unwrap();
                    self.received.extend_from_slice(&piece);
                    session.release(self.key, piece.len());
                }
                Poll::Ready(None) => {
                    self.over = true;
                    assert!(self.received == text(request.length(), 1));
                    let trailers = session.take_trailers(self.key).unwrap();
                    let trailers = trailers.unwrap_or_default().into_header_map(|_, _| true);
                    assert_eq!(trailers, request.trailers());
                }
            }
        }
        self.received.len() > before
    }

    fn begin(&mut self, session: &mut Session) {
        let response = &self.exchange.response;
        let over = self.exchange.end == End::Whole
            && response.pieces.is_empty()
            && response.trailers.is_empty();
        let fields = response.fields();
        let head = session.send_head(self.key, self.exchange.status, over, |encoder, out| {
            for (name, value) in &fields {
                encoder.field(name.as_str().as_bytes(), value.as_bytes(), out);
            }
        });
        head.unwrap();
        if over {
            self.sent = usize::MAX;
        }
    }

    /// Whether all was accepted.
    fn send(&mut self, cx: &mut Context<'_>, session: &mut Session) -> bool {
        let response = &self.exchange.response;
        let length = response.length();
        while self.sent < length {
            // By pieces: up to the end of the one that it is in.
            let mut end = 0;
            let ends = response.pieces.iter().map(|piece| {
                end += piece;
                end
            });
            let end = { ends }.find(|end| *end > self.sent).unwrap_or(length);
            let wanted = end - self.sent;
            let Poll::Ready(room) = session.poll_room(cx, self.key, wanted) else {
                return false;
            };
            let next = self.sent + room.unwrap();
            let piece = &text(length, 2)[self.sent..next];
            let piece = Bytes::copy_from_slice(piece);
            session.send(self.key, piece, false, None).unwrap();
            self.sent = next;
        }
        if self.exchange.end == End::ServerResets {
            session.abort(self.key, Reason::Cancel);
        } else if self.sent == length {
            let trailers = response.trailers();
            let trailers = (!trailers.is_empty()).then_some(trailers);
            session
                .send(self.key, Bytes::new(), true, trailers)
                .unwrap();
            self.sent = usize::MAX;
        }
        true
    }
}
