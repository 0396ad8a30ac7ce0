//! The fields of a head or of trailers: in order, as spelled, repeated ones kept, over one buffer. Looked up by scan: a
//! head has few of them, and each was recognised once.

mod header_map;
mod name;
mod reader;
mod span;

use std::fmt;

use super::scan::token;

pub use name::Name;
pub(super) use reader::FieldsReader;
pub(crate) use span::Span;

#[derive(Clone, Default)]
pub struct Fields {
    /// Whatever the spans point into: of a head that was read, all of it.
    buffer: Vec<u8>,
    entries: Vec<Entry>,
    marks: Marks,
}

/// What there is among fields: a bit for each [`Name`], and one for names that have more than letters, digits and hyphens.
/// Most of what is looked for in a head is not there.
#[derive(Debug, Clone, Copy, Default)]
struct Marks(u32);

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
    pub(crate) fn with_capacity(bytes: usize, fields: usize) -> Self {
        Self {
            buffer: Vec::with_capacity(bytes),
            entries: Vec::with_capacity(fields),
            marks: Marks::default(),
        }
    }

    /// Whether one of that name may be there; one of which this is false certainly is not.
    #[inline]
    pub fn may_have(&self, name: Name) -> bool {
        self.marks.0 & Marks::of(name) != 0
    }

    /// Whether the name of one has more than letters, digits and hyphens: for an ALB it is not valid.
    #[inline]
    pub fn have_invalid_name(&self) -> bool {
        self.marks.0 & Marks::INVALID != 0
    }

    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> + Clone {
        self.entries.iter().map(|entry| entry.field(&self.buffer))
    }

    /// Each field's name and line, which is all that most of who passes them on want.
    pub fn lines(&self) -> impl Iterator<Item = (Name, &[u8])> {
        self.entries.iter().map(|entry| {
            let line = entry.spelled.to(entry.value);
            (entry.name, line.bytes(&self.buffer))
        })
    }

    /// Each field's name, its spelling and its value, none of it looked at as text.
    pub fn entries(&self) -> impl Iterator<Item = (Name, &[u8], &[u8])> {
        self.entries.iter().map(|entry| {
            let spelled = entry.spelled.bytes(&self.buffer);
            (entry.name, spelled, entry.value.bytes(&self.buffer))
        })
    }

    /// The first one's value.
    pub fn get(&self, name: Name) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    pub fn get_all(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        let entries = self.entries.as_slice();
        let entries = if self.may_have(name) { entries } else { &[] };
        entries
            .iter()
            .filter(move |entry| entry.name == name)
            .map(|entry| entry.value.bytes(&self.buffer))
    }

    /// The first one's value, if it is ASCII.
    pub fn get_text(&self, name: Name) -> Option<&str> {
        if !self.may_have(name) {
            return None;
        }
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        let is_ascii = entry.value.bytes(&self.buffer).is_ascii();
        is_ascii.then(|| entry.value.text(&self.buffer))
    }

    /// For names that [`Name`] does not know too, in any case.
    pub fn named(&self, spelled: &str) -> impl Iterator<Item = &[u8]> {
        self.entries
            .iter()
            .filter(move |entry| {
                let name = entry.spelled.bytes(&self.buffer);
                name.eq_ignore_ascii_case(spelled.as_bytes())
            })
            .map(|entry| entry.value.bytes(&self.buffer))
    }

    /// Whether one of the comma-separated items of all the lines of that name is the token, in any case.
    pub fn has_token(&self, name: Name, token: impl AsRef<[u8]>) -> bool {
        self.get_all(name)
            .any(|value| items(value).any(|item| item.eq_ignore_ascii_case(token.as_ref())))
    }

    /// The caller has a valid name and a valid value, without blanks around it.
    pub fn push(&mut self, spelled: &str, value: &[u8]) {
        self.push_bytes(spelled.as_bytes(), value);
    }

    /// As [`push`](Self::push), of a name that was not looked at as text. What it is.
    pub(crate) fn push_bytes(&mut self, spelled: &[u8], value: &[u8]) -> Name {
        let name = Name::of(spelled);
        self.marks.note(name, token(spelled).1);
        let spelled = self.append(spelled);
        self.append(": ");
        let value = self.append(value);
        self.entries.push(Entry {
            name,
            spelled,
            value,
        });
        name
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

    /// Keeps bytes that are no field, such as a target.
    pub(crate) fn append(&mut self, bytes: impl AsRef<[u8]>) -> Span {
        let bytes = bytes.as_ref();
        let start = self.buffer.len();
        self.buffer.extend_from_slice(bytes);
        Span::new(start, bytes.len())
    }

    /// Only the fields that say how long the message and the connection are.
    pub(super) fn framing(&self) -> impl Iterator<Item = (Name, &[u8])> {
        const FRAMING: [Name; 3] = [
            Name::ContentLength,
            Name::TransferEncoding,
            Name::Connection,
        ];
        let framing = |name| FRAMING.contains(&name);
        let has_one = FRAMING.iter().any(|name| self.may_have(*name));
        let entries = self.entries.as_slice();
        let entries = if has_one { entries } else { &[] };
        entries
            .iter()
            .filter(move |entry| framing(entry.name))
            .map(|entry| (entry.name, entry.value.bytes(&self.buffer)))
    }

    /// Whatever the spans point into.
    pub(crate) fn block(&self) -> &[u8] {
        &self.buffer
    }

    pub(crate) fn bytes(&self, span: Span) -> &[u8] {
        span.bytes(&self.buffer)
    }

    pub(crate) fn text(&self, span: Span) -> &str {
        span.text(&self.buffer)
    }
}

/// Whether a name has only what an ALB takes for valid: letters, digits and hyphens.
pub fn is_valid_name(spelled: &[u8]) -> bool {
    token(spelled) == (spelled.len(), true)
}

/// Whether a name is another one, in any case and with `_` for `-`: some application servers see no difference.
pub fn is_nearly(spelled: &[u8], name: &str) -> bool {
    let fold = |byte: u8| match byte {
        b'_' => b'-',
        byte => byte.to_ascii_lowercase(),
    };
    let spelled = spelled.iter().map(|&byte| fold(byte));
    name.bytes().map(fold).eq(spelled)
}

impl Marks {
    const INVALID: u32 = 1 << 31;

    const fn of(name: Name) -> u32 {
        1 << name as u32
    }

    #[inline]
    fn note(&mut self, name: Name, is_valid: bool) {
        self.0 |= Self::of(name) | u32::from(!is_valid) << 31;
    }
}

/// Of a comma-separated list.
pub(super) fn items(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

impl Entry {
    fn field(self, buffer: &[u8]) -> Field<'_> {
        Field {
            name: self.name,
            spelled: self.spelled.text(buffer),
            value: self.value.bytes(buffer),
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
