//! TLS for servers: certificate files, the choice of a certificate by name, security policies, resumption. It makes one
//! rustls configuration; the handshake itself belongs to the server. TLS towards targets is in `client`.

mod certificate;
mod client;
mod mutual;
mod policy;
mod sni;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, ProducesTickets, ServerSessionMemoryCache};
use rustls::{CipherSuite, ProtocolVersion, ServerConfig};

pub use certificate::{load_certified_key, not_after};
pub use client::TargetTls;
pub(crate) use mutual::with_shown;
pub use mutual::{MutualAuthentication, TrustStore, client_certificate_failure};
pub use policy::SslPolicy;
pub use rustls::sign::CertifiedKey;

/// How many sessions of clients that know no tickets (TLS 1.2, by session id) are kept; each takes some 200 bytes.
const SESSION_CACHE: usize = 1024;

/// Why TLS cannot be set up. Each says which file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {}: {source}; check that the file exists and that this user may read it", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "{} holds no certificate; a PEM file with \"-----BEGIN CERTIFICATE-----\" is needed, the server's own certificate first, then its issuers",
        path.display()
    )]
    NoCertificate { path: PathBuf },
    #[error(
        "{} holds no certificate; a PEM file with \"-----BEGIN CERTIFICATE-----\" of the issuing authority is needed",
        path.display()
    )]
    NoAuthority { path: PathBuf },
    #[error(
        "{} holds no revocation list; a PEM file with \"-----BEGIN X509 CRL-----\" is needed",
        path.display()
    )]
    NoRevocationList { path: PathBuf },
    #[error("the trust store {} cannot be used: {reason}; replace its certificates or its revocation lists", path.display())]
    TrustStore { path: PathBuf, reason: String },
    #[error("{} is damaged: {source}; write the PEM file again", path.display())]
    Pem {
        path: PathBuf,
        source: rustls_pki_types::pem::Error,
    },
    #[error("certificate {position} in {} cannot be read: {reason}; replace it", path.display())]
    Certificate {
        path: PathBuf,
        position: usize,
        reason: String,
    },
    #[error(
        "{} holds no private key; a PEM file with \"-----BEGIN PRIVATE KEY-----\" (or EC or RSA PRIVATE KEY) is needed",
        path.display()
    )]
    NoKey { path: PathBuf },
    #[error(
        "the private key in {} is encrypted; decrypt it first: openssl pkey -in {} -out decrypted.key",
        path.display(),
        path.display()
    )]
    EncryptedKey { path: PathBuf },
    #[error("the private key in {} cannot be used: {source}; RSA (2048 bits or more) and ECDSA P-256, P-384, P-521 keys can", path.display())]
    Key {
        path: PathBuf,
        source: rustls::Error,
    },
    #[error(
        "the private key in {} does not belong to the first certificate in {}; name the key it was made with, and put the server's own certificate first in the chain",
        key.display(),
        chain.display()
    )]
    KeyMismatch { chain: PathBuf, key: PathBuf },
    #[error("an HTTPS listener needs at least one certificate; name one with `certificate`")]
    NoCertificates,
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// The one cryptography provider of Lintel, never taken from a process-wide default.
fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

/// The names that the certificates of one listener are for.
#[derive(Debug, Clone)]
pub struct CertificateNames(Arc<sni::CertificateList>);

impl CertificateNames {
    /// Of a name in lower case, as a handshake has it.
    pub fn cover(&self, name: &str) -> bool {
        self.0.covers(name)
    }
}

/// The configuration of one HTTPS listener. The first certificate is the listener's default; the others are chosen by the
/// name that the client asks for. `tickets` come from the caller, so that a reload and all workers share them. Where client
/// certificates are asked for nothing is resumed: a ticket would carry a client past the verification.
pub fn server_config(
    certificates: Vec<CertifiedKey>,
    policy: &SslPolicy,
    http2: bool,
    tickets: Arc<dyn ProducesTickets>,
    mutual: &MutualAuthentication,
) -> Result<Arc<ServerConfig>, TlsError> {
    let named = named_server_config(certificates, policy, http2, tickets, mutual);
    named.map(|(config, _)| config)
}

/// The same, and the names that its certificates are for.
pub fn named_server_config(
    certificates: Vec<CertifiedKey>,
    policy: &SslPolicy,
    http2: bool,
    tickets: Arc<dyn ProducesTickets>,
    mutual: &MutualAuthentication,
) -> Result<(Arc<ServerConfig>, CertificateNames), TlsError> {
    let resolver = Arc::new(sni::CertificateList::new(certificates)?);
    let builder = ServerConfig::builder_with_provider(Arc::new(policy.provider(&provider())))
        .with_protocol_versions(policy.versions())?;
    let verifier = mutual.verifier()?;
    let resumes = verifier.is_none();
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::clone(&resolver) as _);
    config.ignore_client_order = true;
    config.alpn_protocols = if http2 {
        vec![b"h2".to_vec(), b"http/1.1".to_vec()]
    } else {
        vec![b"http/1.1".to_vec()]
    };
    if resumes {
        config.ticketer = tickets;
        config.session_storage = ServerSessionMemoryCache::new(SESSION_CACHE);
        // One is enough for clients that keep connections open, and saves the sealing of a second at every handshake.
        config.send_tls13_tickets = 1;
    } else {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    // The ALB has no early data either: a request in it can be replayed by anybody who saw it.
    config.max_early_data_size = 0;
    Ok((Arc::new(config), CertificateNames(resolver)))
}

/// Session ticket keys: random, replaced every six hours, the previous ones honoured for six more.
pub fn tickets() -> Result<Arc<dyn ProducesTickets>, TlsError> {
    Ok(rustls::crypto::aws_lc_rs::Ticketer::new()?)
}

/// The suite as OpenSSL, and so the ALB's logs and headers, call it. `-` for one that no policy offers.
pub fn openssl_cipher_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        _ => "-",
    }
}

/// The protocol version as the ALB's logs and headers call it.
pub fn protocol_name(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_2 => "TLSv1.2",
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        _ => "-",
    }
}

#[cfg(test)]
mod tests;
