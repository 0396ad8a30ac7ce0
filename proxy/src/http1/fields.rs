//! The fields of a head or of trailers: in order, as spelled, repeated ones kept, over one buffer. Looked up by scan: a
//! head has few of them, and each was recognised once.

mod buffer;
mod header_map;
mod name;
mod reader;

use std::fmt;

use buffer::Buffer;
pub(super) use buffer::Span;
pub use name::Name;
pub(super) use reader::FieldsReader;

#[derive(Clone, Default)]
pub struct Fields {
    /// Whatever the spans point into: of a head that was read, all of it.
    buffer: Buffer,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    pub name: Name,
    pub spelled: &'a str,
    /// Without the blanks around it.
    pub value: &'a [u8],
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    name: Name,
    spelled: Span,
    value: Span,
}

impl Fields {
    pub(super) fn with_capacity(bytes: usize, fields: usize) -> Self {
        Self {
            buffer: Buffer::with_capacity(bytes),
            entries: Vec::with_capacity(fields),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> + Clone {
        self.entries.iter().map(|entry| entry.field(&self.buffer))
    }

    /// Each field's name and line, which is all that most of who passes them on want.
    pub fn lines(&self) -> impl Iterator<Item = (Name, &[u8])> {
        self.entries.iter().map(|entry| {
            let line = entry.spelled.to(entry.value);
            (entry.name, self.buffer.bytes(line))
        })
    }

    /// The first one's value.
    pub fn get(&self, name: Name) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    pub fn get_all(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.entries
            .iter()
            .filter(move |entry| entry.name == name)
            .map(|entry| self.buffer.bytes(entry.value))
    }

    /// The first one's value, if it is ASCII.
    pub fn get_text(&self, name: Name) -> Option<&str> {
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        let is_ascii = self.buffer.bytes(entry.value).is_ascii();
        is_ascii.then(|| self.buffer.text(entry.value))
    }

    /// For names that [`Name`] does not know too, in any case.
    pub fn named(&self, spelled: &str) -> impl Iterator<Item = &[u8]> {
        self.entries
            .iter()
            .filter(move |entry| {
                let name = self.buffer.bytes(entry.spelled);
                name.eq_ignore_ascii_case(spelled.as_bytes())
            })
            .map(|entry| self.buffer.bytes(entry.value))
    }

    /// Whether one of the comma-separated items of all the lines of that name is the token, in any case.
    pub fn has_token(&self, name: Name, token: impl AsRef<[u8]>) -> bool {
        self.get_all(name)
            .any(|value| items(value).any(|item| item.eq_ignore_ascii_case(token.as_ref())))
    }

    /// The caller has a valid name and a valid value, without blanks around it.
    pub fn push(&mut self, spelled: &str, value: &[u8]) {
        let name = Name::of(spelled.as_bytes());
        let spelled = self.append(spelled);
        self.append(": ");
        let value = self.buffer.append(value);
        self.entries.push(Entry {
            name,
            spelled,
            value,
        });
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes on the wire: a colon, a space and a line's end with each.
    pub fn size(&self) -> usize {
        self.entries
            .iter()
            .map(|entry| entry.spelled.len() + entry.value.len() + 4)
            .sum()
    }

    /// Appends the fields as lines, without the empty line that ends them.
    pub fn write(&self, out: &mut Vec<u8>) {
        for field in self.iter() {
            out.extend_from_slice(field.spelled.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(field.value);
            out.extend_from_slice(b"\r\n");
        }
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Field<'_>) -> bool) {
        let buffer = &self.buffer;
        self.entries.retain(|entry| keep(&entry.field(buffer)));
    }

    /// Keeps text that is no field, such as a target.
    pub(super) fn append(&mut self, text: &str) -> Span {
        self.buffer.append_text(text)
    }

    /// Only the fields that say how long the message and the connection are.
    pub(super) fn framing(&self) -> impl Iterator<Item = (Name, &[u8])> {
        let framing = |name| {
            matches!(
                name,
                Name::ContentLength | Name::TransferEncoding | Name::Connection
            )
        };
        self.entries
            .iter()
            .filter(move |entry| framing(entry.name))
            .map(|entry| (entry.name, self.buffer.bytes(entry.value)))
    }

    pub(super) fn bytes(&self, span: Span) -> &[u8] {
        self.buffer.bytes(span)
    }

    pub(super) fn text(&self, span: Span) -> &str {
        self.buffer.text(span)
    }
}

/// Of a comma-separated list.
pub(super) fn items(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

impl Entry {
    fn field(self, buffer: &Buffer) -> Field<'_> {
        Field {
            name: self.name,
            spelled: buffer.text(self.spelled),
            value: buffer.bytes(self.value),
        }
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.iter();
        f.debug_map()
            .entries(entries.map(|field| (field.spelled, field.value.escape_ascii().to_string())))
            .finish()
    }
}

#[cfg(test)]
mod tests;
