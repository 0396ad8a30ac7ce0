//! What holds for every message: in whatever pieces it comes, whatever stands behind it, however it was put together.

use http::Method;
use lintel_proxy::http1::body::{CHUNK_END, chunk_header, last_chunk};
use lintel_proxy::http1::{Fields, RequestHead, ResponseHead, limits};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::corpus;
use super::reading::{Message, Reading, Rest, Side, read};

/// What a message is changed by: where, and how.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Byte(u8),
    Remove(usize),
    Insert(&'static [u8]),
    /// So many bytes from there again.
    Repeat(usize),
    Cut,
}

/// What is worth inserting into HTTP/1.1.
const WORDS: [&[u8]; 40] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b":",
    b": ",
    b",",
    b";",
    b"\0",
    b"\x7f",
    b"\x0b",
    b"\xff",
    b"\xc3\xa4",
    b"\"",
    b"\\",
    b"#",
    b"?",
    b"*",
    b"/",
    b"http://a",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b" HTTP/1.1\r\n",
    b"GET / HTTP/1.1\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Expect: 100-continue\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n",
    b"0\r\n\r\n",
    b"5;a=b\r\n",
    b"A: b\r\n",
];

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<u8>().prop_map(Change::Byte),
        (1_usize..8).prop_map(Change::Remove),
        select(&WORDS[..]).prop_map(Change::Insert),
        (1_usize..24).prop_map(Change::Repeat),
        Just(Change::Cut),
    ]
}

fn changed(mut input: Vec<u8>, changes: Vec<(Index, Change)>) -> Vec<u8> {
    for (at, change) in changes {
        let at = at.index(input.len() + 1);
        let until = |length: usize, input: &[u8]| (at + length).min(input.len());
        match change {
            Change::Byte(byte) => {
                let end = until(1, &input);
                input.splice(at..end, [byte]);
            }
            Change::Remove(length) => {
                let end = until(length, &input);
                input.drain(at..end);
            }
            Change::Insert(word) => {
                input.splice(at..at, word.iter().copied());
            }
            Change::Repeat(length) => {
                let repeated = input[at..until(length, &input)].to_vec();
                input.splice(at..at, repeated);
            }
            Change::Cut => input.truncate(at),
        }
    }
    input
}

/// A message of the corpus, a few changes later. Short ones only: what is long is tested for its length elsewhere.
pub(crate) fn stream() -> impl Strategy<Value = (Side, Vec<u8>)> {
    let mut cases: Vec<_> = corpus::requests();
    cases.extend(corpus::responses());
    let inputs: Vec<_> = cases
        .into_iter()
        .filter(|case| case.input.len() < 1000)
        .map(|case| (case.side, case.input))
        .collect();
    (select(inputs), vec((any::<Index>(), change()), 0..4))
        .prop_map(|((side, input), changes)| (side, changed(input, changes)))
}

fn cut_at<'a>(input: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
    places.extend([0, input.len()]);
    places.sort_unstable();
    let pairs = places.windows(2);
    pairs.map(|pair| &input[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn the_same_is_read_in_whatever_pieces_it_comes((side, input) in stream(), cuts in vec(any::<Index>(), 0..8)) {
        let whole = read(&side, [&input[..]]);
        let in_pieces = read(&side, cut_at(&input, &cuts));
        assert_same(&whole, &in_pieces, &input);
        let byte_by_byte = read(&side, input.chunks(1));
        assert_same(&whole, &byte_by_byte, &input);
    }

    #[test]
    fn any_bytes_are_read_or_refused(input in vec(any::<u8>(), 0..200), method in select(&[Method::GET, Method::HEAD][..])) {
        for side in [Side::Requests, Side::Responses(method)] {
            let whole = read(&side, [&input[..]]);
            assert_same(&whole, &read(&side, input.chunks(3)), &input);
        }
    }

    /// Nothing of a message depends on what stands behind it, and nothing of what stands behind it is taken.
    #[test]
    fn a_message_ends_where_it_ends((side, input) in stream(), behind in vec(any::<u8>(), 1..40)) {
        let alone = read(&side, [&input[..]]);
        let more = read(&side, [&input[..], &behind[..]]);
        let ends_itself = |message: &&Message| {
            message.whole && (side == Side::Requests || message.fields.iter().any(frames) || has_no_content(message, &side))
        };
        let count = alone.messages.iter().take_while(ends_itself).count();
        prop_assert_eq!(&more.messages[..count], &alone.messages[..count]);
        if more.messages.len() == count {
            prop_assert_ne!(more.rest, None);
        }
    }

    /// A second opinion on each head that is taken: httparse takes it too, and reads the same in it.
    #[test]
    fn httparse_reads_the_same((side, input) in stream()) {
        let mut headers = vec![httparse::EMPTY_HEADER; limits::RESPONSE_FIELDS];
        let (fields, parsed) = match &side {
            Side::Requests => {
                let Ok(Some((head, size))) = RequestHead::read(&input) else {
                    return Ok(());
                };
                let mut request = httparse::Request::new(&mut headers);
                prop_assert_eq!(request.parse(&input), Ok(httparse::Status::Complete(size)));
                prop_assert_eq!(request.method, Some(head.method().as_str()));
                prop_assert_eq!(request.path, Some(head.target()));
                (head.fields().clone(), request.headers)
            }
            Side::Responses(method) => {
                let Ok(Some((head, size))) = ResponseHead::read(&input, method) else {
                    return Ok(());
                };
                let mut response = httparse::Response::new(&mut headers);
                prop_assert_eq!(response.parse(&input), Ok(httparse::Status::Complete(size)));
                prop_assert_eq!(response.code, Some(head.status()));
                (head.fields().clone(), response.headers)
            }
        };
        let ours = fields.iter().map(|field| (field.spelled, field.value));
        prop_assert!(ours.eq(parsed.iter().map(|header| (header.name, header.value))));
    }

    /// What was read and is written again is read as the same: nothing in a head reads differently the second time.
    #[test]
    fn a_head_that_is_written_again_is_the_same((side, input) in stream()) {
        let (first_line, fields) = match &side {
            Side::Requests => {
                let Ok(Some((head, _))) = RequestHead::read(&input) else {
                    return Ok(());
                };
                let line = format!("{} {} {:?}\r\n", head.method(), head.target(), head.version());
                (line.into_bytes(), head.fields().clone())
            }
            Side::Responses(method) => {
                let Ok(Some((head, _))) = ResponseHead::read(&input, method) else {
                    return Ok(());
                };
                let line = format!("{:?} {} ", head.version(), head.status()).into_bytes();
                ([&line, head.reason(), b"\r\n"].concat(), head.fields().clone())
            }
        };
        let size = fields.size();
        let mut again = first_line;
        let before = again.len();
        fields.write(&mut again);
        prop_assert_eq!(again.len() - before, size);
        again.extend_from_slice(b"\r\n");
        let head = |reading: Reading| {
            let message = reading.messages.into_iter().next().unwrap_or_default();
            Message { content: Vec::new(), trailers: Vec::new(), whole: true, ..message }
        };
        prop_assert_eq!(head(read(&side, [&again[..]])), head(read(&side, [&input[..]])));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_put_together_is_read(sent in message(), pieces in vec(1_usize..40, 1..20)) {
        let mut stream = Vec::new();
        sent.write(&mut stream);
        stream.extend_from_slice(b"GET /next HTTP/1.1\r\n\r\n");
        let mut rest = &stream[..];
        let mut cut = Vec::new();
        for size in pieces.iter().cycle() {
            let (piece, behind) = rest.split_at((*size).min(rest.len()));
            cut.push(piece);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        let reading = read(&Side::Requests, cut);
        prop_assert_eq!(reading.rest, None);
        prop_assert_eq!(reading.messages.len(), 2);
        let read = &reading.messages[0];
        prop_assert_eq!(&read.what, sent.method);
        prop_assert_eq!(&read.target, &sent.target);
        prop_assert_eq!(&read.fields[..sent.fields.len()], &sent.fields[..]);
        prop_assert_eq!(&read.content, &sent.chunks.concat());
        prop_assert_eq!(&read.trailers, &sent.trailers);
        prop_assert_eq!(&reading.messages[1].target, "/next");
    }
}

fn assert_same(whole: &Reading, in_pieces: &Reading, input: &[u8]) {
    assert_eq!(whole, in_pieces, "{}", input.escape_ascii());
}

fn frames((name, _): &(String, Vec<u8>)) -> bool {
    ["content-length", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str())
}

fn has_no_content(message: &Message, side: &Side) -> bool {
    *side == Side::Responses(Method::HEAD)
        || ["1", "204", "304"]
            .iter()
            .any(|status| message.what.starts_with(status))
}

/// A chunked request.
#[derive(Debug, Clone)]
struct Sent {
    method: &'static str,
    target: String,
    fields: Vec<(String, Vec<u8>)>,
    chunks: Vec<Vec<u8>>,
    trailers: Vec<(String, Vec<u8>)>,
}

impl Sent {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{} {} HTTP/1.1\r\n", self.method, self.target).as_bytes());
        let mut fields = collect(&self.fields);
        fields.push("Transfer-Encoding", b"chunked");
        fields.write(out);
        out.extend_from_slice(b"\r\n");
        for chunk in &self.chunks {
            chunk_header(chunk.len(), out);
            out.extend_from_slice(chunk);
            out.extend_from_slice(CHUNK_END);
        }
        last_chunk(Some(&collect(&self.trailers)), out);
    }
}

fn collect(pairs: &[(String, Vec<u8>)]) -> Fields {
    let mut fields = Fields::default();
    for (name, value) in pairs {
        fields.push(name, value);
    }
    fields
}

fn message() -> impl Strategy<Value = Sent> {
    let value = vec(
        prop_oneof![b'!'..=b'~', 0x80_u8..=0xff, Just(b' '), Just(b'\t')],
        0..30,
    )
    .prop_map(|value| value.trim_ascii().to_vec());
    let fields = vec(("X-[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}", value), 0..6);
    (
        select(&["GET", "POST", "DELETE", "x-own"][..]),
        "/[a-z0-9%./;=@|-]{0,30}(\\?[a-z0-9&=+]{0,20})?",
        fields.clone(),
        vec(vec(any::<u8>(), 1..300), 0..5),
        fields,
    )
        .prop_map(|(method, target, fields, chunks, trailers)| Sent {
            method,
            target,
            fields,
            chunks,
            // Those that pose as the load balancer's don't go on.
            trailers: trailers
                .into_iter()
                .filter(|(name, _)| {
                    !name
                        .to_ascii_lowercase()
                        .replace('_', "-")
                        .starts_with("x-amzn-")
                })
                .collect(),
        })
}

#[test]
fn a_reading_tells_rests_apart() {
    let side = Side::Requests;
    let rest = |input: &[u8]| read(&side, [input]).rest;
    assert_eq!(rest(b"GET / HTTP/1.1\r\n\r\n"), None);
    assert_eq!(rest(b"GET / HT"), Some(Rest::Waits));
    assert!(matches!(rest(b"GET / HTTP/1.1\n"), Some(Rest::Refused(_))));
    assert_eq!(rest(b"GET / HTTP/1.0\r\n\r\nmore"), Some(Rest::Left(4)));
}
