use super::super::Decoder;
use super::super::table::STATIC;
use super::*;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Both ends of a connection.
struct Pair {
    encoder: Encoder,
    decoder: Decoder,
}

impl Pair {
    fn new() -> Self {
        Self {
            encoder: Encoder::new(),
            decoder: Decoder::new(4096),
        }
    }

    /// Sends the fields, sees that they arrive, and gives the block.
    fn send(&mut self, status: u16, fields: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut block = Vec::new();
        self.encoder.begin(&mut block);
        self.encoder.status(status, &mut block);
        let mut expected = vec![(b":status".to_vec(), status.to_string().into_bytes())];
        for (name, value) in fields {
            self.encoder.field(name, value, &mut block);
            expected.push((name.to_ascii_lowercase(), value.to_vec()));
        }
        assert_eq!(self.received(&block), expected);
        block
    }

    fn received(&mut self, block: &[u8]) -> Fields {
        let mut fields = Vec::new();
        let keep = |name: &[u8], value: &[u8]| fields.push((name.to_vec(), value.to_vec()));
        self.decoder
            .decode(block, &mut Vec::new(), keep)
            .expect("a block");
        fields
    }
}

#[test]
fn what_repeats_takes_an_octet() {
    let mut pair = Pair::new();
    let fields: &[(&[u8], &[u8])] = &[
        (b"Content-Type", b"text/html"),
        (b"X-Thing", b"a"),
        (b"Date", b"Mon, 21 Oct 2013 20:13:21 GMT"),
    ];
    let first = pair.send(200, fields);
    assert!(first.starts_with(b"\x88\x0f\x10\x09text/html\x00\x07x-thing\x01a\x0f\x12\x1d"));
    let second = pair.send(200, fields);
    assert!(second.starts_with(b"\x88\x5f\x09text/html\x40\x07x-thing\x01a\x61\x1dMon"));
    for _ in 0..3 {
        assert_eq!(pair.send(200, fields), b"\x88\xc0\xbf\xbe");
    }
    // Another spelling of the name is the same field; another value is not.
    assert_eq!(pair.send(200, &[(b"x-THING", b"a")]), b"\x88\xbf");
    assert_eq!(
        pair.send(200, &[(b"x-thing", b"b")]),
        b"\x88\x00\x07x-thing\x01b"
    );
    assert_eq!(pair.send(200, &[(b"x-thing", b"a")]), b"\x88\xbf");
}

#[test]
fn a_status_is_an_octet() {
    let mut pair = Pair::new();
    for (index, (_, status)) in STATIC.iter().enumerate().take(14).skip(7) {
        let status = str::from_utf8(status).unwrap().parse().unwrap();
        assert_eq!(pair.send(status, &[]), [0x80 | (index + 1) as u8]);
    }
    assert_eq!(pair.send(503, &[]), b"\x08\x03503");
    assert_eq!(pair.send(503, &[]), b"\x48\x03503");
    assert_eq!(pair.send(503, &[]), b"\xbe");
    for status in 100..1000 {
        pair.send(status, &[]);
    }
}

#[test]
fn secrets_are_never_indexed() {
    let mut pair = Pair::new();
    for (name, index) in [
        ("Set-Cookie", 55),
        ("cookie", 32),
        ("Authorization", 23),
        ("WWW-Authenticate", 61),
        ("Proxy-Authenticate", 48),
        ("proxy-authorization", 49),
    ] {
        for _ in 0..4 {
            let block = pair.send(200, &[(name.as_bytes(), b"secret")]);
            let expected = [&[0x88, 0x1f, index - 15, 6][..], b"secret"].concat();
            assert_eq!(block, expected, "{name}");
        }
    }
    assert!(pair.encoder.table.get(0).is_none());
}

#[test]
fn large_fields_are_not_indexed() {
    let mut pair = Pair::new();
    for (length, indexed) in [(985, true), (986, false), (5000, false)] {
        let value = vec![b'v'; length];
        for _ in 0..3 {
            pair.send(200, &[(b"x-large", &value)]);
        }
        let block = pair.send(200, &[(b"x-large", &value)]);
        assert_eq!(block.len() == 2, indexed, "{length}");
    }
}

#[test]
fn what_never_repeats_drives_nothing_out() {
    let mut pair = Pair::new();
    let kept: &[(&[u8], &[u8])] = &[(b"server", b"s"), (b"x-powered-by", b"p")];
    pair.send(200, kept);
    pair.send(200, kept);
    for number in 0..10_000 {
        let value = format!("{number:x}");
        pair.send(200, &[(b"X-Request-Id", value.as_bytes())]);
        assert_eq!(pair.send(200, kept).len(), 3, "{number}");
    }
}

#[test]
fn nothing_is_allocated_before_the_first_field() {
    let mut encoder = Encoder::default();
    let mut out = Vec::new();
    encoder.begin(&mut out);
    encoder.status(200, &mut out);
    encoder.set_most(0);
    encoder.begin(&mut out);
    encoder.field(b"a", b"b", &mut out);
    assert_eq!(out, b"\x88\x20\x00\x01a\x01b");
    assert!(encoder.slots.is_none());
}

#[test]
fn sizes_are_announced_as_they_were_set() {
    for (sizes, expected) in [
        (&[][..], &b""[..]),
        (&[4096], b""),
        (&[65536, u32::MAX], b""),
        (&[0], b"\x20"),
        (&[64], b"\x3f\x21"),
        (&[64, 64], b"\x3f\x21"),
        (&[100, 0, 64], b"\x20\x3f\x21"),
        (&[0, 65536], b"\x20\x3f\xe1\x1f"),
        (&[100, 200, 50], b"\x3f\x13"),
    ] {
        let mut encoder = Encoder::new();
        let mut out = Vec::new();
        for size in sizes {
            encoder.set_most(*size);
        }
        encoder.begin(&mut out);
        assert_eq!(out, expected, "{sizes:?}");
        encoder.begin(&mut out);
        assert_eq!(out, expected, "{sizes:?}, once");
    }
}

#[test]
fn integers_take_as_many_octets_as_they_need() {
    for (value, expected) in [
        (10, &[0xaa_u8][..]),
        (30, &[0xbe]),
        (31, &[0xbf, 0]),
        (158, &[0xbf, 127]),
        (159, &[0xbf, 128, 1]),
        (1337, &[0xbf, 154, 10]),
    ] {
        let mut out = Vec::new();
        write_integer(0xa0, 0x1f, value, &mut out);
        assert_eq!(out, expected, "{value}");
    }
}

#[test]
fn names_are_compared_in_any_case() {
    for length in 0..40_usize {
        for byte in 0..=u8::MAX {
            for place in [0, length / 2, length.saturating_sub(1)] {
                let mut name = vec![b'-'; length];
                if let Some(to) = name.get_mut(place) {
                    *to = byte;
                }
                let lower_case = name.to_ascii_lowercase();
                assert!(is_lower_case_of(&lower_case, &name));
                let mut other = name.clone();
                if let Some(to) = other.get_mut(place) {
                    *to ^= 0x20;
                    let same = other.eq_ignore_ascii_case(&name);
                    assert_eq!(is_lower_case_of(&lower_case, &other), same, "{byte}");
                }
            }
        }
    }
    assert!(!is_lower_case_of(b"name", b"names"));
}

/// Many blocks of fields that repeat now and then, with sizes that change.
#[test]
fn many_blocks_arrive_as_they_were_sent() {
    for (rounds, sizes) in [(1, &[][..]), (30, &[0, 64, 4096, 300, 1000, 4096])] {
        let mut pair = Pair::new();
        let mut seed = 7_u64;
        let mut below = |limit: u64| {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (seed >> 33) % limit
        };
        let mut saved = 0;
        for round in 0..2000 {
            if round % rounds == 0 && !sizes.is_empty() {
                for _ in 0..=below(3) {
                    pair.encoder
                        .set_most(sizes[below(sizes.len() as u64) as usize]);
                }
            }
            let mut fields: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
            for _ in 0..below(12) {
                let (name, _) = STATIC[below(61) as usize];
                let name = match below(4) {
                    0 => format!("X-Field-{}", below(20)).into_bytes(),
                    1 => format!("x-long-{}", "n".repeat(below(200) as usize)).into_bytes(),
                    2 => name.to_ascii_uppercase(),
                    _ => name.to_vec(),
                };
                let length = [0, 1, 7, 8, 29, 120, 126, 127, 128, 300][below(10) as usize];
                let byte = b'a' + below(2) as u8;
                fields.push((name, vec![byte; length]));
            }
            let fields: Vec<(&[u8], &[u8])> =
                fields.iter().map(|(n, v)| (&n[..], &v[..])).collect();
            let plain: usize = fields.iter().map(|(n, v)| n.len() + v.len()).sum();
            saved += plain.saturating_sub(pair.send(200, &fields).len());
        }
        assert!(saved > 10_000, "{saved}");
    }
}
