//! Which targets are eligible, and in which order: thresholds, zones, algorithms, slow start, weights.

use super::*;
use crate::target_group::anomaly::WINDOW;

const RAMP: Duration = Duration::from_secs(100);

fn with(targets: &[&str], change: impl FnOnce(&mut TargetGroupSettings)) -> Arc<TargetGroup> {
    let mut settings = settings(targets);
    change(&mut settings);
    TargetGroup::new(settings)
}

/// How many of so many requests, each ended before the next, each target gets.
fn shares(group: &TargetGroup, requests: usize) -> Vec<(String, usize)> {
    let mut shares = std::collections::BTreeMap::new();
    for _ in 0..requests {
        let target = group.choose(&[]).unwrap().target;
        drop(target.begin());
        *shares.entry(target.address().to_string()).or_default() += 1;
    }
    shares.into_iter().collect()
}

fn share(group: &TargetGroup, of: &str) -> usize {
    let shares = shares(group, 1000);
    let found = shares.iter().find(|(address, _)| address == of);
    found.map_or(0, |(_, share)| *share)
}

fn zoned(address: &str, zone: &str) -> TargetSettings {
    TargetSettings {
        availability_zone: Some(zone.to_owned()),
        ..target(address)
    }
}

#[test]
fn thresholds_say_when_requests_go_to_all() {
    for (count, percentage, healthy, all) in [
        (1, None, 0, true),
        (1, None, 1, false),
        (2, None, 1, true),
        (2, None, 2, false),
        (1, Some(50), 1, true),
        (1, Some(50), 2, false),
        (1, Some(51), 2, true),
        (1, Some(100), 3, true),
        (1, Some(100), 4, false),
        // Either is enough.
        (3, Some(25), 2, true),
        (1, Some(75), 2, true),
    ] {
        let targets = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"];
        let group = with(&targets, |settings| {
            settings.unhealthy_state_routing = UnhealthyStateRouting {
                minimum_healthy_targets_count: count,
                minimum_healthy_targets_percentage: percentage,
            };
        });
        check(&group, &(0..healthy).collect::<Vec<_>>(), Outcome::Pass);
        let case = format!("{count} or {percentage:?} %, {healthy} healthy");
        assert_eq!(group.is_fail_open(), all, "{case}");
        assert_eq!(group.has_healthy_target(), healthy > 0, "{case}");
        let takers = if all { 4 } else { healthy };
        assert_eq!(shares(&group, 40).len(), takers, "{case}");
        assert_eq!(group.choose(&[]).unwrap().fail_open, all, "{case}");
    }
}

#[test]
fn a_draining_target_does_not_count_as_registered() {
    let group = with(&[A, B, C], |settings| {
        settings
            .unhealthy_state_routing
            .minimum_healthy_targets_percentage = Some(60);
    });
    check(&group, &[0], Outcome::Pass);
    assert!(group.is_fail_open(), "one of three");
    let mut requests = Vec::new();
    for away in [B, C] {
        let target = group.eligible(away.parse().unwrap()).unwrap().target;
        // Without one it would be gone at once.
        requests.push(target.begin());
        group.deregister(away.parse().unwrap());
    }
    let left = shown(&[(A, "healthy"), (B, "draining"), (C, "draining")]);
    assert_eq!(states(&group), left);
    assert!(!group.is_fail_open(), "one of one");
}

#[test]
fn without_cross_zone_only_the_own_zone_gets_requests() {
    let group = with(&[], |settings| {
        settings.targets = vec![
            zoned(A, "a"),
            zoned(B, "b"),
            zoned(C, "a"),
            target("10.0.0.4:1"),
        ];
        settings.only_zone = Some("a".to_owned());
    });
    assert_eq!(shares(&group, 10), [(A.to_owned(), 5), (C.to_owned(), 5)]);
    check(&group, &[1, 3], Outcome::Pass);
    assert!(
        !group.has_healthy_target(),
        "those of other zones are no help"
    );
    assert!(group.choose(&[]).unwrap().fail_open, "within the zone");
    check(&group, &[2], Outcome::Pass);
    assert_eq!(shares(&group, 10), [(C.to_owned(), 10)]);
    assert!(group.eligible(B.parse().unwrap()).is_none());

    let mut elsewhere = settings(&[]);
    elsewhere.targets = vec![zoned(B, "b")];
    elsewhere.only_zone = Some("a".to_owned());
    group.update(elsewhere);
    assert_eq!(group.choose(&[]).unwrap_err(), NoTarget::NoneRegistered);
}

#[test]
fn the_least_busy_target_is_chosen() {
    let group = with(&[A, B, C], |settings| {
        settings.algorithm = Algorithm::LeastOutstandingRequests;
    });
    check(&group, &[0, 1, 2], Outcome::Pass);
    let a = group.eligible(A.parse().unwrap()).unwrap().target;
    let busy = [a.begin(), a.begin()];
    assert_eq!(shares(&group, 10), [(B.to_owned(), 5), (C.to_owned(), 5)]);
    let b = group.eligible(B.parse().unwrap()).unwrap().target;
    let also_busy = b.begin();
    assert_eq!(shares(&group, 10), [(C.to_owned(), 10)]);
    drop((busy, also_busy));
    let shares = shares(&group, 9);
    assert!(shares.iter().all(|(_, share)| *share == 3), "{shares:?}");
}

#[test]
fn random_choices_reach_everybody_alike() {
    let group = with(&[A, B, C], |settings| {
        settings.algorithm = Algorithm::WeightedRandom {
            anomaly_mitigation: false,
        };
    });
    check(&group, &[0, 1, 2], Outcome::Pass);
    for (_, share) in shares(&group, 30_000) {
        assert!((9_000..=11_000).contains(&share), "{share} of 30000");
    }
}

fn slowly(targets: &[&str]) -> Arc<TargetGroup> {
    with(targets, |settings| settings.slow_start = RAMP)
}

#[tokio::test(start_paused = true)]
async fn a_target_that_becomes_healthy_beside_others_starts_slowly() {
    let group = slowly(&[A, B]);
    check(&group, &[0, 1], Outcome::Pass);
    assert_eq!(
        share(&group, A),
        500,
        "a batch into an empty group does not"
    );
    group.register(target(C));
    check(&group, &[2], Outcome::Pass);
    assert!((1..=6).contains(&share(&group, C)));
    tokio::time::advance(RAMP / 2).await;
    assert!(share(&group, C).abs_diff(200) <= 2, "0.5 of 2.5");

    let mut changes = group.changes();
    assert_eq!(
        group.advance(Instant::now()),
        Some(Instant::now() + anomaly_or(RAMP / 2))
    );
    tokio::time::advance(RAMP / 2).await;
    group.advance(Instant::now());
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    assert!(share(&group, C).abs_diff(333) <= 1, "settled");
}

/// Three healthy targets are looked at every five seconds, too.
fn anomaly_or(due: Duration) -> Duration {
    due.min(WINDOW)
}

#[tokio::test(start_paused = true)]
async fn slow_start_ends_with_health_and_begins_again_with_it() {
    let group = slowly(&[A]);
    check(&group, &[0], Outcome::Pass);
    group.register(target(B));
    check(&group, &[1], Outcome::Pass);
    assert!(share(&group, B) < 20);
    check(&group, &[1, 1], FAIL);
    assert_eq!(share(&group, B), 0);
    assert_eq!(group.advance(Instant::now()), None, "nothing is due of it");
    tokio::time::advance(RAMP * 2).await;
    check(&group, &[1, 1, 1, 1, 1], Outcome::Pass);
    assert!(share(&group, B) < 20, "from the beginning");

    // Alone it gets everything.
    check(&group, &[0, 0], FAIL);
    assert_eq!(share(&group, B), 1000);
    // And who comes beside one that is itself not settled is not slowed down.
    check(&group, &[0, 0, 0, 0, 0], Outcome::Pass);
    assert!(share(&group, A) > 950);
}

#[tokio::test(start_paused = true)]
async fn switching_slow_start_on_changes_nothing_for_who_is_healthy() {
    let group = group(&[A, B]);
    check(&group, &[0, 1], Outcome::Pass);
    let mut slow = settings(&[A, B]);
    slow.slow_start = RAMP;
    group.update(slow);
    assert_eq!(share(&group, B), 500);
    // Switched off, it is over for everybody.
    check(&group, &[1, 1], FAIL);
    check(&group, &[1, 1, 1, 1, 1], Outcome::Pass);
    assert!(share(&group, B) < 20);
    group.update(settings(&[A, B]));
    assert_eq!(share(&group, B), 500);
}

/// Sends 30 requests to each, of which those to C fail as told; then the window is over.
async fn window(group: &TargetGroup, c_fails: bool) {
    for address in [A, B, C] {
        let target = group.eligible(address.parse().unwrap()).unwrap().target;
        for _ in 0..30 {
            drop(target.begin());
            if c_fails && address == C {
                target.count_error();
            }
        }
    }
    tokio::time::advance(WINDOW).await;
    group.advance(Instant::now());
}

fn detection(group: &TargetGroup) -> (&'static str, &'static str) {
    let found = group.target_health()[2].anomaly_detection;
    (found.result, found.mitigation_in_effect)
}

#[tokio::test(start_paused = true)]
async fn an_anomalous_target_gets_less_until_it_is_well() {
    let group = with(&[A, B, C], |settings| {
        settings.algorithm = Algorithm::WeightedRandom {
            anomaly_mitigation: true,
        };
    });
    check(&group, &[0, 1, 2], Outcome::Pass);
    assert_eq!(group.advance(Instant::now()), Some(Instant::now() + WINDOW));
    window(&group, false).await;
    assert_eq!(detection(&group), ("normal", "no"));
    window(&group, true).await;
    assert_eq!(detection(&group), ("anomalous", "yes"));
    let half = share(&group, C);
    assert!((140..=260).contains(&half), "0.5 of 2.5: {half}");
    for _ in 0..5 {
        window(&group, true).await;
    }
    let rest = share(&group, C);
    assert!((5..=55).contains(&rest), "0.05 of 2.05: {rest}");
    window(&group, false).await;
    assert_eq!(detection(&group), ("normal", "yes"));
    for _ in 0..13 {
        window(&group, false).await;
    }
    assert_eq!(detection(&group), ("normal", "no"));

    // With two targets there is nobody to compare with.
    window(&group, true).await;
    check(&group, &[0, 0], FAIL);
    assert_eq!(group.advance(Instant::now()), None);
    assert_eq!(detection(&group), ("normal", "no"));
}

#[tokio::test(start_paused = true)]
async fn without_mitigation_an_anomaly_is_seen_and_changes_nothing() {
    let group = group(&[A, B, C]);
    check(&group, &[0, 1, 2], Outcome::Pass);
    group.advance(Instant::now());
    window(&group, true).await;
    assert_eq!(detection(&group), ("anomalous", "no"));
    assert!(share(&group, C).abs_diff(333) <= 1);
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_switches_mitigation_off_takes_it_back_at_once() {
    let mut mitigated = settings(&[A, B, C]);
    mitigated.algorithm = Algorithm::WeightedRandom {
        anomaly_mitigation: true,
    };
    let group = TargetGroup::new(mitigated);
    check(&group, &[0, 1, 2], Outcome::Pass);
    group.advance(Instant::now());
    window(&group, true).await;
    assert_eq!(detection(&group), ("anomalous", "yes"));
    group.update(settings(&[A, B, C]));
    assert_eq!(detection(&group), ("anomalous", "no"));
}

/// Only a batch into an empty group does not start slowly.
#[tokio::test(start_paused = true)]
async fn who_comes_while_the_others_are_ill_starts_slowly_beside_them() {
    let group = slowly(&[A]);
    check(&group, &[0], Outcome::Pass);
    check(&group, &[0, 0], FAIL);
    group.register(target(B));
    check(&group, &[0, 0, 0, 0, 0], Outcome::Pass);
    check(&group, &[1], Outcome::Pass);
    assert!(share(&group, B) < 20);
}
