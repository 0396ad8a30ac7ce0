//! Exactly one record for every request, whatever became of it, and what stands in it.

use serde_json::Value;

use crate::harness::client::{get, post};
use crate::harness::tls::{OTHER, handshake_with_anybody};
use crate::harness::{Proxy, Setup, Target, Wire, until};

/// The ALB's names in the ALB's order, then ours.
const FIELDS: [&str; 35] = [
    "type",
    "time",
    "elb",
    "client_port",
    "target_port",
    "request_processing_time",
    "target_processing_time",
    "response_processing_time",
    "elb_status_code",
    "target_status_code",
    "received_bytes",
    "sent_bytes",
    "request_line",
    "user_agent",
    "ssl_cipher",
    "ssl_protocol",
    "target_group_arn",
    "trace_id",
    "domain_name",
    "chosen_cert_arn",
    "matched_rule_priority",
    "request_creation_time",
    "actions_executed",
    "redirect_url",
    "error_reason",
    "target_port_list",
    "target_status_code_list",
    "classification",
    "classification_reason",
    "conn_trace_id",
    "transformed_host",
    "transformed_uri",
    "request_transform_status",
    "ip_address",
    "reason",
];

fn behind(target: &Target) -> Proxy {
    Setup::to([target.address]).start()
}

#[test]
fn a_record_has_the_albs_fields_in_the_albs_order() {
    let target = Target::saying("hello");
    let proxy = behind(&target);
    proxy.get("/");
    proxy.log(1);
    let line = std::fs::read_to_string(proxy.path("access.log")).unwrap();
    let mut rest = line.as_str();
    for field in FIELDS {
        let key = format!("\"{field}\":");
        let at = rest
            .find(&key)
            .unwrap_or_else(|| panic!("no {field} where it belongs in {line}"));
        rest = &rest[at + key.len()..];
    }
    let object: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(object.as_object().unwrap().len(), FIELDS.len());
}

#[test]
fn a_forwarded_request_is_described_whole() {
    let target =
        Target::answering(|_| b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello".to_vec());
    let proxy = behind(&target);
    let mut client = proxy.connect();
    let local = client.stream().local_addr().unwrap().to_string();
    client.exchange(
        "GET /a?b=c HTTP/1.1\r\nHost: Example.com:1\r\nUser-Agent: test/1 \"quoted\"\r\n\r\n",
    );
    let line = proxy.log_line();
    let port = proxy.port();
    for (field, expected) in [
        ("type", Value::from("http")),
        ("client_port", local.into()),
        ("target_port", target.address.to_string().into()),
        ("elb_status_code", 201.into()),
        ("target_status_code", 201.into()),
        (
            "request_line",
            format!("GET http://Example.com:{port}/a?b=c HTTP/1.1").into(),
        ),
        ("user_agent", "test/1 \"quoted\"".into()),
        ("ssl_cipher", Value::Null),
        ("ssl_protocol", Value::Null),
        ("target_group_arn", "targetgroup/app".into()),
        ("domain_name", Value::Null),
        ("matched_rule_priority", 0.into()),
        ("actions_executed", "forward".into()),
        ("redirect_url", Value::Null),
        ("target_port_list", target.address.to_string().into()),
        ("target_status_code_list", "201".into()),
        ("ip_address", "127.0.0.1".into()),
        ("reason", Value::Null),
    ] {
        assert_eq!(line[field], expected, "{field}");
    }
    assert!(line["elb"].as_str().unwrap().starts_with("app/web/"));
    for field in [
        "request_processing_time",
        "target_processing_time",
        "response_processing_time",
    ] {
        assert!(line[field].as_f64().unwrap() >= 0.0, "{field}");
    }
    for field in ["time", "request_creation_time"] {
        let time = line[field].as_str().unwrap();
        assert_eq!((time.len(), time.ends_with('Z')), (27, true), "{time}");
    }
    assert!(line["request_creation_time"].as_str() <= line["time"].as_str());
}

#[test]
fn bytes_are_those_on_the_wire() {
    let target = Target::saying("hello");
    let proxy = behind(&target);
    let request = post("/", "body");
    let mut client = proxy.connect();
    client.send(&request).unwrap();
    let answer = client.response().unwrap();
    let fields: usize = answer
        .fields
        .iter()
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum();
    let sent = answer.start.len() + 2 + fields + 2 + answer.body.len();
    let line = proxy.log_line();
    assert_eq!(line["received_bytes"], request.len());
    assert_eq!(line["sent_bytes"], sent);
    let processed = i64::try_from(request.len() + sent).unwrap();
    assert_eq!(proxy.metric("processed_bytes_total"), processed);
}

#[test]
fn an_answer_of_the_proxys_own_names_no_target() {
    let target = Target::saying("never");
    let proxy = Setup::to([target.address])
        .rule(7, "{ path_pattern = ['/fixed'] }", "fixed")
        .rule_action(
            9,
            "{ path_pattern = ['/moved'] }",
            "{ type = 'redirect', path = '/here', status_code = 'HTTP_302' }",
        )
        .start();
    proxy.get("/fixed");
    proxy.get("/moved");
    // A record ends when its answer has gone out, and the two workers write when they get to it.
    let mut lines = proxy.log(2);
    lines.sort_by_key(|line| line["matched_rule_priority"].as_u64());
    for line in &lines {
        for field in [
            "target_port",
            "target_status_code",
            "target_group_arn",
            "target_port_list",
        ] {
            assert!(line[field].is_null(), "{field}");
        }
        assert_eq!(line["target_processing_time"], -1.0);
    }
    assert_eq!(lines[0]["actions_executed"], "fixed-response");
    assert_eq!(lines[0]["matched_rule_priority"], 7);
    assert_eq!(lines[1]["actions_executed"], "redirect");
    assert_eq!(lines[1]["matched_rule_priority"], 9);
    let location = format!("http://example.com:{}/here", proxy.port());
    assert!(
        lines[1]["redirect_url"]
            .as_str()
            .unwrap()
            .starts_with(&location)
    );
}

#[test]
fn tls_is_described() {
    let target = Target::saying("hello");
    let proxy = Setup::to([target.address]).https().start();
    let mut client = proxy.connect_tls_as(OTHER, &["http/1.1"]);
    client.get("/");
    let line = proxy.log_line();
    assert_eq!(line["type"], "https");
    assert_eq!(line["ssl_protocol"], "TLSv1.3");
    assert!(line["ssl_cipher"].as_str().unwrap().starts_with("TLS_"));
    assert_eq!(line["domain_name"], OTHER);
}

/// As an ALB: whoever asked for another name was shown the default certificate for want of one.
#[test]
fn only_a_name_that_a_certificate_is_for_is_told() {
    let target = Target::saying("hello");
    let proxy = Setup::to([target.address]).https().start();
    for (nth, (name, told)) in [
        ("example.com", Value::from("example.com")),
        ("a.example.com", Value::from("a.example.com")),
        ("a.b.example.com", Value::Null),
        ("elsewhere.test", Value::Null),
        (OTHER, Value::from(OTHER)),
    ]
    .into_iter()
    .enumerate()
    {
        let shaken = handshake_with_anybody(proxy.stream(), name).unwrap();
        assert_eq!(Wire::new(shaken).get("/").status(), 200);
        // The workers' lines come in any order.
        let lines = proxy.log(nth + 1);
        let told_so = lines.iter().filter(|line| line["domain_name"] == told);
        let before = usize::from(name == "elsewhere.test");
        assert_eq!(told_so.count(), before + 1, "{name}");
    }
}

#[test]
fn a_group_without_targets_is_named() {
    let target = Target::saying("hello");
    let proxy = Setup::to([target.address])
        .other_group("none", &[])
        .rule_action(
            1,
            "{ path_pattern = ['/none'] }",
            "{ type = 'forward', target_group = 'none' }",
        )
        .start();
    assert_eq!(proxy.get("/none").status(), 503);
    let line = proxy.log_line();
    assert_eq!(line["target_group_arn"], "targetgroup/none");
    assert!(line["target_port"].is_null());
    let counted = "request_count_total{target_group=\"none\"}";
    assert_eq!(proxy.metric(counted), 0, "no target was chosen");
}

#[test]
fn what_is_no_request_has_its_bytes_counted() {
    let proxy = behind(&Target::saying("never"));
    let long = "x".repeat(17_000);
    let mut bytes = 0;
    for (nth, (request, status)) in [
        ("nonsense\r\n\r\n".to_owned(), 400),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), 414),
        (format!("GET / HTTP/1.1\r\nX: {long}\r\n\r\n"), 413),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(proxy.connect().exchange(&request).status(), status);
        let line = &proxy.log(nth + 1)[nth];
        let received = line["received_bytes"].as_u64().unwrap();
        // Of what is too large the rest was not read.
        let most = request.len() as u64;
        let least = if status == 400 { most } else { 16 * 1024 };
        assert!((least..=most).contains(&received), "{line}");
        bytes += received + line["sent_bytes"].as_u64().unwrap();
    }
    let bytes = i64::try_from(bytes).unwrap();
    proxy.wait_for_metric("processed_bytes_total", bytes);
}

#[test]
fn requests_of_one_connection_can_be_told_from_others() {
    let target = Target::saying("hello");
    let proxy = behind(&target);
    let mut client = proxy.connect();
    client.get("/");
    client.get("/");
    proxy.get("/");
    let mut ids: Vec<(String, String)> = proxy
        .log(3)
        .iter()
        .map(|line| ["client_port", "conn_trace_id"].map(|key| line[key].to_string()))
        .map(|[client, id]| (client, id))
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2, "{ids:?}");
    assert_ne!(ids[0].1, ids[1].1);
    assert_eq!(ids[0].1.len(), "\"TID_\"".len() + 32);
}

/// Accepts a request and keeps silent until the proxy gives up.
fn silent() -> Target {
    Target::scripted(|connection| {
        connection.request()?;
        connection.rest().map(drop)
    })
}

#[test]
fn a_client_that_leaves_while_it_waits_is_460() {
    for reset in [false, true] {
        let target = silent();
        let proxy = behind(&target);
        let mut client = proxy.connect();
        client.send(get("/")).unwrap();
        target.wait_for_requests(1);
        if reset {
            client.reset();
        } else {
            drop(client);
        }
        until("the target is let go", || target.open_connections() == 0);
        let line = proxy.log_line();
        assert_eq!(line["elb_status_code"], 460);
        assert_eq!(line["reason"], "client_closed");
        assert_eq!(line["target_port"], target.address.to_string());
        assert!(line["target_status_code"].is_null());
        assert!(line["request_processing_time"].as_f64().unwrap() >= 0.0);
        assert_eq!(line["target_processing_time"], -1.0);
        assert_eq!(proxy.metric("httpcode_elb_total{code=\"460\"}"), 1);
    }
}

#[test]
fn a_client_that_sends_a_request_and_leaves_at_once_is_recorded() {
    let target = Target::saying("hello");
    let proxy = behind(&target);
    for _ in 0..50 {
        let mut client = proxy.connect();
        client.send(get("/")).unwrap();
    }
    for line in proxy.log(50) {
        // Gone before or after its answer.
        assert!(
            matches!(line["elb_status_code"].as_u64(), Some(200 | 460)),
            "{line}"
        );
    }
}

#[test]
fn a_client_that_leaves_in_the_response_has_the_status_it_saw() {
    let target = Target::scripted(|connection| {
        connection.request()?;
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")?;
        connection.rest().map(drop)
    });
    let proxy = behind(&target);
    let mut client = proxy.connect();
    client.send(get("/")).unwrap();
    assert_eq!(client.head().unwrap().status(), 200);
    drop(client);
    until("the target is let go", || target.open_connections() == 0);
    let line = proxy.log_line();
    assert_eq!(line["elb_status_code"], 200);
    assert_eq!(line["reason"], "client_closed");
}

#[test]
fn a_client_that_leaves_in_its_upload_is_400() {
    let target = Target::scripted(|connection| {
        connection.request_head()?;
        connection.rest().map(drop)
    });
    let proxy = behind(&target);
    let mut client = proxy.connect();
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        .unwrap();
    target.wait_for_requests(1);
    drop(client);
    until("the target is let go", || target.open_connections() == 0);
    let line = proxy.log_line();
    assert_eq!(line["elb_status_code"], 400, "{line}");
    assert_eq!(line["reason"], "request_body_incomplete");
}

#[test]
fn a_client_that_leaves_in_its_upload_never_makes_it_look_whole() {
    let ends = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&ends);
    let target = Target::scripted(move |connection| {
        let mut request = connection.request_head()?;
        let body = connection.request_body(&mut request);
        seen.lock().unwrap().push(body.is_err());
        Ok(())
    });
    let proxy = behind(&target);
    for framing in [
        "Content-Length: 10\r\n\r\nhalf",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let mut client = proxy.connect();
        client
            .send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}"))
            .unwrap();
        target.wait_for_connections(ends.lock().unwrap().len() + 1);
        drop(client);
        until("the target is let go", || target.open_connections() == 0);
    }
    assert_eq!(*ends.lock().unwrap(), [true, true]);
}

#[test]
fn a_connection_without_a_request_leaves_no_record() {
    let target = Target::saying("hello");
    let proxy = behind(&target);
    drop(proxy.connect());
    proxy.get("/");
    let stopped = proxy.stop();
    assert_eq!(stopped.log.len(), 1);
}

/// A page that links to a target's log is not the target: text of the client's is data.
#[test]
fn what_clients_write_cannot_break_a_line() {
    let target = Target::saying("hello");
    let proxy = behind(&target);
    let mut client = proxy.connect();
    client.exchange(
        b"GET /%0a%22?b=\\c HTTP/1.1\r\nHost: example.com\r\nUser-Agent: \"a\" \\\" \xff\xc3\xbc\t\\n\r\n\
          X-Amzn-Trace-Id: a=\"\xfe\\\r\n\r\n",
    );
    let line = proxy.log_line();
    let port = proxy.port();
    assert_eq!(
        line["request_line"],
        format!("GET http://example.com:{port}/%0a%22?b=\\c HTTP/1.1")
    );
    assert_eq!(line["user_agent"], "\"a\" \\\" \u{fffd}\u{fc}\t\\n");
    let trace_id = line["trace_id"].as_str().unwrap();
    assert!(trace_id.ends_with(";a=\"\u{fffd}\\"), "{trace_id}");
}

#[test]
fn a_renamed_file_is_let_go_when_asked() {
    let target = Target::saying("hello");
    let proxy = behind(&target);
    proxy.get("/old");
    proxy.log(1);
    std::fs::rename(proxy.path("access.log"), proxy.path("access.log.1")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(proxy.running().reopen_logs());
    // Asked for is not done; the next line settles it.
    until("a new file", || {
        proxy.get("/new");
        proxy.path("access.log").exists()
    });
}
