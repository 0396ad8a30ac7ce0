//! `X-Amzn-Trace-Id`: what a client sent of it and what is added here.

use crate::http1::{Name, RequestHead};

/// Bytes of a head up to which what a client sent is kept.
const MOST: usize = 7 * 1024;

/// `Root=1-TIME-RANDOM`, or what the client sent with a `Self` of ours in front, in place of any other `Self`. In a large
/// head it is replaced as a whole.
pub fn trace_id(head: &RequestHead, now: u64, random: u128, merged: &mut Vec<u8>) {
    let received = head.fields().get(Name::XAmznTraceId);
    let received = received
        .filter(|_| head.wire_size() <= MOST)
        .unwrap_or_default();
    let parts = || {
        received
            .split(|byte| *byte == b';')
            .map(<[u8]>::trim_ascii)
            .filter(|part| !part.is_empty())
    };
    let has_root = parts().any(|part| part.starts_with(b"Root="));
    merged.extend_from_slice(if has_root { b"Self=1-" } else { b"Root=1-" });
    merged.extend_from_slice(&hexadecimal::<8>(now.into()));
    merged.push(b'-');
    merged.extend_from_slice(&hexadecimal::<24>(random));
    for part in parts().filter(|part| !part.starts_with(b"Self=")) {
        merged.push(b';');
        merged.extend_from_slice(part);
    }
}

/// The lowest `N` digits.
fn hexadecimal<const N: usize>(mut number: u128) -> [u8; N] {
    let mut digits = [0; N];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
    }
    digits
}
