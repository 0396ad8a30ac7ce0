//! What an ALB does with TLS towards clients, beyond what the handshakes themselves show.

use std::path::Path;

use lintel_proxy::config;

use super::harness::{Setup, Target};

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
    super::harness::tls::write_certificates(directory.path());
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
