//! What a host is, with and without a port.

use std::net::Ipv6Addr;

/// `host` of `host:port`; an IPv6 address keeps its brackets.
pub(crate) fn without_port(host: &str) -> &str {
    // From the end, where a port is: not `rsplit_once`, which is made for long texts.
    let before_digits = host.bytes().rposition(|byte| !byte.is_ascii_digit());
    match before_digits.and_then(|at| host.split_at_checked(at)) {
        Some((name, port)) if port.starts_with(':') && !is_inside_brackets(name) => name,
        _ => host,
    }
}

/// Whether the text ends inside an IPv6 literal, where a colon does not begin a port.
fn is_inside_brackets(text: &str) -> bool {
    text.starts_with('[') && !text.ends_with(']')
}

/// Whether a byte may stand in a host's name.
const IN_HOST: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        allowed[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"-._~%!$&'()*+;=";
    let mut at = 0;
    while at < others.len() {
        allowed[others[at] as usize] = true;
        at += 1;
    }
    allowed
};

/// A name or address and perhaps a port; anything else would mean different hosts to different readers.
pub(crate) fn is_host(host: &str) -> bool {
    let name = without_port(host);
    let port = host.strip_prefix(name).unwrap_or_default();
    let port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    let name_is_one = if let Some(rest) = name.strip_prefix('[') {
        rest.strip_suffix(']')
            .is_some_and(|v6| v6.parse::<Ipv6Addr>().is_ok())
    } else {
        !name.is_empty() && name.bytes().all(|byte| IN_HOST[usize::from(byte)])
    };
    name_is_one && port
}

fn is_port(port: &str) -> bool {
    !port.is_empty()
        && port.len() <= 5
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && port
            .bytes()
            .fold(0, |number, digit| 10 * number + u32::from(digit - b'0'))
            <= u16::MAX.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_cut_off_and_addresses_are_not() {
        let cases = [
            ("a:80", "a"),
            ("a", "a"),
            ("[::1]", "[::1]"),
            ("[::1]:80", "[::1]"),
            ("[::1", "[::1"),
            (":80", ""),
            ("a:b", "a:b"),
        ];
        for (host, expected) in cases {
            assert_eq!(without_port(host), expected, "{host}");
        }
    }
}
