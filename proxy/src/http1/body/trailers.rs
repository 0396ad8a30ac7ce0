//! The fields behind the last chunk: which of them there may be.

use http::header::HeaderMap;

use crate::http1::lines::Block;
use crate::http1::{Field, Fields, Malformed, Name, head, limits};

/// The trailer section at the front of the input, and how much of that it is; `None` if it is not complete. Of its
/// fields those that may be passed on.
pub(super) fn read(input: &[u8]) -> Result<Option<(Option<Fields>, usize)>, Malformed> {
    if input.starts_with(b"\r\n") {
        return Ok(Some((None, 2)));
    }
    let Some(read) = head::read(input, Block::Trailers)? else {
        return Ok(None);
    };
    Ok(Some((read.fields.into_trailers(), read.size)))
}

impl Fields {
    /// Of what came as HTTP types, that which may be passed on, held to the limits of HTTP/1.1.
    pub fn of_trailers(trailers: &HeaderMap) -> Result<Option<Self>, Malformed> {
        let fields = Self::from_header_map(trailers);
        if fields.len() > limits::TRAILER_FIELDS || fields.size() > limits::TRAILERS {
            return Err(Malformed::TrailersTooLarge);
        }
        Ok(fields.into_trailers())
    }

    /// Of what came behind content, that which may be passed on; `None` if there is none.
    pub fn into_trailers(mut self) -> Option<Self> {
        self.retain(may_follow);
        (!self.is_empty()).then_some(self)
    }
}

/// RFC 9110 6.5.1: not what frames, routes, identifies or says how to take the content, because all that was decided
/// by the head.
fn may_follow(field: &Field<'_>) -> bool {
    field.name == Name::Other
        && !HEAD_ONLY
            .iter()
            .any(|name| field.spelled.eq_ignore_ascii_case(name))
}

/// Of the names that mean nothing to a load balancer.
const HEAD_ONLY: [&str; 25] = [
    "age",
    "authorization",
    "cache-control",
    "content-encoding",
    "content-range",
    "content-type",
    "expires",
    "forwarded",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "retry-after",
    "set-cookie",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-forwarded-host",
];
