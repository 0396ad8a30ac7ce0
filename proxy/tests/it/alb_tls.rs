//! What an ALB does with TLS towards clients, beyond what the handshakes themselves show.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lintel_proxy::config;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, SerialNumber, date_time_ymd};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, SignatureScheme, StreamOwned};

use super::harness::client::get;
use super::harness::http2::{self, Http2};
use super::harness::tls::{
    Identity, SITE, client_config, client_config_as, write_authority, write_certificate,
    write_certificates, write_revocation_list,
};
use super::harness::{Proxy, Setup, Target, Wire, until};

mod mutual;

fn warnings(policy: &str) -> Vec<String> {
    let target = Target::saying("well");
    let text = Setup::to([target.address]).https().text();
    let certificates = "certificate = ";
    let text = text.replacen(
        certificates,
        &format!("ssl_policy = '{policy}'\n{certificates}"),
        1,
    );
    let directory = tempfile::tempdir().unwrap();
    write_certificates(directory.path());
    let loaded = config::parse(&text, &directory.path().join("f.toml")).unwrap_or_else(|errors| {
        panic!("{errors:#?}\n{text}");
    });
    let of_policy = loaded.warnings.iter().map(ToString::to_string);
    of_policy
        .filter(|line| line.contains("ssl_policy"))
        .collect()
}

#[test]
fn a_policy_that_is_served_in_part_is_a_warning() {
    assert_eq!(warnings("ELBSecurityPolicy-TLS13-1-2-Res-2021-06"), [""; 0]);
    let api_default = warnings("ELBSecurityPolicy-2016-08");
    assert_eq!(api_default.len(), 1);
    assert!(
        api_default[0].contains("TLS 1.1 and older, CBC cipher suites and RSA key exchange"),
        "{api_default:?}"
    );
}

#[test]
fn a_name_that_is_no_policy_is_an_error() {
    let text = "[[target_group]]\nname = 'app'\nport = 1\ntargets = ['10.0.0.1']\n[[listener]]\nport = 443\n\
                protocol = 'HTTPS'\nssl_policy = 'ELBSecurityPolicy-2099-01'\n\
                default_action = { type = 'forward', target_group = 'app' }\n";
    let errors: Vec<String> = config::parse(text, Path::new("f.toml"))
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        errors.iter().any(|line| line.starts_with(
            "f.toml:8:14: error: listener[0].ssl_policy: `ELBSecurityPolicy-2099-01` is not a security policy; "
        )),
        "{errors:#?}"
    );
}

/// Which certificate a new connection is shown.
fn shown(proxy: &Proxy) -> CertificateDer<'static> {
    let client = proxy.connect_tls();
    let session = client.into_stream().conn;
    session.peer_certificates().unwrap()[0].clone()
}

#[test]
fn certificate_files_that_change_are_taken_over_and_bad_ones_are_not() {
    let target = Target::saying("well");
    let proxy = Setup::to([target.address]).https().start();
    let series = format!(
        "certificate_expiry_timestamp_seconds{{listener=\"{}\"}}",
        proxy.port()
    );
    let directory = proxy.path("");
    let (first, expiry) = (shown(&proxy), proxy.metric(&series));
    assert!(expiry > 0);
    let mut old = proxy.connect_tls();
    assert_eq!(old.get("/").status(), 200);

    // Half of a change, and then nonsense: the pair before stays.
    write_certificate(&directory, "new", &SITE);
    std::fs::copy(directory.join("new.pem"), directory.join("site.pem")).unwrap();
    let refused = "certificate_reload_count_total{result=\"refused\"}";
    proxy.wait_for_metric(refused, 1);
    assert_eq!(shown(&proxy), first);
    assert_eq!(proxy.metric(&series), expiry);

    std::fs::copy(directory.join("new.key"), directory.join("site.key")).unwrap();
    until("another certificate", || shown(&proxy) != first);
    let second = shown(&proxy);
    std::fs::remove_file(directory.join("site.pem")).unwrap();
    proxy.wait_for_metric(refused, 2);
    assert_eq!(shown(&proxy), second);
    assert_eq!(old.get("/").status(), 200, "connections go on");

    // Nor does what has expired take the place of what has not.
    let expired = Identity::of_authority(|params| params.not_after = date_time_ymd(2024, 1, 1));
    expired.write(&directory, "site");
    proxy.wait_for_metric(refused, 3);
    assert_eq!(shown(&proxy), second);
}

#[test]
fn a_certificate_that_expires_is_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let found = |days: i64| {
        let soon = std::time::SystemTime::now() + Duration::from_secs(3600);
        let apart = Duration::from_secs(24 * 3600 * days.unsigned_abs());
        let expires = if days < 0 { soon - apart } else { soon + apart };
        let identity = Identity::of_authority(|params| params.not_after = expires.into());
        identity.write(directory.path(), "site");
        let text = "[[target_group]]\nname = 'app'\nport = 1\ntargets = ['10.0.0.1']\n[[listener]]\nport = 443\n\
                    protocol = 'HTTPS'\ncertificate = { chain = 'site.pem', key = 'site.key' }\n\
                    default_action = { type = 'forward', target_group = 'app' }\n";
        let loaded = config::parse(text, &directory.path().join("f.toml")).unwrap();
        loaded
            .warnings
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let place = format!(
        "{}/f.toml:8:25: warning: listener[0].certificate.chain",
        directory.path().display()
    );
    assert_eq!(found(31), [""; 0]);
    assert_eq!(
        found(29),
        [format!(
            "{place}: expires in 29 days; renew the certificate"
        )]
    );
    assert_eq!(
        found(0),
        [format!("{place}: expires in 0 days; renew the certificate")]
    );
    assert_eq!(
        found(-1),
        [format!(
            "{place}: has expired; clients that look will not connect; renew the certificate"
        )]
    );
}

/// A client that remembers sessions: whether it could go on with one.
fn resumes(proxy: &Proxy, config: &Arc<ClientConfig>) -> bool {
    let name = ServerName::try_from("example.com").unwrap();
    let session = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut client = Wire::new(StreamOwned::new(session, proxy.stream()));
    assert_eq!(client.get("/").status(), 200);
    client.into_stream().conn.handshake_kind() == Some(HandshakeKind::Resumed)
}

#[test]
fn a_fleet_that_shares_secrets_resumes_each_others_sessions() {
    let target = Target::saying("well");
    let directory = tempfile::tempdir().unwrap();
    let secret = |name: &str| {
        let path = directory.path().join(name).display().to_string();
        std::fs::write(&path, name.repeat(40)).unwrap();
        path
    };
    let (old, new, other) = (secret("old"), secret("new"), secret("other"));
    let node = |files: &str| {
        Setup::to([target.address])
            .https()
            .with(&format!("secret_key_files = [{files}]"))
    };
    let config = client_config(&["http/1.1"]);
    let first = node(&format!("'{old}'")).start();
    assert!(!resumes(&first, &config));
    assert!(resumes(&first, &config));
    let second = node(&format!("'{new}', '{old}'")).start();
    assert!(
        resumes(&second, &config),
        "sealed with a secret that is still known"
    );
    assert!(resumes(&second, &config), "sealed with the new one");
    let stranger = node(&format!("'{other}'")).start();
    assert!(!resumes(&stranger, &config));
    assert!(resumes(&stranger, &config));
    let alone = Setup::to([target.address]).https().start();
    assert!(!resumes(&alone, &config));

    // A reload with other secrets counts for tickets too.
    let config = client_config(&["http/1.1"]);
    assert!(!resumes(&first, &config));
    first.reload(&node(&format!("'{other}'"))).unwrap();
    assert!(!resumes(&first, &config));
    assert!(resumes(&stranger, &config));
}
