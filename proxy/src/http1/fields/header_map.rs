//! Fields as HTTP types, for what wants them so.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::{Fields, Name};

impl Fields {
    /// Names and values as they are.
    pub fn from_header_map(headers: &HeaderMap) -> Self {
        let size: usize = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        let mut fields = Self::with_capacity(size + 4 * headers.len(), headers.len());
        for (name, value) in headers {
            fields.push(name.as_str(), value.as_bytes());
        }
        fields
    }

    /// Those that `crosses` lets pass, by name and spelling. Their values stay in the buffer, which they share.
    pub fn into_header_map(self, crosses: impl Fn(Name, &[u8]) -> bool) -> HeaderMap {
        let buffer = Bytes::from(self.buffer);
        let mut headers = HeaderMap::with_capacity(self.entries.len());
        for entry in self.entries {
            let spelled = &buffer[entry.spelled.range()];
            // The codec has let pass nothing that is not one.
            if crosses(entry.name, spelled)
                && let Ok(name) = HeaderName::from_bytes(spelled)
                && let value = buffer.slice(entry.value.range())
                && let Ok(value) = HeaderValue::from_maybe_shared(value)
            {
                headers.append(name, value);
            }
        }
        headers
    }
}
