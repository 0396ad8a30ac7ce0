//! The admin endpoints: what they answer, whom, and that the metrics move as the traffic does.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::client::get;
use crate::harness::target::Unreachable;
use crate::harness::{Proxy, Refusing, Setup, Target, ok};

fn start() -> (Target, Proxy) {
    let target = Target::saying("hello");
    let proxy = Setup::to([target.address]).start();
    (target, proxy)
}

#[test]
fn it_is_well_and_ready() {
    let (_target, proxy) = start();
    for path in ["/health", "/ready"] {
        let answer = proxy.admin("GET", path);
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(proxy.admin("HEAD", path).status(), 200, "{path}");
    }
}

#[test]
fn it_is_not_ready_without_a_healthy_target_and_says_where() {
    let refusing = Refusing::new();
    let proxy = Setup::to([refusing.address])
        .group("health_check = { interval = 0.1, timeout = 0.1 }")
        .start_unhealthy();
    let answer = proxy.admin("GET", "/ready");
    assert_eq!(answer.status(), 503);
    assert!(answer.text().contains("app"), "{}", answer.text());
    assert_eq!(proxy.admin("GET", "/health").status(), 200);
}

#[test]
fn target_health_is_shown_whole() {
    let target = Target::saying("hello");
    let proxy = Setup::to([])
        .group(&format!(
            "targets = [{{ id = '127.0.0.1', port = {}, availability_zone = 'a' }}]",
            target.address.port()
        ))
        .start();
    let expected = serde_json::json!({"target_groups": [{"name": "app", "targets": [{
        "id": "127.0.0.1",
        "port": target.address.port(),
        "availability_zone": "a",
        "state": "healthy",
        "reason": null,
        "description": null,
        "in_flight": 0,
    }]}]});
    for path in ["/target-health", "/target-health?", "/target-health?x=1"] {
        let answer = proxy.admin("GET", path);
        assert_eq!(answer.field("content-type"), Some("application/json"));
        let shown: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(shown, expected, "{path}");
    }
    let mut expected = expected;
    expected["target_groups"][0]["targets"][0]["anomaly_detection"] =
        serde_json::json!({ "result": "normal", "mitigation_in_effect": "no" });
    for what in ["AnomalyDetection", "All"] {
        let answer = proxy.admin("GET", &format!("/target-health?include={what}"));
        let shown: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(shown, expected, "{what}");
    }
    let answer = proxy.admin("GET", "/target-health?include=anomalies");
    assert_eq!(answer.status(), 400);
    assert!(
        answer.text().contains("write include=AnomalyDetection"),
        "{}",
        answer.text()
    );
}

#[test]
fn what_is_not_there_or_not_allowed_says_so() {
    let (_target, proxy) = start();
    assert_eq!(proxy.admin("GET", "/nothing").status(), 404);
    for (method, path, allow) in [
        ("POST", "/health", "GET, HEAD"),
        ("DELETE", "/metrics", "GET, HEAD"),
        ("GET", "/reload", "POST"),
        (
            "GET",
            "/target-groups/app/targets/10.0.0.1:80",
            "PUT, DELETE",
        ),
    ] {
        let answer = proxy.admin(method, path);
        assert_eq!(answer.status(), 405, "{path}");
        assert_eq!(answer.field("allow"), Some(allow), "{path}");
    }
}

#[test]
fn with_a_token_only_health_is_open() {
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "secret\n").unwrap();
    let target = Target::saying("hello");
    let proxy = Setup::to([target.address])
        .with(&format!("admin_token_file = '{}'", token.path().display()))
        .start_unhealthy();
    let asked = |method: &str, path: &str, authorization: &str| {
        proxy.admin_exchange(&format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\n{authorization}\r\n"
        ))
    };
    for (method, path) in [
        ("GET", "/ready"),
        ("GET", "/metrics"),
        ("GET", "/target-health"),
        ("POST", "/reload"),
        ("PUT", "/target-groups/app/targets/10.0.0.1:80"),
        ("GET", "/nothing"),
    ] {
        for wrong in [
            "",
            "Authorization: Bearer secre\r\n",
            "Authorization: Basic secret\r\n",
        ] {
            let answer = asked(method, path, wrong);
            assert_eq!(answer.status(), 401, "{path} {wrong}");
            assert_eq!(answer.field("www-authenticate"), Some("Bearer"));
        }
        let right = asked(method, path, "Authorization: Bearer secret\r\n");
        assert_ne!(right.status(), 401, "{path}");
    }
    assert_eq!(asked("GET", "/health", "").status(), 200);
}

#[test]
fn metrics_move_as_the_traffic_does() {
    let target = Target::answering(|request| match request.uri() {
        "/304" => b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec(),
        "/404" => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        "/503" => b"HTTP/1.1 503 Full\r\nContent-Length: 0\r\n\r\n".to_vec(),
        _ => ok("hello"),
    });
    let proxy = Setup::to([target.address])
        .rule(1, "{ path_pattern = ['/fixed'] }", "fixed")
        .rule_action(
            2,
            "{ path_pattern = ['/moved'] }",
            "{ type = 'redirect', path = '/', status_code = 'HTTP_302' }",
        )
        .start();
    let mut client = proxy.connect();
    for path in ["/", "/", "/304", "/404", "/503", "/fixed", "/moved"] {
        client.get(path);
    }
    for (series, value) in [
        ("request_count_total{target_group=\"app\"}", 5),
        (
            "httpcode_target_total{class=\"2xx\",target_group=\"app\"}",
            2,
        ),
        (
            "httpcode_target_total{class=\"3xx\",target_group=\"app\"}",
            1,
        ),
        (
            "httpcode_target_total{class=\"4xx\",target_group=\"app\"}",
            1,
        ),
        (
            "httpcode_target_total{class=\"5xx\",target_group=\"app\"}",
            1,
        ),
        ("httpcode_elb_total{code=\"200\"}", 1),
        ("httpcode_elb_total{code=\"302\"}", 1),
        ("http_fixed_response_count_total", 1),
        ("http_redirect_count_total", 1),
        (
            "target_response_time_seconds_count{target_group=\"app\"}",
            5,
        ),
        ("active_connection_count{side=\"client\"}", 1),
        ("active_connection_count{side=\"target\"}", 1),
        ("new_connection_count_total{side=\"client\"}", 1),
        ("new_connection_count_total{side=\"target\"}", 1),
        ("healthy_host_count{target_group=\"app\"}", 1),
        ("unhealthy_host_count{target_group=\"app\"}", 0),
        ("access_log_dropped_total", 0),
    ] {
        assert_eq!(proxy.metric(series), value, "{series}");
    }
    drop(client);
    proxy.wait_for_metric("active_connection_count{side=\"client\"}", 0);
}

/// That another target was tried in vain before is no part of it.
#[test]
fn the_response_time_is_that_of_the_target_that_answered() {
    let (unreachable, target) = (Unreachable::new(), Target::saying("hello"));
    let proxy = Setup::to([unreachable.address, target.address])
        .with("connect_timeout = 0.3")
        .start();
    for _ in 0..2 {
        assert_eq!(proxy.get("/").text(), "hello");
    }
    let lines = proxy.log(2);
    let logged = |field: &str| -> f64 {
        let seconds = lines.iter().map(|line| line[field].as_f64().unwrap());
        seconds.sum()
    };
    assert!(logged("request_processing_time") > 0.29);
    let series = "lintel_proxy_target_response_time_seconds_sum{target_group=\"app\"} ";
    let metrics = proxy.admin("GET", "/metrics");
    let mut sums = metrics.text().lines();
    let sum: f64 = sums
        .find_map(|line| line.strip_prefix(series)?.parse().ok())
        .unwrap();
    // The log has milliseconds.
    let difference = sum - logged("target_processing_time");
    assert!(difference.abs() < 0.002, "{sum}: {lines:#?}");
}

/// Whatever clients and targets say, no label comes from it.
#[test]
fn labels_come_from_closed_sets() {
    let target = Target::answering(|request| {
        let status = request.uri().trim_start_matches('/');
        format!("HTTP/1.1 {status} Odd\r\nContent-Length: 0\r\n\r\n").into_bytes()
    });
    let proxy = Setup::to([target.address]).start();
    for status in ["200", "299", "418", "599", "600", "999"] {
        proxy.get(&format!("/{status}"));
    }
    for request in [
        "BREW /200 HTTP/1.1\r\nHost: strange.host\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: strange.host\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
    ] {
        proxy.connect().exchange(request);
    }
    let mut labels = BTreeSet::new();
    let text = proxy.admin("GET", "/metrics");
    for line in text.text().lines().filter(|line| !line.starts_with('#')) {
        assert!(line.starts_with("lintel_proxy_"), "{line}");
        let Some((_, rest)) = line.split_once('{') else {
            continue;
        };
        let inside = rest.split_once('}').unwrap().0;
        labels.extend(inside.split(',').map(str::to_owned));
    }
    for label in labels {
        let (name, value) = label.split_once('=').unwrap();
        let value = value.trim_matches('"');
        let known = match name {
            "target_group" => value == "app",
            "availability_zone" => value.is_empty(),
            "side" => matches!(value, "client" | "target"),
            "class" => matches!(value, "1xx" | "2xx" | "3xx" | "4xx" | "5xx"),
            "code" => value.len() == 3 && value.bytes().all(|byte| byte.is_ascii_digit()),
            "result" => matches!(value, "applied" | "refused"),
            "le" => value == "+Inf" || value.parse::<f64>().is_ok(),
            _ => false,
        };
        assert!(known, "{label}");
    }
}

#[test]
fn a_reload_says_what_it_changed() {
    let target = Target::saying("hello");
    let setup = Setup::to([target.address]);
    let proxy = setup.clone().start();
    let changed = setup.rule(1, "{ path_pattern = ['/new'] }", "new");
    std::fs::write(proxy.path("lintel-proxy.toml"), changed.text()).unwrap();
    let answer = proxy.admin("POST", "/reload");
    assert_eq!(answer.status(), 200);
    let changes: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        changes["listeners"]["changed"][0], "127.0.0.1:0",
        "{changes}"
    );
    assert_eq!(changes["target_groups"]["changed"], serde_json::json!([]));
    assert_eq!(proxy.get("/new").text(), "new");
    assert_eq!(proxy.metric("reload_count_total{result=\"applied\"}"), 1);
}

/// Whatever the reason, in one shape.
#[test]
fn a_refused_reload_says_what_is_wrong_and_where() {
    let target = Target::saying("hello");
    let setup = Setup::to([target.address]);
    let proxy = setup.clone().start();
    let file = proxy.path("lintel-proxy.toml");
    let mistake = "[[listener]]\nport = 'x'\n".to_owned();
    let restart = setup.with("name = 'other'").text();
    for (text, error, at, key, message) in [
        (
            mistake,
            "the configuration has mistakes",
            (2, 8),
            "listener[0].port",
            "is a string; write a whole number, without quotes",
        ),
        (
            restart,
            "load_balancer.name cannot change while running; restart to change it",
            (1, 1),
            "load_balancer.name",
            "cannot change while running; restart to change it",
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        let answer = proxy.admin("POST", "/reload");
        assert_eq!(answer.status(), 422);
        assert_eq!(answer.field("content-type"), Some("application/json"));
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["ok"], false);
        assert_eq!(body["error"], error);
        assert_eq!(body["summary"], Value::Null);
        let expected = serde_json::json!({
            "file": file.display().to_string(), "line": at.0, "column": at.1,
            "severity": "error", "key": key, "message": message,
        });
        let diagnostics = body["diagnostics"].as_array().unwrap();
        assert!(diagnostics.contains(&expected), "{body}");
    }
    assert_eq!(proxy.get("/").text(), "hello");
    assert_eq!(proxy.metric("reload_count_total{result=\"refused\"}"), 2);
}

#[test]
fn admin_requests_are_nobodys_traffic() {
    let (_target, proxy) = start();
    let before = proxy.metric("new_connection_count_total{side=\"client\"}");
    for _ in 0..3 {
        proxy.admin_exchange(&get("/health"));
    }
    assert_eq!(
        proxy.metric("new_connection_count_total{side=\"client\"}"),
        before
    );
    proxy.log(0);
}
