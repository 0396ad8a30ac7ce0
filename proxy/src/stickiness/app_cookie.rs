//! Sessions that begin with a cookie of the application's: while the client has it and our own beside it, the client stays.
//! Only the name of the application's cookie is looked at.

use super::session::{Kind, Session};
use super::{Visit, cookie};
use crate::http1::{Fields, Name};

/// Four, as the ALB has them for what is longer than a cookie may be. Ours never is: the others are taken away.
const COOKIES: [&str; 4] = ["AWSALBAPP-0", "AWSALBAPP-1", "AWSALBAPP-2", "AWSALBAPP-3"];
const REMOVED: &str = "_remove_";

/// Since when Chromium takes a cookie for a page's own site only, unless it says otherwise.
const FIRST_STRICT_CHROMIUM: u32 = 80;

pub(super) fn session(visit: &Visit<'_>, name: &str) -> Option<Session> {
    cookie::find(visit.request, name)?;
    let value = cookie::find(visit.request, COOKIES[0])?;
    Session::open(value, Kind::AppCookie, visit.keys, visit.now)
}

/// `bound`: the request belongs to a session already, which goes on with whatever target has answered.
pub(super) fn bind(
    visit: &Visit<'_>,
    name: &str,
    bound: bool,
    session: &Session,
    response: &mut Fields,
) {
    let begins = bound || cookie::is_set(response, name);
    let value = begins
        .then(|| session.seal(Kind::AppCookie, visit.keys))
        .flatten();
    let more = if visit.https && is_strict_chromium(visit.request) {
        "; SameSite=None; Secure"
    } else {
        ""
    };
    let values = [
        value.as_deref().unwrap_or(REMOVED),
        REMOVED,
        REMOVED,
        REMOVED,
    ];
    for (name, value) in COOKIES.iter().zip(values) {
        cookie::set(response, name, value, visit.now, more);
    }
}

/// By its User-Agent, as the ALB tells.
fn is_strict_chromium(request: &Fields) -> bool {
    let agent = request.get_text(Name::UserAgent).unwrap_or_default();
    ["Chrome/", "Chromium/"].iter().any(|product| {
        let version = agent.split_once(product).map(|(_, version)| version);
        let major = version.and_then(|version| version.split('.').next());
        major
            .and_then(|major| major.parse().ok())
            .is_some_and(|major: u32| major >= FIRST_STRICT_CHROMIUM)
    })
}
