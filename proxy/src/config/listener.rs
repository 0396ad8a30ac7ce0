//! The tables `[[listener]]`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use lintel_common::config_file::{Table, Value};

use super::build::Groups;
use super::not_supported::choice;
use super::{action, header_modification, rule, tls, values};
use crate::action::{Action, Forward};
use crate::model::{ListenerProtocol, ListenerSettings};
use crate::rule::RuleTable;

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
    let (headers, certificate_fields) = header_modification::read(table, protocol);
    let tls = tls::read(table, directory, protocol, certificate_fields);

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
    let rules = rule::read_all(table, front, groups);
    ListenerSettings {
        addresses,
        port,
        protocol: tls.map_or(ListenerProtocol::Http, |tls| {
            ListenerProtocol::Https(Box::new(tls))
        }),
        headers: Arc::new(headers),
        rules: RuleTable::new(rules, default_action),
    }
}

/// Stands in for an action that could not be read; the model with it is never used.
pub(super) fn placeholder() -> Action {
    Action::Forward(Forward::to(0))
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
pub(super) struct Endpoints {
    admin: Option<SocketAddr>,
    listeners: BTreeMap<SocketAddr, String>,
}

impl Endpoints {
    pub(super) fn new(admin: Option<SocketAddr>) -> Self {
        Self {
            admin: admin.filter(|address| address.port() != 0),
            listeners: BTreeMap::new(),
        }
    }

    fn claim(&mut self, addresses: &[IpAddr], port: u16, value: &Value<'_>, listener: &str) {
        // Port 0 is a different port each time.
        for address in addresses.iter().filter(|_| port != 0) {
            let endpoint = SocketAddr::new(*address, port);
            if let Some((owner, has)) = self.owner(endpoint) {
                value.error(
                    format_args!("{owner} has {has} already"),
                    "choose another port or address",
                );
            } else {
                self.listeners.insert(endpoint, listener.to_owned());
            }
        }
    }

    /// Listeners may overlap each other, as 0.0.0.0 does every address; the admin endpoints share their port with nobody.
    fn owner(&self, endpoint: SocketAddr) -> Option<(&str, SocketAddr)> {
        let admin = self.admin.filter(|admin| overlap(*admin, endpoint));
        if let Some(admin) = admin {
            return Some(("load_balancer.admin", admin));
        }
        let listener = self.listeners.get(&endpoint)?;
        Some((listener, endpoint))
    }
}

/// Sockets for `::` are ours for IPv6 only.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip(), other.ip());
    let one_family = a.is_ipv4() == b.is_ipv4();
    one.port() == other.port() && one_family && (a == b || a.is_unspecified() || b.is_unspecified())
}
