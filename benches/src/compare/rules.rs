//! Rules of a listener: a table of [`RULES`], of which only the last matches [`Request::Routed`], and that last one alone.
//! Every request is answered by the same rule in the same way, so what differs is what finding it costs.
//!
//! [`Request::Routed`]: super::request::Request::Routed

use std::fmt::Write as _;

use serde::Serialize;

/// As many as an ALB allows a load balancer.
pub(crate) const RULES: usize = 100;

/// What the conditions look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Conditions {
    PathsAndHosts,
    /// Values of one header, whole ones and such that begin so, and parts of another one.
    Headers,
    /// All six kinds, in turn; the last rule has five of them.
    AllKinds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    conditions: Conditions,
    count: usize,
}

impl Conditions {
    pub(crate) const ALL: [Self; 3] = [Self::PathsAndHosts, Self::Headers, Self::AllKinds];

    /// The last rule alone.
    pub(crate) fn one_rule(self) -> Rules {
        self.rules(1)
    }

    pub(crate) fn all_rules(self) -> Rules {
        self.rules(RULES)
    }

    fn rules(self, count: usize) -> Rules {
        Rules {
            conditions: self,
            count,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::PathsAndHosts => "paths-and-hosts",
            Self::Headers => "headers",
            Self::AllKinds => "all-kinds",
        }
    }

    /// Those of a rule, as a list in TOML. The request is one for number 100.
    fn of_rule(self, number: usize) -> String {
        let is_last = number == RULES;
        let path = if is_last {
            "{ path_pattern = ['/small'] }".to_owned()
        } else {
            format!("{{ path_pattern = ['/service-{number}/*'] }}")
        };
        let host = format!("{{ host_header = ['www.service-{number}.example.com'] }}");
        let header = |name: &str, value: &str| {
            format!("{{ http_header = {{ name = '{name}', values = ['{value}'] }} }}")
        };
        let tenant = header("X-Tenant", &format!("tenant-{number}"));
        let query = format!("{{ query_string = [{{ key = 'version', value = '{number}' }}] }}");
        let network = if is_last {
            "{ source_ip = ['127.0.0.0/8'] }".to_owned()
        } else {
            format!("{{ source_ip = ['10.{number}.0.0/16'] }}")
        };
        let method = |method| format!("{{ http_request_method = ['{method}'] }}");
        let conditions = match self {
            Self::PathsAndHosts if is_last => vec![path, host],
            Self::PathsAndHosts => match number % 3 {
                0 => vec![path, host],
                1 => vec![path],
                _ => vec![host],
            },
            Self::Headers if is_last => vec![tenant],
            Self::Headers => match number % 4 {
                0 | 1 => vec![tenant],
                2 => vec![header("X-Tenant", &format!("tenant-{number}-*"))],
                _ => vec![header("User-Agent", &format!("*Bot-{number}/*"))],
            },
            Self::AllKinds if is_last => vec![path, tenant, query, method("GET"), network],
            Self::AllKinds => match number % 6 {
                0 => vec![path],
                1 => vec![host],
                2 => vec![tenant],
                3 => vec![query],
                4 => vec![network],
                _ => vec![path, method("PUT")],
            },
        };
        format!("[{}]", conditions.join(", "))
    }
}

impl Rules {
    /// A key of the listener in TOML, a line a rule, every action being to forward.
    pub(crate) fn toml(self, target_group: &str) -> String {
        let mut text = String::from("rule = [\n");
        for number in RULES - self.count + 1..=RULES {
            let conditions = self.conditions.of_rule(number);
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "  {{ priority = {number}, condition = {conditions}, \
                 action = {{ type = 'forward', target_group = '{target_group}' }} }},"
            );
        }
        text.push_str("]\n");
        text
    }

    /// Behind the name of whoever has them.
    pub(super) fn title(self) -> &'static str {
        if self.count == 1 {
            " with one rule"
        } else {
            " with 100 rules"
        }
    }

    pub(super) fn file(self) -> String {
        let (count, word) = (self.count, self.conditions.word());
        format!("lintel-proxy-{count}-{word}.toml")
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::path::Path;

    use lintel_proxy::config;
    use lintel_proxy::http1::RequestHead;
    use lintel_proxy::rule::RuleInput;

    use super::super::request::Request;
    use super::*;

    #[test]
    fn only_the_last_rule_matches_and_none_is_superfluous() {
        let head = RequestHead::read(&Request::Routed.bytes());
        let (head, _) = head.expect("a valid head").expect("a whole head");
        let request = RuleInput {
            host: "www.service-100.example.com",
            head: &head,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            drop_invalid: false,
        };
        for conditions in Conditions::ALL {
            for (rules, tried) in [(conditions.one_rule(), 1), (conditions.all_rules(), RULES)] {
                let text = format!(
                    "[[target_group]]\nname = 'origin'\nport = 80\ntargets = ['127.0.0.1']\n\
                     [[listener]]\nport = 80\ndefault_action = {{ type = 'forward', target_group = 'origin' }}\n{}",
                    rules.toml("origin")
                );
                let loaded = config::parse(&text, Path::new("test.toml")).expect(&text);
                assert_eq!(loaded.warnings, [], "{text}");
                let trials = loaded.model.listeners[0].rules.trials(&request);
                assert_eq!(trials.len(), tried, "{text}");
                assert_eq!(trials.last().expect("one").mismatch, None, "{text}");
            }
        }
    }
}
