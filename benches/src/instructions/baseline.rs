//! The committed figures, and what counts as a rise.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use toml::de::{DeTable, DeValue};

/// In percent: so much more is still no rise, so much less is worth a new baseline.
const TOLERANCE: u64 = 5;

const HEADING: &str = "\
# User-space instructions the proxy executes for a request. Written by:
# cargo run --release -p lintel-benches -- instructions --write-baseline benches/instructions.toml
";

/// Instructions by the name of the workload.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Baseline(BTreeMap<String, u64>);

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The file says nothing of this workload.
    Unknown,
    Known {
        allowed: u64,
        now: u64,
    },
}

impl Baseline {
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the baseline {}", file.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not a baseline", file.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let table = DeTable::parse(text).map_err(|error| anyhow!("{error}"))?;
        let mut figures = BTreeMap::new();
        for (name, value) in table.get_ref() {
            let name = name.get_ref();
            let figure = match value.get_ref() {
                DeValue::Integer(figure) => {
                    figure.as_str().parse().ok().filter(|&figure| figure > 0)
                }
                _ => None,
            };
            let Some(figure) = figure else {
                bail!("{name} must be a number of instructions");
            };
            figures.insert(name.to_string(), figure);
        }
        Ok(Self(figures))
    }

    pub(super) fn write(&self, file: &Path) -> anyhow::Result<()> {
        std::fs::write(file, self.to_string())
            .with_context(|| format!("cannot write {}", file.display()))
    }

    pub(super) fn set(&mut self, workload: &str, instructions: u64) {
        self.0.insert(workload.to_owned(), instructions);
    }

    pub(super) fn judge(&self, workload: &str, instructions: u64) -> Verdict {
        match self.0.get(workload) {
            Some(&allowed) => Verdict::Known {
                allowed,
                now: instructions,
            },
            None => Verdict::Unknown,
        }
    }
}

impl Verdict {
    pub(super) fn holds(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::Known { allowed, now } => now * 100 <= allowed * (100 + TOLERANCE),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Self::Known { allowed, now } = self else {
            return f.write_str("FAILED: the baseline does not say what it may cost");
        };
        let change = (now as f64 / allowed as f64 - 1.0) * 100.0;
        if !self.holds() {
            write!(
                f,
                "FAILED: {change:+.1} % over the baseline of {allowed}; {TOLERANCE} % are allowed"
            )
        } else if now * 100 < allowed * (100 - TOLERANCE) {
            write!(
                f,
                "{change:+.1} % from the baseline of {allowed}: write a new one, so that this stays"
            )
        } else {
            write!(f, "{change:+.1} % from the baseline of {allowed}")
        }
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEADING)?;
        for (workload, instructions) in &self.0 {
            writeln!(f, "{workload} = {instructions}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut baseline = Baseline::default();
        baseline.set("W9", 31_000);
        baseline.set("W1", 14_000);
        baseline.set("W1", 12_345);
        let text = baseline.to_string();
        assert!(text.ends_with("\nW1 = 12345\nW9 = 31000\n"), "{text}");
        assert_eq!(Baseline::parse(&text).unwrap(), baseline);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, mistake) in [
            ("W1 = 'x'", "W1 must be a number"),
            ("W1 = 0", "W1 must be a number"),
            ("W1 = -5", "W1 must be a number"),
            ("W1", "TOML parse error"),
        ] {
            let error = Baseline::parse(text).unwrap_err().to_string();
            assert!(error.contains(mistake), "{error}");
        }
    }

    #[test]
    fn over_five_percent_is_too_much() {
        let baseline = Baseline::parse("W1 = 10000").unwrap();
        for (instructions, holds, text) in [
            (10_000, true, "+0.0 % from"),
            (10_500, true, "+5.0 % from"),
            (10_501, false, "FAILED: +5.0 % over the baseline of 10000"),
            (12_000, false, "FAILED: +20.0 % over"),
            (9_600, true, "-4.0 % from the baseline of 10000"),
            (9_000, true, "write a new one"),
        ] {
            let verdict = baseline.judge("W1", instructions);
            assert_eq!(verdict.holds(), holds, "{instructions}");
            assert!(verdict.to_string().contains(text), "{verdict}");
        }
        assert!(!baseline.judge("W2", 1).holds());
    }
}
