//! What a block of fields says, field by field as it is unpacked: the head of a request, or trailers.
//!
//! A head that RFC 9113 calls malformed is none ([`Malformed`]). One that could be read, and should not go on, is a head
//! with a [`Flaw`]: it is answered and recorded like others.

use std::borrow::Cow;

use http::Method;

use crate::http1::fields::Span;
use crate::http1::request_head::Http2Head;
use crate::http1::{Fields, Length, Name, RequestHead, is_path_and_query, limits, scan};

/// What stands beside a field, in the count that limits a block (RFC 9113 6.5.2).
const OVERHEAD: usize = 32;

/// No request, or no trailers; why, for whoever debugs a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// Why a head that can be read is not for a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Of its fields some were forgotten.
    TooLarge,
    Malformed,
}

/// A request's head while its fields come.
#[derive(Debug)]
pub(super) struct Gathered {
    method: Option<Method>,
    scheme: Option<Cow<'static, str>>,
    authority: Option<Span>,
    path: Option<Span>,
    fields: Fields,
    content_length: ContentLength,
    size: usize,
    most: usize,
    flaw: Option<Flaw>,
    malformed: Option<Malformed>,
}

#[derive(Debug, Clone, Copy)]
enum ContentLength {
    Unsaid,
    Said(u64),
    Unclear,
}

/// A whole head.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) head: RequestHead,
    pub(super) flaw: Option<Flaw>,
}

impl Gathered {
    /// `most` is what the fields may be together. `bytes` is a guess of it.
    pub(super) fn new(most: usize, bytes: usize) -> Self {
        Self {
            method: None,
            scheme: None,
            authority: None,
            path: None,
            fields: Fields::with_capacity(bytes, 16),
            content_length: ContentLength::Unsaid,
            size: 0,
            most,
            flaw: None,
            malformed: None,
        }
    }

    /// Bytes that were gathered.
    pub(super) fn size(&self) -> usize {
        self.fields.block().len()
    }

    pub(super) fn field(&mut self, name: &[u8], value: &[u8]) {
        self.size += name.len() + value.len() + OVERHEAD;
        if self.size > self.most {
            self.flaw = Some(Flaw::TooLarge);
        } else if self.malformed.is_none() {
            let kept = match name {
                [b':', name @ ..] => self.pseudo(name, value),
                _ => self.plain(name, value),
            };
            self.malformed = kept.err().map(Malformed);
        }
    }

    fn pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<(), &'static str> {
        if !self.fields.is_empty() {
            return Err("a pseudo-header field behind others");
        }
        match name {
            b"method" if self.method.is_none() => {
                let method = Method::from_bytes(value).map_err(|_| "its :method is none")?;
                self.method = Some(method);
            }
            b"scheme" if self.scheme.is_none() => {
                self.scheme = Some(scheme(value).ok_or("its :scheme is none")?);
            }
            b"authority" if self.authority.is_none() => {
                let is_part = |byte: &u8| byte.is_ascii_graphic() && !b"/?#\\".contains(byte);
                if value.is_empty() || !value.iter().all(is_part) {
                    return Err("its :authority is none");
                }
                self.authority = Some(self.fields.append(value));
            }
            b"path" if self.path.is_none() => {
                let begins = value.starts_with(b"/") || value == b"*";
                let is_part = |byte: &u8| *byte > b' ' && *byte != 0x7f;
                let is_text = value.iter().all(is_part) && str::from_utf8(value).is_ok();
                if !begins || !is_text {
                    return Err("its :path is none");
                }
                self.path = Some(self.fields.append(value));
            }
            b"method" | b"scheme" | b"authority" | b"path" => {
                return Err("a pseudo-header field that is there twice");
            }
            _ => return Err("a pseudo-header field that no request has"),
        }
        Ok(())
    }

    fn plain(&mut self, spelled: &[u8], value: &[u8]) -> Result<(), &'static str> {
        check(spelled, value)?;
        let name = self.fields.push_bytes(spelled, value);
        match name {
            Name::Connection
            | Name::KeepAlive
            | Name::ProxyConnection
            | Name::TransferEncoding
            | Name::Upgrade => return Err("a field of HTTP/1.1 connections"),
            Name::Te if value != b"trailers" => return Err("its TE is more than trailers"),
            Name::ContentLength => {
                self.content_length = match (self.content_length, length(value)) {
                    (ContentLength::Unsaid, Some(length)) => ContentLength::Said(length),
                    _ => ContentLength::Unclear,
                };
            }
            _ => {}
        }
        if is_padded(value) {
            self.flaw = self.flaw.or(Some(Flaw::Malformed));
        }
        Ok(())
    }

    /// `over`: no content follows.
    pub(super) fn finish(mut self, over: bool) -> Result<Request, Malformed> {
        if let Some(malformed) = self.malformed {
            return Err(malformed);
        }
        // Of a head that was too large it may be the rest that is missing.
        let method = self.method.ok_or(Malformed("it has no :method"))?;
        let is_connect = method == Method::CONNECT;
        let path = match (self.path, is_connect) {
            (Some(path), false) => path,
            (None, true) => self.fields.append(""),
            (None, false) => return Err(Malformed("it has no :path")),
            (Some(_), true) => return Err(Malformed("a CONNECT with a :path")),
        };
        if self.scheme.is_none() != is_connect {
            return Err(Malformed("its :scheme is missing, or that of a CONNECT"));
        }
        let (length, unclear) = match self.content_length {
            ContentLength::Said(length) if over && length > 0 => {
                return Err(Malformed("its content is missing"));
            }
            ContentLength::Said(length) => (Length::Known(length), false),
            ContentLength::Unsaid if over => (Length::Empty, false),
            ContentLength::Unsaid => (Length::Chunked, false),
            ContentLength::Unclear => (Length::Empty, true),
        };
        let text = self.fields.bytes(path);
        let is_plain = match text {
            b"" => is_connect,
            b"*" => method == Method::OPTIONS,
            text => is_path_and_query(text),
        };
        let malformed = unclear || !is_plain;
        let flaw = self.flaw.or(malformed.then_some(Flaw::Malformed));
        let head = RequestHead::from_http2(Http2Head {
            method,
            scheme: self.scheme,
            authority: self.authority,
            path,
            fields: self.fields,
            length,
        });
        Ok(Request { head, flaw })
    }
}

/// Trailers while they come.
#[derive(Debug, Default)]
pub(super) struct Trailers {
    fields: Fields,
    too_large: bool,
    malformed: Option<Malformed>,
}

impl Trailers {
    pub(super) fn field(&mut self, name: &[u8], value: &[u8]) {
        if self.malformed.is_some() || self.too_large {
            return;
        }
        match check(name, value) {
            Ok(()) => drop(self.fields.push_bytes(name, value)),
            Err(why) => self.malformed = Some(Malformed(why)),
        }
        self.too_large = self.fields.len() > limits::TRAILER_FIELDS
            || self.fields.block().len() > limits::TRAILERS;
    }

    /// Those that may be passed on.
    pub(super) fn finish(
        self,
    ) -> Result<Option<Result<Fields, crate::http1::Malformed>>, Malformed> {
        match self.malformed {
            Some(malformed) => Err(malformed),
            None if self.too_large => Ok(Some(Err(crate::http1::Malformed::TrailersTooLarge))),
            None => Ok(self.fields.into_trailers().map(Ok)),
        }
    }
}

/// A name in lower case, and a value without controls.
fn check(name: &[u8], value: &[u8]) -> Result<(), &'static str> {
    if name.is_empty() || scan::token(name).0 < name.len() {
        Err("a field's name is none")
    } else if name.iter().any(u8::is_ascii_uppercase) {
        Err("a field's name with capitals")
    } else if scan::text_length(value) < value.len() {
        Err("a control in a field's value")
    } else {
        Ok(())
    }
}

/// Whether a value begins or ends with a blank (RFC 9113 8.2.1).
fn is_padded(value: &[u8]) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    is_blank(value.first()) || is_blank(value.last())
}

fn length(value: &[u8]) -> Option<u64> {
    let digits = str::from_utf8(value).ok()?;
    let all_digits = !digits.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits.parse().ok().filter(|_| all_digits)
}

fn scheme(value: &[u8]) -> Option<Cow<'static, str>> {
    match value {
        b"https" => return Some(Cow::Borrowed("https")),
        b"http" => return Some(Cow::Borrowed("http")),
        _ => {}
    }
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let begins = value.first().is_some_and(u8::is_ascii_alphabetic);
    let text = str::from_utf8(value).ok()?;
    (begins && value.iter().all(is_part)).then(|| Cow::Owned(text.to_ascii_lowercase()))
}

/// A GET or whatever it is for `path` at `https://a`, as a client asks.
#[cfg(test)]
pub(crate) fn asked(method: &str, path: &str, fields: &[(&str, &[u8])]) -> RequestHead {
    let mut gathered = Gathered::new(usize::MAX, 0);
    for (name, value) in [
        (":method", method),
        (":scheme", "https"),
        (":authority", "a"),
        (":path", path),
    ] {
        gathered.field(name.as_bytes(), value.as_bytes());
    }
    for (name, value) in fields {
        gathered.field(name.as_bytes(), value);
    }
    gathered.finish(true).expect("a head").head
}

#[cfg(test)]
mod tests;
