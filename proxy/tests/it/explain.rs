//! The command `explain`: what it says, and that the running proxy does the same.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::harness::{Setup, Target};

const FILE: &str = r#"
[load_balancer]
name = "web"
[[target_group]]
name = "app"
port = 8000
targets = ["10.0.0.1", "10.0.0.2:81"]
[[target_group]]
name = "canary"
port = 8000
targets = ["10.0.0.3"]
[[listener]]
port = 80
default_action = { type = "redirect", protocol = "HTTPS", port = "443", status_code = "HTTP_301" }
[[listener]]
port = 8080
default_action = { type = "forward", target_group = "app" }
[[listener.rule]]
priority = 10
condition = [{ path_pattern = ["/api/*", "/v?"] }, { http_header = { name = "X-Canary", values = ["1"] } }]
transform = [{ type = "host-header-rewrite", rewrite = { regex = "^www", replace = "app" } },
             { type = "url-rewrite", rewrite = { regex = "^/api/", replace = "/" } }]
action = { type = "forward", target_group = [{ name = "app", weight = 3 }, { name = "canary", weight = 1 }] }
[[listener.rule]]
priority = 20
condition = [{ host_header = { values = ["*.test.com"], regex_values = ["^x[0-9]"] } }, { source_ip = ["192.0.2.0/24"] }]
action = { type = "fixed-response", status_code = "418", content_type = "text/plain", message_body = "short and stout" }
[[listener.rule]]
priority = 30
condition = [{ query_string = [{ key = "v", value = "2" }, { value = "b*" }] }, { http_request_method = ["PUT"] }]
action = { type = "forward", target_group = [{ name = "app", weight = 0 }] }
[[listener.rule]]
priority = 40
condition = [{ path_pattern = ["/bad"] }]
transform = [{ type = "url-rewrite", rewrite = { regex = "^/", replace = "" } }]
action = { type = "forward", target_group = "app" }
"#;

fn explain_in(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lintel-proxy"))
        .arg("explain")
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap()
}

/// Exit code, standard output, standard error.
fn explain(arguments: &[&str]) -> (Option<i32>, String, String) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("lintel-proxy.toml"), FILE).unwrap();
    let output = explain_in(directory.path(), arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn explained(arguments: &[&str]) -> Value {
    let (code, stdout, stderr) = explain(&[&["--format", "json"], arguments].concat());
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn the_whole_way_of_a_request_as_text() {
    let (code, stdout, stderr) = explain(&[
        "-H",
        "X-Canary: 1",
        "--from",
        "192.0.2.7",
        "http://www.test.com:8080/api/users?id=1",
    ]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let (text, trace) = stdout.rsplit_once("X-Amzn-Trace-Id: Root=1-").unwrap();
    assert!(trace.len() > 20, "{trace}");
    assert_eq!(
        text,
        "request     GET /api/users?id=1 from 192.0.2.7\n\
         listener    HTTP 0.0.0.0:8080\n\
         rule 10     matches\n\
         transform   host app.test.com\n\
         transform   URL /users?id=1\n\
         action      forward\n\
         group       app (75.0 %): 10.0.0.1:8000, 10.0.0.2:81\n\
         group       canary (25.0 %): 10.0.0.3:8000\n\
         target sees GET /users?id=1 HTTP/1.1\n            \
         X-Canary: 1\n            \
         Host: app.test.com:8080\n            \
         X-Forwarded-For: 192.0.2.7\n            \
         X-Forwarded-Proto: http\n            \
         X-Forwarded-Port: 8080\n            "
    );
}

#[test]
fn why_each_rule_does_not_match() {
    let answer = explained(&[
        "-H",
        "X-Canary: 0",
        "-H",
        "x-canary: 2",
        "http://a.test.com:8080/v1?v=1",
    ]);
    assert_eq!(
        answer["not_matching"],
        json!([
            { "priority": 10, "mismatch": "http_header X-Canary 1: X-Canary is \"0\", then \"2\"" },
            { "priority": 20, "mismatch": "source_ip 192.0.2.0/24: the client is 127.0.0.1" },
            { "priority": 30, "mismatch": "query_string v=2 or b*: the query is \"v=1\"" },
            { "priority": 40, "mismatch": "path_pattern /bad: the path is \"/v1\"" },
        ])
    );
    assert_eq!(answer["rule"], 0);
    assert_eq!(answer["outcome"]["target_groups"][0]["name"], "app");
    let answer = explained(&["-X", "POST", "http://other:8080/x/../y?beta=b"]);
    assert_eq!(
        answer["not_matching"],
        json!([
            { "priority": 10, "mismatch": "path_pattern /api/* or /v?: the path is \"/y\"" },
            { "priority": 20, "mismatch": "host_header *.test.com or regex ^x[0-9]: the host is \"other\"" },
            { "priority": 30, "mismatch": "http_request_method PUT: the method is \"POST\"" },
            { "priority": 40, "mismatch": "path_pattern /bad: the path is \"/y\"" },
        ])
    );
    let answer = explained(&["http://x1:8080/api/"]);
    assert_eq!(
        answer["not_matching"][0]["mismatch"],
        "http_header X-Canary 1: there is no X-Canary"
    );
    assert_eq!(
        answer["not_matching"][2]["mismatch"],
        "query_string v=2 or b*: there is no query"
    );
}

#[test]
fn every_outcome() {
    for (arguments, rule, outcome) in [
        (
            &["http://example.com/a?b#c"][..],
            json!(0),
            json!({ "action": "redirect", "status": 301, "location": "https://example.com:443/a?b" }),
        ),
        (
            &["--from", "192.0.2.1", "http://a.test.com:8080"],
            json!(20),
            json!({ "action": "fixed-response", "status": 418, "content_type": "text/plain; charset=utf-8", "message_body": "short and stout" }),
        ),
        (
            &["-X", "PUT", "http://a:8080/?v=2"],
            json!(30),
            json!({ "action": null, "status": 503, "reason": "no_target_group" }),
        ),
        (
            &["http://a:8080/bad"],
            json!(40),
            json!({ "action": null, "status": 500, "reason": "transform_invalid_path" }),
        ),
        (
            &["-X", "TRACE", "http://a:8080/"],
            json!(null),
            json!({ "action": null, "status": 405, "reason": "method_not_allowed" }),
        ),
        (
            &["-H", "Host: a b", "http://a:8080/"],
            json!(null),
            json!({ "action": null, "status": 400, "reason": "invalid_host" }),
        ),
    ] {
        let answer = explained(arguments);
        assert_eq!(
            (&answer["rule"], &answer["outcome"]),
            (&rule, &outcome),
            "{arguments:?}"
        );
    }
}

#[test]
fn what_cannot_be_explained_is_one_line_and_exit_code_1() {
    for (arguments, line) in [
        (
            &["example.com/"][..],
            "lintel-proxy: `example.com/` is not a URL; write http://HOST/PATH or https://HOST/PATH",
        ),
        (
            &["ftp://a/"],
            "lintel-proxy: `ftp://a/` is not a URL; write http://HOST/PATH or https://HOST/PATH",
        ),
        (
            &["http://a:99999/"],
            "lintel-proxy: `http://a:99999/` is not a URL; write http://HOST/PATH or https://HOST/PATH",
        ),
        (
            &["http://a:81/"],
            "lintel-proxy: no listener speaks HTTP at port 81; the listeners here are HTTP 0.0.0.0:80, HTTP 0.0.0.0:8080",
        ),
        (
            &["https://a:8080/"],
            "lintel-proxy: no listener speaks HTTPS at port 8080; the listeners here are HTTP 0.0.0.0:80, HTTP 0.0.0.0:8080",
        ),
        (
            &["-H", "X-Canary", "http://a/"],
            "lintel-proxy: `X-Canary` is not a header; write 'Name: value'",
        ),
        (
            &["--config", "none.toml", "http://a/"],
            "none.toml:1:1: error: file: cannot be read (No such file or directory (os error 2)); name a file that exists and that this user may read",
        ),
    ] {
        let (code, stdout, stderr) = explain(arguments);
        assert_eq!(
            (code, stdout.as_str(), stderr.trim_end()),
            (Some(1), "", line),
            "{arguments:?}"
        );
    }
    let as_json = |arguments: &[&str]| -> Value {
        let (code, stdout, stderr) = explain(&[&["--format", "json"], arguments].concat());
        assert_eq!((code, stderr.as_str()), (Some(1), ""), "{arguments:?}");
        serde_json::from_str(&stdout).unwrap()
    };
    assert_eq!(
        as_json(&["http://a:81/"]),
        json!({
            "ok": false,
            "error": "no listener speaks HTTP at port 81; the listeners here are HTTP 0.0.0.0:80, HTTP 0.0.0.0:8080",
        })
    );
    let bad_file = as_json(&["--config", "none.toml", "http://a/"]);
    assert_eq!(bad_file["ok"], false);
    assert_eq!(bad_file["diagnostics"][0]["file"], "none.toml");
    for arguments in [
        &["http://a/ b"][..],
        &["-X", "G ET", "http://a/"],
        &["-H", "Content-Length: x", "http://a/"],
        &["-H", "X: a\r\nY: b", "http://a/"],
        &["--from", "nobody", "http://a/"],
        &[],
    ] {
        let (code, stdout, stderr) = explain(arguments);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(!stderr.is_empty());
    }
}

/// What is explained is what happens.
#[test]
fn the_running_proxy_sends_the_same_head() {
    let app = Target::saying("app");
    let rule = "[[listener.rule]]\npriority = 1\ncondition = [{ path_pattern = ['/api/*'] }]\n\
                transform = [{ type = 'url-rewrite', rewrite = { regex = '^/api', replace = '' } }]\n\
                action = { type = 'forward', target_group = 'app' }\n";
    let setup = Setup::to([app.address]).more(rule);
    let proxy = setup.clone().start();
    let port = proxy.port();
    proxy.connect().exchange(format!(
        "PUT /api/x?y HTTP/1.1\r\nX-One: 1\r\nCookie: a=b\r\nConnection: X-One\r\nHost: A.com:{port}\r\n\r\n"
    ));
    let file = setup
        .text()
        .replace("port = 0\n", &format!("port = {port}\n"));
    std::fs::write(proxy.path("explained.toml"), file).unwrap();
    let url = format!("http://A.com:{port}/api/x?y");
    let output = explain_in(
        &proxy.path(""),
        &[
            "--config",
            "explained.toml",
            "--format",
            "json",
            "-X",
            "PUT",
            "-H",
            "X-One: 1",
            "-H",
            "Cookie: a=b",
            "-H",
            "Connection: X-One",
            &url,
        ],
    );
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let told: Vec<&str> = answer["outcome"]["target_sees"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let seen = app.only_request();
    let fields = seen
        .fields
        .iter()
        .map(|(name, value)| format!("{name}: {value}"));
    let seen: Vec<String> = std::iter::once(seen.start.clone()).chain(fields).collect();
    let without_trace = |line: &&str| !line.starts_with("X-Amzn-Trace-Id");
    let told: Vec<&str> = told.into_iter().filter(without_trace).collect();
    let seen: Vec<&str> = seen
        .iter()
        .map(String::as_str)
        .filter(without_trace)
        .collect();
    assert_eq!(told, seen);
}
