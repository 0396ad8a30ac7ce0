//! The codec and hyper read the same streams: all of the corpus, and what comes of it by a few changes. Each difference
//! has its reason in [`DIFFERENCES`], and each reason there is needed.
//!
//! hyper's own reading is httparse's and the `http` crate's with it.

use std::fmt;

use lintel_proxy::http1::Malformed;
use proptest::prelude::*;

use super::corpus;
use super::hyper_reading::{self, HyperReading, HyperRest};
use super::properties::stream;
use super::reading::{self, Message, Reading, Rest, Side};

/// Where the two readings of a stream part.
struct Difference {
    ours: Outcome,
    /// Why the codec reads no further, there or in the content of a message that it has begun.
    refused: Option<Malformed>,
    theirs: Outcome,
    input: Vec<u8>,
}

/// What comes next in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Message(Message),
    /// Nothing, and nothing is missing.
    End,
    Incomplete,
    Refused,
}

/// The first one.
fn difference(side: &Side, input: &[u8]) -> Option<Difference> {
    let ours = reading::read(side, [input]);
    let refused = match ours.rest {
        Some(Rest::Refused(malformed)) => Some(malformed),
        _ => None,
    };
    let theirs = hyper_outcomes(hyper_reading::read(side, input));
    let mut pairs = outcomes(ours).into_iter().zip(theirs);
    let (ours, theirs) = pairs.find(|(ours, theirs)| !is_same(ours, theirs))?;
    let is_there = match &ours {
        Outcome::Message(message) => !message.whole,
        ours => *ours == Outcome::Refused,
    };
    Some(Difference {
        ours,
        refused: refused.filter(|_| is_there),
        theirs,
        input: input.to_vec(),
    })
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ours,
            refused,
            theirs,
            input,
        } = self;
        let input = input.escape_ascii();
        write!(
            f,
            "{input}\n  ours: {ours:?} {refused:?}\n  hyper's: {theirs:?}"
        )
    }
}

impl Difference {
    /// The codec does, for one of these reasons, and hyper does not.
    fn only_we_refuse(&self, reasons: &[Malformed]) -> bool {
        self.theirs != Outcome::Refused && self.refused.is_some_and(|why| reasons.contains(&why))
    }

    /// What hyper reads in the target where the codec refuses it.
    fn refused_target(&self) -> Option<&str> {
        match &self.theirs {
            Outcome::Message(message) if self.refused == Some(Malformed::Target) => {
                Some(&message.target)
            }
            _ => None,
        }
    }

    fn has(&self, text: &str) -> bool {
        let input = self.input.to_ascii_lowercase();
        input
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    }

    fn hyper_reads_status(&self, is: fn(u16) -> bool) -> bool {
        match &self.theirs {
            Outcome::Message(message) => message.what.parse().is_ok_and(is),
            _ => false,
        }
    }
}

fn is_same(ours: &Outcome, theirs: &Outcome) -> bool {
    match (ours, theirs) {
        (Outcome::Message(ours), Outcome::Message(theirs)) if !ours.whole && !theirs.whole => {
            // How much of the content came through before the end is chance.
            let head = |message: &Message| Message {
                content: Vec::new(),
                ..message.clone()
            };
            head(ours) == head(theirs)
        }
        (ours, theirs) => ours == theirs,
    }
}

fn outcomes(reading: Reading) -> Vec<Outcome> {
    let cut = reading
        .messages
        .last()
        .is_some_and(|message| !message.whole);
    let rest = match reading.rest {
        Some(Rest::Refused(_)) => Outcome::Refused,
        Some(Rest::Waits) => Outcome::Incomplete,
        None if cut => Outcome::Incomplete,
        None | Some(Rest::Left(_)) => Outcome::End,
    };
    let messages = reading.messages.into_iter();
    messages.map(comparable).chain([rest]).collect()
}

fn hyper_outcomes(reading: HyperReading) -> Vec<Outcome> {
    let rest = match reading.rest {
        HyperRest::Fine => Outcome::End,
        HyperRest::Incomplete => Outcome::Incomplete,
        HyperRest::Refused => Outcome::Refused,
    };
    let messages = reading.messages.into_iter();
    messages.map(comparable).chain([rest]).collect()
}

/// hyper keeps neither the spelling nor the order of different names.
fn comparable(mut message: Message) -> Outcome {
    for fields in [&mut message.fields, &mut message.trailers] {
        for (name, _) in fields.iter_mut() {
            name.make_ascii_lowercase();
        }
        fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    }
    Outcome::Message(message)
}

/// Why the two differ, and which differences that explains.
struct Reason(&'static str, fn(&Difference) -> bool);

const DIFFERENCES: [Reason; 29] = [
    // Lines
    Reason("httparse and hyper take LF alone for a line's end", |it| {
        it.only_we_refuse(&[Malformed::BareLf])
    }),
    Reason(
        "httparse skips any number of empty lines before a head",
        |it| it.only_we_refuse(&[Malformed::EmptyLine]),
    ),
    Reason(
        "after an empty line and no more hyper does not wait for a head",
        |it| it.ours == Outcome::Incomplete && it.theirs == Outcome::End,
    ),
    Reason("httparse judges a line before its end has come", |it| {
        it.ours == Outcome::Incomplete && it.theirs == Outcome::Refused
    }),
    // Limits
    Reason("hyper has no limit for one line", |it| {
        it.only_we_refuse(&[Malformed::RequestLineTooLong, Malformed::FieldTooLong])
    }),
    Reason("hyper's limit for a head is 400 KiB", |it| {
        it.only_we_refuse(&[Malformed::HeadTooLarge])
    }),
    Reason("hyper has no limit for one chunk extension", |it| {
        it.only_we_refuse(&[Malformed::ChunkLineTooLong])
    }),
    Reason(
        "hyper does not count the semicolons of chunk extensions",
        |it| it.only_we_refuse(&[Malformed::ChunkExtensionsTooLarge]),
    ),
    // Targets
    Reason("`Uri` drops a fragment", |it| {
        it.refused_target().is_some() && it.has("#")
    }),
    Reason("`Uri` takes UTF-8", |it| {
        it.refused_target().is_some_and(|target| !target.is_ascii())
    }),
    Reason("`Uri` takes a backslash in a path", |it| {
        it.refused_target()
            .is_some_and(|target| target.contains('\\'))
    }),
    Reason(
        "hyper leaves it to the server which form of target is for which method",
        |it| {
            it.refused_target().is_some_and(|target| {
                let is_connect =
                    matches!(&it.theirs, Outcome::Message(theirs) if theirs.what == "CONNECT");
                is_connect || !(target.starts_with('/') || target.contains("://"))
            })
        },
    ),
    Reason("hyper leaves it to the server to know a scheme", |it| {
        it.refused_target().is_some_and(|target| {
            target.contains("://")
                && !target.starts_with("http://")
                && !target.starts_with("https://")
        })
    }),
    Reason(
        "`Uri` reads an authority, here that is left to whoever routes by it",
        |it| match &it.ours {
            Outcome::Message(ours) if it.theirs == Outcome::Refused => {
                ours.what == "CONNECT" || ours.target.contains("://")
            }
            _ => false,
        },
    ),
    // Connections
    Reason(
        "hyper reads no Connection with a byte that is not ASCII",
        |it| {
            let one_ends = it.ours == Outcome::End || it.theirs == Outcome::End;
            one_ends && it.has("connection:") && !it.input.is_ascii()
        },
    ),
    Reason(
        "what follows a CONNECT is no HTTP for hyper; here the listener closes the connection",
        |it| it.theirs == Outcome::End && it.has("connect "),
    ),
    // Status
    Reason("hyper takes a status up to 999", |it| {
        it.only_we_refuse(&[Malformed::Status])
    }),
    // Lengths
    Reason("hyper takes equal Content-Lengths for one", |it| {
        it.only_we_refuse(&[Malformed::RepeatedContentLength])
    }),
    Reason(
        "hyper takes a list of equal lengths in a response for one",
        |it| it.only_we_refuse(&[Malformed::ContentLength]) && it.has("http/1.1 2") && it.has(","),
    ),
    Reason(
        "hyper gives a length only once, and none beside chunks; here that is left to who passes it on",
        |it| match (&it.ours, &it.theirs) {
            (Outcome::Message(ours), Outcome::Message(theirs)) => {
                let without = |message: &Message| {
                    let mut message = message.clone();
                    message.fields.retain(|(name, _)| name != "content-length");
                    Outcome::Message(message)
                };
                is_same(&without(ours), &without(theirs))
            }
            _ => false,
        },
    ),
    Reason("hyper takes no Transfer-Encoding in HTTP/1.0", |it| {
        let chunked = |ours: &Message| {
            ours.version == Some(http::Version::HTTP_10)
                && ours
                    .fields
                    .iter()
                    .any(|(name, _)| name == "transfer-encoding")
        };
        let ours = matches!(&it.ours, Outcome::Message(ours) if chunked(ours));
        ours && it.theirs == Outcome::Refused
    }),
    Reason("hyper reads no length where there is no content", |it| {
        it.only_we_refuse(&[
            Malformed::ContentLength,
            Malformed::RepeatedContentLength,
            Malformed::TransferEncoding,
            Malformed::TransferEncodingInHttp10,
        ]) && it.hyper_reads_status(|_| true)
    }),
    Reason(
        "hyper reads no Content-Length with a Transfer-Encoding",
        |it| {
            it.only_we_refuse(&[Malformed::ContentLength, Malformed::TwoLengths])
                && it.has("transfer-encoding:")
        },
    ),
    Reason("hyper keeps the two largest lengths for itself", |it| {
        it.theirs == Outcome::Refused && it.has("184467440737095516")
    }),
    Reason(
        "hyper takes any codings of which the last is chunked",
        |it| {
            it.only_we_refuse(&[
                Malformed::TransferEncoding,
                Malformed::RepeatedTransferEncoding,
            ])
        },
    ),
    // Chunks
    Reason(
        "hyper's client takes blanks behind a chunk size, and leading zeros without end",
        |it| it.only_we_refuse(&[Malformed::ChunkSize]),
    ),
    Reason("hyper takes controls in chunk extensions", |it| {
        it.only_we_refuse(&[Malformed::Control, Malformed::BareCr]) && it.has("chunked")
    }),
    // Trailers
    Reason("hyper judges trailers only when their end has come", |it| {
        it.refused.is_some() && it.theirs == Outcome::Incomplete && it.has("chunked")
    }),
    Reason(
        "what only a head may say does not go on in trailers",
        |it| match (&it.ours, &it.theirs) {
            (Outcome::Message(ours), Outcome::Message(theirs)) => {
                let kept = ours
                    .trailers
                    .iter()
                    .all(|field| theirs.trailers.contains(field));
                let without = |message: &Message| Message {
                    trailers: Vec::new(),
                    ..message.clone()
                };
                ours.trailers.len() < theirs.trailers.len()
                    && kept
                    && without(ours) == without(theirs)
            }
            _ => false,
        },
    ),
];

#[test]
fn every_difference_on_the_corpus_is_explained_and_every_reason_needed() {
    let mut needed = [0; DIFFERENCES.len()];
    let mut unexplained = Vec::new();
    for case in corpus::requests().iter().chain(&corpus::responses()) {
        let Some(difference) = difference(&case.side, &case.input) else {
            continue;
        };
        match reason(&difference) {
            Some(at) => needed[at] += 1,
            None => unexplained.push(format!("{:?} line {}: {difference}", case.side, case.line)),
        }
    }
    assert!(unexplained.is_empty(), "{}", unexplained.join("\n"));
    for (Reason(reason, _), needed) in DIFFERENCES.iter().zip(needed) {
        assert!(needed > 0, "nothing is explained by this: {reason}");
    }
}

fn reason(difference: &Difference) -> Option<usize> {
    let mut reasons = DIFFERENCES.iter();
    reasons.position(|Reason(_, explains)| explains(difference))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn every_difference_on_changed_messages_is_explained((side, input) in stream()) {
        if let Some(difference) = difference(&side, &input) {
            prop_assert!(reason(&difference).is_some(), "{side:?}: {difference}");
        }
    }
}
