//! Field lines, read: where in each the name and the value lie.

use super::{Entry, Fields, Marks, Name, Span};
use crate::http1::Malformed;
use crate::http1::lines::Line;
use crate::http1::scan::token;

/// Takes the lines of a block one by one; the block is copied at the end, in one run.
#[derive(Debug)]
pub(in crate::http1) struct FieldsReader {
    entries: Vec<Entry>,
    marks: Marks,
}

impl Default for FieldsReader {
    fn default() -> Self {
        Self {
            // As a browser's request has.
            entries: Vec::with_capacity(24),
            marks: Marks::default(),
        }
    }
}

impl FieldsReader {
    /// A line of the block that is not empty.
    pub(in crate::http1) fn line(&mut self, line: Line<'_>) -> Result<(), Malformed> {
        let text = line.text;
        // Looked for in more than the line, so that most names are seen at once: a line's end is no token.
        let (length, is_plain) = token(line.rest);
        let (spelled, rest) = text.split_at(length);
        let [b':', padded @ ..] = rest else {
            return Err(malformed(spelled, rest));
        };
        if spelled.is_empty() {
            return Err(Malformed::EmptyFieldName);
        }
        let value = without_blanks_before(padded);
        let start = line.start + text.len() - value.len();
        let value = without_blanks_behind(value);
        let name = Name::of(spelled);
        self.marks.note(name, is_plain);
        self.entries.push(Entry {
            name,
            spelled: Span::new(line.start, spelled.len()),
            value: Span::new(start, value.len()),
        });
        Ok(())
    }

    pub(in crate::http1) fn finish(self, block: &[u8]) -> Fields {
        Fields {
            buffer: block.to_vec(),
            entries: self.entries,
            marks: self.marks,
        }
    }
}

fn without_blanks_before(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = text {
        text = rest;
    }
    text
}

fn without_blanks_behind(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// What is wrong with a line that has no colon behind a name.
fn malformed(spelled: &[u8], rest: &[u8]) -> Malformed {
    let colon = rest.iter().position(|byte| *byte == b':');
    let before = rest.get(..colon.unwrap_or(0)).unwrap_or_default();
    match rest {
        [b' ' | b'\t', ..] if spelled.is_empty() => Malformed::FoldedField,
        _ if colon.is_none() => Malformed::MissingColon,
        _ if before.iter().all(|byte| matches!(byte, b' ' | b'\t')) => Malformed::BlankBeforeColon,
        _ => Malformed::FieldName,
    }
}

#[cfg(test)]
mod tests;
