//! The tables `[[listener]]`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use lintel_common::config_file::{Table, Value};
use lintel_common::tls::{self, SslPolicy, TlsError};

use super::build::Groups;
use super::not_supported::{self, choice};
use super::{action, rule, values};
use crate::action::{Action, Forward};
use crate::model::{CertificateFiles, ListenerProtocol, ListenerSettings, TlsSettings};
use crate::rule::RuleTable;

/// Header modification: header names and values of an ALB's listener attributes, all empty by default.
pub(super) const ROUTING_HTTP: [&str; 18] = [
    "routing_http_request_x_amzn_mtls_clientcert_header_name",
    "routing_http_request_x_amzn_mtls_clientcert_issuer_header_name",
    "routing_http_request_x_amzn_mtls_clientcert_leaf_header_name",
    "routing_http_request_x_amzn_mtls_clientcert_serial_number_header_name",
    "routing_http_request_x_amzn_mtls_clientcert_subject_header_name",
    "routing_http_request_x_amzn_mtls_clientcert_validity_header_name",
    "routing_http_request_x_amzn_tls_cipher_suite_header_name",
    "routing_http_request_x_amzn_tls_version_header_name",
    "routing_http_response_access_control_allow_credentials_header_value",
    "routing_http_response_access_control_allow_headers_header_value",
    "routing_http_response_access_control_allow_methods_header_value",
    "routing_http_response_access_control_allow_origin_header_value",
    "routing_http_response_access_control_expose_headers_header_value",
    "routing_http_response_access_control_max_age_header_value",
    "routing_http_response_content_security_policy_header_value",
    "routing_http_response_strict_transport_security_header_value",
    "routing_http_response_x_content_type_options_header_value",
    "routing_http_response_x_frame_options_header_value",
];

/// What actions need to know of the listener they belong to.
#[derive(Clone, Copy)]
pub(super) struct Front {
    pub(super) protocol: Protocol,
    pub(super) port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Https,
}

pub(super) fn read(
    table: &mut Table<'_>,
    directory: &Path,
    groups: &mut Groups,
    endpoints: &mut Endpoints,
) -> ListenerSettings {
    let protocol = choice(
        table,
        "protocol",
        &[("HTTP", Protocol::Http), ("HTTPS", Protocol::Https)],
        &[],
    );
    let port_value = table.required("port", "port = 80");
    let port = port_value
        .as_ref()
        .and_then(|value| values::port(value, 0))
        .unwrap_or_default();
    let addresses = addresses(table);
    if let Some(value) = &port_value {
        endpoints.claim(&addresses, port, value, table.key());
    }
    let tls = tls_settings(table, directory, protocol);
    refuse_what_is_planned(table);

    let front = Front {
        protocol: protocol.unwrap_or(Protocol::Http),
        port,
    };
    let default_action = table
        .required(
            "default_action",
            "default_action = { type = \"forward\", target_group = \"app\" }",
        )
        .and_then(|value| action::read(&value, front, groups))
        .unwrap_or_else(placeholder);
    let rules = rule::read_all(&table.tables("rule"), front, groups);
    ListenerSettings {
        addresses,
        port,
        protocol: tls.map_or(ListenerProtocol::Http, ListenerProtocol::Https),
        rules: RuleTable::new(rules, default_action),
    }
}

/// Stands in for an action that could not be read; the model with it is never used.
pub(super) fn placeholder() -> Action {
    Action::Forward(Forward::to(0))
}

fn refuse_what_is_planned(table: &mut Table<'_>) {
    not_supported::flag(table, "routing_http_response_server_enabled", true);
    for key in ROUTING_HTTP {
        not_supported::text(table, key);
    }
    if let Some(value) = table.get("mutual_authentication") {
        value.table(|table| {
            choice(table, "mode", &[("off", ())], &["passthrough", "verify"]);
            choice(
                table,
                "advertise_trust_store_ca_names",
                &[("off", ())],
                &["on"],
            );
            not_supported::flag(table, "ignore_client_certificate_expiry", false);
            not_supported::key(table, "trust_store");
            not_supported::key(table, "revocation_lists");
        });
    }
}

fn addresses(table: &mut Table<'_>) -> Vec<IpAddr> {
    let everywhere = vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
    let Some(value) = table.get("address") else {
        return everywhere;
    };
    let mut addresses = Vec::new();
    let values = value.one_or_list();
    for element in &values {
        let Some(text) = element.string() else {
            continue;
        };
        match text.parse() {
            Ok(address) if addresses.contains(&address) => {
                element.error(
                    format_args!("`{address}` is named twice"),
                    "leave it out here",
                );
            }
            Ok(address) => addresses.push(address),
            Err(_) => element.error(
                format_args!("`{}` is not an IP address", element.shown()),
                "write one such as \"0.0.0.0\" or \"::\", without a port",
            ),
        }
    }
    if values.is_empty() {
        value.error(
            "is empty",
            "write at least one address, or leave it out for \"0.0.0.0\"",
        );
    }
    addresses
}

/// Who listens where: nobody else may.
pub(super) struct Endpoints(BTreeMap<SocketAddr, String>);

impl Endpoints {
    pub(super) fn new(admin: Option<SocketAddr>) -> Self {
        let admin = admin.filter(|address| address.port() != 0);
        Self(
            admin
                .into_iter()
                .map(|address| (address, "load_balancer.admin".to_owned()))
                .collect(),
        )
    }

    fn claim(&mut self, addresses: &[IpAddr], port: u16, value: &Value<'_>, listener: &str) {
        // Port 0 is a different port each time.
        for address in addresses.iter().filter(|_| port != 0) {
            let endpoint = SocketAddr::new(*address, port);
            if let Some(owner) = self.0.get(&endpoint) {
                value.error(
                    format_args!("{owner} has {endpoint} already"),
                    "choose another port or address",
                );
            } else {
                self.0.insert(endpoint, listener.to_owned());
            }
        }
    }
}

/// `None` for an HTTP listener, and for one that could not be read.
fn tls_settings(
    table: &mut Table<'_>,
    directory: &Path,
    protocol: Option<Protocol>,
) -> Option<TlsSettings> {
    const CERTIFICATE: &str = "certificate = { chain = \"site.pem\", key = \"site.key\" }";
    if protocol == Some(Protocol::Http) {
        for key in ["certificate", "additional_certificates", "ssl_policy"] {
            if let Some(value) = table.get(key) {
                value.error(
                    "belongs to an HTTPS listener",
                    "set protocol = \"HTTPS\", or leave it out",
                );
            }
        }
        return None;
    }
    let ssl_policy = table.get("ssl_policy").and_then(|value| ssl_policy(&value));
    let additional = table
        .get("additional_certificates")
        .and_then(|value| value.list())
        .unwrap_or_default();
    let additional_certificates = additional
        .iter()
        .filter_map(|value| certificate(value, directory))
        .collect();
    let certificate = match protocol {
        Some(Protocol::Https) => table.required("certificate", CERTIFICATE),
        _ => table.get("certificate"),
    };
    Some(TlsSettings {
        ssl_policy: ssl_policy.unwrap_or(SslPolicy::DEFAULT).to_owned(),
        certificate: certificate.and_then(|value| self::certificate(&value, directory))?,
        additional_certificates,
    })
}

/// The default is that of the ALB's console, which unlike the API's has TLS 1.3 and can be served exactly.
fn ssl_policy(value: &Value<'_>) -> Option<&'static str> {
    let Some(policy) = SslPolicy::by_name(value.string()?) else {
        value.error(
            format_args!("`{}` is not a security policy", value.shown()),
            format_args!("write one of an ALB, such as \"{}\"", SslPolicy::DEFAULT),
        );
        return None;
    };
    if let Some(left_out) = policy.left_out() {
        value.warn(
            format_args!("is served without {left_out}"),
            format_args!("choose one that is served whole, such as \"{}\", or tell the clients that need them", SslPolicy::DEFAULT),
        );
    }
    Some(policy.name())
}

/// Loads the certificate, so that a file that is missing or does not fit is found here and not at start.
fn certificate(value: &Value<'_>, directory: &Path) -> Option<CertificateFiles> {
    value
        .table(|table| {
            let chain = table.required("chain", "chain = \"site.pem\"");
            let key = table.required("key", "key = \"site.key\"");
            let chain_path = chain
                .as_ref()
                .and_then(|value| values::readable_file(value, directory));
            let key_path = key
                .as_ref()
                .and_then(|value| values::readable_file(value, directory));
            let files = CertificateFiles {
                chain: chain_path?,
                key: key_path?,
            };
            if let Err(error) = tls::load_certified_key(&files.chain, &files.key) {
                let place = match &error {
                    TlsError::NoKey { .. }
                    | TlsError::EncryptedKey { .. }
                    | TlsError::Key { .. }
                    | TlsError::KeyMismatch { .. } => key,
                    TlsError::Pem { path, .. } | TlsError::Read { path, .. }
                        if *path == files.key =>
                    {
                        key
                    }
                    _ => chain,
                };
                values::report_tls(&place.unwrap_or_else(|| value.clone()), &error);
            }
            Some(files)
        })
        .flatten()
}
