//! The ALB's logs: the access log in its own format, the health check log; connections have a file of their own.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use lintel_proxy::log_file::timestamp;
use regex::Regex;
use serde_json::Value;

use crate::harness::http2::Http2;
use crate::harness::http2_target::Http2Target;
use crate::harness::tls::TlsFront;
use crate::harness::{Proxy, Setup, Target, eventually, ok};

mod connections;

/// What tables over ALB logs are made with: the 34 fields one after the other, and then whatever came later.
fn access_line() -> Regex {
    let (word, text, number) = ("([^ ]*)", "\"([^\"]*)\"", "([-.0-9]*)");
    let address = "([^ ]*):([0-9]*)";
    let target = "([^ ]*)[:-]([0-9]*)";
    let fields = [
        word,
        word,
        word,
        address,
        target,
        number,
        number,
        number,
        "(|[-0-9]*)",
        "(-|[-0-9]*)",
        "([-0-9]*)",
        "([-0-9]*)",
        "\"([^ ]*) (.*) (- |[^ ]*)\"",
        text,
        "([A-Z0-9-_]+)",
        "([A-Za-z0-9.-]*)",
        word,
        text,
        text,
        text,
        number,
        word,
        text,
        text,
        "\"([^ ]*)\"",
        "\"([^\\s]+?)\"",
        "\"([^\\s]+)\"",
        "\"([^ ]*)\"",
        "\"([^ ]*)\"",
        "(TID_[0-9a-f]+)",
        text,
        text,
        text,
        word,
    ];
    Regex::new(&format!("^{}$", fields.join(" "))).unwrap()
}

fn lines(path: &Path, count: usize) -> Vec<String> {
    eventually("the lines", || {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        (lines.len() >= count).then_some(lines)
    })
}

fn is_seconds(text: &str, decimals: usize) -> bool {
    text.split_once('.').is_some_and(|(whole, rest)| {
        whole.parse::<u64>().is_ok() && rest.len() == decimals && rest.parse::<u64>().is_ok()
    })
}

fn is_time(text: &str) -> bool {
    Regex::new(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        .unwrap()
        .is_match(text)
}

/// Split at blanks that are not in quotes.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ' ' if !quoted => fields.push(String::new()),
            other => fields.last_mut().unwrap().push(other),
        }
    }
    fields
}

fn as_alb(setup: Setup) -> Proxy {
    setup
        .with("access_logs = { path = 'alb.log', format = 'alb' }")
        .start()
}

#[test]
fn a_line_has_the_albs_34_fields() {
    const THOUGHT: Duration = Duration::from_millis(100);
    let heard = Arc::new(Mutex::new(String::new()));
    let noted = Arc::clone(&heard);
    let target = Target::answering(move |request| match request.uri() {
        "/missing" => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        "/a?b=c" => {
            *noted.lock().unwrap() = timestamp(SystemTime::now());
            std::thread::sleep(THOUGHT);
            ok("well")
        }
        _ => ok("well"),
    });
    let proxy = as_alb(
        Setup::to([target.address])
            .rule(7, "{ path_pattern = ['/fixed'] }", "fixed")
            .rule_action(
                9,
                "{ path_pattern = ['/moved'] }",
                "{ type = 'redirect', path = '/new', status_code = 'HTTP_302' }",
            ),
    );
    let mut client = proxy.connect();
    let agent = "GET /a?b=c HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/7.46.0\r\n\r\n";
    let began = timestamp(SystemTime::now());
    assert_eq!(client.exchange(agent).status(), 200);
    for path in ["/missing", "/fixed", "/moved"] {
        client.get(path);
    }
    let lines = lines(&proxy.path("alb.log"), 4);
    proxy.get("/fixed");
    let other = self::lines(&proxy.path("alb.log"), 5).remove(4);
    let pattern = access_line();
    for line in &lines {
        assert!(pattern.is_match(line), "{line}");
        assert_eq!(fields(line).len(), 34, "{line}");
    }
    let port = proxy.port();
    let plain = fields(&lines[0]);
    let target_address = target.address.to_string();
    assert_eq!(plain[0], "http");
    assert!(is_time(&plain[1]), "{}", plain[1]);
    assert!(plain[2].starts_with("app/web/"), "{}", plain[2]);
    assert_eq!(plain[4], target_address);
    for time in &plain[5..8] {
        assert!(is_seconds(time, 3), "{time}");
    }
    let seconds = |field: &String| Duration::from_secs_f64(field.parse().unwrap());
    assert!(seconds(&plain[6]) >= THOUGHT, "{}", plain[6]);
    assert_eq!(plain[8..10], ["200", "200"]);
    assert_eq!(plain[10], agent.len().to_string());
    assert_eq!(plain[11], ok("well").len().to_string());
    assert_eq!(
        plain[12],
        format!("GET http://www.example.com:{port}/a?b=c HTTP/1.1")
    );
    assert_eq!(plain[13..17], ["curl/7.46.0", "-", "-", "targetgroup/app"]);
    assert!(plain[17].starts_with("Root=1-"));
    assert_eq!(plain[18..21], ["-", "-", "0"]);
    assert_eq!(plain[22..25], ["forward", "-", "-"]);
    assert_eq!(plain[25..29], [target_address.as_str(), "200", "-", "-"]);
    let times = [&began, &plain[21], &*heard.lock().unwrap(), &plain[1]];
    assert!(times.is_sorted(), "{times:?}");
    assert!(plain[29].starts_with("TID_"));
    assert_eq!(plain[29], fields(&lines[1])[29]);
    assert_ne!(plain[29], fields(&other)[29]);
    assert_eq!(plain[30..34], ["-", "-", "-", "127.0.0.1"]);

    let missing = fields(&lines[1]);
    assert_eq!(missing[8..10], ["404", "404"]);
    let fixed = fields(&lines[2]);
    assert_eq!(fixed[4..10], ["-", "-1", "-1", "-1", "200", "-"]);
    assert_eq!(
        (fixed[20].as_str(), fixed[22].as_str()),
        ("7", "fixed-response")
    );
    let moved = fields(&lines[3]);
    assert_eq!((moved[8].as_str(), moved[22].as_str()), ("302", "redirect"));
    assert_eq!(moved[23], format!("http://example.com:{port}/new"));
    assert_eq!(moved[25..27], ["-", "-"]);
}

#[test]
fn nobody_can_write_fields_or_lines_of_his_own() {
    let target = Target::saying("well");
    let proxy = as_alb(Setup::to([target.address]));
    let mut client = proxy.connect();
    let request = b"GET /%22?a='b' HTTP/1.1\r\nHost: a\r\nUser-Agent: evil\" \"x\\y\tz\xff\r\n\r\n";
    client.send(request).unwrap();
    client.response().unwrap();
    proxy.connect().send("nonsense\r\n\r\n").unwrap();
    let lines = lines(&proxy.path("alb.log"), 2);
    let pattern = access_line();
    for line in &lines {
        assert!(pattern.is_match(line), "{line}");
        assert_eq!(fields(line).len(), 34, "{line}");
        assert!(line.is_ascii());
    }
    let evil = lines.iter().find(|line| line.contains("evil"));
    let evil = fields(evil.unwrap());
    assert_eq!(evil[13], "evil\\x22 \\x22x\\x5Cy\\x09z\\xFF");
    let unread = lines
        .iter()
        .find(|line| line.contains("\"- http://127.0.0.1:"));
    assert!(
        unread.is_some_and(|line| line.contains(" 400 - ")),
        "{lines:?}"
    );
}

#[tokio::test]
async fn types_are_the_albs() {
    let target = Target::saying("well");
    let proxy = as_alb(Setup::to([target.address]).https());
    let client = Http2::connect(proxy.address()).await;
    assert_eq!(client.get("/").await.0, 200);
    assert_eq!(proxy.connect_tls().get("/").status(), 200);
    let lines = lines(&proxy.path("alb.log"), 2);
    let mut kinds: Vec<_> = lines.iter().map(|line| fields(line)[0].clone()).collect();
    kinds.sort();
    assert_eq!(kinds, ["h2", "https"]);
    for line in &lines {
        assert!(access_line().is_match(line), "{line}");
        let fields = fields(line);
        assert_eq!(fields[14..16], ["TLS_AES_128_GCM_SHA256", "TLSv1.3"]);
        assert_eq!(fields[18], "example.com");
    }
}

#[test]
fn every_health_check_has_a_line() {
    let target = Target::answering(|request| match request.uri() {
        "/well" => ok("well"),
        "/ill" => b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec(),
        "/gone" => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        _ => b"HTTP/9".to_vec(),
    });
    for (path, status, code, reason) in [
        ("/well", "PASS", "200", "-"),
        ("/ill", "FAIL", "503", "TargetError"),
        ("/gone", "FAIL", "404", "ResponseCodeMismatch"),
        ("/odd", "FAIL", "-", "ConnectionReset"),
    ] {
        let proxy = Setup::to([target.address])
            .group(&format!(
                "health_check = {{ path = '{path}', interval = 0.2, timeout = 0.2 }}"
            ))
            .with("health_check_logs = { path = 'checks.log', format = 'alb' }")
            .start_unhealthy();
        let line = lines(&proxy.path("checks.log"), 1).remove(0);
        let address = target.address.to_string();
        let fields = fields(&line);
        assert_eq!(fields.len(), 10, "{line}");
        assert_eq!(fields[0], "http");
        assert!(is_time(&fields[1]), "{line}");
        assert!(is_seconds(&fields[2], 9), "{line}");
        assert!(fields[2].parse::<f64>().unwrap() > 0.0, "{line}");
        assert_eq!(
            fields[3..8],
            [address.as_str(), "app", status, code, reason],
            "{line}"
        );
        assert!(fields[8].starts_with("app/web/"), "{line}");
        assert_eq!(fields[9], "127.0.0.1");
    }
    let heard = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&heard);
    let silent = Target::scripted(move |connection| {
        noted.lock().unwrap().push(timestamp(SystemTime::now()));
        connection.rest().map(|_| ())
    });
    let proxy = Setup::to([silent.address])
        .group("health_check = { interval = 0.2, timeout = 0.2 }")
        .with("health_check_logs = { path = 'checks.log' }")
        .start_unhealthy();
    let line = lines(&proxy.path("checks.log"), 1).remove(0);
    let line: Value = serde_json::from_str(&line).unwrap();
    let began = line["time"].as_str().unwrap();
    assert!(
        began <= heard.lock().unwrap()[0].as_str(),
        "{began} is not when it began"
    );
    assert_eq!(line["reason_code"], "TimedOut");
    assert_eq!(line["target_group_id"], "app");
    assert!(line["status_code"].is_null());
    assert!(line["latency"].as_f64().unwrap() >= 0.2);
}

#[test]
fn health_checks_have_the_albs_types() {
    let http1 = Target::saying("well");
    let http2 = Http2Target::saying("well");
    let front = TlsFront::self_signed(http1.address, &["nobody.test"]);
    for (address, version, protocol, kind) in [
        (front.address, "HTTP1", "HTTPS", "https"),
        (http2.address, "HTTP2", "HTTP", "h2"),
        (http2.address, "GRPC", "HTTP", "grpc"),
    ] {
        let port = address.port();
        let proxy = Setup::to([address])
            .group(&format!("protocol_version = '{version}'"))
            .group(&format!(
                "health_check = {{ protocol = '{protocol}', port = {port}, interval = 0.2 }}"
            ))
            .with("health_check_logs = { path = 'checks.log', format = 'alb' }")
            .start_unhealthy();
        let line = lines(&proxy.path("checks.log"), 1).remove(0);
        assert_eq!(fields(&line)[0], kind, "{line}");
    }
}
