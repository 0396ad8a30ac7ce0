use super::*;

/// Wherever the control stands, whatever stands around it.
#[test]
fn text_ends_at_the_first_control() {
    for length in 0..100 {
        for around in [&b"a"[..], b"\xff", b" ", b"~", b"\x80", b"\t"] {
            let mut text = around.repeat(length);
            assert_eq!(text_length(&text), length);
            text.extend_from_slice(b"x\0y\x7fz\r\n");
            for control in (0..=0x1f).chain([0x7f]).filter(|control| *control != b'\t') {
                text[length] = control;
                assert_eq!(text_length(&text), length, "{}", text.escape_ascii());
            }
        }
    }
    for byte in 0..=0xff {
        let control = matches!(byte, 0..=0x1f | 0x7f) && byte != b'\t';
        assert_eq!(
            text_length(&[byte; 8]),
            if control { 0 } else { 8 },
            "{byte}"
        );
    }
}

#[test]
fn tokens_are_what_rfc_9110_says() {
    for byte in 0..=0xff_u8 {
        let expected = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        assert_eq!(is_token(byte), expected, "{byte}");
    }
}

/// Whatever stands behind it, and whether much does or little.
#[test]
fn a_token_ends_at_the_first_byte_that_is_none() {
    for behind in [
        "",
        ":",
        ": x",
        " ",
        "\r\n\r\n",
        ": 0123456789abcdef0123456789",
    ] {
        for name in [
            "",
            "a",
            "Host",
            "x_y",
            "0-rtt",
            "Sec-CH-UA",
            "exactly-16-bytes",
            "a-name-longer-than-16-bytes",
            "A|~",
        ] {
            let text = format!("{name}{behind}");
            let is_plain = name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            assert_eq!(token(text.as_bytes()), (name.len(), is_plain), "{text:?}");
        }
    }
    for byte in 0..=0xff {
        for length in 1..40 {
            let expected = if is_token(byte) { length } else { 0 };
            assert_eq!(token(&vec![byte; length]).0, expected, "{byte} {length}");
        }
    }
}

/// As the lines of a head are gone through: from behind each line's end.
#[test]
fn controls_are_found_from_wherever_one_looks() {
    let text: Vec<u8> = (0..300)
        .map(|n| {
            if n % 7 == 3 || n % 64 == 0 {
                b'\n'
            } else {
                b'x'
            }
        })
        .collect();
    for step in [1, 2, 9, 64, 65, 130] {
        let mut controls = Controls::of(&text);
        for start in (0..=text.len()).step_by(step) {
            let expected = text[start..].iter().position(|byte| *byte == b'\n');
            let expected = expected.map_or(text.len(), |at| start + at);
            assert_eq!(controls.next(start), expected, "{step} {start}");
        }
    }
}
