//! What the policies allow, by name.

use super::*;

#[test]
fn policies_decide_version_suite_and_group() {
    let certified = ecdsa(&["shop.test"]);
    let connect =
        |policy, client: Client| client.connect(&server(&[&certified], policy, true), "shop.test");
    let tls12 = || Client {
        versions: vec![&TLS12],
        ..Client::default()
    };
    let tls13 = || Client {
        versions: vec![&TLS13],
        ..Client::default()
    };

    let modern = connect(DEFAULT, Client::default()).unwrap();
    assert_eq!(
        (modern.version, modern.suite),
        ("TLSv1.3", "TLS_AES_128_GCM_SHA256")
    );
    assert_eq!(modern.group, Some(NamedGroup::X25519MLKEM768));
    let classic = connect("ELBSecurityPolicy-TLS13-1-2-Res-2021-06", Client::default()).unwrap();
    assert_eq!(classic.group, Some(NamedGroup::X25519));

    let older = connect(DEFAULT, tls12()).unwrap();
    assert_eq!(
        (older.version, older.suite),
        ("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256")
    );
    assert_eq!(
        connect(TLS12_POLICY, Client::default()).unwrap().version,
        "TLSv1.2"
    );
    assert!(connect(TLS12_POLICY, tls13()).is_err());
    assert!(connect(TLS13_POLICY, tls12()).is_err());
    assert_eq!(
        connect(TLS13_POLICY, Client::default()).unwrap().version,
        "TLSv1.3"
    );

    let chacha = vec![cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256];
    assert!(
        connect(
            DEFAULT,
            Client {
                suites: chacha,
                ..tls12()
            }
        )
        .is_err(),
        "no ChaCha20 in TLS 1.2"
    );
}

#[test]
fn the_servers_order_of_suites_counts() {
    let certified = ecdsa(&["shop.test"]);
    let suites = vec![
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS13_AES_128_GCM_SHA256,
    ];
    let client = Client {
        suites,
        versions: vec![&TLS13],
        ..Client::default()
    };
    let agreed = client
        .connect(&server(&[&certified], DEFAULT, true), "shop.test")
        .unwrap();
    assert_eq!(agreed.suite, "TLS_AES_128_GCM_SHA256");
}

#[test]
fn every_policy_makes_a_configuration_and_names_its_suites() {
    let certified = ecdsa(&["shop.test"]);
    assert!(SslPolicy::by_name(SslPolicy::DEFAULT).is_some());
    assert!(SslPolicy::by_name("ELBSecurityPolicy-2016-08").is_none());
    for name in SslPolicy::names() {
        assert!(name.starts_with("ELBSecurityPolicy-"), "{name}");
        let config = server(&[&certified], name, true);
        for suite in &config.crypto_provider().cipher_suites {
            assert_ne!(openssl_cipher_name(suite.suite()), "-", "{suite:?}");
        }
        assert_ne!(
            Client::default()
                .connect(&config, "shop.test")
                .unwrap()
                .version,
            "-"
        );
    }
}
