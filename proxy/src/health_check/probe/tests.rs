//! Probes against real sockets that behave in every way a target can.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;
use crate::model::Matcher;

const PASS: Outcome = Outcome::Pass;
const FAILED: Outcome = Outcome::Fail(Failure::FailedHealthChecks);
const TIMED_OUT: Outcome = Outcome::Fail(Failure::Timeout);

fn settings(timeout: Duration) -> HealthCheckSettings {
    HealthCheckSettings {
        protocol: HealthCheckProtocol::Http,
        version: ProtocolVersion::Http1,
        path: "/health?deep=1".to_owned(),
        port: None,
        interval: Duration::from_secs(30),
        timeout,
        healthy_threshold: 5,
        unhealthy_threshold: 2,
        matcher: Matcher(vec![200..=200, 202..=204]),
    }
}

/// Long enough that a test which runs into it is broken.
fn patient() -> HealthCheckSettings {
    settings(Duration::from_secs(20))
}

/// A target that answers one connection with these bytes, one every `pause`, and then holds it open or closes it.
/// Returns what it was asked.
async fn target(
    answer: Vec<u8>,
    pause: Option<Duration>,
    close: bool,
) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            assert_ne!(
                stream.read_buf(&mut asked).await.unwrap(),
                0,
                "the probe left before its request was whole"
            );
        }
        match pause {
            None => stream.write_all(&answer).await.unwrap(),
            Some(pause) => {
                for byte in answer {
                    if stream.write_all(&[byte]).await.is_err() {
                        break;
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        }
        if !close {
            // Until the probe closes it.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
        asked
    });
    (address, asked)
}

async fn outcome_of(answer: impl Into<Vec<u8>>, close: bool) -> Outcome {
    let (address, _) = target(answer.into(), None, close).await;
    probe(address, &patient(), None).await.outcome
}

#[tokio::test]
async fn the_request_is_the_albs() {
    let (address, asked) = target(
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(),
        None,
        false,
    )
    .await;
    assert_eq!(probe(address, &patient(), None).await.outcome, PASS);
    let expected = format!(
        "GET /health?deep=1 HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\nAccept-Encoding: gzip, compressed\r\n\r\n"
    );
    assert_eq!(String::from_utf8(asked.await.unwrap()).unwrap(), expected);
}

#[test]
fn the_host_has_no_port_if_it_is_the_protocols_own() {
    for (protocol, address, host) in [
        (HealthCheckProtocol::Http, "10.0.3.11:80", "10.0.3.11"),
        (HealthCheckProtocol::Http, "10.0.3.11:443", "10.0.3.11:443"),
        (HealthCheckProtocol::Http, "[fd00::1]:80", "[fd00::1]"),
        (
            HealthCheckProtocol::Http,
            "[fd00::1]:8000",
            "[fd00::1]:8000",
        ),
        (HealthCheckProtocol::Https, "10.0.3.11:443", "10.0.3.11"),
        (HealthCheckProtocol::Https, "10.0.3.11:80", "10.0.3.11:80"),
        (HealthCheckProtocol::Https, "[fd00::1]:443", "[fd00::1]"),
    ] {
        let settings = HealthCheckSettings {
            protocol,
            ..patient()
        };
        let request = request(address.parse().unwrap(), &settings).unwrap();
        assert_eq!(request.headers()[header::HOST], host);
    }
}

#[tokio::test]
async fn answers_and_what_they_mean() {
    let mismatch = |status| Outcome::Fail(Failure::ResponseCodeMismatch(status));
    let long_head = format!(
        "HTTP/1.1 200 OK\r\nx: {}\r\n\r\n",
        "y".repeat(2 * usize::from(MAX_RESPONSE_HEAD))
    );
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(1000));
    let table: &[(&str, Outcome)] = &[
        (&many, PASS),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", PASS),
        ("HTTP/1.0 200 OK\r\n\r\nuntil the end", PASS),
        (
            "HTTP/1.1 203 Fine\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            PASS,
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", PASS),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            PASS,
        ),
        // Only the status counts: this body breaks off.
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nok", PASS),
        (
            "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n",
            mismatch(201),
        ),
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            mismatch(404),
        ),
        (
            "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n",
            mismatch(500),
        ),
        // Nobody follows this: nothing accepts a second connection, and port 1 is not asked.
        (
            "HTTP/1.1 301 Moved\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
            mismatch(301),
        ),
        ("", FAILED),
        ("SSH-2.0-OpenSSH_9.2\r\n", FAILED),
        ("HTTP/1.1 200 OK\r\ncontent-le", FAILED),
        ("HTTP/1.1 2000 OK\r\n\r\n", FAILED),
        (&long_head, FAILED),
    ];
    for (answer, expected) in table {
        assert_eq!(outcome_of(*answer, true).await, *expected, "{answer:.60}");
    }
}

#[tokio::test]
async fn a_target_that_keeps_the_connection_open_passes() {
    assert_eq!(
        outcome_of("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", false).await,
        PASS
    );
}

#[tokio::test]
async fn a_big_body_is_not_read_to_its_end() {
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n".to_vec();
    answer.resize(answer.len() + 2 * MAX_BODY, b'x');
    assert_eq!(outcome_of(answer, false).await, PASS);
}

#[tokio::test]
async fn a_body_that_never_comes_does_not_fail_the_check() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n".to_vec();
    let (address, _) = target(answer, None, false).await;
    assert_eq!(
        probe(address, &settings(Duration::from_millis(100)), None)
            .await
            .outcome,
        PASS
    );
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(probe(address, &patient(), None).await.outcome, FAILED);
}

#[tokio::test]
async fn a_silent_target_times_out() {
    let (address, _) = target(Vec::new(), None, false).await;
    assert_eq!(
        probe(address, &settings(Duration::from_millis(100)), None)
            .await
            .outcome,
        TIMED_OUT
    );
}

#[tokio::test]
async fn a_target_that_drips_its_head_times_out() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec();
    let (address, _) = target(answer, Some(Duration::from_millis(20)), false).await;
    let started = Instant::now();
    assert_eq!(
        probe(address, &settings(Duration::from_millis(200)), None)
            .await
            .outcome,
        TIMED_OUT
    );
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "each byte must not start the limit anew"
    );
}

#[tokio::test]
async fn every_check_has_a_connection_of_its_own_and_closes_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let checked = Arc::new(patient());
    for _ in 0..3 {
        let settings = Arc::clone(&checked);
        let probing = tokio::spawn(async move { probe(address, &settings, None).await.outcome });
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(probing.await.unwrap(), PASS);
        // Its request, then the end.
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    }
}

#[test]
fn what_this_side_lacks_is_not_the_targets_fault() {
    let table = [
        (Errno::MFILE, Outcome::InternalError),
        (Errno::NFILE, Outcome::InternalError),
        (Errno::NOBUFS, Outcome::InternalError),
        (Errno::NOMEM, Outcome::InternalError),
        (Errno::ADDRNOTAVAIL, Outcome::InternalError),
        (Errno::CONNREFUSED, FAILED),
        (Errno::CONNRESET, FAILED),
        (Errno::HOSTUNREACH, FAILED),
        (Errno::NETUNREACH, FAILED),
    ];
    for (errno, expected) in table {
        assert_eq!(
            judge(&ProbeError::Connect(errno.into())),
            expected,
            "{errno:?}"
        );
    }
    let settings = HealthCheckSettings {
        path: "/with space".to_owned(),
        ..patient()
    };
    let unusable = request("127.0.0.1:1".parse().unwrap(), &settings).unwrap_err();
    assert_eq!(
        judge(&ProbeError::Request(unusable)),
        Outcome::InternalError
    );
}
