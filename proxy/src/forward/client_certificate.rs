//! What targets are told of a client's certificate: the `X-Amzn-Mtls-*` fields. Pure: certificates in, field lines out, once
//! a connection. Whether to believe them was decided in the handshake.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lintel_common::tls::MutualAuthentication;
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate, X509Name};

use crate::http1::fields::is_nearly;
use crate::model::CertificateFields;

/// How the certificates of a listener's clients are told.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// How they are asked for.
    pub mutual: MutualAuthentication,
    pub fields: CertificateFields,
}

impl ClientCertificates {
    /// The lines for a client that has shown these.
    pub fn lines(&self, chain: &[CertificateDer<'_>]) -> Vec<u8> {
        match self.mutual {
            MutualAuthentication::Off => Vec::new(),
            MutualAuthentication::Passthrough => passthrough(chain, &self.fields),
            MutualAuthentication::Verify(_) => verified(chain, &self.fields),
        }
    }

    /// Whether only the load balancer may say a field of that name here.
    pub fn is_ours(&self, name: &[u8]) -> bool {
        let fields = &self.fields;
        let ours = [
            &fields.certificate,
            &fields.serial_number,
            &fields.issuer,
            &fields.subject,
            &fields.validity,
            &fields.leaf,
        ];
        ours.iter().any(|ours| is_nearly(name, ours))
    }
}

/// Of the chain as it was shown, leaf first, verified by nobody: the targets judge.
fn passthrough(chain: &[CertificateDer<'_>], names: &CertificateFields) -> Vec<u8> {
    let mut lines = Vec::new();
    if !chain.is_empty() {
        let pem: String = chain.iter().map(|der| pem(der)).collect();
        line(&names.certificate, &url_encoded(&pem), &mut lines);
    }
    lines
}

/// Of a leaf that was verified.
fn verified(chain: &[CertificateDer<'_>], names: &CertificateFields) -> Vec<u8> {
    let mut lines = Vec::new();
    let Some(leaf) = chain.first() else {
        return lines;
    };
    if let Ok((_, parsed)) = X509Certificate::from_der(leaf) {
        line(&names.serial_number, &serial_number(&parsed), &mut lines);
        line(
            &names.issuer,
            &distinguished_name(parsed.issuer()),
            &mut lines,
        );
        line(
            &names.subject,
            &distinguished_name(parsed.subject()),
            &mut lines,
        );
        line(&names.validity, &validity(&parsed), &mut lines);
    }
    line(&names.leaf, &url_encoded(&pem(leaf)), &mut lines);
    lines
}

fn line(name: &str, value: &str, lines: &mut Vec<u8>) {
    for part in [name, ": ", value, "\r\n"] {
        lines.extend_from_slice(part.as_bytes());
    }
}

/// As in the certificate, a byte that only keeps it from being negative left out.
pub fn serial_number(certificate: &X509Certificate<'_>) -> String {
    let bytes = certificate.raw_serial();
    let bytes = match bytes {
        [0, rest @ ..] if !rest.is_empty() => rest,
        bytes => bytes,
    };
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02X}");
    }
    text
}

/// `NotBefore=2023-09-21T01:50:17Z;NotAfter=2024-09-20T01:50:17Z`
pub fn validity(certificate: &X509Certificate<'_>) -> String {
    let validity = certificate.validity();
    let shown = |time: ASN1Time| {
        let time = OffsetDateTime::from_unix_timestamp(time.timestamp()).ok()?;
        time.format(&Rfc3339).ok()
    };
    let shown = |time| shown(time).unwrap_or_else(|| "-".to_owned());
    format!(
        "NotBefore={};NotAfter={}",
        shown(validity.not_before),
        shown(validity.not_after)
    )
}

/// As RFC 2253 has it: the last part first, everything but printable ASCII escaped.
pub fn distinguished_name(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for (nth, part) in parts.iter().rev().enumerate() {
        for (at, attribute) in part.iter().enumerate() {
            let separator = match (nth, at) {
                (0, 0) => "",
                (_, 0) => ",",
                _ => "+",
            };
            let kind = attribute.attr_type().to_id_string();
            if let (Some(kind), Ok(value)) = (short_name(&kind), attribute.as_str()) {
                let _ = write!(text, "{separator}{kind}=");
                escape(value, &mut text);
            } else {
                let _ = write!(text, "{separator}{kind}=#");
                for byte in attribute.attr_value().data {
                    let _ = write!(text, "{byte:02X}");
                }
            }
        }
    }
    text
}

/// RFC 2253 2.3, and what OpenSSL shows besides.
fn short_name(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.4.3" => "CN",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.6" => "C",
        "2.5.4.9" => "STREET",
        "0.9.2342.19200300.100.1.25" => "DC",
        "0.9.2342.19200300.100.1.1" => "UID",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.12" => "title",
        "2.5.4.42" => "GN",
        "2.5.4.46" => "dnQualifier",
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => return None,
    })
}

/// RFC 2253 2.4
fn escape(value: &str, text: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (at, character) in value.chars().enumerate() {
        match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => {
                text.push('\\');
                text.push(character);
            }
            '#' if at == 0 => text.push_str("\\#"),
            ' ' if at == 0 || at == last => text.push_str("\\ "),
            ' '..='~' => text.push(character),
            other => {
                for byte in other.to_string().bytes() {
                    let _ = write!(text, "\\{byte:02X}");
                }
            }
        }
    }
}

fn pem(der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in encoded.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|&byte| char::from(byte)));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// `+`, `=` and `/` stay as they are.
fn url_encoded(pem: &str) -> String {
    let mut text = String::with_capacity(pem.len() + pem.len() / 16);
    for character in pem.chars() {
        match character {
            ' ' => text.push_str("%20"),
            '\n' => text.push_str("%0A"),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject as _;

    use super::*;
    use rcgen::{
        CertificateParams, DistinguishedName, DnType, KeyPair, SerialNumber, date_time_ymd,
    };

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    fn subject(parts: &[(DnType, &str)]) -> String {
        let der = certificate(|params| {
            for (kind, value) in parts {
                params.distinguished_name.push(kind.clone(), *value);
            }
        });
        let (_, parsed) = X509Certificate::from_der(&der).unwrap();
        distinguished_name(parsed.subject())
    }

    #[test]
    fn names_are_written_as_rfc_2253_has_them() {
        assert_eq!(subject(&[]), "");
        assert_eq!(
            subject(&[
                (DnType::CountryName, "US"),
                (DnType::StateOrProvinceName, "WA"),
                (DnType::LocalityName, "Seattle"),
                (DnType::OrganizationName, "e"),
                (DnType::CommonName, "a.com"),
            ]),
            "CN=a.com,O=e,L=Seattle,ST=WA,C=US"
        );
        for (value, written) in [
            ("a,b+c\"d\\e<f>g;h", "a\\,b\\+c\\\"d\\\\e\\<f\\>g\\;h"),
            ("#a#", "\\#a#"),
            (" a b ", "\\ a b\\ "),
            ("Zürich", "Z\\C3\\BCrich"),
            ("a\r\nX-Evil: 1", "a\\0D\\0AX-Evil: 1"),
        ] {
            assert_eq!(
                subject(&[(DnType::CommonName, value)]),
                format!("CN={written}")
            );
        }
        assert_eq!(
            subject(&[(DnType::CustomDnType(vec![1, 2, 3, 4]), "x")]),
            "1.2.3.4=#78"
        );
        // A part of two: CN=a and OU=b.
        let two = [
            &[0x30, 0x16, 0x31, 0x14][..],
            b"\x30\x08\x06\x03\x55\x04\x03\x0c\x01a",
            b"\x30\x08\x06\x03\x55\x04\x0b\x0c\x01b",
        ]
        .concat();
        let (_, name) = X509Name::from_der(&two).unwrap();
        assert_eq!(distinguished_name(&name), "CN=a+OU=b");
    }

    #[test]
    fn serial_numbers_and_times() {
        for (serial, shown) in [
            (vec![0x03, 0xA5, 0xB1], "03A5B1"),
            (vec![0xFE, 0xF2], "FEF2"),
            (vec![0x00, 0xFE], "FE"),
        ] {
            let der = certificate(|params| {
                params.serial_number = Some(SerialNumber::from_slice(&serial));
                params.not_before = date_time_ymd(2023, 9, 21);
                params.not_after = date_time_ymd(2024, 9, 20);
            });
            let (_, parsed) = X509Certificate::from_der(&der).unwrap();
            assert_eq!(serial_number(&parsed), shown);
            assert_eq!(
                validity(&parsed),
                "NotBefore=2023-09-21T00:00:00Z;NotAfter=2024-09-20T00:00:00Z"
            );
        }
    }

    #[test]
    fn a_chain_can_be_read_back() {
        let chain = [certificate(|_| ()), certificate(|_| ())];
        let lines = String::from_utf8(passthrough(&chain, &CertificateFields::default())).unwrap();
        let value = lines
            .strip_prefix("X-Amzn-Mtls-Clientcert: ")
            .and_then(|rest| rest.strip_suffix("\r\n"))
            .unwrap();
        assert!(value.bytes().all(|byte| byte.is_ascii_graphic()));
        let pem = value.replace("%20", " ").replace("%0A", "\n");
        let read: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(read, chain);
        assert_eq!(passthrough(&[], &CertificateFields::default()), b"");
        assert_eq!(verified(&[], &CertificateFields::default()), b"");
    }
}
