//! Where in a text the bytes are that a head is read by: looked for many at once, with what vector instructions every
//! processor of its kind has. What they mean is for others.

use wide::u8x16;

const PART: usize = 16;
const BLOCK: usize = 4 * PART;

/// Goes through a text from control to control; a tab is none.
#[derive(Debug, Clone)]
pub(super) struct Controls<'a> {
    text: &'a [u8],
    /// Where the block begins that was looked at last, and a bit for each control in it.
    block: usize,
    found: u64,
}

impl<'a> Controls<'a> {
    pub(super) fn of(text: &'a [u8]) -> Self {
        Self {
            text,
            block: 0,
            found: controls_at(text, 0),
        }
    }

    /// Where the first control at or behind `start` is, or the end of the text. Never goes back.
    #[inline]
    pub(super) fn next(&mut self, start: usize) -> usize {
        // In the block at hand, as often as not.
        let passed = start.saturating_sub(self.block);
        if passed < BLOCK {
            let ahead = self.found >> passed;
            if ahead != 0 {
                return self.block + passed + ahead.trailing_zeros() as usize;
            }
        }
        self.search(start)
    }

    #[inline(never)]
    fn search(&mut self, start: usize) -> usize {
        let mut block = (self.block + BLOCK).max(start - start % BLOCK);
        while block < self.text.len() {
            let passed = start.saturating_sub(block);
            let found = controls_at(self.text, block);
            let ahead = found >> passed;
            if ahead != 0 {
                (self.block, self.found) = (block, found);
                return block + passed + ahead.trailing_zeros() as usize;
            }
            block += BLOCK;
        }
        self.text.len()
    }
}

fn controls_at(text: &[u8], start: usize) -> u64 {
    let rest = text.get(start..).unwrap_or_default();
    if let Some(block) = rest.first_chunk() {
        return controls(block);
    }
    let mut block = [b' '; BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    controls(&block)
}

fn controls(block: &[u8; BLOCK]) -> u64 {
    let (parts, _) = block.as_chunks::<PART>();
    parts.iter().rev().fold(0, |found, part| {
        let bytes = u8x16::from(*part);
        let below_space = at_most(bytes, 0x1f) & !bytes.simd_eq(u8x16::splat(b'\t'));
        let delete = bytes.simd_eq(u8x16::splat(0x7f));
        found << PART | u64::from((below_space | delete).to_bitmask())
    })
}

/// How many bytes there are before the first control that is not a tab.
pub(crate) fn text_length(text: &[u8]) -> usize {
    Controls::of(text).next(0)
}

/// How many bytes of a token there are before anything else, and whether these are letters, digits and hyphens only.
#[inline]
pub(crate) fn token(text: &[u8]) -> (usize, bool) {
    let mut length = 0;
    // Nearly all names are letters and hyphens, and are looked at in one step.
    if let Some(part) = text.first_chunk::<PART>() {
        let bytes = u8x16::from(*part);
        let from_a = (bytes | u8x16::splat(0x20)) - u8x16::splat(b'a');
        let of_names = at_most(from_a, b'z' - b'a') | bytes.simd_eq(u8x16::splat(b'-'));
        length = of_names.to_bitmask().trailing_ones() as usize;
        if text.get(length) == Some(&b':') {
            return (length, true);
        }
    }
    let rest = text.get(length..).unwrap_or_default();
    let mut kinds = TOKEN | PLAIN;
    for byte in rest {
        let kind = KINDS[usize::from(*byte)];
        if kind == 0 {
            break;
        }
        kinds &= kind;
        length += 1;
    }
    (length, kinds & PLAIN != 0)
}

fn at_most(bytes: u8x16, most: u8) -> u8x16 {
    bytes.min(u8x16::splat(most)).simd_eq(bytes)
}

/// The characters of methods and of field names.
pub(super) fn is_token(byte: u8) -> bool {
    KINDS[usize::from(byte)] != 0
}

const TOKEN: u8 = 1;
/// What names may have for an ALB to call them valid.
const PLAIN: u8 = 2;

const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = b'!';
    while byte < 0x7f {
        kinds[byte as usize] = match byte {
            b'-' => TOKEN | PLAIN,
            _ if byte.is_ascii_alphanumeric() => TOKEN | PLAIN,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'.' | b'^' | b'_' | b'`'
            | b'|' | b'~' => TOKEN,
            _ => 0,
        };
        byte += 1;
    }
    kinds
};

#[cfg(test)]
mod tests;
