//! One table a kind of table: what is written, and the line that refuses it.

use std::fs;

use lintel_proxy::config;

use super::{SMALLEST, directory_with_certificates, findings};

/// Each text is refused with exactly the one line.
#[track_caller]
pub(super) fn refused(text: &str, line: &str) {
    assert_eq!(findings(text), [line], "for:\n{text}");
}

const LOAD_BALANCER: &[(&str, &str)] = &[
    (
        "name = 'a_b'",
        "1:8: error: load_balancer.name: `a_b` is not a name; write 1 to 32 letters, digits and hyphens, no hyphen at either end",
    ),
    (
        "name = 'internal-a'",
        "1:8: error: load_balancer.name: begins with `internal-`; choose another beginning, as the ALB demands",
    ),
    (
        "workers = 5000",
        "1:11: error: load_balancer.workers: `5000` is out of range; write 0 to 1024",
    ),
    (
        "admin = 'localhost:9900'",
        "1:9: error: load_balancer.admin: `localhost:9900` is not an address with a port; write an address such as \"127.0.0.1:9900\" or \"off\"",
    ),
    (
        "admin = '0.0.0.0:9900'",
        "1:9: error: load_balancer.admin: `0.0.0.0:9900` can be reached from other machines and asks for no token; set admin_token_file, or listen on 127.0.0.1",
    ),
    (
        "admin_token_file = '/none'",
        "1:20: error: load_balancer.admin_token_file: /none cannot be read: No such file or directory (os error 2); name a file that exists and that this user may read",
    ),
    (
        "admin_token_file = '/dev/null'",
        "1:20: error: load_balancer.admin_token_file: /dev/null is empty; write a long random token into it",
    ),
    (
        "connect_timeout = 0",
        "1:19: error: load_balancer.connect_timeout: `0` is out of range; write 0.001 to 4000 seconds",
    ),
    (
        "idle_timeout = 4001",
        "1:16: error: load_balancer.idle_timeout: `4001` is out of range; write 1 to 4000 seconds",
    ),
    (
        "idle_timeout = nan",
        "1:16: error: load_balancer.idle_timeout: `nan` is not a finite number; write a number such as 1.5",
    ),
    (
        "client_keep_alive = 1e300",
        "1:21: error: load_balancer.client_keep_alive: `1e300` is out of range; write 60 to 604800 seconds",
    ),
    (
        "shutdown_timeout = '30'",
        "1:20: error: load_balancer.shutdown_timeout: is a string; write a number, without quotes",
    ),
    (
        "enable_http2 = 1",
        "1:16: error: load_balancer.enable_http2: is a whole number; write true or false",
    ),
    (
        "access_logs = '-'",
        "1:15: error: load_balancer.access_logs: is a string; write a table, in { } or under a [header]",
    ),
    (
        "access_logs = {}",
        "1:15: error: load_balancer.access_logs.path: is missing; add `path = \"-\"`",
    ),
    (
        "access_logs = { path = '/none/a.log' }",
        "1:24: error: load_balancer.access_logs.path: there is no directory /none; make it first, or write \"-\" for standard output",
    ),
    (
        "access_logs = { path = '/' }",
        "1:24: error: load_balancer.access_logs.path: / is a directory; write the path of a file, or \"-\" for standard output",
    ),
    (
        "connection_logs = { path = '/tmp/' }",
        "1:28: error: load_balancer.connection_logs.path: /tmp/ is a directory; write the path of a file, or \"-\" for standard output",
    ),
    (
        "access_logs = { path = '-', format = 'xml' }",
        "1:38: error: load_balancer.access_logs.format: `xml` is not known here; write \"json\" or \"alb\"",
    ),
    (
        "desync_mitigation_mode = 'lax'",
        "1:26: error: load_balancer.desync_mitigation_mode: `lax` is not known here; write \"defensive\" or \"monitor\" or \"strictest\"",
    ),
];

#[test]
fn load_balancer() {
    for (text, line) in LOAD_BALANCER {
        // On the first line, as a dotted key: [load_balancer] needs no header then.
        let at = line
            .split_once(':')
            .and_then(|(_, rest)| rest.split_once(':'))
            .expect("a place");
        let column: usize = at.0.parse::<usize>().expect("a column") + "load_balancer.".len();
        refused(
            &format!("load_balancer.{text}\n{SMALLEST}"),
            &format!("f.toml:1:{column}:{}", at.1),
        );
    }
}

#[test]
fn target_group() {
    const NOT_AN_ADDRESS: &str = "write an address such as \"10.0.3.11:8000\"";
    let names = format!("{NOT_AN_ADDRESS} (names are found by discovery = {{ dns = \"...\" }})");
    let cases = [
        ("targets = ['10.0.0.300']", format!("4:12: error: target_group[0].targets[0]: `10.0.0.300` is not an IP address; {names}")),
        ("targets = ['::1:x']", format!("4:12: error: target_group[0].targets[0]: `::1:x` is not an IP address; {names}")),
        ("targets = ['0.0.0.0']", format!("4:12: error: target_group[0].targets[0]: no target can have the address 0.0.0.0; {NOT_AN_ADDRESS}")),
        ("targets = ['10.0.0.1:0']", format!("4:12: error: target_group[0].targets[0]: no target can have the port 0; {NOT_AN_ADDRESS}")),
        ("targets = '10.0.0.1'", "4:11: error: target_group[0].targets: is a string; write a list, in [ ]".to_owned()),
        ("targets = [{ port = 1 }]", "4:12: error: target_group[0].targets[0].id: is missing; add `id = \"10.0.3.11\"`".to_owned()),
        ("targets = [{ id = '10.0.0.1:1' }]", "4:19: error: target_group[0].targets[0].id: `10.0.0.1:1` has a port; write it as a key of its own: port = 8000".to_owned()),
        ("targets = [{ id = '10.0.0.1', port = 65536 }]", "4:38: error: target_group[0].targets[0].port: `65536` is out of range; write 1 to 65535".to_owned()),
        ("discovery = { refresh = 1 }", "4:13: error: target_group[0].discovery.dns: is missing; add `dns = \"appserver\"`".to_owned()),
        ("discovery = { dns = 'app:8000' }", "4:21: error: target_group[0].discovery.dns: `app:8000` is not a host name; write a name such as \"appserver\", without a port".to_owned()),
        ("discovery = { auto_scaling_group = 'a' }", "4:36: error: target_group[0].discovery.auto_scaling_group: `auto_scaling_group` is not supported yet; leave it out".to_owned()),
        ("retry = 'always'\ntargets = []", "4:9: error: target_group[0].retry: `always` is not known here; write \"safe\" or \"none\"".to_owned()),
        ("protocol = 'TLS'\ntargets = []", "4:12: error: target_group[0].protocol: `TLS` is not known here; write \"HTTP\" or \"HTTPS\"".to_owned()),
        ("protocol = 'HTTPS'\ntls = { server_name = 'a' }\ntargets = []", "5:7: error: target_group[0].tls.ca: is missing; add `ca = \"ca.pem\"`".to_owned()),
        ("protocol = 'HTTPS'\ntls = { ca = '/nowhere/ca.pem' }\ntargets = []", "5:14: error: target_group[0].tls.ca: /nowhere/ca.pem cannot be read: No such file or directory (os error 2); name a file that exists and that this user may read".to_owned()),
        ("protocol = 'HTTPS'\ntls = { ca = '/dev/null' }\ntargets = []", "5:14: error: target_group[0].tls.ca: /dev/null holds no certificate; a PEM file with \"-----BEGIN CERTIFICATE-----\" of the issuing authority is needed".to_owned()),
        ("slow_start = 30\nload_balancing_algorithm_type = 'least_outstanding_requests'\ntargets = []", "4:14: error: target_group[0].slow_start: slow start works with round_robin only (InvalidConfigurationRequest); write 0, or load_balancing_algorithm_type = \"round_robin\"".to_owned()),
        ("slow_start = 30\nload_balancing_algorithm_type = 'weighted_random'\ntargets = []", "4:14: error: target_group[0].slow_start: slow start works with round_robin only (InvalidConfigurationRequest); write 0, or load_balancing_algorithm_type = \"round_robin\"".to_owned()),
        ("load_balancing_anomaly_mitigation = 'on'\ntargets = []", "4:37: error: target_group[0].load_balancing_anomaly_mitigation: anomaly mitigation changes the weights of weighted_random (InvalidConfigurationRequest); write \"off\", or load_balancing_algorithm_type = \"weighted_random\"".to_owned()),
        ("load_balancing_algorithm_type = 'random'\ntargets = []", "4:33: error: target_group[0].load_balancing_algorithm_type: `random` is not known here; write \"round_robin\" or \"least_outstanding_requests\" or \"weighted_random\"".to_owned()),
        ("load_balancing_cross_zone_enabled = 'false'\ntargets = []", "4:37: error: target_group[0].load_balancing_cross_zone_enabled: which zone this load balancer is in is not known; set load_balancer.availability_zone, such as \"us-east-1a\"".to_owned()),
        ("target_group_health = { dns_failover = { minimum_healthy_targets_count = '2' } }\ntargets = []", "4:40: error: target_group[0].target_group_health.dns_failover: names of nodes are not published here, so none can be taken out of DNS; leave it out; whatever publishes them can ask each node's /ready".to_owned()),
        ("target_group_health = { unhealthy_state_routing = { minimum_healthy_targets_count = 0 } }\ntargets = []", "4:85: error: target_group[0].target_group_health.unhealthy_state_routing.minimum_healthy_targets_count: `0` is out of range; write 1 to 1000".to_owned()),
        ("target_group_health = { unhealthy_state_routing = { minimum_healthy_targets_percentage = '101' } }\ntargets = []", "4:90: error: target_group[0].target_group_health.unhealthy_state_routing.minimum_healthy_targets_percentage: `101` is no percentage; write 1 to 100, or \"off\"".to_owned()),
        ("health_check = { path = 'health' }\ntargets = []", "4:25: error: target_group[0].health_check.path: `health` is not a path; write one that begins with / and is percent-encoded, such as \"/health\"".to_owned()),
        ("health_check = { port = 'traffic' }\ntargets = []", "4:25: error: target_group[0].health_check.port: `traffic` is not a port; write 1 to 65535 or \"traffic-port\"".to_owned()),
        ("health_check = { interval = 10, timeout = 11 }\ntargets = []", "4:43: error: target_group[0].health_check.timeout: `11` is longer than the interval; write at most 10 seconds, or a longer interval".to_owned()),
        ("health_check = { unhealthy_threshold = 0 }\ntargets = []", "4:40: error: target_group[0].health_check.unhealthy_threshold: `0` is out of range; write 1 to 10".to_owned()),
        ("health_check = { matcher = '200-599' }\ntargets = []", "4:28: error: target_group[0].health_check.matcher: `200-599` does not say which statuses are healthy; write statuses from 200 to 499, such as \"200\", \"200,302\" or \"200-399\"".to_owned()),
        ("health_check = { matcher = 200 }\ntargets = []", "4:28: error: target_group[0].health_check.matcher: is a whole number; write a string, in quotes".to_owned()),
        ("target_group_arn = 'x'\ntargets = []", "4:1: error: target_group[0].target_group_arn: unknown key; the keys here are ".to_owned()),
    ];
    for (text, line) in cases {
        let text = SMALLEST.replace("targets = ['10.0.0.1']", text);
        let found = findings(&text);
        assert_eq!(found.len(), 1, "{found:#?} for:\n{text}");
        let line = format!("f.toml:{line}");
        // The list of all keys is not repeated here.
        assert!(
            if line.ends_with("are ") {
                found[0].starts_with(&line)
            } else {
                found[0] == line
            },
            "{}\nnot\n{line}",
            found[0]
        );
    }
    let zoned = |line: &str| {
        let off = "load_balancing_cross_zone_enabled = 'false'";
        let lines = format!("{off}\n{line}");
        let group = SMALLEST.replace("targets = ['10.0.0.1']", &lines);
        format!("load_balancer.availability_zone = 'a'\n{group}")
    };
    let right = "write { id = \"10.0.3.11\", availability_zone = \"us-east-1a\" }";
    refused(
        &zoned("targets = ['10.0.0.1']"),
        &format!(
            "f.toml:6:12: error: target_group[0].targets[0]: has no zone, and gets no requests while cross-zone load balancing is off; {right}"
        ),
    );
    refused(
        &zoned("targets = [{ id = '10.0.0.1', availability_zone = 'all' }]"),
        &format!(
            "f.toml:6:12: error: target_group[0].targets[0]: is in all zones, which takes cross-zone load balancing; {right}"
        ),
    );
    refused(
        &zoned("discovery = { dns = 'app' }"),
        "f.toml:6:13: error: target_group[0].discovery: finds targets without a zone, which get no requests while cross-zone load balancing is off; \
         name the targets in `targets`, each with its availability_zone",
    );
    let twice = format!("[[target_group]]\nname = 'app'\nport = 1\ntargets = []\n{SMALLEST}");
    refused(
        &twice,
        "f.toml:5:1: error: target_group[1]: another target group is called `app`; give each target group a name of its own",
    );
}

const LISTENER: &[(&str, &str)] = &[
    (
        "",
        "1:1: error: listener: is missing; add a table [[listener]] with port and default_action",
    ),
    (
        "[[listener]]\nport = 80",
        "1:1: error: listener[0].default_action: is missing; add `default_action = { type = \"forward\", target_group = \"app\" }`",
    ),
    (
        "[[listener]]\nACTION",
        "1:1: error: listener[0].port: is missing; add `port = 80`",
    ),
    (
        "[[listener]]\nport = 65536\nACTION",
        "2:8: error: listener[0].port: `65536` is out of range; write 0 to 65535",
    ),
    (
        "[[listener]]\nport = 80\naddress = ['::', '0.0.0.0:80']\nACTION",
        "3:18: error: listener[0].address[1]: `0.0.0.0:80` is not an IP address; write one such as \"0.0.0.0\" or \"::\", without a port",
    ),
    (
        "[[listener]]\nport = 80\naddress = ['::', '::']\nACTION",
        "3:18: error: listener[0].address[1]: `::` is named twice; leave it out here",
    ),
    (
        "[[listener]]\nport = 80\naddress = []\nACTION",
        "3:11: error: listener[0].address: is empty; write at least one address, or leave it out for \"0.0.0.0\"",
    ),
    (
        "[[listener]]\nport = 80\nACTION\n[[listener]]\nport = 80\naddress = ['::', '0.0.0.0']\nACTION",
        "5:8: error: listener[1].port: listener[0] has 0.0.0.0:80 already; choose another port or address",
    ),
    (
        "[[listener]]\nport = 9900\naddress = '127.0.0.1'\nACTION",
        "2:8: error: listener[0].port: load_balancer.admin has 127.0.0.1:9900 already; choose another port or address",
    ),
    (
        "[[listener]]\nport = 9900\nACTION",
        "2:8: error: listener[0].port: load_balancer.admin has 127.0.0.1:9900 already; choose another port or address",
    ),
    (
        "load_balancer.admin = '[::1]:81'\n[[listener]]\nport = 81\naddress = ['::', '0.0.0.0', '127.0.0.1']\nACTION",
        "3:8: error: listener[0].port: load_balancer.admin has [::1]:81 already; choose another port or address",
    ),
    (
        "[[listener]]\nport = 80\nprotocol = 'TLS'\nACTION",
        "3:12: error: listener[0].protocol: `TLS` is not known here; write \"HTTP\" or \"HTTPS\"",
    ),
    (
        "[[listener]]\nport = 80\nprotocol = 'HTTPS'\nACTION",
        "1:1: error: listener[0].certificate: is missing; add `certificate = { chain = \"site.pem\", key = \"site.key\" }`",
    ),
    (
        "[[listener]]\nport = 80\nssl_policy = 'x'\nACTION",
        "3:14: error: listener[0].ssl_policy: belongs to an HTTPS listener; set protocol = \"HTTPS\", or leave it out",
    ),
    (
        "[[listener]]\nport = 80\nrouting_http_response_strict_transport_security_header_value = 'max-age=1'\nACTION",
        "3:64: error: listener[0].routing_http_response_strict_transport_security_header_value: belongs to an HTTPS listener; set protocol = \"HTTPS\", or leave it out",
    ),
    (
        "[[listener]]\nport = 80\nrouting_http_request_x_amzn_tls_version_header_name = 'X-Tls'\nACTION",
        "3:55: error: listener[0].routing_http_request_x_amzn_tls_version_header_name: belongs to an HTTPS listener; set protocol = \"HTTPS\", or leave it out",
    ),
    (
        "[[listener]]\nport = 80\nrouting_http_response_x_frame_options_header_value = 'a\"b'\nACTION",
        "3:54: error: listener[0].routing_http_response_x_frame_options_header_value: `\\\"` is not taken there; write letters, digits, spaces and _ : ; . , \\ / ' ? ! ( ) { } [ ] @ < > = - + * # & ` | ~ ^ %",
    ),
    (
        "[[listener]]\nport = 80\nrouting_http_response_x_frame_options_header_value = ' DENY'\nACTION",
        "3:54: error: listener[0].routing_http_response_x_frame_options_header_value: begins or ends with a space; leave that out",
    ),
];

#[test]
fn listener() {
    let action = "default_action = { type = 'fixed-response', status_code = '204' }";
    for (text, line) in LISTENER {
        refused(&text.replace("ACTION", action), &format!("f.toml:{line}"));
    }
    // Not beside 127.0.0.1: IPv6 has ports of its own.
    let beside_admin = format!("[[listener]]\nport = 9900\naddress = '::'\n{action}");
    assert_eq!(findings(&beside_admin), [""; 0]);
    let long = "x".repeat(1025);
    refused(
        &format!(
            "[[listener]]\nport = 80\nrouting_http_response_x_frame_options_header_value = '{long}'\n{action}"
        ),
        "f.toml:3:54: error: listener[0].routing_http_response_x_frame_options_header_value: is 1025 bytes long; write at most 1024",
    );
    let value = |value: &str| {
        findings(&format!(
            "[[listener]]\nport = 80\nrouting_http_response_x_frame_options_header_value = \"{value}\"\n{action}"
        ))
    };
    assert_eq!(value(&long[1..]), [""; 0]);
    for letter in ' '..='\u{7f}' {
        let taken =
            letter.is_ascii_alphanumeric() || " _:;.,\\/'?!(){}[]@<>=-+*#&`|~^%".contains(letter);
        let found = value(&format!("a\\u{:04x}b", u32::from(letter)));
        assert_eq!(found.is_empty(), taken, "{letter:?}: {found:?}");
    }
    let any_port = format!("[[listener]]\nport = 0\n{action}\n").repeat(3);
    assert_eq!(
        findings(&any_port),
        [""; 0],
        "port 0 is another port each time"
    );
}

#[test]
fn certificates() {
    let directory = directory_with_certificates();
    fs::write(directory.path().join("empty.pem"), "").expect("writable");
    let file = directory.path().join("f.toml");
    let at = |path: &str| directory.path().join(path).display().to_string();
    let cases = [
        (
            "certificate = { chain = 'certs/site.pem', key = 'certs/site.key' }\nrouting_http_request_x_amzn_tls_version_header_name = 'Host'",
            vec!["5:55: error: listener[0].routing_http_request_x_amzn_tls_version_header_name: `Host` means something else; choose a name that no other header has".to_owned()],
        ),
        (
            "certificate = { chain = 'certs/site.pem', key = 'certs/site.key' }\nrouting_http_request_x_amzn_tls_version_header_name = 'X A'",
            vec!["5:55: error: listener[0].routing_http_request_x_amzn_tls_version_header_name: `X A` is not the name of a header; write up to 128 letters, digits, hyphens and underscores, such as \"X-Tls-Version\"".to_owned()],
        ),
        (
            "certificate = { chain = 'certs/site.pem', key = 'certs/site.key' }\nrouting_http_request_x_amzn_tls_version_header_name = 'X-A'\nrouting_http_request_x_amzn_mtls_clientcert_leaf_header_name = 'x-a'",
            vec!["6:64: error: listener[0].routing_http_request_x_amzn_mtls_clientcert_leaf_header_name: `x-a` is the name of something else here; choose another one".to_owned()],
        ),
        (
            "certificate = { chain = 'certs/none.pem', key = 'certs' }",
            vec![
                format!("4:25: error: listener[0].certificate.chain: {} cannot be read: No such file or directory (os error 2); name a file that exists and that this user may read", at("certs/none.pem")),
                format!("4:49: error: listener[0].certificate.key: {} is a directory; name a file that exists and that this user may read", at("certs")),
            ],
        ),
        (
            "certificate = { chain = 'certs/site.pem', key = 'certs/other.key' }",
            vec![format!(
                "4:49: error: listener[0].certificate.key: the private key in {} does not belong to the first certificate in {}; name the key it was made with, and put the server's own certificate first in the chain",
                at("certs/other.key"),
                at("certs/site.pem")
            )],
        ),
        (
            "certificate = { chain = 'empty.pem', key = 'certs/site.key' }",
            vec![format!(
                "4:25: error: listener[0].certificate.chain: {} holds no certificate; a PEM file with \"-----BEGIN CERTIFICATE-----\" is needed, the server's own certificate first, then its issuers",
                at("empty.pem")
            )],
        ),
        (
            "certificate = { chain = 'certs/site.pem', key = 'certs/site.key' }\nadditional_certificates = [{ chain = 'certs/other.pem' }]",
            vec!["5:28: error: listener[0].additional_certificates[0].key: is missing; add `key = \"site.key\"`".to_owned()],
        ),
    ];
    for (text, lines) in cases {
        let text = format!(
            "[[listener]]\nport = 443\nprotocol = 'HTTPS'\n{text}\ndefault_action = {{ type = 'fixed-response', status_code = '204' }}\n"
        );
        let diagnostics = config::parse(&text, &file).expect_err("refused");
        let found: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
        let lines: Vec<String> = lines
            .iter()
            .map(|line| format!("{}:{line}", file.display()))
            .collect();
        assert_eq!(found, lines);
    }
}

const RULE: &[(&str, &str)] = &[
    (
        "priority = 1",
        "8:1: error: listener[0].rule[0].condition: is missing; add `condition = [{ path_pattern = [\"/api/*\"] }]`",
    ),
    (
        "condition = [{ path_pattern = ['/'] }]",
        "8:1: error: listener[0].rule[0].priority: is missing; add `priority = 10`",
    ),
    (
        "priority = 0\ncondition = [{ path_pattern = ['/'] }]",
        "9:12: error: listener[0].rule[0].priority: `0` is out of range; write 1 to 50000",
    ),
    (
        "priority = 1\ncondition = []",
        "10:13: error: listener[0].rule[0].condition: holds no condition; write condition = [{ path_pattern = [\"/api/*\"] }]; what is for every request belongs in default_action",
    ),
    (
        "priority = 1\ncondition = [{}]",
        "10:14: error: listener[0].rule[0].condition[0]: is no condition; write one such as { path_pattern = [\"/api/*\"] }",
    ),
    (
        "priority = 1\ncondition = [{ path_pattern = ['/'], host_header = ['a.com'] }]",
        "10:14: error: listener[0].rule[0].condition[0]: is several conditions in one; give each a table of its own: all of them must hold",
    ),
    (
        "priority = 1\ncondition = [{ path_pattern = ['/a'] }, { path_pattern = ['/b'] }]",
        "10:58: error: listener[0].rule[0].condition[1].path_pattern: listener[0].rule[0].condition[0] is a path_pattern too; put all values into one condition: any of them may match",
    ),
    (
        "priority = 1\ncondition = [{ host_header = ['a.com'] }, { host_header = ['b.com'] }]",
        "10:59: error: listener[0].rule[0].condition[1].host_header: listener[0].rule[0].condition[0] is a host_header too; put all values into one condition: any of them may match",
    ),
    (
        "priority = 1\ncondition = [{ http_request_method = ['GET'] }, { http_request_method = ['PUT'] }]",
        "10:73: error: listener[0].rule[0].condition[1].http_request_method: listener[0].rule[0].condition[0] is a http_request_method too; put all values into one condition: any of them may match",
    ),
    (
        "priority = 1\ncondition = [{ path_pattern = [] }]",
        "10:31: error: listener[0].rule[0].condition[0].path_pattern: is empty, so it can never match; write at least one value",
    ),
    (
        "priority = 1\ncondition = [{ path_pattern = { values = [] } }]",
        "10:31: error: listener[0].rule[0].condition[0].path_pattern: is empty, so it can never match; write at least one value",
    ),
    (
        "priority = 1\ncondition = [{ path_pattern = '/a' }]",
        "10:31: error: listener[0].rule[0].condition[0].path_pattern: is a string; write a list, in [ ]",
    ),
    (
        "priority = 1\ncondition = [{ path_pattern = ['/a%20b'] }]",
        "10:32: error: listener[0].rule[0].condition[0].path_pattern[0]: `/a%20b` is not a pattern; write letters, digits and _-.$/~\"'@:+& with the wildcards * and ?",
    ),
    (
        "priority = 1\ncondition = [{ host_header = ['a.com:80'] }]",
        "10:31: error: listener[0].rule[0].condition[0].host_header[0]: `a.com:80` is not a pattern; write letters, digits, - and . with the wildcards * and ?, without a port",
    ),
    (
        "priority = 1\ncondition = [{ path_pattern = { regex_values = [] } }]",
        "10:31: error: listener[0].rule[0].condition[0].path_pattern: is empty, so it can never match; write at least one value",
    ),
    (
        "priority = 1\ncondition = [{ path_pattern = {} }]",
        "10:31: error: listener[0].rule[0].condition[0].path_pattern.values: is missing; add `values = [...]`",
    ),
    (
        "priority = 1\ncondition = [{ path_pattern = { regex_values = ['^/a++$'] } }]",
        "10:49: error: listener[0].rule[0].condition[0].path_pattern.regex_values[0]: `^/a++$` cannot be used as a regex: possessive quantifiers are not supported; write one in an ALB's dialect: no look-around, back-references, atomic groups, possessive quantifiers, \\p{..}",
    ),
    (
        "priority = 1\ncondition = [{ host_header = { values = ['a.com'], regex_values = ['(?=a)'] } }]",
        "10:68: error: listener[0].rule[0].condition[0].host_header.regex_values[0]: `(?=a)` cannot be used as a regex: look-around, including look-ahead and look-behind, is not supported; write one in an ALB's dialect: no look-around, back-references, atomic groups, possessive quantifiers, \\p{..}",
    ),
    (
        "priority = 1\ncondition = [{ host_header = ['a_b.com'] }]",
        "10:31: error: listener[0].rule[0].condition[0].host_header[0]: `a_b.com` is not a pattern; write letters, digits, - and . with the wildcards * and ?, without a port",
    ),
    (
        "priority = 1\ncondition = [{ http_header = { values = ['1'] } }]",
        "10:30: error: listener[0].rule[0].condition[0].http_header.name: is missing; add `name = \"X-Canary\"`",
    ),
    (
        "priority = 1\ncondition = [{ http_header = { name = 'X-A' } }]",
        "10:30: error: listener[0].rule[0].condition[0].http_header.values: is missing; add `values = [...]`",
    ),
    (
        "priority = 1\ncondition = [{ http_header = { name = 'X-*', values = ['1'] } }]",
        "10:39: error: listener[0].rule[0].condition[0].http_header.name: `X-*` is not the name of a header; write a name such as \"X-Canary\", without wildcards",
    ),
    (
        "priority = 1\ncondition = [{ http_header = { name = 'host', values = ['1'] } }]",
        "10:39: error: listener[0].rule[0].condition[0].http_header.name: is for host_header; write { host_header = [...] }",
    ),
    (
        "priority = 1\ncondition = [{ http_header = { name = 'X-A', values = ['ä'] } }]",
        "10:56: error: listener[0].rule[0].condition[0].http_header.values[0]: `ä` is not a pattern; write visible ASCII with the wildcards * and ?",
    ),
    (
        "priority = 1\ncondition = [{ http_header = { name = 'X-A', values = [' a'] } }]",
        "10:56: error: listener[0].rule[0].condition[0].http_header.values[0]: ` a` can never match; leave out the blanks around it, as they are no part of a header's value",
    ),
    (
        "priority = 1\ncondition = [{ query_string = [{ key = 'v' }] }]",
        "10:32: error: listener[0].rule[0].condition[0].query_string[0].value: is missing; add `value = \"2\"`",
    ),
    (
        "priority = 1\ncondition = [{ query_string = [{ key = '', value = '2' }] }]",
        "10:40: error: listener[0].rule[0].condition[0].query_string[0].key: is empty; leave it out for any key",
    ),
    (
        "priority = 1\ncondition = [{ query_string = ['2'] }]",
        "10:32: error: listener[0].rule[0].condition[0].query_string[0]: is a string; write a table, in { } or under a [header]",
    ),
    (
        "priority = 1\ncondition = [{ query_string = [{ value = 'a\\b' }] }]",
        "10:42: error: listener[0].rule[0].condition[0].query_string[0].value: `a\\b` has a backslash that escapes nothing; write \\\\ for a backslash, \\* and \\? for characters that are no wildcards",
    ),
    (
        "priority = 1\ncondition = [{ query_string = [{ value = 'ä' }] }]",
        "10:42: error: listener[0].rule[0].condition[0].query_string[0].value: `ä` is not a pattern; write visible ASCII with the wildcards * and ?, percent-encoded as in a query",
    ),
    (
        "priority = 1\ncondition = [{ http_request_method = ['get'] }]",
        "10:39: error: listener[0].rule[0].condition[0].http_request_method[0]: `get` is not a method; write capital letters, - and _, such as \"GET\"",
    ),
    (
        "priority = 1\ncondition = [{ http_request_method = [] }]",
        "10:38: error: listener[0].rule[0].condition[0].http_request_method: is empty, so it can never match; write at least one value",
    ),
    (
        "priority = 1\ncondition = [{ source_ip = ['10.0.0.1'] }]",
        "10:29: error: listener[0].rule[0].condition[0].source_ip[0]: `10.0.0.1` is not a network; write an address and a length, such as \"10.0.0.0/8\" or \"2001:db8::1/128\"",
    ),
    (
        "priority = 1\ncondition = [{ source_ip = ['10.0.0.0/33'] }]",
        "10:29: error: listener[0].rule[0].condition[0].source_ip[0]: `10.0.0.0/33` is not a network; write an address and a length, such as \"10.0.0.0/8\" or \"2001:db8::1/128\"",
    ),
    (
        "priority = 1\ncondition = [{ source_ip = ['255.255.255.255/32'] }]",
        "10:29: error: listener[0].rule[0].condition[0].source_ip[0]: `255.255.255.255/32` is nobody's address; leave it out, as an ALB refuses it",
    ),
    (
        "priority = 1\ncondition = [{ source_ip = ['10.0.0.1/32'] }, { source_ip = ['10.0.0.2/32'] }]",
        "10:61: error: listener[0].rule[0].condition[1].source_ip: listener[0].rule[0].condition[0] is a source_ip too; put all values into one condition: any of them may match",
    ),
    (
        "priority = 1\ntransform = [{ type = 'url-rewrite' }]\ncondition = [{ path_pattern = ['/'] }]",
        "10:14: error: listener[0].rule[0].transform[0].rewrite: is missing; add `rewrite = [{ regex = \"^/api/(.*)$\", replace = \"/$1\" }]`",
    ),
    (
        "priority = 1\ntransform = [{ type = 'url', rewrite = [{ regex = 'a', replace = 'b' }] }]\ncondition = [{ path_pattern = ['/'] }]",
        "10:23: error: listener[0].rule[0].transform[0].type: `url` is not known here; write \"host-header-rewrite\" or \"url-rewrite\"",
    ),
    (
        "priority = 1\ntransform = [{ type = 'url-rewrite', rewrite = [] }]\ncondition = [{ path_pattern = ['/'] }]",
        "10:48: error: listener[0].rule[0].transform[0].rewrite: holds 0 rewrites; write exactly one",
    ),
    (
        "priority = 1\ntransform = [{ type = 'url-rewrite', rewrite = [{ regex = 'a' }] }]\ncondition = [{ path_pattern = ['/'] }]",
        "10:49: error: listener[0].rule[0].transform[0].rewrite[0].replace: is missing; add `replace = \"/$1\"`",
    ),
    (
        "priority = 1\ntransform = [{ type = 'url-rewrite', rewrite = [{ regex = '(a', replace = 'b' }] }]\ncondition = [{ path_pattern = ['/'] }]",
        "10:59: error: listener[0].rule[0].transform[0].rewrite[0].regex: `(a` cannot be used as a regex: unclosed group; write one in an ALB's dialect: no look-around, back-references, atomic groups, possessive quantifiers, \\p{..}",
    ),
    (
        "priority = 1\ntransform = [{ type = 'url-rewrite', rewrite = [{ regex = '(a)', replace = '$2' }] }]\ncondition = [{ path_pattern = ['/'] }]",
        "10:76: error: listener[0].rule[0].transform[0].rewrite[0].replace: `$2` means a group that the regex does not have; write visible ASCII; $1 is what the regex's first group matched, $$ a dollar sign",
    ),
    (
        "priority = 1\ntransform = [{ type = 'url-rewrite', rewrite = { regex = 'a', replace = 'b' } }, { type = 'url-rewrite', rewrite = { regex = 'a', replace = 'b' } }]\ncondition = [{ path_pattern = ['/'] }]",
        "10:82: error: listener[0].rule[0].transform[1]: is a second transform of its type; an ALB takes one of each in a rule: leave one out",
    ),
];

#[test]
fn rule() {
    const FORWARD: &str = "action = { type = 'forward', target_group = 'app' }";
    for (text, line) in RULE {
        refused(
            &format!("{SMALLEST}[[listener.rule]]\n{text}\n{FORWARD}\n"),
            &format!("f.toml:{line}"),
        );
    }
    let rule = format!(
        "[[listener.rule]]\npriority = 1\ncondition = [{{ path_pattern = ['/'] }}]\n{FORWARD}\n"
    );
    refused(
        &format!("{SMALLEST}{rule}{rule}"),
        "f.toml:13:12: error: listener[0].rule[1].priority: listener[0].rule[0] has the priority 1 already; give each rule of a listener one of its own",
    );
}

const ACTION: &[(&str, &str, usize)] = &[
    (
        "type = 'redirct', x = 1",
        "type: `redirct` is not known here; write \"forward\" or \"redirect\" or \"fixed-response\"",
        27,
    ),
    (
        "type = 'authenticate-oidc', issuer = 'x'",
        "type: `authenticate-oidc` is not supported yet; write \"forward\" or \"redirect\" or \"fixed-response\"",
        27,
    ),
    (
        "type = 'forward'",
        "target_group: is missing; add `target_group = \"app\"`",
        18,
    ),
    (
        "type = 'forward', target_group = 'x'",
        "target_group: there is no target group `x`; the target groups here are app",
        53,
    ),
    (
        "type = 'forward', target_group = []",
        "target_group: is empty; write the name of a target group",
        53,
    ),
    (
        "type = 'forward', target_group = [{ name = 'app', weight = 1000 }]",
        "target_group[0].weight: `1000` is out of range; write 0 to 999",
        79,
    ),
    (
        "type = 'forward', target_group = [{ name = 'app' }, { name = 'app' }]",
        "target_group[1]: names a target group again; give each one weight",
        72,
    ),
    (
        "type = 'forward', target_group = 'app', stickiness = { duration = 604801 }",
        "stickiness.duration: `604801` is out of range; write 1 to 604800 seconds",
        86,
    ),
    (
        "type = 'forward', target_group = 'app', stickiness = { enabled = true, duration = 0 }",
        "stickiness.duration: `0` is out of range; write 1 to 604800 seconds",
        102,
    ),
    (
        "type = 'forward', target_group = 'app', host = 'x'",
        "host: unknown key; the keys here are type, stickiness, target_group",
        60,
    ),
    (
        "type = 'fixed-response'",
        "status_code: is missing; add `status_code = \"200\"`",
        18,
    ),
    (
        "type = 'fixed-response', status_code = '301'",
        "status_code: `301` is not a status for a fixed response; write 2xx, 4xx or 5xx, such as \"404\"",
        59,
    ),
    (
        "type = 'fixed-response', status_code = '199'",
        "status_code: `199` is not a status for a fixed response; write 2xx, 4xx or 5xx, such as \"404\"",
        59,
    ),
    (
        "type = 'fixed-response', status_code = '600'",
        "status_code: `600` is not a status for a fixed response; write 2xx, 4xx or 5xx, such as \"404\"",
        59,
    ),
    (
        "type = 'fixed-response', status_code = '200', content_type = 'text/xml'",
        "content_type: `text/xml` is not known here; write \"text/plain\" or \"text/css\" or \"text/html\" or \"application/javascript\" or \"application/json\"",
        81,
    ),
    (
        "type = 'redirect', port = 443",
        "status_code: is missing; add `status_code = \"HTTP_301\"`",
        18,
    ),
    (
        "type = 'redirect', port = 443, status_code = 'HTTP_307'",
        "status_code: `HTTP_307` is not known here; write \"HTTP_301\" or \"HTTP_302\"",
        65,
    ),
    (
        "type = 'redirect', status_code = 'HTTP_301', query = 'a=b'",
        ": leads back to where the request came from; change protocol, host, port or path; the query alone is not enough",
        18,
    ),
    (
        "type = 'redirect', status_code = 'HTTP_301', host = '#{host}', path = '/#{path}'",
        ": leads back to where the request came from; change protocol, host, port or path; the query alone is not enough",
        18,
    ),
    (
        "type = 'redirect', status_code = 'HTTP_301', protocol = 'https'",
        "protocol: `https` does not fit; write HTTP, HTTPS or #{protocol}",
        76,
    ),
    (
        "type = 'redirect', status_code = 'HTTP_301', host = 'a.com:80'",
        "host: `a.com:80` does not fit; write a host name without a port",
        72,
    ),
    (
        "type = 'redirect', status_code = 'HTTP_301', port = '0'",
        "port: `0` does not fit; write 1 to 65535 or #{port}",
        72,
    ),
    (
        "type = 'redirect', status_code = 'HTTP_301', path = 'a'",
        "path: `a` does not fit; write a path that begins with /",
        72,
    ),
    (
        "type = 'redirect', status_code = 'HTTP_301', path = '/#{query}'",
        "path: REDIRECT_KEYWORDS",
        72,
    ),
    (
        "type = 'redirect', status_code = 'HTTP_301', path = '/x', query = '?a'",
        "query: `?a` does not fit; write a query without the leading ?",
        86,
    ),
];

#[test]
fn action() {
    let redirect_keywords = "`#{query}` cannot be used here; write a path that begins with /; keywords are #{host}, #{port}, #{path}";
    for (text, message, column) in ACTION {
        let text = format!("{SMALLEST}[[listener]]\nport = 81\ndefault_action = {{ {text} }}\n");
        let message = message.replace("REDIRECT_KEYWORDS", redirect_keywords);
        let dot = if message.starts_with(':') { "" } else { "." };
        refused(
            &text,
            &format!("f.toml:10:{column}: error: listener[1].default_action{dot}{message}"),
        );
    }
}

#[test]
fn six_groups_are_too_many() {
    let group = |n| format!("[[target_group]]\nname = 'g{n}'\nport = 1\ntargets = ['10.0.0.1']\n");
    let groups = (0..6).map(group).collect::<Vec<_>>().concat();
    let names: Vec<String> = (0..6).map(|n| format!("{{ name = 'g{n}' }}")).collect();
    let text = |names: &[String]| {
        let list = names.join(", ");
        format!(
            "{groups}[[listener]]\nport = 80\ndefault_action = {{ type = 'forward', target_group = [{list}] }}\n"
        )
    };
    refused(
        &text(&names),
        "f.toml:27:53: error: listener[0].default_action.target_group: names 6 target groups (TooManyTargetGroups); name at most 5",
    );
    let unused = "f.toml:21:1: warning: target_group[5]: nothing forwards to the target group `g5`; use it in an action, or leave it out";
    refused(&text(&names[..5]), unused);
}

#[test]
fn a_rule_that_another_one_covers_is_a_warning() {
    let rule = |priority, condition: &str| {
        format!(
            "[[listener.rule]]\npriority = {priority}\ncondition = [{condition}]\n\
             action = {{ type = 'forward', target_group = 'app' }}\n"
        )
    };
    let covered = rule(
        20,
        "{ path_pattern = ['/api/v1/*'] }, { http_request_method = ['GET'] }",
    );
    let covering = rule(10, "{ path_pattern = ['/api/*', '/x'] }");
    refused(
        &format!("{SMALLEST}{covered}{covering}"),
        "f.toml:8:1: warning: listener[0].rule[0]: is never used: listener[0].rule[1] takes all that it would, with the priority 10; give it a priority below 10, or leave it out",
    );
    let first = covered.replace("priority = 20", "priority = 5");
    assert_eq!(findings(&format!("{SMALLEST}{first}{covering}")), [""; 0]);
}

#[test]
fn transforms_without_a_target_are_a_warning() {
    let rule = "[[listener.rule]]\npriority = 1\ncondition = [{ path_pattern = ['/'] }]\n\
                transform = [{ type = 'url-rewrite', rewrite = { regex = 'a', replace = 'b' } }]\n\
                action = { type = 'fixed-response', status_code = '204' }\n";
    refused(
        &format!("{SMALLEST}{rule}"),
        "f.toml:11:13: warning: listener[0].rule[0].transform: changes nothing, as the action sends nothing to a target; leave it out, or forward",
    );
}

#[test]
fn a_rule_that_sends_nothing_anywhere_is_a_warning() {
    let weightless = SMALLEST.replace("'app' }", "[{ name = 'app', weight = 0 }] }");
    refused(
        &weightless,
        "f.toml:7:53: warning: listener[0].default_action.target_group: gives every target group the weight 0, so that every request gets a 503; give one of them a weight of 1 to 999",
    );
}

#[test]
fn a_body_that_is_never_sent_is_a_warning() {
    let action = "{ type = 'fixed-response', status_code = '204', message_body = 'x' }";
    let rule = format!(
        "[[listener.rule]]\npriority = 1\ncondition = [{{ path_pattern = ['/'] }}]\naction = {action}\n"
    );
    refused(
        &format!("{SMALLEST}{rule}"),
        "f.toml:11:73: warning: listener[0].rule[0].action.message_body: is never sent: a response with the status 204 has no body; leave it out, or write another status_code",
    );
}

#[test]
fn a_redirect_never_leaves_https() {
    let directory = directory_with_certificates();
    let text = "[[listener]]\nport = 443\nprotocol = 'HTTPS'\ncertificate = { chain = 'certs/site.pem', key = 'certs/site.key' }\n\
                default_action = { type = 'redirect', protocol = 'HTTP', port = '80', status_code = 'HTTP_301' }\n";
    let file = directory.path().join("f.toml");
    let diagnostics = config::parse(text, &file).expect_err("refused");
    let found: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    let line = "5:50: error: listener[0].default_action.protocol: leads from HTTPS to HTTP; write HTTPS, or leave it out";
    assert_eq!(found, [format!("{}:{line}", file.display())]);
}

#[test]
fn stickiness() {
    let sticky = |stickiness: &str, more: &str| {
        let lines = format!("stickiness = {{ enabled = true{stickiness} }}\n{more}\ntargets = []");
        let group = SMALLEST.replace("targets = ['10.0.0.1']", &lines);
        format!("load_balancer.availability_zone = 'a'\n{group}")
    };
    for (stickiness, more, line) in [
        (
            ", type = 'app_cookie', cookie_name = 'AWSALBANYTHING'",
            "",
            "5:67: error: target_group[0].stickiness.cookie_name: `AWSALBANYTHING` begins like the load balancer's own cookies; write a name that does not begin with AWSALB",
        ),
        (
            ", type = 'app_cookie'",
            "",
            "5:14: error: target_group[0].stickiness.cookie_name: is missing; add `cookie_name = \"SESSION\"`",
        ),
        (
            ", type = 'app_cookie', cookie_name = 'AWSALBTG'",
            "",
            "5:67: error: target_group[0].stickiness.cookie_name: `AWSALBTG` begins like the load balancer's own cookies; write a name that does not begin with AWSALB",
        ),
        (
            ", type = 'app_cookie', cookie_name = 'a b'",
            "",
            "5:67: error: target_group[0].stickiness.cookie_name: `a b` is no name of a cookie; write letters, digits and !#$%&'*+-.^_`|~",
        ),
        (
            ", type = 'source_ip'",
            "",
            "5:39: error: target_group[0].stickiness.type: `source_ip` is not known here; write \"lb_cookie\" or \"app_cookie\"",
        ),
        (
            "",
            "load_balancing_algorithm_type = 'weighted_random'",
            "5:14: error: target_group[0].stickiness: stickiness does not go with weighted_random (InvalidConfigurationRequest); leave one of them out",
        ),
        (
            "",
            "load_balancing_cross_zone_enabled = 'false'",
            "5:14: error: target_group[0].stickiness: stickiness does not go with cross-zone load balancing off (InvalidConfigurationRequest); leave one of them out",
        ),
    ] {
        refused(&sticky(stickiness, more), &format!("f.toml:{line}"));
    }

    let weighted = |group: &str, action: &str| {
        let groups = "[{ name = 'app' }, { name = 'b' }]";
        format!(
            "[[target_group]]\nname = 'app'\nport = 1\ntargets = []\nstickiness = {{ enabled = true{group} }}\n\
             [[target_group]]\nname = 'b'\nport = 1\ntargets = []\n\
             [[listener]]\nport = 80\ndefault_action = {{ type = 'forward', target_group = {groups}{action} }}\n"
        )
    };
    refused(
        &weighted("", ""),
        "f.toml:12:53: error: listener[0].default_action.target_group: names a target group with stickiness, whose clients must come back to the group; \
         add stickiness = { enabled = true, duration = 3600 } to the action",
    );
    refused(
        &weighted(
            ", type = 'app_cookie', cookie_name = 'S'",
            ", stickiness = { enabled = true, duration = 60 }",
        ),
        "f.toml:12:53: error: listener[0].default_action.target_group: names a target group with app_cookie stickiness, which works where there is one group only; \
         use lb_cookie there, or name one target group",
    );
    let both_sticky = weighted("", ", stickiness = { enabled = true, duration = 60 }");
    assert_eq!(findings(&both_sticky), [""; 0]);

    let forgotten = SMALLEST.replace("targets", "stickiness = { type = 'lb_cookie' }\ntargets");
    refused(
        &forgotten,
        "f.toml:4:23: warning: target_group[0].stickiness.type: changes nothing while stickiness is off; add enabled = true",
    );
}

/// Terraform writes both; the values that are the ALB's defaults are no mistake.
#[test]
fn what_terraform_writes_for_targets() {
    let with = |line: &str| SMALLEST.replace("targets", &format!("{line}\ntargets"));
    let checked = with("health_check = { enabled = true }\ntarget_type = 'ip'");
    assert_eq!(findings(&checked), [""; 0]);
    refused(
        &with("health_check = { enabled = false }"),
        "f.toml:4:28: error: target_group[0].health_check.enabled: an ALB always checks targets of the types ip and instance; write true, or leave it out",
    );
    refused(
        &with("target_type = 'instance'"),
        "f.toml:4:15: error: target_group[0].target_type: `instance` is not supported yet; write \"ip\"",
    );
}

#[test]
fn how_long_a_client_stays_with_a_group_may_be_less_than_an_alb_takes() {
    let action = "default_action = { type = 'forward', target_group = 'app'";
    let stickiness = "stickiness = { enabled = true, duration = 0.5 }";
    let text = SMALLEST.replace(action, &format!("{action}, {stickiness}"));
    let line = text.lines().last().expect("the action");
    let at = line.find("0.5").expect("the duration") + 1;
    refused(
        &text,
        &format!(
            "f.toml:7:{at}: warning: listener[0].default_action.stickiness.duration: `0.5` works here but not on an ALB; an ALB takes whole seconds from 1 to 604800"
        ),
    );
}

#[test]
fn secret_key_files() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("short").display().to_string();
    fs::write(&path, format!("{}\n", "x".repeat(31))).expect("writable");
    refused(
        &format!("load_balancer.secret_key_files = ['{path}']\n{SMALLEST}"),
        &format!(
            "f.toml:1:35: error: load_balancer.secret_key_files[0]: {path} has 31 bytes, which can be guessed; \
             write at least 32 random bytes into it, such as those of `openssl rand -base64 48`"
        ),
    );
    refused(
        &format!("load_balancer.secret_key_files = ['/none']\n{SMALLEST}"),
        "f.toml:1:35: error: load_balancer.secret_key_files[0]: /none cannot be read: No such file or directory (os error 2); name a file that exists and that this user may read",
    );
    refused(
        &format!("load_balancer.secret_key_files = []\n{SMALLEST}"),
        "f.toml:1:34: error: load_balancer.secret_key_files: names no file; name one, or leave it out",
    );
}
