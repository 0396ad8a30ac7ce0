//! What an HTTPS listener has beside the keys of every listener: certificates, security policy, mutual authentication.

use std::path::Path;
use std::time::SystemTime;

use lintel_common::config_file::{Kind, Table, Value};
use lintel_common::tls::{self, MutualAuthentication, SslPolicy, TlsError, TrustStore};

use super::listener::Protocol;
use super::not_supported::choice;
use super::values;
use crate::model::{CertificateFields, CertificateFiles, TlsSettings};

/// `None` for an HTTP listener, and for one that could not be read.
pub(super) fn read(
    table: &mut Table<'_>,
    directory: &Path,
    protocol: Option<Protocol>,
    certificate_fields: CertificateFields,
) -> Option<TlsSettings> {
    const CERTIFICATE: &str = "certificate = { chain = \"site.pem\", key = \"site.key\" }";
    if protocol == Some(Protocol::Http) {
        for key in ["certificate", "additional_certificates", "ssl_policy"] {
            if let Some(value) = table.get(key) {
                not_without_tls(&value);
            }
        }
        if let Some(value) = table.get("mutual_authentication")
            && mutual_authentication(&value, directory) != MutualAuthentication::Off
        {
            not_without_tls(&value);
        }
        return None;
    }
    let ssl_policy = table.get("ssl_policy").and_then(|value| ssl_policy(&value));
    let additional = table
        .get("additional_certificates")
        .and_then(|value| value.list())
        .unwrap_or_default();
    let additional_certificates = additional
        .iter()
        .filter_map(|value| certificate(value, directory))
        .collect();
    let mutual = table
        .get("mutual_authentication")
        .map(|value| mutual_authentication(&value, directory));
    let certificate = match protocol {
        Some(Protocol::Https) => table.required("certificate", CERTIFICATE),
        _ => table.get("certificate"),
    };
    Some(TlsSettings {
        ssl_policy: ssl_policy.unwrap_or(SslPolicy::DEFAULT).to_owned(),
        certificate: certificate.and_then(|value| self::certificate(&value, directory))?,
        additional_certificates,
        mutual_authentication: mutual.unwrap_or(MutualAuthentication::Off),
        certificate_fields,
    })
}

fn not_without_tls(value: &Value<'_>) {
    value.error(
        "belongs to an HTTPS listener",
        "set protocol = \"HTTPS\", or leave it out",
    );
}

fn mutual_authentication(value: &Value<'_>, directory: &Path) -> MutualAuthentication {
    let read = value.table(|table| mutual_table(table, directory));
    read.unwrap_or(MutualAuthentication::Off)
}

fn mutual_table(table: &mut Table<'_>, directory: &Path) -> MutualAuthentication {
    let modes = [
        ("off", MutualAuthentication::Off),
        ("passthrough", MutualAuthentication::Passthrough),
    ];
    let verify = table
        .get("mode")
        .is_some_and(|value| value.kind() == Kind::String && value.string() == Some("verify"));
    if verify {
        return trust_store(table, directory)
            .map_or(MutualAuthentication::Off, MutualAuthentication::Verify);
    }
    for key in [
        "trust_store",
        "revocation_lists",
        "ignore_client_certificate_expiry",
        "advertise_trust_store_ca_names",
    ] {
        if let Some(value) = table.get(key) {
            value.warn(
                "changes nothing, as no certificate is verified",
                "set mode = \"verify\", or leave it out",
            );
        }
    }
    let mode = table.get("mode").and_then(|value| {
        let word = value.string()?;
        let known = modes.iter().position(|(name, _)| *name == word);
        if known.is_none() {
            value.error(
                format_args!("`{}` is not known here", value.shown()),
                "write \"off\", \"passthrough\" or \"verify\"",
            );
        }
        known
    });
    mode.map_or(MutualAuthentication::Off, |at| modes[at].1.clone())
}

fn trust_store(table: &mut Table<'_>, directory: &Path) -> Option<TrustStore> {
    let ignore_client_certificate_expiry = table
        .get("ignore_client_certificate_expiry")
        .and_then(|value| value.boolean())
        .unwrap_or(false);
    let advertise_ca_names = choice(
        table,
        "advertise_trust_store_ca_names",
        &[("off", false), ("on", true)],
        &[],
    );
    let lists = table
        .get("revocation_lists")
        .and_then(|value| value.list())
        .unwrap_or_default();
    let revocation_lists = lists
        .iter()
        .filter_map(|value| values::readable_file(value, directory))
        .collect();
    let value = table.required("trust_store", "trust_store = \"clients-ca.pem\"")?;
    let store = TrustStore {
        certificates: values::readable_file(&value, directory)?,
        revocation_lists,
        ignore_client_certificate_expiry,
        advertise_ca_names: advertise_ca_names.unwrap_or(false),
    };
    if let Err(error) = store.check() {
        let place = match &error {
            TlsError::NoRevocationList { path }
            | TlsError::Pem { path, .. }
            | TlsError::Read { path, .. } => {
                let at = store.revocation_lists.iter().position(|list| list == path);
                at.and_then(|at| lists.get(at))
            }
            _ => None,
        };
        values::report_tls(place.unwrap_or(&value), &error);
    }
    Some(store)
}

/// The default is that of the ALB's console, which unlike the API's has TLS 1.3 and can be served exactly.
fn ssl_policy(value: &Value<'_>) -> Option<&'static str> {
    let Some(policy) = SslPolicy::by_name(value.string()?) else {
        value.error(
            format_args!("`{}` is not a security policy", value.shown()),
            format_args!("write one of an ALB, such as \"{}\"", SslPolicy::DEFAULT),
        );
        return None;
    };
    if let Some(left_out) = policy.left_out() {
        value.warn(
            format_args!("is served without {left_out}"),
            format_args!("choose one that is served whole, such as \"{}\", or tell the clients that need them", SslPolicy::DEFAULT),
        );
    }
    Some(policy.name())
}

/// Loads the certificate, so that a file that is missing or does not fit is found here and not at start.
fn certificate(value: &Value<'_>, directory: &Path) -> Option<CertificateFiles> {
    value
        .table(|table| {
            let chain = table.required("chain", "chain = \"site.pem\"");
            let key = table.required("key", "key = \"site.key\"");
            let chain_path = chain
                .as_ref()
                .and_then(|value| values::readable_file(value, directory));
            let key_path = key
                .as_ref()
                .and_then(|value| values::readable_file(value, directory));
            let files = CertificateFiles {
                chain: chain_path?,
                key: key_path?,
            };
            match tls::load_certified_key(&files.chain, &files.key) {
                Ok(certified) => {
                    if let Some(chain) = &chain {
                        warn_of_expiry(chain, tls::not_after(&certified), SystemTime::now());
                    }
                }
                Err(error) => {
                    let place = match &error {
                        TlsError::NoKey { .. }
                        | TlsError::EncryptedKey { .. }
                        | TlsError::Key { .. }
                        | TlsError::KeyMismatch { .. } => key,
                        TlsError::Pem { path, .. } | TlsError::Read { path, .. }
                            if *path == files.key =>
                        {
                            key
                        }
                        _ => chain,
                    };
                    values::report_tls(&place.unwrap_or_else(|| value.clone()), &error);
                }
            }
            Some(files)
        })
        .flatten()
}

/// Clients refuse what has expired; that it soon will is told while there is time.
fn warn_of_expiry(chain: &Value<'_>, not_after: Option<i64>, now: SystemTime) {
    const SOON: i64 = 30 * DAY;
    const DAY: i64 = 24 * 60 * 60;
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    let now = since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    });
    let Some(left) = not_after.map(|not_after| not_after - now) else {
        return;
    };
    if left <= 0 {
        chain.warn(
            "has expired; clients that look will not connect",
            "renew the certificate",
        );
    } else if left < SOON {
        chain.warn(
            format_args!("expires in {} days", left / DAY),
            "renew the certificate",
        );
    }
}
