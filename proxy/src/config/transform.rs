//! The tables in `transform` of a rule.

use lintel_common::config_file::{Table, Value};

use super::not_supported::choose;
use super::values;
use crate::rule::{Rewrite, RewriteError, Transforms};

const LONGEST: usize = 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    HostHeaderRewrite,
    UrlRewrite,
}

const TYPES: [(&str, Type); 2] = [
    ("host-header-rewrite", Type::HostHeaderRewrite),
    ("url-rewrite", Type::UrlRewrite),
];

/// `None` if the list is empty.
pub(super) fn read_all(value: &Value<'_>) -> Option<Transforms> {
    let mut transforms = Transforms {
        host_header_rewrite: None,
        url_rewrite: None,
    };
    for value in value.list()? {
        let Some((kind, rewrite)) = value.table(read).flatten() else {
            continue;
        };
        let place = match kind {
            Type::HostHeaderRewrite => &mut transforms.host_header_rewrite,
            Type::UrlRewrite => &mut transforms.url_rewrite,
        };
        if place.replace(rewrite).is_some() {
            value.error(
                "is a second transform of its type",
                "an ALB takes one of each in a rule: leave one out",
            );
        }
    }
    let any = transforms.host_header_rewrite.is_some() || transforms.url_rewrite.is_some();
    any.then_some(transforms)
}

fn read(table: &mut Table<'_>) -> Option<(Type, Rewrite)> {
    let kind = table
        .required("type", "type = \"url-rewrite\"")
        .and_then(|value| choose(&value, &TYPES, &[]));
    let value = table.required(
        "rewrite",
        "rewrite = [{ regex = \"^/api/(.*)$\", replace = \"/$1\" }]",
    )?;
    let rewrites = value.one_or_list();
    let [rewrite] = rewrites.as_slice() else {
        value.error(
            format_args!("holds {} rewrites", rewrites.len()),
            "write exactly one",
        );
        return None;
    };
    let rewrite = rewrite.table(|table| self::rewrite(table, kind)).flatten();
    Some((kind?, rewrite?))
}

fn rewrite(table: &mut Table<'_>, kind: Option<Type>) -> Option<Rewrite> {
    let regex = table.required("regex", "regex = \"^/api/(.*)$\"");
    let replace = table.required("replace", "replace = \"/$1\"");
    let text = |value: &Option<Value<'_>>| {
        let value = value.as_ref()?;
        let text = value.string()?;
        values::is_short(value, text, LONGEST).then(|| text.to_owned())
    };
    let (regex_text, replace_text) = (text(&regex), text(&replace));
    let made = match kind? {
        Type::HostHeaderRewrite => Rewrite::of_host(&regex_text?, &replace_text?),
        Type::UrlRewrite => Rewrite::of_url(&regex_text?, &replace_text?),
    };
    made.inspect_err(|error| refuse(error, regex.as_ref(), replace.as_ref()))
        .ok()
}

fn refuse(error: &RewriteError, regex: Option<&Value<'_>>, replace: Option<&Value<'_>>) {
    match (error, regex, replace) {
        (RewriteError::Regex(error), Some(regex), _) => values::refuse_regex(regex, error),
        (error, _, Some(replace)) => replace.error(
            error,
            "write visible ASCII; $1 is what the regex's first group matched, $$ a dollar sign",
        ),
        _ => {}
    }
}
