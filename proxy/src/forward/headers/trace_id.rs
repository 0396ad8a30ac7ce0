//! `X-Amzn-Trace-Id`: what a client sent of it and what is added here.

use crate::http1::{Name, RequestHead};

/// Bytes of a head, its path and query aside, up to which what a client sent is kept.
const MOST: usize = 7 * 1024;

/// `Root=1-TIME-RANDOM`, or what the client sent with an id of ours in front: a `Self`, in place of any other, or a `Root`
/// where it sent neither. Among large header fields it is replaced as a whole.
pub fn trace_id(head: &RequestHead, now: u64, random: u128, merged: &mut Vec<u8>) {
    let received = head.fields().get(Name::XAmznTraceId);
    let received = received
        .filter(|_| head.wire_size().saturating_sub(head.path_and_query().len()) <= MOST)
        .unwrap_or_default();
    if received.is_empty() {
        merged.extend_from_slice(b"Root=1-");
        return write_id(now, random, merged);
    }
    let parts = || {
        received
            .split(|byte| *byte == b';')
            .map(<[u8]>::trim_ascii)
            .filter(|part| !part.is_empty())
    };
    let is_id = |part: &[u8]| part.starts_with(b"Root=") || part.starts_with(b"Self=");
    let has_id = parts().any(is_id);
    merged.extend_from_slice(if has_id { b"Self=1-" } else { b"Root=1-" });
    write_id(now, random, merged);
    for part in parts().filter(|part| !part.starts_with(b"Self=")) {
        merged.push(b';');
        merged.extend_from_slice(part);
    }
}

/// `TIME-RANDOM`, in 8 and 24 digits.
fn write_id(now: u64, random: u128, out: &mut Vec<u8>) {
    let [.., t0, t1, t2, t3] = now.to_be_bytes();
    let [_, _, _, _, random @ ..] = random.to_be_bytes();
    let mut id = [b'-'; 33];
    id[..8].copy_from_slice(hexadecimal([t0, t1, t2, t3]).as_flattened());
    id[9..].copy_from_slice(hexadecimal::<12>(random).as_flattened());
    out.extend_from_slice(&id);
}

/// Two digits a byte.
fn hexadecimal<const N: usize>(bytes: [u8; N]) -> [[u8; 2]; N] {
    bytes.map(|byte| PAIRS[usize::from(byte)])
}

/// The digits of every byte: one look instead of two and what is around them.
static PAIRS: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};
