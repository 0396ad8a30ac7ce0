//! The site's certificate under the authority. It is renewed for the same key, so that one rename of one file is all
//! that a renewal is.

use std::net::IpAddr;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::CertsError;
use crate::authority::{self, Authority};
use crate::directory::{Access, Directory};
use crate::name::{self, Name};

pub(crate) const CERTIFICATE: &str = "site.pem";
pub(crate) const KEY: &str = "site.key";

const FILES: [&str; 2] = [CERTIFICATE, KEY];

/// Browsers refuse server certificates that are good for more than 398 days.
const LIFETIME: Duration = Duration::days(397);

/// What the certificate says.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) names: Vec<Name>,
    pub(crate) expires: OffsetDateTime,
}

impl Site {
    /// The site's certificate, made if there is none, renewed if it has expired.
    pub(crate) fn ensure(
        directory: &mut Directory,
        authority: &Authority,
        asked: &[Name],
        now: OffsetDateTime,
    ) -> Result<Self, CertsError> {
        match (directory.read(CERTIFICATE)?, directory.read(KEY)?) {
            (None, None) => {
                let key = KeyPair::generate()?;
                let (site, pem) = Self::issue(authority, &key, name::with_defaults(asked), now)?;
                directory.create(KEY, Access::Secret, &key.serialize_pem())?;
                directory.create(CERTIFICATE, Access::Public, &pem)?;
                Ok(site)
            }
            (Some(certificate), Some(key)) => {
                let key = KeyPair::from_pem(&key).map_err(|_| {
                    directory.unusable(directory.path(KEY), "is no private key in PEM", &FILES)
                })?;
                let current = Self::read(&certificate, &key, authority).map_err(|problem| {
                    directory.unusable(directory.path(CERTIFICATE), problem, &FILES)
                })?;
                current.renewed_if_expired(directory, authority, &key, asked, now)
            }
            (Some(_), None) => Err(directory.incomplete(CERTIFICATE, KEY, &FILES)),
            (None, Some(_)) => Err(directory.incomplete(KEY, CERTIFICATE, &FILES)),
        }
    }

    /// One that is still good may be trusted or served by somebody: it is never replaced.
    fn renewed_if_expired(
        self,
        directory: &mut Directory,
        authority: &Authority,
        key: &KeyPair,
        asked: &[Name],
        now: OffsetDateTime,
    ) -> Result<Self, CertsError> {
        if now < self.expires {
            let mut lacking = asked.to_vec();
            lacking.retain(|name| !self.names.contains(name));
            if lacking.is_empty() {
                return Ok(self);
            }
            return Err(CertsError::Lacking {
                path: directory.path(CERTIFICATE),
                names: name::list(&self.names),
                lacking: name::list(&lacking),
                delete: directory.present(&FILES),
            });
        }
        let mut names = self.names;
        name::add(&mut names, asked);
        let (site, pem) = Self::issue(authority, key, names, now)?;
        directory.replace(CERTIFICATE, Access::Public, &pem)?;
        Ok(site)
    }

    /// A new certificate for the key, and it in PEM with the authority's after it.
    fn issue(
        authority: &Authority,
        key: &KeyPair,
        names: Vec<Name>,
        now: OffsetDateTime,
    ) -> Result<(Self, String), CertsError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Lintel development");
        params
            .distinguished_name
            .push(DnType::CommonName, "localhost");
        params.subject_alt_names = names.iter().map(Name::to_san).collect::<Result<_, _>>()?;
        params.serial_number = Some(authority::random_serial());
        params.not_before = now - authority::CLOCK_SKEW;
        // The authority must outlive what it signed, or clients refuse the chain.
        params.not_after = (now + LIFETIME).min(authority.expires);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(key, &authority.issuer)?;
        let pem = format!("{}{}", certificate.pem(), authority.pem);
        Ok((
            Self {
                names,
                expires: params.not_after,
            },
            pem,
        ))
    }

    fn read(pem: &str, key: &KeyPair, authority: &Authority) -> Result<Self, &'static str> {
        let der = authority::first_certificate(pem).ok_or("is no certificate in PEM")?;
        let (_, certificate) =
            X509Certificate::from_der(&der).map_err(|_| "is no certificate in PEM")?;
        if !authority::belongs(&certificate, key) {
            return Err("does not belong to the private key beside it");
        }
        if !authority.issued(&certificate) {
            return Err("was not issued by the authority beside it");
        }
        let expires =
            OffsetDateTime::from_unix_timestamp(certificate.validity().not_after.timestamp())
                .map_err(|_| "has no date of expiry that can be read")?;
        Ok(Self {
            names: names(&certificate),
            expires,
        })
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<Name> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let names = extension
        .iter()
        .flat_map(|extension| &extension.value.general_names);
    names.filter_map(name).collect()
}

fn name(name: &GeneralName<'_>) -> Option<Name> {
    match name {
        GeneralName::DNSName(name) => Some(Name::Dns(name.to_ascii_lowercase())),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from))
                .ok()
                .map(Name::Address)
        }
        _ => None,
    }
}
