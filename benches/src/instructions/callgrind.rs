//! Callgrind: how it is started, and its output file read into what each function costs.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// A run's instructions, or the difference of two runs'.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Costs {
    pub(super) total: u64,
    pub(super) functions: HashMap<String, Cost>,
    /// What a function's calls of another one cost, inclusive: by caller and called.
    pub(super) calls: HashMap<(String, String), u64>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    /// In the function itself and in what was inlined into it.
    pub(super) own: u64,
    /// With everything that it calls; more than there is where functions call each other in a circle.
    pub(super) inclusive: u64,
}

/// An error that says what to do if there is no valgrind.
pub(super) fn require() -> anyhow::Result<()> {
    let status = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => bail!("valgrind is needed: apt-get install valgrind, or see https://valgrind.org"),
    }
}

/// The arguments of valgrind in front of the program that is counted.
pub(super) fn arguments(costs: &Path, messages: &Path) -> [String; 3] {
    [
        "--tool=callgrind".to_owned(),
        format!("--callgrind-out-file={}", costs.display()),
        format!("--log-file={}", messages.display()),
    ]
}

impl Costs {
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        // Names of functions are bytes of whoever wrote the program.
        let bytes = std::fs::read(file).context("callgrind has left no figures")?;
        Self::parse(&String::from_utf8_lossy(&bytes))
    }

    /// The format is described in valgrind's manual, "Callgrind Format Specification".
    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut costs = Self::default();
        let mut names = HashMap::new();
        let (mut function, mut called) = ("", "");
        let mut is_call = false;
        let mut total = None;
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("fn=") {
                function = resolve(name, &mut names)?;
            } else if let Some(name) = line.strip_prefix("cfn=") {
                called = resolve(name, &mut names)?;
            } else if line.starts_with("calls=") {
                is_call = true;
            } else if let Some(summary) = line.strip_prefix("summary: ") {
                total = Some(summary.trim().parse()?);
            } else if line.starts_with(['+', '-', '*'])
                || line.starts_with(|c: char| c.is_ascii_digit())
            {
                let cost: u64 = line
                    .split(' ')
                    .nth(1)
                    .context("a line without a cost")?
                    .parse()?;
                let entry = costs.functions.entry(function.to_owned()).or_default();
                if !is_call {
                    entry.own += cost;
                    entry.inclusive += cost;
                } else if called != function {
                    entry.inclusive += cost;
                    let call = (function.to_owned(), called.to_owned());
                    *costs.calls.entry(call).or_default() += cost;
                }
                is_call = false;
            }
        }
        costs.total = total.context("callgrind's file has no summary: was it cut off?")?;
        Ok(costs)
    }

    /// What this run did more than another one.
    pub(super) fn without(&self, other: &Self) -> Self {
        let functions = self.functions.iter().map(|(name, cost)| {
            let before = other.functions.get(name).copied().unwrap_or_default();
            let more = Cost {
                own: cost.own.saturating_sub(before.own),
                inclusive: cost.inclusive.saturating_sub(before.inclusive),
            };
            (name.clone(), more)
        });
        let calls = self.calls.iter().map(|(call, cost)| {
            let before = other.calls.get(call).copied().unwrap_or_default();
            (call.clone(), cost.saturating_sub(before))
        });
        Self {
            total: self.total.saturating_sub(other.total),
            functions: functions.collect(),
            calls: calls.collect(),
        }
    }
}

/// The name behind `(id) name`, or the one that `(id)` alone had before.
fn resolve<'t>(text: &'t str, names: &mut HashMap<&'t str, &'t str>) -> anyhow::Result<&'t str> {
    match text.split_once(' ') {
        Some((id, name)) => {
            names.insert(id, name);
            Ok(name)
        }
        None => names
            .get(text)
            .copied()
            .with_context(|| format!("{text} stands for no function")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# callgrind format
version: 1
positions: line
events: Ir
summary: 100


ob=(1) /bin/program
fl=(1) main.rs
fn=(1) main
1 10
+3 5
cfn=(2) program::serve
calls=2 -8 
* 85

fn=(2)
5 40
fi=(2) inlined.rs
+1 20
cfn=(2)
calls=1 5 
7 30
cob=(2) libc
cfi=(3) malloc.c
cfn=(3) malloc
calls=4 1
-1 25

ob=(2)
fl=(3)
fn=(3)
1 25
totals: 100
";

    fn cost(own: u64, inclusive: u64) -> Cost {
        Cost { own, inclusive }
    }

    #[test]
    fn a_file_is_summed_up_by_function() {
        let costs = Costs::parse(FILE).unwrap();
        assert_eq!(costs.total, 100);
        assert_eq!(costs.functions["main"], cost(15, 100));
        assert_eq!(
            costs.functions["program::serve"],
            cost(60, 85),
            "its call of itself is in it already"
        );
        assert_eq!(costs.functions["malloc"], cost(25, 25));
        assert_eq!(costs.functions.len(), 3);
        let call = |caller: &str, called: &str| (caller.to_owned(), called.to_owned());
        let calls = [
            (call("main", "program::serve"), 85),
            (call("program::serve", "malloc"), 25),
        ];
        assert_eq!(costs.calls, calls.into());
    }

    #[test]
    fn the_difference_of_two_runs() {
        let before = Costs::parse("summary: 60\nfn=(1) main\n1 15\nfn=(2) gone\n1 45\n").unwrap();
        let more = Costs::parse(FILE).unwrap().without(&before);
        assert_eq!(more.total, 40);
        assert_eq!(more.functions["main"], cost(0, 85));
        assert_eq!(more.functions["malloc"], cost(25, 25));
        assert_eq!(more.calls.values().sum::<u64>(), 110);
    }

    #[test]
    fn a_broken_file_is_an_error() {
        for text in [
            "",
            "summary: x",
            "summary: 1\nfn=(1)\n1 1",
            "summary: 1\nfn=(1) f\n1",
        ] {
            assert!(Costs::parse(text).is_err(), "{text}");
        }
    }
}
