//! The certificate list of an HTTPS listener: which certificate answers which name, by the ALB's rules. It knows
//! certificates only by what they say of themselves; it does not judge whether they are trusted.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};
use x509_parser::prelude::{GeneralName, X509Certificate};

use super::TlsError;

/// Names to certificates, best first. Everything that does not depend on the client or on the clock is worked out when
/// the list is made: a handshake costs one or two look-ups and, in the common case of one match, no allocation.
#[derive(Debug)]
pub(super) struct CertificateList {
    default: Arc<CertifiedKey>,
    /// The default's own, in lower case.
    default_names: Vec<String>,
    exact: HashMap<Box<str>, Vec<Candidate>>,
    /// By what follows the `*.`.
    wildcard: HashMap<Box<str>, Vec<Candidate>>,
}

#[derive(Clone, Debug)]
struct Candidate {
    certified: Arc<CertifiedKey>,
    merit: Merit,
    not_after: i64,
}

/// What the ALB compares besides expiry, better first in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Merit {
    algorithm: u8,
    signature_hash: Reverse<u16>,
    key_bits: Reverse<usize>,
    validity: Reverse<i64>,
}

impl CertificateList {
    /// The first certificate is the default: it answers clients that name nothing or a name that no other one covers,
    /// and like the ALB's it takes no part in the choice by name.
    pub(super) fn new(certificates: Vec<CertifiedKey>) -> Result<Self, TlsError> {
        let mut certificates = certificates.into_iter().map(Arc::new);
        let default = certificates.next().ok_or(TlsError::NoCertificates)?;
        let default_names = parsed(&default).map(|certificate| names(&certificate));
        let mut list = Self {
            default,
            // Nothing is chosen by them.
            default_names: default_names.unwrap_or_default(),
            exact: HashMap::new(),
            wildcard: HashMap::new(),
        };
        for certified in certificates {
            list.add(&certified)?;
        }
        list.settle();
        Ok(list)
    }

    fn add(&mut self, certified: &Arc<CertifiedKey>) -> Result<(), TlsError> {
        let certificate = parsed(certified)?;
        let candidate = Candidate {
            certified: Arc::clone(certified),
            merit: Merit::of(&certificate, certified.key.algorithm()),
            not_after: certificate.validity().not_after.timestamp(),
        };
        for name in names(&certificate) {
            let (index, key) = match name.strip_prefix("*.") {
                Some(parent) => (&mut self.wildcard, parent),
                None => (&mut self.exact, name.as_str()),
            };
            index.entry(key.into()).or_default().push(candidate.clone());
        }
        Ok(())
    }

    /// The ALB does not prefer an exact name to a wildcard, so every exact name also gets the wildcard's candidates.
    fn settle(&mut self) {
        for (name, candidates) in &mut self.exact {
            let wider = name
                .split_once('.')
                .and_then(|(_, parent)| self.wildcard.get(parent));
            candidates.extend(wider.into_iter().flatten().cloned());
        }
        for candidates in self.exact.values_mut().chain(self.wildcard.values_mut()) {
            candidates.sort_by_key(|candidate| candidate.merit);
        }
    }

    /// The candidates for a name in lower case, as rustls hands it over.
    fn candidates(&self, name: &str) -> &[Candidate] {
        let name = name.strip_suffix('.').unwrap_or(name);
        let exact = self.exact.get(name);
        let found = exact.or_else(|| {
            name.split_once('.')
                .and_then(|(_, parent)| self.wildcard.get(parent))
        });
        found.map_or(&[], Vec::as_slice)
    }

    /// Whether a certificate is for that name, in lower case; else a client that asks for it gets the default as it is.
    pub(super) fn covers(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        let parent = name.split_once('.').map(|(_, parent)| parent);
        let is_for = |own: &String| match own.strip_prefix("*.") {
            Some(wide) => parent == Some(wide),
            None => own == name,
        };
        !self.candidates(name).is_empty() || self.default_names.iter().any(is_for)
    }

    /// `schemes` are the signatures that the client can verify: rustls has left out those of which it has no cipher suite.
    fn choose(
        &self,
        name: Option<&str>,
        now: impl FnOnce() -> i64,
        schemes: &[SignatureScheme],
    ) -> &Arc<CertifiedKey> {
        match name.map(|name| self.candidates(name)) {
            None | Some([]) => &self.default,
            Some([only]) => &only.certified,
            Some(several) => {
                let now = now();
                let usable = several.iter().filter(|candidate| {
                    let key = &candidate.certified.key;
                    key.choose_scheme(schemes).is_some()
                });
                // The first of equals wins, and they are in order of merit; expiry ranks right after the algorithm.
                let best = usable
                    .min_by_key(|candidate| (candidate.merit.algorithm, candidate.not_after < now));
                // When the client can use none the handshake fails whichever it is.
                &best.unwrap_or(&several[0]).certified
            }
        }
    }
}

impl ResolvesServerCert for CertificateList {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let chosen = self.choose(hello.server_name(), unix_time, schemes);
        Some(Arc::clone(chosen))
    }
}

impl Merit {
    fn of(certificate: &X509Certificate<'_>, algorithm: SignatureAlgorithm) -> Self {
        let validity = certificate.validity();
        Self {
            algorithm: match algorithm {
                SignatureAlgorithm::ECDSA => 0,
                SignatureAlgorithm::RSA => 1,
                _ => 2,
            },
            signature_hash: Reverse(signature_hash_bits(certificate)),
            key_bits: Reverse(
                certificate
                    .public_key()
                    .parsed()
                    .map_or(0, |key| key.key_size()),
            ),
            validity: Reverse(validity.not_after.timestamp() - validity.not_before.timestamp()),
        }
    }
}

fn parsed(certified: &CertifiedKey) -> Result<X509Certificate<'_>, TlsError> {
    let der = certified.end_entity_cert()?;
    let parsed = x509_parser::parse_x509_certificate(der);
    let damaged = rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding);
    Ok(parsed.map_err(|_| damaged)?.1)
}

/// 0 for anything weaker than SHA-1 or not known.
fn signature_hash_bits(certificate: &X509Certificate<'_>) -> u16 {
    match certificate
        .signature_algorithm
        .algorithm
        .to_id_string()
        .as_str()
    {
        "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" => 160,
        "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" | "1.2.840.113549.1.1.10" => 256,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => 384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => 512,
        _ => 0,
    }
}

/// The host names a certificate speaks for, in lower case. The common name counts only where there are no alternative
/// names at all, as in certificates from before these existed.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let names: Vec<&str> = match &alternatives {
        Some(extension) => extension
            .value
            .general_names
            .iter()
            .filter_map(dns_name)
            .collect(),
        None => certificate
            .subject()
            .iter_common_name()
            .filter_map(|name| name.as_str().ok())
            .collect(),
    };
    names.into_iter().map(str::to_ascii_lowercase).collect()
}

fn dns_name<'a>(name: &GeneralName<'a>) -> Option<&'a str> {
    match name {
        GeneralName::DNSName(name) => Some(name),
        _ => None,
    }
}

fn unix_time() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
