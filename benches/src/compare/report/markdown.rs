//! Tables in Markdown, their columns padded so that they read as well where nobody renders them.

use std::fmt::Write as _;

use super::Report;
use crate::compare::proxy::Role;
use crate::compare::rounds::{Outcome, Row};
use crate::compare::statistics::Spread;

pub(super) fn preface(report: &Report) -> String {
    let machine = &report.machine;
    format!(
        "{}; {} processors ({}), Linux {}; {} workers; at least {} rounds of {} s that count.\n\
         Ratios are medians of the ratios within a round, (least-most).\n",
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
    text.push_str(&table(rows));
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

const HEADS: [&str; 12] = [
    "proxy",
    "role",
    "CPU us/request",
    "x best peer",
    "x floor",
    "user %",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "p99.9 ms",
    "peak RSS MiB",
    "errors",
];

/// Text; the columns behind it are numbers.
const LEFT: usize = 2;

fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEADS.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let widths: Vec<usize> = (0..HEADS.len())
        .map(|column| {
            lines
                .iter()
                .map(|line| line[column].len())
                .max()
                .unwrap_or_default()
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

fn cells(row: &Row) -> [String; HEADS.len()] {
    let role = match row.role {
        Role::Ours => "",
        Role::Peer => "peer",
        Role::Floor => "floor",
    };
    [
        row.name.clone(),
        role.to_owned(),
        spread(row.cost, significant),
        ratio(row.to_best_peer),
        ratio(row.to_floor),
        format!("{:.0}", row.user_share * 100.0),
        format!("{:.0}", row.requests_per_second),
        significant(row.p50_ms),
        significant(row.p99_ms),
        significant(row.p99_9_ms),
        format!("{:.1}", row.peak_resident_kib as f64 / 1024.0),
        row.errors.to_string(),
    ]
}

fn ratio(ratio: Option<Spread>) -> String {
    ratio.map_or_else(
        || "-".to_owned(),
        |ratio| spread(ratio, |value| format!("{value:.2}")),
    )
}

fn spread(spread: Spread, format: fn(f64) -> String) -> String {
    let Spread { median, min, max } = spread;
    format!("{} ({}-{})", format(median), format(min), format(max))
}

/// Three digits, or all before the point.
fn significant(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits() {
        for (value, text) in [
            (1234.5, "1234"),
            (123.4, "123"),
            (12.34, "12.3"),
            (1.234, "1.23"),
            (0.1234, "0.123"),
            (0.0, "0.000"),
        ] {
            assert_eq!(significant(value), text);
        }
    }

    #[test]
    fn columns_stand_below_each_other() {
        let cost = Spread {
            median: 14.06,
            min: 13.0,
            max: 15.5,
        };
        let row = |name: &str, role, errors| Row {
            name: name.to_owned(),
            role,
            cost,
            to_best_peer: Some(Spread {
                median: 0.881,
                min: 0.8,
                max: 1.0,
            }),
            to_floor: None,
            user_share: 0.314,
            requests_per_second: 50_000.4,
            p50_ms: 0.5,
            p99_ms: 1.5,
            p99_9_ms: 10.25,
            peak_resident_kib: 20_480,
            errors,
        };
        let text = table(&[
            row("lintel", Role::Ours, 0),
            row("nginx 1.22.1", Role::Peer, 12),
        ]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(
            lines.iter().all(|line| line.len() == lines[0].len()),
            "{text}"
        );
        assert!(lines[1].starts_with("|--------------|------|---"), "{text}");
        assert!(lines[1].ends_with("-------:|"), "{text}");
        let cells = "| 14.1 (13.0-15.5) | 0.88 (0.80-1.00) |       - |     31 |      50000 |";
        assert!(lines[2].contains(cells), "{text}");
        assert!(lines[3].ends_with("|     12 |"), "{text}");
    }
}
