//! The ranges of an ALB: what is at the end of one works, and what lies beyond it is refused.

use super::refused::refused;
use super::{SMALLEST, findings};

/// A rule's lines with a text, the key that this is of, how it begins and how long it may be.
const LENGTHS: &[(&str, &str, &str, usize)] = &[
    (
        "condition = [{ path_pattern = [TEXT] }]",
        "condition[0].path_pattern[0]",
        "/",
        128,
    ),
    (
        "condition = [{ path_pattern = { regex_values = [TEXT] } }]",
        "condition[0].path_pattern.regex_values[0]",
        "/",
        128,
    ),
    (
        "condition = [{ host_header = [TEXT] }]",
        "condition[0].host_header[0]",
        "a.",
        128,
    ),
    (
        "condition = [{ http_header = { name = TEXT, values = ['1'] } }]",
        "condition[0].http_header.name",
        "X",
        40,
    ),
    (
        "condition = [{ http_header = { name = 'X-A', values = [TEXT] } }]",
        "condition[0].http_header.values[0]",
        "a",
        128,
    ),
    (
        "condition = [{ query_string = [{ key = TEXT, value = '1' }] }]",
        "condition[0].query_string[0].key",
        "a",
        128,
    ),
    (
        "condition = [{ query_string = [{ value = TEXT }] }]",
        "condition[0].query_string[0].value",
        "a",
        128,
    ),
    (
        "condition = [{ http_request_method = [TEXT] }]",
        "condition[0].http_request_method[0]",
        "A",
        40,
    ),
    (
        "condition = [{ path_pattern = ['/'] }]\ntransform = [{ type = 'url-rewrite', rewrite = { regex = TEXT, replace = '/' } }]",
        "transform[0].rewrite.regex",
        "/",
        1024,
    ),
    (
        "condition = [{ path_pattern = ['/'] }]\ntransform = [{ type = 'url-rewrite', rewrite = { regex = '/', replace = TEXT } }]",
        "transform[0].rewrite.replace",
        "/",
        1024,
    ),
];

#[test]
fn texts_of_rules_are_as_long_as_an_alb_takes_them() {
    for (rule, key, beginning, longest) in LENGTHS {
        let of_length = |length: usize| {
            let text = format!("{beginning}{}", "A".repeat(length - beginning.len()));
            let rule = rule.replace("TEXT", &format!("'{text}'"));
            format!(
                "{SMALLEST}[[listener.rule]]\npriority = 1\n{rule}\n\
                 action = {{ type = 'forward', target_group = 'app' }}\n"
            )
        };
        assert_eq!(findings(&of_length(*longest)), [""; 0], "{rule}");
        let (line, at) = rule
            .lines()
            .enumerate()
            .find_map(|(nth, line)| Some((10 + nth, line.find("TEXT")? + 1)))
            .expect("a place");
        refused(
            &of_length(longest + 1),
            &format!(
                "f.toml:{line}:{at}: error: listener[0].rule[0].{key}: is {} characters long; write at most {longest}",
                longest + 1
            ),
        );
    }
}

#[test]
fn a_fixed_response_has_1024_characters_at_most() {
    let with_body = |length: usize| {
        let body = "x".repeat(length);
        format!(
            "{SMALLEST}[[listener]]\nport = 81\n\
             default_action = {{ type = 'fixed-response', status_code = '200', message_body = '{body}' }}\n"
        )
    };
    assert_eq!(findings(&with_body(1024)), [""; 0]);
    refused(
        &with_body(1025),
        "f.toml:10:81: error: listener[1].default_action.message_body: is 1025 characters long; write at most 1024",
    );
}

/// A target group's line with a number, the key that this is of, the last that is good, the first that is not, and why.
const NUMBERS: &[(&str, &str, u32, u32, &str)] = &[
    (
        "deregistration_delay = NUMBER",
        "deregistration_delay",
        3600,
        3601,
        "is out of range; write 0 to 3600 seconds",
    ),
    (
        "target_keep_alive = NUMBER",
        "target_keep_alive",
        604_800,
        604_801,
        "is out of range; write 0.001 to 604800 seconds",
    ),
    (
        "slow_start = NUMBER",
        "slow_start",
        900,
        901,
        "is out of range; write 0, or 30 to 900 seconds",
    ),
    (
        "target_group_health = { unhealthy_state_routing = { minimum_healthy_targets_count = NUMBER } }",
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets_count",
        1,
        0,
        "is out of range; write 1 to 1000",
    ),
    (
        "target_group_health = { unhealthy_state_routing = { minimum_healthy_targets_count = NUMBER } }",
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets_count",
        1000,
        1001,
        "is out of range; write 1 to 1000",
    ),
    (
        "target_group_health = { unhealthy_state_routing = { minimum_healthy_targets_percentage = NUMBER } }",
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets_percentage",
        1,
        0,
        "is no percentage; write 1 to 100, or \"off\"",
    ),
    (
        "target_group_health = { unhealthy_state_routing = { minimum_healthy_targets_percentage = NUMBER } }",
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets_percentage",
        100,
        101,
        "is no percentage; write 1 to 100, or \"off\"",
    ),
    (
        "stickiness = { enabled = true, cookie_duration = NUMBER }",
        "stickiness.cookie_duration",
        1,
        0,
        "is out of range; write 1 to 604800 seconds",
    ),
    (
        "stickiness = { enabled = true, cookie_duration = NUMBER }",
        "stickiness.cookie_duration",
        604_800,
        604_801,
        "is out of range; write 1 to 604800 seconds",
    ),
];

/// The same of health checks.
const HEALTH_CHECK_NUMBERS: &[(&str, &str, u32, u32, &str)] = &[
    (
        "health_check = { interval = NUMBER }",
        "health_check.interval",
        300,
        301,
        "is out of range; write 5 to 300 seconds",
    ),
    (
        "health_check = { interval = 300, timeout = NUMBER }",
        "health_check.timeout",
        120,
        121,
        "is out of range; write 2 to 120 seconds",
    ),
    (
        "health_check = { timeout = NUMBER }",
        "health_check.timeout",
        30,
        31,
        "is longer than the interval; write at most 30 seconds, or a longer interval",
    ),
    (
        "health_check = { healthy_threshold = NUMBER }",
        "health_check.healthy_threshold",
        10,
        11,
        "is out of range; write 1 to 10",
    ),
    (
        "health_check = { unhealthy_threshold = NUMBER }",
        "health_check.unhealthy_threshold",
        10,
        11,
        "is out of range; write 1 to 10",
    ),
    (
        "health_check = { port = NUMBER }",
        "health_check.port",
        65_535,
        65_536,
        "is out of range; write 1 to 65535",
    ),
];

#[test]
fn a_health_checks_path_has_1024_characters_at_most() {
    let with = |length: usize| {
        let path = format!("/{}", "x".repeat(length - 1));
        let line = format!("health_check = {{ path = '{path}' }}");
        SMALLEST.replace("targets", &format!("{line}\ntargets"))
    };
    assert_eq!(findings(&with(1024)), [""; 0]);
    refused(
        &with(1025),
        "f.toml:4:25: error: target_group[0].health_check.path: is 1025 characters long; write at most 1024",
    );
}

#[test]
fn numbers_of_target_groups_are_in_the_ranges_of_an_alb() {
    for (line, key, good, bad, why) in NUMBERS.iter().chain(HEALTH_CHECK_NUMBERS) {
        let with = |number: &u32| {
            let line = line.replace("NUMBER", &number.to_string());
            SMALLEST.replace("targets", &format!("{line}\ntargets"))
        };
        assert_eq!(findings(&with(good)), [""; 0], "{line}");
        let at = line.find("NUMBER").expect("a number") + 1;
        refused(
            &with(bad),
            &format!("f.toml:4:{at}: error: target_group[0].{key}: `{bad}` {why}"),
        );
    }
}
