//! Where the instructions are, as a table of functions.

use std::fmt;

use super::callgrind::Costs;

const ROWS: usize = 40;
/// Of the first functions it is told who calls them: copying and allocating are dear because of somebody.
const WITH_CALLERS: usize = 10;
const CALLERS: usize = 3;
/// Names of generic functions can be many lines long.
const WIDTH: usize = 110;

/// The dearest functions, by their own cost, then by all they call.
pub(super) struct Table {
    /// By function: name, own and inclusive instructions a request.
    by_own: Vec<Row>,
    by_inclusive: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Caller {
    /// What its calls cost, a request.
    cost: u64,
    name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    own: u64,
    inclusive: u64,
    name: String,
    callers: Vec<Caller>,
}

impl Table {
    pub(super) fn new(costs: &Costs, requests: u64) -> Self {
        let mut rows: Vec<Row> = costs
            .functions
            .iter()
            .map(|(name, cost)| Row {
                own: cost.own / requests,
                inclusive: cost.inclusive / requests,
                name: name.clone(),
                callers: Vec::new(),
            })
            .filter(|row| row.inclusive > 0)
            .collect();
        rows.sort_by(|a, b| b.inclusive.cmp(&a.inclusive).then(a.name.cmp(&b.name)));
        let by_inclusive = rows.iter().take(ROWS).cloned().collect();
        rows.sort_by(|a, b| b.own.cmp(&a.own).then(a.name.cmp(&b.name)));
        rows.truncate(ROWS);
        for row in rows.iter_mut().take(WITH_CALLERS) {
            row.callers = callers(costs, requests, &row.name);
        }
        Self {
            by_own: rows,
            by_inclusive,
        }
    }
}

/// The dearest ones of a function.
fn callers(costs: &Costs, requests: u64, name: &str) -> Vec<Caller> {
    let mut callers: Vec<Caller> = costs
        .calls
        .iter()
        .filter(|((_, called), _)| called == name)
        .map(|((caller, _), cost)| Caller {
            cost: cost / requests,
            name: caller.clone(),
        })
        .filter(|caller| caller.cost > 0)
        .collect();
    callers.sort_by(|a, b| b.cost.cmp(&a.cost).then(a.name.cmp(&b.name)));
    callers.truncate(CALLERS);
    callers
}

/// As much of a name as fits a line.
fn short(name: &str) -> String {
    name.chars().take(WIDTH).collect()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (heading, rows) in [
            ("the dearest functions by themselves", &self.by_own),
            (
                "the dearest functions with what they call",
                &self.by_inclusive,
            ),
        ] {
            writeln!(
                f,
                "\n{heading}, in instructions a request\n{:>9} {:>9}  function",
                "own", "with all"
            )?;
            for row in rows {
                writeln!(
                    f,
                    "{:>9} {:>9}  {}",
                    row.own,
                    row.inclusive,
                    short(&row.name)
                )?;
                for caller in &row.callers {
                    writeln!(
                        f,
                        "{:>19}    for {:>6} from {}",
                        "",
                        caller.cost,
                        short(&caller.name)
                    )?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instructions::callgrind::Cost;

    #[test]
    fn functions_are_ordered_by_either_cost() {
        let functions = [
            ("main", 10, 1000),
            ("serve", 300, 900),
            ("idle", 5, 9),
            ("copy", 400, 400),
        ]
        .map(|(name, own, inclusive)| (name.to_owned(), Cost { own, inclusive }));
        let costs = Costs {
            total: 1000,
            functions: functions.into(),
            calls: [("main", 100), ("serve", 290), ("idle", 9)]
                .map(|(caller, cost)| ((caller.to_owned(), "copy".to_owned()), cost))
                .into(),
        };
        let table = Table::new(&costs, 10);
        let names = |rows: &[Row]| rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&table.by_own), ["copy", "serve", "main"]);
        assert_eq!(names(&table.by_inclusive), ["main", "serve", "copy"]);
        assert!(
            table.to_string().contains("       30        90  serve\n"),
            "{table}"
        );
    }
}
