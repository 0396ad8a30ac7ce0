//! Lintel, as anybody would run it: nothing is switched off. Metrics, forwarding headers, trace ids, time-outs and limits
//! are on without a word in the file.

use std::net::SocketAddr;

use super::Settings;
use crate::compare::rules::Rules;

#[derive(Debug, Clone, Copy)]
pub(super) enum Variant {
    Plain,
    /// With an access log in JSON to a file.
    Logging,
    /// Of the listener without TLS.
    WithRules(Rules),
}

pub(super) fn configuration(settings: &Settings, variant: Variant) -> String {
    let log = match variant {
        Variant::Logging => {
            let file = settings.directory.join("access.log").display().to_string();
            format!("access_logs = {{ path = \"{file}\", format = \"json\" }}\n")
        }
        Variant::Plain | Variant::WithRules(_) => String::new(),
    };
    let rules = match variant {
        Variant::WithRules(rules) => rules.toml("origin"),
        Variant::Plain | Variant::Logging => String::new(),
    };
    let targets: Vec<String> = settings
        .origins
        .iter()
        .map(|origin| format!("\"{origin}\""))
        .collect();
    format!(
        r#"[load_balancer]
name = "compare"
workers = {workers}
admin = "{admin}"
{log}
[[target_group]]
name = "origin"
port = {port}
health_check = {{ path = "/health", interval = 10 }}
targets = [{targets}]

[[listener]]
address = "{http_address}"
port = {http_port}
protocol = "HTTP"
default_action = {{ type = "forward", target_group = "origin" }}
{rules}
[[listener]]
address = "{https_address}"
port = {https_port}
protocol = "HTTPS"
certificate = {{ chain = "{certificate}", key = "{key}" }}
default_action = {{ type = "forward", target_group = "origin" }}
"#,
        workers = settings.workers,
        admin = settings.admin,
        port = settings.origins.first().map_or(80, SocketAddr::port),
        targets = targets.join(", "),
        http_address = settings.http.ip(),
        http_port = settings.http.port(),
        https_address = settings.https.ip(),
        https_port = settings.https.port(),
        certificate = settings.certificate.display(),
        key = settings.key.display(),
    )
}
