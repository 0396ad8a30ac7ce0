use super::*;

type Field = (&'static str, &'static str);

const GET: [Field; 4] = [
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "example.com"),
    (":path", "/a?b"),
];

fn gather(fields: &[Field], over: bool) -> Result<Request, Malformed> {
    let mut gathered = Gathered::new(64 * 1024, 0);
    for (name, value) in fields {
        gathered.field(name.as_bytes(), value.as_bytes());
    }
    gathered.finish(over)
}

fn with(more: &[Field]) -> Vec<Field> {
    [&GET, more].concat()
}

fn with_other(name: &str, value: &'static str) -> Vec<Field> {
    let other = |field: Field| (field.0, if field.0 == name { value } else { field.1 });
    GET.map(other).to_vec()
}

fn without(name: &str) -> Vec<Field> {
    GET.into_iter().filter(|field| field.0 != name).collect()
}

#[test]
fn the_pseudo_header_fields_are_the_request() {
    let fields = with(&[("cookie", "a"), ("te", "trailers"), ("x", "y z")]);
    let Request { head, flaw } = gather(&fields, true).unwrap();
    assert_eq!(flaw, None);
    assert_eq!(
        (head.method(), head.scheme()),
        (&Method::GET, Some("https"))
    );
    assert_eq!(head.authority(), Some("example.com"));
    assert_eq!((head.path(), head.query()), ("/a", Some("b")));
    let spelled: Vec<_> = head.fields().iter().map(|field| field.spelled).collect();
    assert_eq!(spelled, ["cookie", "te", "x"]);
    assert_eq!(head.length(), Length::Empty);
    assert_eq!(gather(&GET, false).unwrap().head.length(), Length::Chunked);
    let connect = [(":method", "CONNECT"), (":authority", "a:443")];
    let connect = gather(&connect, true).unwrap();
    assert_eq!((connect.head.target(), connect.head.path()), ("a:443", ""));
    let options = [(":method", "OPTIONS"), (":scheme", "HTTP"), (":path", "*")];
    let options = gather(&options, true).unwrap();
    assert_eq!((options.head.target(), options.head.path()), ("*", "*"));
    assert_eq!((options.head.scheme(), options.flaw), (Some("http"), None));
}

#[test]
fn what_http_2_has_no_place_for_is_no_request() {
    let mut cases = vec![
        vec![],
        with(&[(":path", "/")]),
        with(&[(":protocol", "websocket")]),
        with(&[(":status", "200")]),
        with(&[(":", "a")]),
        [&[("x", "y")], &GET[..]].concat(),
        vec![
            (":method", "CONNECT"),
            (":path", "/"),
            (":authority", "a:1"),
        ],
        vec![
            (":method", "CONNECT"),
            (":scheme", "http"),
            (":authority", "a:1"),
        ],
    ];
    cases.extend([":method", ":scheme", ":path"].map(without));
    for (name, values) in [
        (":method", &["", "GET ", "G\r"][..]),
        (":scheme", &["", "1", "ht tp", "http:"]),
        (":authority", &["", "a b", "a/b", "a?b", "a#b", "\u{e4}"]),
        (
            ":path",
            &["", "bad", "http://a/", "/a b", "/\n", "/\u{7f}", "**"],
        ),
    ] {
        cases.extend(values.iter().map(|value| with_other(name, value)));
    }
    for field in [
        ("connection", "close"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "a"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        ("te", "trailers, gzip"),
        ("", "a"),
        ("X", "a"),
        ("a-rather-long-name-that-ends-in-X", "a"),
        ("x y", "a"),
        ("x:", "a"),
        ("\u{e4}", "a"),
        ("x", "a\r"),
        ("x", "a\n"),
        ("x", "a\0b"),
        ("x", "\u{7f}"),
        ("content-length", "4"),
    ] {
        cases.push(with(&[field]));
    }
    for fields in cases {
        assert!(gather(&fields, true).is_err(), "{fields:?}");
    }
}

#[test]
fn what_can_be_read_and_means_nothing_is_a_flaw() {
    for fields in [
        with(&[("x", " a")]),
        with(&[("x", "a\t")]),
        with(&[("x", " ")]),
        with(&[("content-length", "4"), ("content-length", "4")]),
        with(&[("content-length", "4, 4")]),
        with(&[("content-length", "+4")]),
        with(&[("content-length", "")]),
        with(&[("content-length", "99999999999999999999")]),
        with_other(":path", "*"),
        with_other(":path", "/#a"),
        with_other(":path", "/\u{e4}"),
        with_other(":path", "/a\\b"),
    ] {
        let flaw = gather(&fields, false).unwrap().flaw;
        assert_eq!(flaw, Some(Flaw::Malformed), "{fields:?}");
    }
    for (length, over) in [("0", true), ("0", false), ("4", false)] {
        let request = gather(&with(&[("content-length", length)]), over).unwrap();
        let known = Length::Known(length.parse().unwrap());
        assert_eq!((request.flaw, request.head.length()), (None, known));
    }
}

#[test]
fn of_a_head_that_is_too_large_the_beginning_is_kept() {
    let mut gathered = Gathered::new(1000, 0);
    for (name, value) in GET {
        gathered.field(name.as_bytes(), value.as_bytes());
    }
    for _ in 0..1000 {
        gathered.field(b"x", &[b'y'; 67]);
    }
    let Request { head, flaw } = gathered.finish(true).unwrap();
    assert_eq!(flaw, Some(Flaw::TooLarge));
    assert_eq!((head.path(), head.fields().len()), ("/a", 8));
}

#[test]
fn trailers_say_only_what_may_follow() {
    let trailers = |fields: &[Field]| {
        let mut trailers = Trailers::default();
        for (name, value) in fields {
            trailers.field(name.as_bytes(), value.as_bytes());
        }
        trailers.finish()
    };
    let sum = trailers(&[("x-sum", "7"), ("host", "a"), ("cookie", "b"), ("age", "1")]);
    let sum = sum.unwrap().unwrap().unwrap();
    assert_eq!((sum.len(), sum.named("x-sum").next()), (1, Some(&b"7"[..])));
    assert!(trailers(&[("host", "a")]).unwrap().is_none());
    for malformed in [(":path", "/"), ("X", "a"), ("x", "a\r")] {
        assert!(trailers(&[("y", "z"), malformed]).is_err(), "{malformed:?}");
    }
    let many = vec![("x", "y"); limits::TRAILER_FIELDS + 1];
    assert!(trailers(&many).unwrap().unwrap().is_err());
    let large = "y".repeat(limits::TRAILERS).leak();
    assert!(trailers(&[("x", large)]).unwrap().unwrap().is_err());
}
