use super::*;

#[test]
fn a_place_that_is_none_is_empty() {
    let buffer = "\u{e4}".as_bytes();
    assert_eq!(Span::new(1, 2).bytes(buffer), b"");
    assert_eq!(Span::new(1, 1).text(buffer), "");
    assert_eq!(Span::new(0, 2).text(buffer), "\u{e4}");
}

#[test]
fn places_are_joined_and_parted() {
    let span = Span::new(10, 5);
    assert_eq!(span.part(1..3), Span::new(11, 2));
    assert_eq!(span.to(Span::new(20, 2)), Span::new(10, 12));
    assert_eq!(span.to(span), span);
}
