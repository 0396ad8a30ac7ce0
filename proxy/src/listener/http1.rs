//! Clients that speak HTTP/1.x: one request after the other on a connection, each with its record, until somebody wants no
//! more of it.

mod connection;

use std::rc::Rc;

use bytes::Bytes;
use http::{Method, Response, StatusCode, Version};
use lintel_common::server::{Connection, Established, Options};
use lintel_common::shutdown::Shutdown;
use tokio::time::Instant;

use super::{Answer, Inbound, Listener};
use crate::access_log::Record;
use crate::desync::{self, Classification, Tier};
use crate::forward::exchange::Exchange;
use crate::forward::headers::{self, SetField, ToClient};
use crate::forward::tunnel;
use crate::gateway_error::GatewayError;
use crate::http1::wait::StopWatch;
use crate::http1::{Length, Malformed, RequestHead, ResponseHead};
use connection::{ClientConnection, Next};

/// What becomes of the connection after an answer.
enum Then {
    /// The next request.
    Next,
    /// It is closed in order.
    Close,
    /// Nobody is there, or nothing more can be said.
    Drop,
}

/// Serves one connection to its end.
pub(super) async fn serve(
    listener: Rc<Listener>,
    established: Established,
    connection: Rc<Connection>,
    options: Rc<Options>,
    shutdown: Shutdown,
) {
    let Established { stream, open } = established;
    let expires = options
        .client_keep_alive
        .map(|age| connection.accepted_at + age);
    let mut client = ClientConnection::new(
        stream,
        Rc::clone(&listener.pool.buffers),
        options,
        StopWatch::new(shutdown),
    );
    let then = loop {
        let then = match client.next().await {
            Next::Request(head) => {
                listener
                    .serve_request(head, &mut client, &connection, expires)
                    .await
            }
            Next::Unreadable(malformed) => {
                tracing::debug!(peer = %connection.peer, error = %malformed, "malformed request");
                let classification = desync::classify_refused(client.wire.input());
                let error = unreadable(malformed, classification);
                Box::pin(listener.refuse(error, classification, &mut client, &connection)).await
            }
            Next::Overdue => {
                let error = GatewayError::RequestTimeout;
                Box::pin(listener.refuse(error, None, &mut client, &connection)).await
            }
            // Over TLS an end is said.
            Next::End if !client.wire.has_ended() => Then::Close,
            Next::End => Then::Drop,
        };
        if !matches!(then, Then::Next) {
            break then;
        }
    };
    if matches!(then, Then::Close) {
        client.close().await;
    }
    drop(open);
}

fn unreadable(malformed: Malformed, classification: Option<Classification>) -> GatewayError {
    let is_severe = classification.is_some_and(|found| found.tier == Tier::Severe);
    match malformed {
        // Of a name that means something, and not here.
        Malformed::TransferEncoding if !is_severe => GatewayError::UnknownTransferEncoding,
        Malformed::RequestLineTooLong => GatewayError::RequestLineTooLong,
        Malformed::UnsupportedVersion => GatewayError::UnsupportedVersion,
        malformed if malformed.is_too_large() => GatewayError::RequestHeadTooLarge,
        _ => GatewayError::MalformedRequest,
    }
}

impl Listener {
    /// Answers what is no request.
    async fn refuse(
        &self,
        error: GatewayError,
        classification: Option<Classification>,
        client: &mut ClientConnection,
        connection: &Rc<Connection>,
    ) -> Then {
        let mut record = Record::unreadable(&self.recorder, connection, error);
        record.received(client.wire.input().len() as u64);
        if let Some(classification) = classification {
            record.classified(classification);
        }
        let before = client.wire.sent();
        let how = ToClient {
            connection: Some(CLOSE),
            ..ToClient::default()
        };
        let mut response = error.response();
        headers::modify(&mut response, &self.current().0.modification);
        put_together(&response, false, &how, client);
        let _ = client.flush().await;
        record.sent(client.wire.sent() - before);
        record.finish();
        Then::Close
    }

    async fn serve_request(
        &self,
        head: RequestHead,
        client: &mut ClientConnection,
        connection: &Rc<Connection>,
        expires: Option<Instant>,
    ) -> Then {
        let head = Rc::new(head);
        let mut record = Record::open(&self.recorder, connection, &head);
        let before = client.wire.sent();
        let routes = self.current();
        client.begin(&head, routes.0.relays_trailers());
        let verdict = desync::judge(&head, routes.0.settings.desync_mitigation_mode);
        let inbound = Inbound {
            routes: &routes.0,
            head: &head,
            connection,
            verdict,
        };
        let answer = self.answer(&inbound, client, &mut record).await;
        let last = !head.keeps_alive()
            || verdict.then == desync::Then::PassAndClose
            || client.stop.is_requested()
            || expires.is_some_and(|at| record.started() >= at);
        let (ended, then) = match answer {
            Ok(Answer::Target {
                head: response,
                exchange,
                ..
            }) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                record.answer(response.status());
                record.upgraded();
                let idle_timeout = routes.0.settings.idle_timeout;
                let set = &routes.0.modification.response;
                let switched = switch(&response, exchange, set, client, idle_timeout, &mut record);
                let ended = Box::pin(switched).await;
                (ended, Then::Drop)
            }
            Ok(Answer::Target {
                head: response,
                exchange,
                trailers,
            }) => {
                record.answer(response.status());
                let how = to_client(
                    &head,
                    &response,
                    trailers,
                    last || !client.has_whole_request(),
                );
                self.relay(&response, exchange, &how, client, &inbound)
                    .await
            }
            // Only streams of HTTP/2 are joined with one another.
            Ok(Answer::Http2Target { .. }) => {
                let error = GatewayError::ProtocolMismatch;
                record.answer_own(error.status(), Some(error));
                Box::pin(answer_own(&inbound, error.response(), true, client)).await
            }
            Ok(Answer::Own(response)) => {
                record.answer_own(response.status().as_u16(), None);
                Box::pin(answer_own(&inbound, response, last, client)).await
            }
            Err(error @ (GatewayError::ClientClosed | GatewayError::Shutdown)) => {
                record.answer_own(error.status(), Some(error));
                (Some(error), Then::Drop)
            }
            Err(error) => {
                record.answer_own(error.status(), Some(error));
                let last = last || error.closes_connection();
                Box::pin(answer_own(&inbound, error.response(), last, client)).await
            }
        };
        if let Some(error) = ended {
            record.fail(error);
        }
        record.received(client.content_received());
        record.sent(client.wire.sent() - before);
        record.finish();
        then
    }

    async fn relay(
        &self,
        response: &ResponseHead,
        mut exchange: Exchange,
        how: &ToClient,
        client: &mut ClientConnection,
        inbound: &Inbound<'_>,
    ) -> (Option<GatewayError>, Then) {
        let set = &inbound.routes.modification.response;
        if let Err(error) = client.relay(response, &mut exchange, how, set).await {
            // Half a response must not look whole: nothing follows it, and where it ends with the connection, not even that.
            if !how.chunked && !is_counted(response) {
                client.wire.reset_at_close();
            }
            return (Some(error), Then::Drop);
        }
        exchange.finish(&self.pool, inbound.routes.settings.idle_timeout);
        let last = how.connection == Some(CLOSE);
        (None, if last { Then::Close } else { Then::Next })
    }
}

const CLOSE: &str = "close";
const KEEP_ALIVE: &str = "keep-alive";

/// `last`: somebody wants no more of the connection, or the client still sends what its target has answered already.
fn to_client(
    request: &RequestHead,
    response: &ResponseHead,
    trailers: bool,
    last: bool,
) -> ToClient {
    let old = request.version() < Version::HTTP_11;
    let counted = is_counted(response);
    // Without chunks the end of the body is the end of the connection.
    let last = last || (old && !counted);
    ToClient {
        trailers: trailers && !old,
        chunked: !counted && !old,
        switching: false,
        connection: connection_field(old, last),
    }
}

/// Its length is known from its head.
fn is_counted(response: &ResponseHead) -> bool {
    matches!(response.length(), Length::Empty | Length::Known(_))
}

fn connection_field(old: bool, last: bool) -> Option<&'static str> {
    match (old, last) {
        (_, true) => Some(CLOSE),
        (true, false) => Some(KEEP_ALIVE),
        (false, false) => None,
    }
}

async fn answer_own(
    inbound: &Inbound<'_>,
    mut response: Response<Bytes>,
    last: bool,
    client: &mut ClientConnection,
) -> (Option<GatewayError>, Then) {
    let request = inbound.head;
    headers::modify(&mut response, &inbound.routes.modification);
    client.skip_body().await;
    let last = last || !client.has_whole_request();
    let how = ToClient {
        // An ALB says either.
        connection: Some(if last { CLOSE } else { KEEP_ALIVE }),
        ..ToClient::default()
    };
    put_together(&response, *request.method() == Method::HEAD, &how, client);
    match client.flush().await {
        Err(error) => (Some(error), Then::Drop),
        Ok(()) if last => (None, Then::Close),
        Ok(()) => (None, Then::Next),
    }
}

/// A response of the load balancer's own, on the wire.
fn put_together(
    response: &Response<Bytes>,
    bodiless: bool,
    how: &ToClient,
    client: &mut ClientConnection,
) {
    let buffers = Rc::clone(&client.buffers);
    let out = client.wire.put_together(&buffers);
    headers::own_to_client(response, how, out);
    if !bodiless {
        out.extend_from_slice(response.body());
    }
}

/// The connections are the peers' own from here on.
async fn switch(
    response: &ResponseHead,
    mut exchange: Exchange,
    set: &[SetField],
    client: &mut ClientConnection,
    idle_timeout: std::time::Duration,
    record: &mut Record,
) -> Option<GatewayError> {
    let how = ToClient {
        switching: true,
        ..ToClient::default()
    };
    let buffers = Rc::clone(&client.buffers);
    headers::to_client(response, &how, set, client.wire.put_together(&buffers));
    let before = client.wire.received() - client.wire.input().len() as u64;
    let ended = tunnel::run(
        &mut client.wire,
        &mut exchange,
        &buffers,
        &mut client.stop,
        idle_timeout,
    )
    .await;
    record.received(client.wire.received() - before);
    ended
}
