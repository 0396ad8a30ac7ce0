//! What a field's name means to a load balancer.

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
    /// application servers take for a field that it sets or frames by.
    Disguised,
    Other,
}

impl Name {
    /// In any case. By length and first letter: most names are none of these, and are seen to be none at once.
    pub fn of(spelled: &[u8]) -> Self {
        let Some(first) = spelled.first().map(u8::to_ascii_lowercase) else {
            return Self::Other;
        };
        let (known, name): (&[u8], Self) = match (spelled.len(), first) {
            (2, b't') => (b"te", Self::Te),
            (4, b'h') => (b"host", Self::Host),
            (4, b'd') => (b"date", Self::Date),
            (6, b'c') => (b"cookie", Self::Cookie),
            (6, b'e') => (b"expect", Self::Expect),
            (6, b's') => (b"server", Self::Server),
            (7, b't') => (b"trailer", Self::Trailer),
            (7, b'u') => (b"upgrade", Self::Upgrade),
            (8, b'l') => (b"location", Self::Location),
            (10, b'c') => (b"connection", Self::Connection),
            (10, b'k') => (b"keep-alive", Self::KeepAlive),
            (10, b'u') => (b"user-agent", Self::UserAgent),
            (14, b'c') => (b"content-length", Self::ContentLength),
            (16, b'p') => (b"proxy-connection", Self::ProxyConnection),
            (17, b't') => (b"transfer-encoding", Self::TransferEncoding),
            (_, b'x') => return Self::of_extension(spelled),
            _ => return Self::Other,
        };
        if spelled.eq_ignore_ascii_case(known) {
            name
        } else if matches!(name, Self::ContentLength | Self::TransferEncoding)
            && folds_to(spelled, known)
        {
            Self::Disguised
        } else {
            Self::Other
        }
    }

    /// Of a name that begins with an X.
    fn of_extension(spelled: &[u8]) -> Self {
        let forwarded = begins(spelled, b"x-forwarded-");
        if !forwarded && !begins(spelled, b"x-amzn-") {
            return Self::Other;
        }
        if spelled.contains(&b'_')
            || begins(spelled, b"x-amzn-tls-")
            || begins(spelled, b"x-amzn-mtls-")
        {
            return Self::Disguised;
        }
        let (known, name): (&[u8], Self) = match (spelled.len(), forwarded) {
            (15, true) => (b"x-forwarded-for", Self::XForwardedFor),
            (16, true) => (b"x-forwarded-port", Self::XForwardedPort),
            (17, true) => (b"x-forwarded-proto", Self::XForwardedProto),
            (15, false) => (b"x-amzn-trace-id", Self::XAmznTraceId),
            _ => return Self::Other,
        };
        if spelled.eq_ignore_ascii_case(known) {
            name
        } else {
            Self::Other
        }
    }
}

/// Whether the name begins with the prefix, in any case and with `_` for `-`.
fn begins(spelled: &[u8], prefix: &[u8]) -> bool {
    let start = spelled.get(..prefix.len());
    start.is_some_and(|start| folds_to(start, prefix))
}

/// Whether they are the same, in any case and with `_` for `-` in the first.
fn folds_to(spelled: &[u8], name: &[u8]) -> bool {
    spelled.len() == name.len()
        && spelled
            .iter()
            .zip(name)
            .all(|(byte, wanted)| match byte.to_ascii_lowercase() {
                b'_' => *wanted == b'-',
                byte => byte == *wanted,
            })
}
