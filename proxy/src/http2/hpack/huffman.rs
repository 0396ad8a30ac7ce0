//! Strings in the Huffman code of RFC 7541 (appendix B), decoded. We write none, so there is no encoder outside of the
//! tests.

use super::Broken;

/// How many bits the code of each byte has. These say all: among codes of one length the order is that of the bytes, a
/// longer code follows upon the shorter ones, and the last is that of the string's end, with [`LONGEST`] bits.
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, //
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, //
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, //
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, //
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, //
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, //
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, //
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, //
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, //
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, //
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, //
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, //
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, //
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, //
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, //
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, //
];

const SHORTEST: usize = 5;
const LONGEST: usize = 30;

/// The codes that one look into [`SHORT`] decodes. Ten bits have nearly all of printable ASCII, in two KiB.
const SHORT_BITS: usize = 10;

/// Those of a word that can be relied upon, wherever in a byte it begins.
const WORD_BITS: usize = 57;

/// By the next bits: the length of a code and, above it, its byte; zero, if the code is longer.
static SHORT: [u16; 1 << SHORT_BITS] = short();

/// The bytes by their codes.
static IN_ORDER: [u8; 256] = in_order();

/// The codes of one length.
#[derive(Clone, Copy)]
struct Rank {
    bits: usize,
    /// The first of them and what follows upon the last, each filled up to [`LONGEST`] bits.
    first: u32,
    end: u32,
    /// How many codes are shorter.
    before: usize,
}

static RANKS: [Rank; LONGEST - SHORTEST + 1] = ranks();

/// Appends what the text says.
pub(super) fn decode(text: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
    let start = out.len();
    out.resize(start + text.len() * 8 / SHORTEST, 0);
    let room = out.get_mut(start..).unwrap_or_default();
    let length = decode_into(text, room)?;
    out.truncate(start + length);
    Ok(())
}

fn decode_into(text: &[u8], room: &mut [u8]) -> Result<usize, Broken> {
    let end = text.len() * 8;
    // Of the text in bits, of the room in bytes.
    let (mut at, mut length) = (0, 0);
    while at < end {
        let mut word = word_at(text, at);
        let last = at + WORD_BITS - SHORT_BITS;
        // A code that goes beyond the end is seen later: there are only ones from there on, which no short code is.
        while at <= last {
            let code = SHORT[(word >> (u64::BITS as usize - SHORT_BITS)) as usize];
            let (mut bits, mut byte) = (usize::from(code & 0xff), (code >> 8) as u8);
            if bits == 0 {
                let left = end.checked_sub(at).ok_or(Broken)?;
                if left < 8 && word | (u64::MAX >> left) == u64::MAX {
                    return Ok(length);
                }
                word = word_at(text, at);
                (byte, bits) = long(word)?;
            }
            *room.get_mut(length).ok_or(Broken)? = byte;
            length += 1;
            at += bits;
            word <<= bits;
        }
    }
    if at > end { Err(Broken) } else { Ok(length) }
}

/// The text from this bit on, filled up with ones, as its padding is.
#[inline]
fn word_at(text: &[u8], bit: usize) -> u64 {
    let rest = text.get(bit / 8..).unwrap_or_default();
    let word = match rest.first_chunk() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => last_word(text, rest),
    };
    word << (bit % 8)
}

/// Of a rest that is shorter than a word.
#[inline]
fn last_word(text: &[u8], rest: &[u8]) -> u64 {
    let lowest = match text.last_chunk() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => rest
            .iter()
            .fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    let missing = u64::BITS - 8 * rest.len() as u32;
    lowest.unbounded_shl(missing) | !u64::MAX.unbounded_shl(missing)
}

/// The byte at the beginning of a word, and the length of its code; the string's end has no place in a string.
#[inline(never)]
fn long(word: u64) -> Result<(u8, usize), Broken> {
    let code = (word >> (u64::BITS as usize - LONGEST)) as u32;
    let rank = RANKS.iter().find(|rank| code < rank.end).ok_or(Broken)?;
    let position = rank.before + ((code - rank.first) >> (LONGEST - rank.bits)) as usize;
    let byte = IN_ORDER.get(position).ok_or(Broken)?;
    Ok((*byte, rank.bits))
}

const fn in_order() -> [u8; 256] {
    let mut bytes = [0; 256];
    let mut count = 0;
    let mut bits = SHORTEST;
    while bits <= LONGEST {
        let mut byte = 0;
        while byte < LENGTHS.len() {
            if LENGTHS[byte] as usize == bits {
                bytes[count] = byte as u8;
                count += 1;
            }
            byte += 1;
        }
        bits += 1;
    }
    bytes
}

const fn ranks() -> [Rank; LONGEST - SHORTEST + 1] {
    let none = Rank {
        bits: 0,
        first: 0,
        end: 0,
        before: 0,
    };
    let mut ranks = [none; LONGEST - SHORTEST + 1];
    let (mut first, mut before) = (0, 0);
    let mut bits = SHORTEST;
    while bits <= LONGEST {
        // That of the string's end.
        let mut count = (bits == LONGEST) as usize;
        let mut byte = 0;
        while byte < LENGTHS.len() {
            count += (LENGTHS[byte] as usize == bits) as usize;
            byte += 1;
        }
        let end = first + ((count as u32) << (LONGEST - bits));
        ranks[bits - SHORTEST] = Rank {
            bits,
            first,
            end,
            before,
        };
        (first, before) = (end, before + count);
        bits += 1;
    }
    ranks
}

const fn short() -> [u16; 1 << SHORT_BITS] {
    let (in_order, ranks) = (in_order(), ranks());
    let mut codes = [0; 1 << SHORT_BITS];
    let mut rank = 0;
    while ranks[rank].bits <= SHORT_BITS {
        let Rank {
            bits,
            first,
            end,
            before,
        } = ranks[rank];
        let start = (first >> (LONGEST - SHORT_BITS)) as usize;
        let mut code = start;
        while code < (end >> (LONGEST - SHORT_BITS)) as usize {
            let byte = in_order[before + ((code - start) >> (SHORT_BITS - bits))];
            codes[code] = bits as u16 | (byte as u16) << 8;
            code += 1;
        }
        rank += 1;
    }
    codes
}

#[cfg(test)]
pub(super) mod tests;
