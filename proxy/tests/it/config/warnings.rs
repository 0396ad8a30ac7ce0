//! What works here, and is a warning because it would not on an ALB.

use std::path::Path;
use std::time::Duration;

use super::loaded;

#[test]
fn what_an_alb_would_refuse_but_works_here_is_a_warning() {
    let text = "\
[[target_group]]
name = 'app'
port = 8000
targets = ['127.0.0.1']
deregistration_delay = 0.5
health_check = { interval = 0.2, healthy_threshold = 1 }
[[target_group]]
name = 'spare'
port = 8000
[[listener]]
port = 80
default_action = { type = 'redirect', port = '80', protocol = 'HTTP', status_code = 'HTTP_302' }
[[listener.rule]]
priority = 1
condition = [{ host_header = ['localhost', '127.0.0.1', '*.example.com'] }, { path_pattern = ['/????/*', '/?*', '*'] }]
action = { type = 'forward', target_group = 'app' }
";
    let loaded = loaded(text, Path::new("f.toml"));
    let lines: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "f.toml:5:24: warning: target_group[0].deregistration_delay: `0.5` works here but not on an ALB; an ALB takes whole seconds from 0 to 3600",
            "f.toml:6:29: warning: target_group[0].health_check.interval: `0.2` works here but not on an ALB; an ALB takes whole seconds from 5 to 300",
            "f.toml:6:54: warning: target_group[0].health_check.healthy_threshold: `1` works here but not on an ALB; an ALB takes 2 to 10",
            "f.toml:7:1: warning: target_group[1]: has no targets and gets 503 for each request; add targets or discovery",
            "f.toml:7:1: warning: target_group[1]: nothing forwards to the target group `spare`; use it in an action, or leave it out",
            "f.toml:12:18: warning: listener[0].default_action: leads back to this listener, for ever; change protocol, host, port or path",
            "f.toml:15:13: warning: listener[0].rule[0].condition: has 6 values, which works here but not on an ALB; an ALB takes at most 5 in a rule",
            "f.toml:15:13: warning: listener[0].rule[0].condition: has 9 wildcards, which works here but not on an ALB; an ALB takes at most 6 in a rule",
            "f.toml:15:31: warning: listener[0].rule[0].condition[0].host_header[0]: `localhost` works here but not on an ALB; an ALB wants a dot, and only letters after the last one, such as \"*.example.com\"",
            "f.toml:15:44: warning: listener[0].rule[0].condition[0].host_header[1]: `127.0.0.1` works here but not on an ALB; an ALB wants a dot, and only letters after the last one, such as \"*.example.com\"",
        ]
    );
    let check = &loaded.model.target_groups[0].health_check;
    assert_eq!(
        (check.interval, check.timeout),
        (Duration::from_millis(200), Duration::from_millis(200))
    );
}

#[test]
fn targets_that_may_close_a_connection_before_the_load_balancer_are_a_warning() {
    for (keep_alive, warned) in [("75", false), ("60.5", false), ("60", true), ("5", true)] {
        let text = format!(
            "[[target_group]]\nname = 'app'\nport = 8000\ntargets = ['127.0.0.1']\n\
             target_keep_alive = {keep_alive}\n[[listener]]\nport = 80\n\
             default_action = {{ type = 'forward', target_group = 'app' }}\n"
        );
        let loaded = loaded(&text, Path::new("f.toml"));
        let lines: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        let warning = format!(
            "f.toml:5:21: warning: target_group[0].target_keep_alive: targets close idle connections after {keep_alive} s, \
             not later than the load balancer's idle_timeout of 60 s: requests that an ALB sends meanwhile get 502; \
             let the targets keep them longer than idle_timeout; until then no connection is used here that targets may be closing"
        );
        let expected: &[String] = if warned { &[warning] } else { &[] };
        assert_eq!(lines, expected, "{keep_alive}");
    }
}
