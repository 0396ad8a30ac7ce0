//! The head of a request, as it was sent.

use std::borrow::Cow;

use http::{Method, Version};

use super::fields::{Fields, Name, Span};
use super::head::{self, Framing};
use super::lines::Block;
use super::scan::is_token;
use super::target::Target;
use super::{Length, Malformed};

#[derive(Debug, Clone)]
pub struct RequestHead {
    method: Method,
    version: Version,
    target: Span,
    scheme: Option<Cow<'static, str>>,
    authority: Option<Span>,
    /// `path`, or with the query.
    path: Span,
    path_and_query: Span,
    query: Option<Span>,
    /// Their buffer holds the targets too.
    fields: Fields,
    length: Length,
    keeps_alive: bool,
    has_ambiguous_length: bool,
    wire_size: usize,
}

/// What HTTP/2 says of a request; the spans are in the fields' buffer. Of a body's length it is for the caller to judge.
#[derive(Debug)]
pub(crate) struct Http2Head {
    pub(crate) method: Method,
    /// In lower case.
    pub(crate) scheme: Option<Cow<'static, str>>,
    pub(crate) authority: Option<Span>,
    /// With the query; empty for CONNECT.
    pub(crate) path: Span,
    pub(crate) fields: Fields,
    pub(crate) length: Length,
}

impl RequestHead {
    /// The head at the front of all that has come, and how much of that it is; `None` while it is not complete.
    ///
    /// One empty line before it is skipped: some clients send it after a body.
    pub fn read(input: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let block = input.strip_prefix(b"\r\n").unwrap_or(input);
        let skipped = input.len() - block.len();
        let Some(read) = head::read(block, Block::RequestHead)? else {
            return Ok(None);
        };
        let mut head = Self::parse(read)?;
        head.wire_size += skipped;
        let consumed = head.wire_size;
        Ok(Some((head, consumed)))
    }

    fn parse(read: head::Read<'_>) -> Result<Self, Malformed> {
        let mut fields = read.fields;
        let (method, target, version) = request_line(read.first_line)?;
        let parts = Target::read(&method, target)?;
        let framing = Framing::of_request(&fields, version)?;
        let target = Span::new(method.as_str().len() + 1, target.len());
        let mut path = target.part(parts.path.clone());
        let mut path_and_query = target.part(parts.path.start..target.len());
        if path.len() == 0 && parts.scheme.is_some() {
            let query = fields.text(path_and_query).to_owned();
            path = fields.append("/");
            path_and_query = path.to(fields.append(&query));
        }
        Ok(Self {
            method,
            version,
            target,
            scheme: parts.scheme.map(Cow::Borrowed),
            authority: parts.authority.map(|authority| target.part(authority)),
            path,
            path_and_query,
            query: parts.query.map(|query| target.part(query)),
            fields,
            length: framing.length.unwrap_or(Length::Empty),
            keeps_alive: framing.keeps_alive,
            has_ambiguous_length: framing.is_ambiguous,
            wire_size: read.size,
        })
    }

    /// A head that came over HTTP/2.
    pub(crate) fn from_http2(parts: Http2Head) -> Self {
        let Http2Head {
            method,
            scheme,
            authority,
            path: path_and_query,
            fields,
            length,
        } = parts;
        let mark = memchr::memchr(b'?', fields.bytes(path_and_query));
        let (path, query) = match mark {
            None => (path_and_query, None),
            Some(mark) => {
                let query = path_and_query.part(mark + 1..path_and_query.len());
                (path_and_query.part(0..mark), Some(query))
            }
        };
        let target = match authority {
            Some(authority) if method == Method::CONNECT => authority,
            _ => path_and_query,
        };
        let first_line = method.as_str().len() + target.len() + " HTTP/1.1 \r\n\r\n".len();
        Self {
            method,
            version: Version::HTTP_2,
            target,
            scheme,
            authority,
            path,
            path_and_query,
            query,
            length,
            keeps_alive: true,
            has_ambiguous_length: false,
            wire_size: first_line + fields.size(),
            fields,
        }
    }

    pub fn method(&self) -> &Method {
        &self.method
    }

    pub fn version(&self) -> Version {
        self.version
    }

    /// As sent.
    pub fn target(&self) -> &str {
        self.fields.text(self.target)
    }

    /// In lower case, of an absolute target or an HTTP/2 request.
    pub fn scheme(&self) -> Option<&str> {
        self.scheme.as_deref()
    }

    /// As sent, of an absolute target, of a CONNECT, or of an HTTP/2 request.
    pub fn authority(&self) -> Option<&str> {
        self.authority.map(|authority| self.fields.text(authority))
    }

    /// `/` when an absolute target has none, `*` for all of a server, empty for CONNECT.
    pub fn path(&self) -> &str {
        self.fields.text(self.path)
    }

    /// Without the question mark.
    pub fn query(&self) -> Option<&str> {
        self.query.map(|query| self.fields.text(query))
    }

    /// The target to send to an origin.
    pub fn path_and_query(&self) -> &str {
        self.fields.text(self.path_and_query)
    }

    /// The same, without a look at whether it is text.
    pub fn path_and_query_as_sent(&self) -> &[u8] {
        self.fields.bytes(self.path_and_query)
    }

    pub fn into_fields(self) -> Fields {
        self.fields
    }

    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// [`Length::Empty`] where the head says nothing of a body, [`Length::Known`] of zero where it says that it is empty.
    pub fn length(&self) -> Length {
        self.length
    }

    /// Others may read another length than this one: the field that says so must not go on beside another, and nothing
    /// may follow on either connection.
    pub fn has_ambiguous_length(&self) -> bool {
        self.has_ambiguous_length
    }

    /// The bytes that it was read from; of one that came over HTTP/2, something else.
    pub fn bytes(&self) -> &[u8] {
        self.fields.block()
    }

    /// The client would send its next request on the same connection.
    pub fn keeps_alive(&self) -> bool {
        self.keeps_alive
    }

    /// The client waits for a 100 before it sends the body.
    pub fn expects_continue(&self) -> bool {
        self.version >= Version::HTTP_11 && self.fields.has_token(Name::Expect, "100-continue")
    }

    /// Bytes that the head was on the wire; of one that came over HTTP/2, that it would be.
    pub fn wire_size(&self) -> usize {
        self.wire_size
    }
}

/// The parts of a line that is known to end in a version.
fn request_line(line: &[u8]) -> Result<(Method, &[u8], Version), Malformed> {
    let (version, rest) = match line.split_last_chunk() {
        Some((rest, b" HTTP/1.1")) => (Version::HTTP_11, rest),
        Some((rest, b" HTTP/1.0")) => (Version::HTTP_10, rest),
        _ => return Err(Malformed::RequestLine),
    };
    let end = rest.iter().position(|byte| !is_token(*byte));
    let (method, target) = rest.split_at(end.unwrap_or(rest.len()));
    let target = match target {
        [] => return Err(Malformed::RequestLine),
        [b' ', target @ ..] => target,
        _ => return Err(Malformed::Method),
    };
    let method = Method::from_bytes(method).map_err(|_| Malformed::Method)?;
    Ok((method, target, version))
}

#[cfg(test)]
mod tests;
