//! A record as a line: a JSON object whose keys are the ALB's names in the ALB's order, then ours. Here is what stands
//! where; a request that could not be read has no head, and one that failed early has no target.

use std::time::SystemTime;

use http::Version;

use super::Record;
use super::json::{Json, key};
use crate::gateway_error::GatewayError;
use crate::http1::Name;

/// Of a header's value, as the ALB keeps.
pub(super) const MOST: usize = 8 * 1024;

/// Adds the line of a record that ends `now`.
pub(super) fn write(record: &Record, now: SystemTime, buffer: &mut Vec<u8>) {
    let mut json = Json(buffer);
    sides(record, now, &mut json);
    outcome(record, &mut json);
    request(record, &mut json);
    encryption(record, &mut json);
    routing(record, &mut json);
    rest(record, &mut json);
    json.raw("}\n");
}

fn sides(record: &Record, now: SystemTime, json: &mut Json<'_>) {
    json.raw("{\"type\":");
    json.word(kind(record));
    json.raw(key!("time"));
    json.timestamp(now);
    json.raw(key!("elb"));
    // Names in the configuration are letters, digits and hyphens.
    json.text(|json| json.raw(&record.recorder.load_balancer));
    json.raw(key!("client_port"));
    json.text(|json| json.address(record.connection.peer));
    json.raw(key!("target_port"));
    target(record, json);
}

fn outcome(record: &Record, json: &mut Json<'_>) {
    let [request, target, response] = record.times();
    json.raw(key!("request_processing_time"));
    json.seconds(request);
    json.raw(key!("target_processing_time"));
    json.seconds(target);
    json.raw(key!("response_processing_time"));
    json.seconds(response);
    json.raw(key!("elb_status_code"));
    json.maybe(record.status, |json, status| json.number(status.into()));
    json.raw(key!("target_status_code"));
    let status = record.target_status;
    json.maybe(status, |json, status| json.number(status.into()));
    json.raw(key!("received_bytes"));
    json.number(record.received);
    json.raw(key!("sent_bytes"));
    json.number(record.sent);
}

fn request(record: &Record, json: &mut Json<'_>) {
    json.raw(key!("request_line"));
    json.text(|json| request_line(record, json, escaped));
    json.raw(key!("user_agent"));
    let request = record.request.as_ref();
    value(
        request.and_then(|request| request.fields().get(Name::UserAgent)),
        json,
    );
}

fn encryption(record: &Record, json: &mut Json<'_>) {
    match &record.connection.tls {
        Some(tls) => {
            json.raw(key!("ssl_cipher"));
            json.word(lintel_common::tls::openssl_cipher_name(tls.cipher_suite));
            json.raw(key!("ssl_protocol"));
            json.word(lintel_common::tls::protocol_name(tls.protocol));
        }
        None => json.raw(concat!(
            key!("ssl_cipher"),
            "null",
            key!("ssl_protocol"),
            "null"
        )),
    }
}

fn routing(record: &Record, json: &mut Json<'_>) {
    json.raw(key!("target_group_arn"));
    json.maybe(record.group.as_ref(), |json, group| {
        json.text(|json| {
            json.raw("targetgroup/");
            json.raw(&group.target_group);
        });
    });
    json.raw(key!("trace_id"));
    value(record.trace_id.as_deref(), json);
    json.raw(key!("domain_name"));
    let tls = record.connection.tls.as_ref();
    let name = tls.and_then(|tls| tls.server_name.as_deref());
    json.maybe(name, |json, name| {
        json.text(|json| json.escaped(name.as_bytes()));
    });
    json.raw(key!("chosen_cert_arn"));
    let resumed = tls.is_some_and(|tls| tls.resumed);
    json.maybe(resumed.then_some("session-reused"), Json::word);
    json.raw(key!("matched_rule_priority"));
    json.maybe(record.rule_priority, |json, priority| {
        json.number(priority.into());
    });
    json.raw(key!("request_creation_time"));
    json.timestamp(record.started_at);
    json.raw(key!("actions_executed"));
    json.maybe(record.action, |json, action| {
        let rewritten = record.transformed.as_ref();
        let rewritten = rewritten.is_some_and(|transformed| transformed.applied);
        json.text(|json| {
            json.raw(if rewritten { "rewrite," } else { "" });
            json.raw(action);
        });
    });
    json.raw(key!("redirect_url"));
    let url = record.redirect_url.as_ref();
    value(url.map(http::HeaderValue::as_bytes), json);
}

fn rest(record: &Record, json: &mut Json<'_>) {
    json.raw(key!("error_reason"));
    json.maybe(record.error_reason, |json, token| {
        json.text(|json| json.raw(token));
    });
    json.raw(key!("target_port_list"));
    target(record, json);
    json.raw(key!("target_status_code_list"));
    json.maybe(record.target_status, |json, status| {
        json.text(|json| json.number(status.into()));
    });
    match record.classification {
        None => json.raw(concat!(
            key!("classification"),
            "null",
            key!("classification_reason"),
            "null"
        )),
        Some(classification) => {
            json.raw(key!("classification"));
            json.word(classification.tier.name());
            json.raw(key!("classification_reason"));
            json.word(classification.reason);
        }
    }
    json.raw(concat!(key!("conn_trace_id"), "\"TID_"));
    json.hex_id(record.connection.id);
    json.raw("\"");
    write_transforms(record, json);
    json.raw(key!("ip_address"));
    json.text(|json| json.ip(record.connection.local.ip()));
    json.raw(key!("reason"));
    json.maybe(record.error.map(GatewayError::reason), Json::word);
}

/// What the rule's transforms made of the request.
fn write_transforms(record: &Record, json: &mut Json<'_>) {
    let (host, uri, status) = transforms(record);
    json.raw(key!("transformed_host"));
    value(host.map(str::as_bytes), json);
    json.raw(key!("transformed_uri"));
    value(uri.map(str::as_bytes), json);
    json.raw(key!("request_transform_status"));
    json.maybe(status, Json::word);
}

/// What the rule's transforms made of host and URI, where they changed, and how that went.
pub(super) fn transforms(record: &Record) -> (Option<&str>, Option<&str>, Option<&'static str>) {
    let transformed = record.transformed.as_deref();
    let applied = transformed.filter(|transformed| transformed.applied);
    let status = match record.error {
        Some(GatewayError::Transform(error)) => Some(error.code()),
        _ => applied.map(|_| "TransformSuccess"),
    };
    let (host, uri) = match transformed {
        Some(transformed) => (transformed.host.as_deref(), transformed.uri.as_deref()),
        None => (None, None),
    };
    (host, uri, status)
}

pub(super) fn kind(record: &Record) -> &'static str {
    let connection = &record.connection;
    match (record.upgraded, connection.tls.is_some(), connection.http2) {
        (true, true, _) => "wss",
        (true, false, _) => "ws",
        (false, true, true) if record.is_grpc() => "grpcs",
        (false, true, true) => "h2",
        (false, true, false) => "https",
        (false, false, _) => "http",
    }
}

fn target(record: &Record, json: &mut Json<'_>) {
    json.maybe(record.target, |json, target| {
        json.text(|json| json.address(target));
    });
}

/// A header's value.
fn value(value: Option<&[u8]>, json: &mut Json<'_>) {
    json.maybe(value, |json, value| {
        json.text(|json| json.escaped(&value[..value.len().min(MOST)]));
    });
}

fn escaped(json: &mut Json<'_>, text: &[u8]) {
    json.escaped(text);
}

/// `METHOD proto://host:port/uri HTTP/x`, the URI as the client sent it.
pub(super) fn request_line(
    record: &Record,
    json: &mut Json<'_>,
    others: impl Fn(&mut Json<'_>, &[u8]),
) {
    let connection = &record.connection;
    let scheme = match connection.tls {
        Some(_) => " https://",
        None => " http://",
    };
    let Some(request) = &record.request else {
        json.raw("-");
        json.raw(scheme);
        json.ip(connection.local.ip());
        json.raw(":");
        json.number(connection.local.port().into());
        return json.raw("- -");
    };
    // Letters and the like.
    json.raw(request.method().as_str());
    json.raw(scheme);
    let host = request.authority().map(str::as_bytes);
    let host = host.or_else(|| request.fields().get(Name::Host));
    let host = host.and_then(|host| std::str::from_utf8(host).ok());
    others(json, host.map_or("-", crate::rule::without_port).as_bytes());
    json.raw(":");
    json.number(connection.local.port().into());
    others(json, request.path_and_query().as_bytes());
    json.raw(match request.version() {
        Version::HTTP_10 => " HTTP/1.0",
        Version::HTTP_2 => " HTTP/2.0",
        _ => " HTTP/1.1",
    });
}

#[cfg(test)]
mod tests;
