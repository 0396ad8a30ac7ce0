use super::*;

fn fields(lines: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::default();
    for (spelled, value) in lines {
        fields.push(spelled, value.as_bytes());
    }
    fields
}

fn length(lines: &[(&str, &str)]) -> Result<Option<Length>, Malformed> {
    let framing = Framing::of(&fields(lines), Version::HTTP_11);
    framing.map(|framing| framing.length)
}

#[test]
fn one_length_or_chunked_or_neither() {
    let known = |length| Ok(Some(Length::Known(length)));
    for (lines, expected) in [
        (&[][..], Ok(None)),
        (&[("content-length", "0")], known(0)),
        (&[("Content-Length", "0042")], known(42)),
        (
            &[("Content-Length", "18446744073709551615")],
            known(u64::MAX),
        ),
        (
            &[("transfer-encoding", "Chunked")],
            Ok(Some(Length::Chunked)),
        ),
        (
            &[("Content_Length", "5"), ("Transfer_Encoding", "x")],
            Ok(None),
        ),
        (
            &[("Content-Length", "5"), ("Content-Length", "5")],
            Err(Malformed::RepeatedContentLength),
        ),
        (
            &[("Content-Length", "5"), ("content-length", "6")],
            Err(Malformed::RepeatedContentLength),
        ),
        (
            &[
                ("Transfer-Encoding", "chunked"),
                ("Transfer-Encoding", "chunked"),
            ],
            Err(Malformed::RepeatedTransferEncoding),
        ),
        (
            &[("Content-Length", "5"), ("Transfer-Encoding", "chunked")],
            Err(Malformed::TwoLengths),
        ),
        (
            &[("Transfer-Encoding", "chunked"), ("Content-Length", "5")],
            Err(Malformed::TwoLengths),
        ),
    ] {
        assert_eq!(length(lines), expected, "{lines:?}");
    }
}

/// Of a request some can be read in one way all the same, and nothing may follow it.
#[test]
fn a_request_whose_length_is_ambiguous_is_the_last() {
    let five = ("Content-Length", "5");
    let chunked = ("Transfer-Encoding", "chunked");
    let old = Version::HTTP_10;
    for (version, lines, length) in [
        (Version::HTTP_11, &[five, five][..], Length::Known(5)),
        (
            Version::HTTP_11,
            &[five, ("content-length", "05")],
            Length::Known(5),
        ),
        (Version::HTTP_11, &[five, chunked], Length::Chunked),
        (Version::HTTP_11, &[chunked, five, five], Length::Chunked),
        (
            old,
            &[chunked, ("Connection", "keep-alive")],
            Length::Chunked,
        ),
        (old, &[chunked, five], Length::Chunked),
    ] {
        let framing = Framing::of_request(&fields(lines), version).unwrap();
        assert_eq!(framing.length, Some(length), "{lines:?}");
        assert!(framing.is_ambiguous && !framing.keeps_alive, "{lines:?}");
        assert!(Framing::of(&fields(lines), version).is_err(), "{lines:?}");
    }
    for lines in [&[five][..], &[chunked], &[]] {
        let framing = Framing::of_request(&fields(lines), Version::HTTP_11).unwrap();
        assert!(!framing.is_ambiguous && framing.keeps_alive, "{lines:?}");
    }
    for lines in [
        &[five, ("Content-Length", "6")][..],
        &[five, ("Content-Length", "5, 5")],
        &[chunked, chunked],
        &[chunked, ("Transfer-Encoding", "identity")],
        &[five, ("Transfer-Encoding", "gzip, chunked")],
    ] {
        assert!(
            Framing::of_request(&fields(lines), Version::HTTP_11).is_err(),
            "{lines:?}"
        );
    }
}

#[test]
fn a_content_length_is_digits_only() {
    for value in [
        "",
        "+5",
        "-5",
        "5 5",
        "5,5",
        "5, 5",
        "0x5",
        "5.0",
        "5e1",
        "5;",
        " 5",
        "5\t",
        "five",
        "\u{665}",
        "18446744073709551616",
        "99999999999999999999999999",
    ] {
        let expected = Err(Malformed::ContentLength);
        assert_eq!(length(&[("Content-Length", value)]), expected, "{value:?}");
    }
}

#[test]
fn a_transfer_encoding_is_chunked_only() {
    for value in [
        "",
        "identity",
        "gzip",
        "gzip, chunked",
        "chunked, chunked",
        "chunked,",
        ",chunked",
        "chunked;q=1",
        "xchunked",
        "chunkedx",
        "chunke",
        "\"chunked\"",
        "chunked\u{b}",
        "chunKed chunked",
    ] {
        let expected = Err(Malformed::TransferEncoding);
        assert_eq!(
            length(&[("Transfer-Encoding", value)]),
            expected,
            "{value:?}"
        );
    }
    let chunked = fields(&[("Transfer-Encoding", "chunked")]);
    let old = Framing::of(&chunked, Version::HTTP_10).map(|framing| framing.length);
    assert_eq!(old, Err(Malformed::TransferEncodingInHttp10));
}

#[test]
fn a_connection_is_kept_as_its_version_and_tokens_say() {
    for (connection, in_http_10, in_http_11) in [
        (None, false, true),
        (Some("keep-alive"), true, true),
        (Some("Keep-Alive, Upgrade"), true, true),
        (Some("close"), false, false),
        (Some("x, CLOSE"), false, false),
        (Some("keep-alive, close"), false, false),
        (Some("closed"), false, true),
        (Some(""), false, true),
    ] {
        let lines = connection.map(|value| ("Connection", value));
        let fields = fields(lines.as_slice());
        for (version, kept) in [
            (Version::HTTP_10, in_http_10),
            (Version::HTTP_11, in_http_11),
        ] {
            let framing = Framing::of(&fields, version).unwrap();
            assert_eq!(framing.keeps_alive, kept, "{connection:?} in {version:?}");
        }
    }
}
