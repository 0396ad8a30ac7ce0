//! Which of its certificates a listener shows, in handshakes over sockets.

use std::sync::{Arc, LazyLock};

use rcgen::{CertificateParams, KeyPair, RsaKeySize, SignatureAlgorithm, date_time_ymd};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
    SupportedProtocolVersion,
};

use crate::harness::{Proxy, Setup, Target, Wire};

/// A certificate that nobody has signed: only the choice is looked at.
struct Site {
    file: &'static str,
    pem: String,
    key: String,
    der: CertificateDer<'static>,
}

fn site(
    file: &'static str,
    name: &str,
    key: &KeyPair,
    change: impl FnOnce(&mut CertificateParams),
) -> Site {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2090, 1, 1);
    change(&mut params);
    let certificate = params.self_signed(key).unwrap();
    Site {
        file,
        pem: certificate.pem(),
        key: key.serialize_pem(),
        der: certificate.der().clone(),
    }
}

fn ecdsa(algorithm: &'static SignatureAlgorithm) -> KeyPair {
    KeyPair::generate_for(algorithm).unwrap()
}

fn rsa(hash: &'static SignatureAlgorithm, size: RsaKeySize) -> KeyPair {
    KeyPair::generate_rsa_for(hash, size).unwrap()
}

static SITES: LazyLock<Vec<Site>> = LazyLock::new(|| {
    let p256 = || ecdsa(&rcgen::PKCS_ECDSA_P256_SHA256);
    let (sha256, sha512) = (&rcgen::PKCS_RSA_SHA256, &rcgen::PKCS_RSA_SHA512);
    let short = || rsa(sha256, RsaKeySize::_2048);
    vec![
        site("exact", "shop.test", &p256(), |_| ()),
        site("wildcard", "*.test", &p256(), |_| ()),
        site(
            "p384",
            "shop.test",
            &ecdsa(&rcgen::PKCS_ECDSA_P384_SHA384),
            |_| (),
        ),
        site("expired", "shop.test", &p256(), |params| {
            params.not_before = date_time_ymd(1950, 1, 1);
            params.not_after = date_time_ymd(2024, 1, 1);
        }),
        site("lasting", "shop.test", &p256(), |params| {
            params.not_after = date_time_ymd(2095, 1, 1);
        }),
        site("rsa", "shop.test", &short(), |_| ()),
        site("rsa-wildcard", "*.test", &short(), |_| ()),
        site(
            "rsa-3072",
            "shop.test",
            &rsa(sha256, RsaKeySize::_3072),
            |_| (),
        ),
        site(
            "rsa-sha512",
            "shop.test",
            &rsa(sha512, RsaKeySize::_2048),
            |_| (),
        ),
        site("rsa-expired", "shop.test", &short(), |params| {
            params.not_after = date_time_ymd(2024, 1, 1);
        }),
    ]
});

/// Takes any certificate, if its key has made one of these signatures.
#[derive(Debug)]
struct Verifying(Vec<SignatureScheme>);

impl ServerCertVerifier for Verifying {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = default_provider().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, &known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = default_provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, &known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

/// A client with these signatures, versions and, if not all of them, cipher suites.
fn client(
    schemes: &[SignatureScheme],
    versions: &[&'static SupportedProtocolVersion],
    suites: Option<&[rustls::SupportedCipherSuite]>,
) -> ClientConfig {
    let provider = default_provider();
    let suites = suites.map_or(provider.cipher_suites.clone(), <[_]>::to_vec);
    let provider = CryptoProvider {
        cipher_suites: suites,
        ..provider
    };
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifying(schemes.to_vec())))
        .with_no_client_auth()
}

fn usual() -> ClientConfig {
    let schemes = default_provider().signature_verification_algorithms;
    client(&schemes.supported_schemes(), &[&TLS13, &TLS12], None)
}

const RSA: [SignatureScheme; 2] = [
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA256,
];

/// The file of the certificate that this client is shown, and that it is answered.
#[track_caller]
fn chosen(proxy: &Proxy, config: ClientConfig, name: &str) -> &'static str {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut client = Wire::new(StreamOwned::new(session, proxy.stream()));
    assert_eq!(client.get("/").status(), 200);
    let session = &client.stream().conn;
    let leaf = &session.peer_certificates().unwrap()[0];
    let site = SITES.iter().find(|site| site.der == *leaf);
    site.map_or("default", |site| site.file)
}

/// A listener with these beside its default certificate, in this order.
struct Listing {
    _target: Target,
    setup: Setup,
    proxy: Proxy,
}

impl Listing {
    fn start() -> Self {
        let target = Target::saying("well");
        let setup = Setup::to([target.address]).https();
        let proxy = setup.clone().start();
        for site in SITES.iter() {
            let file = |kind: &str| proxy.path(&format!("{}.{kind}", site.file));
            std::fs::write(file("pem"), &site.pem).unwrap();
            std::fs::write(file("key"), &site.key).unwrap();
        }
        Self {
            _target: target,
            setup,
            proxy,
        }
    }

    fn list(&self, files: &[&str]) {
        let pairs = files
            .iter()
            .map(|file| format!("{{ chain = '{file}.pem', key = '{file}.key' }}"));
        let pairs = pairs.collect::<Vec<_>>().join(", ");
        let other = "{ chain = 'other.pem', key = 'other.key' }";
        let text = self.setup.text().replace(other, &pairs);
        self.proxy.reload_text(&text).unwrap();
    }

    /// Whatever their order is.
    #[track_caller]
    fn assert_chosen(&self, files: &[&str], who: &str, config: &ClientConfig, expected: &str) {
        let reversed: Vec<&str> = files.iter().rev().copied().collect();
        for files in [files, &reversed] {
            self.list(files);
            let found = chosen(&self.proxy, config.clone(), "shop.test");
            assert_eq!(found, expected, "{who}: {files:?}");
        }
    }
}

#[test]
fn of_several_that_match_the_best_is_shown_in_the_albs_order() {
    let listing = Listing::start();
    for (files, expected) in [
        // The key before anything else, the name too.
        (&["rsa", "wildcard"][..], "wildcard"),
        (&["rsa-3072", "rsa-sha512", "exact"], "exact"),
        (&["rsa", "expired"], "expired"),
        // Then who is in force, whose signature is better, whose key is longer, who lasts longer.
        (&["expired", "exact"], "exact"),
        (&["expired", "lasting", "wildcard"], "lasting"),
        (&["exact", "p384"], "p384"),
        (&["lasting", "p384"], "p384"),
        (&["rsa", "rsa-sha512"], "rsa-sha512"),
        (&["rsa-3072", "rsa-sha512"], "rsa-sha512"),
        (&["rsa", "rsa-3072"], "rsa-3072"),
        (&["rsa-3072", "rsa-expired"], "rsa-3072"),
        (&["exact", "lasting"], "lasting"),
        // Alike in all of that: the exact name.
        (&["exact", "wildcard"], "exact"),
        (&["rsa", "rsa-wildcard"], "rsa"),
        // Nothing better is there.
        (&["rsa-expired"], "rsa-expired"),
    ] {
        listing.assert_chosen(files, "everything", &usual(), expected);
    }
}

#[test]
fn a_client_gets_the_best_that_it_can_use() {
    let listing = Listing::start();
    let suites = &[cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256][..];
    let p256 = [SignatureScheme::ECDSA_NISTP256_SHA256];
    let all = default_provider().signature_verification_algorithms;
    let all = all.supported_schemes();
    for (who, config, expected) in [
        ("everything", usual(), "p384"),
        ("RSA, TLS 1.3", client(&RSA, &[&TLS13], None), "rsa"),
        ("RSA, TLS 1.2", client(&RSA, &[&TLS12], None), "rsa"),
        (
            "suites of RSA",
            client(&all, &[&TLS12], Some(suites)),
            "rsa",
        ),
        ("P-256", client(&p256, &[&TLS13], None), "exact"),
    ] {
        listing.assert_chosen(&["p384", "exact", "rsa"], who, &config, expected);
    }
    listing.assert_chosen(
        &["wildcard", "rsa-wildcard"],
        "RSA, TLS 1.3",
        &client(&RSA, &[&TLS13], None),
        "rsa-wildcard",
    );
}

#[test]
fn without_a_match_the_default_is_shown() {
    let listing = Listing::start();
    listing.list(&["wildcard", "rsa"]);
    let found = |config, name| chosen(&listing.proxy, config, name);
    for (name, expected) in [
        ("shop.test", "wildcard"),
        ("SHOP.Test", "wildcard"),
        ("www.test", "wildcard"),
        ("test", "default"),          // the apex is not covered
        ("www.shop.test", "default"), // one label only
        ("shop.example", "default"),
        ("127.0.0.1", "default"), // an address is not sent as a name
    ] {
        assert_eq!(found(usual(), name), expected, "{name}");
    }
    let mut silent = usual();
    silent.enable_sni = false;
    assert_eq!(found(silent, "shop.test"), "default", "without a name");

    // The default takes no part in the choice by name: an RSA certificate of the list goes before it.
    let text = listing.setup.text();
    let text = text.replace(
        "{ chain = 'site.pem', key = 'site.key' }",
        "{ chain = 'exact.pem', key = 'exact.key' }",
    );
    let text = text.replace(
        "{ chain = 'other.pem', key = 'other.key' }",
        "{ chain = 'rsa-wildcard.pem', key = 'rsa-wildcard.key' }",
    );
    listing.proxy.reload_text(&text).unwrap();
    assert_eq!(found(usual(), "shop.test"), "rsa-wildcard");
    assert_eq!(found(usual(), "shop.example"), "exact");
}
