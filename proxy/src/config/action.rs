//! The tables `action` and `default_action`.

use lintel_common::config_file::{Kind, Table, Value};

use super::build::Groups;
use super::listener::{Front, Protocol};
use super::not_supported::{self, choose};
use super::values;
use crate::action::{Action, ContentType, FixedResponse, Forward, Keyword, Redirect, Template};

#[derive(Clone, Copy)]
enum Type {
    Forward,
    Redirect,
    FixedResponse,
}

const TYPES: [(&str, Type); 3] = [
    ("forward", Type::Forward),
    ("redirect", Type::Redirect),
    ("fixed-response", Type::FixedResponse),
];
const PLANNED_TYPES: [&str; 3] = [
    "authenticate-oidc",
    "authenticate-cognito",
    "jwt-validation",
];
const LONGEST_BODY: usize = 1024;
const LONGEST_REDIRECT_PART: usize = 128;

/// `None` after what is wrong was reported.
pub(super) fn read(value: &Value<'_>, front: Front, groups: &mut Groups) -> Option<Action> {
    value
        .table(|table| {
            let action_type = table
                .required("type", "type = \"forward\"")
                .and_then(|value| choose(&value, &TYPES, &PLANNED_TYPES));
            let Some(action_type) = action_type else {
                table.leave_rest();
                return None;
            };
            match action_type {
                Type::Forward => forward(table, groups).map(Action::Forward),
                Type::Redirect => Some(Action::Redirect(redirect(table, front))),
                Type::FixedResponse => fixed_response(table).map(Action::FixedResponse),
            }
        })
        .flatten()
}

fn forward(table: &mut Table<'_>, groups: &mut Groups) -> Option<Forward> {
    if let Some(stickiness) = table.get("stickiness") {
        stickiness.table(|table| {
            not_supported::flag(table, "enabled", false);
            // Says nothing while stickiness is off.
            if let Some(duration) = table.get("duration") {
                values::whole(&duration, 1, 604_800);
            }
        });
    }
    let value = table.required("target_group", "target_group = \"app\"")?;
    if value.kind() != Kind::Array {
        return groups
            .find(&value)
            .map(|target_group| Forward { target_group });
    }
    let values = value.list()?;
    // All of them are looked at, so that each is checked and counts as used.
    let found: Vec<Option<usize>> = values
        .iter()
        .map(|value| value.table(|table| weighted_group(table, groups)).flatten())
        .collect();
    match found.as_slice() {
        [target_group] => target_group.map(|target_group| Forward { target_group }),
        [] => {
            value.error("is empty", "write the name of a target group");
            None
        }
        several => {
            value.error(
                format_args!(
                    "forwarding to {} target groups by weight is not supported yet",
                    several.len()
                ),
                "name one",
            );
            None
        }
    }
}

fn weighted_group(table: &mut Table<'_>, groups: &mut Groups) -> Option<usize> {
    if let Some(value) = table.get("weight")
        && values::whole(&value, 0, 999) == Some(0)
    {
        value.error(
            "`0` sends no request to the only target group there is",
            "write 1 to 999, or leave it out",
        );
    }
    table
        .required("name", "name = \"app\"")
        .and_then(|value| groups.find(&value))
}

fn fixed_response(table: &mut Table<'_>) -> Option<FixedResponse> {
    let content_types = ContentType::ALL.map(|content_type| (content_type.name(), content_type));
    let content_type = table
        .get("content_type")
        .and_then(|value| choose(&value, &content_types, &[]));
    let message_body = table.get("message_body").and_then(|value| {
        let text = value.string()?;
        values::is_short(&value, text, LONGEST_BODY).then_some(text)
    });
    let status_code = table.required("status_code", "status_code = \"200\"")?;
    let status_code = fixed_status(&status_code)?;
    Some(FixedResponse {
        status_code,
        content_type,
        message_body: message_body.unwrap_or_default().to_owned(),
    })
}

/// A string as on the ALB, or a number.
fn fixed_status(value: &Value<'_>) -> Option<u16> {
    let status = match value.kind() {
        Kind::Integer => value
            .integer()
            .and_then(|status| u16::try_from(status).ok()),
        _ => value.string()?.parse().ok(),
    };
    let status = status.filter(|status| matches!(status, 200..=299 | 400..=599));
    if status.is_none() {
        value.error(
            format_args!("`{}` is not a status for a fixed response", value.shown()),
            "write 2xx, 4xx or 5xx, such as \"404\"",
        );
    }
    status
}

fn redirect(table: &mut Table<'_>, front: Front) -> Redirect {
    use Keyword::{Host, Path, Port, Protocol as Scheme};
    let unchanged = Redirect::unchanged(301);
    let protocol = part(
        table,
        "protocol",
        &[Scheme],
        is_protocol,
        "HTTP, HTTPS or #{protocol}",
    );
    let host = part(
        table,
        "host",
        &[Host],
        is_host,
        "a host name without a port",
    );
    let port = part_port(table);
    let path = part(
        table,
        "path",
        &[Host, Port, Path],
        is_path,
        "a path that begins with /",
    );
    let query = part(
        table,
        "query",
        &Keyword::ALL,
        is_query,
        "a query without the leading ?",
    );
    let status_code = table
        .required("status_code", "status_code = \"HTTP_301\"")
        .and_then(|value| choose(&value, &[("HTTP_301", 301), ("HTTP_302", 302)], &[]));
    let redirect = Redirect {
        status_code: status_code.unwrap_or(unchanged.status_code),
        protocol: protocol.unwrap_or_else(|| unchanged.protocol.clone()),
        host: host.unwrap_or_else(|| unchanged.host.clone()),
        port: port.unwrap_or_else(|| unchanged.port.clone()),
        path: path.unwrap_or_else(|| unchanged.path.clone()),
        query: query.unwrap_or_else(|| unchanged.query.clone()),
    };
    refuse_what_leads_nowhere(table, &redirect, &unchanged, front);
    redirect
}

/// One part of a redirect; `None` if it is left out or was reported. `fits` sees the text as it is written.
fn part(
    table: &mut Table<'_>,
    key: &'static str,
    keywords: &[Keyword],
    fits: fn(&str) -> bool,
    right: &str,
) -> Option<Template> {
    let value = table.get(key)?;
    let text = value.string()?;
    if !values::is_short(&value, text, LONGEST_REDIRECT_PART) {
        return None;
    }
    match Template::parse(text, keywords) {
        Ok(template) if fits(text) => Some(template),
        Ok(_) => {
            value.error(
                format_args!("`{}` does not fit", value.shown()),
                format_args!("write {right}"),
            );
            None
        }
        Err(error) => {
            let names: Vec<String> = keywords
                .iter()
                .map(|keyword| format!("#{{{}}}", keyword.name()))
                .collect();
            value.error(
                error,
                format_args!("write {right}; keywords are {}", names.join(", ")),
            );
            None
        }
    }
}

/// A string as on the ALB, or a number.
fn part_port(table: &mut Table<'_>) -> Option<Template> {
    let value = table.get("port")?;
    if value.kind() == Kind::Integer {
        return values::port(&value, 1).map(|port| Template::literal(&port.to_string()));
    }
    part(
        table,
        "port",
        &[Keyword::Port],
        is_port,
        "1 to 65535 or #{port}",
    )
}

fn is_protocol(text: &str) -> bool {
    matches!(text, "HTTP" | "HTTPS" | "#{protocol}")
}

fn is_port(text: &str) -> bool {
    text == "#{port}" || text.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_host(text: &str) -> bool {
    let literal = text.replace("#{host}", "host");
    let address = literal
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !literal.is_empty()
                && literal
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        }
    }
}

fn is_path(text: &str) -> bool {
    text.starts_with('/')
        && text
            .replace("#{", "")
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte))
}

fn is_query(text: &str) -> bool {
    !text.starts_with('?')
        && text
            .replace("#{", "")
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

fn refuse_what_leads_nowhere(
    table: &mut Table<'_>,
    redirect: &Redirect,
    unchanged: &Redirect,
    front: Front,
) {
    let https = Template::literal("HTTP") == redirect.protocol && front.protocol == Protocol::Https;
    if https && let Some(value) = table.get("protocol") {
        value.error("leads from HTTPS to HTTP", "write HTTPS, or leave it out");
    }
    let same_place = redirect.host == unchanged.host && redirect.path == unchanged.path;
    let same_protocol = redirect.protocol == unchanged.protocol;
    let same_port = redirect.port == unchanged.port;
    if same_place && same_protocol && same_port {
        table.error(
            "leads back to where the request came from",
            "change protocol, host, port or path; the query alone is not enough",
        );
        return;
    }
    let listener_protocol = match front.protocol {
        Protocol::Http => "HTTP",
        Protocol::Https => "HTTPS",
    };
    let stays = (same_protocol || redirect.protocol == Template::literal(listener_protocol))
        && (same_port || redirect.port == Template::literal(&front.port.to_string()));
    if same_place && stays {
        table.warn(
            "leads back to this listener, for ever",
            "change protocol, host, port or path",
        );
    }
}
