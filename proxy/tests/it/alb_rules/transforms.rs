//! What a target sees after its rule's transforms, and what the log says of it.

use serde_json::{Value, json};

use crate::harness::{Message, Proxy, Setup, Target, ok};

const API: &str = "{ path_pattern = ['/api/*', '/bad*', '/grow*'] }";

/// A rule with these transforms that forwards to the group `app`, whose target says what it is asked for.
fn start(transforms: &str) -> (Target, Proxy) {
    let app = Target::answering(|request| {
        let host = request.field("host").unwrap_or_default();
        ok(&format!("{host} {}", request.uri()))
    });
    let rule = format!(
        "[[listener.rule]]\npriority = 7\ncondition = [{API}]\ntransform = [{transforms}]\n\
         action = {{ type = 'forward', target_group = 'app' }}\n"
    );
    // Behind the listener, to which it belongs.
    let proxy = Setup::to([app.address]).more(&rule).start();
    (app, proxy)
}

fn ask(proxy: &Proxy, target: &str, host: &str) -> Message {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    proxy.connect().exchange(request)
}

/// The fields about transforms, of the only line.
fn logged(proxy: &Proxy) -> [Value; 4] {
    let line = proxy.log_line();
    [
        "transformed_host",
        "transformed_uri",
        "request_transform_status",
        "actions_executed",
    ]
    .map(|key| line[key].clone())
}

#[test]
fn the_url_is_rewritten_after_the_choice_and_before_the_target() {
    let rewrite =
        r"{ type = 'url-rewrite', rewrite = [{ regex = '^/api/(.*)$', replace = '/v2/$1' }] }";
    let (app, proxy) = start(rewrite);
    let answer = ask(&proxy, "/api/users?id=1&next=/api/x", "example.com");
    assert!(
        answer.text().ends_with(" /v2/users?id=1&next=/api/x"),
        "{}",
        answer.text()
    );
    assert_eq!(
        logged(&proxy),
        [
            json!(null),
            json!("/v2/users?id=1&next=/api/x"),
            json!("TransformSuccess"),
            json!("rewrite,forward")
        ]
    );
    let line = proxy.log_line();
    let request_line = line["request_line"].as_str().unwrap();
    assert!(
        request_line.contains("/api/users?id=1"),
        "the record keeps what was sent: {request_line}"
    );
    assert_eq!(line["matched_rule_priority"], 7);
    assert_eq!(app.only_request().uri(), "/v2/users?id=1&next=/api/x");
}

#[test]
fn the_host_is_rewritten_and_its_port_is_as_always() {
    let rewrite = r"{ type = 'host-header-rewrite', rewrite = [{ regex = '^(.+)[.]Example[.]com$', replace = '$1.internal' }] }";
    let (_app, proxy) = start(rewrite);
    let answer = ask(&proxy, "/api/", "Shop.example.com:1234");
    let expected = format!("shop.internal:{} /api/", proxy.port());
    assert_eq!(answer.text(), expected);
    let [host, uri, status, _] = logged(&proxy);
    assert_eq!((host, uri), (json!("Shop.internal"), json!(null)));
    assert_eq!(status, "TransformSuccess");
}

#[test]
fn a_host_that_comes_with_a_port_keeps_it() {
    let rewrite = "{ type = 'host-header-rewrite', rewrite = { regex = '.*', replace = 'app.internal:9000' } }";
    let (_app, proxy) = start(rewrite);
    assert_eq!(
        ask(&proxy, "/api/", "a.com").text(),
        "app.internal:9000 /api/"
    );
}

#[test]
fn where_nothing_matches_nothing_changes() {
    let rewrite = "{ type = 'url-rewrite', rewrite = [{ regex = '^/never', replace = '/x' }] }, \
                   { type = 'host-header-rewrite', rewrite = [{ regex = 'never', replace = 'x' }] }";
    let (_app, proxy) = start(rewrite);
    let answer = ask(&proxy, "/api/%61", "a.com");
    assert_eq!(answer.text(), format!("a.com:{} /api/%61", proxy.port()));
    let nothing = json!(null);
    assert_eq!(
        logged(&proxy),
        [nothing.clone(), nothing.clone(), nothing, json!("forward")]
    );
}

#[test]
fn what_cannot_be_sent_is_a_500_and_reaches_no_target() {
    let cases = [
        (
            "url-rewrite",
            "^/api/",
            "no slash",
            "/api/",
            "TransformInvalidPath",
            "transform_invalid_path",
        ),
        (
            "host-header-rewrite",
            "$",
            "/x",
            "/api/",
            "TransformInvalidHost",
            "transform_invalid_host",
        ),
        (
            "url-rewrite",
            "^",
            "LONG",
            "LONG",
            "TransformBufferTooSmall",
            "transform_buffer_too_small",
        ),
    ];
    for (kind, regex, replace, target, status, reason) in cases {
        let replace = replace.replace("LONG", &format!("/{}", "x".repeat(900)));
        let target = target.replace("LONG", &format!("/api/{}", "y".repeat(15_800)));
        let (app, proxy) = start(&format!(
            "{{ type = '{kind}', rewrite = [{{ regex = '{regex}', replace = '{replace}' }}] }}"
        ));
        let mut client = proxy.connect();
        let answer = client.exchange(format!("GET {target} HTTP/1.1\r\nHost: a.com\r\n\r\n"));
        assert_eq!(answer.status(), 500, "{reason}");
        assert_eq!(client.get("/other").status(), 200, "the connection goes on");
        assert_eq!(app.only_request().uri(), "/other");
        let lines = proxy.log(2);
        assert_eq!(lines[0]["request_transform_status"], status);
        assert_eq!(lines[0]["reason"], reason);
        assert_eq!(lines[0]["matched_rule_priority"], 7);
        assert!(lines[0]["transformed_host"].is_null() && lines[0]["transformed_uri"].is_null());
        assert!(lines[0]["target_port"].is_null());
        assert_eq!(proxy.metric("httpcode_elb_total{code=\"500\"}"), 1);
    }
}

#[test]
fn a_redirect_shows_what_the_client_asked_for() {
    let app = Target::saying("never");
    let rule = format!(
        "[[listener.rule]]\npriority = 7\ncondition = [{API}]\n\
         transform = [{{ type = 'url-rewrite', rewrite = [{{ regex = '^/api', replace = '/x' }}] }}]\n\
         action = {{ type = 'redirect', protocol = 'HTTPS', status_code = 'HTTP_302' }}\n"
    );
    let proxy = Setup::to([app.address]).more(&rule).start();
    let answer = ask(&proxy, "/api/a", "a.com");
    let location = format!("https://a.com:{}/api/a", proxy.port());
    assert_eq!(answer.field("location"), Some(location.as_str()));
}
