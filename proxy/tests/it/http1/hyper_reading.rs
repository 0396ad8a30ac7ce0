//! What hyper's server and client read in the same streams.

use std::cell::RefCell;
use std::error::Error as _;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lintel_proxy::http1::limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::reading::{Message, Side};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct HyperReading {
    pub(super) messages: Vec<Message>,
    pub(super) rest: HyperRest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum HyperRest {
    /// Nothing that it would say is wrong.
    #[default]
    Fine,
    /// More should have come.
    Incomplete,
    Refused,
}

pub(super) fn read(side: &Side, input: &[u8]) -> HyperReading {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        match side {
            Side::Requests => requests(input).await,
            Side::Responses(method) => responses(method, input).await,
        }
    })
}

/// Larger than any input, so that nobody waits for anybody.
const ENOUGH: usize = 1024 * 1024;

async fn requests(input: &[u8]) -> HyperReading {
    let (mut ours, theirs) = tokio::io::duplex(ENOUGH);
    ours.write_all(input).await.unwrap();
    ours.shutdown().await.unwrap();
    let reading = Rc::new(RefCell::new(HyperReading::default()));
    let service = service_fn(|request: Request<Incoming>| {
        let reading = Rc::clone(&reading);
        async move {
            let (head, body) = request.into_parts();
            let mut message = Message {
                what: head.method.to_string(),
                target: target(&head.uri, &head.method),
                version: Some(head.version),
                fields: fields(&head.headers),
                ..Message::default()
            };
            let rest = content(body, &mut message).await;
            reading.borrow_mut().messages.push(message);
            reading.borrow_mut().rest = rest;
            if rest == HyperRest::Fine {
                Ok(Response::new(Empty::<Bytes>::new()))
            } else {
                Err(io::Error::other("the body was bad"))
            }
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .max_headers(limits::REQUEST_FIELDS)
        .serve_connection(TokioIo::new(theirs), service)
        .await;
    let mut reading = reading.take();
    if reading.rest == HyperRest::Fine {
        reading.rest = match served {
            Ok(()) => HyperRest::Fine,
            Err(error) if error.is_incomplete_message() => HyperRest::Incomplete,
            Err(_) => HyperRest::Refused,
        };
    }
    reading
}

async fn responses(method: &Method, input: &[u8]) -> HyperReading {
    let (ours, theirs) = tokio::io::duplex(ENOUGH);
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_headers(limits::RESPONSE_FIELDS)
        .handshake(TokioIo::new(theirs))
        .await
        .unwrap();
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = method.clone();
    let interim = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&interim);
    hyper::ext::on_informational(&mut request, move |response| {
        let mut message = response_head(response.status(), response.version(), response.headers());
        message.whole = true;
        seen.lock().unwrap().push(message);
    });
    let ask = async {
        let mut last = Vec::new();
        let rest = match sender.send_request(request).await {
            Ok(response) => {
                let (head, body) = response.into_parts();
                let mut message = response_head(head.status, head.version, &head.headers);
                let rest = content(body, &mut message).await;
                last.push(message);
                rest
            }
            Err(error) => verdict(&error),
        };
        drop(sender);
        (last, rest)
    };
    let (asked, _, ()) = tokio::join!(ask, connection, answer(ours, input));
    let (last, rest) = asked;
    let mut messages = std::mem::take(&mut *interim.lock().unwrap());
    messages.extend(last);
    HyperReading { messages, rest }
}

/// Once it was asked.
async fn answer(mut stream: DuplexStream, input: &[u8]) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    stream.write_all(input).await.unwrap();
    stream.shutdown().await.unwrap();
    let _ = stream.read_to_end(&mut request).await;
}

async fn content(mut body: Incoming, message: &mut Message) -> HyperRest {
    while let Some(frame) = body.frame().await {
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) => message.content.extend_from_slice(&data),
            Ok(Err(frame)) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                message.trailers.extend(fields(&trailers));
            }
            Err(error) => return verdict(&error),
        }
    }
    message.whole = true;
    HyperRest::Fine
}

fn verdict(error: &hyper::Error) -> HyperRest {
    let source = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>());
    let ended = source.is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof);
    if ended || error.is_incomplete_message() {
        HyperRest::Incomplete
    } else {
        HyperRest::Refused
    }
}

fn response_head(status: http::StatusCode, version: http::Version, headers: &HeaderMap) -> Message {
    Message {
        what: status.as_str().to_owned(),
        version: Some(version),
        fields: fields(headers),
        ..Message::default()
    }
}

fn fields(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let pairs = headers.iter();
    pairs
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}

/// As the codec takes it apart.
fn target(uri: &http::Uri, method: &Method) -> String {
    let scheme = uri.scheme_str().map(|scheme| format!("{scheme}://"));
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let query = uri.query().map(|query| format!("?{query}"));
    let path = if *method == Method::CONNECT {
        ""
    } else {
        uri.path()
    };
    [
        &scheme.unwrap_or_default(),
        authority.unwrap_or_default(),
        path,
        &query.unwrap_or_default(),
    ]
    .concat()
}
