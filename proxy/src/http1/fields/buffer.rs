//! The bytes of a head, of which the ASCII parts can be had as text without looking at them again.

/// Nearly always all of it is UTF-8, and then it is one string.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffer {
    text: String,
    /// If it is not: the bytes, and the text has question marks in the place of those that are not ASCII.
    bytes: Option<Vec<u8>>,
}

/// A place in a buffer, which is far below 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http1) struct Span {
    start: u32,
    length: u32,
}

impl Buffer {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            bytes: None,
        }
    }

    pub(super) fn new(bytes: &[u8]) -> Self {
        match str::from_utf8(bytes) {
            Ok(text) => Self {
                text: text.to_owned(),
                bytes: None,
            },
            Err(_) => Self {
                text: bytes.iter().copied().map(ascii).collect(),
                bytes: Some(bytes.to_vec()),
            },
        }
    }

    /// As [`append`](Self::append), of what need not be looked at.
    pub(super) fn append_text(&mut self, appended: &str) -> Span {
        if self.bytes.is_some() {
            return self.append(appended.as_bytes());
        }
        let start = self.text.len();
        self.text.push_str(appended);
        Span::new(start, appended.len())
    }

    pub(super) fn append(&mut self, appended: &[u8]) -> Span {
        let start = self.text.len();
        match (&mut self.bytes, str::from_utf8(appended)) {
            (None, Ok(text)) => self.text.push_str(text),
            (None, Err(_)) => {
                let so_far = std::mem::take(&mut self.text).into_bytes();
                *self = Self::new(&[&so_far, appended].concat());
            }
            (Some(bytes), _) => {
                bytes.extend_from_slice(appended);
                self.text.extend(appended.iter().copied().map(ascii));
            }
        }
        Span::new(start, appended.len())
    }

    pub(super) fn bytes(&self, span: Span) -> &[u8] {
        let whole = self.bytes.as_deref();
        let whole = whole.unwrap_or(self.text.as_bytes());
        whole.get(span.range()).unwrap_or_default()
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes.unwrap_or(self.text.into_bytes())
    }

    /// Of a part that is ASCII.
    pub(super) fn text(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or_default()
    }
}

fn ascii(byte: u8) -> char {
    if byte.is_ascii() {
        char::from(byte)
    } else {
        '?'
    }
}

impl Span {
    pub(in crate::http1) fn new(start: usize, length: usize) -> Self {
        Self {
            start: start as u32,
            length: length as u32,
        }
    }

    /// A place within this one.
    pub(in crate::http1) fn part(self, range: std::ops::Range<usize>) -> Self {
        Self::new(self.start as usize + range.start, range.len())
    }

    /// From the start of this one to the end of that.
    pub(in crate::http1) fn to(self, end: Self) -> Self {
        let end = end.range().end;
        Self::new(self.start as usize, end - self.start as usize)
    }

    pub(in crate::http1) fn len(self) -> usize {
        self.length as usize
    }

    pub(super) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.start as usize + self.length as usize
    }
}

#[cfg(test)]
mod tests;
