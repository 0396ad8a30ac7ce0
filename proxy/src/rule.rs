//! Listener rules: which action answers a request. Pure: the request's parts in, the chosen rule out.
//!
//! Not here: what the action then does (`action`), how a rule is written down (`config`).

mod condition;
mod cover;
mod expression;
mod host;
mod index;
mod pattern;
mod transform;
mod trial;

use std::net::IpAddr;

pub use condition::{Comparison, Condition, Parameter};
pub use expression::{Expression, ExpressionError};
pub(crate) use host::{is_host, without_port};
pub use pattern::Pattern;
pub use transform::{Rewrite, RewriteError, TransformError, Transformed, Transforms};
pub use trial::Trial;

use crate::action::Action;
use crate::http1::RequestHead;
use condition::Subject;
use index::Index;

/// The rules of one listener, in the order in which they are tried, and what happens when none of them matches.
#[derive(Debug, Clone)]
pub struct RuleTable {
    rules: Vec<Rule>,
    index: Index,
    default_action: Action,
}

impl PartialEq for RuleTable {
    /// The index follows from the rules.
    fn eq(&self, other: &Self) -> bool {
        self.rules == other.rules && self.default_action == other.default_action
    }
}

impl Eq for RuleTable {}

/// All conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// 1 to 50000, unique in its table; the lowest is tried first.
    pub priority: u32,
    pub conditions: Vec<Condition>,
    /// What a target sees in place of what the client sent.
    pub transforms: Option<Transforms>,
    pub action: Action,
}

/// What conditions look at, as the client sent it.
#[derive(Debug, Clone, Copy)]
pub struct RuleInput<'a> {
    /// The (first) Host header or `:authority`, a port still on; empty if there was none.
    pub host: &'a str,
    pub head: &'a RequestHead,
    /// The other end of the client's connection.
    pub peer: IpAddr,
    /// Fields with invalid names are as if they had not been sent.
    pub drop_invalid: bool,
}

/// The rule that matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selected<'t> {
    /// 0 for the default rule, as in the access log.
    pub priority: u32,
    /// How many rules an ALB, which tries one after the other, has looked at by then; the default rule is not counted.
    pub evaluations: usize,
    pub transforms: Option<&'t Transforms>,
    pub action: &'t Action,
}

impl RuleTable {
    pub fn new(mut rules: Vec<Rule>, default_action: Action) -> Self {
        rules.sort_by_key(|rule| rule.priority);
        Self {
            index: Index::new(&rules),
            rules,
            default_action,
        }
    }

    /// The first rule whose conditions all hold, else the default rule.
    ///
    /// The request is prepared once (host without port, path in normal form); the rules that the index leaves possible
    /// are tried, which are one or none in most tables.
    pub fn select(&self, request: &RuleInput<'_>) -> Selected<'_> {
        let default = Selected {
            priority: 0,
            evaluations: self.rules.len(),
            transforms: None,
            action: &self.default_action,
        };
        if self.rules.is_empty() {
            return default;
        }
        let subject = Subject::new(request);
        self.index
            .first(&subject, |position| self.rules[position].holds(&subject))
            .map_or(default, |position| {
                let rule = &self.rules[position];
                Selected {
                    priority: rule.priority,
                    evaluations: position + 1,
                    transforms: rule.transforms.as_ref(),
                    action: &rule.action,
                }
            })
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub fn default_action(&self) -> &Action {
        &self.default_action
    }

    /// Every action of the table, the default one last.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.rules
            .iter()
            .map(|rule| &rule.action)
            .chain(std::iter::once(&self.default_action))
    }
}

impl Rule {
    fn holds(&self, subject: &Subject<'_>) -> bool {
        self.conditions
            .iter()
            .all(|condition| condition.holds(subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Forward;

    fn forward(target_group: usize) -> Action {
        Action::Forward(Forward::to(target_group))
    }

    fn rule(priority: u32, conditions: Vec<Condition>) -> Rule {
        Rule {
            priority,
            conditions,
            transforms: None,
            action: forward(priority as usize),
        }
    }

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// Of what a client asks for at that path, which may be `*`.
    fn head(path: &str) -> RequestHead {
        let method = if path == "*" { "OPTIONS" } else { "GET" };
        let text = format!("{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        let read = RequestHead::read(text.as_bytes()).expect("a valid head");
        read.expect("a whole head").0
    }

    fn selected(table: &RuleTable, host: &str, path: &str) -> u32 {
        let head = head(path);
        let selected = table.select(&RuleInput {
            host,
            head: &head,
            peer: PEER,
            drop_invalid: false,
        });
        assert_eq!(
            selected.action,
            &forward(selected.priority as usize),
            "priority and action belong together"
        );
        selected.priority
    }

    #[test]
    fn lowest_matching_priority_wins_however_the_rules_are_ordered() {
        let table = RuleTable::new(
            vec![
                rule(30, vec![Condition::path_pattern(["/api/*"])]),
                rule(10, vec![Condition::path_pattern(["/api/v1/*"])]),
                rule(
                    20,
                    vec![
                        Condition::host_header(["*.example.com"]),
                        Condition::path_pattern(["/api/*", "/img/*"]),
                    ],
                ),
            ],
            forward(0),
        );
        let cases = [
            ("localhost", "/api/v1/x", 10),
            ("localhost", "/api/v2/x", 30),
            ("www.example.com", "/api/v2/x", 20),
            ("www.example.com", "/api/v1/x", 10),
            ("www.example.com", "/img/a.png", 20),
            ("example.com", "/img/a.png", 0),
            ("www.example.com", "/", 0),
            ("", "/", 0),
        ];
        for (host, path, priority) in cases {
            assert_eq!(selected(&table, host, path), priority, "{host}{path}");
        }
        assert_eq!(
            table.actions().collect::<Vec<_>>(),
            [&forward(10), &forward(20), &forward(30), &forward(0)]
        );
    }

    #[test]
    fn only_the_default_action() {
        let table = RuleTable::new(Vec::new(), forward(0));
        assert_eq!(selected(&table, "example.com", "/any"), 0);
    }

    #[test]
    fn a_rule_of_very_many_values_is_found() {
        let names = |beginning: &str| {
            (0..40)
                .map(|n| format!("{beginning}{n}"))
                .collect::<Vec<_>>()
        };
        let (hosts, paths) = (names("h"), names("/p"));
        let table = RuleTable::new(
            vec![rule(
                7,
                vec![
                    Condition::host_header(hosts.iter().map(String::as_str)),
                    Condition::path_pattern(paths.iter().map(String::as_str)),
                ],
            )],
            forward(0),
        );
        for (host, path, priority) in [
            ("h39", "/p0", 7),
            ("h0", "/p39", 7),
            ("h40", "/p0", 0),
            ("h0", "/p", 0),
        ] {
            assert_eq!(selected(&table, host, path), priority, "{host}{path}");
        }
    }
}
