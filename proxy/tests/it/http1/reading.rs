//! All that the codec reads in a stream, as plain values, and the loop that reads it.

use std::fmt;

use http::Method;
use lintel_proxy::http1::{Decoder, Fields, Length, Malformed, RequestHead, ResponseHead};

/// Who sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Side {
    Requests,
    /// In answer to one of this method: interim ones and a final one.
    Responses(Method),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Message {
    /// Method or status.
    pub(super) what: String,
    /// The target's parts, joined.
    pub(super) target: String,
    pub(super) version: Option<http::Version>,
    pub(super) fields: Vec<(String, Vec<u8>)>,
    pub(super) content: Vec<u8>,
    pub(super) trailers: Vec<(String, Vec<u8>)>,
    pub(super) whole: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Reading {
    pub(super) messages: Vec<Message>,
    /// What is with the bytes behind the messages; with a last message that is not whole, why.
    pub(super) rest: Option<Rest>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    Waits,
    Refused(Malformed),
    Left(usize),
}

/// Reads what comes in these pieces, and then no more.
pub(super) fn read<'a>(side: &Side, pieces: impl IntoIterator<Item = &'a [u8]>) -> Reading {
    let mut reader = Reader {
        side: side.clone(),
        kept: Vec::new(),
        decoder: None,
        last: false,
        reading: Reading::default(),
    };
    for piece in pieces {
        reader.kept.extend_from_slice(piece);
        reader.advance();
    }
    reader.end();
    reader.reading
}

struct Reader {
    side: Side,
    kept: Vec<u8>,
    /// Of the last message.
    decoder: Option<Decoder>,
    /// The last message is the last one of this connection.
    last: bool,
    reading: Reading,
}

impl Reader {
    fn advance(&mut self) {
        while self.reading.rest.is_none() {
            let step = match &self.decoder {
                Some(_) => self.content(),
                None if self.last => return,
                None => self.head(),
            };
            match step {
                Ok(true) => {}
                Ok(false) => return,
                Err(malformed) => self.reading.rest = Some(Rest::Refused(malformed)),
            }
        }
    }

    /// Whether it got on.
    fn head(&mut self) -> Result<bool, Malformed> {
        let read = match &self.side {
            Side::Requests => RequestHead::read(&self.kept)?
                .map(|(head, size)| (request(&head), head.length(), !head.keeps_alive(), size)),
            Side::Responses(method) => {
                ResponseHead::read(&self.kept, method)?.map(|(head, size)| {
                    let last = !matches!(head.status(), 100 | 102..=199);
                    (response(&head), head.length(), last, size)
                })
            }
        };
        let Some((message, length, last, size)) = read else {
            return Ok(false);
        };
        assert!(
            size <= self.kept.len(),
            "took {size} of {}",
            self.kept.len()
        );
        self.kept.drain(..size);
        self.reading.messages.push(message);
        self.decoder = Some(Decoder::new(length));
        self.last = last;
        Ok(true)
    }

    fn content(&mut self) -> Result<bool, Malformed> {
        let (Some(decoder), Some(message)) = (&mut self.decoder, self.reading.messages.last_mut())
        else {
            return Ok(false);
        };
        if decoder.is_finished() {
            message.whole = true;
            message.trailers = decoder
                .take_trailers()
                .as_ref()
                .map(fields)
                .unwrap_or_default();
            self.decoder = None;
            return Ok(true);
        }
        let piece = decoder.read(&self.kept)?;
        assert!(piece.consumed <= self.kept.len(), "{piece:?}");
        assert!(piece.content.end <= piece.consumed, "{piece:?}");
        message.content.extend_from_slice(&self.kept[piece.content]);
        self.kept.drain(..piece.consumed);
        Ok(piece.consumed > 0 || decoder.is_finished())
    }

    fn end(&mut self) {
        if self.reading.rest.is_some() {
            return;
        }
        if let Some(decoder) = &mut self.decoder {
            match decoder.end_of_stream() {
                Ok(()) => self.advance(),
                Err(malformed) => {
                    assert_eq!(malformed, Malformed::Incomplete);
                    return;
                }
            }
        }
        let due = self.side != Side::Requests && !self.last;
        self.reading.rest = match self.kept.len() {
            0 if due => Some(Rest::Waits),
            0 => None,
            left if self.last => Some(Rest::Left(left)),
            _ => Some(Rest::Waits),
        };
    }
}

fn request(head: &RequestHead) -> Message {
    let authority = head.authority().unwrap_or_default();
    let scheme = head.scheme().map(|scheme| format!("{scheme}://"));
    let scheme = scheme.unwrap_or_default();
    assert!(head.version() == http::Version::HTTP_11 || !head.expects_continue());
    assert_ne!(head.length(), Length::UntilClose);
    let query = head.query().map(|query| format!("?{query}"));
    let path_and_query = format!("{}{}", head.path(), query.unwrap_or_default());
    assert_eq!(head.path_and_query(), path_and_query);
    Message {
        what: head.method().to_string(),
        target: format!("{scheme}{authority}{path_and_query}"),
        version: Some(head.version()),
        fields: fields(head.fields()),
        ..Message::default()
    }
}

fn response(head: &ResponseHead) -> Message {
    Message {
        what: head.status().to_string(),
        version: Some(head.version()),
        fields: fields(head.fields()),
        ..Message::default()
    }
}

fn fields(fields: &Fields) -> Vec<(String, Vec<u8>)> {
    let pairs = fields.iter();
    pairs
        .map(|field| (field.spelled.to_owned(), field.value.to_vec()))
        .collect()
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.content.len())?;
        if !self.trailers.is_empty() {
            write!(f, " +{} trailers", self.trailers.len())?;
        }
        if !self.whole {
            f.write_str("...")?;
        }
        Ok(())
    }
}

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waits => f.write_str("waits"),
            Self::Refused(malformed) => write!(f, "refused: {malformed:?}"),
            Self::Left(bytes) => write!(f, "left {bytes}"),
        }
    }
}
