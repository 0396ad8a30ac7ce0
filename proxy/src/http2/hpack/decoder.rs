//! Header blocks read, strictly: what RFC 7541 forbids breaks the block. Whether a name or a value may be in a message is
//! not asked here.

use std::ops::Range;

use super::huffman;
use super::table::{DYNAMIC, Field, STATIC, Table};

/// A block that cannot be decoded: the connection's table is lost with it (COMPRESSION_ERROR).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

#[derive(Debug)]
pub struct Decoder {
    table: Table,
    /// What the other end may make of the table's size.
    most: usize,
}

/// The rest of a block.
struct Reader<'a>(&'a [u8]);

/// A string of a literal: as it stands in the block, or where it was decoded to.
enum Text<'a> {
    Plain(&'a [u8]),
    Decoded(Range<usize>),
}

impl Decoder {
    /// `most`: the table's size that we have announced (SETTINGS_HEADER_TABLE_SIZE). The table begins with 4,096 even so,
    /// for that is what the other end counts with until it says otherwise in a block.
    pub fn new(most: usize) -> Self {
        Self {
            table: Table::new(),
            most,
        }
    }

    /// Decodes one whole header block. `field` is given name and value of each field in order. It is called for every
    /// field even when the caller has stopped to care, so that the table stays in step. `scratch` is for strings in the
    /// Huffman code; it gets no longer than twice the block.
    pub fn decode(
        &mut self,
        block: &[u8],
        scratch: &mut Vec<u8>,
        mut field: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), Broken> {
        let mut rest = Reader(block);
        self.read_sizes(&mut rest)?;
        while let Some(first) = rest.octet() {
            if first & 0x80 != 0 {
                let index = rest.integer(first, 0x7f)?;
                let (name, value) = self.indexed(index)?;
                field(name, value);
            } else if first & 0x40 != 0 {
                let index = rest.integer(first, 0x3f)?;
                self.literal(index, true, &mut rest, scratch, &mut field)?;
            } else if first & 0x20 != 0 {
                // Sizes stand at the beginning, or nowhere.
                return Err(Broken);
            } else {
                // Without indexing, now or ever: who passes on the field decides anew.
                let index = rest.integer(first, 0x0f)?;
                self.literal(index, false, &mut rest, scratch, &mut field)?;
            }
        }
        Ok(())
    }

    /// What the table's size is to be: not said, said once, or its least and its last since the block before.
    fn read_sizes(&mut self, rest: &mut Reader<'_>) -> Result<(), Broken> {
        for _ in 0..2 {
            let Some(first) = rest.0.first().copied() else {
                return Ok(());
            };
            if first & 0xe0 != 0x20 {
                return Ok(());
            }
            rest.octet();
            let size = rest.integer(first, 0x1f)?;
            if size > self.most {
                return Err(Broken);
            }
            self.table.set_most(size);
        }
        Ok(())
    }

    #[inline]
    fn indexed(&self, index: usize) -> Result<Field<'_>, Broken> {
        // Zero is past both tables.
        match STATIC.get(index.wrapping_sub(1)) {
            Some(field) => Ok(*field),
            None => self.table.get(index.wrapping_sub(DYNAMIC)).ok_or(Broken),
        }
    }

    fn literal(
        &mut self,
        index: usize,
        indexing: bool,
        rest: &mut Reader<'_>,
        scratch: &mut Vec<u8>,
        field: &mut impl FnMut(&[u8], &[u8]),
    ) -> Result<(), Broken> {
        scratch.clear();
        if index == 0 {
            let name = rest.string(scratch)?;
            let value = rest.string(scratch)?;
            let (name, value) = (name.bytes(scratch), value.bytes(scratch));
            field(name, value);
            if indexing {
                self.table.insert(name, value);
            }
            return Ok(());
        }
        let value = rest.string(scratch)?;
        let value = value.bytes(scratch);
        let (name, _) = self.indexed(index)?;
        field(name, value);
        if indexing {
            match STATIC.get(index - 1) {
                Some((name, _)) => self.table.insert(name, value),
                None => self.table.insert_named_as(index - DYNAMIC, value),
            }
        }
        Ok(())
    }
}

impl<'a> Reader<'a> {
    #[inline]
    fn octet(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// One that begins in this octet, in the bits of the mask.
    #[inline]
    fn integer(&mut self, first: u8, mask: u8) -> Result<usize, Broken> {
        let prefix = first & mask;
        if prefix < mask {
            return Ok(usize::from(prefix));
        }
        self.long_integer(mask)
    }

    /// One that does not fit into its first octet. Four more have all that a block may need.
    #[inline(never)]
    fn long_integer(&mut self, mask: u8) -> Result<usize, Broken> {
        let mut value = usize::from(mask);
        for shift in [0, 7, 14, 21] {
            let octet = self.octet().ok_or(Broken)?;
            value += usize::from(octet & 0x7f) << shift;
            if octet & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Broken)
    }

    #[inline]
    fn string(&mut self, scratch: &mut Vec<u8>) -> Result<Text<'a>, Broken> {
        let first = self.octet().ok_or(Broken)?;
        let length = self.integer(first, 0x7f)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Broken)?;
        self.0 = rest;
        if first & 0x80 == 0 {
            return Ok(Text::Plain(text));
        }
        let start = scratch.len();
        huffman::decode(text, scratch)?;
        Ok(Text::Decoded(start..scratch.len()))
    }
}

impl<'a> Text<'a> {
    #[inline]
    fn bytes(self, scratch: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Plain(text) => text,
            Self::Decoded(range) => scratch.get(range).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests;
