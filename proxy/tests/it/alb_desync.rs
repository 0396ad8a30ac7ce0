//! Desync mitigation: requests are classified as by the ALB's own library, on its own cases, and each mode does with each
//! class what an ALB does. What is forwarded has one framing.

use std::net::Shutdown;

use lintel_proxy::desync::{self, Classification};
use lintel_proxy::http1::RequestHead;
use lintel_proxy::model::DesyncMitigationMode;
use proptest::prelude::*;
use serde_json::Value;

use crate::harness::{Setup, Target, ok};
use crate::http1::corpus::{self, unescape};
use crate::http1::properties::stream;

struct Case {
    tier: String,
    reason: String,
    head: Vec<u8>,
}

/// The library's.
fn cases() -> Vec<Case> {
    let text = include_str!("../corpus/desync.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let case = |line: &str| {
        let (expected, head) = line.split_once(" | ").unwrap();
        let (tier, reason) = expected.split_once(' ').unwrap();
        Case {
            tier: tier.to_owned(),
            reason: reason.to_owned(),
            head: unescape(head),
        }
    };
    lines.map(case).collect()
}

fn words(classification: Option<Classification>) -> (&'static str, &'static str) {
    classification.map_or(("Compliant", "Compliant"), |found| {
        (found.tier.name(), found.reason)
    })
}

#[test]
fn the_cases_of_the_albs_library_are_classified_as_there() {
    let cases = cases();
    assert!(cases.len() > 100);
    let mut wrong = Vec::new();
    for case in &cases {
        let found = words(desync::classify(&case.head));
        // The log of an ALB knows one more reason than its library.
        let two = found.1 == "SuspiciousTeClPresent" && case.reason == "SuspiciousHeader";
        if found != (case.tier.as_str(), case.reason.as_str()) && !two {
            let head = case.head.escape_ascii();
            wrong.push(format!(
                "{found:?}, not {} {}: {head}",
                case.tier, case.reason
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether something is unusual enough to ask the library is decided in a few branches, and these miss nothing.
#[track_caller]
fn assert_nothing_is_missed(input: &[u8]) {
    if let Ok(Some((head, _))) = RequestHead::read(input) {
        let verdict = desync::judge(&head, DesyncMitigationMode::Monitor);
        let whole = desync::classify(head.bytes());
        assert_eq!(verdict.classification, whole, "{}", input.escape_ascii());
    }
}

#[test]
fn no_request_is_too_usual_to_be_classified() {
    for case in cases() {
        assert_nothing_is_missed(&case.head);
    }
    for case in corpus::requests() {
        assert_nothing_is_missed(&case.input);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_changed_request_is_too_usual_to_be_classified((_, input) in stream()) {
        assert_nothing_is_missed(&input);
    }
}

const MODES: [&str; 3] = ["monitor", "defensive", "strictest"];

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Passes,
    /// And both connections close.
    PassesAndCloses,
    Refused,
}

/// A request, its class, and what becomes of it in each mode.
type Row = (&'static str, &'static str, &'static str, [Fate; 3]);

const COMPLIANT: [Fate; 3] = [Fate::Passes; 3];
const ACCEPTABLE: [Fate; 3] = [Fate::Passes, Fate::Passes, Fate::Refused];
const AMBIGUOUS: [Fate; 3] = [Fate::Passes, Fate::PassesAndCloses, Fate::Refused];
/// The length may be another one for others: that is no matter of the mode.
const AMBIGUOUS_LENGTH: [Fate; 3] = [Fate::PassesAndCloses, Fate::PassesAndCloses, Fate::Refused];
const SEVERE: [Fate; 3] = [Fate::Passes, Fate::Refused, Fate::Refused];
const UNREADABLE: [Fate; 3] = [Fate::Refused; 3];

const HELLO: &str = "5\r\nhello\r\n0\r\n\r\n";

const ROWS: &[Row] = &[
    ("GET / HTTP/1.1|", "", "", COMPLIANT),
    ("POST / HTTP/1.1|Content-Length: 5|hello", "", "", COMPLIANT),
    (
        "POST / HTTP/1.1|Transfer-Encoding: chunked|CHUNKS",
        "",
        "",
        COMPLIANT,
    ),
    ("DELETE / HTTP/1.1|Content-Length: 0|", "", "", COMPLIANT),
    ("GET / HTTP/1.1|My_Field: 1|", "", "", COMPLIANT),
    (
        "GET / HTTP/1.1|Content-Length: 0|",
        "Acceptable",
        "GetHeadZeroContentLength",
        ACCEPTABLE,
    ),
    (
        "GET / HTTP/1.1|Content-Length: 5|hello",
        "Ambiguous",
        "UndefinedContentLengthSemantics",
        AMBIGUOUS,
    ),
    (
        "GET / HTTP/1.1|Transfer-Encoding: chunked|CHUNKS",
        "Ambiguous",
        "UndefinedTransferEncodingSemantics",
        AMBIGUOUS,
    ),
    (
        "POST / HTTP/1.1|Content_Length: 5|",
        "Ambiguous",
        "SuspiciousHeader",
        AMBIGUOUS,
    ),
    (
        "POST / HTTP/1.1|Content.Length-: 5|",
        "Ambiguous",
        "SuspiciousHeader",
        AMBIGUOUS,
    ),
    (
        "POST / HTTP/1.1|Transfer_Encoding: chunked|",
        "Ambiguous",
        "SuspiciousHeader",
        AMBIGUOUS,
    ),
    (
        "POST / HTTP/1.1|Content-Length: 3\r\nTransfer-Encoding: chunked|CHUNKS",
        "Ambiguous",
        "BothTeClPresent",
        AMBIGUOUS_LENGTH,
    ),
    (
        "POST / HTTP/1.1|Transfer-Encoding: chunked\r\nContent-Length: 3|CHUNKS",
        "Ambiguous",
        "BothTeClPresent",
        AMBIGUOUS_LENGTH,
    ),
    (
        "POST / HTTP/1.1|Content-Length: 5\r\nContent-Length: 5|hello",
        "Ambiguous",
        "DuplicateContentLength",
        AMBIGUOUS_LENGTH,
    ),
    (
        "POST / HTTP/1.0|Transfer-Encoding: chunked|CHUNKS",
        "Ambiguous",
        "UndefinedTransferEncodingSemantics",
        AMBIGUOUS_LENGTH,
    ),
    (
        "POST / HTTP/1.1|Transfer-Encoding: chunked\r\nContent_Length: 3|CHUNKS",
        "Severe",
        "SuspiciousTeClPresent",
        SEVERE,
    ),
    (
        "POST / HTTP/1.1|Content-Length: 5\r\nTransfer_Encoding: chunked|hello",
        "Severe",
        "SuspiciousTeClPresent",
        SEVERE,
    ),
    (
        "POST / HTTP/1.1|Content-Length: 5, 5|hello",
        "Severe",
        "BadContentLength",
        UNREADABLE,
    ),
    (
        "POST / HTTP/1.1|Content-Length: 5\r\nContent-Length: 6|hello!",
        "Severe",
        "MultipleContentLength",
        UNREADABLE,
    ),
    (
        "POST / HTTP/1.1|Transfer-Encoding: xchunked|CHUNKS",
        "Severe",
        "BadTransferEncoding",
        UNREADABLE,
    ),
    (
        "POST / HTTP/1.1|Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked|CHUNKS",
        "Severe",
        "MultipleTransferEncodingChunked",
        UNREADABLE,
    ),
    (
        "POST / HTTP/1.1|Transfer-Encoding : chunked|CHUNKS",
        "Ambiguous",
        "SuspiciousHeader",
        UNREADABLE,
    ),
    ("GET / HTTP/1.1|X: a\0b|", "Severe", "BadHeader", UNREADABLE),
    (
        "GET /a b HTTP/1.1||",
        "Acceptable",
        "SpaceInUri",
        UNREADABLE,
    ),
    (
        "GET /\u{1} HTTP/1.1||",
        "Ambiguous",
        "AmbiguousUri",
        UNREADABLE,
    ),
    ("G(T / HTTP/1.1||", "Severe", "BadMethod", UNREADABLE),
];

/// `START|FIELDS|BODY`
fn bytes(row: &str) -> String {
    let mut parts = row.split('|');
    let mut part = || parts.next().unwrap_or_default();
    let (start, fields, body) = (part(), part(), part().replace("CHUNKS", HELLO));
    let separator = if fields.is_empty() { "" } else { "\r\n" };
    format!("{start}\r\nHost: example.com\r\n{fields}{separator}\r\n{body}")
}

/// Answers what it was sent, one way to say its length only.
fn target() -> Target {
    Target::answering(|request| {
        assert!(!(request.has("content-length") && request.has("transfer-encoding")));
        assert!(request.all("content-length").len() < 2);
        ok(request.text())
    })
}

#[test]
fn each_mode_does_with_each_class_what_an_alb_does() {
    for (nth, mode) in MODES.iter().enumerate() {
        for (row, tier, reason, fates) in ROWS {
            let fate = fates[nth];
            let target = target();
            let proxy = Setup::to([target.address])
                .with("workers = 1")
                .with(&format!("desync_mitigation_mode = '{mode}'"))
                .start();
            let mut client = proxy.connect();
            let answer = client.exchange(bytes(row));
            let case = format!("{row:?} in {mode}");
            let closes = answer.field("connection") == Some("close");
            let old = row.contains("HTTP/1.0");
            if fate == Fate::Refused {
                assert_eq!((answer.status(), closes), (400, true), "{case}");
                client.assert_closed();
                assert!(target.requests().is_empty(), "{case}");
            } else {
                let hello = row.contains("hello") || row.contains("CHUNKS");
                let expected = if hello { "hello" } else { "" };
                assert_eq!((answer.status(), answer.text()), (200, expected), "{case}");
                assert_eq!(closes, fate == Fate::PassesAndCloses || old, "{case}");
                if closes {
                    client.assert_closed();
                } else {
                    assert_eq!(client.get("/next").status(), 200, "{case}");
                }
                proxy.get("/another");
                let kept = if fate == Fate::PassesAndCloses { 2 } else { 1 };
                assert_eq!(target.connections(), kept, "{case}");
                let forwarded = target.requests().remove(0);
                let names = forwarded.fields.iter();
                let folded = names.map(|(name, _)| name.to_lowercase().replace(['_', '.'], "-"));
                let framing =
                    folded.filter(|name| name.contains("length") || name.contains("encoding"));
                assert_eq!(
                    framing.count(),
                    usize::from(hello || fates == &ACCEPTABLE || row.starts_with("DELETE")),
                    "{case}"
                );
            }
            let line = proxy
                .log(if fate == Fate::Refused {
                    1
                } else if closes {
                    2
                } else {
                    3
                })
                .remove(0);
            let word = |word: &str| {
                if word.is_empty() {
                    Value::Null
                } else {
                    word.into()
                }
            };
            assert_eq!(line["classification"], word(tier), "{case}");
            assert_eq!(line["classification_reason"], word(reason), "{case}");
            let counted = i64::from(!tier.is_empty());
            let series = "desync_mitigation_mode_non_compliant_request_count_total";
            assert_eq!(proxy.metric(series), counted, "{case}");
        }
    }
}

/// All of the library's cases, over a connection each: none that it calls severe gets through, and the class is logged.
#[test]
fn no_severe_case_of_the_albs_library_reaches_a_target() {
    let target = Target::answering(|_| ok("through"));
    let proxy = Setup::to([target.address]).start();
    let cases = cases();
    for case in &cases {
        let mut client = proxy.connect();
        let fields = case.head.strip_suffix(b"\r\n").unwrap();
        client
            .send([fields, b"Host: example.com\r\n\r\n"].concat())
            .unwrap();
        client.stream().shutdown(Shutdown::Write).unwrap();
        let answer = client.rest().unwrap();
        let through = answer.starts_with(b"HTTP/1.1 200");
        let answer = answer.escape_ascii();
        let head = case.head.escape_ascii();
        assert!(!(through && case.tier == "Severe"), "{head}: {answer}");
    }
    let lines = proxy.log(cases.len());
    let logged = |tier: &str| {
        lines
            .iter()
            .filter(|line| line["classification"] == tier)
            .count()
    };
    let expected = |tier: &str| cases.iter().filter(|case| case.tier == tier).count();
    // Those with both kinds of framing of which one is suspicious are more severe than the library says.
    assert!(
        logged("Severe") >= expected("Severe"),
        "{}",
        logged("Severe")
    );
    assert_eq!(logged("Acceptable"), expected("Acceptable"));
}
