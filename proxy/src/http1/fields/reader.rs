//! Field lines, read: where in each the name and the value lie.

use std::ops::Range;

use super::{Entry, Fields, Name, Span};
use crate::http1::Malformed;
use crate::http1::lines::is_token;

/// Takes the lines of a block one by one; the block is copied at the end, in one run.
#[derive(Debug)]
pub(in crate::http1) struct FieldsReader {
    entries: Vec<Entry>,
}

impl Default for FieldsReader {
    fn default() -> Self {
        Self {
            // As a browser's request has.
            entries: Vec::with_capacity(24),
        }
    }
}

impl FieldsReader {
    /// A line of the block that is not empty.
    pub(in crate::http1) fn line(
        &mut self,
        block: &[u8],
        line: Range<usize>,
    ) -> Result<(), Malformed> {
        let start = line.start;
        let text = block.get(line).unwrap_or_default();
        let length = text.iter().position(|byte| !is_token(*byte));
        let (spelled, rest) = text.split_at(length.unwrap_or(text.len()));
        let [b':', padded @ ..] = rest else {
            return Err(malformed(spelled, rest));
        };
        if spelled.is_empty() {
            return Err(Malformed::EmptyFieldName);
        }
        let value = without_blanks(padded);
        let value_start = start + text.len() - padded.len() + value.start;
        self.entries.push(Entry {
            name: Name::of(spelled),
            spelled: Span::new(start..start + spelled.len()),
            value: Span::new(value_start..value_start + value.len()),
        });
        Ok(())
    }

    pub(in crate::http1) fn finish(self, block: &[u8]) -> Fields {
        Fields {
            bytes: block.to_vec(),
            entries: self.entries,
        }
    }
}

/// Where the text lies that has no blanks around it.
fn without_blanks(text: &[u8]) -> Range<usize> {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
    match text.iter().position(is_text) {
        Some(start) => {
            let last = text.iter().rposition(is_text).unwrap_or(start);
            start..last + 1
        }
        None => 0..0,
    }
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
