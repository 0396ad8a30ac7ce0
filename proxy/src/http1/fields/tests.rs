use super::*;
use crate::http1::lines::Line;

/// Every name and how it is recognised.
const NAMES: [(&str, Name); 19] = [
    ("Host", Name::Host),
    ("Content-Length", Name::ContentLength),
    ("Transfer-Encoding", Name::TransferEncoding),
    ("Connection", Name::Connection),
    ("Keep-Alive", Name::KeepAlive),
    ("Proxy-Connection", Name::ProxyConnection),
    ("TE", Name::Te),
    ("Trailer", Name::Trailer),
    ("Upgrade", Name::Upgrade),
    ("Expect", Name::Expect),
    ("Cookie", Name::Cookie),
    ("User-Agent", Name::UserAgent),
    ("Server", Name::Server),
    ("Date", Name::Date),
    ("Location", Name::Location),
    ("X-Forwarded-For", Name::XForwardedFor),
    ("X-Forwarded-Proto", Name::XForwardedProto),
    ("X-Forwarded-Port", Name::XForwardedPort),
    ("X-Amzn-Trace-Id", Name::XAmznTraceId),
];

fn fields(lines: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::default();
    for (spelled, value) in lines {
        fields.push(spelled, value.as_bytes());
    }
    fields
}

#[test]
fn a_name_is_recognised_in_any_case() {
    for (spelled, name) in NAMES {
        for spelled in [
            spelled.to_owned(),
            spelled.to_ascii_lowercase(),
            spelled.to_ascii_uppercase(),
        ] {
            assert_eq!(Name::of(spelled.as_bytes()), name, "{spelled}");
        }
    }
}

/// One byte more, fewer or other is another name.
#[test]
fn nothing_but_the_name_itself_is_recognised() {
    for (spelled, name) in NAMES {
        let bytes = spelled.as_bytes();
        let mut others = vec![
            bytes[1..].to_vec(),
            bytes[..bytes.len() - 1].to_vec(),
            [bytes, b"s"].concat(),
        ];
        for place in 0..bytes.len() {
            let mut other = bytes.to_vec();
            other[place] = b'!';
            others.push(other);
        }
        for other in others {
            assert_ne!(Name::of(&other), name, "{}", other.escape_ascii());
        }
    }
    assert_eq!(Name::of(b""), Name::Other);
}

#[test]
fn what_poses_as_a_field_of_the_load_balancer_is_disguised() {
    for spelled in [
        "X-Amzn-Tls-Version",
        "x-amzn-tls-",
        "X-AMZN-TLS-CIPHER-SUITE",
        "X-Amzn-Mtls-Clientcert",
        "x_amzn_mtls_clientcert",
        "X_Forwarded_For",
        "X-Forwarded_For",
        "x_forwarded-proto",
        "X-Forwarded-For_",
        "X_Forwarded_Host",
        "X_Amzn_Trace_Id",
        "x-amzn-oidc_data",
    ] {
        assert_eq!(Name::of(spelled.as_bytes()), Name::Disguised, "{spelled}");
    }
    for spelled in [
        "X-Forwarded-Host",
        "X-Amzn-Oidc-Data",
        "X-Amzn-Tls",
        "X_Forwarded",
        "X_Real_Ip",
        "Content_Type",
        "Content_Lengths",
        "Keep_Alive",
        "User_Agent",
        "_",
        "x",
    ] {
        assert_eq!(Name::of(spelled.as_bytes()), Name::Other, "{spelled}");
    }
}

#[test]
fn what_is_nearly_a_framing_field_is_suspicious() {
    for spelled in [
        "Content_Length",
        "TRANSFER_ENCODING",
        "content.length",
        "Content--Length",
        "-content-length",
        "_Content-Length_",
        "Transfer-Encoding-",
        "!transfer-encoding",
        "TransferXEncoding",
    ] {
        assert_eq!(Name::of(spelled.as_bytes()), Name::Suspicious, "{spelled}");
    }
    for spelled in [
        "ContentLength",
        "X-Content-Length",
        "Content-Lengths",
        "-Content-Language",
        "Content-Encoding-1",
    ] {
        assert_eq!(Name::of(spelled.as_bytes()), Name::Other, "{spelled}");
    }
}

#[test]
fn what_is_among_fields_is_known() {
    let known = fields(&[("Host", "a"), ("X-Forwarded-For", "b"), ("Accept", "c")]);
    assert!(known.may_have(Name::Host) && known.may_have(Name::XForwardedFor));
    assert!(!known.may_have(Name::Cookie) && !known.may_have(Name::Disguised));
    assert!(!known.have_invalid_name());
    for name in ["x_y", "a.b", "A-name-of-more-than-16-bytes!", "!"] {
        assert!(
            fields(&[("Host", "a"), (name, "b")]).have_invalid_name(),
            "{name}"
        );
        assert!(!is_valid_name(name.as_bytes()), "{name}");
    }
    assert!(is_valid_name(b"A-name-0f-more-than-16-bytes"));
}

#[test]
fn fields_stay_in_order_as_spelled_and_repeated() {
    let lines = [
        ("hOST", "a"),
        ("Set-Cookie", "one"),
        ("X-Empty", ""),
        ("set-cookie", "two"),
    ];
    let fields = fields(&lines);
    let read: Vec<_> = fields
        .iter()
        .map(|field| (field.spelled, str::from_utf8(field.value).unwrap()))
        .collect();
    assert_eq!(read, lines);
    assert_eq!(fields.len(), 4);
    assert!(!fields.is_empty());
    assert!(Fields::default().is_empty());
}

#[test]
fn fields_are_found_by_name_and_by_spelling() {
    let fields = fields(&[
        ("Cookie", "a=1"),
        ("Set-Cookie", "one"),
        ("cookie", "b=2"),
        ("SET-COOKIE", "two"),
    ]);
    assert_eq!(fields.get(Name::Cookie), Some(&b"a=1"[..]));
    assert_eq!(fields.get(Name::Host), None);
    let cookies: Vec<_> = fields.get_all(Name::Cookie).collect();
    assert_eq!(cookies, [b"a=1", b"b=2"]);
    let set: Vec<_> = fields.named("set-cookie").collect();
    assert_eq!(set, [b"one", b"two"]);
    assert_eq!(fields.named("set-cooki").count(), 0);
}

#[test]
fn tokens_are_items_of_a_list_over_all_lines() {
    let fields = fields(&[
        ("Connection", "Keep-Alive ,\tUpgrade,,"),
        ("Connection", "x-closed"),
        ("TE", "trailers;q=0.5"),
    ]);
    for token in ["keep-alive", "UPGRADE", "X-Closed"] {
        assert!(fields.has_token(Name::Connection, token), "{token}");
    }
    for token in ["close", "keep", "keep-alive ,"] {
        assert!(!fields.has_token(Name::Connection, token), "{token}");
    }
    assert!(!fields.has_token(Name::Te, "trailers"));
    assert!(!fields.has_token(Name::Upgrade, "upgrade"));
}

#[test]
fn size_is_what_is_written() {
    let fields = fields(&[("A", "b"), ("Content-Type", "text/plain"), ("X", "")]);
    let mut out = b"before ".to_vec();
    fields.write(&mut out);
    assert_eq!(out, b"before A: b\r\nContent-Type: text/plain\r\nX: \r\n");
    assert_eq!(fields.size(), out.len() - "before ".len());
}

/// Also where another value makes the buffer keep its bytes apart.
#[test]
fn a_value_is_text_if_it_is_ascii() {
    for other in [&b"plain"[..], b"\xe4"] {
        let mut fields = Fields::default();
        fields.push("Host", b"a.example");
        fields.push("User-Agent", "\u{e4}".as_bytes());
        fields.push("Cookie", b"a=\xe4");
        fields.push("Server", b"");
        fields.push("X-Other", other);
        assert_eq!(fields.get_text(Name::Host), Some("a.example"));
        assert_eq!(fields.get_text(Name::Server), Some(""));
        for name in [Name::UserAgent, Name::Cookie, Name::Date] {
            assert_eq!(fields.get_text(name), None, "{name:?}");
        }
        assert_eq!(fields.get(Name::Cookie), Some(&b"a=\xe4"[..]));
    }
}

#[test]
fn a_line_is_name_and_value_and_what_stands_between() {
    let block = b"A: b\r\nC:\t d \r\nE:\r\nF: \t\r\ng:h\xe4\r\n\r\n";
    let mut reader = FieldsReader::default();
    let mut start = 0;
    for text in [&b"A: b"[..], b"C:\t d ", b"E:", b"F: \t", b"g:h\xe4"] {
        reader
            .line(Line {
                start,
                text,
                rest: text,
            })
            .unwrap();
        start += text.len() + 2;
    }
    let mut fields = reader.finish(block);
    fields.push("I", b"j");
    fields.push("K", b"");
    let lines: Vec<_> = fields.lines().map(|(_, line)| line).collect();
    let expected = [
        &b"A: b"[..],
        b"C:\t d",
        b"E:",
        b"F: \t",
        b"g:h\xe4",
        b"I: j",
        b"K: ",
    ];
    assert_eq!(lines, expected);
}
