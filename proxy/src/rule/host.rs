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
    let bytes = host.as_bytes();
    let name = match host.strip_prefix('[').and_then(|v6| v6.split_once(']')) {
        Some((v6, _)) if v6.parse::<Ipv6Addr>().is_ok() => v6.len() + 2,
        _ => {
            let end = bytes.iter().position(|byte| !IN_HOST[usize::from(*byte)]);
            end.unwrap_or(bytes.len())
        }
    };
    match bytes.get(name..) {
        Some([]) => name > 0,
        Some([b':', port @ ..]) => name > 0 && is_port(port),
        _ => false,
    }
}

fn is_port(port: &[u8]) -> bool {
    (1..=5).contains(&port.len())
        && port.iter().all(u8::is_ascii_digit)
        && port
            .iter()
            .fold(0, |number, digit| 10 * number + u32::from(digit - b'0'))
            <= u16::MAX.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for host in [
            "a",
            "a-b.c_d",
            "127.0.0.1",
            "a:0",
            "a:65535",
            "[::1]",
            "[::1]:80",
            "%41",
        ] {
            assert!(is_host(host), "{host}");
        }
        for host in [
            "", ":80", "a:", "a:65536", "a:080808", "a:+1", "a:b", "a:1:2", "a b", "u@a", "a/b",
            "[::1", "[]", "[::1]a", "[::1]:", "[a]", "::1", "a[::1]", "\u{e4}",
        ] {
            assert!(!is_host(host), "{host}");
        }
    }

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
