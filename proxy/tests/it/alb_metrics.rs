//! What an ALB counts, where it does not belong to something that is tested elsewhere: zones, rules, connections.

use std::net::TcpStream;

use crate::harness::program::{Program, listening};
use crate::harness::{Proxy, Setup, Target, Wire, until};

/// The lines of a series, without their common beginning.
fn series(proxy: &Proxy, name: &str) -> Vec<String> {
    let text = proxy.admin("GET", "/metrics").text().to_owned();
    let lines = text.lines().filter_map(|line| {
        let labels_and_value = line.strip_prefix("lintel_proxy_")?.strip_prefix(name)?;
        Some(labels_and_value.to_owned())
    });
    lines.collect()
}

#[test]
fn everything_is_of_the_nodes_zone_and_hosts_are_of_their_own() {
    let target = Target::saying("well");
    let port = target.address.port();
    let own = |zone: &str| {
        Setup::default().with(zone).group(&format!(
            "targets = [{{ id = '127.0.0.1', port = {port}, availability_zone = 'b' }}]"
        ))
    };
    for (key, zone) in [
        ("availability_zone = 'a'", "availability_zone=\"a\","),
        ("", ""),
    ] {
        let proxy = own(key).start();
        assert_eq!(proxy.get("/").status(), 200);
        proxy.log(1);
        let alone = match zone.trim_end_matches(',') {
            "" => String::new(),
            zone => format!("{{{zone}}}"),
        };
        for (name, line) in [
            (
                "request_count_total",
                format!("{{{zone}target_group=\"app\"}} 1"),
            ),
            (
                "target_response_time_seconds_count",
                format!("{{{zone}target_group=\"app\"}} 1"),
            ),
            ("http_redirect_count_total", format!("{alone} 0")),
            (
                "healthy_host_count",
                "{availability_zone=\"b\",target_group=\"app\"} 1".into(),
            ),
            (
                "healthy_state_routing",
                format!("{{{zone}target_group=\"app\"}} 1"),
            ),
        ] {
            assert_eq!(series(&proxy, name), [line], "{name}");
        }
    }
}

#[test]
fn rules_are_counted_as_if_one_after_the_other_was_tried() {
    let target = Target::saying("well");
    let proxy = Setup::to([target.address])
        .rule(10, "{ path_pattern = ['/a'] }", "a")
        .rule(20, "{ path_pattern = ['/b'] }", "b")
        .rule(
            30,
            "{ http_header = { name = 'X-C', values = ['c'] } }",
            "c",
        )
        .start();
    let counted = || proxy.metric("rule_evaluations_total");
    for (path, evaluations) in [("/a", 1), ("/b", 2), ("/elsewhere", 3)] {
        let before = counted();
        assert_eq!(proxy.get(path).status(), 200);
        assert_eq!(counted() - before, evaluations, "{path}");
    }
    let proxy = Setup::to([target.address]).start();
    assert_eq!(proxy.get("/").status(), 200);
    let counted = proxy.metric("rule_evaluations_total");
    assert_eq!(counted, 0, "the default rule does not count");
}

#[test]
fn connections_beyond_the_most_are_closed_and_counted() {
    let target = Target::saying("well");
    let proxy = Setup::to([target.address])
        .with("max_connections = 2")
        .start();
    let (mut first, mut second) = (proxy.connect(), proxy.connect());
    assert_eq!(first.get("/").status(), 200);
    assert_eq!(second.get("/").status(), 200);
    for rejected in 1..=3 {
        let mut third = proxy.connect();
        let _ = third.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(third.response().is_err(), "two are there already");
        assert_eq!(proxy.metric("rejected_connection_count_total"), rejected);
    }
    assert_eq!(
        proxy.metric("new_connection_count_total{side=\"client\"}"),
        2
    );
    assert_eq!(first.get("/").status(), 200, "who is in stays in");
    drop(second);
    proxy.wait_for_metric("active_connection_count{side=\"client\"}", 1);
    assert_eq!(proxy.get("/").status(), 200);
}

#[test]
fn more_connections_can_be_allowed_at_run_time() {
    let target = Target::saying("well");
    let setup = Setup::to([target.address]);
    let proxy = setup.clone().with("max_connections = 1").start();
    let mut first = proxy.connect();
    assert_eq!(first.get("/").status(), 200);
    let mut second = proxy.connect();
    let _ = second.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(second.response().is_err());
    proxy.reload(&setup.with("max_connections = 2")).unwrap();
    assert_eq!(proxy.get("/").status(), 200);
}

#[test]
fn clients_leave_descriptors_for_targets() {
    let target = Target::saying("well");
    let (setup, address) = listening(&target);
    // Each worker counts what it accepts in its own time.
    let setup = setup.with("workers = 1");
    let program = Program::with_descriptors(200, &setup);
    until("the listener", || TcpStream::connect(address).is_ok());
    // More than there are descriptors, and none of them says anything.
    let idle: Vec<_> = (0..400).map(|_| TcpStream::connect(address)).collect();
    let metrics =
        || program.admin("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let rejected = "lintel_proxy_rejected_connection_count_total ";
    until("rejected connections", || {
        let metrics = metrics();
        let count = metrics
            .text()
            .lines()
            .find_map(|line| line.strip_prefix(rejected));
        count.is_some_and(|count| count.parse::<u64>().unwrap() > 100)
    });
    let text = metrics().text().to_owned();
    assert!(
        text.contains("active_connection_count{side=\"client\"} 150\n"),
        "{text}"
    );
    // One of those that were first; the others stay.
    let mut idle = idle.into_iter();
    let mut client = Wire::tcp(idle.next().unwrap().unwrap());
    assert_eq!(client.get("/").status(), 200);
}
