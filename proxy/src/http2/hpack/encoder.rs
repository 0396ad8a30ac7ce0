//! Fields written into header blocks. What is sent again goes into the table and costs an octet or two from then on; what
//! is sent once does not drive others out of it. No string is Huffman-coded: the code would cost more time than its bytes
//! are worth, for what repeats is in the table.

use super::table::{DEFAULT_MOST, DYNAMIC, OVERHEAD, Table, static_name};

/// Where fields are remembered, by the upper bits of their hashes.
const SLOTS: usize = 32;
const SLOT_SHIFT: u32 = u32::BITS - SLOTS.ilog2();

#[derive(Debug)]
pub struct Encoder {
    table: Table,
    slots: Option<Box<[Slot; SLOTS]>>,
    /// The number of the newest entry. It counts up and may wrap: an entry is compared before it is referred to.
    newest: u32,
    /// The least and the last that the table's size was set to since the last block.
    pending: Option<(usize, usize)>,
}

/// What is seen and what is in the table are apart, so that what never repeats takes no entry's place. Of each there are
/// two, the one that was needed last before the other, for some fields share a slot in every block.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// The hashes of fields that were seen here and had no entry.
    seen: [u32; 2],
    /// The numbers of entries.
    entries: [u32; 2],
}

/// How a literal is to be taken by who decodes it: the bits before its name's index, and those that the index has.
#[derive(Debug, Clone, Copy)]
struct Literal {
    flag: u8,
    mask: u8,
}

const INDEXED: Literal = Literal {
    flag: 0x40,
    mask: 0x3f,
};
const NOT_INDEXED: Literal = Literal {
    flag: 0x00,
    mask: 0x0f,
};
const NEVER_INDEXED: Literal = Literal {
    flag: 0x10,
    mask: 0x0f,
};

impl Encoder {
    /// Allocates nothing before the first field.
    pub const fn new() -> Self {
        Self {
            table: Table::new(),
            slots: None,
            newest: 0,
            pending: None,
        }
    }

    /// What the peer's SETTINGS_HEADER_TABLE_SIZE allows; we never use more than 4,096. The next block says so.
    pub fn set_most(&mut self, size: u32) {
        let size = DEFAULT_MOST.min(size as usize);
        let least = self.pending.map_or(size, |(least, _)| least.min(size));
        self.pending = Some((least, size));
    }

    /// Begins a block: writes pending size updates.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        let Some((least, last)) = self.pending.take() else {
            return;
        };
        // The other end has to see the least, for that is where its entries went.
        for size in [least, last] {
            if size != self.table.most() {
                self.table.set_most(size);
                write_integer(0x20, 0x1f, size, out);
            }
        }
    }

    pub fn status(&mut self, status: u16, out: &mut Vec<u8>) {
        let index = match status {
            200 => 8,
            204 => 9,
            206 => 10,
            304 => 11,
            400 => 12,
            404 => 13,
            500 => 14,
            _ => {
                let digit = |place| b'0' + (status / place % 10) as u8;
                self.field(b":status", &[digit(100), digit(10), digit(1)], out);
                return;
            }
        };
        out.push(0x80 | index);
    }

    /// `name` in any case: it is written in lower case. The caller has a valid name and value.
    pub fn field(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        // What takes much of the table drives out much.
        if name.len() + value.len() + OVERHEAD > self.table.most() / 4 {
            write_literal(NOT_INDEXED, name, value, out);
            return;
        }
        let hash = hash(name, value);
        let slots = self
            .slots
            .get_or_insert_with(|| Box::new([Slot::default(); SLOTS]));
        let slot = &mut slots[(hash >> SLOT_SHIFT) as usize % SLOTS];
        let [recent, other] = slot.entries;
        for entry in slot.entries {
            let number = self.newest.wrapping_sub(entry) as usize;
            if let Some((entry_name, entry_value)) = self.table.get(number)
                && entry_value == value
                && is_lower_case_of(entry_name, name)
            {
                if entry == other {
                    slot.entries = [other, recent];
                }
                write_integer(0x80, 0x7f, DYNAMIC + number, out);
                return;
            }
        }
        if !slot.seen.contains(&hash) {
            slot.seen = [hash, slot.seen[0]];
            write_literal(NOT_INDEXED, name, value, out);
            return;
        }
        if let Some(name) = write_literal(INDEXED, name, value, out) {
            self.newest = self.newest.wrapping_add(1);
            slot.entries = [self.newest, recent];
            self.table.insert(name, value);
        }
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Gives the name in lower case if the field has become an entry, which a secret never does, however it is asked for: a
/// table betrays what is in it by the size of what follows (RFC 7541, section 7.1).
fn write_literal<'a>(
    literal: Literal,
    name: &[u8],
    value: &[u8],
    out: &'a mut Vec<u8>,
) -> Option<&'a [u8]> {
    let known = static_name(name);
    let literal = match known {
        Some((_, name)) if is_secret(name) => NEVER_INDEXED,
        _ => literal,
    };
    let start = if let Some((index, _)) = known {
        write_integer(literal.flag, literal.mask, index, out);
        out.len()
    } else {
        out.push(literal.flag);
        write_integer(0, 0x7f, name.len(), out);
        let start = out.len();
        out.extend(name.iter().map(u8::to_ascii_lowercase));
        start
    };
    write_integer(0, 0x7f, value.len(), out);
    out.extend_from_slice(value);
    if literal.flag != INDEXED.flag {
        return None;
    }
    match known {
        Some((_, name)) => Some(name),
        None => out.get(start..start + name.len()),
    }
}

/// Of a name in lower case.
fn is_secret(name: &[u8]) -> bool {
    matches!(
        name,
        b"set-cookie"
            | b"cookie"
            | b"authorization"
            | b"www-authenticate"
            | b"proxy-authenticate"
            | b"proxy-authorization"
    )
}

/// One with these bits before it, in those of the mask and as many octets more as it takes.
#[inline]
fn write_integer(flag: u8, mask: u8, value: usize, out: &mut Vec<u8>) {
    let Some(mut rest) = value.checked_sub(usize::from(mask)) else {
        out.push(flag | value as u8);
        return;
    };
    out.push(flag | mask);
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Of the name in any case and the value; its upper bits are the best. Whoever makes two fields collide has them sent as
/// literals, or indexed for nothing, and that is all.
fn hash(name: &[u8], value: &[u8]) -> u32 {
    // That of lower-case letters; what else has it is the same for all spellings of a name.
    const CASE: u64 = 0x2020_2020_2020_2020;
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(FACTOR);
    let lengths = (name.len() as u64) << 32 | value.len() as u64;
    let mut hash = mix(lengths, ends(name) | CASE);
    let (words, rest) = value.as_chunks();
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let last = value.last_chunk();
        hash = mix(
            hash,
            last.map_or_else(|| ends(value), |last| u64::from_le_bytes(*last)),
        );
    }
    (hash >> 32) as u32
}

/// The first four bytes and the last, which may be the same in part; of fewer, all of them.
fn ends(text: &[u8]) -> u64 {
    match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
        }
        _ => text
            .iter()
            .fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// Whether that is the name in lower case; eight bytes at a time, the last ones perhaps twice.
fn is_lower_case_of(lower_case: &[u8], name: &[u8]) -> bool {
    if lower_case.len() != name.len() {
        return false;
    }
    let (Some(last), Some(last_of_name)) = (lower_case.last_chunk(), name.last_chunk()) else {
        return lower_case.eq_ignore_ascii_case(name);
    };
    let same = |one: &[u8; 8], other: &[u8; 8]| {
        u64::from_le_bytes(*one) == lower(u64::from_le_bytes(*other))
    };
    let words = lower_case.as_chunks().0.iter().zip(name.as_chunks().0);
    same(last, last_of_name) && words.into_iter().all(|(one, other)| same(one, other))
}

/// Eight letters made lower case at once.
fn lower(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const TOP: u64 = 0x80 * EACH;
    let rest = word & !TOP;
    // The top bit of each byte: set from 'A' on, and behind 'Z'.
    let from_a = rest + (0x80 - u64::from(b'A')) * EACH;
    let past_z = rest + (0x7f - u64::from(b'Z')) * EACH;
    let upper = (from_a ^ past_z) & !word & TOP;
    word | upper >> 2
}

#[cfg(test)]
mod tests;
