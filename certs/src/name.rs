//! Names that a certificate can speak for: host names, wildcards of one leftmost label, addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rcgen::SanType;

use crate::CertsError;

/// A host name in lower case without the final dot, or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Dns(String),
    Address(IpAddr),
}

/// The names that were asked for.
pub(crate) fn read(asked: &[String]) -> Result<Vec<Name>, CertsError> {
    let read = |text: &String| {
        parse(text).map_err(|reason| CertsError::Name {
            name: text.clone(),
            reason,
        })
    };
    asked.iter().map(read).collect()
}

/// The names of every certificate and those that were asked for, each once, in this order.
pub(crate) fn with_defaults(asked: &[Name]) -> Vec<Name> {
    let mut names = vec![
        Name::Dns("localhost".to_owned()),
        Name::Dns("*.localhost".to_owned()),
        Name::Address(Ipv4Addr::LOCALHOST.into()),
        Name::Address(Ipv6Addr::LOCALHOST.into()),
    ];
    add(&mut names, asked);
    names
}

/// Adds those that are not there yet.
pub(crate) fn add(names: &mut Vec<Name>, more: &[Name]) {
    for name in more {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
}

/// As a person reads them.
pub(crate) fn list(names: &[Name]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.join(", ")
}

impl Name {
    pub(crate) fn to_san(&self) -> Result<SanType, rcgen::Error> {
        Ok(match self {
            Self::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
            Self::Address(address) => SanType::IpAddress(*address),
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => formatter.write_str(name),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}

fn parse(text: &str) -> Result<Name, &'static str> {
    if let Ok(address) = text.parse() {
        return Ok(Name::Address(address));
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let host = name.strip_prefix("*.").unwrap_or(&name);
    if host.is_empty() {
        return Err("it is empty; give a host name such as shop.test");
    }
    if host.contains("://") || host.contains('/') {
        return Err("give the host name alone, without scheme or path");
    }
    if host.contains('*') {
        return Err("a wildcard stands for the whole leftmost label only, as in *.shop.test");
    }
    if !host.is_ascii() {
        return Err("write it in its ASCII form, which begins with xn--");
    }
    if host.contains(':') {
        return Err("give the host name or address alone, without port or brackets");
    }
    if name.len() > 253
        || host
            .split('.')
            .any(|label| label.is_empty() || label.len() > 63)
    {
        return Err("each part between dots has 1 to 63 characters, the whole at most 253");
    }
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !host.bytes().all(|byte| byte == b'.' || letter(byte)) {
        return Err("only letters, digits, hyphens and dots can be in it");
    }
    if host
        .split('.')
        .any(|label| label.starts_with('-') || label.ends_with('-'))
    {
        return Err("no part of it can begin or end with a hyphen");
    }
    let last = host.rsplit('.').next().unwrap_or(host);
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("it looks like an address, but is none");
    }
    Ok(Name::Dns(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        let dns = |name: &str| Ok(Name::Dns(name.to_owned()));
        let cases = [
            ("shop.test", dns("shop.test")),
            ("Shop.TEST.", dns("shop.test")),
            ("*.shop.test", dns("*.shop.test")),
            ("my_host", dns("my_host")),
            ("xn--bcher-kva.test", dns("xn--bcher-kva.test")),
            ("192.0.2.7", Ok(Name::Address([192, 0, 2, 7].into()))),
            (
                "2001:db8::1",
                Ok(Name::Address("2001:db8::1".parse().unwrap())),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused_with_advice() {
        let long = "a".repeat(64);
        let cases = [
            ("", "empty"),
            (".", "empty"),
            ("*.", "wildcard"),
            ("*", "wildcard"),
            ("a.*.test", "wildcard"),
            ("*a.test", "wildcard"),
            ("https://shop.test", "scheme"),
            ("shop.test/path", "path"),
            ("shop.test:8443", "port"),
            ("[::1]", "brackets"),
            ("bücher.test", "xn--"),
            ("a..test", "between dots"),
            (&long, "between dots"),
            ("a b.test", "letters"),
            ("-a.test", "hyphen"),
            ("a-.test", "hyphen"),
            ("300.1.1.1", "address"),
        ];
        for (text, advice) in cases {
            let reason = parse(text).unwrap_err();
            assert!(reason.contains(advice), "{text}: {reason}");
        }
    }

    #[test]
    fn defaults_come_first_and_nothing_twice() {
        let asked = ["shop.test", "LOCALHOST", "shop.test"].map(str::to_owned);
        let names: Vec<String> = with_defaults(&read(&asked).unwrap())
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            names,
            ["localhost", "*.localhost", "127.0.0.1", "::1", "shop.test"]
        );
    }
}
