//! Reads a certificate chain and its private key from PEM files and makes sure that they belong together. Whether the
//! chain is trusted by anybody is not asked: that is the client's to decide.

use std::path::Path;

use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, SignatureAlgorithm};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{TlsError, provider};

/// Loads what an HTTPS listener needs to speak for a name.
pub fn load_certified_key(chain: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let certificates = certificates(chain)?;
    let private_key = private_key(key)?;
    let certified = CertifiedKey::from_der(certificates, private_key, &provider());
    // rustls would take it, an ALB and many clients do not.
    let certified = certified.and_then(|certified| match certified.key.algorithm() {
        SignatureAlgorithm::ED25519 => Err(Error::General("it is of Ed25519".to_owned())),
        _ => Ok(certified),
    });
    certified.map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::KeyMismatch {
            chain: chain.to_owned(),
            key: key.to_owned(),
        },
        source => TlsError::Key {
            path: key.to_owned(),
            source,
        },
    })
}

/// When the certificate itself, not its issuers', expires, in seconds of Unix time.
pub fn not_after(certified: &CertifiedKey) -> Option<i64> {
    let (_, leaf) = x509_parser::parse_x509_certificate(certified.cert.first()?).ok()?;
    Some(leaf.validity().not_after.timestamp())
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<_, _>>()
        .map_err(|source| TlsError::Pem {
            path: path.to_owned(),
            source,
        })?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate {
            path: path.to_owned(),
        });
    }
    // rustls looks only into the first; a damaged issuer would surface at the clients, so it is found here.
    for (index, certificate) in certificates.iter().enumerate() {
        if let Err(error) = x509_parser::parse_x509_certificate(certificate) {
            let (path, position) = (path.to_owned(), index + 1);
            return Err(TlsError::Certificate {
                path,
                position,
                reason: error.to_string(),
            });
        }
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|source| {
        let path = path.to_owned();
        match source {
            pem::Error::NoItemsFound if is_encrypted(&text) => TlsError::EncryptedKey { path },
            pem::Error::NoItemsFound => TlsError::NoKey { path },
            source => TlsError::Pem { path, source },
        }
    })
}

fn is_encrypted(text: &[u8]) -> bool {
    const MARK: &[u8] = b"BEGIN ENCRYPTED PRIVATE KEY";
    text.windows(MARK.len()).any(|window| window == MARK)
}

/// Certificates of authorities, from a file that holds nothing else.
pub(super) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    certificates(path).map_err(|error| match error {
        TlsError::NoCertificate { path } => TlsError::NoAuthority { path },
        error => error,
    })
}
