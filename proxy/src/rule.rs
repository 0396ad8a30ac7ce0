//! Listener rules: which action answers a request. Pure: the request's parts in, the chosen rule out.
//!
//! Not here: what the action then does (`action`), how a rule is written down (`config`).

mod condition;
mod pattern;

pub use condition::Condition;
pub(crate) use condition::without_port;
pub use pattern::Pattern;

use crate::action::Action;
use condition::Subject;

/// The rules of one listener, in the order in which they are tried, and what happens when none of them matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleTable {
    rules: Vec<Rule>,
    default_action: Action,
}

/// All conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// 1 to 50000, unique in its table; the lowest is tried first.
    pub priority: u32,
    pub conditions: Vec<Condition>,
    pub action: Action,
}

/// What conditions look at, as the client sent it.
#[derive(Debug, Clone, Copy)]
pub struct RuleInput<'a> {
    /// The (first) Host header or `:authority`, a port still on; empty if there was none.
    pub host: &'a str,
    /// Without the query, percent-encoding as received.
    pub path: &'a str,
}

/// The rule that matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selected<'t> {
    /// 0 for the default rule, as in the access log.
    pub priority: u32,
    pub action: &'t Action,
}

impl RuleTable {
    pub fn new(mut rules: Vec<Rule>, default_action: Action) -> Self {
        rules.sort_by_key(|rule| rule.priority);
        Self {
            rules,
            default_action,
        }
    }

    /// The first rule whose conditions all hold, else the default rule.
    ///
    /// The request is prepared once (host without port, path in normal form), then the rules are tried one by one.
    pub fn select(&self, request: &RuleInput<'_>) -> Selected<'_> {
        let default = Selected {
            priority: 0,
            action: &self.default_action,
        };
        if self.rules.is_empty() {
            return default;
        }
        let subject = Subject::new(request);
        self.rules
            .iter()
            .find(|rule| {
                rule.conditions
                    .iter()
                    .all(|condition| condition.holds(&subject))
            })
            .map_or(default, |rule| Selected {
                priority: rule.priority,
                action: &rule.action,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Forward;

    fn forward(target_group: usize) -> Action {
        Action::Forward(Forward { target_group })
    }

    fn rule(priority: u32, conditions: Vec<Condition>) -> Rule {
        Rule {
            priority,
            conditions,
            action: forward(priority as usize),
        }
    }

    fn selected(table: &RuleTable, host: &str, path: &str) -> u32 {
        let selected = table.select(&RuleInput { host, path });
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
}
