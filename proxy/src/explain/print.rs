//! An explanation as lines for people, and as one JSON object.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::answer::{Explanation, Group, Outcome};

pub(super) fn text(explanation: &Explanation) -> String {
    let mut text = String::new();
    let mut line = |what: &str, value: &dyn std::fmt::Display| {
        // Writing to memory cannot fail.
        let _ = writeln!(text, "{what:<12}{value}");
    };
    line(
        "request",
        &format_args!("{} from {}", explanation.request, explanation.from),
    );
    line("listener", &explanation.listener);
    for (priority, mismatch) in &explanation.tried {
        line(
            &format!("rule {priority}"),
            &format_args!("no match: {mismatch}"),
        );
    }
    match explanation.rule {
        Some(0) => line("default", &"no rule matches"),
        Some(priority) => line(&format!("rule {priority}"), &"matches"),
        None => {}
    }
    if let Some(transformed) = &explanation.transformed {
        if !transformed.applied {
            line("transform", &"no match, nothing changes");
        }
        if let Some(host) = &transformed.host {
            line("transform", &format_args!("host {host}"));
        }
        if let Some(uri) = &transformed.uri {
            line("transform", &format_args!("URL {uri}"));
        }
    }
    match &explanation.outcome {
        Outcome::Refused(error) => line(
            "answer",
            &format_args!("{} {}: {error}", error.status(), error.reason()),
        ),
        Outcome::Fixed {
            status,
            content_type,
            body,
        } => {
            line("action", &"fixed-response");
            line(
                "answer",
                &format_args!("{status} {}", content_type.unwrap_or_default()),
            );
            line("", body);
        }
        Outcome::Redirect { status, location } => {
            line("action", &"redirect");
            line("answer", &format_args!("{status} {location}"));
        }
        Outcome::Forward { groups, head } => {
            line("action", &"forward");
            for group in groups {
                line("group", &shown(group));
            }
            for (nth, field) in head.iter().enumerate() {
                line(if nth == 0 { "target sees" } else { "" }, field);
            }
        }
    }
    // Where there is nothing behind the margin.
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    lines.join("\n") + "\n"
}

fn shown(group: &Group) -> String {
    let percent = group.share * 100.0;
    let targets = match group.targets.as_slice() {
        [] => "no targets in the file".to_owned(),
        targets => targets.join(", "),
    };
    let only = if group.http2_only {
        "; 464 for clients that do not speak HTTP/2"
    } else {
        ""
    };
    format!("{} ({percent:.1} %): {targets}{only}", group.name)
}

pub(super) fn json(explanation: &Explanation) -> Value {
    let tried = explanation
        .tried
        .iter()
        .map(|(priority, mismatch)| json!({ "priority": priority, "mismatch": mismatch }));
    let transformed = explanation.transformed.as_ref().map(|transformed| {
        json!({
            "applied": transformed.applied,
            "host": transformed.host,
            "uri": transformed.uri,
        })
    });
    json!({
        "request": explanation.request,
        "from": explanation.from.to_string(),
        "listener": explanation.listener,
        "not_matching": tried.collect::<Value>(),
        "rule": explanation.rule,
        "transformed": transformed,
        "outcome": outcome(&explanation.outcome),
    })
}

fn outcome(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Refused(error) => json!({
            "action": null,
            "status": error.status(),
            "reason": error.reason(),
        }),
        Outcome::Fixed {
            status,
            content_type,
            body,
        } => json!({
            "action": "fixed-response",
            "status": status,
            "content_type": content_type,
            "message_body": body,
        }),
        Outcome::Redirect { status, location } => json!({
            "action": "redirect",
            "status": status,
            "location": location,
        }),
        Outcome::Forward { groups, head } => {
            let groups = groups.iter().map(|group| {
                json!({
                    "name": group.name,
                    "weight": group.weight,
                    "share": group.share,
                    "targets": group.targets,
                    "http2_only": group.http2_only,
                })
            });
            json!({
                "action": "forward",
                "target_groups": groups.collect::<Value>(),
                "target_sees": head,
            })
        }
    }
}
