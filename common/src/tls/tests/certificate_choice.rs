//! Which of several certificates a client gets.

use super::*;

#[test]
fn the_name_chooses_the_certificate() {
    let default = ecdsa(&["default.test", "only-in-default.test"]);
    let shop = ecdsa(&["Shop.test", "www.shop.test"]);
    let wildcard = ecdsa(&["*.example.test"]);
    let config = server(&[&default, &shop, &wildcard], DEFAULT, true);
    let cases = [
        ("shop.test", &shop),
        ("WWW.Shop.Test", &shop),
        ("a.example.test", &wildcard),
        ("example.test", &default),     // the apex is not covered
        ("a.b.example.test", &default), // one label only
        ("other.test", &default),
        ("192.0.2.1", &default), // an address is not sent as a name
        ("only-in-default.test", &default),
    ];
    for (name, expected) in cases {
        let leaf = Client::default().connect(&config, name).unwrap().leaf;
        assert_eq!(leaf, expected.cert[0], "{name}");
    }
}

#[test]
fn without_alternative_names_the_common_name_counts() {
    let default = ecdsa(&["default.test"]);
    let common = |name: &'static str| {
        move |params: &mut CertificateParams| {
            let subject = &mut params.distinguished_name;
            subject.push(rcgen::DnType::CommonName, name);
        }
    };
    let old = certificate(Key::Ecdsa, &[], common("Old.test"));
    let new = certificate(Key::Ecdsa, &["new.test"], common("forgotten.test"));
    let config = server(&[&default, &old, &new], DEFAULT, true);
    for (name, expected) in [
        ("old.test", &old),
        ("new.test", &new),
        ("forgotten.test", &default),
    ] {
        let leaf = Client::default().connect(&config, name).unwrap().leaf;
        assert_eq!(leaf, expected.cert[0], "{name}");
    }
}

#[test]
fn the_default_takes_no_part_in_the_choice_by_name() {
    let default = ecdsa(&["shop.test"]);
    let rsa = certificate(Key::Rsa, &["*.test"], |_| ());
    let config = server(&[&default, &rsa], DEFAULT, true);
    assert_eq!(
        Client::default()
            .connect(&config, "shop.test")
            .unwrap()
            .leaf,
        rsa.cert[0]
    );
}

#[test]
fn of_several_matches_ecdsa_wins_unless_the_client_cannot() {
    let default = ecdsa(&["default.test"]);
    let rsa = certificate(Key::Rsa, &["shop.test"], |_| ());
    let ecdsa_wildcard = ecdsa(&["*.test"]);
    let config = server(&[&default, &rsa, &ecdsa_wildcard], DEFAULT, true);
    let leaf = |client: Client| client.connect(&config, "shop.test").unwrap().leaf;

    assert_eq!(leaf(Client::default()), ecdsa_wildcard.cert[0]);
    assert_eq!(
        leaf(Client {
            schemes: rsa_schemes(),
            ..Client::default()
        }),
        rsa.cert[0]
    );
    // In TLS 1.2 a client may know the signature but have no suite for it.
    let suites = vec![cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    assert_eq!(
        leaf(Client {
            suites,
            versions: vec![&TLS12],
            ..Client::default()
        }),
        rsa.cert[0]
    );
}

#[test]
fn of_several_matches_one_in_force_wins_over_an_expired_one_of_the_same_kind() {
    let default = ecdsa(&["default.test"]);
    // Longer validity ranks first, so that only the expiry can put it last.
    let old = certificate(Key::Ecdsa, &["shop.test"], |params| {
        params.not_before = rcgen::date_time_ymd(1950, 1, 1);
        expired(params);
    });
    let new = certificate(Key::Ecdsa, &["shop.test"], |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    });
    new_wins_in_any_order(&default, &old, &new);

    let rsa = certificate(Key::Rsa, &["shop.test"], |_| ());
    let config = server(&[&default, &rsa, &old], DEFAULT, true);
    let leaf = Client::default()
        .connect(&config, "shop.test")
        .unwrap()
        .leaf;
    assert_eq!(leaf, old.cert[0], "the algorithm ranks before the expiry");
}

fn new_wins_in_any_order(default: &CertifiedKey, old: &CertifiedKey, new: &CertifiedKey) {
    for certificates in [[default, old, new], [default, new, old]] {
        let config = server(&certificates, DEFAULT, true);
        assert_eq!(
            Client::default()
                .connect(&config, "shop.test")
                .unwrap()
                .leaf,
            new.cert[0]
        );
    }
}

#[test]
fn an_expired_certificate_is_served_when_nothing_better_matches() {
    let default = ecdsa(&["default.test"]);
    let old = certificate(Key::Ecdsa, &["shop.test"], expired);
    let config = server(&[&default, &old], DEFAULT, true);
    assert_eq!(
        Client::default()
            .connect(&config, "shop.test")
            .unwrap()
            .leaf,
        old.cert[0]
    );
}
