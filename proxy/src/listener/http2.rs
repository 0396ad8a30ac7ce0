//! Clients that speak HTTP/2, which hyper does: a request of its becomes one of ours, the answer becomes one of its.

mod client;
mod response_body;

use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use lintel_common::server::Connection;

use super::{Answer, Inbound, Listener};
use crate::access_log::Record;
use crate::forward::headers;
use crate::gateway_error::GatewayError;
use crate::http1::RequestHead;
use client::Http2Client;
pub use response_body::ResponseBody;
use response_body::TargetBody;

impl Listener {
    /// The record is opened at once and not when the answer is first polled: by then its client may have gone.
    pub(super) fn respond_http2(
        self: Rc<Self>,
        request: Request<Incoming>,
        connection: Rc<Connection>,
    ) -> Pin<Box<dyn Future<Output = Response<ResponseBody>>>> {
        let (parts, body) = request.into_parts();
        let length = client::length(&parts, &body);
        let head = Rc::new(RequestHead::from_http(
            &parts,
            length.unwrap_or(crate::http1::Length::Empty),
        ));
        let mut record = Record::open(&self.recorder, &connection, &head);
        let client = Http2Client::new(
            body,
            &head,
            Rc::clone(&connection),
            Rc::clone(&self.pool.buffers),
            record.body(),
        );
        // In a box: hyper moves it about.
        Box::pin(async move {
            match length {
                Ok(_) => self.answer_http2(&head, client, &connection, record).await,
                Err(error) => own(&error.response(), false, Some(error), record),
            }
        })
    }

    async fn answer_http2(
        &self,
        head: &RequestHead,
        mut client: Http2Client,
        connection: &Connection,
        mut record: Record,
    ) -> Response<ResponseBody> {
        let routes = self.current();
        let bodiless = *head.method() == Method::HEAD;
        let inbound = Inbound {
            routes: &routes.0,
            head,
            connection,
        };
        let answer = self.answer(&inbound, &mut client, &mut record).await;
        match answer {
            Ok(Answer::Own(response)) => own(&response, bodiless, None, record),
            Err(error) => own(&error.response(), bodiless, Some(error), record),
            Ok(Answer::Target {
                head,
                mut exchange,
                trailers,
            }) => {
                exchange.wire().read_at_most(response_body::MOST_AT_ONCE);
                record.answer(head.status());
                let headers = headers::to_http2_client(&head, trailers);
                record.sent_head(&headers);
                let body = TargetBody {
                    content: crate::http1::Decoder::new(head.length()),
                    exchange: Some(exchange),
                    client,
                    pool: Rc::clone(&self.pool),
                    idle_timeout: routes.0.settings.idle_timeout,
                    trailers,
                    last: None,
                    patience: None,
                };
                let mut response = Response::new(ResponseBody::target(body, record));
                *response.status_mut() =
                    StatusCode::from_u16(head.status()).unwrap_or(StatusCode::BAD_GATEWAY);
                *response.headers_mut() = headers;
                response
            }
        }
    }
}

fn own(
    response: &Response<Bytes>,
    bodiless: bool,
    error: Option<GatewayError>,
    mut record: Record,
) -> Response<ResponseBody> {
    record.answer_own(response.status().as_u16(), error);
    record.sent_head(response.headers());
    let body = if bodiless {
        Bytes::new()
    } else {
        response.body().clone()
    };
    let mut own = Response::new(ResponseBody::own(body, record));
    *own.status_mut() = response.status();
    own.headers_mut().clone_from(response.headers());
    own
}
