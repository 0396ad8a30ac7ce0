//! The way back: what of a response reaches the client.

use super::*;

fn response(start: &str, lines: &[(&str, &str)]) -> ResponseHead {
    let (head, _) = ResponseHead::read(text(start, lines).as_bytes(), &Method::GET)
        .expect("a response")
        .expect("all of it");
    head
}

fn to_client_text(head: &ResponseHead, how: &ToClient) -> String {
    let mut out = Vec::new();
    to_client(head, how, &[], &mut out);
    String::from_utf8(out).unwrap()
}

fn to_http2_text(head: &ResponseHead, set: &[SetField]) -> String {
    let mut out = Vec::new();
    to_http2_client(head, false, set, |name, value| {
        out.extend([name, b": ", value, b"\n"].concat());
    });
    String::from_utf8(out).unwrap()
}

#[test]
fn a_response_keeps_what_is_the_clients() {
    let head = response(
        "HTTP/1.0 418 short and stout",
        &[
            ("Server", "app"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("trailer", "x-sum"),
            ("set-cookie", "a"),
            ("Set-Cookie", "b"),
        ],
    );
    let how = ToClient {
        chunked: true,
        connection: Some("close"),
        ..ToClient::default()
    };
    assert_eq!(
        to_client_text(&head, &how),
        "HTTP/1.1 418 short and stout\r\nServer: app\r\nset-cookie: a\r\nSet-Cookie: b\r\n\
         Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let how = ToClient {
        trailers: true,
        ..how
    };
    assert!(to_client_text(&head, &how).contains("trailer: x-sum\r\n"));
    assert_eq!(
        to_http2_text(&head, &[]),
        "Server: app\nset-cookie: a\nSet-Cookie: b\n"
    );
}

#[test]
fn no_content_has_no_length() {
    let head = response("HTTP/1.1 204 No Content", &[("content-length", "5")]);
    let text = to_client_text(&head, &ToClient::default());
    assert_eq!(text, "HTTP/1.1 204 No Content\r\n\r\n");
    let head = response("HTTP/1.1 103 Early Hints", &[("content-length", "5")]);
    let text = to_client_text(&head, &ToClient::default());
    assert_eq!(text, "HTTP/1.1 103 Early Hints\r\n\r\n");
    let head = response("HTTP/1.1 304 Not Modified", &[("content-length", "5")]);
    assert!(to_client_text(&head, &ToClient::default()).contains("content-length: 5"));
}

#[test]
fn what_the_listener_sets_replaces_what_the_target_said() {
    let lines = [
        ("X-Frame-Options", "SAMEORIGIN"),
        ("x-frame-options", "x"),
        ("Server", "app"),
    ];
    let head = response("HTTP/1.1 200 OK", &lines);
    let [name, other] = ["x-frame-options", "access-control-max-age"];
    let set = [(name, "DENY"), (other, "60")];
    let set = set.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let mut out = Vec::new();
    to_client(&head, &ToClient::default(), &set, &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "HTTP/1.1 200 OK\r\nServer: app\r\nX-Frame-Options: DENY\r\nAccess-Control-Max-Age: 60\r\n\r\n"
    );
    assert_eq!(
        to_http2_text(&head, &set),
        "Server: app\nx-frame-options: DENY\naccess-control-max-age: 60\n"
    );

    let modification = HeaderModification {
        server: false,
        response: set.to_vec(),
        ..HeaderModification::NONE
    };
    let mut own = GatewayError::NoTargets.response();
    modify(&mut own, &modification);
    assert!(!own.headers().contains_key("server"));
    assert_eq!(own.headers()[name], "DENY");
}

#[test]
fn the_load_balancers_own_fields_are_spelled_like_the_albs() {
    let mut out = Vec::new();
    let how = ToClient::default();
    own_to_client(&GatewayError::NoTargets.response(), &how, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("HTTP/1.1 503 Service Temporarily Unavailable\r\n"));
    for name in [
        "\r\nServer: lintel\r\n",
        "\r\nContent-Type: ",
        "\r\nContent-Length: 162\r\n",
    ] {
        assert!(text.contains(name), "{text}");
    }
}
