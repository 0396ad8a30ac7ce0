//! Cookies as fields: found in a request, set in a response.

use std::time::{Duration, SystemTime};

use crate::http1::{Fields, Name};

/// How long a browser keeps what we set: the ALB's seven days, whatever the session's own duration.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The value of the first cookie of that name.
pub(super) fn find<'r>(request: &'r Fields, name: &str) -> Option<&'r [u8]> {
    let pairs = request
        .get_all(Name::Cookie)
        .flat_map(|line| line.split(|byte| *byte == b';'));
    let mut named = pairs.filter_map(|pair| {
        let pair = pair.trim_ascii();
        let value = pair.strip_prefix(name.as_bytes())?;
        value.strip_prefix(b"=")
    });
    named.next()
}

/// Whether the response sets a cookie of that name.
pub(super) fn is_set(response: &Fields, name: &str) -> bool {
    response.named("Set-Cookie").any(|cookie| {
        let pair = cookie.split(|byte| *byte == b';').next();
        let set = pair.and_then(|pair| pair.split(|byte| *byte == b'=').next());
        set.is_some_and(|set| set.trim_ascii() == name.as_bytes())
    })
}

/// `more` are further attributes, each with its `; `.
pub(super) fn set(response: &mut Fields, name: &str, value: &str, now: SystemTime, more: &str) {
    let expires = httpdate::fmt_http_date(now + KEPT);
    let cookie = format!("{name}={value}; Expires={expires}; Path=/{more}");
    response.push("Set-Cookie", cookie.as_bytes());
}
