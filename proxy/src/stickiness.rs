//! Sticky sessions: a client that comes back with the cookie it was given goes where it went before. A cookie is sealed, so
//! that nobody learns or chooses a target by it. Pure: a request's fields and the time in, cookies for the response out.
//! Which targets may take requests is `target_group`'s; a session whose target may not is one more choice of the algorithm.

mod app_cookie;
mod cookie;
mod session;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use crate::http1::Fields;
use crate::model::Stickiness;
use crate::secret_keys::Keys;
use session::{Kind, Session};

const LB_COOKIE: &str = "AWSALB";
/// The same with `SameSite=None`, for pages of other sites; where both come back it is the one that counts.
const LB_COOKIE_CORS: &str = "AWSALBCORS";
const GROUP_COOKIE: &str = "AWSALBTG";
const GROUP_COOKIE_CORS: &str = "AWSALBTGCORS";

/// A request as far as stickiness looks at it, and the response that will answer it.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'r> {
    pub keys: &'r Keys,
    pub request: &'r Fields,
    /// The client's connection is TLS.
    pub https: bool,
    pub now: SystemTime,
}

impl Visit<'_> {
    /// The target of that group to which the request is bound.
    pub fn target(&self, stickiness: &Stickiness, group: &str) -> Option<SocketAddr> {
        let session = match stickiness {
            Stickiness::LbCookie { .. } => {
                self.session(Kind::LbCookie, LB_COOKIE_CORS, LB_COOKIE)?
            }
            Stickiness::AppCookie { name, .. } => app_cookie::session(self, name)?,
        };
        session.target.filter(|_| session.group == group)
    }

    /// Binds the client to the target that has answered it. `bound` is what [`target`](Self::target) said.
    pub fn bind(
        &self,
        stickiness: &Stickiness,
        group: &str,
        bound: Option<SocketAddr>,
        target: SocketAddr,
        response: &mut Fields,
    ) {
        let session = |duration: Duration| Session {
            group: group.to_owned(),
            target: Some(target),
            expires: self.now + duration,
        };
        match stickiness {
            Stickiness::LbCookie { duration } => {
                let names = [LB_COOKIE, LB_COOKIE_CORS];
                self.give(Kind::LbCookie, &session(*duration), names, response);
            }
            Stickiness::AppCookie { name, duration } => {
                let session = session(*duration);
                app_cookie::bind(self, name, bound.is_some(), &session, response);
            }
        }
    }

    /// The name of the target group to which the request is bound.
    pub fn group(&self) -> Option<String> {
        let session = self.session(Kind::TargetGroup, GROUP_COOKIE_CORS, GROUP_COOKIE)?;
        Some(session.group)
    }

    /// The client came with a cookie that was to bind it to a group, whatever that says.
    pub fn has_group_cookie(&self) -> bool {
        let names = [GROUP_COOKIE_CORS, GROUP_COOKIE];
        let mut found = names.iter().map(|name| cookie::find(self.request, name));
        found.any(|value| value.is_some())
    }

    /// Binds the client to a target group.
    pub fn bind_group(&self, group: &str, duration: Duration, response: &mut Fields) {
        let session = Session {
            group: group.to_owned(),
            target: None,
            expires: self.now + duration,
        };
        let names = [GROUP_COOKIE, GROUP_COOKIE_CORS];
        self.give(Kind::TargetGroup, &session, names, response);
    }

    /// What the first of two cookies says, or the second if that is not there.
    fn session(&self, kind: Kind, first: &str, second: &str) -> Option<Session> {
        let value =
            cookie::find(self.request, first).or_else(|| cookie::find(self.request, second))?;
        Session::open(value, kind, self.keys, self.now)
    }

    /// As two cookies, the second of them for pages of other sites.
    fn give(&self, kind: Kind, session: &Session, names: [&str; 2], response: &mut Fields) {
        let Some(value) = session.seal(kind, self.keys) else {
            return;
        };
        let for_other_sites = if self.https {
            "; SameSite=None; Secure"
        } else {
            "; SameSite=None"
        };
        let [own, cors] = names;
        cookie::set(response, own, &value, self.now, "");
        cookie::set(response, cors, &value, self.now, for_other_sites);
    }
}

#[cfg(test)]
mod tests;
