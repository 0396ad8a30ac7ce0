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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleTable {
    rules: Vec<Rule>,
    index: Index,
    default_action: Action,
}

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
}

/// The rule that matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selected<'t> {
    /// 0 for the default rule, as in the access log.
    pub priority: u32,
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
    /// The request is prepared once (host without port, path in normal form); the rules that its host and path leave
    /// possible are tried, which are few in most tables.
    pub fn select(&self, request: &RuleInput<'_>) -> Selected<'_> {
        let default = Selected {
            priority: 0,
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
    use proptest::collection::vec;
    use proptest::prelude::*;

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

    /// Every rule in turn, which is what the index has to equal.
    fn scanned(table: &RuleTable, host: &str, path: &str) -> u32 {
        let head = head(path);
        let subject = Subject::new(&RuleInput {
            host,
            head: &head,
            peer: PEER,
        });
        let found = table.rules.iter().find(|rule| rule.holds(&subject));
        found.map_or(0, |rule| rule.priority)
    }

    /// Small alphabets, so that patterns nest, repeat and overlap.
    fn comparisons(
        wildcards: &'static str,
        case: fn(&str) -> Pattern,
        regex: fn(&str) -> Result<Expression, ExpressionError>,
    ) -> impl Strategy<Value = Vec<Comparison>> {
        let pattern = wildcards.prop_map(move |text| Comparison::Wildcards(case(&text)));
        let expression = "[\\^]?[ab/.]{1,3}[$]?"
            .prop_map(move |text| Comparison::Regex(regex(&text).expect("a valid one")));
        vec(prop_oneof![4 => pattern, 1 => expression], 0..3)
    }

    fn conditions() -> impl Strategy<Value = Vec<Condition>> {
        let hosts = comparisons(
            "[abA.*?]{0,5}",
            Pattern::case_insensitive,
            Expression::case_insensitive,
        );
        let paths = comparisons(
            "/[ab/*?]{0,5}|[a*?]{1,2}",
            Pattern::case_sensitive,
            Expression::case_sensitive,
        );
        // What the index does not know.
        let other = prop_oneof![
            3 => Just(None),
            1 => Just(Some(Condition::HttpRequestMethod(vec!["GET".to_owned()]))),
            1 => Just(Some(Condition::HttpRequestMethod(vec!["PUT".to_owned()]))),
        ];
        (hosts, paths, other).prop_map(|(hosts, paths, other)| {
            let mut conditions = Vec::from_iter(other);
            if !hosts.is_empty() {
                conditions.push(Condition::HostHeader(hosts));
            }
            if !paths.is_empty() {
                conditions.push(Condition::PathPattern(paths));
            }
            conditions
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_index_finds_what_a_scan_finds(
            rules in vec(conditions(), 0..12),
            requests in vec(("[abAB.]{0,5}(:80)?", "/[ab/.]{0,6}|[*]"), 1..8),
        ) {
            let rules = (1..).zip(rules).map(|(priority, conditions)| rule(priority, conditions));
            let table = RuleTable::new(rules.collect(), forward(0));
            for (host, path) in requests {
                let found = selected(&table, &host, &path);
                prop_assert_eq!(found, scanned(&table, &host, &path), "{} {}", host, path);
                let head = head(&path);
                let trials = table.trials(&RuleInput { host: &host, head: &head, peer: PEER });
                let last = trials.last().filter(|trial| trial.mismatch.is_none());
                prop_assert_eq!(last.map_or(0, |trial| trial.rule.priority), found);
            }
        }
    }

    /// More pairs of host and path than the index makes.
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
