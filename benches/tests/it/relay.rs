//! The raw TCP relay that comparisons have as their floor.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::compare::{Ended, PATIENCE, PROGRAM};

/// Eight MiB in both directions at once, through a relay whose receivers take their time.
#[test]
fn a_relay_passes_everything_on() {
    const LENGTH: usize = 8 << 20;
    let echo = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = echo.local_addr().unwrap();
    thread::spawn(move || {
        for stream in echo.incoming() {
            let stream = stream.unwrap();
            let mut back = stream.try_clone().unwrap();
            thread::spawn(move || {
                let _ = std::io::copy(&mut &stream, &mut back);
                let _ = back.shutdown(std::net::Shutdown::Write);
            });
        }
    });
    let address = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap()
    };
    let relay = Command::new(PROGRAM)
        .args(["relay", "--listen", &address.to_string(), "--workers", "2"])
        .args(["--target", &target.to_string()])
        .spawn()
        .unwrap();
    let _relay = Ended(relay);
    let patience = Instant::now() + PATIENCE;
    let stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < patience, "{error}"),
        }
        thread::sleep(Duration::from_millis(10));
    };
    let body: Vec<u8> = (0..LENGTH as u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let (mut sender, sent) = (stream.try_clone().unwrap(), body.clone());
    let writing = thread::spawn(move || {
        sender.write_all(&sent).unwrap();
        sender.shutdown(std::net::Shutdown::Write).unwrap();
    });
    // Long enough for every buffer on the way to fill.
    thread::sleep(Duration::from_millis(300));
    let mut received = Vec::new();
    (&stream).read_to_end(&mut received).unwrap();
    writing.join().unwrap();
    assert!(received == body, "{} bytes", received.len());
}
