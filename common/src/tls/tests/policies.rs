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
    assert!(SslPolicy::by_name("ELBSecurityPolicy-2016").is_none());
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

/// AWS's own list: the versions of TLS, how many cipher suites of those that are published can be served, and the first.
#[test]
fn every_policy_of_the_alb_is_served_by_its_name() {
    let (new, both, old) = ("1.3", "1.3 1.2", "1.2");
    let (tls13, tls12, strong) = (
        "TLS_AES_128_GCM_SHA256",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "TLS_AES_256_GCM_SHA384",
    );
    let policies = [
        ("TLS13-1-3-2021-06", new, 3, tls13),
        ("TLS13-1-3-PQ-2025-09", new, 3, tls13),
        ("TLS13-1-2-Res-2021-06", both, 7, tls13),
        ("TLS13-1-2-Res-PQ-2025-09", both, 7, tls13),
        ("TLS13-1-2-2021-06", both, 7, tls13),
        ("TLS13-1-2-PQ-2025-09", both, 7, tls13),
        ("TLS13-1-2-Ext1-2021-06", both, 7, tls13),
        ("TLS13-1-2-Ext1-PQ-2025-09", both, 7, tls13),
        ("TLS13-1-2-Ext2-2021-06", both, 7, tls13),
        ("TLS13-1-2-Ext2-PQ-2025-09", both, 7, tls13),
        ("TLS13-1-1-2021-06", both, 7, tls13),
        ("TLS13-1-0-2021-06", both, 7, tls13),
        ("TLS13-1-0-PQ-2025-09", both, 7, tls13),
        ("TLS-1-2-Ext-2018-06", old, 4, tls12),
        ("TLS-1-2-2017-01", old, 4, tls12),
        ("TLS-1-1-2017-01", old, 4, tls12),
        ("2016-08", old, 4, tls12),
        ("2015-05", old, 4, tls12),
        ("TLS-1-0-2015-04", old, 4, tls12),
        ("FS-1-2-Res-2020-10", old, 4, tls12),
        ("FS-1-2-Res-2019-08", old, 4, tls12),
        ("FS-1-2-2019-08", old, 4, tls12),
        ("FS-1-1-2019-08", old, 4, tls12),
        ("FS-2018-06", old, 4, tls12),
        ("TLS13-1-3-FIPS-2023-04", new, 2, tls13),
        ("TLS13-1-3-FIPS-PQ-2025-09", new, 2, tls13),
        ("TLS13-1-2-Res-FIPS-2023-04", both, 6, tls13),
        ("TLS13-1-2-Res-FIPS-PQ-2025-09", both, 6, tls13),
        ("TLS13-1-2-FIPS-2023-04", both, 6, tls13),
        ("TLS13-1-2-FIPS-PQ-2025-09", both, 6, tls13),
        ("TLS13-1-2-Ext0-FIPS-2023-04", both, 6, tls13),
        ("TLS13-1-2-Ext0-FIPS-PQ-2025-09", both, 6, tls13),
        ("TLS13-1-2-Ext1-FIPS-2023-04", both, 6, tls13),
        ("TLS13-1-2-Ext1-FIPS-PQ-2025-09", both, 6, tls13),
        ("TLS13-1-2-Ext2-FIPS-2023-04", both, 6, tls13),
        ("TLS13-1-2-Ext2-FIPS-PQ-2025-09", both, 6, tls13),
        ("TLS13-1-1-FIPS-2023-04", both, 6, tls13),
        ("TLS13-1-0-FIPS-2023-04", both, 6, tls13),
        ("TLS13-1-0-FIPS-PQ-2025-09", both, 6, tls13),
        ("TLS13-1-3-RFC9151-FIPS-2023-07", new, 1, strong),
        ("TLS13-1-2-RFC9151-FIPS-2023-07", both, 3, strong),
        ("TLS13-1-2-Ext0-RFC9151-FIPS-2023-07", both, 3, strong),
        ("TLS13-1-2-RFC9151-INTEROP1-FIPS-2023-07", both, 6, strong),
        ("TLS13-1-2-RFC9151-INTEROP2-FIPS-2023-07", both, 6, strong),
        ("TLS13-1-2-RFC9151-INTEROP3-FIPS-2023-07", both, 6, strong),
        ("TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07", both, 6, strong),
    ];
    for (name, versions, suites, first) in policies {
        let policy = SslPolicy::by_name(&format!("ELBSecurityPolicy-{name}"));
        let policy = policy.unwrap_or_else(|| panic!("{name} is unknown"));
        let served = policy.versions().iter().map(|served| {
            let name = protocol_name(served.version);
            name.trim_start_matches("TLSv")
        });
        assert_eq!(served.collect::<Vec<_>>().join(" "), versions, "{name}");
        let provider = policy.provider(&provider());
        let of = |suite: &SupportedCipherSuite| openssl_cipher_name(suite.suite());
        let named: Vec<&str> = provider.cipher_suites.iter().map(of).collect();
        assert_eq!((named.len(), named[0]), (suites, first), "{name}");
        let hybrid = provider.kx_groups[0].name() == NamedGroup::X25519MLKEM768;
        assert_eq!(hybrid, name.contains("PQ"), "{name}");
    }
    assert_eq!(SslPolicy::names().count(), policies.len());
}

/// Names from AWS's own list, with what of them cannot be served.
#[test]
fn what_is_left_out_is_said() {
    let left_out = |name: &str| {
        let policy = SslPolicy::by_name(&format!("ELBSecurityPolicy-{name}"));
        policy
            .unwrap_or_else(|| panic!("{name} is unknown"))
            .left_out()
    };
    for exact in [
        "TLS13-1-3-2021-06",
        "TLS13-1-3-PQ-2025-09",
        "TLS13-1-2-Res-2021-06",
        "TLS13-1-2-Res-PQ-2025-09",
        "FS-1-2-Res-2020-10",
    ] {
        assert_eq!(left_out(exact), None, "{exact}");
    }
    for (name, part) in [
        ("2016-08", "TLS 1.1 and older"),
        ("2015-05", "TLS 1.1 and older"),
        ("TLS-1-0-2015-04", "3DES"),
        ("TLS-1-1-2017-01", "TLS 1.1 and older"),
        ("TLS-1-2-2017-01", "RSA key exchange"),
        ("TLS-1-2-Ext-2018-06", "RSA key exchange"),
        ("FS-2018-06", "TLS 1.1 and older"),
        ("FS-1-1-2019-08", "TLS 1.1 and older"),
        ("FS-1-2-2019-08", "CBC"),
        ("FS-1-2-Res-2019-08", "CBC"),
        ("TLS13-1-2-2021-06", "CBC"),
        ("TLS13-1-2-Ext1-PQ-2025-09", "RSA key exchange"),
        ("TLS13-1-0-PQ-2025-09", "TLS 1.1 and older"),
        ("TLS13-1-1-2021-06", "TLS 1.1 and older"),
        ("TLS13-1-2-Res-FIPS-2023-04", "FIPS 140"),
        ("TLS13-1-0-FIPS-PQ-2025-09", "TLS 1.1 and older"),
        ("TLS13-1-2-Ext0-RFC9151-FIPS-2023-07", "RSA key exchange"),
        (
            "TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07",
            "RSA key exchange",
        ),
    ] {
        assert!(left_out(name).unwrap().contains(part), "{name}");
    }
    // No twins of these.
    for name in ["TLS13-1-1-PQ-2025-09", "TLS13-1-1-FIPS-PQ-2025-09"] {
        assert!(SslPolicy::by_name(&format!("ELBSecurityPolicy-{name}")).is_none());
    }
}

#[test]
fn policies_of_fips_have_no_chacha20_and_those_of_rfc_9151_begin_with_aes_256() {
    for name in SslPolicy::names().filter(|name| name.contains("FIPS")) {
        let suites = SslPolicy::by_name(name)
            .unwrap()
            .provider(&provider())
            .cipher_suites;
        let named = |part: &str| {
            suites
                .iter()
                .any(|suite| openssl_cipher_name(suite.suite()).contains(part))
        };
        assert!(!named("CHACHA20"), "{name}");
        if name.contains("RFC9151") {
            assert_eq!(
                openssl_cipher_name(suites[0].suite()),
                "TLS_AES_256_GCM_SHA384",
                "{name}"
            );
            assert_eq!(
                named("AES128") || named("AES_128"),
                name.contains("INTEROP"),
                "{name}"
            );
        }
    }
}
