//! The health of targets as `/target-health` shows it, from the first check to the last: states, reasons, descriptions,
//! and after how many checks they change.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::{Value, json};

use crate::harness::client::get;
use crate::harness::{Gate, PATIENCE, Proxy, Refusing, Setup, Target, ok, until};

/// State, reason and description of the only target at this address.
#[track_caller]
fn shown(proxy: &Proxy, address: SocketAddr) -> [Value; 3] {
    let health = proxy.target_health();
    let groups = health["target_groups"].as_array().unwrap().iter();
    let target = groups
        .flat_map(|group| group["targets"].as_array().unwrap())
        .find(|target| target["port"] == address.port());
    let target = target.unwrap_or_else(|| panic!("no {address} in {health}"));
    ["state", "reason", "description"].map(|key| target[key].clone())
}

fn words(state: &str, reason: &str, description: &str) -> [Value; 3] {
    [json!(state), json!(reason), json!(description)]
}

fn healthy() -> [Value; 3] {
    [json!("healthy"), Value::Null, Value::Null]
}

/// By their codes, as the ALB has them.
fn failed(code: u16) -> [Value; 3] {
    let description = format!("Health checks failed with these codes: [{code}]");
    words("unhealthy", "Target.ResponseCodeMismatch", &description)
}

fn registering() -> [Value; 3] {
    words(
        "initial",
        "Elb.RegistrationInProgress",
        "Target registration is in progress",
    )
}

fn checking() -> [Value; 3] {
    words(
        "initial",
        "Elb.InitialHealthChecking",
        "Initial health checks in progress",
    )
}

fn status(status: u16) -> Vec<u8> {
    format!("HTTP/1.1 {status} So\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

fn target_path(address: SocketAddr) -> String {
    format!("/target-groups/app/targets/{address}")
}

/// A target whose checks are answered by the test, one after the other. When one comes, the result of the one before has
/// been counted.
struct Asking {
    target: Target,
    checks: Receiver<()>,
    statuses: Sender<u16>,
}

impl Asking {
    fn new() -> Self {
        let (came, checks) = channel();
        let (statuses, answers) = channel::<u16>();
        let (came, answers) = (Mutex::new(came), Mutex::new(answers));
        let target = Target::answering(move |_| {
            let _ = came.lock().unwrap().send(());
            status(answers.lock().unwrap().recv().unwrap_or(500))
        });
        Self {
            target,
            checks,
            statuses,
        }
    }

    /// Answers check after check, and has each state looked at when all that came before has been counted.
    #[track_caller]
    fn walk(&self, proxy: &Proxy, steps: &[(u16, [Value; 3])]) {
        for (nth, (status, before)) in steps.iter().enumerate() {
            self.checks.recv_timeout(PATIENCE).expect("a check");
            assert_eq!(shown(proxy, self.target.address), *before, "check {nth}");
            self.statuses.send(*status).unwrap();
        }
    }
}

#[test]
fn one_check_makes_a_new_target_healthy_and_thresholds_decide_afterwards() {
    let asking = Asking::new();
    let proxy = Setup::to([asking.target.address])
        .group("health_check = { interval = 0.5, timeout = 0.5, healthy_threshold = 3, unhealthy_threshold = 2 }")
        .start_unhealthy();
    asking.walk(
        &proxy,
        &[
            (200, checking()),
            (500, healthy()),
            (200, healthy()), // a pass takes back one failure
            (500, healthy()),
            (503, healthy()),
            (200, failed(503)), // two in a row; the latest code is shown
            (200, failed(503)),
            (404, failed(503)), // and a failure takes back two passes
            (200, failed(404)),
            (200, failed(404)),
            (200, failed(404)),
            (200, healthy()), // three in a row
        ],
    );
}

#[test]
fn a_new_target_is_unhealthy_after_as_many_failures_as_any() {
    let asking = Asking::new();
    let proxy = Setup::to([asking.target.address])
        .group("health_check = { interval = 0.5, timeout = 0.5, healthy_threshold = 2, unhealthy_threshold = 3, matcher = '201-202,299' }")
        .start_unhealthy();
    asking.walk(
        &proxy,
        &[
            (200, checking()),
            (203, checking()),
            (200, checking()),
            (202, failed(200)),
            (299, failed(200)),
            (201, healthy()),
        ],
    );
}

#[test]
fn a_new_target_gets_nothing_before_its_first_check_has_passed() {
    let gate = Gate::default();
    let held = gate.clone();
    let joining = Target::answering(move |request| {
        if request.uri() == "/health" {
            held.pass();
        }
        ok("joining")
    });
    let settled = Target::saying("settled");
    let proxy = Setup::to([settled.address])
        .group("health_check = { path = '/health', interval = 60, timeout = 60, healthy_threshold = 10 }")
        .start();
    let registered = proxy.admin("PUT", &target_path(joining.address));
    let registered: Value = serde_json::from_slice(&registered.body).unwrap();
    let keys = ["state", "reason", "description"];
    assert_eq!(keys.map(|key| registered[key].clone()), registering());
    joining.wait_for_requests(1);
    assert_eq!(shown(&proxy, joining.address), checking());
    for _ in 0..10 {
        assert_eq!(proxy.get("/").text(), "settled");
    }
    gate.open();
    until("healthy", || shown(&proxy, joining.address) == healthy());
    assert_eq!(joining.requests().len(), 1, "one check was enough");
    until("a share", || proxy.get("/").text() == "joining");
}

#[test]
fn why_a_target_is_unhealthy_is_said_as_by_an_alb() {
    let no_answer = words(
        "unhealthy",
        "Target.FailedHealthChecks",
        "Health checks failed",
    );
    let late = words("unhealthy", "Target.Timeout", "Request timed out");
    let refusing = Refusing::new();
    let mut targets = Vec::new();
    let mut expected = vec![(refusing.address, no_answer.clone())];
    for code in [204, 301, 404, 500, 503] {
        targets.push(Target::answering(move |_| status(code)));
        expected.push((targets.last().unwrap().address, failed(code)));
    }
    for answer in ["", "220 mail.test ESMTP\r\n\r\n", "HTTP/1.1 200 OK\r\nCont"] {
        targets.push(Target::scripted(move |connection| {
            connection.request()?;
            connection.send(answer)
        }));
        expected.push((targets.last().unwrap().address, no_answer.clone()));
    }
    for answer in ["", "HTTP/1.1 200 OK\r\n"] {
        targets.push(Target::scripted(move |connection| {
            connection.request()?;
            connection.send(answer)?;
            connection.rest().map(drop)
        }));
        expected.push((targets.last().unwrap().address, late.clone()));
    }
    let proxy = Setup::to(expected.iter().map(|(address, _)| *address))
        .group("health_check = { interval = 0.5, timeout = 0.5 }")
        .start_unhealthy();
    // One that is late only because the machine is has another check soon.
    for (nth, (address, words)) in expected.iter().enumerate() {
        until(&format!("{nth}: {words:?}"), || {
            shown(&proxy, *address) == *words
        });
    }
}

#[test]
fn a_draining_target_says_so_and_is_not_checked() {
    let gate = Gate::default();
    let held = gate.clone();
    let leaving = Target::answering(move |request| {
        if request.uri() == "/slow" {
            held.pass();
        }
        ok("leaving")
    });
    let staying = Target::saying("staying");
    let setup = Setup::to([leaving.address])
        .group("health_check = { path = '/health', interval = 0.3, timeout = 0.3, unhealthy_threshold = 10 }");
    let proxy = setup.start();
    let mut client = proxy.connect();
    client.send(get("/slow")).unwrap();
    let checks = |target: &Target| {
        let requests = target.requests();
        requests
            .iter()
            .filter(|request| request.uri() == "/health")
            .count()
    };
    until("a request in flight", || {
        leaving.requests().len() > checks(&leaving)
    });
    proxy.admin("PUT", &target_path(staying.address));
    proxy.wait_for_health(staying.address, "healthy");

    proxy.admin("DELETE", &target_path(leaving.address));
    let draining = words(
        "draining",
        "Target.DeregistrationInProgress",
        "Target deregistration is in progress",
    );
    assert_eq!(shown(&proxy, leaving.address), draining);
    let (before, others) = (checks(&leaving), checks(&staying));
    until("the other is checked", || checks(&staying) >= others + 3);
    // One may have been under way.
    assert!(checks(&leaving) <= before + 1, "no more checks");
    assert_eq!(shown(&proxy, leaving.address), draining);

    // Registered again, it begins anew, whatever is still in flight.
    let registered = proxy.admin("PUT", &target_path(leaving.address));
    let registered: Value = serde_json::from_slice(&registered.body).unwrap();
    assert_eq!(registered["reason"], registering()[1]);
    until("healthy", || shown(&proxy, leaving.address) == healthy());
    gate.open();
    assert_eq!(client.response().unwrap().text(), "leaving");
}

#[test]
fn a_group_is_checked_as_long_as_a_rule_uses_it() {
    let (app, spare) = (Target::saying("app"), Target::saying("spare"));
    let alone = Setup::to([app.address]).more(&format!(
        "[[target_group]]\nname = 'spare'\nport = 1\ntargets = ['{}']\nhealth_check = {{ interval = 60 }}\n",
        spare.address
    ));
    let used = alone.clone().rule_action(
        1,
        "{ path_pattern = ['/spare'] }",
        "{ type = 'forward', target_group = 'spare' }",
    );
    let unused = words(
        "unused",
        "Target.NotInUse",
        "Target group is not configured to receive traffic from the load balancer",
    );
    let proxy = alone.clone().start();
    assert_eq!(shown(&proxy, spare.address), unused);
    assert_eq!(spare.connections(), 0);
    for round in 1..=2 {
        proxy.reload(&used).unwrap();
        until("healthy", || shown(&proxy, spare.address) == healthy());
        assert_eq!(proxy.get("/spare").text(), "spare");
        proxy.reload(&alone).unwrap();
        assert_eq!(shown(&proxy, spare.address), unused);
        assert_eq!(proxy.get("/spare").text(), "app");
        let checks = spare.requests().into_iter();
        let checks = checks.filter(|request| request.uri() == "/").count();
        assert_eq!(checks, round, "one whenever it is used anew");
    }
}
