//! A line is, byte for byte, what serde_json makes of the same values.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use lintel_common::server::{Connection, TlsInfo};
use serde::Serialize;

use super::*;
use crate::access_log::Recorder;
use crate::http1::RequestHead;
use crate::metrics::Metrics;

/// The names are the ALB's.
#[derive(Serialize)]
struct Expected {
    #[serde(rename = "type")]
    kind: &'static str,
    time: &'static str,
    elb: &'static str,
    client_port: &'static str,
    target_port: Option<&'static str>,
    request_processing_time: f64,
    target_processing_time: f64,
    response_processing_time: f64,
    elb_status_code: Option<u16>,
    target_status_code: Option<u16>,
    received_bytes: u64,
    sent_bytes: u64,
    request_line: String,
    user_agent: Option<String>,
    ssl_cipher: Option<&'static str>,
    ssl_protocol: Option<&'static str>,
    target_group_arn: Option<&'static str>,
    trace_id: Option<String>,
    domain_name: Option<&'static str>,
    chosen_cert_arn: Option<&'static str>,
    matched_rule_priority: Option<u32>,
    request_creation_time: &'static str,
    actions_executed: Option<&'static str>,
    redirect_url: Option<&'static str>,
    error_reason: Option<&'static str>,
    target_port_list: Option<&'static str>,
    target_status_code_list: Option<&'static str>,
    classification: Option<()>,
    classification_reason: Option<()>,
    conn_trace_id: &'static str,
    transformed_host: Option<()>,
    transformed_uri: Option<()>,
    request_transform_status: Option<()>,
    ip_address: &'static str,
    reason: Option<&'static str>,
}

/// Of a request that could not be read.
fn nothing() -> Expected {
    Expected {
        kind: "http",
        time: "2026-11-24T21:45:57.123456Z",
        elb: "app/web/0123",
        client_port: "192.0.2.1:40000",
        target_port: None,
        request_processing_time: -1.0,
        target_processing_time: -1.0,
        response_processing_time: -1.0,
        elb_status_code: Some(400),
        target_status_code: None,
        received_bytes: 0,
        sent_bytes: 0,
        request_line: "- http://10.0.0.1:80- -".into(),
        user_agent: None,
        ssl_cipher: None,
        ssl_protocol: None,
        target_group_arn: None,
        trace_id: None,
        domain_name: None,
        chosen_cert_arn: None,
        matched_rule_priority: None,
        request_creation_time: "2026-11-24T21:45:56.000001Z",
        actions_executed: None,
        redirect_url: None,
        error_reason: None,
        target_port_list: None,
        target_status_code_list: None,
        classification: None,
        classification_reason: None,
        conn_trace_id: "TID_0000000000000000000000000000abcd",
        transformed_host: None,
        transformed_uri: None,
        request_transform_status: None,
        ip_address: "10.0.0.1",
        reason: Some("malformed_request"),
    }
}

fn moment(seconds: u64, micros: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(seconds, micros * 1000)
}

fn connection(peer: &str, local: &str) -> Connection {
    let [peer, local] = [peer, local].map(|address| address.parse().unwrap());
    let mut connection = Connection::new(peer, local);
    connection.id = 0xabcd;
    connection
}

fn recorder() -> Rc<Recorder> {
    Rc::new(Recorder {
        metrics: Arc::new(Metrics::new().unwrap()),
        log: None,
        connection_log: None,
        load_balancer: "app/web/0123".into(),
    })
}

/// A record of a request that was read, begun one second before the line's time.
fn record(connection: Connection, head: &[u8]) -> Record {
    let (head, _) = RequestHead::read(head).unwrap().unwrap();
    let mut record = Record::open(&recorder(), &Rc::new(connection), &Rc::new(head));
    record.started_at = moment(1_795_556_756, 1);
    record.finish();
    record
}

#[track_caller]
fn assert_line(record: &Record, expected: &Expected) {
    // After what others have handed in.
    let mut lines = b"before\n".to_vec();
    write(record, moment(1_795_556_757, 123_456), &mut lines);
    let lines = String::from_utf8(lines).unwrap();
    let line = lines.strip_prefix("before\n").unwrap();
    let expected = serde_json::to_string(expected).unwrap();
    assert_eq!(line, expected + "\n");
}

#[test]
fn a_request_that_could_not_be_read() {
    let connection = Rc::new(connection("192.0.2.1:40000", "10.0.0.1:80"));
    let mut record = Record::unreadable(&recorder(), &connection, GatewayError::MalformedRequest);
    record.started_at = moment(1_795_556_756, 1);
    record.finish();
    assert_line(&record, &nothing());
}

#[test]
fn a_request_with_everything() {
    let mut connection = connection("192.0.2.1:40000", "10.0.0.1:443");
    connection.tls = Some(TlsInfo {
        protocol: rustls::ProtocolVersion::TLSv1_3,
        cipher_suite: rustls::CipherSuite::TLS13_AES_128_GCM_SHA256,
        server_name: Some("example.com".into()),
        client_certificates: Vec::new(),
        key_exchange: None,
        handshake: Duration::ZERO,
        resumed: true,
    });
    let head = b"PUT /a\"b?c=\\d HTTP/1.1\r\nHost: Example.com:1\r\nUser-Agent: \"q\" \\ \xff\t\xc3\xbc\r\n\r\n";
    // A quote in a path is refused by some and passed on by us; this is about what is passed on.
    let mut record = record(connection, head);
    let target: SocketAddr = "10.0.1.2:8000".parse().unwrap();
    let group = record.recorder.metrics.group("app");
    record.target(&group, target);
    record.rule(7, "forward");
    record.trace_id = Some(b"Root=1-\x00\x1f\x7f\"\\\xe2\x82".to_vec());
    record.received(5);
    record.sent(1_234_567_890);
    record.answer(201);
    record.target_status = Some(202);
    record.redirect_url = Some(HeaderValue::from_static("https://example.com/a?\"b\""));
    let after = |millis| Some(record.started + Duration::from_millis(millis));
    let times = [after(1), after(31), after(1_531)];
    [record.dispatched, record.target_answered, record.answered] = times;
    record.fail(GatewayError::TargetResponseIncomplete);
    let expected = Expected {
        kind: "https",
        target_port: Some("10.0.1.2:8000"),
        request_processing_time: 0.001,
        target_processing_time: 0.03,
        response_processing_time: 1.5,
        elb_status_code: Some(201),
        target_status_code: Some(202),
        received_bytes: head.len() as u64 + 5,
        sent_bytes: 1_234_567_890,
        request_line: "PUT https://Example.com:443/a\"b?c=\\d HTTP/1.1".into(),
        user_agent: Some("\"q\" \\ \u{fffd}\tü".into()),
        ssl_cipher: Some("TLS_AES_128_GCM_SHA256"),
        ssl_protocol: Some("TLSv1.3"),
        target_group_arn: Some("targetgroup/app"),
        trace_id: Some("Root=1-\0\u{1f}\u{7f}\"\\\u{fffd}".into()),
        domain_name: Some("example.com"),
        chosen_cert_arn: Some("session-reused"),
        matched_rule_priority: Some(7),
        actions_executed: Some("forward"),
        redirect_url: Some("https://example.com/a?\"b\""),
        target_port_list: Some("10.0.1.2:8000"),
        target_status_code_list: Some("202"),
        reason: Some("target_response_incomplete"),
        ..nothing()
    };
    assert_line(&record, &expected);
}

#[test]
fn a_websocket_over_ipv6_without_a_host() {
    let connection = connection("[2001:db8::1]:40000", "[::1]:8080");
    let head = b"OPTIONS * HTTP/1.0\r\n\r\n";
    let mut record = record(connection, head);
    record.upgraded();
    let expected = Expected {
        kind: "ws",
        client_port: "[2001:db8::1]:40000",
        elb_status_code: None,
        received_bytes: head.len() as u64,
        request_line: "OPTIONS http://-:8080* HTTP/1.0".into(),
        ip_address: "::1",
        reason: None,
        ..nothing()
    };
    assert_line(&record, &expected);
}

#[test]
fn of_a_long_value_8_kib_are_kept() {
    let user_agent = "x".repeat(MOST - 1) + "ü and more";
    let head = format!("GET http://a/ HTTP/1.1\r\nHost: b\r\nUser-Agent: {user_agent}\r\n\r\n");
    let record = record(
        connection("192.0.2.1:40000", "10.0.0.1:80"),
        head.as_bytes(),
    );
    let expected = Expected {
        elb_status_code: None,
        received_bytes: head.len() as u64,
        request_line: "GET http://a:80/ HTTP/1.1".into(),
        user_agent: Some("x".repeat(MOST - 1) + "\u{fffd}"),
        reason: None,
        ..nothing()
    };
    assert_line(&record, &expected);
}
