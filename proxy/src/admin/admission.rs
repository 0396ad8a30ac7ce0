//! Whom the admin endpoints answer: with a token whoever has it; without one, programs on this machine. A browser on this
//! machine runs the programs of strangers, so what a web page could have sent is refused: a page of another origin, or one
//! whose name was pointed at this machine after it had been loaded (DNS rebinding).

use std::net::{IpAddr, Ipv6Addr};

use http::header::{AUTHORIZATION, HOST, HeaderValue, ORIGIN};
use http::{HeaderName, Request};
use subtle::ConstantTimeEq;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("the bearer token of load_balancer.admin_token_file is needed")]
    Token,
    #[error(
        "web pages may not do this: the request carries Origin or Sec-Fetch-Site; ask with curl, or set load_balancer.admin_token_file and send the token"
    )]
    WebPage,
    #[error(
        "only an IP address or localhost is taken as Host, because any other name could be a web page's; ask for one of these, or set load_balancer.admin_token_file and send the token"
    )]
    Host,
}

pub(super) fn check<B>(token: Option<&[u8]>, request: &Request<B>) -> Result<(), Refused> {
    let headers = request.headers();
    if let Some(token) = token {
        let given = headers.get(AUTHORIZATION).and_then(bearer);
        let right = given.is_some_and(|given| given.ct_eq(token).into());
        return right.then_some(()).ok_or(Refused::Token);
    }
    let ours = |site: &HeaderValue| matches!(site.as_bytes(), b"none" | b"same-origin");
    if headers.contains_key(ORIGIN) || !headers.get_all(SEC_FETCH_SITE).iter().all(ours) {
        return Err(Refused::WebPage);
    }
    // A request without a Host is no browser's.
    let named = headers.get_all(HOST).iter().map(HeaderValue::as_bytes);
    let target = request.uri().authority();
    let target = target.map(|authority| authority.as_str().as_bytes());
    if named.chain(target).all(is_this_machine) {
        Ok(())
    } else {
        Err(Refused::Host)
    }
}

/// RFC 9110 11.1: the scheme's case does not matter.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked(b"Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}

/// An IP address or `localhost`, with or without a port.
fn is_this_machine(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let v6 = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    match v6 {
        Some(v6) => v6.parse::<Ipv6Addr>().is_ok(),
        None => name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(uri: &str, fields: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::post(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn without_a_token_programs_on_this_machine_are_answered() {
        for host in [
            "127.0.0.1:9900",
            "127.0.0.1",
            "localhost:9900",
            "LocalHost",
            "[::1]:9900",
            "[::1]",
            "10.0.0.7:9900",
        ] {
            let request = asked("/reload", &[("host", host)]);
            assert_eq!(check(None, &request), Ok(()), "{host}");
        }
        for site in ["none", "same-origin"] {
            let fields = [("host", "localhost"), ("sec-fetch-site", site)];
            assert_eq!(check(None, &asked("/reload", &fields)), Ok(()), "{site}");
        }
        assert_eq!(check(None, &asked("/reload", &[])), Ok(()));
    }

    #[test]
    fn without_a_token_web_pages_are_not() {
        let local = ("host", "127.0.0.1:9900");
        for field in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "http://127.0.0.1:9900"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "None"),
        ] {
            let request = asked("/reload", &[local, field]);
            assert_eq!(check(None, &request), Err(Refused::WebPage), "{field:?}");
        }
        let twice = [
            local,
            ("sec-fetch-site", "none"),
            ("sec-fetch-site", "cross-site"),
        ];
        assert_eq!(
            check(None, &asked("/reload", &twice)),
            Err(Refused::WebPage)
        );
    }

    #[test]
    fn without_a_token_no_other_name_is_taken() {
        for host in [
            "evil.example",
            "evil.example:9900",
            "127.0.0.1.evil.example",
            "localhost.evil.example:9900",
            "localhost:9900:9900",
            "localhost.",
            "",
            ":9900",
            "[::1",
            "[localhost]",
            "::1:evil",
        ] {
            let request = asked("/reload", &[("host", host)]);
            assert_eq!(check(None, &request), Err(Refused::Host), "{host}");
        }
        let twice = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(check(None, &asked("/reload", &twice)), Err(Refused::Host));
        let absolute = asked("http://evil.example/reload", &[("host", "localhost")]);
        assert_eq!(check(None, &absolute), Err(Refused::Host));
    }

    #[test]
    fn a_token_opens_from_anywhere_and_nothing_else_does() {
        for right in ["Bearer secret", "bearer secret", "BEARER   secret "] {
            let fields = [
                ("host", "admin.example"),
                ("origin", "https://panel.example"),
                ("authorization", right),
            ];
            let request = asked("/reload", &fields);
            assert_eq!(check(Some(b"secret"), &request), Ok(()), "{right}");
        }
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer secre",
            "Bearer secrets",
            "Bearersecret",
            "Basic secret",
            "secret",
        ] {
            let fields = [("host", "localhost"), ("authorization", wrong)];
            let request = asked("/reload", &fields);
            let refused = check(Some(b"secret"), &request);
            assert_eq!(refused, Err(Refused::Token), "{wrong}");
        }
        let request = asked("/reload", &[("host", "localhost")]);
        assert_eq!(check(Some(b"secret"), &request), Err(Refused::Token));
    }
}
