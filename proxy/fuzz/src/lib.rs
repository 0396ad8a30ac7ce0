//! What must hold whatever comes. The last bytes of a fuzzer's input say in which pieces the rest comes; see
//! `.ci/fuzz` for how it is run.

#[path = "../../tests/it/http1/reading.rs"]
mod reading;

mod cookies;
mod http2;

use http::{Method, Version};
use lintel_proxy::http1::body::{CHUNK_END, chunk_header, last_chunk};
use lintel_proxy::http1::{Decoder, Fields, Length, RequestHead, ResponseHead, limits};
pub use cookies::cookies;
pub use http2::http2;
use reading::{Side, read};

/// How many bytes at the end of the input are sizes of pieces.
const SIZES: usize = 4;

pub fn request(data: &[u8]) {
    let (stream, sizes) = data.split_at(data.len().saturating_sub(SIZES));
    check_pieces(&Side::Requests, stream, sizes);
    if let Ok(Some((head, size))) = RequestHead::read(stream) {
        assert_eq!(head.wire_size(), size);
        check_request(&head, &stream[..size]);
        check_content(head.length(), &stream[size..]);
    }
}

pub fn response(data: &[u8]) {
    let (stream, sizes) = data.split_at(data.len().saturating_sub(SIZES));
    let head_only = sizes.last().is_some_and(|last| last % 4 == 3);
    let method = if head_only { Method::HEAD } else { Method::GET };
    check_pieces(&Side::Responses(method.clone()), stream, sizes);
    if let Ok(Some((head, size))) = ResponseHead::read(stream, &method) {
        check_response(&head, &stream[..size], &method);
        check_content(head.length(), &stream[size..]);
    }
}

/// The same is read from the whole, from pieces and from single bytes.
fn check_pieces(side: &Side, stream: &[u8], sizes: &[u8]) {
    let whole = read(side, [stream]);
    let mut pieces = Vec::new();
    let mut rest = stream;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, behind) = rest.split_at(rest.len().min(1 + usize::from(*size)));
        pieces.push(piece);
        rest = behind;
    }
    pieces.push(rest);
    assert_eq!(read(side, pieces), whole, "in pieces");
    if stream.len() <= 512 {
        assert_eq!(read(side, stream.chunks(1)), whole, "byte by byte");
    }
}

fn check_request(head: &RequestHead, wire: &[u8]) {
    let mut headers = vec![httparse::EMPTY_HEADER; limits::REQUEST_FIELDS];
    let mut request = httparse::Request::new(&mut headers);
    assert_eq!(
        request.parse(wire),
        Ok(httparse::Status::Complete(wire.len()))
    );
    assert_eq!(request.method, Some(head.method().as_str()));
    assert_eq!(request.path, Some(head.target()));
    check_version(request.version, head.version());
    check_fields(request.headers, head.fields());
    let expected = framing(request.headers, head.version(), true);
    assert_eq!(head.length(), expected.unwrap_or(Length::Empty));

    // What browsers and servers agree on about a target, if there is no host in it that `Uri` reads otherwise.
    if let (None, Ok(uri)) = (head.authority(), head.target().parse::<http::Uri>()) {
        assert_eq!(uri.path(), head.path());
        assert_eq!(uri.query(), head.query());
    } else {
        assert!(head.authority().is_some(), "{:?}", head.target());
    }

    let line = format!(
        "{} {} {:?}\r\n",
        head.method(),
        head.target(),
        head.version()
    );
    let again = written(line.as_bytes(), head.fields());
    let (read, size) = RequestHead::read(&again).expect("good").expect("whole");
    assert_eq!(size, again.len());
    assert_eq!(read.method(), head.method());
    assert_eq!(read.target(), head.target());
    assert_eq!(read.length(), head.length());
    assert_eq!(read.keeps_alive(), head.keeps_alive());
    check_same(read.fields(), head.fields());
}

fn check_response(head: &ResponseHead, wire: &[u8], method: &Method) {
    let mut headers = vec![httparse::EMPTY_HEADER; limits::RESPONSE_FIELDS];
    let mut response = httparse::Response::new(&mut headers);
    assert_eq!(
        response.parse(wire),
        Ok(httparse::Status::Complete(wire.len()))
    );
    assert_eq!(response.code, Some(head.status()));
    if head.reason().is_ascii() {
        assert_eq!(response.reason.map(str::as_bytes), Some(head.reason()));
    }
    check_version(response.version, head.version());
    check_fields(response.headers, head.fields());
    let bodiless = *method == Method::HEAD || matches!(head.status(), 100..=199 | 204 | 304);
    if bodiless {
        assert_eq!(head.length(), Length::Empty);
    } else {
        let expected = framing(response.headers, head.version(), false);
        assert_eq!(head.length(), expected.unwrap_or(Length::UntilClose));
    }
    assert!(!head.keeps_alive() || head.length() != Length::UntilClose);

    let mut line = format!("{:?} {} ", head.version(), head.status()).into_bytes();
    line.extend_from_slice(head.reason());
    line.extend_from_slice(b"\r\n");
    let again = written(&line, head.fields());
    let (read, size) = ResponseHead::read(&again, method)
        .expect("good")
        .expect("whole");
    assert_eq!(size, again.len());
    assert_eq!(read.status(), head.status());
    assert_eq!(read.reason(), head.reason());
    assert_eq!(read.length(), head.length());
    check_same(read.fields(), head.fields());
}

fn check_version(minor: Option<u8>, version: Version) {
    let expected = match minor {
        Some(0) => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    assert_eq!(version, expected);
}

fn check_fields(headers: &[httparse::Header<'_>], fields: &Fields) {
    assert_eq!(headers.len(), fields.len());
    for (header, field) in headers.iter().zip(fields.iter()) {
        assert_eq!(header.name, field.spelled);
        assert_eq!(header.value, field.value);
    }
    // A line: a name, a colon, blanks, and the value or the blanks that are in its place.
    for (header, (_, line)) in headers.iter().zip(fields.lines()) {
        let rest = line.strip_prefix(header.name.as_bytes()).expect("the name");
        let blanks = rest.strip_prefix(b":").expect("a colon");
        let blanks = blanks.strip_suffix(header.value).expect("the value");
        assert!(blanks.iter().all(|byte| matches!(byte, b' ' | b'\t')));
    }
}

fn check_same(again: &Fields, first: &Fields) {
    assert_eq!(again.len(), first.len());
    for (again, first) in again.iter().zip(first.iter()) {
        assert_eq!(
            (again.name, again.spelled, again.value),
            (first.name, first.spelled, first.value)
        );
    }
}

/// The rules of RFC 9112 6 for a message that was accepted, on httparse's fields: there is one length, and of a response
/// one field that says so.
fn framing(headers: &[httparse::Header<'_>], version: Version, is_request: bool) -> Option<Length> {
    let named = |name: &'static str| {
        let found = headers.iter();
        found.filter(move |header| header.name.eq_ignore_ascii_case(name))
    };
    let lengths: Vec<u64> = named("Content-Length")
        .map(|length| {
            assert!(length.value.iter().all(u8::is_ascii_digit));
            let length = str::from_utf8(length.value).expect("digits");
            length.parse().expect("of 64 bits")
        })
        .collect();
    assert!(lengths.windows(2).all(|pair| pair[0] == pair[1]), "{lengths:?}");
    let codings: Vec<_> = named("Transfer-Encoding").collect();
    assert!(codings.len() < 2, "{codings:?}");
    for coding in &codings {
        assert!(coding.value.eq_ignore_ascii_case(b"chunked"));
    }
    if !is_request {
        assert!(lengths.len() + codings.len() < 2, "two lengths");
        assert!(codings.is_empty() || version == Version::HTTP_11);
    }
    match (lengths.first(), codings.first()) {
        (_, Some(_)) => Some(Length::Chunked),
        (length, None) => length.map(|length| Length::Known(*length)),
    }
}

fn written(line: &[u8], fields: &Fields) -> Vec<u8> {
    let mut out = line.to_vec();
    fields.write(&mut out);
    assert_eq!(out.len(), line.len() + fields.size());
    out.extend_from_slice(b"\r\n");
    out
}

/// Content that was read and is sent as chunks is the same to whoever reads it.
fn check_content(length: Length, stream: &[u8]) {
    let mut decoder = Decoder::new(length);
    let mut content = Vec::new();
    let mut sent = Vec::new();
    let mut rest = stream;
    while let Ok(piece) = decoder.read(rest) {
        if piece.consumed == 0 {
            break;
        }
        let run = &rest[piece.content];
        if !run.is_empty() {
            content.extend_from_slice(run);
            chunk_header(run.len(), &mut sent);
            sent.extend_from_slice(run);
            sent.extend_from_slice(CHUNK_END);
        }
        rest = &rest[piece.consumed..];
    }
    let trailers = decoder.take_trailers();
    last_chunk(trailers.as_ref(), &mut sent);
    let end = sent.len();
    sent.extend_from_slice(b"next");

    let mut decoder = Decoder::new(Length::Chunked);
    let mut read = Vec::new();
    let mut at = 0;
    while !decoder.is_finished() {
        let piece = decoder.read(&sent[at..]).expect("good");
        assert!(piece.consumed > 0);
        read.extend_from_slice(&sent[at..][piece.content]);
        at += piece.consumed;
    }
    assert_eq!(read, content);
    assert_eq!(at, end);
    let lines = |fields: Option<Fields>| {
        let mut out = Vec::new();
        fields.unwrap_or_default().write(&mut out);
        out
    };
    assert_eq!(lines(decoder.take_trailers()), lines(trailers));
}
