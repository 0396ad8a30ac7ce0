//! gRPC of all four kinds between a foreign client and a foreign server, tonic's, with messages that are plain bytes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming};
use tower::service_fn;

use crate::harness::http2::connect;
use crate::harness::{Proxy, Setup, Target, ok};

/// Messages as they are.
#[derive(Clone, Copy, Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// Says everything twice: `/echo.Echo/Unary`, `ServerStreaming`, `ClientStreaming`, `Bidirectional`; `Refuse` refuses.
async fn echo(
    request: http::Request<Incoming>,
) -> Result<http::Response<tonic::body::Body>, std::convert::Infallible> {
    let mut grpc = tonic::server::Grpc::new(Plain);
    let request_path = request.uri().path().to_owned();
    Ok(match request_path.as_str() {
        "/echo.Echo/Unary" => {
            let twice = service_fn(|request: Request<Bytes>| async move {
                let mut response = Response::new(twice(request.get_ref()));
                let spoken = request.metadata().get("x-spoken").cloned();
                if let Some(spoken) = spoken {
                    response.metadata_mut().insert("x-heard", spoken);
                }
                Ok::<_, Status>(response)
            });
            grpc.unary(twice, request).await
        }
        "/echo.Echo/ServerStreaming" => {
            let letters = service_fn(|request: Request<Bytes>| async move {
                let message = request.into_inner();
                let letters: Vec<_> = message
                    .iter()
                    .map(|&byte| Ok(Bytes::from(vec![byte])))
                    .collect();
                Ok::<_, Status>(Response::new(tokio_stream::iter(letters)))
            });
            grpc.server_streaming(letters, request).await
        }
        "/echo.Echo/ClientStreaming" => {
            let joined = service_fn(|request: Request<Streaming<Bytes>>| async move {
                let mut all = Vec::new();
                let mut messages = request.into_inner();
                while let Some(message) = messages.next().await {
                    all.extend_from_slice(&message?);
                }
                Ok::<_, Status>(Response::new(Bytes::from(all)))
            });
            grpc.client_streaming(joined, request).await
        }
        "/echo.Echo/Bidirectional" => {
            let each = service_fn(|request: Request<Streaming<Bytes>>| async move {
                let messages = request.into_inner();
                let messages = messages.map(|message| message.map(|message| twice(&message)));
                Ok::<_, Status>(Response::new(messages))
            });
            grpc.streaming(each, request).await
        }
        _ => {
            let refusal = service_fn(|_: Request<Bytes>| async {
                Err::<Response<Bytes>, _>(Status::permission_denied("not for you"))
            });
            grpc.unary(refusal, request).await
        }
    })
}

fn twice(message: &Bytes) -> Bytes {
    [message.clone(), message.clone()].concat().into()
}

/// Where `echo` listens, until the end of the tests.
fn server() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service = hyper::service::service_fn(echo);
                tokio::spawn(
                    http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
    });
    address
}

fn proxy() -> Proxy {
    Setup::to([server()])
        .https()
        .group("protocol_version = 'GRPC'")
        // The server has no such method, and says so.
        .group("health_check = { interval = 0.2, matcher = '7' }")
        .start()
}

async fn client(proxy: &Proxy) -> tonic::client::Grpc<Channel> {
    let stream = Arc::new(Mutex::new(Some(TokioIo::new(
        connect(proxy.address()).await,
    ))));
    // The connection is made, and secure: tonic only speaks over it.
    let connector = service_fn(move |_| {
        let stream = stream.lock().unwrap().take();
        async { stream.ok_or_else(|| std::io::Error::other("one connection is enough")) }
    });
    let endpoint = Endpoint::from_static("http://example.com");
    let channel = endpoint.connect_with_connector(connector).await.unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    client
}

fn method(name: &str) -> PathAndQuery {
    format!("/echo.Echo/{name}").parse().unwrap()
}

#[tokio::test]
async fn one_message_for_one() {
    let proxy = proxy();
    let mut client = client(&proxy).await;
    let mut request = Request::new(Bytes::from("hello "));
    request
        .metadata_mut()
        .insert("x-spoken", "loud".parse().unwrap());
    let response = client.unary(request, method("Unary"), Plain).await.unwrap();
    assert_eq!(response.metadata().get("x-heard").unwrap(), "loud");
    assert_eq!(response.into_inner(), "hello hello ");
    let large = Bytes::from(vec![b'x'; 1_500_000]);
    client.ready().await.unwrap();
    let response = client
        .unary(Request::new(large), method("Unary"), Plain)
        .await
        .unwrap();
    assert_eq!(response.into_inner().len(), 3_000_000);
    let records = proxy.log(2);
    assert!(
        records
            .iter()
            .all(|record| record["target_status_code"] == 200)
    );
}

#[tokio::test]
async fn many_messages_for_one() {
    let proxy = proxy();
    let mut client = client(&proxy).await;
    let request = Request::new(Bytes::from("letters"));
    let response = client
        .server_streaming(request, method("ServerStreaming"), Plain)
        .await
        .unwrap();
    let letters: Vec<Bytes> = response
        .into_inner()
        .collect::<Result<_, _>>()
        .await
        .unwrap();
    assert_eq!(letters.concat(), b"letters");
}

#[tokio::test]
async fn one_message_for_many() {
    let proxy = proxy();
    let mut client = client(&proxy).await;
    let words = tokio_stream::iter(["one ", "two ", "three"].map(Bytes::from));
    let response = client
        .client_streaming(Request::new(words), method("ClientStreaming"), Plain)
        .await;
    assert_eq!(response.unwrap().into_inner(), "one two three");
}

#[tokio::test]
async fn each_message_is_answered_before_the_next() {
    let proxy = proxy();
    let mut client = client(&proxy).await;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let request = Request::new(ReceiverStream::new(receiver));
    let response = client
        .streaming(request, method("Bidirectional"), Plain)
        .await
        .unwrap();
    let mut answers = response.into_inner();
    for word in ["a", "b", "c"] {
        sender.send(Bytes::from(word)).await.unwrap();
        assert_eq!(
            answers.next().await.unwrap().unwrap(),
            format!("{word}{word}")
        );
    }
    drop(sender);
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn the_servers_refusal_is_its_own() {
    let proxy = proxy();
    let mut client = client(&proxy).await;
    let request = Request::new(Bytes::from("please"));
    let refusal = client
        .unary::<Bytes, Bytes, _>(request, method("Refuse"), Plain)
        .await
        .unwrap_err();
    assert_eq!(refusal.code(), Code::PermissionDenied);
    assert_eq!(refusal.message(), "not for you");
    assert_eq!(proxy.log_line()["elb_status_code"], 200);
}

#[tokio::test]
async fn many_calls_at_once() {
    let proxy = proxy();
    let client = client(&proxy).await;
    let answered = AtomicUsize::new(0);
    let calls = (0..200).map(|nth| {
        let (mut client, answered) = (client.clone(), &answered);
        async move {
            client.ready().await.unwrap();
            let request = Request::new(Bytes::from(nth.to_string()));
            let response = client.unary(request, method("Unary"), Plain).await.unwrap();
            assert_eq!(response.into_inner(), format!("{nth}{nth}"));
            answered.fetch_add(1, SeqCst);
        }
    });
    futures_util::future::join_all(calls).await;
    assert_eq!(answered.load(SeqCst), 200);
}

/// What a client of gRPC makes of a group that does not speak it.
#[tokio::test]
async fn a_call_to_a_group_of_http1_fails() {
    let target = Target::answering(|_| ok("HTTP/1.1"));
    let proxy = Setup::to([target.address]).https().start();
    let mut client = client(&proxy).await;
    let request = Request::new(Bytes::from("please"));
    let refusal = client
        .unary::<Bytes, Bytes, _>(request, method("Unary"), Plain)
        .await;
    assert!(refusal.is_err());
    assert_eq!(proxy.log_line()["elb_status_code"], 464);
    assert!(target.requests().is_empty());
}
