//! Why a request does not count.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection: refused, or its TLS handshake failed.
    Connect(String),
    Status(StatusCode),
    Length {
        expected: u64,
        got: u64,
    },
    /// The body is not the expected one, somewhere between these bytes.
    Content {
        begin: usize,
        end: usize,
    },
    /// The connection or stream ended before the answer did.
    Broken(String),
    Timeout(Duration),
}

/// What failures are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Connect,
    Status,
    Length,
    Content,
    Broken,
    Timeout,
}

impl Kind {
    /// In the order of their values.
    pub(crate) const ALL: [Self; 6] = [
        Self::Connect,
        Self::Status,
        Self::Length,
        Self::Content,
        Self::Broken,
        Self::Timeout,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Status => "status",
            Self::Length => "length",
            Self::Content => "content",
            Self::Broken => "broken",
            Self::Timeout => "timeout",
        }
    }
}

impl Failure {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Connect(_) => Kind::Connect,
            Self::Status(_) => Kind::Status,
            Self::Length { .. } => Kind::Length,
            Self::Content { .. } => Kind::Content,
            Self::Broken(_) => Kind::Broken,
            Self::Timeout(_) => Kind::Timeout,
        }
    }

    pub(crate) fn connect(error: &dyn std::error::Error) -> Self {
        Self::Connect(with_causes(error))
    }

    pub(crate) fn broken(error: &hyper::Error) -> Self {
        Self::Broken(with_causes(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(reason) | Self::Broken(reason) => f.write_str(reason),
            Self::Status(status) => write!(f, "{status}"),
            Self::Length { expected, got } => {
                write!(f, "a body of {got} bytes instead of {expected}")
            }
            Self::Content { begin, end } => {
                write!(f, "wrong bytes between {begin} and {end} of the body")
            }
            Self::Timeout(limit) => write!(f, "no complete answer within {limit:?}"),
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        if !text.contains(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        cause = error.source();
    }
    text
}
