//! Targets that are spoken to over TLS.

use std::time::Instant;

use lintel_proxy::config;

use super::harness::client::get;
use super::harness::tls::{TlsFront, write_authority};
use super::harness::{Refusing, Setup, Target, ok, until};

/// In front of a target that says "well", with `line` in its group.
fn over_tls(front: &TlsFront, line: &str) -> Setup {
    Setup::to([front.address])
        .with("workers = 1")
        .group("protocol = 'HTTPS'")
        .group(line)
}

#[test]
fn any_certificate_is_taken_as_an_alb_does() {
    let target = Target::saying("over TLS");
    for front in [
        TlsFront::self_signed(target.address, &["nobody.test"]),
        TlsFront::of_authority(target.address, &["other.test"]),
    ] {
        let proxy = over_tls(&front, "").start();
        let mut client = proxy.connect();
        for _ in 0..3 {
            let response = client.get("/");
            assert_eq!((response.status(), response.text()), (200, "over TLS"));
        }
        let names = front.asked_for.lock().unwrap().clone();
        assert_eq!(names, [None], "one connection, to which no name was told");
        assert_eq!(proxy.log(3)[2]["target_status_code"], 200);
    }
}

#[test]
fn bodies_go_both_ways_and_websockets_through() {
    let target = Target::answering(|request| ok(&request.body.len().to_string()));
    let front = TlsFront::self_signed(target.address, &["nobody.test"]);
    let proxy = over_tls(&front, "").start();
    let body = "x".repeat(300_000);
    assert_eq!(proxy.connect().post("/", &body).text(), "300000");

    let echo = Target::scripted(|connection| {
        connection.request_head()?;
        connection.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        )?;
        let said = connection.bytes(5)?;
        connection.send(said)
    });
    let front = TlsFront::self_signed(echo.address, &["nobody.test"]);
    let proxy = over_tls(&front, "").start();
    let mut client = proxy.connect();
    client
        .send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        .unwrap();
    assert_eq!(client.head().unwrap().status(), 101);
    client.send("hello").unwrap();
    assert_eq!(client.bytes(5).unwrap(), b"hello");
}

#[test]
fn where_a_ca_is_named_certificates_are_verified() {
    let target = Target::saying("well");
    let directory = tempfile::tempdir().unwrap();
    write_authority(directory.path());
    let ca = directory.path().join("ca.pem").display().to_string();
    let by_name = format!("tls = {{ ca = '{ca}', server_name = 'app.internal' }}");
    let by_address = format!("tls = {{ ca = '{ca}' }}");
    for (line, front, trusted) in [
        (
            &by_name,
            TlsFront::of_authority(target.address, &["app.internal"]),
            true,
        ),
        (
            &by_name,
            TlsFront::of_authority(target.address, &["other.test"]),
            false,
        ),
        (
            &by_name,
            TlsFront::self_signed(target.address, &["app.internal"]),
            false,
        ),
        (
            &by_address,
            TlsFront::of_authority(target.address, &["127.0.0.1"]),
            true,
        ),
        (
            &by_address,
            TlsFront::of_authority(target.address, &["app.internal"]),
            false,
        ),
    ] {
        let proxy = over_tls(&front, line).start();
        let response = proxy.get("/");
        let record = proxy.log_line();
        if trusted {
            assert_eq!((response.status(), response.text()), (200, "well"));
            let name = (line == &by_name).then(|| "app.internal".to_owned());
            assert_eq!(*front.asked_for.lock().unwrap(), [name]);
        } else {
            assert_eq!(response.status(), 502, "{line}");
            assert_eq!(record["reason"], "target_tls_failed");
            assert_eq!(record["target_processing_time"].as_f64(), Some(-1.0));
        }
    }
    assert_eq!(target.requests().len(), 2, "the others were told nothing");
}

#[test]
fn a_target_without_tls_is_502() {
    let target = Target::scripted(|connection| connection.send("220 mail.test ESMTP\r\n"));
    let proxy = Setup::to([target.address])
        .group("protocol = 'HTTPS'")
        .start();
    assert_eq!(proxy.get("/").status(), 502);
    assert_eq!(proxy.log_line()["reason"], "target_tls_failed");
    let errors = "target_tls_negotiation_error_count_total{target_group=\"app\"}";
    assert_eq!(proxy.metric(errors), 1);
}

#[test]
fn a_target_that_never_shakes_hands_is_504() {
    let target = Target::scripted(|connection| connection.rest().map(|_| ()));
    let proxy = Setup::to([target.address])
        .group("protocol = 'HTTPS'")
        .with("tls_handshake_timeout = 0.3")
        .start();
    let before = Instant::now();
    assert_eq!(proxy.get("/").status(), 504);
    assert!(before.elapsed().as_millis() >= 300);
    assert_eq!(proxy.log_line()["reason"], "target_tls_timeout");
    let errors = "target_tls_negotiation_error_count_total{target_group=\"app\"}";
    assert_eq!(proxy.metric(errors), 1);
}

#[test]
fn a_handshake_that_fails_goes_to_another_target() {
    let plain = Target::saying("in the clear");
    let target = Target::saying("over TLS");
    let front = TlsFront::self_signed(target.address, &["nobody.test"]);
    let refusing = Refusing::new();
    let proxy = Setup::to([plain.address, refusing.address, front.address])
        .group("protocol = 'HTTPS'")
        .start();
    for _ in 0..3 {
        assert_eq!(proxy.connect().exchange(get("/")).text(), "over TLS");
    }
}

#[test]
fn a_connection_made_under_other_rules_is_not_used_again() {
    let target = Target::saying("well");
    let front = TlsFront::self_signed(target.address, &["nobody.test"]);
    let setup = over_tls(&front, "");
    let proxy = setup.start();
    assert_eq!(proxy.get("/").status(), 200);

    let directory = tempfile::tempdir().unwrap();
    write_authority(directory.path());
    let ca = directory.path().join("ca.pem").display().to_string();
    proxy
        .reload(&over_tls(&front, &format!("tls = {{ ca = '{ca}' }}")))
        .unwrap();
    let response = proxy.get("/");
    assert_eq!(
        response.status(),
        502,
        "not over the connection that nobody verified"
    );

    proxy.reload(&over_tls(&front, "")).unwrap();
    assert_eq!(proxy.get("/").status(), 200);
    proxy
        .reload(&over_tls(&front, "deregistration_delay = 7"))
        .unwrap();
    assert_eq!(proxy.get("/").status(), 200);
    assert_eq!(
        front.asked_for.lock().unwrap().len(),
        2,
        "a reload that changes nothing of it keeps connections"
    );
}

#[test]
fn health_checks_over_tls_take_any_certificate() {
    let well = Target::saying("well");
    let front = TlsFront::self_signed(well.address, &["nobody.test"]);
    let traffic = Target::saying("traffic");
    let port = front.address.port();
    let proxy = Setup::to([traffic.address])
        .group(&format!(
            "health_check = {{ protocol = 'HTTPS', port = {port}, interval = 0.2 }}"
        ))
        .start();
    until("a check", || !well.requests().is_empty());
    let check = well.requests().remove(0);
    assert_eq!(check.field("user-agent"), Some("ELB-HealthChecker/2.0"));
    assert_eq!(
        check.field("host"),
        Some(format!("127.0.0.1:{port}").as_str())
    );
    proxy.wait_for_health(traffic.address, "healthy");
    assert_eq!(
        proxy.get("/").text(),
        "traffic",
        "in the clear, as the group says"
    );
}

#[test]
fn health_checks_verify_where_requests_do() {
    let well = Target::saying("well");
    let front = TlsFront::self_signed(well.address, &["app.internal"]);
    let directory = tempfile::tempdir().unwrap();
    write_authority(directory.path());
    let ca = directory.path().join("ca.pem").display().to_string();
    let proxy = Setup::to([front.address])
        .group("protocol = 'HTTPS'")
        .group(&format!(
            "tls = {{ ca = '{ca}', server_name = 'app.internal' }}"
        ))
        .group("health_check = { protocol = 'HTTPS', interval = 0.2 }")
        .start_unhealthy();
    until("a failed check", || {
        let (state, reason) = proxy.health_of(front.address);
        state == "unhealthy" && reason.as_deref() == Some("Target.FailedHealthChecks")
    });
    assert!(well.requests().is_empty());
}

#[test]
fn a_server_name_must_be_one() {
    let directory = tempfile::tempdir().unwrap();
    write_authority(directory.path());
    let text = Setup::to([])
        .group("protocol = 'HTTPS'")
        .group("tls = { ca = 'ca.pem', server_name = '*.internal' }")
        .text();
    let errors = config::parse(&text, &directory.path().join("f.toml")).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    let said = errors[0].to_string();
    assert!(
        said.contains("target_group[0].tls.server_name: `*.internal` is not a host name; "),
        "{said}"
    );
}
