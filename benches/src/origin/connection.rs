//! One connection to the origin: requests are read and answered in turn until either side has had enough.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};

use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

use super::Origin;
use super::body::Counter;
use super::content;
use super::request::{MAX_HEAD, Malformed, Request, Route};
use super::websocket;

/// Heads are read in pieces of this size.
const HEAD_BUFFER: usize = 4 * 1024;
/// Bodies are read in pieces of this size, into one buffer for all connections.
const BODY_BUFFER: usize = 256 * 1024;

thread_local! {
    static BODY: RefCell<Vec<u8>> = RefCell::new(vec![0; BODY_BUFFER]);
}

pub(super) async fn serve(
    mut stream: TcpStream,
    origin: &Origin,
    instance: usize,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::with_capacity(HEAD_BUFFER);
    loop {
        match Request::parse(&received, origin.expected()) {
            Ok(Some(request)) => {
                received.drain(..request.head_length);
                if let Route::WebSocket(key) = &request.route {
                    origin.count(instance, &request);
                    return websocket::serve(stream, received, key).await;
                }
                let answered = answer(&mut stream, &mut received, &request, origin, instance);
                if !answered.await? || !request.keeps_alive {
                    return close(stream).await;
                }
            }
            Ok(None) if received.len() < MAX_HEAD => {
                if stream.read_buf(&mut received).await? == 0 {
                    return Ok(());
                }
            }
            Ok(None) => return refuse(stream, "431 Request Header Fields Too Large").await,
            Err(Malformed) => return refuse(stream, "400 Bad Request").await,
        }
    }
}

/// Whether the connection can go on.
async fn answer(
    stream: &mut TcpStream,
    received: &mut Vec<u8>,
    request: &Request,
    origin: &Origin,
    instance: usize,
) -> io::Result<bool> {
    let mut body = Counter::new(request.body);
    if !body.is_complete() {
        if request.expects_continue {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        if !read_body(stream, received, &mut body).await? {
            return Ok(false);
        }
    }
    if !matches!(request.route, Route::Health | Route::Report { .. }) {
        origin.count(instance, request);
    }
    let answers = &origin.answers;
    match request.route {
        Route::Small => stream.write_all(&answers.small).await?,
        Route::Page => stream.write_all(&answers.page).await?,
        Route::Large => stream.write_all(&answers.large).await?,
        Route::Health => stream.write_all(&answers.health).await?,
        Route::Upload => {
            let length = body.length.to_string();
            let answer = content::ok("Content-Type: text/plain\r\n", length.as_bytes());
            stream.write_all(&answer).await?;
        }
        Route::Report { reset, expected } => {
            origin.expect(expected);
            let report = origin.report(reset);
            let answer = content::ok("Content-Type: application/json\r\n", report.as_bytes());
            stream.write_all(&answer).await?;
        }
        Route::WebSocket(_) | Route::Unknown => stream.write_all(NOT_FOUND).await?,
    }
    Ok(true)
}

const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

/// What was received already comes first; what comes behind the body stays there. False: it is malformed or cut off.
async fn read_body(
    stream: &mut TcpStream,
    received: &mut Vec<u8>,
    body: &mut Counter,
) -> io::Result<bool> {
    let Ok(taken) = body.take(received) else {
        return Ok(false);
    };
    received.drain(..taken);
    while !body.is_complete() {
        let counted = poll_fn(|cx| {
            BODY.with_borrow_mut(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))?;
                let bytes = buffer.filled();
                let taken = body.take(bytes);
                if let Ok(taken) = taken {
                    received.extend_from_slice(&bytes[taken..]);
                }
                Poll::Ready(io::Result::Ok(taken.is_ok() && !bytes.is_empty()))
            })
        });
        if !counted.await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn refuse(mut stream: TcpStream, status: &str) -> io::Result<()> {
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await?;
    close(stream).await
}

async fn close(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await
}
