//! Forwarding to several target groups by weight.

use serde_json::Value;

use crate::harness::{Proxy, Refusing, Setup, Target};

/// Everything goes to these groups by their weights, the first one's name being `app`.
fn forward(weights: &[(&str, u32)]) -> String {
    let groups: Vec<String> = weights
        .iter()
        .map(|(name, weight)| format!("{{ name = '{name}', weight = {weight} }}"))
        .collect();
    format!(
        "{{ type = 'forward', target_group = [{}] }}",
        groups.join(", ")
    )
}

/// How many of `count` requests were answered with each text.
fn answers(proxy: &Proxy, count: usize, texts: &[&str]) -> Vec<usize> {
    let mut client = proxy.connect();
    let mut taken = vec![0; texts.len()];
    for _ in 0..count {
        let answer = client.get("/weighted");
        let text = texts.iter().position(|text| *text == answer.text());
        taken[text.expect("an answer of one of the groups")] += 1;
    }
    taken
}

/// Two connections' lines come in any order.
fn by_priority(mut lines: Vec<Value>) -> Vec<Value> {
    lines.sort_by_key(|line| line["matched_rule_priority"].as_u64());
    lines
}

const ALL: &str = "{ path_pattern = ['*'] }";

#[test]
fn requests_are_shared_by_weight() {
    let (app, canary) = (Target::saying("app"), Target::saying("canary"));
    let proxy = Setup::to([app.address])
        .other_group("canary", &[canary.address])
        .rule_action(1, ALL, &forward(&[("app", 6), ("canary", 2)]))
        .start();
    let taken = answers(&proxy, 2000, &["app", "canary"]);
    // Seven standard deviations of 19.4 on either side.
    assert!((1364..=1636).contains(&taken[0]), "{taken:?}");
}

#[test]
fn a_group_of_weight_0_gets_nothing_and_is_checked_all_the_same() {
    let (app, drained) = (Target::saying("app"), Target::saying("drained"));
    let proxy = Setup::to([app.address])
        .other_group("drained", &[drained.address])
        .rule_action(1, ALL, &forward(&[("drained", 0), ("app", 1)]))
        .start();
    assert_eq!(answers(&proxy, 100, &["app"]), [100]);
    assert!(drained.requests().is_empty());
    assert_eq!(proxy.health_of(drained.address).0, "healthy");
}

#[test]
fn when_all_weights_are_0_nobody_answers() {
    let app = Target::saying("app");
    let proxy = Setup::to([app.address])
        .rule_action(1, "{ path_pattern = ['/one'] }", &forward(&[("app", 0)]))
        .rule_action(
            2,
            "{ path_pattern = ['/two'] }",
            &forward(&[("app", 0), ("other", 0)]),
        )
        .other_group("other", &[app.address])
        .start();
    for path in ["/one", "/two"] {
        assert_eq!(proxy.get(path).status(), 503, "{path}");
    }
    for (line, priority) in by_priority(proxy.log(2)).iter().zip([1, 2]) {
        assert_eq!(line["reason"], "no_target_group");
        assert_eq!(line["matched_rule_priority"], priority);
        assert!(line["target_group_arn"].is_null());
    }
}

#[test]
fn there_is_no_failover_between_groups() {
    let app = Target::saying("app");
    let refusing = Refusing::new();
    let proxy = Setup::to([app.address])
        .other_group("empty", &[])
        .other_group("dead", &[refusing.address])
        .rule_action(
            1,
            "{ path_pattern = ['/empty'] }",
            &forward(&[("app", 0), ("empty", 1)]),
        )
        .rule_action(
            2,
            "{ path_pattern = ['/dead'] }",
            &forward(&[("app", 0), ("dead", 1)]),
        )
        .start();
    assert_eq!(proxy.get("/empty").status(), 503);
    assert_eq!(proxy.get("/dead").status(), 502);
    assert!(app.requests().is_empty());
    let lines = by_priority(proxy.log(2));
    assert_eq!(lines[0]["reason"], "no_targets");
    assert_eq!(lines[1]["target_group_arn"], "targetgroup/dead");
}

#[test]
fn only_groups_that_get_requests_must_be_ready() {
    let app = Target::saying("app");
    let setup = |weight| {
        Setup::to([app.address])
            .other_group("empty", &[])
            .rule_action(1, ALL, &forward(&[("app", 1), ("empty", weight)]))
    };
    let proxy = setup(0).start();
    assert_eq!(proxy.admin("GET", "/ready").status(), 200);
    proxy.reload(&setup(1)).unwrap();
    let answer = proxy.admin("GET", "/ready");
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.text(), "no healthy target in: empty\n");
}
