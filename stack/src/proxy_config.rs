//! The proxy's configuration file for this path: text from values, nothing else.

use std::net::IpAddr;

/// What the file depends on.
#[derive(Debug)]
pub(crate) struct ProxyConfig<'a> {
    pub(crate) addresses: &'a [IpAddr],
    pub(crate) http_port: u16,
    pub(crate) https_port: u16,
    pub(crate) admin_port: u16,
    /// Ports of the app servers on 127.0.0.1.
    pub(crate) targets: &'a [u16],
    pub(crate) access_log: bool,
}

impl ProxyConfig<'_> {
    /// Paths in it are relative to the data directory, where the file lies.
    pub(crate) fn render(&self) -> String {
        let Self {
            http_port,
            https_port,
            admin_port,
            ..
        } = self;
        let first = self.targets.first().copied().unwrap_or_default();
        let addresses = list(self.addresses.iter());
        let targets = list(self.targets.iter().map(|port| format!("127.0.0.1:{port}")));
        let access_logs = if self.access_log {
            "access_logs = { path = \"access.log\", format = \"json\" }\n"
        } else {
            ""
        };
        format!(
            r#"# Written by `lintel` at every start, from its flags: changes here are lost.
# To go on from it, copy it with certs/ and run `lintel proxy run --config COPY`.

[load_balancer]
name = "lintel"
admin = "127.0.0.1:{admin_port}"
{access_logs}
# The app servers. They are checked more often than an ALB would, so that what happens to them is seen at once.
[[target_group]]
name = "app"
port = {first}
health_check = {{ path = "/health", interval = 0.5, timeout = 0.5, healthy_threshold = 2, unhealthy_threshold = 2 }}
targets = [{targets}]

[[listener]]
address = [{addresses}]
port = {http_port}
protocol = "HTTP"
default_action = {{ type = "redirect", protocol = "HTTPS", port = "{https_port}", status_code = "HTTP_301" }}

[[listener]]
address = [{addresses}]
port = {https_port}
protocol = "HTTPS"
certificate = {{ chain = "certs/site.pem", key = "certs/site.key" }}
default_action = {{ type = "forward", target_group = "app" }}
"#
        )
    }
}

fn list(items: impl Iterator<Item = impl ToString>) -> String {
    let items: Vec<String> = items
        .map(|item| format!("\"{}\"", item.to_string()))
        .collect();
    items.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_takes_it() {
        let root = tempfile::tempdir().unwrap();
        lintel_certs::ensure(&root.path().join("certs"), &[]).unwrap();
        let addresses = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        for access_log in [false, true] {
            let config = ProxyConfig {
                addresses: &addresses,
                http_port: 8080,
                https_port: 8443,
                admin_port: 9900,
                targets: &[8001, 8002],
                access_log,
            };
            let text = config.render();
            let file = root.path().join("lintel-proxy.toml");
            let loaded = lintel_proxy::config::parse(&text, &file)
                .unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
            assert_eq!(loaded.model.listeners.len(), 2);
            assert_eq!(loaded.model.target_groups.len(), 1);
            assert_eq!(text.contains("access.log"), access_log);
        }
    }
}
