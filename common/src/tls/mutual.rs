//! Certificates of clients: asked for, and either taken as they are (passthrough, where the targets judge) or verified
//! against a trust store. What targets are told of them is not said here.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, InvalidMessage,
    RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use x509_parser::public_key::PublicKey;

use super::certificate::{authorities, read};
use super::{TlsError, provider};

/// Certificates from a client's own to the last before a trusted one.
const MOST_BEFORE_ROOT: usize = 3;

/// Bits of an RSA key that an ALB takes.
const RSA_BITS: RangeInclusive<usize> = 2048..=8192;

tokio::task_local! {
    /// What the client whose handshake the task is about has shown as its own.
    static SHOWN: RefCell<Option<CertificateDer<'static>>>;
}

/// Runs a handshake, and says which certificate the client has shown as its own, taken or not: of a handshake that failed
/// rustls keeps nothing.
pub(crate) async fn with_shown<T>(
    handshake: impl Future<Output = T>,
) -> (T, Option<CertificateDer<'static>>) {
    let watched = async {
        let outcome = handshake.await;
        (outcome, SHOWN.try_with(RefCell::take).unwrap_or_default())
    };
    SHOWN.scope(RefCell::default(), watched).await
}

fn note_shown(certificate: &CertificateDer<'_>) {
    // Nobody may want to know.
    let _ = SHOWN.try_with(|shown| shown.replace(Some(certificate.clone().into_owned())));
}

/// What an HTTPS listener wants to know of its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MutualAuthentication {
    Off,
    /// A certificate is asked for and whatever comes is taken, nothing included.
    Passthrough,
    Verify(TrustStore),
}

/// Whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustStore {
    /// PEM, certificates of authorities.
    pub certificates: PathBuf,
    /// PEM, each with one list or more.
    pub revocation_lists: Vec<PathBuf>,
    /// A client's certificate that has been valid still counts.
    pub ignore_client_certificate_expiry: bool,
    /// Clients are told the authorities' names, to choose a certificate by.
    pub advertise_ca_names: bool,
}

impl MutualAuthentication {
    /// `None` where no certificate is asked for.
    pub(super) fn verifier(&self) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
        match self {
            Self::Off => Ok(None),
            Self::Passthrough => {
                let algorithms = provider().signature_verification_algorithms;
                Ok(Some(Arc::new(AnyCertificate(algorithms))))
            }
            Self::Verify(store) => Ok(Some(store.verifier()?)),
        }
    }
}

impl TrustStore {
    /// Reads its files, to find out whether they can be used.
    pub fn check(&self) -> Result<(), TlsError> {
        self.verifier().map(|_| ())
    }

    fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let roots = Arc::new(self.roots()?);
        let lists = apart(self.lists()?);
        let with_lists = |lists| self.with_lists(&roots, lists);
        Ok(Arc::new(Verified {
            verifiers: lists
                .into_iter()
                .map(with_lists)
                .collect::<Result<_, _>>()?,
            ignore_expiry: self.ignore_client_certificate_expiry,
        }))
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for (at, authority) in authorities(&self.certificates)?.into_iter().enumerate() {
            roots
                .add(authority)
                .map_err(|error| TlsError::Certificate {
                    path: self.certificates.clone(),
                    position: at + 1,
                    reason: error.to_string(),
                })?;
        }
        Ok(roots)
    }

    fn lists(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
        let mut lists = Vec::new();
        for path in &self.revocation_lists {
            let before = lists.len();
            for list in CertificateRevocationListDer::pem_slice_iter(&read(path)?) {
                lists.push(list.map_err(|source| TlsError::Pem {
                    path: path.clone(),
                    source,
                })?);
            }
            if lists.len() == before {
                return Err(TlsError::NoRevocationList { path: path.clone() });
            }
        }
        Ok(lists)
    }

    fn with_lists(
        &self,
        roots: &Arc<RootCertStore>,
        lists: Vec<CertificateRevocationListDer<'static>>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let (roots, provider) = (Arc::clone(roots), Arc::new(provider()));
        let mut builder = WebPkiClientVerifier::builder_with_provider(roots, provider)
            .with_crls(lists)
            // Of authorities without a list nothing is known to be revoked.
            .allow_unknown_revocation_status();
        if !self.advertise_ca_names {
            builder = builder.clear_root_hint_subjects();
        }
        builder.build().map_err(|error| TlsError::TrustStore {
            path: self.certificates.clone(),
            reason: error.to_string(),
        })
    }
}

/// Of several lists of one authority a verifier would look into the first only: each set has one of an authority at most.
/// There is a set at least.
fn apart(
    lists: Vec<CertificateRevocationListDer<'static>>,
) -> Vec<Vec<CertificateRevocationListDer<'static>>> {
    let mut sets = vec![Vec::new()];
    let mut so_far = HashMap::<Vec<u8>, usize>::new();
    for list in lists {
        // One that cannot be read is refused by the verifier that is made with it.
        let issuer = x509_parser::parse_x509_crl(&list)
            .map(|(_, list)| list.issuer().as_raw().to_vec())
            .unwrap_or_default();
        let nth = so_far.entry(issuer).or_default();
        sets.resize_with(sets.len().max(*nth + 1), Vec::new);
        sets[*nth].push(list);
        *nth += 1;
    }
    sets
}

/// Why a client that was asked for a certificate has no connection, in the ALB's words.
pub fn client_certificate_failure(error: &Error) -> &'static str {
    let Error::InvalidCertificate(error) = error else {
        return match error {
            Error::NoCertificatesPresented => "ClientCertRejected",
            Error::PeerIncompatible(_) => "ClientCertIncompatible",
            // Nothing else that an honest client says in a handshake becomes as long as that.
            Error::InvalidMessage(
                InvalidMessage::HandshakePayloadTooLarge
                | InvalidMessage::CertificatePayloadTooLarge,
            ) => "ClientCertMaxSizeExceeded",
            _ => "UnmappedConnectionError",
        };
    };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "ClientCertExpired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "ClientCertNotYetValid"
        }
        CertificateError::Revoked => "ClientCertCrlHit",
        CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => "ClientCertCrlProcessingError",
        CertificateError::UnknownIssuer => "ClientCertUntrusted",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "ClientCertPurposeInvalid"
        }
        CertificateError::ApplicationVerificationFailure => "ClientCertMaxChainDepthExceeded",
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "ClientCertTypeUnsupported"
        }
        _ => "ClientCertInvalid",
    }
}

/// Holds a chain to the ALB's depth, and looks at it as of a time when its leaf was valid, if that is wanted.
#[derive(Debug)]
struct Verified {
    /// One at least. They differ in their revocation lists only.
    verifiers: Vec<Arc<dyn ClientCertVerifier>>,
    ignore_expiry: bool,
}

impl Verified {
    fn first(&self) -> &dyn ClientCertVerifier {
        &*self.verifiers[0]
    }
}

impl ClientCertVerifier for Verified {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.first().root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        note_shown(end_entity);
        refuse_unsupported(end_entity)?;
        let issued = intermediates.iter().filter(|one| !is_self_issued(one));
        // One of them may be the root, and no more: each is work for whoever looks for a way through them.
        if issued.count() + 1 > MOST_BEFORE_ROOT || intermediates.len() > MOST_BEFORE_ROOT {
            let too_deep = CertificateError::ApplicationVerificationFailure;
            return Err(Error::InvalidCertificate(too_deep));
        }
        let as_of = if self.ignore_expiry {
            last_valid(end_entity).map_or(now, |last| last.min(now))
        } else {
            now
        };
        for verifier in &self.verifiers {
            verifier.verify_client_cert(end_entity, intermediates, as_of)?;
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.first()
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.first()
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.first().supported_verify_schemes()
    }
}

/// RSA and ECDSA are an ALB's; which curves, and which ways to sign, rustls says. What cannot be read is for others to refuse.
fn refuse_unsupported(certificate: &CertificateDer<'_>) -> Result<(), Error> {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else {
        return Ok(());
    };
    let key = parsed.public_key();
    let supported = match key.parsed() {
        Ok(PublicKey::RSA(key)) => RSA_BITS.contains(&key.key_size()),
        Ok(PublicKey::EC(_)) => true,
        _ => false,
    };
    if supported {
        return Ok(());
    }
    let unsupported = CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
        signature_algorithm_id: parsed.signature_algorithm.algorithm.as_bytes().to_vec(),
        public_key_algorithm_id: key.algorithm.algorithm.as_bytes().to_vec(),
    };
    Err(Error::InvalidCertificate(unsupported))
}

/// A root, which clients need not show and may.
fn is_self_issued(certificate: &CertificateDer<'_>) -> bool {
    x509_parser::parse_x509_certificate(certificate)
        .is_ok_and(|(_, parsed)| parsed.issuer().as_raw() == parsed.subject().as_raw())
}

fn last_valid(certificate: &CertificateDer<'_>) -> Option<UnixTime> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let seconds = u64::try_from(parsed.validity().not_after.timestamp()).ok()?;
    Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(
        seconds,
    )))
}

/// The client still proves that it has the certificate's key.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        note_shown(end_entity);
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
