//! The proxy as a process of its own, for what only a process has: standard error, signals, memory.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::tls::write_certificates;
use super::{Message, Setup, Target, Wire, eventually, until};

pub struct Program {
    pub child: Child,
    pub directory: tempfile::TempDir,
    admin: SocketAddr,
}

/// An address that was free a moment ago. Ports are not given out again soon.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Forwards everything to the target, and listens there.
pub fn listening(target: &Target) -> (Setup, SocketAddr) {
    let address = free_address();
    let listener = format!(
        "[[listener]]\naddress = '127.0.0.1'\nport = {}\nprotocol = 'HTTP'\n\
         default_action = {{ type = 'forward', target_group = 'app' }}",
        address.port()
    );
    (Setup::to([target.address]).more(&listener), address)
}

impl Program {
    /// One that forwards everything to the target, and where it listens.
    pub fn in_front_of(target: &Target) -> (Self, SocketAddr) {
        let (setup, address) = listening(target);
        let program = Self::start(&setup, Stdio::null());
        until("the listener", || TcpStream::connect(address).is_ok());
        (program, address)
    }

    pub fn start(setup: &Setup, stderr: Stdio) -> Self {
        let program = Command::new(env!("CARGO_BIN_EXE_lintel-proxy"));
        Self::start_as(program, setup, stderr)
    }

    /// That may have so many files open.
    pub fn with_descriptors(descriptors: usize, setup: &Setup) -> Self {
        let mut program = Command::new("prlimit");
        program
            .arg(format!("--nofile={descriptors}:{descriptors}"))
            .arg(env!("CARGO_BIN_EXE_lintel-proxy"));
        Self::start_as(program, setup, Stdio::null())
    }

    fn start_as(mut program: Command, setup: &Setup, stderr: Stdio) -> Self {
        let directory = tempfile::tempdir().unwrap();
        write_certificates(directory.path());
        let admin = free_address();
        let setup = setup.clone().with(&format!("admin = '{admin}'"));
        std::fs::write(directory.path().join("lintel-proxy.toml"), setup.text()).unwrap();
        let child = program
            .arg("run")
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .stderr(stderr)
            .env_remove("LINTEL_LOG")
            .spawn()
            .unwrap();
        let program = Self {
            child,
            directory,
            admin,
        };
        until("the admin endpoints", || TcpStream::connect(admin).is_ok());
        program
    }

    pub fn admin(&self, request: &str) -> Message {
        let stream = TcpStream::connect(self.admin).unwrap();
        Wire::tcp(stream).exchange(request)
    }

    /// Resident memory in KiB.
    pub fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = resident.and_then(|line| line.trim().strip_suffix(" kB"));
        kib.unwrap().trim().parse().unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn stop(&mut self) {
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
