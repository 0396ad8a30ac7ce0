//! Requests with all kinds of cookies, and what their responses set. No sockets, and the time is given.

use proptest::prelude::*;

use super::*;
use crate::secret_keys::Purpose;

const GROUP: &str = "app";
const HOUR: Duration = Duration::from_secs(3600);

fn noon() -> SystemTime {
    // Sun, 06 Nov 1994 12:00:00 GMT
    SystemTime::UNIX_EPOCH + Duration::from_secs(784_123_200)
}

fn keys(secrets: &[&str]) -> Keys {
    let secrets: Vec<Vec<u8>> = secrets
        .iter()
        .map(|secret| secret.as_bytes().to_vec())
        .collect();
    Keys::derived(&secrets, Purpose::Stickiness).unwrap()
}

fn target(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn fields(lines: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::default();
    for (name, value) in lines {
        fields.push(name, value.as_bytes());
    }
    fields
}

fn lb_cookie() -> Stickiness {
    Stickiness::LbCookie { duration: HOUR }
}

fn by_app() -> Stickiness {
    Stickiness::AppCookie {
        name: "SESSION".to_owned(),
        duration: HOUR,
    }
}

fn visit<'r>(keys: &'r Keys, request: &'r Fields) -> Visit<'r> {
    Visit {
        keys,
        request,
        https: false,
        now: noon(),
    }
}

/// What the response sets, each `name`, `value` and attributes.
fn set(response: &Fields) -> Vec<(String, String, String)> {
    let cookies = response.named("Set-Cookie").map(|cookie| {
        let text = std::str::from_utf8(cookie).unwrap();
        let (pair, attributes) = text.split_once("; ").unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        (name.to_owned(), value.to_owned(), attributes.to_owned())
    });
    cookies.collect()
}

/// The value that a client gets who is answered by that target.
fn given(keys: &Keys, stickiness: &Stickiness, group: &str, address: &str) -> String {
    let (request, mut response) = (fields(&[]), fields(&[("Set-Cookie", "SESSION=1")]));
    visit(keys, &request).bind(stickiness, group, None, target(address), &mut response);
    let set = set_by_us(&response);
    set[0].1.clone()
}

fn set_by_us(response: &Fields) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    for cookie in response.named("Set-Cookie") {
        let text = std::str::from_utf8(cookie).unwrap();
        if text.starts_with("AWSALB") {
            let (pair, attributes) = text.split_once("; ").unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            all.push((name.to_owned(), value.to_owned(), attributes.to_owned()));
        }
    }
    all
}

fn bound(keys: &Keys, stickiness: &Stickiness, cookies: &[&str]) -> Option<SocketAddr> {
    let lines: Vec<_> = cookies.iter().map(|cookie| ("Cookie", *cookie)).collect();
    visit(keys, &fields(&lines)).target(stickiness, GROUP)
}

const A: &str = "10.0.0.1:8000";
const B: &str = "[fd00::2]:8001";

#[test]
fn the_load_balancers_cookies_are_the_albs() {
    let keys = keys(&["one"]);
    let request = fields(&[]);
    for (https, cors) in [
        (false, "Path=/; SameSite=None"),
        (true, "Path=/; SameSite=None; Secure"),
    ] {
        let mut response = fields(&[]);
        let visit = Visit {
            https,
            ..visit(&keys, &request)
        };
        visit.bind(&lb_cookie(), GROUP, None, target(A), &mut response);
        let set = set(&response);
        let expires = "Expires=Sun, 13 Nov 1994 12:00:00 GMT";
        assert_eq!(set.len(), 2);
        assert_eq!((&*set[0].0, &*set[1].0), ("AWSALB", "AWSALBCORS"));
        assert_eq!(set[0].2, format!("{expires}; Path=/"));
        assert_eq!(set[1].2, format!("{expires}; {cors}"));
        assert_eq!(set[0].1, set[1].1);
        assert!(!set[0].1.contains('='), "no padding, as nobody may trim it");
    }
}

#[test]
fn a_cookie_brings_its_client_back() {
    let keys = keys(&["one"]);
    let (a, b) = (
        given(&keys, &lb_cookie(), GROUP, A),
        given(&keys, &lb_cookie(), GROUP, B),
    );
    assert_eq!(a.len(), b.len());
    let (a_own, b_own) = (format!("AWSALB={a}"), format!("AWSALB={b}"));
    let (a_cors, broken) = (format!("AWSALBCORS={a}"), "AWSALBCORS=broken".to_owned());
    let among = format!("x=1; AWSALB={a};y=2");
    for (cookies, goes_to) in [
        (&[&*a_own][..], Some(A)),
        (&[&b_own], Some(B)),
        (&[&a_cors], Some(A)),
        (&[&among], Some(A)),
        // HTTP/2 sends each on its own; AWSALBCORS counts wherever it is.
        (&[&b_own, "x=1", &a_cors], Some(A)),
        (&[&b_own, &broken], None),
        (&[], None),
        (&["AWSALB="], None),
        (&["AWSALB"], None),
        (&["XAWSALB=1; AWSALBX=2"], None),
    ] {
        let expected = goes_to.map(target);
        assert_eq!(bound(&keys, &lb_cookie(), cookies), expected, "{cookies:?}");
    }
}

#[test]
fn two_cookies_for_the_same_target_differ() {
    let keys = keys(&["one"]);
    let given = || given(&keys, &lb_cookie(), GROUP, A);
    assert_ne!(given(), given(), "nobody can tell who shares a target");
}

#[test]
fn what_is_not_ours_for_this_is_nothing() {
    let one = keys(&["one"]);
    let value = given(&one, &lb_cookie(), GROUP, A);
    let cookie = format!("AWSALB={value}");
    assert!(bound(&one, &lb_cookie(), &[&cookie]).is_some());

    assert_eq!(
        bound(&keys(&["two"]), &lb_cookie(), &[&cookie]),
        None,
        "other keys"
    );
    let foreign = given(&one, &lb_cookie(), "other", A);
    let foreign = format!("AWSALB={foreign}");
    assert_eq!(
        bound(&one, &lb_cookie(), &[&foreign]),
        None,
        "another group's"
    );
    let other_kind = given(&one, &by_app(), GROUP, A);
    let other_kind = format!("AWSALB={other_kind}");
    assert_eq!(
        bound(&one, &lb_cookie(), &[&other_kind]),
        None,
        "another kind"
    );

    let request = fields(&[("Cookie", &cookie)]);
    for (later, taken) in [
        (Duration::ZERO, true),
        (Duration::from_millis(3_599_999), true),
        (HOUR, false),
        (HOUR * 100, false),
    ] {
        let visit = Visit {
            now: noon() + later,
            ..visit(&one, &request)
        };
        let found = visit.target(&lb_cookie(), GROUP);
        assert_eq!(found.is_some(), taken, "after {later:?}");
    }
    // Each response gives it the whole duration again.
    let mut next = value;
    for visits in 1..4 {
        let cookie = format!("AWSALB={next}");
        let request = fields(&[("Cookie", &cookie)]);
        let visit = Visit {
            now: noon() + HOUR * visits - Duration::from_secs(1) * visits,
            ..visit(&one, &request)
        };
        let found = visit.target(&lb_cookie(), GROUP);
        assert_eq!(found, Some(target(A)), "the visit {visits}");
        let mut response = fields(&[]);
        visit.bind(&lb_cookie(), GROUP, found, target(A), &mut response);
        next = set(&response)[0].1.clone();
    }

    let mut response = fields(&[]);
    visit(&one, &request).bind_group(GROUP, HOUR, &mut response);
    let of_group = set(&response)[0].1.clone();
    let of_group = format!("AWSALB={of_group}");
    assert_eq!(
        bound(&one, &lb_cookie(), &[&of_group]),
        None,
        "names no target"
    );
}

#[test]
fn keys_are_exchanged_without_losing_a_session() {
    let (old, both, new) = (keys(&["old"]), keys(&["new", "old"]), keys(&["new\n"]));
    let by_old = format!("AWSALB={}", given(&old, &lb_cookie(), GROUP, A));
    let by_both = format!("AWSALB={}", given(&both, &lb_cookie(), GROUP, A));
    for (keys, cookie, taken) in [
        (&both, &by_old, true),
        (&both, &by_both, true),
        (&new, &by_both, true),
        (&new, &by_old, false),
        (&old, &by_both, false),
    ] {
        let target = bound(keys, &lb_cookie(), &[cookie]);
        assert_eq!(target.is_some(), taken);
    }
    let random = (Keys::random().unwrap(), Keys::random().unwrap());
    let by_random = format!("AWSALB={}", given(&random.0, &lb_cookie(), GROUP, A));
    assert!(bound(&random.0, &lb_cookie(), &[&by_random]).is_some());
    assert!(bound(&random.1, &lb_cookie(), &[&by_random]).is_none());
}

#[test]
fn a_session_of_the_application_begins_with_its_cookie() {
    let keys = keys(&["one"]);
    let removed = |set: &[(String, String, String)]| {
        let names: Vec<&str> = set.iter().map(|(name, ..)| &**name).collect();
        assert_eq!(
            names,
            ["AWSALBAPP-0", "AWSALBAPP-1", "AWSALBAPP-2", "AWSALBAPP-3"]
        );
        set.iter()
            .map(|(_, value, _)| value == "_remove_")
            .collect::<Vec<_>>()
    };
    let session = given(&keys, &by_app(), GROUP, A);
    let ours = format!("AWSALBAPP-0={session}");
    for (cookies, response, target_of, goes_on) in [
        (&[][..], "", None, false),
        (&[], "other=1", None, false),
        (&[], "SESSIONS=1", None, false),
        (&[], "SESSION=1; Path=/", None, true),
        // Whatever it says.
        (&[], "SESSION=; Max-Age=0", None, true),
        (&["SESSION=", &ours], "", Some(A), true),
        (&["SESSION=2", &ours], "", Some(A), true),
        (&["SESSION=1", &ours], "", Some(A), true),
        (&["SESSION=1"], "", None, false),
        (&[&ours], "", None, false),
        (&["SESSION=1", "AWSALBAPP-0=_remove_"], "", None, false),
    ] {
        let lines: Vec<_> = cookies.iter().map(|cookie| ("Cookie", *cookie)).collect();
        let request = fields(&lines);
        let visit = visit(&keys, &request);
        let bound = visit.target(&by_app(), GROUP);
        assert_eq!(bound, target_of.map(target), "{cookies:?}");
        let mut response = match response {
            "" => fields(&[]),
            cookie => fields(&[("set-cookie", cookie)]),
        };
        visit.bind(&by_app(), GROUP, bound, target(B), &mut response);
        let set = set_by_us(&response);
        assert_eq!(removed(&set), [!goes_on, true, true, true], "{cookies:?}");
        assert_eq!(set[0].2, "Expires=Sun, 13 Nov 1994 12:00:00 GMT; Path=/");
        if goes_on {
            let ours = format!("AWSALBAPP-0={}", set[0].1);
            let request = fields(&[("Cookie", "SESSION=1"), ("Cookie", &ours)]);
            let next = Visit {
                request: &request,
                ..visit
            };
            assert_eq!(
                next.target(&by_app(), GROUP),
                Some(target(B)),
                "where it went"
            );
        }
    }
}

#[test]
fn only_newer_chromium_is_told_of_other_sites() {
    let keys = keys(&["one"]);
    for (agent, https, told) in [
        (
            "Mozilla/5.0 (X11) Chrome/120.0.0.0 Safari/537.36",
            true,
            true,
        ),
        ("Chromium/80.0", true, true),
        (
            "Mozilla/5.0 Chrome/79.0.3945.130 Safari/537.36",
            true,
            false,
        ),
        ("Mozilla/5.0 (X11; rv:120.0) Firefox/120.0", true, false),
        ("Chrome/x", true, false),
        ("", true, false),
        // Without TLS a browser would refuse what it says.
        ("Chromium/80.0", false, false),
    ] {
        let request = fields(&[("User-Agent", agent)]);
        let mut response = fields(&[]);
        let visit = Visit {
            https,
            ..visit(&keys, &request)
        };
        visit.bind(&by_app(), GROUP, None, target(A), &mut response);
        for (_, _, attributes) in set(&response) {
            let found = attributes.ends_with("; Path=/; SameSite=None; Secure");
            assert_eq!(found, told, "{agent}: {attributes}");
        }
    }
}

#[test]
fn a_group_is_remembered_apart_from_the_target() {
    let keys = keys(&["one"]);
    let request = fields(&[]);
    let mut response = fields(&[]);
    visit(&keys, &request).bind_group("canary", HOUR, &mut response);
    let set = set(&response);
    assert_eq!((&*set[0].0, &*set[1].0), ("AWSALBTG", "AWSALBTGCORS"));
    for (name, value, _) in &set {
        let cookie = format!("{name}={value}");
        let request = fields(&[("Cookie", &cookie)]);
        let visit = visit(&keys, &request);
        assert_eq!(visit.group().as_deref(), Some("canary"));
        assert_eq!(visit.target(&lb_cookie(), "canary"), None);
    }
    // A client that encodes what it was given.
    let encoded = format!(
        "AWSALBTG={}",
        set[0].1.replace('/', "%2F").replace('+', "%2B")
    );
    let request = fields(&[("Cookie", &format!("{encoded}%3D"))]);
    assert_eq!(visit(&keys, &request).group(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever a client sends, it gets to no target by it.
    #[test]
    fn nothing_is_opened_that_was_not_sealed(value in prop::collection::vec(any::<u8>(), 0..200)) {
        let keys = keys(&["one", "two"]);
        for kind in [Kind::LbCookie, Kind::AppCookie, Kind::TargetGroup] {
            prop_assert_eq!(Session::open(&value, kind, &keys, noon()), None);
        }
    }

    /// As long as ours and in our alphabet.
    #[test]
    fn nothing_like_ours_is_opened(value in "[A-Za-z0-9+/]{120}") {
        let keys = keys(&["one"]);
        prop_assert_eq!(Session::open(value.as_bytes(), Kind::LbCookie, &keys, noon()), None);
    }

    #[test]
    fn one_changed_byte_spoils_it(at in 0_usize..120, to in "[A-Za-z0-9+/=]", cut in 0_usize..120) {
        let keys = keys(&["one"]);
        let value = given(&keys, &lb_cookie(), GROUP, A);
        prop_assert_eq!(value.len(), 120);
        let open = |value: &[u8]| Session::open(value, Kind::LbCookie, &keys, noon());
        let mut changed = value.clone().into_bytes();
        changed[at] = to.as_bytes()[0];
        prop_assert_eq!(open(&changed).is_some(), changed == value.as_bytes());
        prop_assert_eq!(open(&value.as_bytes()[..cut]), None);
        prop_assert_eq!(open(format!("{value}A").as_bytes()), None);
    }

    #[test]
    fn what_is_sealed_is_opened_as_it_was(
        name in "[a-zA-Z0-9-]{0,32}",
        ip in any::<std::net::IpAddr>(),
        port in any::<u16>(),
        no_target in any::<bool>(),
        seconds in 1_u64..10_000_000,
    ) {
        let keys = keys(&["one"]);
        let session = Session {
            group: name,
            target: (!no_target).then(|| SocketAddr::new(ip, port)),
            expires: noon() + Duration::from_secs(seconds),
        };
        let sealed = session.seal(Kind::AppCookie, &keys).unwrap();
        let opened = Session::open(sealed.as_bytes(), Kind::AppCookie, &keys, noon());
        prop_assert_eq!(opened, Some(session));
    }
}
