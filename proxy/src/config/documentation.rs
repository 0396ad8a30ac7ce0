//! Checks that `docs/configuration.md` names the keys that the code asks for, and the ones that are not supported yet.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use lintel_common::config_file;

use super::build;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");

/// A file with every table in it, so that every key is asked for. Whether its values are right does not matter.
const EVERY_TABLE: &str = r#"
[load_balancer]
access_logs = {}
connection_logs = {}
health_check_logs = {}
quotas = {}
[[target_group]]
tls = {}
targets = [{}]
discovery = {}
stickiness = {}
health_check = {}
target_group_health = { unhealthy_state_routing = {} }
[[listener]]
protocol = "HTTPS"
certificate = {}
additional_certificates = [{}]
mutual_authentication = { mode = "verify" }
default_action = {}
[[listener.rule]]
condition = [{ path_pattern = {}, host_header = {}, http_header = {}, query_string = [{}] }]
transform = [{ type = "url-rewrite", rewrite = [{}] }]
action = { type = "forward", target_group = [{}], stickiness = {} }
[[listener.rule]]
action = { type = "redirect" }
[[listener.rule]]
action = { type = "fixed-response" }
"#;

/// A key of which something is not supported yet, and what asks for it. The first part of the key says which table the
/// text belongs to.
const REFUSED: &[(&str, &str)] = &[
    (
        "load_balancer.enable_cross_zone_load_balancing",
        "enable_cross_zone_load_balancing = false",
    ),
    (
        "load_balancer.enable_deletion_protection",
        "enable_deletion_protection = true",
    ),
    (
        "load_balancer.enable_waf_fail_open",
        "enable_waf_fail_open = true",
    ),
    (
        "load_balancer.enable_zonal_shift",
        "enable_zonal_shift = true",
    ),
    (
        "load_balancer.access_logs.bucket",
        "access_logs = { path = '-', bucket = 'b' }",
    ),
    (
        "load_balancer.access_logs.prefix",
        "access_logs = { path = '-', prefix = 'b' }",
    ),
    (
        "load_balancer.connection_logs.bucket",
        "connection_logs = { path = '-', bucket = 'b' }",
    ),
    (
        "load_balancer.connection_logs.prefix",
        "connection_logs = { path = '-', prefix = 'b' }",
    ),
    (
        "load_balancer.health_check_logs.bucket",
        "health_check_logs = { path = '-', bucket = 'b' }",
    ),
    (
        "load_balancer.health_check_logs.prefix",
        "health_check_logs = { path = '-', prefix = 'b' }",
    ),
    (
        "target_group.lambda_multi_value_headers_enabled",
        "lambda_multi_value_headers_enabled = true",
    ),
    (
        "target_group.target_control_port",
        "target_control_port = 1",
    ),
    (
        "target_group.discovery.auto_scaling_group",
        "discovery = { auto_scaling_group = 'web' }",
    ),
    (
        "target_group.discovery.region",
        "discovery = { dns = 'app', region = 'us-east-1' }",
    ),
    ("target_group.target_type", "target_type = 'lambda'"),
    (
        "listener.rule.action.type",
        "rule = [{ action = { type = 'authenticate-oidc', authenticate_oidc = {} } }]",
    ),
];

/// The keys in the first column of the document's tables whose row holds `text`.
fn documented(text: &str) -> BTreeSet<String> {
    let document = fs::read_to_string(DOCUMENT).expect("the reference lies in docs/");
    document
        .lines()
        .filter(|line| line.contains(text))
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(key, _)| key.to_owned())
        .collect()
}

#[test]
fn every_key_is_documented_and_nothing_else() {
    let outcome = config_file::read(EVERY_TABLE, Path::new("f.toml"), |root| {
        build::model(root, Path::new(""))
    });
    let asked_for: BTreeSet<String> = outcome
        .keys
        .into_iter()
        .filter(|key| key.contains('.') && !key.starts_with("listener.default_action."))
        .collect();
    assert_eq!(documented(""), asked_for);
}

#[test]
fn what_is_not_supported_yet_is_documented_and_refused_by_name() {
    let refused: BTreeSet<String> = REFUSED.iter().map(|(key, _)| (*key).to_owned()).collect();
    for (key, text) in REFUSED {
        assert_refused(key, text);
    }
    assert_eq!(documented("not supported yet"), refused);
}

fn assert_refused(key: &str, text: &str) {
    let (table, _) = key.split_once('.').expect("a dotted key");
    let text = match table {
        "load_balancer" => format!("[load_balancer]\n{text}"),
        table => format!("[[{table}]]\n{text}"),
    };
    let outcome = config_file::read(&text, Path::new("f.toml"), |root| {
        build::model(root, Path::new(""))
    });
    let without_indices = |key: &str| key.replace("[0]", "");
    let found = outcome.diagnostics.iter().any(|diagnostic| {
        without_indices(&diagnostic.key) == key
            && diagnostic.message.contains("is not supported yet; ")
    });
    assert!(found, "{key} is not refused: {:#?}", outcome.diagnostics);
}
