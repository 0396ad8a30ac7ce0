//! Cookies of sticky sessions: whatever a client sends, it gets to no target that it was not given, and what it was given
//! takes it there. An input is lines, each of which is a Cookie; in place of the bytes 1, 2 and 3 stands what was sealed
//! before, so that inputs are very nearly cookies of ours. The last bytes say which bits of all that are turned.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use lintel_proxy::http1::Fields;
use lintel_proxy::model::Stickiness;
use lintel_proxy::secret_keys::{Keys, Purpose};
use lintel_proxy::stickiness::Visit;

const GROUP: &str = "app";
const APP_COOKIE: &str = "SESSION";
const DURATION: Duration = Duration::from_secs(3600);

/// How many bytes at the end of the input are in pairs: what to turn, and where.
const TURNS: usize = 4;

static STICKINESS: LazyLock<[Stickiness; 2]> = LazyLock::new(|| {
    [
        Stickiness::LbCookie { duration: DURATION },
        Stickiness::AppCookie {
            name: APP_COOKIE.to_owned(),
            duration: DURATION,
        },
    ]
});

/// Ours, the newer of which seals, and of somebody else.
static KEYS: LazyLock<[Keys; 2]> = LazyLock::new(|| {
    [&[&b"new"[..], b"old"][..], &[b"other"]].map(|secrets| {
        let secrets: Vec<Vec<u8>> = secrets.iter().map(|secret| secret.to_vec()).collect();
        Keys::derived(&secrets, Purpose::Stickiness).expect("keys")
    })
});

/// For each stickiness and for the group.
static SEALED: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let request = Fields::default();
    responses(&visit(&request), target()).map(|response| {
        let cookie = response.named("Set-Cookie").next().expect("a cookie");
        let value = cookie.split(|byte| b"=;".contains(byte)).nth(1);
        value.expect("a value").to_vec()
    })
});

pub fn cookies(data: &[u8]) {
    let (text, turns) = data.split_at(data.len().saturating_sub(TURNS));
    let text = with_sealed(text, turns);
    let request = fields("Cookie", &text);
    check_opened(&request, &text);
    let port = u16::from_be_bytes([turns.len() as u8, text.len() as u8]);
    check_given(&request, SocketAddr::from(([192, 0, 2, 2], port)));
}

/// Without what stands in no field.
fn with_sealed(text: &[u8], turns: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for &byte in text {
        match byte {
            1..=3 => out.extend_from_slice(&SEALED[usize::from(byte) - 1]),
            byte => out.push(byte),
        }
    }
    for turn in turns.chunks_exact(2) {
        let place = usize::from(turn[1]) % out.len().max(1);
        if let Some(byte) = out.get_mut(place) {
            *byte ^= turn[0];
        }
    }
    out.retain(|byte| matches!(byte, b'\n' | b'\t' | b' '..=b'~' | 0x80..));
    out
}

fn fields(name: &str, text: &[u8]) -> Fields {
    let mut fields = Fields::default();
    for line in text.split(|byte| *byte == b'\n') {
        fields.push(name, line.trim_ascii());
    }
    fields
}

/// What opens is there as it was sealed, for this purpose, and has neither expired nor been sealed by another key.
fn check_opened(request: &Fields, text: &[u8]) {
    let has = |sealed: &Vec<u8>| text.windows(sealed.len()).any(|window| window == sealed);
    let visit = visit(request);
    let later = Visit {
        now: visit.now + DURATION,
        ..visit
    };
    let others = Visit {
        keys: &KEYS[1],
        ..visit
    };
    for (stickiness, sealed) in STICKINESS.iter().zip(&*SEALED) {
        let bound = visit.target(stickiness, GROUP);
        assert!(bound.is_none() || bound == Some(target()) && has(sealed));
        for visit in [&later, &others] {
            assert_eq!(visit.target(stickiness, GROUP), None);
        }
        assert_eq!(visit.target(stickiness, "another"), None);
    }
    let bound = visit.group();
    assert!(bound.is_none() || bound.as_deref() == Some(GROUP) && has(&SEALED[2]));
    assert!(bound.is_none() || visit.has_group_cookie());
    assert_eq!([later.group(), others.group()], [None, None]);
}

/// Whatever a client came with and whatever cookies its target sets, what it is given binds it.
fn check_given(request: &Fields, target: SocketAddr) {
    let responses = responses(&visit(request), target);
    for (nth, response) in responses.iter().enumerate() {
        let mut next = Fields::default();
        for cookie in response.named("Set-Cookie") {
            let pair = cookie.split(|byte| *byte == b';').next();
            next.push("Cookie", pair.unwrap_or_default());
        }
        next.push("Cookie", format!("{APP_COOKIE}=1").as_bytes());
        let visit = visit(&next);
        match STICKINESS.get(nth) {
            Some(stickiness) => assert_eq!(visit.target(stickiness, GROUP), Some(target)),
            None => assert_eq!(visit.group().as_deref(), Some(GROUP)),
        }
    }
}

/// To a client that is bound from now on, for each stickiness and for the group.
fn responses(visit: &Visit<'_>, target: SocketAddr) -> [Fields; 3] {
    let [mut lb, mut app, mut group] = [(); 3].map(|()| Fields::default());
    visit.bind(&STICKINESS[0], GROUP, None, target, &mut lb);
    visit.bind(&STICKINESS[1], GROUP, Some(target), target, &mut app);
    visit.bind_group(GROUP, DURATION, &mut group);
    [lb, app, group]
}

fn visit(request: &Fields) -> Visit<'_> {
    Visit {
        keys: &KEYS[0],
        request,
        https: false,
        // Always the same.
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(784_123_200),
    }
}

fn target() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 8000))
}
