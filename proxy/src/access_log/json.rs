//! One JSON object, written straight to the end of a buffer: what the values of a line are made of, and nothing else of
//! JSON. Text may be any bytes; what is not UTF-8 in it is shown as U+FFFD.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use wide::u8x16;

/// Bytes that are looked at together.
const RUN: usize = 16;

/// The two digits of each number below 100.
const PAIRS: [[u8; 2]; 100] = pairs();

/// Every number of an IPv4 address with a dot, and how long that is.
const OCTETS: [([u8; 4], u8); 256] = octets();

/// The end of a buffer.
pub(super) struct Json<'b>(pub(super) &'b mut Vec<u8>);

/// A key with what stands around it, after another one.
macro_rules! key {
    ($key:literal) => {
        concat!(",\"", $key, "\":")
    };
}
pub(super) use key;

impl Json<'_> {
    /// As it is: a key, or a part of a text that needs no escapes.
    #[inline]
    pub(super) fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A text of parts, between quotes.
    #[inline]
    pub(super) fn text(&mut self, parts: impl FnOnce(&mut Self)) {
        self.0.push(b'"');
        parts(self);
        self.0.push(b'"');
    }

    /// `null` if there is no value.
    #[inline]
    pub(super) fn maybe<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => write(self, value),
            None => self.raw("null"),
        }
    }

    /// A text of the program's own.
    #[inline]
    pub(super) fn word(&mut self, word: &'static str) {
        self.text(|json| json.raw(word));
    }

    /// A part of a text that others wrote.
    pub(super) fn escaped(&mut self, bytes: &[u8]) {
        let plain = if let Some(last) = bytes.last_chunk() {
            // It may look at bytes again: sixteen are no dearer than one.
            let runs = bytes.as_chunks().0.iter();
            runs.chain([last]).all(is_plain)
        } else {
            let mut run = [b' '; RUN];
            run[..bytes.len()].copy_from_slice(bytes);
            is_plain(&run)
        };
        if plain {
            self.0.extend_from_slice(bytes);
        } else {
            self.special(bytes);
        }
    }

    #[cold]
    fn special(&mut self, bytes: &[u8]) {
        for chunk in bytes.utf8_chunks() {
            for byte in chunk.valid().bytes() {
                let short = match byte {
                    b'"' | b'\\' => byte,
                    b'\n' => b'n',
                    b'\r' => b'r',
                    b'\t' => b't',
                    0x08 => b'b',
                    0x0c => b'f',
                    0..0x20 => {
                        self.raw("\\u00");
                        self.0.extend_from_slice(&hex(byte));
                        continue;
                    }
                    _ => {
                        self.0.push(byte);
                        continue;
                    }
                };
                self.0.extend_from_slice(&[b'\\', short]);
            }
            if !chunk.invalid().is_empty() {
                self.raw("\u{fffd}");
            }
        }
    }

    pub(super) fn number(&mut self, number: u64) {
        let mut digits = [0; 20];
        let length = 1 + number.checked_ilog10().unwrap_or(0) as usize;
        let mut left = number;
        let mut pairs = digits[..length].rchunks_exact_mut(2);
        for pair in &mut pairs {
            pair.copy_from_slice(&PAIRS[(left % 100) as usize]);
            left /= 100;
        }
        if let [first] = pairs.into_remainder() {
            *first = b'0' + left as u8;
        }
        self.first_of(digits, length);
    }

    /// A copy of a size that the compiler knows takes a few instructions, any other a call.
    #[inline]
    fn first_of<const N: usize>(&mut self, bytes: [u8; N], length: usize) {
        let end = self.0.len() + length;
        self.0.extend_from_slice(&bytes);
        self.0.truncate(end);
    }

    /// All 32 digits.
    pub(super) fn hex_id(&mut self, id: u128) {
        let digits = id.to_be_bytes().map(hex);
        self.0.extend_from_slice(digits.as_flattened());
    }

    /// In seconds with up to three decimals, as the ALB writes times; -1 for none.
    pub(super) fn seconds(&mut self, time: Option<Duration>) {
        let Some(time) = time else {
            return self.raw("-1.0");
        };
        let rounded = (time.subsec_micros() + 500) / 1000;
        self.number(time.as_secs() + u64::from(rounded / 1000));
        let millis = rounded % 1000;
        let [first, second] = PAIRS[(millis / 10) as usize];
        let third = b'0' + (millis % 10) as u8;
        let length = match (second, third) {
            (b'0', b'0') => 2,
            (_, b'0') => 3,
            _ => 4,
        };
        self.first_of([b'.', first, second, third], length);
    }

    #[inline]
    pub(super) fn timestamp(&mut self, time: SystemTime) {
        self.text(|json| json.time(time));
    }

    /// `2026-11-24T21:45:57.123456Z`
    pub(super) fn time(&mut self, time: SystemTime) {
        let time = OffsetDateTime::from(time);
        let (year, month, day) = time.to_calendar_date();
        let year = year.unsigned_abs();
        let (hour, minute, second, micros) = time.to_hms_micro();
        let pair = |number: u32| PAIRS[(number % 100) as usize];
        let [[y1, y2], [y3, y4]] = [pair(year / 100), pair(year)];
        let [[o1, o2], [d1, d2]] = [u8::from(month), day].map(|number| pair(number.into()));
        let [[h1, h2], [m1, m2], [s1, s2]] =
            [hour, minute, second].map(|number| pair(number.into()));
        let [[f1, f2], [f3, f4], [f5, f6]] = [micros / 10_000, micros / 100, micros].map(pair);
        self.0.extend_from_slice(&[
            y1, y2, y3, y4, b'-', o1, o2, b'-', d1, d2, b'T', h1, h2, b':', m1, m2, b':', s1, s2,
            b'.', f1, f2, f3, f4, f5, f6, b'Z',
        ]);
    }

    pub(super) fn ip(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => {
                for octet in address.octets() {
                    let (text, length) = OCTETS[usize::from(octet)];
                    self.first_of(text, length.into());
                }
                // The last dot.
                self.0.pop();
            }
            IpAddr::V6(address) => {
                // Writing to memory cannot fail.
                let _ = write!(self.0, "{address}");
            }
        }
    }

    pub(super) fn address(&mut self, address: SocketAddr) {
        match address {
            SocketAddr::V4(address) => {
                self.ip((*address.ip()).into());
                self.0.push(b':');
                self.number(address.port().into());
            }
            SocketAddr::V6(address) => {
                let _ = write!(self.0, "{address}");
            }
        }
    }
}

/// All of it is ASCII, and nothing in it needs an escape.
#[inline]
fn is_plain(run: &[u8; RUN]) -> bool {
    let bytes = u8x16::from(*run);
    let control = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
    let quote = bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\'));
    // What is not ASCII has its highest bit set by itself.
    (control | quote | bytes).to_bitmask() == 0
}

fn hex(byte: u8) -> [u8; 2] {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)])
}

const fn octets() -> [([u8; 4], u8); 256] {
    let mut octets = [([0; 4], 0); 256];
    let mut number = 0;
    while number < 256 {
        let [tens, ones] = PAIRS[number % 100];
        octets[number] = match number {
            0..10 => ([ones, b'.', 0, 0], 2),
            10..100 => ([tens, ones, b'.', 0], 3),
            _ => ([b'0' + (number / 100) as u8, tens, ones, b'.'], 4),
        };
        number += 1;
    }
    octets
}

const fn pairs() -> [[u8; 2]; 100] {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
}

#[cfg(test)]
mod tests;
