//! Logs that nobody takes: the proxy serves, reloads and stops as ever. Its own log and its access log may be pipes, and
//! whoever reads a pipe may sleep.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lintel_proxy::load_balancer::{self, StartError};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::client::get;
use crate::harness::{PATIENCE, Setup, Target, Wire, eventually, until};

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
    // Some 500 bytes a line, and a pipe holds 64 KiB.
    let mut client = proxy.connect();
    for _ in 0..400 {
        assert_eq!(client.get("/").text(), "hello");
    }
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
    assert!(matches!(error, StartError::AccessLog { .. }), "{error}");
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

/// The program, with a standard error of the test's choice.
struct Program {
    child: Child,
    admin: SocketAddr,
    directory: tempfile::TempDir,
}

/// An address that was free a moment ago. Ports are not given out again soon.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

impl Program {
    fn start(stderr: Stdio) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let admin = free_address();
        let setup = Setup::to([]).with(&format!("admin = '{admin}'"));
        std::fs::write(directory.path().join("lintel-proxy.toml"), setup.text()).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_lintel-proxy"))
            .arg("run")
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .stderr(stderr)
            .env_remove("LINTEL_LOG")
            .spawn()
            .unwrap();
        let program = Self {
            child,
            admin,
            directory,
        };
        until("the admin endpoints", || TcpStream::connect(admin).is_ok());
        program
    }

    fn admin(&self, request: &str) -> u16 {
        let stream = TcpStream::connect(self.admin).unwrap();
        Wire::tcp(stream).exchange(request).status()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = eventually("the end of the program", || self.child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_standard_error_that_nobody_reads_freezes_nothing() {
    let (_sleeping, mut full) = std::io::pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(full.as_fd()).unwrap();
    rustix::fs::fcntl_setfl(full.as_fd(), flags | OFlags::NONBLOCK).unwrap();
    while full.write(&[b'\n'; 4096]).is_ok() {}
    rustix::fs::fcntl_setfl(full.as_fd(), flags).unwrap();

    let mut program = Program::start(full.into());
    assert_eq!(
        program.admin("POST /reload HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        200
    );
    std::fs::write(
        program.directory.path().join("lintel-proxy.toml"),
        "mistake",
    )
    .unwrap();
    program.signal(Signal::HUP);
    assert_eq!(program.admin(&get("/health")), 200);
    let started = Instant::now();
    program.stop();
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn the_last_lines_are_written() {
    let mut program = Program::start(Stdio::piped());
    let mut stderr = program.child.stderr.take().unwrap();
    program.stop();
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    assert!(said.contains("listening"), "{said}");
    assert!(said.trim_end().ends_with("stopped"), "{said}");
}
