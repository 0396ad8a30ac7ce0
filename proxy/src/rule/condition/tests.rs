//! Conditions and the requests that they hold for.

use super::*;
use proptest::prelude::*;

fn head(text: &str) -> RequestHead {
    let text = text.replace('\n', "\r\n") + "\r\n\r\n";
    let read = RequestHead::read(text.as_bytes()).expect("a valid head");
    read.expect("a whole head").0
}

fn holds_for(condition: &Condition, head: &RequestHead) -> bool {
    condition.holds(&Subject::new(&RuleInput {
        host: "example.com",
        head,
        peer: IpAddr::from([203, 0, 113, 7]),
        drop_invalid: false,
    }))
}

/// Whatever could not come over HTTP/1.1 too.
fn holds(condition: &Condition, host: &str, path: &str) -> bool {
    condition.holds(&Subject {
        host: without_port(host),
        path: normal_path(path),
        head: &head("GET / HTTP/1.1"),
        peer: IpAddr::from([203, 0, 113, 7]),
        drop_invalid: false,
    })
}

fn wildcards(values: &[&str]) -> Vec<Comparison> {
    let patterns = values.iter().map(|value| Pattern::case_insensitive(value));
    patterns.map(Comparison::Wildcards).collect()
}

#[test]
fn a_header_is_tried_line_by_line() {
    let condition = |name: &str, values: &[&str]| Condition::HttpHeader {
        name: name.to_owned(),
        values: wildcards(values),
    };
    let head = head(
        "GET / HTTP/1.1\nHost: a\nX-Tier: Free\nx-tier:  gold plan \nX-Empty:\nX-Odd: a\tb\u{e9}c\nCookie: a=1\nCookie: b=2",
    );
    let cases = [
        ("X-Tier", &["free"][..], true),
        ("x-tier", &["GOLD*"], true),
        ("X-Tier", &["gold"], false),
        ("X-Tier", &["silver", "gold plan"], true),
        ("X-Tier", &["free, gold plan"], false),
        ("X-Tie", &["*"], false),
        ("X-Empty", &["*"], true),
        ("X-Empty", &["?*"], false),
        ("X-None", &["*"], false),
        ("X-Odd", &["abc"], true),
        ("Cookie", &["a=1; b=2"], false),
        ("Cookie", &["b=2"], true),
    ];
    for (name, values, expected) in cases {
        let condition = condition(name, values);
        assert_eq!(holds_for(&condition, &head), expected, "{name}: {values:?}");
    }
}

#[test]
fn an_http2_cookie_is_one_however_it_came() {
    let cookies: [(&str, &[u8]); 3] = [("cookie", b"a=1"), ("x-other", b"x"), ("cookie", b"b=2")];
    let head = crate::http2::asked("GET", "/", &cookies);
    for (values, expected) in [(["a=1; b=2"], true), (["b=2"], false), (["*b=2*"], true)] {
        let condition = Condition::HttpHeader {
            name: "Cookie".to_owned(),
            values: wildcards(&values),
        };
        assert_eq!(holds_for(&condition, &head), expected, "{values:?}");
    }
    let absent = Condition::HttpHeader {
        name: "Cookie".to_owned(),
        values: wildcards(&["*"]),
    };
    assert!(!holds_for(&absent, &self::head("GET / HTTP/1.1\nHost: a")));
}

#[test]
fn any_parameter_may_match() {
    let parameter = |key: &str, value| Parameter {
        key: Pattern::with_escapes(key).filter(|_| !key.is_empty()),
        value: Pattern::with_escapes(value).expect("a pattern"),
    };
    let condition = Condition::QueryString(vec![parameter("v", "1"), parameter("", "any*")]);
    for (target, expected) in [
        ("/", false),
        ("/?", false),
        ("/?v=1", true),
        ("/?a=b&V=1&c", true),
        ("/?v=2", false),
        ("/?x=AnyThing", true),
        ("/v=1", false),
        ("/?anything", false),
    ] {
        let head = head(&format!("GET {target} HTTP/1.1\nHost: a"));
        assert_eq!(holds_for(&condition, &head), expected, "{target}");
    }
}

#[test]
fn a_method_is_compared_as_it_is() {
    let condition = Condition::HttpRequestMethod(vec!["GET".to_owned(), "PURGE".to_owned()]);
    for (method, expected) in [
        ("GET", true),
        ("PURGE", true),
        ("get", false),
        ("HEAD", false),
        ("PURGEX", false),
    ] {
        let head = head(&format!("{method} / HTTP/1.1\nHost: a"));
        assert_eq!(holds_for(&condition, &head), expected, "{method}");
    }
}

#[test]
fn an_address_is_the_peers() {
    let head = head("GET / HTTP/1.1\nHost: a\nX-Forwarded-For: 10.0.0.1");
    let holds = |networks: &[&str], peer: &str| {
        let networks = networks.iter().map(|net| net.parse().expect("a network"));
        Condition::SourceIp(networks.collect()).holds(&Subject::new(&RuleInput {
            host: "",
            head: &head,
            peer: peer.parse().expect("an address"),
            drop_invalid: false,
        }))
    };
    for (networks, peer, expected) in [
        (&["10.0.0.0/8"][..], "10.255.0.1", true),
        (&["10.0.0.0/8"], "11.0.0.1", false),
        (&["10.0.0.0/8"], "203.0.113.7", false),
        (&["192.0.2.1/32", "10.0.0.0/8"], "192.0.2.1", true),
        (&["0.0.0.0/0"], "203.0.113.7", true),
        (&["0.0.0.0/0"], "2001:db8::1", false),
        (&["2001:db8::/32"], "2001:db8:ffff::1", true),
        (&["2001:db8::/32"], "2001:db9::1", false),
        (&["::/0"], "10.0.0.1", false),
    ] {
        assert_eq!(holds(networks, peer), expected, "{networks:?} {peer}");
    }
}

#[test]
fn a_regex_has_the_case_of_its_kind() {
    let path = Expression::case_sensitive("^/v[0-9]+$").expect("valid");
    let path = Condition::PathPattern(vec![Comparison::Regex(path)]);
    let host = Expression::case_insensitive(r"^(www|api)\.").expect("valid");
    let host = Condition::HostHeader(vec![Comparison::Regex(host)]);
    assert!(holds(&path, "", "/x/../v12") && !holds(&path, "", "/V12"));
    assert!(holds(&host, "API.example.com:8080", "/") && !holds(&host, "example.com", "/"));
}

#[test]
fn host_header_ignores_case_and_port() {
    let condition = Condition::host_header(["*.example.com", "localhost", "*::1*"]);
    let cases = [
        ("www.example.com", true),
        ("WWW.Example.COM:8443", true),
        ("a.b.example.com", true),
        ("example.com", false),
        ("localhost", true),
        ("localhost:8080", true),
        ("localhost:", true),
        ("localhost:http", false),
        ("localhost.evil", false),
        ("[::1]", true),
        ("[::1]:8080", true),
        ("", false),
    ];
    for (host, expected) in cases {
        assert_eq!(holds(&condition, host, "/"), expected, "{host}");
    }
}

#[test]
fn path_pattern_sees_the_normal_form() {
    let condition = Condition::path_pattern(["/admin/*", "/exact"]);
    let cases = [
        ("/admin/", true),
        ("/admin/users", true),
        ("/%61dmin/users", true),
        ("/public/../admin/users", true),
        ("/public/%2e%2E/admin/users", true),
        ("/./admin/.", true),
        ("/admin/..", false),
        ("/admin%2Fusers", false),
        ("/Admin/users", false),
        ("/exact", true),
        ("/exact/", false),
        ("//exact", false),
        ("/exa\u{7f}ct", true),
        ("/exäact", true),
    ];
    for (path, expected) in cases {
        assert_eq!(holds(&condition, "", path), expected, "{path}");
    }
}

#[test]
fn normal_forms() {
    let cases = [
        ("/", "/"),
        ("", ""),
        ("*", "*"),
        ("/a/b", "/a/b"),
        ("/a//b/", "/a//b/"),
        ("/.well-known/x", "/.well-known/x"),
        ("/a/...", "/a/..."),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/../../b", "/b"),
        ("/a/..", "/"),
        ("/a/b/.", "/a/b/"),
        ("/%7Euser/%2d", "/~user/-"),
        ("/%2525/%2/%zz/%", "/%2525/%2/%zz/%"),
        ("/%2e", "/"),
        ("/%252e", "/%252e"),
    ];
    for (path, expected) in cases {
        assert_eq!(normal_path(path), expected, "{path}");
    }
}

#[test]
fn a_normal_path_is_not_copied() {
    for path in [
        "/",
        "/index.html",
        "/a/%2F/b",
        "/.well-known/acme-challenge/x",
        "/a..b/..c/d.",
    ] {
        assert!(matches!(normal_path(path), Cow::Borrowed(_)), "{path}");
    }
}

proptest! {
    #[test]
    fn the_normal_form_is_stable_and_free_of_dot_segments(path in "/([ab./]|%2[eEfF]|%61|%25){0,12}") {
        let normal = normal_path(&path).into_owned();
        prop_assert!(normal.starts_with('/'));
        prop_assert!(normal.split('/').all(|segment| !is_dot_segment(segment.as_bytes())), "{}", normal);
        prop_assert!(is_normal(normal.as_bytes()), "{}", normal);
    }

    #[test]
    fn no_text_panics(host in any::<String>(), path in any::<String>()) {
        let condition = Condition::path_pattern(["/*/a?"]);
        holds(&condition, &host, &path);
    }
}
