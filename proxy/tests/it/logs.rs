//! Logs that nobody takes: the proxy serves, reloads and stops as ever. Its own log and its access log may be pipes, and
//! whoever reads a pipe may sleep.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lintel_proxy::load_balancer::{self, StartError};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::Signal;

use crate::harness::client::get;
use crate::harness::{PATIENCE, Program, Setup, Target, until};

fn pipe(directory: &Path) -> PathBuf {
    let path = directory.join("access.pipe");
    rustix::fs::mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
    path
}

fn access_log_to(path: &Path) -> String {
    format!(
        "access_logs = {{ path = '{}', format = 'json' }}",
        path.display()
    )
}

/// The reading end, without waiting for a writer.
fn reader(pipe: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true);
    options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    options.open(pipe).unwrap()
}

#[test]
fn an_access_log_that_nobody_takes_holds_up_neither_requests_nor_the_stop() {
    let directory = tempfile::tempdir().unwrap();
    let path = pipe(directory.path());
    let _sleeping = reader(&path);
    let target = Target::saying("hello");
    let proxy = Setup::to([target.address])
        .with(&access_log_to(&path))
        .start();
    // A pipe holds 64 KiB, and of each worker wait 4 MiB and what its thread has taken already.
    let mut client = proxy.connect();
    let long = "x".repeat(8000);
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: {long}\r\n\r\n");
    for _ in 0..700 {
        assert_eq!(client.exchange(&request).text(), "hello");
    }
    assert!(proxy.metric("access_log_dropped_total") > 0);
    let started = Instant::now();
    assert_eq!(proxy.stop().report.cut, 0);
    assert!(started.elapsed() < PATIENCE);
}

#[test]
fn a_pipe_needs_its_reader_first() {
    let directory = tempfile::tempdir().unwrap();
    let path = pipe(directory.path());
    let file = directory.path().join("lintel-proxy.toml");
    let text = Setup::to([]).with(&access_log_to(&path)).text();
    let model = lintel_proxy::config::parse(&text, &file).unwrap().model;
    let error = load_balancer::start(model, None).unwrap_err();
    assert!(matches!(error, StartError::Log { .. }), "{error}");
    assert!(error.to_string().contains("reader first"), "{error}");
}

#[test]
fn lines_that_a_full_disk_does_not_take_are_counted() {
    let target = Target::saying("hello");
    let proxy = Setup::to([target.address])
        .with(&access_log_to(Path::new("/dev/full")))
        .start();
    for _ in 0..3 {
        assert_eq!(proxy.get("/").text(), "hello");
    }
    proxy.wait_for_metric("access_log_dropped_total", 3);
}

#[test]
fn a_standard_error_that_nobody_reads_freezes_nothing() {
    let (_sleeping, mut full) = std::io::pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(full.as_fd()).unwrap();
    rustix::fs::fcntl_setfl(full.as_fd(), flags | OFlags::NONBLOCK).unwrap();
    while full.write(&[b'\n'; 4096]).is_ok() {}
    rustix::fs::fcntl_setfl(full.as_fd(), flags).unwrap();

    let mut program = Program::start(&Setup::to([]), full.into());
    assert_eq!(
        program
            .admin("POST /reload HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .status(),
        200
    );
    std::fs::write(
        program.directory.path().join("lintel-proxy.toml"),
        "mistake",
    )
    .unwrap();
    program.signal(Signal::HUP);
    assert_eq!(program.admin(&get("/health")).status(), 200);
    let started = Instant::now();
    program.stop();
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_refused_reload_tells_warnings_from_errors() {
    let mut program = Program::start(&Setup::to([]), Stdio::piped());
    let mut stderr = program.child.stderr.take().unwrap();
    let file = program.directory.path().join("lintel-proxy.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let group = "\n[[target_group]]\nname = 'spare'\nport = 80\ncolour = 'red'\n";
    std::fs::write(&file, text + group).unwrap();
    program.signal(Signal::HUP);
    until("the reload to be refused", || {
        let metrics = program.admin("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        metrics
            .text()
            .contains("reload_count_total{result=\"refused\"} 1")
    });
    program.stop();
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    let refused = said.find("reload refused").unwrap();
    let level = |text: &str| {
        let mut lines = said[refused..].lines();
        let line = lines.find(|line| line.contains(text)).unwrap();
        line.split_whitespace().nth(1).unwrap()
    };
    assert_eq!(level("colour: unknown key"), "ERROR", "{said}");
    assert_eq!(level("has no targets"), "WARN", "{said}");
}

#[test]
fn the_log_format_is_read_in_any_case_and_empty_is_the_default() {
    let directory = tempfile::tempdir().unwrap();
    let run = |format: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_lintel-proxy"))
            .args(["run", "--config", "none.toml"])
            .current_dir(directory.path())
            .env("LOG_FORMAT", format)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    for format in ["", "text", "JSON", "Json"] {
        let said = run(format);
        assert!(said.starts_with("none.toml:1:1: error"), "{format}: {said}");
    }
    let said = run("xml");
    assert!(said.contains("use \"text\" or \"json\""), "{said}");
}

#[test]
fn the_last_lines_are_written() {
    let mut program = Program::start(&Setup::to([]), Stdio::piped());
    let mut stderr = program.child.stderr.take().unwrap();
    program.stop();
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    assert!(said.contains("listening"), "{said}");
    assert!(said.trim_end().ends_with("stopped"), "{said}");
}
