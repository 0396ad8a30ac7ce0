//! The tables in `condition` of a rule: one kind of condition each. What a single text may be is said in `text`.

mod text;

use std::collections::BTreeMap;

use ipnet::IpNet;
use lintel_common::config_file::{Kind, Table, Value};

use super::values;
use crate::rule::{Comparison, Condition, Parameter, Pattern};

const LONGEST_METHOD: usize = 40;
const LONGEST_NAME: usize = 40;

/// A key of a condition's table, and how its value is read.
struct Reader {
    key: &'static str,
    /// An ALB takes only one in a rule.
    once: bool,
    read: fn(&Value<'_>) -> Option<Condition>,
}

const READERS: [Reader; 6] = [
    Reader {
        key: "path_pattern",
        once: true,
        read: |value| Some(Condition::PathPattern(comparisons(value, &text::PATH))),
    },
    Reader {
        key: "host_header",
        once: true,
        read: |value| Some(Condition::HostHeader(comparisons(value, &text::HOST))),
    },
    Reader {
        key: "http_request_method",
        once: true,
        read: |value| Some(http_request_method(value)),
    },
    Reader {
        key: "source_ip",
        once: true,
        read: |value| Some(source_ip(value)),
    },
    Reader {
        key: "http_header",
        once: false,
        read: |value| value.table(http_header).flatten(),
    },
    Reader {
        key: "query_string",
        once: false,
        read: |value| Some(query_string(value)),
    },
];

/// `kinds` holds the keys of the rule's earlier conditions, and where they are.
pub(super) fn read(
    table: &mut Table<'_>,
    kinds: &mut BTreeMap<&'static str, String>,
) -> Option<Condition> {
    let found: Vec<(&Reader, Value<'_>)> = READERS
        .iter()
        .filter_map(|reader| Some((reader, table.get(reader.key)?)))
        .collect();
    for (Reader { key, .. }, value) in found.iter().filter(|(reader, _)| reader.once) {
        if let Some(earlier) = kinds.get(key) {
            value.error(
                format_args!("{earlier} is a {key} too"),
                "put all values into one condition: any of them may match",
            );
        } else {
            kinds.insert(key, table.key().to_owned());
        }
    }
    match found.len() {
        0 => table.error(
            "is no condition",
            "write one such as { path_pattern = [\"/api/*\"] }",
        ),
        1 => {}
        _ => table.error(
            "is several conditions in one",
            "give each a table of its own: all of them must hold",
        ),
    }
    // Each of them is looked at, so that all mistakes are found at once.
    let read = found.iter().map(|(reader, value)| (reader.read)(value));
    read.collect::<Vec<_>>().pop().flatten()
}

/// A list, or `{ values = [...] }`.
fn listed<'r>(value: &Value<'r>) -> Vec<Value<'r>> {
    let list = if value.kind() == Kind::Table {
        let values = |table: &mut Table<'r>| table.required("values", "values = [...]")?.list();
        value.table(values).flatten()
    } else {
        value.list()
    };
    if list.as_ref().is_some_and(Vec::is_empty) {
        value.error(EMPTY.0, EMPTY.1);
    }
    list.unwrap_or_default()
}

/// What is wrong with no values, and what would be right.
const EMPTY: (&str, &str) = (
    "is empty, so it can never match",
    "write at least one value",
);

/// A list, or `{ values = [...], regex_values = [...] }` with at least one of the two.
fn comparisons(value: &Value<'_>, kind: &text::Kind) -> Vec<Comparison> {
    if value.kind() != Kind::Table {
        return patterns(&listed(value), kind);
    }
    let read = |table: &mut Table<'_>| values_and_regexes(table, kind);
    value.table(read).unwrap_or_default()
}

fn values_and_regexes(table: &mut Table<'_>, kind: &text::Kind) -> Vec<Comparison> {
    let regexes = table.get("regex_values");
    let values = match regexes {
        Some(_) => table.get("values"),
        None => table.required("values", "values = [...]"),
    };
    let [values, regexes] = [values, regexes].map(|value| value.and_then(|value| value.list()));
    let given = values.is_some() || regexes.is_some();
    let (values, regexes) = (values.unwrap_or_default(), regexes.unwrap_or_default());
    if given && values.is_empty() && regexes.is_empty() {
        table.error(EMPTY.0, EMPTY.1);
    }
    let mut comparisons = patterns(&values, kind);
    comparisons.extend(regexes.iter().filter_map(|value| text::regex(value, kind)));
    comparisons
}

fn patterns(values: &[Value<'_>], kind: &text::Kind) -> Vec<Comparison> {
    let patterns = values.iter().filter_map(|value| text::pattern(value, kind));
    patterns.collect()
}

fn http_header(table: &mut Table<'_>) -> Option<Condition> {
    let name = table.required("name", "name = \"X-Canary\"");
    let name = name.and_then(|value| header_name(&value));
    let values = values_and_regexes(table, &text::HEADER);
    Some(Condition::HttpHeader {
        name: name?,
        values,
    })
}

fn header_name(value: &Value<'_>) -> Option<String> {
    let name = value.string()?;
    if !values::is_short(value, name, LONGEST_NAME) {
        return None;
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_name) {
        value.error(
            format_args!("`{}` is not the name of a header", value.shown()),
            "write a name such as \"X-Canary\", without wildcards",
        );
        return None;
    }
    if name.eq_ignore_ascii_case("host") {
        value.error("is for host_header", "write { host_header = [...] }");
        return None;
    }
    Some(name.to_owned())
}

fn query_string(value: &Value<'_>) -> Condition {
    let parameters = listed(value);
    let parameters = parameters
        .iter()
        .filter_map(|value| value.table(parameter).flatten());
    Condition::QueryString(parameters.collect())
}

fn parameter(table: &mut Table<'_>) -> Option<Parameter> {
    let key = table.get("key").map(|value| {
        if value.string() == Some("") {
            value.error("is empty", "leave it out for any key");
        }
        text::escaped(&value)
    });
    let value = table.required("value", "value = \"2\"");
    let value: Pattern = text::escaped(&value?)?;
    Some(Parameter {
        key: match key {
            Some(key) => Some(key?),
            None => None,
        },
        value,
    })
}

fn http_request_method(value: &Value<'_>) -> Condition {
    let method = |value: &Value<'_>| {
        let method = value.string()?;
        if !values::is_short(value, method, LONGEST_METHOD) {
            return None;
        }
        let is_letter = |byte: u8| byte.is_ascii_uppercase() || b"-_".contains(&byte);
        if method.is_empty() || !method.bytes().all(is_letter) {
            value.error(
                format_args!("`{}` is not a method", value.shown()),
                "write capital letters, - and _, such as \"GET\"",
            );
            return None;
        }
        Some(method.to_owned())
    };
    let methods = listed(value).iter().filter_map(method).collect();
    Condition::HttpRequestMethod(methods)
}

fn source_ip(value: &Value<'_>) -> Condition {
    let networks = listed(value).iter().filter_map(network).collect();
    Condition::SourceIp(networks)
}

fn network(value: &Value<'_>) -> Option<IpNet> {
    let text = value.string()?;
    let Ok(network) = text.parse::<IpNet>() else {
        value.error(
            format_args!("`{}` is not a network", value.shown()),
            "write an address and a length, such as \"10.0.0.0/8\" or \"2001:db8::1/128\"",
        );
        return None;
    };
    if text == "255.255.255.255/32" {
        value.error(
            "`255.255.255.255/32` is nobody's address",
            "leave it out, as an ALB refuses it",
        );
        return None;
    }
    if network.trunc() != network {
        value.warn(
            format_args!("`{network}` has bits behind its length"),
            format_args!("it means {}", network.trunc()),
        );
    }
    Some(network.trunc())
}
