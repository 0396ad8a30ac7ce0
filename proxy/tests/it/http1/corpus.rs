//! The messages of `tests/corpus`, and that each is read as it says there.
//!
//! A line is a verdict, ` | ` and what one side sends, with `\r`, `\n`, `\t`, `\0`, `\\`, `\xNN` and `\{text*count}` for
//! text that repeats. The verdict lists the messages in it, then what is with the rest:
//!
//! | verdict | means |
//! |---|---|
//! | `POST 5`, `200 5` | a whole message with 5 bytes of content, and `+n trailers` if there are any |
//! | `POST 3...` | its content has begun and is not all there |
//! | `waits` | a head has begun and is not all there |
//! | `refused: Reason` | what comes next, or the content of the message before, is malformed |
//! | `left 5` | bytes behind the last message that this connection is for |
//!
//! A response may stand behind `HEAD > `, the method of the request that it answers.

use http::Method;

use super::reading::{Reading, Side, read};

pub(crate) struct Case {
    pub(crate) side: Side,
    pub(crate) line: usize,
    verdict: String,
    pub(crate) input: Vec<u8>,
}

const REQUESTS: &str = include_str!("../../corpus/requests.txt");
const RESPONSES: &str = include_str!("../../corpus/responses.txt");

pub(crate) fn requests() -> Vec<Case> {
    cases(REQUESTS, |_| Side::Requests)
}

pub(crate) fn responses() -> Vec<Case> {
    cases(RESPONSES, Side::Responses)
}

fn cases(text: &str, side: impl Fn(Method) -> Side) -> Vec<Case> {
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(n, line)| {
            let (verdict, input) = line.split_once(" | ").unwrap();
            let (method, verdict) = verdict.split_once(" > ").unwrap_or(("GET", verdict));
            Case {
                side: side(method.parse().unwrap()),
                line: n + 1,
                verdict: verdict.trim_end().to_owned(),
                input: unescape(input),
            }
        })
        .collect()
}

pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let kind = escape.chars().next().unwrap();
        rest = &escape[kind.len_utf8()..];
        match kind {
            'r' => bytes.push(b'\r'),
            'n' => bytes.push(b'\n'),
            't' => bytes.push(b'\t'),
            '0' => bytes.push(0),
            '\\' => bytes.push(b'\\'),
            'x' => {
                bytes.push(u8::from_str_radix(&rest[..2], 16).unwrap());
                rest = &rest[2..];
            }
            '{' => {
                let (repeated, behind) = rest.split_once('}').unwrap();
                let (repeated, count) = repeated.rsplit_once('*').unwrap();
                bytes.extend(unescape(repeated).repeat(count.parse().unwrap()));
                rest = behind;
            }
            other => panic!("no escape is \\{other}"),
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

#[test]
fn every_message_is_read_as_it_says_there() {
    let (requests, responses) = (requests(), responses());
    assert!(requests.len() >= 400 && responses.len() >= 200);
    let mut wrong = Vec::new();
    for case in requests.iter().chain(&responses) {
        let read = verdict(&read(&case.side, [&case.input[..]]));
        if read != case.verdict {
            wrong.push(format!("{:?} line {}: {read}", case.side, case.line));
        }
    }
    assert!(wrong.is_empty(), "read otherwise:\n{}", wrong.join("\n"));
}

fn verdict(reading: &Reading) -> String {
    let messages = reading.messages.iter().map(ToString::to_string);
    messages
        .chain(reading.rest.as_ref().map(ToString::to_string))
        .collect::<Vec<_>>()
        .join(", ")
}
