//! The head of a response, as it was sent.

use std::mem::MaybeUninit;

use http::{Method, Version};

use super::fields::{Fields, Span};
use super::head::{self, Framing};
use super::lines::{self, Block};
use super::{Length, Malformed, limits};

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
        let Some(end) = lines::end(input, Block::ResponseHead)? else {
            return Ok(None);
        };
        let head = Self::parse(input.get(..end).unwrap_or_default(), request)?;
        Ok(Some((head, end)))
    }

    /// Of a whole head.
    fn parse(block: &[u8], request: &Method) -> Result<Self, Malformed> {
        let mut headers = [const { MaybeUninit::uninit() }; limits::RESPONSE_FIELDS];
        let mut response = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
            &mut response,
            block,
            &mut headers,
        );
        let (Ok(httparse::Status::Complete(_)), Some(minor), Some(status)) =
            (parsed, response.version, response.code)
        else {
            return Err(malformed(block, parsed));
        };
        if !(100..=599).contains(&status) {
            return Err(Malformed::Status);
        }
        let version = match minor {
            0 => Version::HTTP_10,
            _ => Version::HTTP_11,
        };
        let fields = Fields::parsed(block, response.headers);
        let framing = Framing::of(&fields, version)?;
        let length = if *request == Method::HEAD || matches!(status, 100..=199 | 204 | 304) {
            Length::Empty
        } else {
            framing.length.unwrap_or(Length::UntilClose)
        };
        let line = memchr::memchr(b'\r', block).unwrap_or(block.len());
        Ok(Self {
            status,
            version,
            // httparse gives none that is not ASCII.
            reason: Span::new(line.min("HTTP/1.1 200 ".len())..line),
            fields,
            length,
            keeps_alive: framing.keeps_alive && length != Length::UntilClose,
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

    /// [`Length::Empty`] for what never has a body, whatever its fields say: answers to HEAD, 1xx, 204 and 304.
    pub fn length(&self) -> Length {
        self.length
    }

    /// The target would take another request on the same connection.
    pub fn keeps_alive(&self) -> bool {
        self.keeps_alive
    }
}

fn malformed(block: &[u8], parsed: httparse::Result<usize>) -> Malformed {
    match parsed {
        Err(httparse::Error::HeaderName | httparse::Error::HeaderValue) => {
            head::bad_field_of_head(block)
        }
        Err(httparse::Error::TooManyHeaders) => Malformed::TooManyFields,
        _ => Malformed::StatusLine,
    }
}

#[cfg(test)]
mod tests;
