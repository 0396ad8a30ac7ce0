use super::*;

fn read(method: &Method, target: &str) -> Result<Target, Malformed> {
    Target::read(method, target.as_bytes())
}

/// Scheme, authority, path and query.
type Parts<'a> = (Option<&'a str>, Option<&'a str>, &'a str, Option<&'a str>);

fn parts<'a>(target: &'a str, read: &Target) -> Parts<'a> {
    (
        read.scheme,
        read.authority.clone().map(|authority| &target[authority]),
        &target[read.path.clone()],
        read.query.clone().map(|query| &target[query]),
    )
}

#[test]
fn the_four_forms() {
    for (method, target, expected) in [
        (Method::GET, "/", (None, None, "/", None)),
        (Method::GET, "/a/b;c=d", (None, None, "/a/b;c=d", None)),
        (Method::GET, "/a?", (None, None, "/a", Some(""))),
        (
            Method::GET,
            "/a?b=c?d/e",
            (None, None, "/a", Some("b=c?d/e")),
        ),
        (Method::GET, "//host/a", (None, None, "//host/a", None)),
        (Method::GET, "/../a/./b", (None, None, "/../a/./b", None)),
        (
            Method::GET,
            "/%2e%2E/%00%zz",
            (None, None, "/%2e%2E/%00%zz", None),
        ),
        (Method::GET, "/http://a/", (None, None, "/http://a/", None)),
        (
            Method::GET,
            "/a|b\"{}[]^'~*@:",
            (None, None, "/a|b\"{}[]^'~*@:", None),
        ),
        (
            Method::GET,
            "/?|{}[]^`\\~",
            (None, None, "/", Some("|{}[]^`\\~")),
        ),
        (Method::GET, "http://a", (Some("http"), Some("a"), "", None)),
        (
            Method::GET,
            "http://a?b",
            (Some("http"), Some("a"), "", Some("b")),
        ),
        (
            Method::GET,
            "HTTP://A.b:80/",
            (Some("http"), Some("A.b:80"), "/", None),
        ),
        (
            Method::GET,
            "https://[::1]:8/a?b",
            (Some("https"), Some("[::1]:8"), "/a", Some("b")),
        ),
        (
            Method::GET,
            "http://u:p@h/",
            (Some("http"), Some("u:p@h"), "/", None),
        ),
        (Method::OPTIONS, "*", (None, None, "*", None)),
        (Method::OPTIONS, "/a", (None, None, "/a", None)),
        (
            Method::OPTIONS,
            "http://a",
            (Some("http"), Some("a"), "", None),
        ),
        (
            Method::CONNECT,
            "a.b:443",
            (None, Some("a.b:443"), "", None),
        ),
        (
            Method::CONNECT,
            "[::1]:443",
            (None, Some("[::1]:443"), "", None),
        ),
    ] {
        let found = read(&method, target).unwrap_or_else(|error| panic!("{target}: {error}"));
        assert_eq!(parts(target, &found), expected, "{target}");
    }
}

#[test]
fn what_could_be_read_differently_is_refused() {
    for target in [
        "",
        "a",
        "a/b",
        "?a",
        "*",
        "*/",
        "host:80",
        "/#",
        "/a#b",
        "/a?b#c",
        "/a\\b",
        "\\",
        "/<",
        "/>",
        "/`",
        "/?<",
        "/?>",
        "/?\"",
        "/ ",
        "/a?b c",
        "/\u{7f}",
        "/\u{1}",
        "/?\u{0}",
        "/ä",
        "/?ä",
        "http:",
        "http:/a",
        "http:///a",
        "http://",
        "http://?a",
        "http://a#b",
        "http://a\\b/",
        "http://a b/",
        "http://a<b/",
        "http://ä/",
        "ftp://a/",
        "ws://a/",
        "httpss://a/",
        " http://a/",
        "javascript:x",
        "//",
    ]
    .into_iter()
    .filter(|target| *target != "//")
    {
        assert_eq!(
            read(&Method::GET, target),
            Err(Malformed::Target),
            "{target:?}"
        );
    }
    for target in [
        "/",
        "a",
        "a:",
        ":443",
        "a:b",
        "http://a:443",
        "a:443/",
        "*",
        "a:1?",
        "a b:1",
    ] {
        assert_eq!(
            read(&Method::CONNECT, target),
            Err(Malformed::Target),
            "{target:?}"
        );
    }
    assert_eq!(read(&Method::OPTIONS, "**"), Err(Malformed::Target));
}

/// So that a target of HTTP/1.1 can always become one of the `http` crate.
#[test]
fn the_http_crate_takes_what_is_taken_here() {
    for byte in 0..=0x7f_u8 {
        let byte = char::from(byte);
        for target in [
            format!("/{byte}"),
            format!("/?{byte}"),
            format!("http://a/{byte}?{byte}"),
        ] {
            if read(&Method::GET, &target).is_ok() {
                assert!(target.parse::<http::Uri>().is_ok(), "{target:?}");
            }
            let Ok(uri) = target.parse::<http::Uri>() else {
                continue;
            };
            let ambiguous = matches!(byte, '#' | '\\');
            assert_eq!(
                read(&Method::GET, &target).is_ok(),
                !ambiguous || target == "/?\\",
                "{uri}"
            );
        }
    }
}
