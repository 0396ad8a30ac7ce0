//! Refuses changes that another site's page asks for. Two independent checks: the browser's own word
//! ([`same_site`]: Sec-Fetch-Site and Origin, for everything that changes something), and a token
//! signed with SECRET_KEY in every form. The token proves that one of our pages was read within the
//! last hours; there are no users and no cookies, so it is bound to no person, and any instance with
//! the same key accepts it.

use std::fmt::Write as _;
use std::time::Duration;

use aws_lc_rs::hmac;
use http::HeaderMap;
use http::header::{HOST, ORIGIN};

/// How long a form may lie open before it is sent.
const VALID: Duration = Duration::from_hours(12);
/// How far the clocks of two instances may differ.
const CLOCK_SKEW: Duration = Duration::from_mins(5);
/// Keeps these signatures apart from whatever else the key may come to sign.
const PURPOSE: &[u8] = b"lintel-appserver form token\0";

/// Makes and checks the tokens.
pub(crate) struct Csrf(hmac::Key);

/// Why a token was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// None, or not one of ours.
    Invalid,
    /// Ours, but the form was open for too long.
    Expired,
}

impl Csrf {
    pub(crate) fn new(secret_key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret_key))
    }

    /// A token for a form made at `now` (since the Unix epoch): `SECONDS.SIGNATURE`, in hex.
    pub(crate) fn token(&self, now: Duration) -> String {
        let seconds = now.as_secs();
        let mut token = format!("{seconds:x}.");
        for byte in hmac::sign(&self.0, &signed(seconds)).as_ref() {
            let _ = write!(token, "{byte:02x}"); // writing to a String cannot fail
        }
        token
    }

    pub(crate) fn check(&self, token: &str, now: Duration) -> Result<(), TokenError> {
        let (seconds, signature) = token.split_once('.').ok_or(TokenError::Invalid)?;
        let seconds = u64::from_str_radix(seconds, 16).map_err(|_| TokenError::Invalid)?;
        let signature = bytes(signature).ok_or(TokenError::Invalid)?;
        hmac::verify(&self.0, &signed(seconds), &signature).map_err(|_| TokenError::Invalid)?;
        let made = Duration::from_secs(seconds);
        if made > now + CLOCK_SKEW {
            return Err(TokenError::Invalid);
        }
        if made + VALID < now {
            Err(TokenError::Expired)
        } else {
            Ok(())
        }
    }
}

fn signed(seconds: u64) -> Vec<u8> {
    [PURPOSE, &seconds.to_be_bytes()].concat()
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex
        .chars()
        .map(|c| c.to_digit(16))
        .collect::<Option<Vec<_>>>()?;
    let pairs = digits.chunks_exact(2);
    pairs
        .remainder()
        .is_empty()
        .then(|| pairs.map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

/// Whether the request may come from one of our own pages, or from no page at all. Host names are
/// compared, ports are not: behind a published port or a load balancer the port in `Host` need not
/// be the one that the browser sees. Clients that are no browsers send neither header.
pub(crate) fn same_site(headers: &HeaderMap) -> bool {
    if headers
        .get_all("sec-fetch-site")
        .iter()
        .any(|site| site == "cross-site")
    {
        return false;
    }
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .map(host_name);
    headers.get_all(ORIGIN).iter().all(|origin| {
        let origin = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"));
        match (origin, host) {
            (Some((_, authority)), Some(host)) => host_name(authority).eq_ignore_ascii_case(host),
            _ => false, // "null" (sandboxed or private pages) included
        }
    })
}

/// `host` of `host:port`; an IPv6 address keeps its brackets.
fn host_name(authority: &str) -> &str {
    let end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let name = &authority[..end];
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn csrf() -> Csrf {
        Csrf::new(&[7; 32])
    }

    #[test]
    fn a_token_is_good_for_twelve_hours_on_every_instance() {
        let token = csrf().token(NOW);
        let hour = Duration::from_hours(1);
        for (now, result) in [
            (NOW, Ok(())),
            (NOW + 12 * hour, Ok(())),
            (
                NOW + 12 * hour + Duration::from_secs(1),
                Err(TokenError::Expired),
            ),
            (NOW.saturating_sub(CLOCK_SKEW), Ok(())),
            (NOW.saturating_sub(hour), Err(TokenError::Invalid)),
        ] {
            assert_eq!(csrf().check(&token, now), result, "{now:?}");
        }
    }

    #[test]
    fn forged_tokens_are_refused() {
        let token = csrf().token(NOW);
        let (seconds, signature) = token.split_once('.').unwrap();
        let later = format!("{:x}.{signature}", NOW.as_secs() + 1);
        let cut = format!("{seconds}.{}", &signature[..62]);
        let other_key = Csrf::new(&[8; 32]).token(NOW);
        let huge = format!("ffffffffffffffff.{signature}");
        for forged in [
            "",
            ".",
            "x.y",
            seconds,
            &later,
            &cut,
            &other_key,
            &huge,
            &format!("{token}0"),
        ] {
            assert_eq!(
                csrf().check(forged, NOW),
                Err(TokenError::Invalid),
                "{forged}"
            );
        }
    }

    #[test]
    fn who_asks_is_told_by_the_browser() {
        for (sec_fetch_site, origin, host, allowed) in [
            (None, None, "app.example", true),
            (
                Some("same-origin"),
                Some("https://app.example"),
                "app.example",
                true,
            ),
            (Some("none"), None, "app.example", true),
            (Some("cross-site"), None, "app.example", false),
            (
                Some("cross-site"),
                Some("https://app.example"),
                "app.example",
                false,
            ),
            (
                Some("same-site"),
                Some("https://other.app.example"),
                "app.example",
                false,
            ),
            (None, Some("https://evil.example"), "app.example", false),
            (
                None,
                Some("https://app.example.evil.example"),
                "app.example",
                false,
            ),
            (None, Some("null"), "app.example", false),
            (
                None,
                Some("https://app.example:8443"),
                "app.example:8000",
                true,
            ),
            (None, Some("https://APP.example"), "app.example.", true),
            (None, Some("https://[::1]:8443"), "[::1]:8000", true),
            (None, Some("https://[::2]"), "[::1]", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            if let Some(site) = sec_fetch_site {
                headers.insert("sec-fetch-site", site.parse().unwrap());
            }
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().unwrap());
            }
            assert_eq!(
                same_site(&headers),
                allowed,
                "{sec_fetch_site:?} {origin:?} {host}"
            );
        }
    }

    #[test]
    fn an_origin_without_a_host_to_compare_is_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, "https://app.example".parse().unwrap());
        assert!(!same_site(&headers));
    }
}
