//! `lintel-benches instructions`: what it refuses before it measures. The measuring itself takes an optimized build and
//! half a minute; `.ci/instructions` does it.

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lintel-benches"))
        .arg("instructions")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn refusal(arguments: &[&str]) -> String {
    let output = program(arguments);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(output.stdout.is_empty());
    message
}

#[test]
fn mistakes_are_told_before_anything_is_measured() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(Path::new(&path("broken")), "W1 = 'cheap'\n").unwrap();
    for (arguments, expected) in [
        (&["--workload", "W4"][..], "there are W1, W2, W3, W9, W9S"),
        (&["--requests", "1"], "1 is not in 256..=1000000"),
        (
            &["--baseline", &path("missing")],
            "cannot read the baseline",
        ),
        (
            &["--baseline", &path("broken")],
            "W1 must be a number of instructions",
        ),
        (
            &["--write-baseline", &path("broken")],
            "W1 must be a number of instructions",
        ),
    ] {
        let message = refusal(arguments);
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}

#[cfg(debug_assertions)]
#[test]
fn a_debug_build_is_not_measured() {
    let message = refusal(&["--workload", "w1"]);
    assert!(message.contains("build with --release"), "{message}");
}
