//! Requests of every fate, many at a time: each has one record and is counted once.

use serde_json::Value;

use crate::harness::client::get;
use crate::harness::{Gate, Proxy, Refusing, Setup, Target, ok, until};

/// Path, status and reason.
const FATES: [(&str, u16, Option<&str>); 8] = [
    ("/ok", 200, None),
    ("/fixed", 200, None),
    ("/die", 502, Some("target_closed")),
    ("/nonsense", 502, Some("target_malformed_response")),
    ("/silent", 504, Some("target_response_timeout")),
    ("/refused", 502, Some("target_connection_failed")),
    ("/none", 503, Some("no_targets")),
    ("/half", 200, Some("target_response_incomplete")),
];

/// How many requests meet each fate.
const EACH: usize = 5;

/// A target that prepares all fates which are a target's doing; `/wait` waits for the gate.
fn fateful(gate: &Gate) -> Target {
    let gate = gate.clone();
    Target::scripted(move |connection| {
        loop {
            let request = connection.request()?;
            match request.uri() {
                "/die" => return Ok(()),
                "/half" => {
                    return connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
                }
                "/nonsense" => return connection.send("nonsense\r\n\r\n"),
                "/silent" => return connection.rest().map(drop),
                "/wait" => gate.pass(),
                _ => {}
            }
            connection.send(ok(request.uri()))?;
        }
    })
}

/// Requests of all kinds and fates at once; then the books must balance: one record each, and the metrics say the same.
#[test]
fn every_request_is_accounted_for() {
    let gate = Gate::default();
    let (target, refusing) = (fateful(&gate), Refusing::new());
    let forward = |group| format!("{{ type = 'forward', target_group = '{group}' }}");
    let proxy = Setup::to([target.address])
        .with("response_timeout = 1")
        .other_group("refusing", &[refusing.address])
        .other_group("none", &[])
        .rule(1, "{ path_pattern = ['/fixed'] }", "fixed")
        .rule_action(2, "{ path_pattern = ['/refused'] }", &forward("refusing"))
        .rule_action(3, "{ path_pattern = ['/none'] }", &forward("none"))
        .start();
    std::thread::scope(|scope| {
        for (path, status, _) in FATES {
            let proxy = &proxy;
            scope.spawn(move || (0..EACH).for_each(|_| meet(proxy, path, status)));
        }
    });
    for nth in 1..=EACH {
        leave_while_waiting(&proxy, &target, nth);
        proxy.connect().exchange("GET / HTTP/1.1\r\n\r\n");
    }
    proxy.wait_for_metric("httpcode_elb_total{code=\"460\"}", 5);
    gate.open();

    let lines = proxy.log(EACH * (FATES.len() + 2));
    let others = [
        ("/wait", 460, Some("client_closed")),
        ("/", 400, Some("invalid_host")),
    ];
    for (path, status, reason) in FATES.into_iter().chain(others) {
        let path = format!("{path} HTTP/1.1");
        let fits = |line: &&Value| {
            line["request_line"].as_str().unwrap().ends_with(&path)
                && line["elb_status_code"] == status
                && line["reason"].as_str() == reason
        };
        assert_eq!(lines.iter().filter(fits).count(), EACH, "{path}");
    }
    assert_metrics_agree(&proxy, &lines);
}

fn meet(proxy: &Proxy, path: &str, status: u16) {
    let mut client = proxy.connect();
    client.send(get(path)).unwrap();
    let mut head = client.head().unwrap();
    assert_eq!(head.status(), status, "{path}");
    // Half of one is a fate too.
    let _ = client.response_body(&mut head, "GET");
}

fn leave_while_waiting(proxy: &Proxy, target: &Target, nth: usize) {
    let mut client = proxy.connect();
    client.send(get("/wait")).unwrap();
    until("the request at the target", || {
        let requests = target.requests();
        let waiting = requests.iter().filter(|request| request.uri() == "/wait");
        waiting.count() == nth
    });
}

fn assert_metrics_agree(proxy: &Proxy, lines: &[Value]) {
    let count = |series: &str| usize::try_from(proxy.metric(series)).unwrap();
    let answered = lines
        .iter()
        .filter(|line| !line["target_status_code"].is_null())
        .count();
    let by_targets = count("httpcode_target_total{class=\"2xx\",target_group=\"app\"}");
    assert_eq!(by_targets, answered);
    let by_us: usize = [200, 400, 460, 502, 503, 504]
        .iter()
        .map(|code| count(&format!("httpcode_elb_total{{code=\"{code}\"}}")))
        .sum();
    assert_eq!(by_us + answered, lines.len());
    proxy.wait_for_metric("active_connection_count{side=\"client\"}", 0);
}
