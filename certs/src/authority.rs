//! The certificate authority: made once, then kept for its ten years, because every client that trusts the site trusts
//! it by this certificate.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::directory::{Access, Directory};
use crate::{CertsError, FILES};

pub(crate) const CERTIFICATE: &str = "ca.pem";
pub(crate) const KEY: &str = "ca.key";

/// Clocks of two machines differ; a certificate made this second should be good on both.
pub(crate) const CLOCK_SKEW: Duration = Duration::hours(1);

const LIFETIME: Duration = Duration::days(3652);

/// An authority that can sign.
pub(crate) struct Authority {
    pub(crate) pem: String,
    pub(crate) expires: OffsetDateTime,
    der: Vec<u8>,
    pub(crate) issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The authority of the directory, made if there is none.
    pub(crate) fn ensure(
        directory: &mut Directory,
        now: OffsetDateTime,
    ) -> Result<Self, CertsError> {
        match (directory.read(CERTIFICATE)?, directory.read(KEY)?) {
            (Some(certificate), Some(key)) => Self::load(directory, certificate, &key, now),
            (None, None) => Self::create(directory, now),
            (Some(_), None) => Err(directory.incomplete(CERTIFICATE, KEY, &FILES)),
            (None, Some(_)) => Err(directory.incomplete(KEY, CERTIFICATE, &FILES)),
        }
    }

    fn create(directory: &mut Directory, now: OffsetDateTime) -> Result<Self, CertsError> {
        if let Some(orphan) = directory.present(&FILES).into_iter().next() {
            let problem = "is there without the authority that issued it";
            return Err(directory.unusable(orphan, problem, &FILES));
        }
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject();
        params.serial_number = Some(random_serial());
        params.not_before = now - CLOCK_SKEW;
        params.not_after = now + LIFETIME;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.self_signed(&key)?;
        // The key first: a certificate without it is of no use to anybody.
        directory.create(KEY, Access::Secret, &key.serialize_pem())?;
        directory.create(CERTIFICATE, Access::Public, &certificate.pem())?;
        Ok(Self {
            pem: certificate.pem(),
            expires: params.not_after,
            der: certificate.der().to_vec(),
            issuer: Issuer::new(params, key),
        })
    }

    fn load(
        directory: &Directory,
        pem: String,
        key: &str,
        now: OffsetDateTime,
    ) -> Result<Self, CertsError> {
        let unusable =
            |name: &str, problem| directory.unusable(directory.path(name), problem, &FILES);
        let key = KeyPair::from_pem(key).map_err(|_| unusable(KEY, "is no private key in PEM"))?;
        let der = first_certificate(&pem)
            .ok_or_else(|| unusable(CERTIFICATE, "is no certificate in PEM"))?;
        let (_, certificate) = X509Certificate::from_der(&der)
            .map_err(|_| unusable(CERTIFICATE, "is no certificate in PEM"))?;
        if !certificate.is_ca() {
            return Err(unusable(
                CERTIFICATE,
                "is not the certificate of an authority",
            ));
        }
        if !belongs(&certificate, &key) {
            return Err(unusable(
                CERTIFICATE,
                "does not belong to the private key beside it",
            ));
        }
        let expires =
            OffsetDateTime::from_unix_timestamp(certificate.validity().not_after.timestamp());
        let Some(expires) = expires.ok().filter(|&expires| expires > now) else {
            return Err(unusable(CERTIFICATE, "has expired"));
        };
        let issuer = Issuer::from_ca_cert_pem(&pem, key)?;
        Ok(Self {
            pem,
            expires,
            der,
            issuer,
        })
    }

    /// Whether this authority signed the certificate.
    pub(crate) fn issued(&self, certificate: &X509Certificate<'_>) -> bool {
        X509Certificate::from_der(&self.der)
            .is_ok_and(|(_, own)| certificate.verify_signature(Some(own.public_key())).is_ok())
    }
}

/// Whether the certificate was made for this key.
pub(crate) fn belongs(certificate: &X509Certificate<'_>, key: &KeyPair) -> bool {
    certificate.public_key().subject_public_key.data.as_ref() == key.public_key_raw()
}

/// The first certificate of a PEM text, in DER.
pub(crate) fn first_certificate(pem: &str) -> Option<Vec<u8>> {
    let blocks = x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes());
    blocks
        .filter_map(Result::ok)
        .find(|block| block.label == "CERTIFICATE")
        .map(|block| block.contents)
}

/// 126 random bits, so that no two certificates of one authority share a number.
pub(crate) fn random_serial() -> SerialNumber {
    let mut bytes: [u8; 16] = rand::random();
    bytes[0] = bytes[0] & 0x7f | 0x40; // positive, and of the same length always
    SerialNumber::from_slice(&bytes)
}

/// Each authority has a name of its own: browsers mix up two that are called the same.
fn subject() -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Lintel development");
    name.push(
        DnType::CommonName,
        format!("Lintel development CA {:08x}", rand::random::<u32>()),
    );
    name
}
