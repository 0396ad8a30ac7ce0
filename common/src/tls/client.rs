//! TLS towards targets: verified against a CA of their own if one is named, else as an ALB does it, which takes whatever
//! certificate a target shows. Resumption is rustls's; connections and their reuse belong to the caller.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

use super::certificate::authorities;
use super::{TlsError, provider};

/// How the targets of one group are spoken to.
pub struct TargetTls {
    id: u64,
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
    /// What it was made of.
    made_of: MadeOf,
}

#[derive(Debug, PartialEq, Eq)]
struct MadeOf {
    authorities: Vec<CertificateDer<'static>>,
    server_name: Option<String>,
    alpn: &'static [&'static [u8]],
}

impl TargetTls {
    /// Takes any certificate.
    pub fn unverified(alpn: &'static [&'static [u8]]) -> Result<Self, TlsError> {
        let made_of = MadeOf {
            authorities: Vec::new(),
            server_name: None,
            alpn,
        };
        let verifier = AnyCertificate(provider().signature_verification_algorithms);
        Self::new(Arc::new(verifier), made_of)
    }

    /// Takes certificates that one of `ca` has issued for `server_name`, or for the target's address if that is left out.
    pub fn verified(
        ca: &Path,
        server_name: Option<&str>,
        alpn: &'static [&'static [u8]],
    ) -> Result<Self, TlsError> {
        let authorities = authorities(ca)?;
        let mut roots = RootCertStore::empty();
        for (at, authority) in authorities.iter().enumerate() {
            roots
                .add(authority.clone())
                .map_err(|error| TlsError::Certificate {
                    path: ca.to_owned(),
                    position: at + 1,
                    reason: error.to_string(),
                })?;
        }
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider()))
                .build()
                .map_err(|error| TlsError::Setup(rustls::Error::General(error.to_string())))?;
        let made_of = MadeOf {
            authorities,
            server_name: server_name.map(str::to_owned),
            alpn,
        };
        Self::new(verifier, made_of)
    }

    /// Whether it is known who the targets are.
    pub fn is_verified(&self) -> bool {
        !self.made_of.authorities.is_empty()
    }

    fn new(verifier: Arc<dyn ServerCertVerifier>, made_of: MadeOf) -> Result<Self, TlsError> {
        // 0 is for connections without TLS.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = made_of.alpn.iter().map(|name| name.to_vec()).collect();
        let server_name = made_of.server_name.clone().map(ServerName::try_from);
        Ok(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            config: Arc::new(config),
            server_name: server_name
                .transpose()
                .map_err(|error| TlsError::Setup(rustls::Error::General(error.to_string())))?,
            made_of,
        })
    }

    /// Never 0, and no other's in this process: a connection made with one must not be used for another.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Made of the same files and names: to replace one with the other would change nothing.
    pub fn is_like(&self, other: &Self) -> bool {
        self.made_of == other.made_of
    }

    /// The handshake, without a limit on its time. Server name indication is sent if a name was given: targets are known by
    /// their addresses, and a connection serves requests for many hosts.
    pub async fn connect(
        &self,
        stream: TcpStream,
        target: IpAddr,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::from(target),
        };
        let connector = TlsConnector::from(Arc::clone(&self.config));
        Ok(connector.connect(name, stream).await?.into())
    }
}

impl std::fmt::Debug for TargetTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TargetTls")
            .field("id", &self.id)
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

/// As an ALB, which never validates the certificates of targets. Nor is it checked that a target has the certificate's key:
/// who could show any certificate of his own gains nothing by another's, and certificates that webpki does not read, of
/// X.509 version 1 for example, work too.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unverified_target_may_show_anything() {
        let verifier = AnyCertificate(provider().signature_verification_algorithms);
        let nonsense = CertificateDer::from(vec![0; 3]);
        let name = ServerName::try_from("app.internal").unwrap();
        let shown = verifier.verify_server_cert(&nonsense, &[], &name, &[], UnixTime::now());
        assert!(shown.is_ok());
        assert!(!verifier.supported_verify_schemes().is_empty());
    }
}
