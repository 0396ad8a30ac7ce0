//! The head of a response, as it was sent.

use std::time::Duration;

use http::{Method, Version, response};

use super::fields::{Fields, Span};
use super::head::{self, Framing};
use super::lines::Block;
use super::{Length, Malformed, Name};

#[derive(Debug, Clone)]
pub struct ResponseHead {
    status: u16,
    version: Version,
    /// In the fields' buffer.
    reason: Span,
    fields: Fields,
    length: Length,
    keeps_alive: bool,
}

impl ResponseHead {
    /// The head at the front of all that has come in answer to a request of that method, and how much of that it is;
    /// `None` while it is not complete.
    ///
    /// Statuses are those of HTTP, 100 to 599; the reason may be empty and even its space may be missing.
    pub fn read(input: &[u8], request: &Method) -> Result<Option<(Self, usize)>, Malformed> {
        let Some(read) = head::read(input, Block::ResponseHead)? else {
            return Ok(None);
        };
        let size = read.size;
        Ok(Some((Self::parse(read, request)?, size)))
    }

    fn parse(read: head::Read<'_>, request: &Method) -> Result<Self, Malformed> {
        let fields = read.fields;
        let line = read.first_line;
        let (version, status, reason) = status_line(line)?;
        let reason = Span::new(line.len() - reason.len(), reason.len());
        let framing = Framing::of(&fields, version)?;
        let length = if *request == Method::HEAD || matches!(status, 100..=199 | 204 | 304) {
            Length::Empty
        } else {
            framing.length.unwrap_or(Length::UntilClose)
        };
        Ok(Self {
            status,
            version,
            reason,
            fields,
            length,
            keeps_alive: framing.keeps_alive && length != Length::UntilClose,
        })
    }

    /// A head that came as HTTP types, such as that of an HTTP/2 response to a request of that method. `over`: no content
    /// follows.
    pub fn from_http(
        parts: &response::Parts,
        request: &Method,
        over: bool,
    ) -> Result<Self, Malformed> {
        let status = parts.status.as_u16();
        let fields = Fields::from_header_map(&parts.headers);
        let bodiless = over || *request == Method::HEAD || matches!(status, 204 | 304);
        let length = match Framing::of(&fields, Version::HTTP_11)?.length {
            _ if bodiless => Length::Empty,
            Some(Length::Known(length)) => Length::Known(length),
            _ => Length::Chunked,
        };
        Ok(Self {
            status,
            version: parts.version,
            reason: Span::new(0, 0),
            fields,
            length,
            keeps_alive: true,
        })
    }

    pub fn status(&self) -> u16 {
        self.status
    }

    /// As sent, perhaps empty.
    pub fn reason(&self) -> &[u8] {
        self.fields.bytes(self.reason)
    }

    pub fn version(&self) -> Version {
        self.version
    }

    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// For what the load balancer adds.
    pub fn fields_mut(&mut self) -> &mut Fields {
        &mut self.fields
    }

    pub fn into_fields(self) -> Fields {
        self.fields
    }

    /// [`Length::Empty`] for what never has a body, whatever its fields say: answers to HEAD, 1xx, 204 and 304.
    pub fn length(&self) -> Length {
        self.length
    }

    /// The target would take another request on the same connection.
    pub fn keeps_alive(&self) -> bool {
        self.keeps_alive
    }

    /// How long its sender says that it keeps the connection when it is idle: `Keep-Alive: timeout=5, max=100`
    /// (RFC 2068 19.7.1.1, as servers still write it).
    pub fn keep_alive_timeout(&self) -> Option<Duration> {
        let value = str::from_utf8(self.fields.get(Name::KeepAlive)?).ok()?;
        let timeout = value.split(',').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("timeout").then_some(value)
        });
        timeout?.trim().parse().ok().map(Duration::from_secs)
    }
}

/// The parts of a line.
fn status_line(line: &[u8]) -> Result<(Version, u16, &[u8]), Malformed> {
    let (version, rest) = match line.split_first_chunk() {
        Some((b"HTTP/1.1 ", rest)) => (Version::HTTP_11, rest),
        Some((b"HTTP/1.0 ", rest)) => (Version::HTTP_10, rest),
        _ => return Err(Malformed::StatusLine),
    };
    let (digits, reason) = match rest {
        [a, b, c] => ([*a, *b, *c], &[][..]),
        [a, b, c, b' ', reason @ ..] => ([*a, *b, *c], reason),
        _ => return Err(Malformed::StatusLine),
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::StatusLine);
    }
    let status = digits
        .iter()
        .fold(0, |status, digit| 10 * status + u16::from(digit - b'0'));
    match status {
        100..=599 => Ok((version, status, reason)),
        _ => Err(Malformed::Status),
    }
}

#[cfg(test)]
mod tests;
