use super::*;

#[test]
fn what_is_appended_stays_as_it_is_whatever_comes_behind() {
    let parts: [&[u8]; 6] = [
        b"text",
        "\u{e4}".as_bytes(),
        b"",
        b"latin \xe4",
        b"more",
        b"\xff\xfe",
    ];
    for count in 0..parts.len() {
        let (first, behind) = parts.split_at(count);
        let whole = first.concat();
        let mut buffer = Buffer::new(&whole);
        assert_eq!(buffer.bytes(Span::new(0, whole.len())), whole);
        let spans: Vec<_> = behind.iter().map(|part| buffer.append(part)).collect();
        assert_eq!(buffer.bytes(Span::new(0, whole.len())), whole);
        for (part, span) in behind.iter().zip(spans) {
            assert_eq!(buffer.bytes(span), *part);
            if part.is_ascii() {
                assert_eq!(buffer.text(span).as_bytes(), *part);
            }
        }
    }
}

#[test]
fn a_place_that_is_none_is_empty() {
    let buffer = Buffer::new("\u{e4}".as_bytes());
    assert_eq!(buffer.bytes(Span::new(1, 2)), b"");
    assert_eq!(buffer.text(Span::new(1, 1)), "");
}

#[test]
fn places_are_joined_and_parted() {
    let span = Span::new(10, 5);
    assert_eq!(span.part(1..3), Span::new(11, 2));
    assert_eq!(span.to(Span::new(20, 2)), Span::new(10, 12));
    assert_eq!(span.to(span), span);
}
