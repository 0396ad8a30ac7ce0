//! HTTP/1.1 as it is on the wire, for both ends: a head line by line as spelled, a body by its framing, and an error for
//! everything that is not a whole message. It shares no code with what it tests.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::PATIENCE;

/// A request or a response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The first line, without its end.
    pub start: String,
    /// In order and as spelled.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

impl Message {
    /// Of a response.
    pub fn status(&self) -> u16 {
        let status = self.start.split(' ').nth(1).unwrap_or_default();
        status
            .parse()
            .unwrap_or_else(|_| panic!("no status line: {:?}", self.start))
    }

    /// Of a request.
    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// Of a request: path and query as sent.
    pub fn uri(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }

    /// All values of a field, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = |(field, _): &&(String, String)| field.eq_ignore_ascii_case(name);
        self.fields
            .iter()
            .filter(named)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The only value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(
            values.len() < 2,
            "{name} is there more than once: {values:?}"
        );
        values.first().copied()
    }

    pub fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .iter()
            .flat_map(|value| value.split(','))
            .any(|item| item.trim().eq_ignore_ascii_case(token))
    }
}

/// A connection and what has been read ahead of it.
pub struct Wire<S: Read + Write> {
    reader: BufReader<S>,
}

impl Wire<TcpStream> {
    /// With [`PATIENCE`] for every read and write.
    pub fn tcp(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self::new(stream)
    }

    /// Ends the connection with a reset instead of a FIN.
    pub fn reset(self) {
        reset_on_drop(self.reader.get_ref());
    }

    pub fn set_patience(&self, patience: Duration) {
        self.reader
            .get_ref()
            .set_read_timeout(Some(patience))
            .unwrap();
    }
}

pub fn reset_on_drop(stream: &TcpStream) {
    let linger = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
    linger.unwrap();
}

impl<S: Read + Write> Wire<S> {
    pub fn new(stream: S) -> Self {
        Self {
            reader: BufReader::with_capacity(64 * 1024, stream),
        }
    }

    pub fn stream(&mut self) -> &mut S {
        self.reader.get_mut()
    }

    pub fn into_stream(self) -> S {
        assert!(self.reader.buffer().is_empty(), "something is left unread");
        self.reader.into_inner()
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes.as_ref())?;
        self.reader.get_mut().flush()
    }

    /// Exactly so many bytes.
    pub fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Waits for the peer to end the connection, by FIN or reset, and returns what it sent until then.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        match self.reader.read_to_end(&mut rest) {
            Ok(_) => Ok(rest),
            // A reset, or TLS without its goodbye.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof
                ) =>
            {
                Ok(rest)
            }
            Err(error) => Err(error),
        }
    }

    /// The peer ends the connection without another byte.
    #[track_caller]
    pub fn assert_closed(&mut self) {
        let rest = self.rest().expect("the end of the connection");
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }

    /// First line and fields, with the empty line after them.
    pub fn head(&mut self) -> io::Result<Message> {
        let start = self.line()?;
        let fields = self.fields()?;
        Ok(Message {
            start,
            fields,
            ..Message::default()
        })
    }

    /// A whole request.
    pub fn request(&mut self) -> io::Result<Message> {
        let mut request = self.head()?;
        self.request_body(&mut request)?;
        Ok(request)
    }

    /// The body that `request` announces.
    pub fn request_body(&mut self, request: &mut Message) -> io::Result<()> {
        if request.has("transfer-encoding") {
            self.chunked(request)
        } else if request.has("content-length") {
            self.counted(request)
        } else {
            Ok(())
        }
    }

    /// A whole response to a request with this method; interim responses are passed over.
    pub fn response_to(&mut self, method: &str) -> io::Result<Message> {
        let mut response = self.head()?;
        while (100..200).contains(&response.status()) && response.status() != 101 {
            response = self.head()?;
        }
        self.response_body(&mut response, method)?;
        Ok(response)
    }

    pub fn response(&mut self) -> io::Result<Message> {
        self.response_to("GET")
    }

    pub fn response_body(&mut self, response: &mut Message, method: &str) -> io::Result<()> {
        if method == "HEAD" || matches!(response.status(), 101 | 204 | 304) {
            Ok(())
        } else if response.has_token("transfer-encoding", "chunked") {
            self.chunked(response)
        } else if response.has("content-length") {
            self.counted(response)
        } else {
            self.reader.read_to_end(&mut response.body).map(drop)
        }
    }

    fn counted(&mut self, message: &mut Message) -> io::Result<()> {
        let length = message.field("content-length").unwrap_or_default();
        let length = length.parse().map_err(io::Error::other)?;
        message.body = self.bytes(length)?;
        Ok(())
    }

    fn chunked(&mut self, message: &mut Message) -> io::Result<()> {
        loop {
            let line = self.line()?;
            let size = usize::from_str_radix(&line, 16).map_err(io::Error::other)?;
            if size == 0 {
                message.trailers = self.fields()?;
                return Ok(());
            }
            let start = message.body.len();
            message.body.resize(start + size, 0);
            self.reader.read_exact(&mut message.body[start..])?;
            let end = self.line()?;
            if !end.is_empty() {
                return Err(io::Error::other(format!("after a chunk: {end:?}")));
            }
        }
    }

    fn fields(&mut self) -> io::Result<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let field = line
                .split_once(':')
                .ok_or_else(|| io::Error::other(format!("no field: {line:?}")))?;
            fields.push((field.0.to_owned(), field.1.trim().to_owned()));
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\r\n") {
            Some(line) => String::from_utf8(line.to_vec()).map_err(io::Error::other),
            None => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}
