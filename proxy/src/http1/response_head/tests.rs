use super::*;
use crate::http1::Name;

fn read_for(request: &Method, input: &[u8]) -> ResponseHead {
    let read = ResponseHead::read(input, request);
    let Ok(Some((head, consumed))) = read else {
        panic!("{}: {read:?}", input.escape_ascii());
    };
    assert_eq!(consumed, input.len());
    head
}

fn read(input: &[u8]) -> ResponseHead {
    read_for(&Method::GET, input)
}

#[test]
fn a_head_is_read_as_it_was_sent() {
    let head = read(b"HTTP/1.1 404 Nicht gefunden\r\nServer: a\r\nset-cookie: a=\xe4\r\nSet-Cookie: b\r\nContent-Length: 3\r\n\r\n");
    assert_eq!(head.status(), 404);
    assert_eq!(head.version(), Version::HTTP_11);
    assert_eq!(head.reason(), b"Nicht gefunden");
    assert_eq!(head.length(), Length::Known(3));
    assert!(head.keeps_alive());
    assert_eq!(head.fields().get(Name::Server), Some(&b"a"[..]));
    let cookies: Vec<_> = head.fields().named("Set-Cookie").collect();
    assert_eq!(cookies, [&b"a=\xe4"[..], b"b"]);
}

#[test]
fn a_reason_is_what_stands_there() {
    for (line, reason) in [
        (&b"HTTP/1.1 200 OK"[..], &b"OK"[..]),
        (b"HTTP/1.1 200 ", b""),
        (b"HTTP/1.1 200", b""),
        (b"HTTP/1.0 200 a  b\tc ", b"a  b\tc "),
        (b"HTTP/1.1 200 \xfcber", b"\xfcber"),
    ] {
        let head = read(&[line, b"\r\n\r\n"].concat());
        assert_eq!(head.reason(), reason, "{}", line.escape_ascii());
    }
}

#[test]
fn what_never_has_a_body_has_none_whatever_its_fields_say() {
    for (request, status, has_body) in [
        (Method::HEAD, 200, false),
        (Method::HEAD, 404, false),
        (Method::GET, 100, false),
        (Method::GET, 101, false),
        (Method::GET, 103, false),
        (Method::GET, 204, false),
        (Method::GET, 304, false),
        (Method::GET, 205, true),
        (Method::GET, 302, true),
        (Method::POST, 500, true),
    ] {
        for (field, length) in [
            ("", Length::UntilClose),
            ("Content-Length: 5\r\n", Length::Known(5)),
            ("Transfer-Encoding: chunked\r\n", Length::Chunked),
        ] {
            let input = format!("HTTP/1.1 {status} X\r\n{field}\r\n");
            let head = read_for(&request, input.as_bytes());
            let length = if has_body { length } else { Length::Empty };
            assert_eq!(head.length(), length, "{request} {input:?}");
            assert_eq!(head.keeps_alive(), length != Length::UntilClose);
        }
    }
}

#[test]
fn an_old_target_ends_its_response_by_closing() {
    for (input, length, keeps_alive) in [
        ("HTTP/1.0 200 OK\r\n\r\n", Length::UntilClose, false),
        (
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n",
            Length::UntilClose,
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n",
            Length::Known(1),
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n",
            Length::Known(1),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n",
            Length::Known(1),
            false,
        ),
    ] {
        let head = read(input.as_bytes());
        assert_eq!(
            (head.length(), head.keeps_alive()),
            (length, keeps_alive),
            "{input:?}"
        );
    }
}

#[test]
fn a_target_says_how_long_it_keeps_a_connection() {
    for (value, seconds) in [
        ("timeout=5", Some(5)),
        ("timeout=5, max=1000", Some(5)),
        ("max=1000,Timeout = 75", Some(75)),
        ("timeout=0", Some(0)),
        ("max=5", None),
        ("timeout", None),
        ("timeout=", None),
        ("timeout=-1", None),
        ("timeout=1.5", None),
        ("timeout=99999999999999999999", None),
        ("\u{e9}", None),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\nKeep-Alive: {value}\r\n\r\n");
        let kept = read(head.as_bytes()).keep_alive_timeout();
        assert_eq!(kept.map(|kept| kept.as_secs()), seconds, "{value}");
    }
}

#[test]
fn a_bad_head_is_refused_with_its_reason() {
    for (input, wrong) in [
        (&b"\r\nHTTP/1.1 200 OK\r\n\r\n"[..], Malformed::EmptyLine),
        (b"HTTP/1.1  200 OK\r\n\r\n", Malformed::StatusLine),
        (b"HTTP/1.1 20 OK\r\n\r\n", Malformed::StatusLine),
        (b"HTTP/1.1 2000 OK\r\n\r\n", Malformed::StatusLine),
        (b"HTTP/1.1 +20 OK\r\n\r\n", Malformed::StatusLine),
        (b"HTTP/1.1 200OK\r\n\r\n", Malformed::StatusLine),
        (b"HTTP/1.1 200\tOK\r\n\r\n", Malformed::StatusLine),
        (b"HTTP/1.1 200 O\x00K\r\n\r\n", Malformed::Control),
        (b"HTTP/1.1 099 X\r\n\r\n", Malformed::Status),
        (b"HTTP/1.1 600 X\r\n\r\n", Malformed::Status),
        (b"HTTP/1.1 999 X\r\n\r\n", Malformed::Status),
        (b"HTTP/3.0 200 OK\r\n\r\n", Malformed::UnsupportedVersion),
        (b"ICY 200 OK\r\n\r\n", Malformed::StatusLine),
        (b"HTTP/1.1 200 OK\r\n A: b\r\n\r\n", Malformed::FoldedField),
        (
            b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            Malformed::BlankBeforeColon,
        ),
        (b"HTTP/1.1 200 OK\r\nA: b\x01\r\n\r\n", Malformed::Control),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: a\r\n\r\n",
            Malformed::ContentLength,
        ),
        (
            b"HTTP/1.1 204 X\r\nContent-Length: a\r\n\r\n",
            Malformed::ContentLength,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            Malformed::TransferEncoding,
        ),
        (
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            Malformed::TransferEncodingInHttp10,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
            Malformed::TwoLengths,
        ),
    ] {
        match ResponseHead::read(input, &Method::GET) {
            Err(malformed) => assert_eq!(malformed, wrong, "{}", input.escape_ascii()),
            read => panic!("{}: {read:?}", input.escape_ascii()),
        }
    }
}

#[test]
fn a_head_that_is_not_complete_is_waited_for() {
    let input = b"HTTP/1.1 200 OK\r\nA: b\r\nC:\td\r\n\r\n";
    for length in 0..input.len() {
        let part = ResponseHead::read(&input[..length], &Method::GET);
        assert!(matches!(part, Ok(None)), "{length}: {part:?}");
    }
    read(input);
}
