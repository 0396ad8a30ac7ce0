//! Targets registered and deregistered by hand: `PUT` and `DELETE /target-groups/NAME/targets/ID:PORT`.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::json;

use super::{json_response, not_allowed};
use crate::load_balancer::Overview;
use crate::model::TargetSettings;
use crate::target_group::TargetGroup;

const MOST_BODY: usize = 4096;

/// What a PUT may say of its target.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    availability_zone: Option<String>,
}

/// The group and the target that a path names.
pub(super) fn parts(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("/target-groups/")?
        .split_once("/targets/")
}

pub(super) async fn answer(
    overview: &Overview,
    group: &str,
    target: &str,
    method: &Method,
    body: Incoming,
) -> Response<Full<Bytes>> {
    if !matches!(*method, Method::PUT | Method::DELETE) {
        return not_allowed("PUT, DELETE");
    }
    let mut groups = overview.groups.iter().map(|group| &*group.group);
    let Some(group) = groups.find(|known| known.name() == group) else {
        return wrong(StatusCode::NOT_FOUND, "no such target group");
    };
    let Some(address) = address(target) else {
        return wrong(
            StatusCode::BAD_REQUEST,
            "not a target; write its address and port as 10.0.3.11:8000 or [fd00::13]:8001",
        );
    };
    if *method == Method::DELETE {
        if !group.deregister(address) {
            return wrong(StatusCode::NOT_FOUND, "no such target");
        }
        tracing::info!(target_group = group.name(), target = %address, "target deregistered by hand");
        // It is gone already if nothing was in flight.
        return json_response(StatusCode::ACCEPTED, &json!({"state": "draining"}));
    }
    match about(body).await {
        Ok(about) => register(overview, group, address, about),
        Err(error) => wrong(StatusCode::BAD_REQUEST, &error),
    }
}

fn register(
    overview: &Overview,
    group: &TargetGroup,
    address: SocketAddr,
    about: About,
) -> Response<Full<Bytes>> {
    let zone = about.availability_zone;
    if group.is_zonal() && matches!(zone.as_deref(), None | Some("all")) {
        return wrong(
            StatusCode::BAD_REQUEST,
            "cross-zone load balancing is off: say {\"availability_zone\": \"...\"} with the target's own zone",
        );
    }
    if !group.has_registered(address)
        && let Some(beyond) = beyond_quota(overview, group)
    {
        return wrong(StatusCode::BAD_REQUEST, &beyond);
    }
    let new = group.register(TargetSettings {
        id: address.ip(),
        port: address.port(),
        availability_zone: zone,
    });
    let status = if new {
        tracing::info!(target_group = group.name(), target = %address, "target registered by hand");
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let known = group.target_health();
    let shown = known
        .iter()
        .find(|known| (known.id, known.port) == (address.ip(), address.port()));
    json_response(status, &shown)
}

/// What an ALB says where one more target would be too many.
fn beyond_quota(overview: &Overview, group: &TargetGroup) -> Option<String> {
    let quotas = &overview.settings.quotas;
    let groups = overview.groups.iter().map(|group| &group.group);
    let used = groups.filter(|group| group.is_in_use());
    let all = used.map(|group| group.registered()).sum::<usize>();
    [
        (
            "targets_per_target_group",
            quotas.targets_in_group,
            group.registered(),
        ),
        (
            "targets_per_application_load_balancer",
            quotas.targets,
            all,
        ),
    ]
    .into_iter()
    .find(|(_, most, registered)| registered >= most)
    .map(|(key, most, _)| {
        format!("TooManyTargets: the quota is {most}; deregister one, or raise load_balancer.quotas.{key}")
    })
}

/// As in the path, where a client may have percent-encoded brackets and colons.
fn address(text: &str) -> Option<SocketAddr> {
    let mut text = text.to_ascii_lowercase();
    for (encoded, plain) in [("%5b", "["), ("%5d", "]"), ("%3a", ":")] {
        text = text.replace(encoded, plain);
    }
    let address: SocketAddr = text.parse().ok()?;
    let ip = address.ip();
    let possible = address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast();
    // An address that means nothing elsewhere, or that has another spelling, would be another target by it.
    let scoped = matches!(address, SocketAddr::V6(address) if address.scope_id() != 0);
    (possible && !scoped && ip.to_canonical() == ip).then_some(address)
}

async fn about(body: Incoming) -> Result<About, String> {
    let body = Limited::new(body, MOST_BODY).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    if body.is_empty() {
        return Ok(About::default());
    }
    serde_json::from_slice(&body).map_err(|error| format!("the body cannot be read: {error}"))
}

fn wrong(status: StatusCode, error: &str) -> Response<Full<Bytes>> {
    json_response(status, &json!({ "error": error }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_what_they_name() {
        for (path, named) in [
            (
                "/target-groups/app/targets/10.0.0.1:80",
                Some(("app", "10.0.0.1:80")),
            ),
            ("/target-groups/app/targets/", Some(("app", ""))),
            ("/target-groups/app", None),
            ("/target-health", None),
        ] {
            assert_eq!(parts(path), named, "{path}");
        }
    }

    #[test]
    fn addresses_of_targets() {
        for (text, address_of) in [
            ("10.0.0.1:80", Some("10.0.0.1:80")),
            ("[fd00::1]:80", Some("[fd00::1]:80")),
            ("%5Bfd00::1%5D:80", Some("[fd00::1]:80")),
            ("%5bFD00%3a%3a1%5d%3A80", Some("[fd00::1]:80")),
            ("10.0.0.1", None),
            ("fd00::1:80", None),
            ("10.0.0.1:0", None),
            ("0.0.0.0:80", None),
            ("224.0.0.1:80", None),
            ("app:80", None),
            ("", None),
            ("[fe80::1%3]:80", None),
            ("[::ffff:10.0.0.1]:80", None),
        ] {
            let expected = address_of.map(|text| text.parse().expect("an address"));
            assert_eq!(address(text), expected, "{text}");
        }
    }
}
