//! What a field's name means to a load balancer.

use http_desync_guardian::http_token_utils::TokenSimilarity::Distant;
use http_desync_guardian::http_token_utils::{CL, TE, determine_similarity};

/// Recognised once, when the head is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    KeepAlive,
    ProxyConnection,
    Te,
    Trailer,
    Upgrade,
    Expect,
    Cookie,
    UserAgent,
    Server,
    Date,
    Location,
    XForwardedFor,
    XForwardedProto,
    XForwardedPort,
    XAmznTraceId,
    /// What only the load balancer may say (`X-Amzn-Tls-*`, `X-Amzn-Mtls-*`), and spellings with `_` that some
    /// application servers take for a field that it sets.
    Disguised,
    /// Nearly `Content-Length` or `Transfer-Encoding`, as the ALB's own library judges: some take it for framing.
    Suspicious,
    Other,
}

impl Name {
    /// Of a token, in any case. By length and first letter: most names are none of these, and are seen to be none at once.
    pub fn of(spelled: &[u8]) -> Self {
        let Some(first) = spelled.first() else {
            return Self::Other;
        };
        let is = |same, name| if same { name } else { Self::Other };
        match (spelled.len(), first | CASE) {
            (2, b't') => is(same(spelled, b"te"), Self::Te),
            (4, b'd') => is(same(spelled, b"date"), Self::Date),
            (4, b'h') => is(same(spelled, b"host"), Self::Host),
            (6, b'c') => is(same(spelled, b"cookie"), Self::Cookie),
            (6, b'e') => is(same(spelled, b"expect"), Self::Expect),
            (6, b's') => is(same(spelled, b"server"), Self::Server),
            (7, b't') => is(same(spelled, b"trailer"), Self::Trailer),
            (7, b'u') => is(same(spelled, b"upgrade"), Self::Upgrade),
            (8, b'l') => is(same(spelled, b"location"), Self::Location),
            (10, b'c') => is(same(spelled, b"connection"), Self::Connection),
            (10, b'k') => is(same(spelled, b"keep-alive"), Self::KeepAlive),
            (10, b'u') => is(same(spelled, b"user-agent"), Self::UserAgent),
            (14, b'c') => Self::framing(spelled, b"content-length", Self::ContentLength),
            (16, b'p') => is(same(spelled, b"proxy-connection"), Self::ProxyConnection),
            (17, b't') => Self::framing(spelled, b"transfer-encoding", Self::TransferEncoding),
            (_, b'x') => Self::extension(spelled),
            (15.., b'c') | (18.., b't') => Self::look_alike(spelled),
            (15.., _) if !first.is_ascii_alphanumeric() => Self::look_alike(spelled),
            _ => Self::Other,
        }
    }

    fn framing<const N: usize>(spelled: &[u8], known: &[u8; N], name: Self) -> Self {
        if same(spelled, known) {
            name
        } else {
            Self::look_alike(spelled)
        }
    }

    #[cold]
    fn look_alike(spelled: &[u8]) -> Self {
        let is_like = |known| determine_similarity(known, spelled) != Distant;
        if is_like(CL) || is_like(TE) {
            Self::Suspicious
        } else {
            Self::Other
        }
    }

    /// Of a name that begins with an X.
    fn extension(spelled: &[u8]) -> Self {
        let forwarded = begins(spelled, b"x-forwarded-");
        if !forwarded && !begins(spelled, b"x-amzn-") {
            return Self::Other;
        }
        if spelled.contains(&b'_')
            || begins(spelled, b"x-amzn-tls-")
            || begins(spelled, b"x-amzn-mtls-")
        {
            Self::Disguised
        } else if same(spelled, b"x-forwarded-for") {
            Self::XForwardedFor
        } else if same(spelled, b"x-forwarded-port") {
            Self::XForwardedPort
        } else if same(spelled, b"x-forwarded-proto") {
            Self::XForwardedProto
        } else if same(spelled, b"x-amzn-trace-id") {
            Self::XAmznTraceId
        } else {
            Self::Other
        }
    }
}

/// The bit that makes a letter small, and leaves a hyphen; no other character of a token becomes one of these.
const CASE: u8 = 0x20;

/// Whether the token is the name, in any case.
fn same<const N: usize>(spelled: &[u8], name: &[u8; N]) -> bool {
    let Ok(spelled) = <&[u8; N]>::try_from(spelled) else {
        return false;
    };
    let pairs = spelled.iter().zip(name);
    pairs.fold(0, |other, (byte, wanted)| other | ((byte | CASE) ^ wanted)) == 0
}

/// Whether the token begins with the prefix, in any case and with `_` for `-`.
fn begins<const N: usize>(spelled: &[u8], prefix: &[u8; N]) -> bool {
    let start = spelled.get(..N);
    start.is_some_and(|start| folds_to(start, prefix))
}

/// Whether the token is the name, in any case and with `_` for `-`.
fn folds_to<const N: usize>(spelled: &[u8], name: &[u8; N]) -> bool {
    spelled.len() == N
        && spelled.iter().zip(name).all(|(byte, wanted)| match byte {
            b'_' => *wanted == b'-',
            byte => byte | CASE == *wanted,
        })
}
