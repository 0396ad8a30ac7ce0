//! Tables in Markdown, their columns padded so that they read as well where nobody renders them.

use std::fmt::Write as _;

use super::Report;
use crate::compare::figure::{self, Figure, three_digits};
use crate::compare::outcome::{Outcome, Row};
use crate::compare::proxy::Role;
use crate::compare::statistics::Spread;

pub(super) fn preface(report: &Report) -> String {
    let machine = &report.machine;
    format!(
        "`{}`\n\n{}; {} processors ({}), Linux {}; {} workers; at least {} rounds of {} s that count. Ratios are medians of \
         the ratios within a round, (least-most).\n",
        report.command,
        report.date,
        machine.processors,
        machine.model,
        machine.kernel,
        report.workers,
        report.rounds,
        report.seconds
    )
}

pub(super) fn section(outcome: &Outcome, rows: &[Row]) -> String {
    let mut text = format!(
        "### {}: {}\n\n",
        outcome.workload.name, outcome.workload.title
    );
    text.push_str(&table(outcome, rows));
    let counting = outcome.counting().count();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "\n{counting} of {} rounds count.",
        outcome.rounds.len()
    );
    for failure in &outcome.failures {
        let _ = writeln!(text, "\n**FAILED**: {failure}");
    }
    text
}

/// Text; the columns behind it are numbers.
const LEFT: usize = 2;

fn table(outcome: &Outcome, rows: &[Row]) -> String {
    let columns = figure::columns(outcome.workload);
    let mut heads = vec!["proxy", "role", outcome.workload.unit().name()];
    let ratios = outcome.reference_names().iter();
    let ratios: Vec<String> = ratios.map(|name| format!("x {name}")).collect();
    heads.extend(ratios.iter().map(String::as_str));
    heads.extend(columns.iter().map(|column| column.head));
    heads.push("errors");
    let mut lines = vec![heads.into_iter().map(str::to_owned).collect()];
    lines.extend(
        rows.iter()
            .map(|row| cells(row, outcome.reference_names(), columns)),
    );
    padded(&lines)
}

fn cells(row: &Row, references: &[&str], columns: &[Figure]) -> Vec<String> {
    let nothing = || "-".to_owned();
    let mut cells = vec![row.name.clone()];
    cells.push(
        match row.role {
            Role::Ours => "",
            Role::Peer => "peer",
            Role::Floor => "floor",
            Role::Direct => "origin",
        }
        .to_owned(),
    );
    cells.push(match row.role {
        Role::Direct => nothing(),
        _ => spread(row.cost, three_digits),
    });
    cells.extend(references.iter().map(|name| match row.ratios.get(name) {
        Some(ratio) => spread(*ratio, |value| format!("{value:.2}")),
        None => nothing(),
    }));
    cells.extend(
        columns
            .iter()
            .map(|column| match row.figures.get(column.key) {
                Some(value) => column.format(*value),
                None => nothing(),
            }),
    );
    cells.push(row.errors.to_string());
    cells
}

fn spread(spread: Spread, format: fn(f64) -> String) -> String {
    let Spread { median, min, max } = spread;
    format!("{} ({}-{})", format(median), format(min), format(max))
}

/// The first line is that of the heads.
fn padded(lines: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..lines.first().map_or(0, Vec::len))
        .map(|column| {
            let cells = lines.iter().map(|line| line[column].len());
            cells.max().unwrap_or_default()
        })
        .collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (column, (cell, &width)) in line.iter().zip(&widths).enumerate() {
            // Writing to a String cannot fail.
            let _ = if column < LEFT {
                write!(text, "| {cell:<width$} ")
            } else {
                write!(text, "| {cell:>width$} ")
            };
        }
        text.push_str("|\n");
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let dashes = "-".repeat(width + 1);
                let _ = if column < LEFT {
                    write!(text, "|{dashes}-")
                } else {
                    write!(text, "|{dashes}:")
                };
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let line = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        let lines = [
            line(["proxy", "role", "CPU us/request", "errors"]),
            line(["lintel", "", "14.1 (13.0-15.5)", "0"]),
            line(["nginx 1.22.1", "peer", "-", "12"]),
        ];
        let text = "\
| proxy        | role |   CPU us/request | errors |
|--------------|------|-----------------:|-------:|
| lintel       |      | 14.1 (13.0-15.5) |      0 |
| nginx 1.22.1 | peer |                - |     12 |
";
        assert_eq!(padded(&lines), text);
    }

    #[test]
    fn a_row_has_a_cell_for_every_column() {
        let spread = |median| Spread {
            median,
            min: median,
            max: median,
        };
        let row = Row {
            name: "lintel".to_owned(),
            role: Role::Ours,
            cost: spread(14.06),
            ratios: [("best peer", spread(0.881))].into(),
            figures: [(figure::P50.key, 0.25)].into(),
            errors: 0,
        };
        let cells = cells(&row, &["best peer", "floor"], &[figure::P50, figure::P99]);
        let expected = [
            "lintel",
            "",
            "14.1 (14.1-14.1)",
            "0.88 (0.88-0.88)",
            "-",
            "0.250",
            "-",
            "0",
        ];
        assert_eq!(cells, expected);
    }
}
