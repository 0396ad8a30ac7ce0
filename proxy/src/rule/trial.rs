//! How a table came to its choice: every rule that was tried, and what each that did not match saw in place of what it
//! demands. In words, for people; requests are answered without it.

use std::fmt;

use super::condition::{Comparison, Condition, Parameter, Subject, header_values};
use super::{Rule, RuleInput, RuleTable};

/// One rule that was tried.
#[derive(Debug)]
pub struct Trial<'t> {
    pub rule: &'t Rule,
    /// Why it does not match; `None` for the rule that does, which is the last.
    pub mismatch: Option<String>,
}

impl RuleTable {
    /// The rules up to the one that matches, or all of them where none does.
    pub fn trials(&self, request: &RuleInput<'_>) -> Vec<Trial<'_>> {
        let subject = Subject::new(request);
        let mut trials = Vec::new();
        for rule in &self.rules {
            let failing = rule
                .conditions
                .iter()
                .find(|condition| !condition.holds(&subject));
            let mismatch =
                failing.map(|condition| format!("{condition}: {}", seen(condition, &subject)));
            let matches = mismatch.is_none();
            trials.push(Trial { rule, mismatch });
            if matches {
                break;
            }
        }
        trials
    }
}

/// What a condition looked at.
fn seen(condition: &Condition, subject: &Subject<'_>) -> String {
    match condition {
        Condition::PathPattern(_) => format!("the path is \"{}\"", subject.path),
        Condition::HostHeader(_) => format!("the host is \"{}\"", subject.host),
        Condition::HttpHeader { name, .. } => {
            let values: Vec<String> = header_values(subject, name)
                .map(|value| format!("\"{value}\""))
                .collect();
            match values.as_slice() {
                [] => format!("there is no {name}"),
                values => format!("{name} is {}", values.join(", then ")),
            }
        }
        Condition::QueryString(_) => match subject.head.query() {
            None | Some("") => "there is no query".to_owned(),
            Some(query) => format!("the query is \"{query}\""),
        },
        Condition::HttpRequestMethod(_) => format!("the method is \"{}\"", subject.head.method()),
        Condition::SourceIp(_) => format!("the client is {}", subject.peer),
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PathPattern(values) => {
                f.write_str("path_pattern ")?;
                list(values, f)
            }
            Self::HostHeader(values) => {
                f.write_str("host_header ")?;
                list(values, f)
            }
            Self::HttpHeader { name, values } => {
                write!(f, "http_header {name} ")?;
                list(values, f)
            }
            Self::QueryString(parameters) => {
                f.write_str("query_string ")?;
                list(parameters, f)
            }
            Self::HttpRequestMethod(methods) => {
                f.write_str("http_request_method ")?;
                list(methods, f)
            }
            Self::SourceIp(networks) => {
                f.write_str("source_ip ")?;
                list(networks, f)
            }
        }
    }
}

fn list<T: fmt::Display>(values: &[T], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (nth, value) in values.iter().enumerate() {
        let before = if nth > 0 { " or " } else { "" };
        write!(f, "{before}{value}")?;
    }
    Ok(())
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wildcards(pattern) => write!(f, "{}", pattern.as_str()),
            Self::Regex(expression) => write!(f, "regex {}", expression.as_str()),
        }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = &self.key {
            write!(f, "{}=", key.as_str())?;
        }
        f.write_str(self.value.as_str())
    }
}
