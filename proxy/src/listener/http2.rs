//! Clients that speak HTTP/2: a stream's request becomes one of ours, and what answers it goes back on the stream.

mod client;
pub(super) mod connection;
mod crew;
mod passage;

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use http::{Method, Response};
use lintel_common::server::Connection;

use super::{Answer, Inbound, Listener};
use crate::access_log::Record;
use crate::desync;
use crate::forward::headers;
use crate::forward::http2::Http2Exchange;
use crate::gateway_error::GatewayError;
use crate::http1::wait::Timer;
use crate::http1::{RequestHead, ResponseHead};
use crate::http2::{Flaw, Gone, Incoming, Session};
use crate::model::HeaderModification;
use client::Http2Client;
pub(super) use crew::Crew;
use crew::Work;
use passage::{Http1Source, Passage};

/// A request that was read, and all that answering it takes.
pub(super) struct Http2Request {
    listener: Rc<Listener>,
    head: Rc<RequestHead>,
    /// Why it is answered by nobody else.
    refused: Option<GatewayError>,
    client: Http2Client,
    connection: Rc<Connection>,
    record: Record,
}

impl Work for Http2Request {
    fn crew(&self) -> &Crew<Self> {
        &self.listener.crew
    }

    async fn finish(&mut self, timer: &mut Timer) {
        let Self {
            listener,
            head,
            refused,
            client,
            connection,
            record,
        } = self;
        if client.is_gone() {
            // Nothing is begun for it: resets would cost their sender less than us.
            return;
        }
        client.swap_timer(timer);
        let answering = listener.answer_http2(head, refused.take(), client, connection, record);
        let answered = match answering.await {
            Ok(Rest::Nothing) => Ok(()),
            Ok(Rest::Http1(mut passage)) => passage.run(client, record).await,
            Ok(Rest::Http2(mut passage)) => passage.run(client, record).await,
            Err(Gone) => Err(Gone),
        };
        client.swap_timer(timer);
        record.received(client.received());
        if answered.is_ok() {
            record.finish();
        }
    }
}

impl Listener {
    /// The record is opened at once and not when the task has its turn: by then its client may have gone.
    fn respond_http2(
        self: Rc<Self>,
        incoming: Incoming,
        session: &Rc<RefCell<Session>>,
        connection: &Rc<Connection>,
    ) {
        let Incoming {
            key,
            head,
            flaw,
            over,
        } = incoming;
        let head = Rc::new(head);
        let record = Record::open(&self.recorder, connection, &head);
        let (session, buffers) = (Rc::clone(session), Rc::clone(&self.pool.buffers));
        let counted = Rc::clone(connection);
        let mut client = Http2Client::new(session, key, over, &head, counted, buffers);
        if !self.current().0.relays_trailers() {
            client.keep_trailers(&head);
        }
        self.crew.employ(Http2Request {
            refused: flaw.map(|flaw| match flaw {
                Flaw::TooLarge => GatewayError::RequestHeadTooLarge,
                Flaw::Malformed => GatewayError::MalformedRequest,
            }),
            listener: Rc::clone(&self),
            head,
            client,
            connection: Rc::clone(connection),
            record,
        });
    }

    /// All of the answer but a target's content.
    async fn answer_http2<'l>(
        &'l self,
        head: &RequestHead,
        refused: Option<GatewayError>,
        client: &mut Http2Client,
        connection: &Connection,
        record: &mut Record,
    ) -> Result<Rest<'l>, Gone> {
        let routes = self.current();
        let bodiless = *head.method() == Method::HEAD;
        let inbound = Inbound {
            routes: &routes.0,
            head,
            connection,
            verdict: desync::judge(head, routes.0.settings.desync_mitigation_mode),
        };
        let modification = &routes.0.modification;
        let grpc = headers::is_grpc(head);
        let answer = match refused {
            Some(error) => Err(error),
            None => self.answer(&inbound, client, record).await,
        };
        match answer {
            Ok(Answer::Own(mut response)) => {
                headers::modify(&mut response, modification);
                own(&response, bodiless, None, client, record)?;
            }
            // Not of the stream's or the connection's end: that is the record's to know.
            Err(GatewayError::ClientClosed) => return Err(Gone),
            Err(error) => {
                let mut response = if grpc {
                    error.grpc_response()
                } else {
                    error.response()
                };
                headers::modify(&mut response, modification);
                own(&response, bodiless, Some(error), client, record)?;
            }
            Ok(Answer::Target {
                head,
                exchange,
                trailers,
            }) => {
                let idle_timeout = routes.0.settings.idle_timeout;
                let source = Http1Source::new(head.length(), exchange, &self.pool, idle_timeout);
                let passage = Passage::new(source, trailers, idle_timeout);
                begin(
                    &head,
                    trailers,
                    modification,
                    passage.is_over(),
                    client,
                    record,
                )?;
                return Ok(Rest::Http1(passage));
            }
            Ok(Answer::Http2Target {
                head,
                exchange,
                trailers,
            }) => {
                let passage = Passage::new(exchange, trailers, routes.0.settings.idle_timeout);
                begin(
                    &head,
                    trailers,
                    modification,
                    passage.is_over(),
                    client,
                    record,
                )?;
                return Ok(Rest::Http2(passage));
            }
        }
        Ok(Rest::Nothing)
    }
}

/// What of a response is still to come.
enum Rest<'l> {
    Nothing,
    Http1(Passage<Http1Source<'l>>),
    Http2(Passage<Box<Http2Exchange>>),
}

/// The head of a target's response.
fn begin(
    head: &ResponseHead,
    trailers: bool,
    modification: &HeaderModification,
    over: bool,
    client: &mut Http2Client,
    record: &mut Record,
) -> Result<(), Gone> {
    record.answer(head.status());
    let size = client.answer(head.status(), over, |field| {
        headers::to_http2_client(head, trailers, &modification.response, field);
    })?;
    record.sent_head(size);
    Ok(())
}

/// A response of the load balancer's own.
fn own(
    response: &Response<Bytes>,
    bodiless: bool,
    error: Option<GatewayError>,
    client: &mut Http2Client,
    record: &mut Record,
) -> Result<(), Gone> {
    let status = response.status().as_u16();
    record.answer_own(status, error);
    let content = response.body();
    let over = bodiless || content.is_empty();
    let size = client.answer(status, over, |field| {
        for (name, value) in response.headers() {
            field(name.as_str().as_bytes(), value.as_bytes());
        }
    })?;
    record.sent_head(size);
    if !over {
        client.send(content.clone(), true, None)?;
        record.sent(content.len() as u64);
    }
    Ok(())
}
