//! Memory of the program: what a slow side does not take must not pile up, and what a spike took must come back.

use std::io::{self, Read};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::{Program, Setup, Target, Wire, ok, until};

const MIB: usize = 1024 * 1024;
const BODY: usize = 256 * MIB;

/// May come on top of what it had before, in KiB; the buffers of one exchange are a few hundred.
const GROWTH: usize = 8 * 1024;

/// Reads at a pace at which the other side would be done long before.
fn read_slowly(stream: &mut impl Read, length: usize) -> io::Result<()> {
    let mut piece = vec![0; MIB];
    for _ in 0..length / MIB {
        stream.read_exact(&mut piece)?;
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// The program in front of the target, after a first exchange, and its memory then.
fn running(target: &Target) -> (Program, TcpStream, usize) {
    let (program, address) = Program::in_front_of(target);
    let stream = TcpStream::connect(address).unwrap();
    let mut client = Wire::tcp(stream);
    assert_eq!(client.get("/first").status(), 200);
    let memory = program.memory();
    (program, client.into_stream(), memory)
}

/// The most it had while `work` was under way.
fn most_during(program: &Program, work: impl FnOnce() + Send) -> usize {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Also if it panics: the scope passes that on.
            let _done = Done(&done);
            work();
        });
        let mut most = 0;
        while !done.load(Ordering::Relaxed) {
            most = most.max(program.memory());
            thread::sleep(Duration::from_millis(20));
        }
        most
    })
}

struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How a body is framed: what stands in the head and before the content, and what behind it.
#[derive(Clone, Copy)]
struct Framing(&'static str, &'static str);

/// Its content waits in the kernel.
const COUNTED: Framing = Framing("Content-Length: 268435456\r\n\r\n", "");
/// Its content goes through the program.
const CHUNKED: Framing = Framing(
    "Transfer-Encoding: chunked\r\n\r\n10000000\r\n",
    "\r\n0\r\n\r\n",
);

#[test]
fn a_download_to_a_slow_client_leaves_it_flat() {
    download_slowly(COUNTED);
    download_slowly(CHUNKED);
}

fn download_slowly(Framing(before_content, _): Framing) {
    let target = Target::scripted(move |connection| {
        connection.request()?;
        connection.send(ok("hello"))?;
        connection.request()?;
        connection.send(format!("HTTP/1.1 200 OK\r\n{before_content}"))?;
        let piece = vec![b'x'; MIB];
        (0..BODY / MIB).try_for_each(|_| connection.send(&piece))
    });
    let (program, stream, before) = running(&target);
    let most = most_during(&program, || {
        let mut client = Wire::tcp(stream);
        client.send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(client.head().unwrap().status(), 200);
        // What came along with the head is a part of the first piece.
        read_slowly(client.stream(), BODY - MIB).unwrap();
    });
    assert!(most <= before + GROWTH, "from {before} to {most} KiB");
}

#[test]
fn an_upload_to_a_slow_target_leaves_it_flat() {
    upload_slowly(COUNTED);
    upload_slowly(CHUNKED);
}

fn upload_slowly(Framing(before_content, behind_content): Framing) {
    let target = Target::scripted(|connection| {
        connection.request()?;
        connection.send(ok("hello"))?;
        connection.request_head()?;
        read_slowly(connection.stream(), BODY - MIB)?;
        connection.send(ok("taken"))
    });
    let (program, stream, before) = running(&target);
    let most = most_during(&program, || {
        let mut client = Wire::tcp(stream);
        client
            .send(format!("PUT /big HTTP/1.1\r\nHost: a\r\n{before_content}"))
            .unwrap();
        let piece = vec![b'x'; MIB];
        for _ in 0..BODY / MIB {
            client.send(&piece).unwrap();
        }
        client.send(behind_content).unwrap();
        assert_eq!(client.response().unwrap().text(), "taken");
    });
    assert!(most <= before + GROWTH, "from {before} to {most} KiB");
}

/// Clients of the spike, and what each asks for.
const CROWD: usize = 400;
const PAGE: usize = MIB;

/// What a spike may leave on top of half of what there was before, in KiB.
const LEFT: usize = 4 * 1024;

#[test]
fn what_a_spike_took_comes_back() {
    // In chunks, as content of a known length would wait in the kernel.
    let page = format!("{PAGE:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(PAGE));
    let page = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{page}");
    let target = Target::answering(move |request| match request.uri() {
        "/first" => ok("hello"),
        _ => page.clone().into_bytes(),
    });
    let (program, stream, before) = running(&target);
    let address = stream.peer_addr().unwrap();
    // They ask and do not read, all of them at once.
    let mut crowd: Vec<_> = (0..CROWD)
        .map(|_| {
            let mut client = Wire::tcp(TcpStream::connect(address).unwrap());
            client
                .send("GET /page HTTP/1.1\r\nHost: a\r\n\r\n")
                .unwrap();
            client
        })
        .collect();
    until("the spike", || program.memory() > 2 * before);
    for client in &mut crowd {
        assert_eq!(client.response().unwrap().body.len(), PAGE);
    }
    drop(crowd);
    until("what the spike took", || {
        program.memory() <= before + before / 2 + LEFT
    });
}

/// Each makes the rules, the TLS and the groups anew.
#[test]
fn reloads_leave_nothing_behind() {
    let target = Target::saying("well");
    let setup =
        Setup::to([target.address])
            .https()
            .rule(1, "{ path_pattern = ['/rule'] }", "ruled");
    let program = Program::start(&setup, Stdio::null());
    let reload_often = |times| {
        for _ in 0..times {
            let reloaded = program
                .admin("POST /reload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            assert_eq!(reloaded.status(), 200, "{}", reloaded.text());
        }
        program.memory()
    };
    let before = reload_often(100);
    let after = reload_often(200);
    assert!(after < before + 2 * 1024, "{before} KiB, then {after} KiB");
}

#[test]
fn the_allocator_is_set_as_it_should_be() {
    let output = Command::new(env!("CARGO_BIN_EXE_lintel-proxy"))
        .arg("--version")
        .env("_RJEM_MALLOC_CONF", "stats_print:true")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("opt.tcache_gc_incr_bytes: 2097152"), "{told}");
}
