//! Which target of a group takes a request, and how its health decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};

use crate::harness::{Refusing, Setup, Target, ok};

/// Health checks of their own, quick enough for a test.
const CHECKS: &str = "health_check = { path = '/health', interval = 0.1, timeout = 0.09, healthy_threshold = 2, unhealthy_threshold = 2 }";

/// A target whose answer to health checks can be changed; it says `name` to everything else.
fn with_health(name: &'static str) -> (Target, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(200));
    let told = Arc::clone(&status);
    let target = Target::answering(move |request| match request.uri() {
        "/health" => format!(
            "HTTP/1.1 {} X\r\nContent-Length: 0\r\n\r\n",
            told.load(SeqCst)
        )
        .into_bytes(),
        _ => ok(name),
    });
    (target, status)
}

#[test]
fn requests_visit_the_targets_in_turn_whatever_their_connections() {
    let targets = [
        Target::saying("a"),
        Target::saying("b"),
        Target::saying("c"),
    ];
    let proxy = Setup::to(targets.iter().map(|target| target.address))
        .with("workers = 3")
        .start();
    let mut kept = proxy.connect();
    let visited: Vec<String> = (0..60)
        .map(|nth| match nth % 2 {
            0 => kept.get("/").text().to_owned(),
            // Other connections, which other workers may have.
            _ => proxy.get("/").text().to_owned(),
        })
        .collect();
    for turn in visited.chunks(3) {
        let mut turn = turn.to_vec();
        turn.sort_unstable();
        assert_eq!(turn, ["a", "b", "c"], "{visited:?}");
    }
}

/// What one group takes is no turn of another's.
#[test]
fn each_group_has_its_own_turns() {
    let targets = ["a", "b", "c", "d"].map(Target::saying);
    let [a, b, c, d] = targets.each_ref().map(|target| target.address);
    let proxy = Setup::to([a, b])
        .other_group("other", &[c, d])
        .rule_action(
            1,
            "{ path_pattern = ['/other'] }",
            "{ type = 'forward', target_group = 'other' }",
        )
        .start();
    let mut client = proxy.connect();
    let visited: Vec<String> = ["/", "/other"]
        .repeat(4)
        .iter()
        .map(|path| client.get(path).text().to_owned())
        .collect();
    for group in [0, 1] {
        let turns: Vec<&String> = visited.iter().skip(group).step_by(2).collect();
        assert_ne!(turns[0], turns[1], "{visited:?}");
        assert_eq!(turns[..2], turns[2..], "{visited:?}");
    }
}

#[test]
fn an_unhealthy_target_gets_nothing_until_it_is_well() {
    let (one, health) = with_health("one");
    let (two, _) = with_health("two");
    let proxy = Setup::to([one.address, two.address]).group(CHECKS).start();
    health.store(500, SeqCst);
    proxy.wait_for_health(one.address, "unhealthy");
    assert_eq!(
        proxy.health_of(one.address).1.as_deref(),
        Some("Target.ResponseCodeMismatch")
    );
    for _ in 0..10 {
        assert_eq!(proxy.get("/").text(), "two");
    }
    health.store(200, SeqCst);
    proxy.wait_for_health(one.address, "healthy");
    let mut both = [
        proxy.get("/").text().to_owned(),
        proxy.get("/").text().to_owned(),
    ];
    both.sort_unstable();
    assert_eq!(both, ["one", "two"]);
}

#[test]
fn with_no_healthy_target_all_are_tried() {
    let (one, first) = with_health("one");
    let (two, second) = with_health("two");
    first.store(500, SeqCst);
    second.store(500, SeqCst);
    let proxy = Setup::to([one.address, two.address])
        .group(CHECKS)
        .start_unhealthy();
    proxy.wait_for_health(one.address, "unhealthy");
    proxy.wait_for_health(two.address, "unhealthy");
    let mut both = [
        proxy.get("/").text().to_owned(),
        proxy.get("/").text().to_owned(),
    ];
    both.sort_unstable();
    assert_eq!(both, ["one", "two"]);
    proxy.wait_for_metric(
        "unhealthy_routing_request_count_total{target_group=\"app\"}",
        2,
    );
    assert_eq!(proxy.admin("GET", "/ready").status(), 503);
}

#[test]
fn without_targets_it_is_503() {
    let proxy = Setup::to([]).start();
    assert_eq!(proxy.get("/").status(), 503);
    let line = proxy.log_line();
    assert_eq!(line["reason"], "no_targets");
    assert_eq!(line["target_group_arn"], "targetgroup/app");
}

#[test]
fn a_target_that_nobody_reaches_says_so() {
    let refusing = Refusing::new();
    let proxy = Setup::to([refusing.address])
        .group(CHECKS)
        .start_unhealthy();
    proxy.wait_for_health(refusing.address, "unhealthy");
    assert_eq!(
        proxy.health_of(refusing.address).1.as_deref(),
        Some("Target.FailedHealthChecks")
    );
}

#[test]
fn a_target_that_keeps_its_checks_waiting_says_so() {
    let silent = Target::scripted(|connection| {
        connection.request()?;
        connection.rest().map(drop)
    });
    let proxy = Setup::to([silent.address]).group(CHECKS).start_unhealthy();
    proxy.wait_for_health(silent.address, "unhealthy");
    assert_eq!(
        proxy.health_of(silent.address).1.as_deref(),
        Some("Target.Timeout")
    );
}

#[test]
fn a_group_that_no_rule_uses_is_not_checked() {
    let (app, idle) = (Target::saying("app"), Target::saying("idle"));
    let health = format!("{{ port = {} }}", idle.address.port());
    let proxy = Setup::to([app.address])
        .more(&format!(
            "[[target_group]]\nname = 'idle'\nport = 1\ntargets = ['{}']\nhealth_check = {health}\n",
            idle.address
        ))
        .start();
    let unused = ("unused".to_owned(), Some("Target.NotInUse".to_owned()));
    assert_eq!(proxy.health_of(idle.address), unused);
    assert_eq!(proxy.admin("GET", "/ready").status(), 200);
    assert_eq!(idle.connections(), 0);
}

#[test]
fn a_health_check_is_a_plain_request_for_the_path() {
    let (target, _) = with_health("app");
    let proxy = Setup::to([target.address]).group(CHECKS).start();
    let check = target.requests().remove(0);
    assert_eq!(check.start, "GET /health HTTP/1.1");
    assert_eq!(
        check.field("host"),
        Some(target.address.to_string().as_str())
    );
    assert!(check.has("user-agent"));
    // Checks are nobody's requests.
    assert_eq!(proxy.metric("request_count_total{target_group=\"app\"}"), 0);
}

#[test]
fn requests_in_flight_are_shown() {
    let target = Target::scripted(|connection| {
        connection.request()?;
        connection.rest().map(drop)
    });
    let proxy = Setup::to([target.address]).start();
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let mut client = proxy.connect();
            client.send(crate::harness::client::get("/")).unwrap();
            client
        })
        .collect();
    target.wait_for_requests(3);
    let in_flight = || proxy.target_health()["target_groups"][0]["targets"][0]["in_flight"].clone();
    assert_eq!(in_flight(), 3);
    drop(clients);
    crate::harness::until("nothing in flight", || in_flight() == 0);
}
