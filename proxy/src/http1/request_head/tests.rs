use super::*;
use crate::http1::limits;

fn read(input: &str) -> RequestHead {
    let (head, consumed) = RequestHead::read(input.as_bytes()).unwrap().unwrap();
    assert_eq!(consumed, input.len(), "{input:?}");
    head
}

fn refusal(input: &[u8]) -> Malformed {
    match RequestHead::read(input) {
        Err(malformed) => malformed,
        read => panic!("{}: {read:?}", input.escape_ascii()),
    }
}

#[test]
fn a_head_is_read_as_it_was_sent() {
    let head = read(
        "POST /add?a=1 HTTP/1.1\r\nhost: example.com\r\nX-Custom:  a, b \t\r\nx-custom:c\r\nEmpty:\r\n\
         Content-Length: 11\r\nUser-Agent: \u{ff}\r\n\r\n",
    );
    assert_eq!(head.method(), Method::POST);
    assert_eq!(head.version(), Version::HTTP_11);
    assert_eq!(head.target(), "/add?a=1");
    assert_eq!(head.path_and_query(), "/add?a=1");
    assert_eq!(head.path(), "/add");
    assert_eq!(head.query(), Some("a=1"));
    assert_eq!((head.scheme(), head.authority()), (None, None));
    assert_eq!(head.length(), Length::Known(11));
    assert!(head.keeps_alive() && !head.expects_continue());
    let fields: Vec<_> = head
        .fields()
        .iter()
        .map(|field| (field.name, field.spelled, field.value.to_vec()))
        .collect();
    assert_eq!(
        fields,
        [
            (Name::Host, "host", b"example.com".to_vec()),
            (Name::Other, "X-Custom", b"a, b".to_vec()),
            (Name::Other, "x-custom", b"c".to_vec()),
            (Name::Other, "Empty", b"".to_vec()),
            (Name::ContentLength, "Content-Length", b"11".to_vec()),
            (Name::UserAgent, "User-Agent", "\u{ff}".as_bytes().to_vec()),
        ]
    );
}

#[test]
fn what_follows_a_head_is_left() {
    let input = b"\r\nGET /a HTTP/1.0\r\n\r\nGET /b HTTP/1.1\r\n\r\n";
    let (head, consumed) = RequestHead::read(input).unwrap().unwrap();
    assert_eq!(head.target(), "/a");
    assert_eq!(head.version(), Version::HTTP_10);
    assert_eq!(&input[consumed..], b"GET /b HTTP/1.1\r\n\r\n");
    assert_eq!(head.wire_size(), consumed);
}

#[test]
fn a_head_that_is_not_complete_is_waited_for() {
    let input = "\r\nGET http://a/ HTTP/1.1\r\nHost: a\r\nB:\tc\r\n\r\n".as_bytes();
    for length in 0..input.len() {
        let part = RequestHead::read(&input[..length]);
        assert!(matches!(part, Ok(None)), "{length}: {part:?}");
    }
    assert!(matches!(RequestHead::read(input), Ok(Some(_))));
}

#[test]
fn an_absolute_target_is_taken_apart() {
    for (target, path, query, path_and_query) in [
        ("HTTP://u.example:80", "/", None, "/"),
        ("http://u.example:80?a=b", "/", Some("a=b"), "/?a=b"),
        ("http://u.example:80/", "/", None, "/"),
        ("http://u.example:80/c?a=b", "/c", Some("a=b"), "/c?a=b"),
        ("http://u.example:80/c?", "/c", Some(""), "/c?"),
    ] {
        let head = read(&format!("GET {target} HTTP/1.1\r\nHost: other\r\n\r\n"));
        assert_eq!(head.target(), target);
        assert_eq!(head.scheme(), Some("http"));
        assert_eq!(head.authority(), Some("u.example:80"));
        assert_eq!(head.path(), path, "{target}");
        assert_eq!(head.query(), query, "{target}");
        assert_eq!(head.path_and_query(), path_and_query, "{target}");
        assert_eq!(head.fields().get(Name::Host), Some(&b"other"[..]));
    }
}

#[test]
fn targets_that_are_no_path() {
    let head = read("OPTIONS * HTTP/1.1\r\n\r\n");
    assert_eq!((head.path(), head.path_and_query()), ("*", "*"));
    let head = read("CONNECT a:443 HTTP/1.1\r\n\r\n");
    assert_eq!((head.target(), head.authority()), ("a:443", Some("a:443")));
    assert_eq!((head.path(), head.query()), ("", None));
}

#[test]
fn framing_depends_on_the_fields_and_not_on_the_method() {
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "POST", "x-own", "TRACE"] {
        for (field, length) in [
            ("", Length::Empty),
            ("Content-Length: 0\r\n", Length::Known(0)),
            ("Content-Length: 7\r\n", Length::Known(7)),
            ("Transfer-Encoding: chunked\r\n", Length::Chunked),
        ] {
            let head = read(&format!("{method} / HTTP/1.1\r\n{field}\r\n"));
            assert_eq!(head.method(), method);
            assert_eq!(head.length(), length, "{method} {field}");
        }
    }
}

#[test]
fn a_100_is_expected_in_http_11_only() {
    for (version, expect, expected) in [
        ("1.1", "100-continue", true),
        ("1.1", "100-Continue", true),
        ("1.1", "a, 100-continue", true),
        ("1.1", "100-continued", false),
        ("1.0", "100-continue", false),
    ] {
        let head = read(&format!(
            "POST / HTTP/{version}\r\nExpect: {expect}\r\n\r\n"
        ));
        assert_eq!(head.expects_continue(), expected, "{expect}");
    }
}

#[test]
fn a_bad_head_is_refused_with_its_reason() {
    for (input, wrong) in [
        (&b"GET  / HTTP/1.1\r\n\r\n"[..], Malformed::Target),
        (b"GET /a b HTTP/1.1\r\n\r\n", Malformed::Target),
        (b"GET /  HTTP/1.1\r\n\r\n", Malformed::Target),
        (b"GET\t/ HTTP/1.1\r\n\r\n", Malformed::Method),
        (b"G(T / HTTP/1.1\r\n\r\n", Malformed::Method),
        (b"G\x00T / HTTP/1.1\r\n\r\n", Malformed::Control),
        (b"GET HTTP/1.1\r\n\r\n", Malformed::RequestLine),
        (b"GET /\x00 HTTP/1.1\r\n\r\n", Malformed::Control),
        (b"GET /\xc3\xa4 HTTP/1.1\r\n\r\n", Malformed::Target),
        (b"GET /\xff HTTP/1.1\r\n\r\n", Malformed::Target),
        (b"GET * HTTP/1.1\r\n\r\n", Malformed::Target),
        (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", Malformed::EmptyLine),
        (b"\nGET / HTTP/1.1\r\n\r\n", Malformed::BareLf),
        (b"GET / HTTP/1.1\r\n A: b\r\n\r\n", Malformed::FoldedField),
        (
            b"GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n",
            Malformed::FoldedField,
        ),
        (
            b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            Malformed::BlankBeforeColon,
        ),
        (b"GET / HTTP/1.1\r\n: a\r\n\r\n", Malformed::EmptyFieldName),
        (b"GET / HTTP/1.1\r\nHost\r\n\r\n", Malformed::MissingColon),
        (b"GET / HTTP/1.1\r\nHo st: a\r\n\r\n", Malformed::FieldName),
        (b"GET / HTTP/1.1\r\nA: b\x00\r\n\r\n", Malformed::Control),
        (b"GET / HTTP/1.1\r\nA: b\x1fc\r\n\r\n", Malformed::Control),
        (
            b"GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
            Malformed::ContentLength,
        ),
        (
            b"GET / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
            Malformed::ContentLength,
        ),
    ] {
        assert_eq!(refusal(input), wrong, "{}", input.escape_ascii());
    }
}

#[test]
fn as_many_fields_as_there_may_be() {
    let lines = "A: b\r\n".repeat(limits::REQUEST_FIELDS);
    let head = read(&format!("GET / HTTP/1.1\r\n{lines}\r\n"));
    assert_eq!(head.fields().len(), limits::REQUEST_FIELDS);
}

#[test]
fn an_http_2_request_is_a_head_too() {
    let fields: [(&str, &[u8]); 3] = [("cookie", b"a=1"), ("x-custom", b"b"), ("cookie", b"c=2")];
    let head = crate::http2::asked("GET", "/a/b?c=d?e", &fields);
    assert_eq!(head.method(), Method::GET);
    assert_eq!(head.version(), Version::HTTP_2);
    assert_eq!(
        (head.scheme(), head.authority()),
        (Some("https"), Some("a"))
    );
    assert_eq!(head.target(), "/a/b?c=d?e");
    assert_eq!(head.path_and_query(), "/a/b?c=d?e");
    assert_eq!((head.path(), head.query()), ("/a/b", Some("c=d?e")));
    assert_eq!(head.length(), Length::Empty);
    assert!(head.keeps_alive());
    let cookies: Vec<_> = head.fields().get_all(Name::Cookie).collect();
    assert_eq!(cookies, [b"a=1", b"c=2"]);
    let as_http_1 = "GET /a/b?c=d?e HTTP/1.1\r\ncookie: a=1\r\nx-custom: b\r\ncookie: c=2\r\n\r\n";
    assert_eq!(head.wire_size(), as_http_1.len());
}
