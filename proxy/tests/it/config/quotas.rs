//! An ALB's quotas: what goes beyond one is refused in its words, at the table that is too much, unless it is raised.

use super::findings;
use super::refused::refused;

const GROUP: &str = "[[target_group]]\nname = 'app'\nport = 1\ntargets = ['10.0.0.1']\n";

fn group(name: &str, targets: usize) -> String {
    let targets: Vec<String> = (0..targets)
        .map(|n| format!("'10.0.{}.{}'", n / 256, n % 256))
        .collect();
    format!(
        "[[target_group]]\nname = '{name}'\nport = 1\ntargets = [{}]\n",
        targets.join(", ")
    )
}

fn listener(port: usize) -> String {
    format!(
        "[[listener]]\nport = {port}\ndefault_action = {{ type = 'forward', target_group = 'app' }}\n"
    )
}

fn rule(number: usize, conditions: &str, group: &str) -> String {
    format!(
        "[[listener.rule]]\npriority = {number}\ncondition = [{conditions}]\n\
         action = {{ type = 'forward', target_group = '{group}' }}\n"
    )
}

fn rules(numbers: std::ops::RangeInclusive<usize>) -> String {
    numbers
        .map(|n| rule(n, &format!("{{ path_pattern = ['/{n}'] }}"), "app"))
        .collect()
}

/// The text is refused with that line, as much as is allowed is not, and the text is not either once the quota is raised.
fn held(key: &str, most: usize, allowed: &str, text: &str, line: &str) {
    assert_eq!(findings(allowed), [""; 0], "{key}");
    refused(
        text,
        &format!("{line}; leave some out, or raise load_balancer.quotas.{key}"),
    );
    let raised = |most| format!("{text}[load_balancer.quotas]\n{key} = {most}\n");
    assert_eq!(findings(&raised(most + 1)), [""; 0], "{key} raised");
    assert_eq!(findings(&raised(most)).len(), 1, "{key} as it is");
}

#[test]
fn of_a_load_balancer() {
    held(
        "rules_per_application_load_balancer",
        100,
        &format!("{GROUP}{}{}", listener(80), rules(1..=100)),
        &format!(
            "{GROUP}{}{}{}{}",
            listener(80),
            rules(1..=60),
            listener(81),
            rules(61..=101)
        ),
        "f.toml:248:1: error: listener[1]: makes it 101 rules where the quota is 100 (TooManyRules)",
    );
    let listeners = |count| (0..count).map(|n| listener(100 + n)).collect::<String>();
    held(
        "listeners_per_application_load_balancer",
        50,
        &format!("{GROUP}{}", listeners(50)),
        &format!("{GROUP}{}", listeners(51)),
        "f.toml:155:1: error: listener[50]: makes it 51 listeners where the quota is 50 (TooManyListeners)",
    );
    let groups = |count| {
        let names: Vec<String> = (1..=count).map(|n| format!("g{n}")).collect();
        let groups: String = names.iter().map(|name| group(name, 1)).collect();
        let rules = (1..).zip(&names).take(99);
        let rules: String = rules
            .map(|(n, name)| rule(n, &format!("{{ path_pattern = ['/{n}'] }}"), name))
            .collect();
        let last = listener(81).replace("'app'", &format!("'g{count}'"));
        format!("{GROUP}{groups}{}{rules}{last}", listener(80))
    };
    held(
        "target_groups_per_application_load_balancer",
        100,
        &groups(99),
        &groups(100),
        "f.toml:804:1: error: listener[1]: makes it 101 target groups where the quota is 100 (TooManyUniqueTargetGroupsPerLoadBalancer)",
    );
}

#[test]
fn of_targets() {
    let other = |targets| {
        let (group, listener) = (group("other", targets), listener(80));
        let rule = rule(1, "{ path_pattern = ['/'] }", "other");
        format!("{GROUP}{group}{listener}{rule}")
    };
    held(
        "targets_per_application_load_balancer",
        1000,
        &other(999),
        &other(1000),
        "f.toml:5:1: error: target_group[1]: makes it 1001 targets where the quota is 1000 (TooManyTargets)",
    );
    let alone = |quota: &str| {
        let raised = "[load_balancer.quotas]\ntargets_per_application_load_balancer = 2000\n";
        let (group, listener) = (group("app", 1001), listener(80));
        format!("{raised}{quota}{group}{listener}")
    };
    refused(
        &alone(""),
        "f.toml:3:1: error: target_group[0]: makes it 1001 targets in one group where the quota is 1000 (TooManyTargets); leave some out, or raise load_balancer.quotas.targets_per_target_group",
    );
    assert_eq!(
        findings(&alone("targets_per_target_group = 1001\n")),
        [""; 0]
    );
}

#[test]
fn what_a_quota_may_be() {
    let text = format!("{GROUP}{}[load_balancer.quotas]\n", listener(80));
    refused(
        &format!("{text}rules_per_application_load_balancer = 0\n"),
        "f.toml:9:39: error: load_balancer.quotas.rules_per_application_load_balancer: `0` is out of range; write 1 to 1000000",
    );
    let unknown = findings(&format!("{text}rules = 200\n"));
    assert!(
        unknown[0].contains("load_balancer.quotas.rules"),
        "{unknown:?}"
    );
}
