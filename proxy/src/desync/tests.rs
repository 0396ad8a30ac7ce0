use super::*;

fn words(input: &[u8]) -> Option<(Tier, &'static str)> {
    classify_refused(input).map(|found| (found.tier, found.reason))
}

/// A head is refused at the first byte that tells: what is missing then is no fault of the client's.
#[test]
fn of_what_was_refused_whole_lines_are_looked_at() {
    for (input, expected) in [
        (&b""[..], None),
        (b"nonsense", None),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX", None),
        (b"\r\nGET / HTTP/1.1\r\nHost: a\r\nX", None),
        (
            b"POST / HTTP/1.1\r\nContent-Length: 1,1\r\n",
            Some((Tier::Severe, "BadContentLength")),
        ),
        (
            b"GET / HTTP/1.1\nHost: a\n",
            Some((Tier::Acceptable, "NonCrLfLineTermination")),
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n",
            Some((Tier::Ambiguous, "MissingHeaderColon")),
        ),
        (
            b"GET / HTTP/1.1\r\nA: b\r\n c\r\n",
            Some((Tier::Ambiguous, "MultilineHeader")),
        ),
    ] {
        assert_eq!(words(input), expected, "{}", input.escape_ascii());
    }
}

/// Those that the library's own cases leave out, and those of heads without an end, which never come here.
#[test]
fn the_rarer_reasons_have_their_names_too() {
    for (head, tier, reason) in [
        (&b"GET / HTTP/1.x\r\n\r\n"[..], Tier::Severe, "BadVersion"),
        (b"GET HTTP/1.1\r\n\r\n", Tier::Ambiguous, "MissingUri"),
        (
            b"GET / HTTP/1.1\r\nHost: a",
            Tier::Ambiguous,
            "PartialHeaderLine",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\n",
            Tier::Ambiguous,
            "MissingLastEmptyLine",
        ),
    ] {
        let expected = Classification { tier, reason };
        assert_eq!(classify(head), Some(expected), "{}", head.escape_ascii());
    }
}

#[test]
fn each_mode_decides_by_tier() {
    use DesyncMitigationMode::{Defensive, Monitor, Strictest};
    for (mode, then) in [
        (Monitor, [Then::Pass, Then::Pass, Then::Pass]),
        (Defensive, [Then::Pass, Then::PassAndClose, Then::Refuse]),
        (Strictest, [Then::Refuse, Then::Refuse, Then::Refuse]),
    ] {
        let tiers = [Tier::Acceptable, Tier::Ambiguous, Tier::Severe];
        assert_eq!(tiers.map(|tier| decide(tier, mode)), then, "{mode:?}");
    }
}
