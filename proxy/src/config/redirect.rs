//! The keys of a redirect action.

use std::net::Ipv6Addr;

use lintel_common::config_file::{Kind, Table, Value};

use super::listener::{Front, Protocol};
use super::not_supported::choose;
use super::values;
use crate::action::{Keyword, Redirect, Template};

const LONGEST_PART: usize = 128;

/// What may stand in one part of a redirect.
struct Part {
    key: &'static str,
    keywords: &'static [Keyword],
    /// Sees the text as it is written.
    fits: fn(&str) -> bool,
    right: &'static str,
}

const PROTOCOL: Part = Part {
    key: "protocol",
    keywords: &[Keyword::Protocol],
    fits: is_protocol,
    right: "HTTP, HTTPS or #{protocol}",
};
const HOST: Part = Part {
    key: "host",
    keywords: &[Keyword::Host],
    fits: is_host,
    right: "a host name without a port",
};
const PORT: Part = Part {
    key: "port",
    keywords: &[Keyword::Port],
    fits: is_port,
    right: "1 to 65535 or #{port}",
};
const PATH: Part = Part {
    key: "path",
    keywords: &[Keyword::Host, Keyword::Port, Keyword::Path],
    fits: is_path,
    right: "a path that begins with /",
};
const QUERY: Part = Part {
    key: "query",
    keywords: &Keyword::ALL,
    fits: is_query,
    right: "a query without the leading ?",
};

/// `None` after what is wrong was reported.
pub(super) fn read(table: &mut Table<'_>, front: Front) -> Option<Redirect> {
    let unchanged = Redirect::unchanged(301);
    let protocol = part(table, &PROTOCOL, &unchanged.protocol);
    let host = part(table, &HOST, &unchanged.host);
    let port = part(table, &PORT, &unchanged.port);
    let path = part(table, &PATH, &unchanged.path);
    let query = part(table, &QUERY, &unchanged.query);
    let status_code = table
        .required("status_code", "status_code = \"HTTP_301\"")
        .and_then(|value| choose(&value, &[("HTTP_301", 301), ("HTTP_302", 302)], &[]));
    let redirect = Redirect {
        protocol: protocol?,
        host: host?,
        port: port?,
        path: path?,
        query: query?,
        status_code: status_code?,
    };
    refuse_what_leads_nowhere(table, &redirect, &unchanged, front);
    Some(redirect)
}

/// `None` after it was reported.
fn part(table: &mut Table<'_>, part: &Part, left_out: &Template) -> Option<Template> {
    let Some(value) = table.get(part.key) else {
        return Some(left_out.clone());
    };
    let text = part_text(&value, part)?;
    if !values::is_short(&value, &text, LONGEST_PART) {
        return None;
    }
    match Template::parse(&text, part.keywords) {
        Ok(template) if (part.fits)(&text) => Some(template),
        Ok(_) => {
            value.error(
                format_args!("`{}` does not fit", value.shown()),
                format_args!("write {}", part.right),
            );
            None
        }
        Err(error) => {
            let keywords: Vec<String> = part
                .keywords
                .iter()
                .map(|keyword| format!("#{{{}}}", keyword.name()))
                .collect();
            value.error(
                error,
                format_args!("write {}; keywords are {}", part.right, keywords.join(", ")),
            );
            None
        }
    }
}

/// A string as on the ALB; a port may be written as the number it is.
fn part_text(value: &Value<'_>, part: &Part) -> Option<String> {
    if part.key == PORT.key && value.kind() == Kind::Integer {
        return value.integer().map(|number| number.to_string());
    }
    value.string().map(str::to_owned)
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
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
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
