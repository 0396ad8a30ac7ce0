//! The table `stickiness` of a target group.

use std::time::Duration;

use lintel_common::config_file::{Table, Value};

use super::balancing::{Balancing, conflict};
use super::not_supported::choice;
use super::values::{Seconds, seconds};
use crate::model::{Algorithm, Stickiness};

const DURATION: Duration = Duration::from_secs(86_400);
/// Of the load balancer's own cookies.
const RESERVED: &str = "AWSALB";

/// `None` unless it is enabled.
pub(super) fn read(table: &mut Table<'_>, balancing: &Balancing) -> Option<Stickiness> {
    let value = table.get("stickiness")?;
    let stickiness = value.table(stickiness).flatten()?;
    if matches!(balancing.algorithm, Algorithm::WeightedRandom { .. }) {
        conflict(
            &value,
            "stickiness does not go with weighted_random",
            "leave one of them out",
        );
    }
    if balancing.only_zone.is_some() {
        conflict(
            &value,
            "stickiness does not go with cross-zone load balancing off",
            "leave one of them out",
        );
    }
    Some(stickiness)
}

fn stickiness(table: &mut Table<'_>) -> Option<Stickiness> {
    let enabled = table.get("enabled").map(|value| value.boolean());
    let types = [("lb_cookie", false), ("app_cookie", true)];
    let by_app = choice(table, "type", &types, &[]).unwrap_or_default();
    let range = Seconds::of_alb(1, 604_800);
    let duration = seconds(table, "cookie_duration", range, DURATION);
    let name = table.get("cookie_name");
    let named = name.as_ref().and_then(cookie_name);
    if enabled.is_none()
        && let Some(value) = table.get("type").or(table.get("cookie_name"))
    {
        value.warn(
            "changes nothing while stickiness is off",
            "add enabled = true",
        );
    }
    if enabled.flatten() != Some(true) {
        return None;
    }
    if !by_app {
        if let Some(value) = name.filter(|_| named.is_some()) {
            value.warn("names a cookie of app_cookie", "set type = \"app_cookie\"");
        }
        return Some(Stickiness::LbCookie { duration });
    }
    if name.is_none() {
        table.required("cookie_name", "cookie_name = \"SESSION\"")?;
    }
    let name = named?;
    Some(Stickiness::AppCookie { name, duration })
}

/// `None` if it is empty, as Terraform writes what is not there.
fn cookie_name(value: &Value<'_>) -> Option<String> {
    let name = value.string()?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.bytes().all(is_token) {
        value.error(
            format_args!("`{}` is no name of a cookie", value.shown()),
            "write letters, digits and !#$%&'*+-.^_`|~",
        );
    } else if name.starts_with(RESERVED) {
        value.error(
            format_args!("`{name}` begins like the load balancer's own cookies"),
            format_args!("write a name that does not begin with {RESERVED}"),
        );
    }
    (!name.is_empty()).then(|| name.to_owned())
}
