//! A certificate authority made at the start, two sites under it, and clients that trust it.

use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// The names in `site.pem`, which is what listeners of the tests have as their default certificate.
pub const SITE: [&str; 3] = ["example.com", "*.example.com", "localhost"];
/// The name in `other.pem`.
pub const OTHER: &str = "other.test";

pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

fn authority() -> &'static CertifiedIssuer<'static, KeyPair> {
    static AUTHORITY: OnceLock<CertifiedIssuer<'static, KeyPair>> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "Test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    })
}

/// Writes `site.pem`, `site.key`, `other.pem` and `other.key`.
pub fn write_certificates(directory: &Path) {
    write_certificate(directory, "site", &SITE);
    write_certificate(directory, "other", &[OTHER]);
}

pub fn write_certificate(directory: &Path, file: &str, names: &[&str]) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(names).unwrap();
    let certificate = params.signed_by(&key, authority()).unwrap();
    std::fs::write(directory.join(format!("{file}.pem")), certificate.pem()).unwrap();
    std::fs::write(directory.join(format!("{file}.key")), key.serialize_pem()).unwrap();
}

/// Trusts the authority and offers these protocols.
pub fn client_config(protocols: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(authority().der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    Arc::new(config)
}

/// A handshake with a server that must show a certificate for `name`.
pub fn handshake(
    mut stream: TcpStream,
    name: &str,
    protocols: &[&str],
) -> std::io::Result<TlsStream> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut connection = ClientConnection::new(client_config(protocols), name).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(connection, stream))
}
