//! A client of HTTP/1.1 that knows its request and the answer it must get: the request is sent as prepared bytes, the
//! answer read into one buffer and compared.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Load, server_name};
use crate::client::content::Content;
use crate::client::exchange::Answer;
use crate::client::failure::Failure;

/// A head must fit into it; long bodies come in pieces of it.
const BUFFER: usize = 16 * 1024;
const MOST_FIELDS: usize = 64;

/// Whom to ask what.
pub(super) struct Target {
    address: SocketAddr,
    tls: Option<TlsConnector>,
    request: Vec<u8>,
    /// The body of the answer.
    content: &'static [u8],
}

impl Target {
    pub(super) fn new(load: &Load) -> Self {
        Self {
            address: load.address,
            tls: load.tls.clone().map(TlsConnector::from),
            request: load.workload.request.bytes(),
            content: load.workload.request.content(),
        }
    }

    async fn connect(&self) -> Result<Stream, Failure> {
        let connect = async {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            Ok(match &self.tls {
                None => Stream::Plain(stream),
                Some(tls) => Stream::Tls(Box::new(tls.connect(server_name(), stream).await?)),
            })
        };
        connect
            .await
            .map_err(|error: io::Error| Failure::connect(&error))
    }
}

/// One connection, opened when it is needed.
pub(super) struct Client {
    target: Rc<Target>,
    stream: Option<Stream>,
    buffer: Box<[u8]>,
}

impl Client {
    pub(super) fn new(target: Rc<Target>) -> Self {
        Self {
            target,
            stream: None,
            buffer: vec![0; BUFFER].into_boxed_slice(),
        }
    }

    /// After a failure the next one has a new connection.
    pub(super) async fn exchange(&mut self) -> Result<Answer, Failure> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.target.connect().await?,
        };
        stream.write(&self.target.request).await.map_err(broken)?;
        let head = self.answer(&mut stream).await?;
        if head.keeps_alive {
            self.stream = Some(stream);
        }
        Ok(Answer {
            status: StatusCode::OK,
            received: self.target.content.len() as u64,
            sent: 0,
        })
    }

    async fn answer(&mut self, stream: &mut Stream) -> Result<Head, Failure> {
        let mut filled = 0;
        let head = loop {
            filled += stream.read(&mut self.buffer[filled..]).await?;
            if let Some(head) = Head::parse(&self.buffer[..filled])? {
                break head;
            }
            if filled == BUFFER {
                return Err(malformed("its head is too long"));
            }
        };
        let expected = self.target.content.len() as u64;
        if head.content_length != expected {
            return Err(Failure::Length {
                expected,
                got: head.content_length,
            });
        }
        // What comes behind the body is too long for the content, and fails there.
        let mut content = Content::new(self.target.content);
        content.take(&self.buffer[head.length..filled])?;
        let mut left = expected.saturating_sub((filled - head.length) as u64);
        while left > 0 {
            let read = stream.read(&mut self.buffer).await?;
            content.take(&self.buffer[..read])?;
            left = left.saturating_sub(read as u64);
        }
        Ok(head)
    }
}

/// Of an answer with status 200 and a length.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    /// Its own, in bytes.
    length: usize,
    content_length: u64,
    keeps_alive: bool,
}

impl Head {
    /// `None` while it is incomplete.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, Failure> {
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let length = match response.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(malformed(&error.to_string())),
        };
        let status = response
            .code
            .and_then(|code| StatusCode::from_u16(code).ok());
        match status {
            Some(StatusCode::OK) => {}
            Some(other) => return Err(Failure::Status(other)),
            None => return Err(malformed("it has no status")),
        }
        let mut content_length = None;
        let mut keeps_alive = true;
        for field in response.headers.iter() {
            if field.name.eq_ignore_ascii_case("content-length") {
                let value = std::str::from_utf8(field.value).ok();
                content_length = value.and_then(|value| value.parse().ok());
            } else if field.name.eq_ignore_ascii_case("connection") {
                keeps_alive = !field.value.eq_ignore_ascii_case(b"close");
            }
        }
        Ok(Some(Self {
            length,
            content_length: content_length.ok_or_else(|| malformed("it has no Content-Length"))?,
            keeps_alive,
        }))
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// At least one byte.
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        let read = match self {
            Self::Plain(stream) => stream.read(buffer).await,
            Self::Tls(stream) => stream.read(buffer).await,
        };
        match read {
            Ok(0) => Err(Failure::Broken(
                "the connection ended before the answer did".to_owned(),
            )),
            Ok(length) => Ok(length),
            Err(error) => Err(broken(error)),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the argument of map_err")]
fn broken(error: io::Error) -> Failure {
    Failure::Broken(error.to_string())
}

fn malformed(reason: &str) -> Failure {
    Failure::Broken(format!("not an answer: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_of_status_200_with_a_length_counts() {
        let ok = "HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length: 5\r\n\r\n";
        let head = Head {
            length: ok.len(),
            content_length: 5,
            keeps_alive: true,
        };
        assert_eq!(Head::parse(ok.as_bytes()), Ok(Some(head)));
        assert_eq!(Head::parse(&ok.as_bytes()[..ok.len() - 1]), Ok(None));
        let closing = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
        let head = Head::parse(closing.as_bytes()).unwrap().unwrap();
        assert!(!head.keeps_alive);

        let refused = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\n";
        let status = Failure::Status(StatusCode::BAD_GATEWAY);
        assert_eq!(Head::parse(refused.as_bytes()), Err(status));
        for malformed in [
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n",
            "hello, world\r\n\r\n",
        ] {
            let outcome = Head::parse(malformed.as_bytes());
            assert!(matches!(outcome, Err(Failure::Broken(_))), "{outcome:?}");
        }
    }
}
