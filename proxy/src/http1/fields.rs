//! The fields of a head or of trailers: in order, as spelled, repeated ones kept, over one buffer. Looked up by scan: a
//! head has few of them, and each was recognised once.

mod name;
mod reader;

use std::fmt;
use std::ops::Range;

pub use name::Name;
pub(super) use reader::FieldsReader;

#[derive(Clone, Default)]
pub struct Fields {
    /// Whatever the spans point into: of a head that was read, all of it.
    bytes: Vec<u8>,
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

/// A place in a head's buffer, which is far below 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Fields {
    pub(super) fn with_capacity(bytes: usize, fields: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            entries: Vec::with_capacity(fields),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> + Clone {
        self.entries.iter().map(|entry| entry.field(&self.bytes))
    }

    /// The first one's value.
    pub fn get(&self, name: Name) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    pub fn get_all(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.entries
            .iter()
            .filter(move |entry| entry.name == name)
            .map(|entry| entry.value.bytes(&self.bytes))
    }

    /// For names that [`Name`] does not know too, in any case.
    pub fn named(&self, spelled: &str) -> impl Iterator<Item = &[u8]> {
        self.entries
            .iter()
            .filter(move |entry| {
                let name = entry.spelled.bytes(&self.bytes);
                name.eq_ignore_ascii_case(spelled.as_bytes())
            })
            .map(|entry| entry.value.bytes(&self.bytes))
    }

    /// Whether one of the comma-separated items of all the lines of that name is the token, in any case.
    pub fn has_token(&self, name: Name, token: &str) -> bool {
        self.get_all(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }

    /// The caller has a valid name and a valid value, without blanks around it.
    pub fn push(&mut self, spelled: &str, value: &[u8]) {
        let entry = Entry {
            name: Name::of(spelled.as_bytes()),
            spelled: self.append(spelled.as_bytes()),
            value: self.append(value),
        };
        self.entries.push(entry);
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
        for entry in &self.entries {
            out.extend_from_slice(entry.spelled.bytes(&self.bytes));
            out.extend_from_slice(b": ");
            out.extend_from_slice(entry.value.bytes(&self.bytes));
            out.extend_from_slice(b"\r\n");
        }
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Field<'_>) -> bool) {
        let bytes = &self.bytes;
        self.entries.retain(|entry| keep(&entry.field(bytes)));
    }

    /// Keeps bytes that are no field, such as a head's first line.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Span {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Span::new(start..self.bytes.len())
    }

    /// A path and query for a target that has no path.
    pub(super) fn append_root(&mut self, query: Option<Span>) -> Span {
        let start = self.bytes.len();
        self.bytes.push(b'/');
        if let Some(query) = query {
            self.bytes.push(b'?');
            self.bytes.extend_from_within(query.range());
        }
        Span::new(start..self.bytes.len())
    }

    /// Without the spelling, which takes time to get.
    pub(super) fn names_and_values(&self) -> impl Iterator<Item = (Name, &[u8])> {
        self.entries
            .iter()
            .map(|entry| (entry.name, entry.value.bytes(&self.bytes)))
    }

    pub(super) fn bytes(&self, span: Span) -> &[u8] {
        span.bytes(&self.bytes)
    }

    pub(super) fn text(&self, span: Span) -> &str {
        span.text(&self.bytes)
    }
}

impl Entry {
    fn field(self, bytes: &[u8]) -> Field<'_> {
        Field {
            name: self.name,
            spelled: self.spelled.text(bytes),
            value: self.value.bytes(bytes),
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

impl Span {
    pub(super) fn new(range: Range<usize>) -> Self {
        Self {
            start: range.start as u32,
            end: range.end as u32,
        }
    }

    /// A place within this one.
    pub(super) fn part(self, range: Range<usize>) -> Self {
        let start = self.start as usize;
        Self::new(start + range.start..start + range.end)
    }

    /// From the start of this one to the end of that.
    pub(super) fn to(self, end: Self) -> Self {
        Self {
            start: self.start,
            end: end.end,
        }
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(super) fn len(self) -> usize {
        self.range().len()
    }

    fn bytes(self, whole: &[u8]) -> &[u8] {
        whole.get(self.range()).unwrap_or_default()
    }

    /// Of what was read as ASCII.
    fn text(self, whole: &[u8]) -> &str {
        str::from_utf8(self.bytes(whole)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
