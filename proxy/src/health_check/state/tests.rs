//! The threshold machine: a table for what the ALB documents, properties for every other sequence of results.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::{HealthCheckProtocol, Matcher, ProtocolVersion};

const PASS: Outcome = Outcome::Pass;
const MISMATCH: Outcome = Outcome::Fail(Failure::ResponseCodeMismatch(404));
const TIMEOUT: Outcome = Outcome::Fail(Failure::Timeout);
const REFUSED: Outcome = Outcome::Fail(Failure::FailedHealthChecks);
const OURS: Outcome = Outcome::InternalError;

fn thresholds(healthy_threshold: u32, unhealthy_threshold: u32) -> HealthCheckSettings {
    HealthCheckSettings {
        protocol: HealthCheckProtocol::Http,
        version: ProtocolVersion::Http1,
        path: "/".to_owned(),
        port: None,
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(5),
        healthy_threshold,
        unhealthy_threshold,
        matcher: Matcher(vec![200..=200]),
    }
}

fn after(outcomes: &[Outcome], settings: &HealthCheckSettings) -> TargetHealth {
    let start = TargetHealth::REGISTERED.checking();
    outcomes
        .iter()
        .fold(start, |health, outcome| health.after(*outcome, settings))
}

#[test]
fn the_documented_ways() {
    use State::{Healthy, Initial, Unavailable, Unhealthy};
    let initial = Some("Elb.InitialHealthChecking");
    let table: &[(&[Outcome], State, Option<&str>)] = &[
        (&[], Initial, initial),
        // A new target needs one pass, not five.
        (&[PASS], Healthy, None),
        (&[REFUSED], Initial, initial),
        (&[REFUSED, PASS], Healthy, None),
        (
            &[REFUSED, REFUSED],
            Unhealthy,
            Some("Target.FailedHealthChecks"),
        ),
        // Failures count only in a row.
        (&[PASS, TIMEOUT, PASS, TIMEOUT], Healthy, None),
        (&[PASS, TIMEOUT, TIMEOUT], Unhealthy, Some("Target.Timeout")),
        // The last failure is the reason.
        (
            &[PASS, TIMEOUT, MISMATCH],
            Unhealthy,
            Some("Target.ResponseCodeMismatch"),
        ),
        (
            &[TIMEOUT, TIMEOUT, MISMATCH],
            Unhealthy,
            Some("Target.ResponseCodeMismatch"),
        ),
        // Back after five passes in a row, and not before.
        (
            &[TIMEOUT, TIMEOUT, PASS, PASS, PASS, PASS],
            Unhealthy,
            Some("Target.Timeout"),
        ),
        (
            &[TIMEOUT, TIMEOUT, PASS, PASS, PASS, PASS, PASS],
            Healthy,
            None,
        ),
        (
            &[TIMEOUT, TIMEOUT, PASS, PASS, PASS, PASS, TIMEOUT, PASS],
            Unhealthy,
            Some("Target.Timeout"),
        ),
        // Trouble of our own moves nothing but a target of which nothing is known.
        (&[OURS], Unavailable, Some("Elb.InternalError")),
        (&[OURS, OURS, OURS, PASS], Healthy, None),
        (&[OURS, TIMEOUT], Initial, initial),
        (&[TIMEOUT, OURS, TIMEOUT], Unhealthy, Some("Target.Timeout")),
        (&[PASS, OURS, OURS, OURS], Healthy, None),
        (
            &[PASS, TIMEOUT, OURS, TIMEOUT],
            Unhealthy,
            Some("Target.Timeout"),
        ),
        (&[TIMEOUT, TIMEOUT, OURS], Unhealthy, Some("Target.Timeout")),
    ];
    for (outcomes, state, reason) in table {
        let health = after(outcomes, &thresholds(5, 2));
        assert_eq!(
            (health.state, health.reason.map(Reason::code)),
            (*state, *reason),
            "after {outcomes:?}"
        );
    }
}

#[test]
fn results_that_come_too_late_change_nothing() {
    for ended in [TargetHealth::DRAINING, TargetHealth::UNUSED] {
        for outcome in [PASS, MISMATCH, OURS] {
            assert_eq!(ended.after(outcome, &thresholds(1, 1)), ended);
        }
        assert!(!ended.is_checked());
    }
}

#[test]
fn the_words_are_the_albs() {
    let table = [
        (
            Reason::RegistrationInProgress,
            "Elb.RegistrationInProgress",
            "Target registration is in progress",
        ),
        (
            Reason::InitialHealthChecking,
            "Elb.InitialHealthChecking",
            "Initial health checks in progress",
        ),
        (
            Reason::CheckFailed(Failure::ResponseCodeMismatch(404)),
            "Target.ResponseCodeMismatch",
            "Health checks failed with these codes: [404]",
        ),
        (
            Reason::CheckFailed(Failure::Timeout),
            "Target.Timeout",
            "Request timed out",
        ),
        (
            Reason::CheckFailed(Failure::FailedHealthChecks),
            "Target.FailedHealthChecks",
            "Health checks failed",
        ),
        (
            Reason::InternalError,
            "Elb.InternalError",
            "Health checks failed due to an internal error",
        ),
        (
            Reason::NotInUse,
            "Target.NotInUse",
            "Target group is not configured to receive traffic from the load balancer",
        ),
        (
            Reason::DeregistrationInProgress,
            "Target.DeregistrationInProgress",
            "Target deregistration is in progress",
        ),
    ];
    for (reason, code, description) in table {
        assert_eq!(
            (reason.code(), reason.description().as_ref()),
            (code, description)
        );
    }
}

#[test]
fn a_state_is_written_as_it_is_shown() {
    let all = [
        (State::Initial, "initial"),
        (State::Healthy, "healthy"),
        (State::Unhealthy, "unhealthy"),
        (State::Unused, "unused"),
        (State::Draining, "draining"),
        (State::Unavailable, "unavailable"),
    ];
    for (state, word) in all {
        assert_eq!(state.as_str(), word);
        assert_eq!(serde_json::to_value(state).unwrap(), word);
    }
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(PASS),
        Just(MISMATCH),
        Just(TIMEOUT),
        Just(REFUSED),
        Just(OURS)
    ]
}

/// How many results at the end are like `wanted`; those that taught nothing do not count.
fn trailing(history: &[Outcome], wanted: impl Fn(Outcome) -> bool) -> u32 {
    let learnt = history.iter().rev().filter(|outcome| **outcome != OURS);
    learnt.take_while(|outcome| wanted(**outcome)).count() as u32
}

proptest! {
    /// Every step of every sequence, against what the results so far say when read as a whole.
    #[test]
    fn the_thresholds_decide(
        outcomes in prop::collection::vec(outcome(), 0..60),
        healthy_threshold in 1_u32..6,
        unhealthy_threshold in 1_u32..6,
    ) {
        let settings = thresholds(healthy_threshold, unhealthy_threshold);
        let mut health = TargetHealth::REGISTERED.checking();
        for (at, outcome) in outcomes.iter().enumerate() {
            let history = &outcomes[..=at];
            let next = health.after(*outcome, &settings);
            let failed = trailing(history, |outcome| outcome != PASS) >= unhealthy_threshold;
            let passed = trailing(history, |outcome| outcome == PASS);
            let expected = match health.state {
                State::Unhealthy if passed >= healthy_threshold => State::Healthy,
                State::Unhealthy => State::Unhealthy,
                _ if *outcome == PASS => State::Healthy,
                State::Healthy if *outcome == OURS => State::Healthy,
                _ if *outcome == OURS => State::Unavailable,
                _ if failed => State::Unhealthy,
                State::Healthy => State::Healthy,
                _ => State::Initial,
            };
            prop_assert_eq!(next.state, expected, "after {:?}", history);
            prop_assert_eq!(next.reason.is_none(), next.state == State::Healthy);
            prop_assert!(next.is_checked());
            health = next;
        }
    }
}
