//! A child's log file, as seen from here: which new lines a person should see now. The child writes to the file itself,
//! so that nothing that happens here, a blocked terminal for instance, can hold it up.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

/// What is shown of one look at most; the file has the rest.
const LINES: usize = 5;
const BYTES: u64 = 64 * 1024;

/// A place in the file up to which it has been looked at.
#[derive(Debug)]
pub(crate) struct ChildLog {
    path: PathBuf,
    offset: u64,
}

impl ChildLog {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, offset: 0 }
    }

    /// New lines that are warnings or errors, the last few.
    pub(crate) fn alarms(&mut self) -> Vec<String> {
        last(self.news().filter(|line| is_alarm(line)))
    }

    /// The last few new lines, whatever they are: what a child said before it ended.
    pub(crate) fn last_words(&mut self) -> Vec<String> {
        last(self.news())
    }

    fn news(&mut self) -> impl Iterator<Item = String> + use<> {
        // A log that cannot be read is no reason to disturb anybody: the child is what matters.
        let text = self.read().unwrap_or_default();
        let lines: Vec<String> = text
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect();
        lines.into_iter()
    }

    fn read(&mut self) -> io::Result<String> {
        let mut file = File::open(&self.path)?;
        let length = file.metadata()?.len();
        let start = self.offset.max(length.saturating_sub(BYTES)).min(length);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(BYTES).read_to_end(&mut bytes)?;
        // A line that is still being written is left for the next look.
        let whole = bytes
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |end| end + 1);
        self.offset = start + whole as u64;
        Ok(String::from_utf8_lossy(&bytes[..whole]).into_owned())
    }
}

fn last(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    lines.split_off(lines.len().saturating_sub(LINES))
}

/// Levels as `tracing` writes them, as text and as JSON, and as MariaDB does; and a panic.
fn is_alarm(line: &str) -> bool {
    let head: String = line.chars().take(80).collect();
    [
        " WARN ",
        " ERROR ",
        "\"level\":\"WARN\"",
        "\"level\":\"ERROR\"",
        "[ERROR]",
        "panicked at",
    ]
    .iter()
    .any(|mark| head.contains(mark))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    #[test]
    fn every_line_is_seen_once_and_only_when_whole() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("app.log");
        let mut log = ChildLog::new(path.clone());
        assert!(log.last_words().is_empty(), "no file yet");
        let mut file = File::create(&path).unwrap();
        write!(file, "one\n\ntwo\nthr").unwrap();
        assert_eq!(log.last_words(), ["one", "two"]);
        writeln!(file, "ee").unwrap();
        assert_eq!(log.last_words(), ["three"]);
        assert!(log.last_words().is_empty());
    }

    #[test]
    fn alarms_are_told_from_the_rest() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("app.log");
        let alarms = [
            "2026-01-01T00:00:00.000000Z  WARN lintel_appserver: the database is slow",
            "2026-01-01T00:00:00.000000Z ERROR lintel_appserver: the database is gone",
            r#"{"timestamp":"2026-01-01T00:00:00.000000Z","level":"WARN","message":"x"}"#,
            "2026-01-01  0:00:00 0 [ERROR] mariadbd: Can't lock file",
            "thread 'main' panicked at src/main.rs:1:1:",
        ];
        let calm = [
            "2026-01-01T00:00:00.000000Z  INFO lintel_appserver: listening",
            r#"{"timestamp":"2026-01-01T00:00:00.000000Z","level":"INFO","message":"a WARN "}"#,
        ];
        fs::write(
            &path,
            format!("{}\n{}\n", calm.join("\n"), alarms.join("\n")),
        )
        .unwrap();
        assert_eq!(ChildLog::new(path).alarms(), alarms);
    }

    #[test]
    fn a_flood_is_cut_to_its_end() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("app.log");
        let lines: Vec<String> = (0..100_000)
            .map(|number| format!("line {number}"))
            .collect();
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        assert_eq!(ChildLog::new(path).last_words(), lines[99_995..]);
    }
}
