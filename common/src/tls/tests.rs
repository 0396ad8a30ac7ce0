//! Real handshakes, both ends in memory.

mod certificate_choice;
mod mutual;
mod policies;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, RsaKeySize};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ClientConnection};
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::{cipher_suite, kx_group};
use rustls::server::ServerConnection;
use rustls::version::{TLS12, TLS13};
use rustls::{
    DigitallySignedStruct, HandshakeKind, NamedGroup, SignatureScheme, SupportedCipherSuite,
    SupportedProtocolVersion,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use super::*;

const DEFAULT: &str = SslPolicy::DEFAULT;
const TLS12_POLICY: &str = "ELBSecurityPolicy-FS-1-2-Res-2020-10";
const TLS13_POLICY: &str = "ELBSecurityPolicy-TLS13-1-3-2021-06";

#[derive(Clone, Copy)]
enum Key {
    Ecdsa,
    Rsa,
}

fn key(kind: Key) -> KeyPair {
    match kind {
        Key::Ecdsa => KeyPair::generate().unwrap(),
        Key::Rsa => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap(),
    }
}

fn certificate(
    kind: Key,
    names: &[&str],
    change: impl FnOnce(&mut CertificateParams),
) -> CertifiedKey {
    let key = key(kind);
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    change(&mut params);
    let certificate = params.self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    CertifiedKey::from_der(vec![certificate.der().clone()], key, &provider()).unwrap()
}

fn ecdsa(names: &[&str]) -> CertifiedKey {
    certificate(Key::Ecdsa, names, |_| ())
}

fn expired(params: &mut CertificateParams) {
    params.not_after = rcgen::date_time_ymd(2001, 1, 1);
}

fn server(certificates: &[&CertifiedKey], policy: &str, http2: bool) -> Arc<ServerConfig> {
    let certificates = certificates
        .iter()
        .map(|&certified| certified.clone())
        .collect();
    server_config(
        certificates,
        SslPolicy::by_name(policy).unwrap(),
        http2,
        tickets().unwrap(),
        &MutualAuthentication::Off,
    )
    .unwrap()
}

/// A client that takes any certificate and offers exactly what a test says.
struct Client {
    versions: Vec<&'static SupportedProtocolVersion>,
    suites: Vec<SupportedCipherSuite>,
    schemes: Vec<SignatureScheme>,
    groups: Vec<&'static dyn SupportedKxGroup>,
    alpn: Vec<&'static str>,
}

impl Default for Client {
    fn default() -> Self {
        let provider = provider();
        Self {
            versions: vec![&TLS13, &TLS12],
            schemes: provider
                .signature_verification_algorithms
                .supported_schemes(),
            suites: provider.cipher_suites,
            groups: vec![kx_group::X25519MLKEM768, kx_group::X25519],
            alpn: vec![],
        }
    }
}

impl Client {
    fn config(self) -> Arc<ClientConfig> {
        let provider = CryptoProvider {
            cipher_suites: self.suites,
            kx_groups: self.groups,
            ..provider()
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AcceptAny(self.schemes)))
            .with_no_client_auth();
        config.alpn_protocols = self
            .alpn
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        Arc::new(config)
    }

    fn connect(self, server: &Arc<ServerConfig>, name: &str) -> Result<Handshake, rustls::Error> {
        handshake(&self.config(), server, name)
    }
}

#[derive(Debug)]
struct AcceptAny(Vec<SignatureScheme>);

impl ServerCertVerifier for AcceptAny {
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
        self.0.clone()
    }
}

#[derive(Debug)]
struct Handshake {
    leaf: CertificateDer<'static>,
    version: &'static str,
    suite: &'static str,
    group: Option<NamedGroup>,
    alpn: Option<String>,
    kind: HandshakeKind,
}

fn handshake(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    name: &str,
) -> Result<Handshake, rustls::Error> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name)?;
    let mut server = ServerConnection::new(Arc::clone(server))?;
    // A full handshake takes two rounds, with a retried hello three; the last carries the session ticket.
    for _ in 0..5 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut unread = wire.as_slice();
        while !unread.is_empty() {
            server.read_tls(&mut unread).unwrap();
            server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut unread = wire.as_slice();
        while !unread.is_empty() {
            client.read_tls(&mut unread).unwrap();
            client.process_new_packets()?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(Handshake {
        leaf: client.peer_certificates().unwrap()[0].clone().into_owned(),
        version: protocol_name(server.protocol_version().unwrap()),
        suite: openssl_cipher_name(server.negotiated_cipher_suite().unwrap().suite()),
        group: server
            .negotiated_key_exchange_group()
            .map(SupportedKxGroup::name),
        alpn: server
            .alpn_protocol()
            .map(|name| String::from_utf8(name.to_vec()).unwrap()),
        kind: server.handshake_kind().unwrap(),
    })
}

fn rsa_schemes() -> Vec<SignatureScheme> {
    vec![
        SignatureScheme::RSA_PSS_SHA256,
        SignatureScheme::RSA_PKCS1_SHA256,
    ]
}

#[test]
fn alpn_offers_http2_only_when_it_is_on() {
    let certified = ecdsa(&["shop.test"]);
    let agreed = |http2, alpn: &[&'static str]| {
        let client = Client {
            alpn: alpn.to_vec(),
            ..Client::default()
        };
        client
            .connect(&server(&[&certified], DEFAULT, http2), "shop.test")
            .unwrap()
            .alpn
    };
    assert_eq!(agreed(true, &["http/1.1", "h2"]).as_deref(), Some("h2"));
    assert_eq!(
        agreed(false, &["h2", "http/1.1"]).as_deref(),
        Some("http/1.1")
    );
    assert_eq!(agreed(true, &["http/1.1"]).as_deref(), Some("http/1.1"));
    assert_eq!(agreed(true, &[]), None);
}

#[test]
fn sessions_are_resumed_on_any_worker_and_after_a_reload() {
    let certified = ecdsa(&["shop.test"]);
    let tickets = tickets().unwrap();
    let policy = SslPolicy::by_name(DEFAULT).unwrap();
    let load = || {
        server_config(
            vec![certified.clone()],
            policy,
            true,
            Arc::clone(&tickets),
            &MutualAuthentication::Off,
        )
        .unwrap()
    };
    for version in [&TLS13, &TLS12] {
        let client = Client {
            versions: vec![version],
            ..Client::default()
        }
        .config();
        let (before, after) = (load(), load());
        let kinds: Vec<_> = [&before, &before, &after]
            .map(|server| handshake(&client, server, "shop.test").unwrap().kind)
            .into();
        assert_ne!(kinds[0], HandshakeKind::Resumed);
        assert_eq!(
            kinds[1..],
            [HandshakeKind::Resumed, HandshakeKind::Resumed],
            "{version:?}"
        );

        let stranger = server(&[&certified], DEFAULT, true);
        assert_ne!(
            handshake(&client, &stranger, "shop.test").unwrap().kind,
            HandshakeKind::Resumed
        );
    }
    assert_eq!(load().max_early_data_size, 0);
}

#[test]
fn no_certificate_is_an_error() {
    let policy = SslPolicy::by_name(DEFAULT).unwrap();
    let error = server_config(
        vec![],
        policy,
        true,
        tickets().unwrap(),
        &MutualAuthentication::Off,
    )
    .unwrap_err();
    assert!(matches!(error, TlsError::NoCertificates));
}

#[test]
fn files_are_loaded_and_every_mistake_names_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (mine, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let pem = CertificateParams::new(vec!["shop.test".to_owned()])
        .unwrap()
        .self_signed(&mine)
        .unwrap()
        .pem();
    let edwards = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let params = CertificateParams::new(vec!["shop.test".to_owned()]).unwrap();
    let of_edwards = params.self_signed(&edwards).unwrap().pem();
    let of_edwards = write("edwards.pem", &of_edwards);
    let edwards = write("edwards.key", &edwards.serialize_pem());
    let chain = write("chain.pem", &pem);
    let key = write("mine.key", &mine.serialize_pem());
    let other = write("other.key", &other.serialize_pem());
    let text = write("text.txt", "hello");
    let cut = write("cut.pem", pem.split("-----END").next().unwrap());
    let garbage = write(
        "garbage.pem",
        "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
    );
    let encrypted = write(
        "encrypted.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\naGVsbG8=\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let missing = directory.path().join("missing.pem");

    assert_eq!(load_certified_key(&chain, &key).unwrap().cert.len(), 1);
    let cases: [(&Path, &Path, &str, &str); 9] = [
        (&missing, &key, "missing.pem", "check that the file exists"),
        (
            &chain,
            &missing,
            "missing.pem",
            "check that the file exists",
        ),
        (&text, &key, "text.txt", "BEGIN CERTIFICATE"),
        (&cut, &key, "cut.pem", "is damaged"),
        (&garbage, &key, "garbage.pem", "certificate 1"),
        (&chain, &text, "text.txt", "BEGIN PRIVATE KEY"),
        (&chain, &encrypted, "encrypted.key", "openssl pkey"),
        (&chain, &other, "other.key", "does not belong to"),
        (&of_edwards, &edwards, "edwards.key", "ECDSA P-256"),
    ];
    for (chain, key, file, advice) in cases {
        let error = load_certified_key(chain, key).unwrap_err().to_string();
        assert!(error.contains(file) && error.contains(advice), "{error}");
    }
}

#[test]
fn cipher_suites_and_versions_are_named_as_by_openssl() {
    for (suite, name) in [
        (
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            "TLS_AES_128_GCM_SHA256",
        ),
        (
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            "TLS_AES_256_GCM_SHA384",
        ),
        (
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            "TLS_CHACHA20_POLY1305_SHA256",
        ),
        (
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
        (
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            "ECDHE-ECDSA-AES256-GCM-SHA384",
        ),
        (
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            "ECDHE-RSA-AES128-GCM-SHA256",
        ),
        (
            cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            "ECDHE-RSA-AES256-GCM-SHA384",
        ),
    ] {
        assert_eq!(openssl_cipher_name(suite.suite()), name);
    }
    let versions = [ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3];
    assert_eq!(versions.map(protocol_name), ["TLSv1.2", "TLSv1.3"]);
}
