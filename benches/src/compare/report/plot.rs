//! A plot of the ratios as SVG: a line a workload, on it everybody's cost in terms of the best peer's, the median as a
//! dot on a bar from the least to the most. Written for light and dark pages, and without a font of its own.

use std::fmt::Write as _;

use super::Section;
use crate::compare::proxy::Role;
use crate::compare::statistics::Spread;

const REFERENCE: &str = "best peer";

const WIDTH: f64 = 860.0;
/// Of the scale: from here, to there, up to this ratio.
const LEFT: f64 = 190.0;
const RIGHT: f64 = 800.0;
const MOST: f64 = 2.5;
const GRID: [(f64, &str); 5] = [
    (0.5, "grid"),
    (1.0, "one"),
    (1.5, "grid"),
    (2.0, "grid"),
    (2.5, "grid"),
];

const TOP: f64 = 84.0;
/// Between two on a line of a workload, and what is left free around them.
const STEP: f64 = 11.0;
const PADDING: f64 = 14.0;

/// Legible on white and on black. Ours first; peers as they come; the floor last.
const OURS: &str = "#e8590c";
const PEERS: [&str; 4] = ["#1c7ed6", "#2f9e44", "#9c36b5", "#c2255c"];
const FLOOR: &str = "#868e96";

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#333}.small{font-size:11px}.grid{stroke:#8884}.one{stroke:#888}\
                     @media(prefers-color-scheme:dark){text{fill:#ddd}}";

/// Of the workloads that have something to compare with.
pub(super) fn svg(sections: &[Section]) -> String {
    let sections: Vec<&Section> = sections
        .iter()
        .filter(|section| is_comparable(section))
        .collect();
    let names = names(&sections);
    let mut body = String::new();
    let mut y = TOP;
    for section in &sections {
        y = line(&mut body, section, &names, y);
    }
    let height = y + 34.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\">\n<title>What a request costs, in terms of the best peer</title>\n<style>{STYLE}</style>\n\
         <text x=\"12\" y=\"24\">What it costs, in terms of the best peer in the same round: less is better</text>\n"
    );
    legend(&mut svg, &names);
    scale(&mut svg, y);
    svg.push_str(&body);
    svg.push_str("</svg>\n");
    svg
}

fn is_comparable(section: &Section) -> bool {
    section
        .rows
        .iter()
        .any(|row| row.ratios.contains_key(REFERENCE))
}

/// Everybody once, with their colours.
fn names(sections: &[&Section]) -> Vec<(String, &'static str)> {
    let mut names: Vec<(String, &'static str)> = Vec::new();
    let mut peers = PEERS.iter().cycle();
    for entrant in sections
        .iter()
        .flat_map(|section| &section.outcome.entrants)
    {
        if names.iter().any(|(name, _)| *name == entrant.name) {
            continue;
        }
        let colour = match entrant.role {
            Role::Ours => OURS,
            Role::Floor => FLOOR,
            Role::Peer => peers.next().copied().unwrap_or(FLOOR),
            Role::Direct => continue,
        };
        names.push((entrant.name.clone(), colour));
    }
    names
}

fn legend(svg: &mut String, names: &[(String, &'static str)]) {
    let mut x = 12.0;
    for (name, colour) in names {
        let name = escape(name);
        // Writing to a String cannot fail.
        let _ = writeln!(
            svg,
            "<circle cx=\"{:.1}\" cy=\"44\" r=\"5\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"48\">{name}</text>",
            x + 5.0,
            x + 16.0
        );
        x += 40.0 + 7.5 * name.len() as f64;
    }
}

fn scale(svg: &mut String, bottom: f64) {
    for (ratio, class) in GRID {
        let x = place(ratio);
        // Writing to a String cannot fail.
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\" class=\"{class}\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" class=\"small\" text-anchor=\"middle\">{ratio:.1}</text>",
            TOP - 8.0,
            bottom + 18.0
        );
    }
}

/// Gives where the next one begins.
fn line(svg: &mut String, section: &Section, names: &[(String, &'static str)], top: f64) -> f64 {
    let workload = section.outcome.workload;
    // As in the table, the cheapest first.
    let drawn: Vec<(Spread, &str)> = section
        .rows
        .iter()
        .filter_map(|row| {
            let (_, colour) = names.iter().find(|(name, _)| *name == row.name)?;
            Some((*row.ratios.get(REFERENCE)?, *colour))
        })
        .collect();
    let height = PADDING * 2.0 + STEP * (drawn.len().max(1) - 1) as f64;
    let middle = top + height / 2.0;
    // Writing to a String cannot fail.
    let _ = writeln!(
        svg,
        "<line x1=\"12\" x2=\"{RIGHT}\" y1=\"{top:.1}\" y2=\"{top:.1}\" class=\"grid\"/>\
         <text x=\"12\" y=\"{:.1}\">{} <tspan class=\"small\">{}</tspan></text>",
        middle + 4.0,
        workload.name,
        escape(workload.short)
    );
    for (index, (ratio, colour)) in drawn.iter().enumerate() {
        dot(svg, *ratio, colour, top + PADDING + STEP * index as f64);
    }
    top + height
}

fn dot(svg: &mut String, ratio: Spread, colour: &str, y: f64) {
    let (x, from, to) = (place(ratio.median), place(ratio.min), place(ratio.max));
    // Writing to a String cannot fail.
    let _ = writeln!(
        svg,
        "<line x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"{colour}\" stroke-width=\"3\" opacity=\".45\"/>\
         <circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\" fill=\"{colour}\"/>"
    );
    if ratio.median > MOST {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" class=\"small\">{:.1}</text>",
            x + 8.0,
            y + 4.0,
            ratio.median
        );
    }
}

/// What is too far to the right stands at its edge.
fn place(ratio: f64) -> f64 {
    let part = (ratio / MOST).clamp(0.0, 1.0);
    LEFT + (RIGHT - LEFT) * if part.is_nan() { 1.0 } else { part }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_have_their_place_and_far_ones_the_edge() {
        for (ratio, x) in [
            (0.0, LEFT),
            (1.25, 495.0),
            (2.5, RIGHT),
            (9.0, RIGHT),
            (f64::NAN, RIGHT),
        ] {
            assert!((place(ratio) - x).abs() < 1e-9, "{ratio}");
        }
    }

    #[test]
    fn names_cannot_break_out() {
        assert_eq!(escape("a<b&c"), "a&lt;b&amp;c");
    }
}
