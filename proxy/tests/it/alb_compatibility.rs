//! Holds `docs/alb-compatibility.md` to the code: every row has a verdict, the tests and keys that it names exist, and every
//! difference rests on a decision that stands there too.

use std::fs;
use std::path::{Path, PathBuf};

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

struct Row<'d> {
    text: &'d str,
    verdict: &'d str,
    here: &'d str,
}

fn read(path: &str) -> String {
    let path = Path::new(WORKSPACE).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of the page's tables, without their heads. A `|` in a cell is written `\|`.
fn rows(page: &str) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for text in page.lines().filter(|line| line.starts_with('|')) {
        let ends: Vec<usize> = text
            .match_indices('|')
            .map(|(at, _)| at)
            .filter(|&at| !text[..at].ends_with('\\'))
            .collect();
        assert_eq!(ends.len(), 4, "three cells: {text}");
        let cell = |nth: usize| text[ends[nth] + 1..ends[nth + 1]].trim();
        if cell(0) != "an ALB" && !cell(0).starts_with("--") {
            rows.push(Row {
                text,
                verdict: cell(1),
                here: cell(2),
            });
        }
    }
    rows
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The names in the list of decisions.
fn decisions(page: &str) -> Vec<&str> {
    let items = page.lines().filter_map(|line| line.strip_prefix("- **"));
    items
        .filter_map(|item| Some(item.split_once("**: ")?.0))
        .collect()
}

/// That a cell begins with.
fn decision(here: &str) -> Option<&str> {
    Some(here.strip_prefix('*')?.split_once("*: ")?.0)
}

/// Whether `module::function` is one: the module's file, or that of the module around it, has the function.
fn is_test(path: &str) -> bool {
    let Some((module, function)) = path.rsplit_once("::") else {
        return false;
    };
    let file = |module: &str| PathBuf::from(format!("{}.rs", module.replace("::", "/")));
    let modules = [
        Some(module),
        module.rsplit_once("::").map(|(outer, _)| outer),
    ];
    let roots = ["proxy/tests/it", "proxy/src", "common/src", "certs/src"];
    roots.iter().any(|root| {
        modules.iter().flatten().any(|module| {
            let file = Path::new(WORKSPACE).join(root).join(file(module));
            fs::read_to_string(file).is_ok_and(|source| source.contains(&format!("fn {function}(")))
        })
    })
}

#[test]
fn every_row_has_a_verdict_that_can_be_looked_up() {
    let page = read("docs/alb-compatibility.md");
    let keys = read("docs/configuration.md");
    let rows = rows(&page);
    assert!(rows.len() > 10, "the page has its rows");
    let decisions = decisions(&page);
    let used: Vec<&str> = rows.iter().filter_map(|row| decision(row.here)).collect();
    let unused = decisions.iter().filter(|name| !used.contains(name));
    let mut wrong: Vec<String> = unused
        .map(|name| format!("nothing rests on {name}"))
        .collect();
    for Row {
        text,
        verdict,
        here,
    } in rows
    {
        let tests: Vec<&str> = quoted(here)
            .filter(|quoted| quoted.contains("::"))
            .collect();
        let fits = match verdict {
            "same" => !tests.is_empty(),
            // Beside the key itself: how it is better.
            "better" => {
                quoted(here).any(|key| !key.is_empty() && keys.contains(&format!("{key}`")))
            }
            "different" => decision(here).is_some_and(|name| decisions.contains(&name)),
            "not yet" => true,
            _ => false,
        };
        if !fits {
            wrong.push(format!("no such verdict, or nothing behind it: {text}"));
        }
        let unknown = tests.iter().filter(|test| !is_test(test));
        wrong.extend(unknown.map(|test| format!("no test {test}: {text}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
