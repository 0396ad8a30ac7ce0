//! The group as requests, reloads, discovery and checks see it. No sockets: results of checks are given.

mod registration;
mod routing;

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::health_check::state::Failure;
use crate::model::{
    Algorithm, HealthCheckProtocol, HealthCheckSettings, Matcher, ProtocolVersion, TargetProtocol,
    UnhealthyStateRouting,
};

const FAIL: Outcome = Outcome::Fail(Failure::FailedHealthChecks);
const DELAY: Duration = Duration::from_secs(300);

pub(crate) fn target(address: &str) -> TargetSettings {
    let address: SocketAddr = address.parse().unwrap();
    TargetSettings {
        id: address.ip(),
        port: address.port(),
        availability_zone: None,
    }
}

pub(crate) fn settings(targets: &[&str]) -> TargetGroupSettings {
    TargetGroupSettings {
        name: "app".to_owned(),
        port: 8000,
        deregistration_delay: DELAY,
        health_check: HealthCheckSettings {
            protocol: HealthCheckProtocol::Http,
            version: ProtocolVersion::Http1,
            path: "/health".to_owned(),
            port: None,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            healthy_threshold: 5,
            unhealthy_threshold: 2,
            matcher: Matcher(vec![200..=200]),
        },
        targets: targets.iter().copied().map(target).collect(),
        discovery: None,
        retry: Retry::Safe,
        protocol: TargetProtocol::Http,
        protocol_version: ProtocolVersion::Http1,
        algorithm: Algorithm::RoundRobin,
        slow_start: Duration::ZERO,
        target_keep_alive: None,
        unhealthy_state_routing: UnhealthyStateRouting::default(),
        only_zone: None,
        stickiness: None,
    }
}

const A: &str = "10.0.0.1:8000";
const B: &str = "10.0.0.2:8000";
const C: &str = "10.0.0.3:8000";

fn group(targets: &[&str]) -> Arc<TargetGroup> {
    TargetGroup::new(settings(targets))
}

/// Gives the result of a check of the targets at these places, in order of registration.
fn check(group: &TargetGroup, at: &[usize], outcome: Outcome) {
    let registrations = group.registrations_after(None);
    for at in at {
        group.begin_check(registrations[*at]).unwrap();
        group.record(registrations[*at], outcome);
    }
}

fn states(group: &TargetGroup) -> Vec<(String, &'static str)> {
    let describe = |target: TargetHealthDescription| {
        (
            SocketAddr::new(target.id, target.port).to_string(),
            target.state.as_str(),
        )
    };
    group.target_health().into_iter().map(describe).collect()
}

fn chosen(group: &TargetGroup, tried: &[Arc<Target>]) -> (String, bool) {
    let choice = group.choose(tried).unwrap();
    (choice.target.address().to_string(), choice.fail_open)
}

fn shown(expected: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
    expected
        .iter()
        .map(|(address, state)| ((*address).to_owned(), *state))
        .collect()
}

#[test]
fn requests_visit_every_target_in_turn_from_any_thread() {
    const THREADS: usize = 4;
    const EACH: usize = 3_000;
    let addresses: Vec<String> = (1..=6).map(|host| format!("10.0.0.{host}:8000")).collect();
    let group = group(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
    check(&group, &[0, 1, 2, 3, 4, 5], Outcome::Pass);

    let mut counts = std::collections::HashMap::new();
    let chosen: Vec<SocketAddr> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|_| {
                let group = &group;
                scope.spawn(move || {
                    let choices = (0..EACH).map(|_| group.choose(&[]).unwrap());
                    choices
                        .map(|choice| {
                            let _in_flight = choice.target.begin();
                            choice.target.address()
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    for address in chosen {
        *counts.entry(address).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 6);
    assert!(
        counts.values().all(|count| *count == THREADS * EACH / 6),
        "{counts:?}"
    );
    assert!(
        group
            .target_health()
            .iter()
            .all(|target| target.in_flight == 0)
    );
}

#[test]
fn without_a_healthy_target_all_registered_ones_get_requests() {
    let group = group(&[A, B]);
    assert!(!group.has_healthy_target());
    assert_eq!(chosen(&group, &[]), (A.to_owned(), true));
    assert_eq!(chosen(&group, &[]), (B.to_owned(), true));

    check(&group, &[1], Outcome::Pass);
    assert!(group.has_healthy_target());
    for _ in 0..3 {
        assert_eq!(chosen(&group, &[]), (B.to_owned(), false));
    }

    check(&group, &[1], FAIL);
    check(&group, &[1], FAIL);
    assert!(!group.has_healthy_target());
    let mut both = [chosen(&group, &[]), chosen(&group, &[])];
    both.sort();
    assert_eq!(both, [(A.to_owned(), true), (B.to_owned(), true)]);
}

#[test]
fn nothing_registered() {
    let group = group(&[]);
    assert_eq!(group.choose(&[]).unwrap_err(), NoTarget::NoneRegistered);
    assert!(!group.has_healthy_target());
    assert_eq!(group.target_health(), []);
}

#[test]
fn a_request_is_never_given_to_a_target_that_failed_it() {
    let group = group(&[A, B, C]);
    check(&group, &[0, 1], Outcome::Pass);
    for _ in 0..6 {
        let mut tried = vec![group.choose(&[]).unwrap().target];
        let second = group.choose(&tried).unwrap();
        assert!(!second.fail_open);
        assert_ne!(second.target.address(), tried[0].address());
        tried.push(second.target);
        // Both healthy ones failed it: one that is not known to be healthy is better than none.
        let third = group.choose(&tried).unwrap();
        assert!(third.fail_open);
        assert_eq!(third.target.address().to_string(), C);
        tried.push(third.target);
        assert_eq!(group.choose(&tried).unwrap_err(), NoTarget::AllTried);
    }
}

#[test]
fn a_reload_keeps_health_and_counts_of_targets_that_stay() {
    let group = group(&[A, B]);
    check(&group, &[0], Outcome::Pass);
    let target = group.choose(&[]).unwrap().target;
    let request = target.begin();

    let mut next = settings(&[B, A, C]);
    next.targets[1].availability_zone = Some("us-east-1a".to_owned());
    next.retry = Retry::None;
    group.update(next);

    assert_eq!(
        states(&group),
        shown(&[(A, "healthy"), (B, "initial"), (C, "initial")])
    );
    let a = group.target_health().remove(0);
    assert_eq!(
        (a.in_flight, a.availability_zone.as_deref()),
        (1, Some("us-east-1a"))
    );
    assert_eq!(group.retry(), Retry::None);
    let now = group.choose(&[]).unwrap().target;
    assert_eq!(
        now.settings().availability_zone.as_deref(),
        Some("us-east-1a")
    );
    assert_eq!(
        group.choose(&[target, now]).unwrap().target.in_flight(),
        0,
        "the old value of A is A"
    );
    drop(request);
    assert_eq!(group.target_health()[0].in_flight, 0);
}

#[test]
fn a_target_without_requests_leaves_at_once() {
    let group = group(&[A, B]);
    group.update(settings(&[B]));
    assert_eq!(states(&group), shown(&[(B, "initial")]));
}

#[tokio::test(start_paused = true)]
async fn a_draining_target_leaves_with_its_last_request() {
    let group = group(&[A, B]);
    check(&group, &[0], Outcome::Pass);
    let target = group.choose(&[]).unwrap().target;
    let requests = [target.begin(), target.begin()];
    group.update(settings(&[B]));

    assert!(target.is_draining());
    let draining = group.target_health().remove(0);
    assert_eq!(
        (draining.state.as_str(), draining.in_flight),
        ("draining", 2)
    );
    assert_eq!(draining.reason, Some("Target.DeregistrationInProgress"));
    for _ in 0..4 {
        assert_eq!(chosen(&group, &[]), (B.to_owned(), true));
    }

    let mut changes = group.changes();
    let [first, second] = requests;
    drop(first);
    assert!(!changes.has_changed().unwrap());
    assert_eq!(group.advance(Instant::now()), Some(Instant::now() + DELAY));
    drop(second);
    assert!(
        changes.has_changed().unwrap(),
        "the group's task must hear of it"
    );
    changes.mark_unchanged();
    assert_eq!(group.advance(Instant::now()), None);
    assert_eq!(states(&group), shown(&[(B, "initial")]));
}

#[tokio::test(start_paused = true)]
async fn after_the_delay_what_is_in_flight_is_told_to_end() {
    let group = group(&[A, B]);
    let target = group.choose(&[]).unwrap().target;
    let _request = target.begin();
    group.update(settings(&[B]));

    let until = group.advance(Instant::now() + DELAY - Duration::from_millis(1));
    assert_eq!(until, Some(Instant::now() + DELAY));
    assert!(!target.is_drained());

    assert_eq!(group.advance(Instant::now() + DELAY), None);
    assert!(target.is_drained());
    assert_eq!(states(&group), shown(&[(B, "initial")]));
}

#[test]
fn with_no_delay_requests_end_at_once() {
    let mut without_delay = settings(&[A]);
    without_delay.deregistration_delay = Duration::ZERO;
    let group = TargetGroup::new(without_delay.clone());
    let target = group.choose(&[]).unwrap().target;
    let _request = target.begin();
    without_delay.targets.clear();
    group.update(without_delay);
    assert!(target.is_drained());
    assert_eq!(group.target_health(), []);
    assert_eq!(group.choose(&[]).unwrap_err(), NoTarget::NoneRegistered);
}

/// Choosing and beginning are two steps of a worker, and deregistration may come between them.
#[test]
fn a_request_given_to_a_target_that_leaves_at_once_is_not_cut() {
    let group = group(&[A, B]);
    let target = group.choose(&[]).unwrap().target;
    group.update(settings(&[B]));
    assert_eq!(states(&group), shown(&[(B, "initial")]));
    let _request = target.begin();
    assert!(!target.is_drained());
}

#[test]
fn coming_back_ends_draining() {
    let group = group(&[A, B]);
    check(&group, &[0, 1], Outcome::Pass);
    let target = group.choose(&[]).unwrap().target;
    let request = target.begin();
    let before = group.registrations_after(None);
    group.update(settings(&[B]));
    group.update(settings(&[A, B]));

    assert!(!target.is_draining());
    assert_eq!(states(&group), shown(&[(A, "initial"), (B, "healthy")]));
    assert_eq!(group.target_health()[0].in_flight, 1);
    assert_eq!(group.advance(Instant::now() + DELAY * 2), None);

    // A check from before the return says nothing about the time after it.
    group.record(before[0], Outcome::Pass);
    assert_eq!(
        group.begin_check(before[0]).map(|check| check.address),
        None
    );
    assert_eq!(states(&group)[0].1, "initial");
    // And it is checked anew.
    assert_eq!(group.registrations_after(Some(before[1])).len(), 1);
    drop(request);
}

#[test]
fn discovered_targets_add_to_the_files() {
    let mut from_file = settings(&[A]);
    from_file.targets[0].availability_zone = Some("us-east-1a".to_owned());
    let group = TargetGroup::new(from_file.clone());
    group.discovered(vec![target(A), target(B)]);
    assert_eq!(states(&group), shown(&[(A, "initial"), (B, "initial")]));
    assert_eq!(
        group.target_health()[0].availability_zone.as_deref(),
        Some("us-east-1a")
    );

    // Unknown to discovery, but still in the file; then the other way round.
    group.discovered(vec![target(C)]);
    assert_eq!(states(&group), shown(&[(A, "initial"), (C, "initial")]));
    from_file.targets.clear();
    group.update(from_file);
    assert_eq!(states(&group), shown(&[(C, "initial")]));
}

#[test]
fn an_unchanged_answer_of_discovery_changes_nothing() {
    let group = group(&[]);
    group.discovered(vec![target(A)]);
    let changes = group.changes();
    group.discovered(vec![target(A)]);
    assert!(!changes.has_changed().unwrap());
}

#[test]
fn a_group_that_no_rule_uses_is_not_checked() {
    let group = group(&[A]);
    check(&group, &[0], Outcome::Pass);
    let before = group.registrations_after(None);
    group.set_in_use(false);
    let unused = group.target_health().remove(0);
    assert_eq!(
        (unused.state, unused.reason),
        (State::Unused, Some("Target.NotInUse"))
    );
    assert_eq!(group.registrations_after(None), []);
    assert!(group.begin_check(before[0]).is_none());
    assert!(group.check_interval(before[0]).is_none());
    // A request that was on its way when the rules changed is still served.
    assert_eq!(chosen(&group, &[]), (A.to_owned(), true));

    group.update(settings(&[A, B]));
    assert_eq!(states(&group), shown(&[(A, "unused"), (B, "unused")]));
    group.set_in_use(true);
    assert_eq!(states(&group), shown(&[(A, "initial"), (B, "initial")]));
    assert_eq!(group.registrations_after(None).len(), 2);
}

#[test]
fn a_check_goes_to_the_port_for_checks() {
    let mut other_port = settings(&[A]);
    let group = TargetGroup::new(other_port.clone());
    let registration = group.registrations_after(None)[0];
    assert_eq!(
        group.begin_check(registration).unwrap().address.to_string(),
        A
    );
    other_port.health_check.port = Some(9000);
    group.update(other_port);
    assert_eq!(
        group.begin_check(registration).unwrap().address.to_string(),
        "10.0.0.1:9000"
    );
}

#[test]
fn target_health_as_json() {
    let group = group(&[A, "[fd00::1]:8001"]);
    check(&group, &[0], Outcome::Pass);
    let mismatch = Outcome::Fail(Failure::ResponseCodeMismatch(404));
    check(&group, &[1], mismatch);
    check(&group, &[1], mismatch);
    let _request = group.choose(&[]).unwrap().target.begin();
    let expected = concat!(
        r#"[{"id":"10.0.0.1","port":8000,"availability_zone":null,"state":"healthy","#,
        r#""reason":null,"description":null,"in_flight":1},"#,
        r#"{"id":"fd00::1","port":8001,"availability_zone":null,"state":"unhealthy","#,
        r#""reason":"Target.ResponseCodeMismatch","#,
        r#""description":"Health checks failed with these codes: [404]","in_flight":0}]"#,
    );
    assert_eq!(
        serde_json::to_string(&group.target_health()).unwrap(),
        expected
    );
}
