//! Envoy, its configuration as JSON: the same as it takes as YAML.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::Settings;

const TYPES: &str = "type.googleapis.com/envoy.extensions";

pub(super) fn configuration(settings: &Settings) -> String {
    let configuration = json!({
        "admin": {"address": address(settings.admin)},
        "static_resources": {
            "listeners": [
                listener("http", settings.http, None),
                listener("https", settings.https, Some(tls(settings))),
            ],
            "clusters": [cluster(settings)],
        },
    });
    format!("{configuration:#}\n")
}

fn address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip(), "port_value": address.port()}})
}

fn listener(name: &str, at: SocketAddr, tls: Option<Value>) -> Value {
    let mut chain = json!({"filters": [{
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": connection_manager(name),
    }]});
    if let Some(tls) = tls {
        chain["transport_socket"] =
            json!({"name": "envoy.transport_sockets.tls", "typed_config": tls});
    }
    json!({
        "name": name,
        "address": address(at),
        "tcp_backlog_size": 4096,
        "enable_reuse_port": true,
        "filter_chains": [chain],
    })
}

/// Metrics are on, as ours; `x-request-id` is its trace id.
fn connection_manager(name: &str) -> Value {
    let route = json!({"cluster": "origin", "timeout": "60s"});
    let mut upgrade = route.clone();
    upgrade["upgrade_configs"] = json!([{"upgrade_type": "websocket"}]);
    json!({
        "@type": format!("{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": name,
        "codec_type": "AUTO",
        // Adds X-Forwarded-Proto. For a client on the loopback address it would add its own address as X-Forwarded-For, so
        // that is added below.
        "use_remote_address": true,
        "skip_xff_append": true,
        "request_headers_timeout": "60s",
        "common_http_protocol_options": {"idle_timeout": "3600s"},
        "http2_protocol_options": {
            "max_concurrent_streams": 128,
            "initial_stream_window_size": 262_144,
            "initial_connection_window_size": 1_048_576,
        },
        "route_config": {"virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "request_headers_to_add": [
                added("X-Forwarded-For", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "APPEND_IF_EXISTS_OR_ADD"),
                added("X-Forwarded-Port", "%DOWNSTREAM_LOCAL_PORT%", "OVERWRITE_IF_EXISTS_OR_ADD"),
            ],
            "routes": [
                {"match": {"path": "/ws"}, "route": upgrade},
                {"match": {"prefix": "/"}, "route": route},
            ],
        }]},
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": format!("{TYPES}.filters.http.router.v3.Router"),
                "suppress_envoy_headers": true,
            },
        }],
    })
}

fn added(name: &str, value: &str, action: &str) -> Value {
    json!({"header": {"key": name, "value": value}, "append_action": action})
}

fn tls(settings: &Settings) -> Value {
    json!({
        "@type": format!("{TYPES}.transport_sockets.tls.v3.DownstreamTlsContext"),
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_2",
                "ecdh_curves": ["X25519", "P-256"],
            },
            "tls_certificates": [{
                "certificate_chain": {"filename": settings.certificate},
                "private_key": {"filename": settings.key},
            }],
        },
    })
}

fn cluster(settings: &Settings) -> Value {
    let endpoints: Vec<Value> = settings
        .origins
        .iter()
        .map(|origin| json!({"endpoint": {"address": address(*origin)}}))
        .collect();
    // Its limits protect targets from too much; here nobody has such a limit.
    let limit = settings.connections;
    json!({
        "name": "origin",
        "type": "STATIC",
        "connect_timeout": "10s",
        "lb_policy": "ROUND_ROBIN",
        "load_assignment": {"cluster_name": "origin", "endpoints": [{"lb_endpoints": endpoints}]},
        "circuit_breakers": {"thresholds": [{
            "max_connections": limit,
            "max_pending_requests": limit,
            "max_requests": limit,
        }]},
        "health_checks": [{
            "http_health_check": {"path": "/health"},
            "interval": "10s",
            "timeout": "5s",
            "healthy_threshold": 1,
            "unhealthy_threshold": 2,
        }],
    })
}
