//! A client of HTTP/1.1 that knows its request and the answer it must get: the request is sent as prepared bytes, the
//! answer read into one buffer and compared.

use std::rc::Rc;

use http::StatusCode;

use super::stream::{Opener, Stream};
use super::{Load, malformed};
use crate::client::content::Content;
use crate::client::exchange::Answer;
use crate::client::failure::Failure;
use crate::compare::request::HTML_END;

/// A head must fit into it.
const BUFFER: usize = 16 * 1024;
/// For bodies that do not fit into the other.
const LARGE_BUFFER: usize = 256 * 1024;
const MOST_FIELDS: usize = 64;

/// What to ask, and what must be answered.
pub(super) struct Target {
    request: Vec<u8>,
    /// Of which this is its body.
    body_length: usize,
    expected: Expected,
}

/// The body of the answer.
enum Expected {
    Exactly(&'static [u8]),
    /// A whole page, as long as it says; it must fit into the buffer.
    Html,
}

impl Target {
    pub(super) fn new(load: &Load) -> Self {
        let request = load.workload.request;
        Self {
            request: request.bytes(),
            body_length: request.body_length(),
            expected: request
                .known_content()
                .map_or(Expected::Html, Expected::Exactly),
        }
    }
}

/// One connection at a time, opened when it is needed.
pub(super) struct Client {
    target: Rc<Target>,
    opener: Opener,
    stream: Option<Stream>,
    buffer: Box<[u8]>,
}

impl Client {
    pub(super) fn new(load: &Load, target: Rc<Target>) -> Self {
        let length = match target.expected {
            Expected::Exactly(content) if content.len() < BUFFER => BUFFER,
            Expected::Exactly(_) | Expected::Html => LARGE_BUFFER,
        };
        Self {
            target,
            opener: Opener::new(load),
            stream: None,
            buffer: vec![0; length].into_boxed_slice(),
        }
    }

    /// After a failure the next one has a new connection.
    pub(super) async fn exchange(&mut self) -> Result<Answer, Failure> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.opener.open().await?,
        };
        stream.write(&self.target.request).await?;
        let head = self.answer(&mut stream).await?;
        if head.keeps_alive && self.opener.keeps() {
            self.stream = Some(stream);
        } else {
            stream.close().await;
        }
        Ok(Answer {
            status: StatusCode::OK,
            received: head.content_length,
            sent: self.target.body_length as u64,
        })
    }

    async fn answer(&mut self, stream: &mut Stream) -> Result<Head, Failure> {
        let mut filled = 0;
        let head = loop {
            filled += stream.read(&mut self.buffer[filled..]).await?;
            if let Some(head) = Head::parse(&self.buffer[..filled])? {
                break head;
            }
            if filled == self.buffer.len() {
                return Err(malformed("its head is too long"));
            }
        };
        match self.target.expected {
            Expected::Exactly(content) => self.compare(stream, &head, filled, content).await?,
            Expected::Html => self.html(stream, &head, filled).await?,
        }
        Ok(head)
    }

    /// `filled`: how much of the buffer is what came already.
    async fn compare(
        &mut self,
        stream: &mut Stream,
        head: &Head,
        filled: usize,
        expected: &'static [u8],
    ) -> Result<(), Failure> {
        let length = expected.len() as u64;
        if head.content_length != length {
            return Err(Failure::Length {
                expected: length,
                got: head.content_length,
            });
        }
        // What comes behind the body is too long for the content, and fails there.
        let mut content = Content::new(expected);
        content.take(&self.buffer[head.length..filled])?;
        let mut left = length.saturating_sub((filled - head.length) as u64);
        while left > 0 {
            let read = stream.read(&mut self.buffer).await?;
            content.take(&self.buffer[..read])?;
            left = left.saturating_sub(read as u64);
        }
        Ok(())
    }

    async fn html(
        &mut self,
        stream: &mut Stream,
        head: &Head,
        mut filled: usize,
    ) -> Result<(), Failure> {
        let end = head.length.saturating_add(head.content_length as usize);
        if end > self.buffer.len() {
            return Err(malformed("it is too long"));
        }
        while filled < end {
            filled += stream.read(&mut self.buffer[filled..]).await?;
        }
        let body = self.buffer[..filled].trim_ascii_end();
        if filled > end || !body.ends_with(HTML_END) {
            return Err(malformed("no whole page"));
        }
        Ok(())
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
