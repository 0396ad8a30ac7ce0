use super::*;

/// The code of each byte and its length, as the lengths give them, in the plainest way.
fn codes() -> [(u32, u8); 256] {
    let mut codes = [(0, 0); 256];
    let mut next = 0;
    for bits in 1..=30 {
        next <<= 1;
        for (byte, length) in LENGTHS.iter().enumerate() {
            if *length == bits {
                codes[byte] = (next, bits);
                next += 1;
            }
        }
    }
    codes
}

/// Bits as text, for strings that no encoder would write.
pub(in super::super) fn packed(bits: &str) -> Vec<u8> {
    bits.as_bytes()
        .chunks(8)
        .map(|octet| {
            let bits = octet.iter().chain(b"11111111").take(8);
            bits.fold(0, |octet, bit| octet << 1 | (bit - b'0'))
        })
        .collect()
}

fn bits_of(text: &[u8]) -> String {
    let codes = codes();
    let code = |byte: &u8| {
        let (code, bits) = codes[usize::from(*byte)];
        format!("{code:0width$b}", width = usize::from(bits))
    };
    text.iter().map(code).collect()
}

pub(in super::super) fn encoded(text: &[u8]) -> Vec<u8> {
    packed(&bits_of(text))
}

fn decoded(text: &[u8]) -> Result<Vec<u8>, Broken> {
    let mut out = b"before".to_vec();
    decode(text, &mut out)?;
    assert!(out.capacity() <= 32 + text.len() * 4, "{}", out.capacity());
    Ok(out.split_off(6))
}

#[test]
fn the_code_is_complete_and_that_of_the_rfc() {
    let end_of_string = 1_u64;
    let all: u64 = LENGTHS.iter().map(|bits| 1 << (30 - bits)).sum();
    assert_eq!(all + end_of_string, 1 << 30);
    let codes = codes();
    for (byte, code) in [
        (b'0', (0x0, 5)),
        (b't', (0x9, 5)),
        (b' ', (0x14, 6)),
        (b':', (0x5c, 7)),
        (b'&', (0xf8, 8)),
        (b'!', (0x3f8, 10)),
        (b'|', (0x7fc, 11)),
        (b'#', (0xffa, 12)),
        (b'~', (0x1ffd, 13)),
        (b'^', (0x3ffc, 14)),
        (b'<', (0x7ffc, 15)),
        (b'\\', (0x0007_fff0, 19)),
        (128, (0x000f_ffe6, 20)),
        (0, (0x1ff8, 13)),
        (192, (0x03ff_ffe0, 26)),
        (255, (0x03ff_ffee, 26)),
        (b'\n', (0x3fff_fffc, 30)),
        (22, (0x3fff_fffe, 30)),
    ] {
        assert_eq!(codes[usize::from(byte)], code, "{byte}");
    }
}

#[test]
fn every_byte_comes_back_in_every_place() {
    for byte in 0..=u8::MAX {
        for before in 0..10 {
            for behind in 0..10 {
                // Codes of five, six and seven bits put it at every bit of an octet.
                let mut text = b"a-Ba-Ba-Ba"[..before].to_vec();
                text.push(byte);
                text.extend(&b"X/2X/2X/2X"[..behind]);
                assert_eq!(decoded(&encoded(&text)).as_ref(), Ok(&text));
            }
        }
    }
    let all: Vec<u8> = (0..=u8::MAX).chain((0..=u8::MAX).rev()).collect();
    assert_eq!(decoded(&encoded(&all)), Ok(all));
    assert_eq!(decoded(b""), Ok(Vec::new()));
}

#[test]
fn padding_is_less_than_an_octet_of_ones() {
    for text in ["a", "aa", "www.example.com", "0123456789abcdef", "{\n}"] {
        let bits = bits_of(text.as_bytes());
        let good = packed(&bits);
        assert_eq!(decoded(&good), Ok(text.as_bytes().to_vec()));
        let padding = good.len() * 8 - bits.len();
        for place in 0..padding {
            let mut bad = good.clone();
            *bad.last_mut().unwrap() ^= 1 << place;
            assert_ne!(decoded(&bad), decoded(&good), "{text} without bit {place}");
        }
        for more in [1, 2, 3, 4, 8] {
            let long = [good.clone(), vec![0xff; more]].concat();
            assert_eq!(decoded(&long), Err(Broken), "{text} and {more}");
        }
    }
    for bad in [&[0xff][..], &[0xff; 2], &[0xff; 3], &[0xff; 4], &[0xff; 9]] {
        assert_eq!(decoded(bad), Err(Broken), "{bad:x?}");
    }
    // 'a' and three bits that are neither ones nor a byte.
    for bits in ["00011000", "00011110", "00011101", "00011011"] {
        assert_eq!(decoded(&packed(bits)), Err(Broken), "{bits}");
    }
}

#[test]
fn the_end_of_a_string_is_not_in_it() {
    let end = "1".repeat(30);
    for before in ["", "a", "aaaaaaaa", "0123456789abcdef"] {
        for behind in ["", "a", "aaaaaaaa"] {
            let [before_it, behind_it] = [before, behind].map(|text| bits_of(text.as_bytes()));
            let text = packed(&format!("{before_it}{end}{behind_it}"));
            assert_eq!(decoded(&text), Err(Broken), "{before}, {behind}");
        }
    }
}

#[test]
fn a_code_that_is_cut_off_is_none() {
    for byte in 0..=u8::MAX {
        let bits = bits_of(&[byte]);
        for before in ["", "-Aa-", "0123456789abcdef"] {
            let before = bits_of(before.as_bytes());
            for cut in 1..bits.len() {
                let text = format!("{before}{}", &bits[..cut]);
                if text.len() % 8 == 0 && (cut > 7 || bits[..cut].contains('0')) {
                    assert_eq!(decoded(&packed(&text)), Err(Broken), "{byte} to {cut}");
                }
            }
        }
    }
}
