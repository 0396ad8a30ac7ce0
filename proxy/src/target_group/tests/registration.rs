//! Targets that are registered and deregistered by hand, beside what the file and discovery say.

use super::*;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn a_target_registered_by_hand_stays_whatever_the_file_says() {
    let group = group(&[A]);
    assert!(group.register(target(B)));
    assert!(!group.register(target(B)), "it is registered already");
    assert!(!group.register(target(A)), "the file has it");
    assert_eq!(states(&group), shown(&[(A, "initial"), (B, "initial")]));
    check(&group, &[1], Outcome::Pass);
    assert!(!group.register(target(B)));
    let unchanged = shown(&[(A, "initial"), (B, "healthy")]);
    assert_eq!(states(&group), unchanged, "it stays as it was");

    group.update(settings(&[C]));
    group.discovered(vec![target(A)]);
    assert_eq!(
        states(&group),
        shown(&[(B, "healthy"), (C, "initial"), (A, "initial")])
    );
    assert!(group.deregister(address(B)));
    assert_eq!(states(&group), shown(&[(C, "initial"), (A, "initial")]));
}

#[test]
fn a_target_of_the_file_that_was_deregistered_stays_away() {
    let group = group(&[A, B]);
    assert!(group.deregister(address(A)));
    assert_eq!(states(&group), shown(&[(B, "initial")]));
    assert!(!group.deregister(address(A)), "it is not there");
    assert!(!group.deregister(address(C)), "it never was");

    // A reload that says the same as before says nothing of it.
    let mut same = settings(&[A, B]);
    same.retry = Retry::None;
    group.update(same);
    assert_eq!(states(&group), shown(&[(B, "initial")]));

    group.update(settings(&[A, B, C]));
    assert_eq!(
        states(&group),
        shown(&[(B, "initial"), (A, "initial"), (C, "initial")])
    );
    group.deregister(address(A));
    assert!(group.register(target(A)));
    assert_eq!(group.target_health().len(), 3);
}

#[test]
fn what_discovery_loses_sight_of_is_new_when_it_comes_back() {
    let group = group(&[]);
    group.discovered(vec![target(A), target(B)]);
    group.deregister(address(A));
    group.discovered(vec![target(B), target(A)]);
    assert_eq!(states(&group), shown(&[(B, "initial")]));
    group.discovered(vec![target(B)]);
    group.discovered(vec![target(A), target(B)]);
    assert_eq!(states(&group), shown(&[(B, "initial"), (A, "initial")]));
}

#[tokio::test(start_paused = true)]
async fn deregistering_drains_and_registering_again_ends_that() {
    let group = group(&[A, B]);
    check(&group, &[0, 1], Outcome::Pass);
    let target_a = group.eligible(address(A)).unwrap().target;
    let request = target_a.begin();
    assert!(group.deregister(address(A)));
    assert!(target_a.is_draining());
    assert!(group.deregister(address(A)), "known, and draining already");
    assert_eq!(states(&group), shown(&[(A, "draining"), (B, "healthy")]));
    assert!(group.eligible(address(A)).is_none(), "nobody sticks to it");

    assert!(group.register(target(A)));
    assert!(!target_a.is_draining());
    assert_eq!(states(&group), shown(&[(A, "initial"), (B, "healthy")]));

    group.deregister(address(A));
    drop(request);
    group.advance(Instant::now());
    assert_eq!(states(&group), shown(&[(B, "healthy")]));
}
