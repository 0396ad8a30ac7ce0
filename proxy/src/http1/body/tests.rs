use super::*;

/// All the content, whether the body finished, and what of the stream was left, when it comes in pieces of this size.
fn decode(
    length: Length,
    stream: &[u8],
    piece: usize,
) -> Result<(Vec<u8>, Decoder, Vec<u8>), Malformed> {
    let mut decoder = Decoder::new(length);
    let mut content = Vec::new();
    let mut kept = Vec::new();
    for piece in stream.chunks(piece) {
        kept.extend_from_slice(piece);
        loop {
            let read = decoder.read(&kept)?;
            assert!(read.content.start <= read.content.end && read.content.end <= read.consumed);
            content.extend_from_slice(&kept[read.content]);
            kept.drain(..read.consumed);
            if read.consumed == 0 || kept.is_empty() {
                break;
            }
        }
    }
    Ok((content, decoder, kept))
}

/// The same in all pieces.
fn decoded(length: Length, stream: &[u8]) -> (Vec<u8>, Decoder, Vec<u8>) {
    let whole = decode(length, stream, stream.len().max(1)).unwrap();
    for piece in 1..stream.len() {
        let (content, decoder, left) = decode(length, stream, piece).unwrap();
        let text = stream.escape_ascii();
        assert_eq!((&content, &left), (&whole.0, &whole.2), "{text} by {piece}");
        assert_eq!(
            decoder.is_finished(),
            whole.1.is_finished(),
            "{text} by {piece}"
        );
    }
    whole
}

fn refusal(length: Length, stream: &[u8]) -> Malformed {
    let whole = decode(length, stream, stream.len()).map(|(content, ..)| content);
    for piece in 1..stream.len() {
        let in_pieces = decode(length, stream, piece).map(|(content, ..)| content);
        assert_eq!(in_pieces, whole, "{} by {piece}", stream.escape_ascii());
    }
    match whole {
        Err(malformed) => malformed,
        Ok(content) => panic!("{}: {content:?}", stream.escape_ascii()),
    }
}

#[test]
fn a_body_of_known_length_ends_there() {
    for (length, stream, content, left, finished) in [
        (Length::Empty, "next", "", "next", true),
        (Length::Known(0), "next", "", "next", true),
        (Length::Known(4), "bodynext", "body", "next", true),
        (Length::Known(4), "body", "body", "", true),
        (Length::Known(4), "bod", "bod", "", false),
        (Length::Known(u64::MAX), "body", "body", "", false),
    ] {
        let (read, mut decoder, rest) = decoded(length, stream.as_bytes());
        assert_eq!(read, content.as_bytes(), "{length:?}");
        assert_eq!(rest, left.as_bytes(), "{length:?}");
        assert_eq!(decoder.is_finished(), finished, "{length:?}");
        let end = if finished {
            Ok(())
        } else {
            Err(Malformed::Incomplete)
        };
        assert_eq!(decoder.end_of_stream(), end, "{length:?}");
    }
}

#[test]
fn what_remains_is_known_where_the_length_is() {
    let mut decoder = Decoder::new(Length::Known(4));
    assert_eq!(decoder.remaining(), Some(4));
    decoder.read(b"bod").unwrap();
    assert_eq!(decoder.remaining(), Some(1));
    decoder.read(b"ynext").unwrap();
    assert_eq!(decoder.remaining(), Some(0));
    assert_eq!(Decoder::new(Length::Empty).remaining(), Some(0));
    assert_eq!(Decoder::new(Length::Chunked).remaining(), None);
    assert_eq!(Decoder::new(Length::UntilClose).remaining(), None);
}

#[test]
fn a_body_until_the_connection_closes_takes_everything() {
    let (content, mut decoder, left) = decoded(Length::UntilClose, b"all\r\n0\r\n\r\nof it");
    assert_eq!(content, b"all\r\n0\r\n\r\nof it");
    assert!(left.is_empty() && !decoder.is_finished());
    assert_eq!(decoder.end_of_stream(), Ok(()));
    assert!(decoder.is_finished());
    assert_eq!(decoder.read(b"more").unwrap().consumed, 0);
}

#[test]
fn chunks_are_joined() {
    for (stream, content, left) in [
        ("0\r\n\r\n", "", ""),
        ("0\r\n\r\nnext", "", "next"),
        ("4\r\nbody\r\n0\r\n\r\nnext", "body", "next"),
        ("1\r\na\r\n02\r\nbc\r\n000\r\n\r\n", "abc", ""),
        (
            "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
            "01234567890123456789",
            "",
        ),
        ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", ""),
        ("0000000000000001\r\na\r\n0000000000000000\r\n\r\n", "a", ""),
        ("1;a\r\na\r\n0;b=c;d=\"e f;\"\r\n\r\n", "a", ""),
        ("1 ;a\r\na\r\n1\t; \r\nb\r\n0;\u{e4}\r\n\r\n", "ab", ""),
        ("1;\r\na\r\n0\r\n\r\n", "a", ""),
        ("0\r\nA: b\r\n\r\nnext", "", "next"),
    ] {
        let (read, mut decoder, rest) = decoded(Length::Chunked, stream.as_bytes());
        assert_eq!(read, content.as_bytes(), "{stream:?}");
        assert_eq!(rest, left.as_bytes(), "{stream:?}");
        assert!(decoder.is_finished(), "{stream:?}");
        assert_eq!(decoder.end_of_stream(), Ok(()));
    }
}

#[test]
fn a_chunked_body_is_not_finished_before_its_last_line() {
    let stream = b"1;a\r\na\r\n0\r\nA: b\r\n\r\n";
    for length in 0..stream.len() {
        let (_, mut decoder, _) = decoded(Length::Chunked, &stream[..length]);
        assert!(!decoder.is_finished(), "{length}");
        assert_eq!(decoder.end_of_stream(), Err(Malformed::Incomplete));
    }
}

#[test]
fn a_whole_small_body_is_one_piece() {
    let mut decoder = Decoder::new(Length::Chunked);
    let piece = decoder.read(b"4\r\nbody\r\n0\r\n\r\nnext").unwrap();
    assert_eq!(
        piece,
        Piece {
            consumed: 14,
            content: 3..7
        }
    );
    assert!(decoder.is_finished());
}

#[test]
fn bad_chunks_are_refused_with_their_reason() {
    for (stream, wrong) in [
        (&b"\r\n"[..], Malformed::ChunkSize),
        (b"\n", Malformed::ChunkSize),
        (b"x\r\n", Malformed::ChunkSize),
        (b"+1\r\na\r\n", Malformed::ChunkSize),
        (b"-1\r\na\r\n", Malformed::ChunkSize),
        (b"0x1\r\na\r\n", Malformed::ChunkSize),
        (b" 1\r\na\r\n", Malformed::ChunkSize),
        (b"1 \r\na\r\n", Malformed::ChunkSize),
        (b"1 1\r\na\r\n", Malformed::ChunkSize),
        (b"1,1\r\na\r\n", Malformed::ChunkSize),
        (b"1g\r\na\r\n", Malformed::ChunkSize),
        (b";a\r\na\r\n", Malformed::ChunkSize),
        (b"1\x0c;\r\na\r\n", Malformed::Control),
        (b"00000000000000001\r\na\r\n", Malformed::ChunkSize),
        (b"10000000000000000\r\na\r\n", Malformed::ChunkSize),
        (b"1\na\r\n", Malformed::BareLf),
        (b"1;a\nb\r\na\r\n", Malformed::BareLf),
        (b"1\ra\r\n", Malformed::BareCr),
        (b"1;a\rb\r\na\r\n", Malformed::BareCr),
        (b"1;a\0\r\na\r\n", Malformed::Control),
        (b"1;a\x7f\r\na\r\n", Malformed::Control),
        (b"1\r\nab\r\n", Malformed::ChunkEnd),
        (b"1\r\na\n0\r\n\r\n", Malformed::ChunkEnd),
        (b"1\r\na\rb", Malformed::ChunkEnd),
        (b"1\r\na0\r\n\r\n", Malformed::ChunkEnd),
        (b"0\r\n\n", Malformed::BareLf),
        (b"0\r\n\rA", Malformed::BareCr),
        (b"0\r\nA: b\n\r\n", Malformed::BareLf),
        (b"0\r\n A: b\r\n\r\n", Malformed::FoldedField),
        (b"0\r\nA: b\r\n\tc\r\n\r\n", Malformed::FoldedField),
        (b"0\r\nA : b\r\n\r\n", Malformed::BlankBeforeColon),
        (b"0\r\nno field\r\n\r\n", Malformed::MissingColon),
        (b"0\r\n0\r\n\r\n", Malformed::MissingColon),
        (b"0\r\nA: b\0\r\n\r\n", Malformed::Control),
        (b"0\r\nGET / HTTP/1.1\r\n\r\n", Malformed::MissingColon),
    ] {
        assert_eq!(
            refusal(Length::Chunked, stream),
            wrong,
            "{}",
            stream.escape_ascii()
        );
    }
}

#[test]
fn content_before_a_bad_chunk_is_given_first() {
    let mut decoder = Decoder::new(Length::Chunked);
    let stream = b"4\r\nbody\r\nx";
    let piece = decoder.read(stream).unwrap();
    assert_eq!(&stream[piece.content], b"body");
    assert_eq!(
        decoder.read(&stream[piece.consumed..]),
        Err(Malformed::ChunkSize)
    );
}

#[test]
fn the_largest_chunk_does_not_overflow() {
    let mut decoder = Decoder::new(Length::Chunked);
    let piece = decoder.read(b"ffffffffffffffff\r\nabc").unwrap();
    assert_eq!(
        piece,
        Piece {
            consumed: 21,
            content: 18..21
        }
    );
    assert!(!decoder.is_finished());
}

#[test]
fn chunk_lines_and_their_extensions_are_bounded() {
    let line = |length: usize| format!("1;{}\r\na\r\n", "e".repeat(length - 2)).into_bytes();
    let fits = line(limits::CHUNK_LINE);
    assert_eq!(decoded(Length::Chunked, &fits).0, b"a");
    assert_eq!(
        refusal(Length::Chunked, &line(limits::CHUNK_LINE + 1)),
        Malformed::ChunkLineTooLong
    );
    let endless = [b"1;".to_vec(), vec![b'e'; limits::CHUNK_LINE]].concat();
    assert_eq!(
        refusal(Length::Chunked, &endless),
        Malformed::ChunkLineTooLong
    );
    let each = limits::CHUNK_LINE - 1;
    let most = limits::CHUNK_EXTENSIONS / each;
    let whole = decode(Length::Chunked, &fits.repeat(most), 4096).unwrap();
    assert_eq!(whole.0.len(), most);
    let more = decode(Length::Chunked, &fits.repeat(most + 1), 4096);
    assert_eq!(more.map(|_| ()), Err(Malformed::ChunkExtensionsTooLarge));
}

#[test]
fn trailers_are_given_after_the_end_without_what_only_a_head_may_say() {
    let stream = b"0\r\nX-Sum: 1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: a\r\nAuthorization: b\r\n\
                   Set-Cookie: c\r\nX_Forwarded_For: d\r\ngrpc-status:0\r\nx-sum: 2\r\n\r\n";
    let (_, mut decoder, _) = decoded(Length::Chunked, stream);
    let trailers = decoder.take_trailers().unwrap();
    let lines: Vec<_> = trailers
        .iter()
        .map(|field| (field.spelled, field.value))
        .collect();
    assert_eq!(
        lines,
        [("X-Sum", &b"1"[..]), ("grpc-status", b"0"), ("x-sum", b"2")]
    );
    assert!(decoder.take_trailers().is_none());
    let (_, mut decoder, _) = decoded(Length::Chunked, b"0\r\nHost: a\r\n\r\n");
    assert!(decoder.take_trailers().is_none());
}

#[test]
fn trailers_are_bounded() {
    let section = |count: usize| format!("0\r\n{}\r\n", "A: b\r\n".repeat(count));
    let mut most = decode(
        Length::Chunked,
        section(limits::TRAILER_FIELDS).as_bytes(),
        64,
    )
    .unwrap();
    let trailers = most.1.take_trailers().unwrap();
    assert_eq!(trailers.len(), limits::TRAILER_FIELDS);
    for too_large in [
        section(limits::TRAILER_FIELDS + 1),
        format!("0\r\nA: {}", "b".repeat(limits::TRAILERS)),
    ] {
        let read = decode(Length::Chunked, too_large.as_bytes(), 64).map(|_| ());
        assert_eq!(read, Err(Malformed::TrailersTooLarge));
    }
}

#[test]
fn what_is_written_is_read() {
    for length in [1, 9, 15, 16, 255, 256, 4096, 65_535, 65_536] {
        let mut stream = Vec::new();
        chunk_header(length, &mut stream);
        assert_eq!(stream, format!("{length:x}\r\n").as_bytes());
        stream.resize(stream.len() + length, b'a');
        stream.extend_from_slice(CHUNK_END);
        stream.extend_from_slice(LAST_CHUNK);
        let (content, decoder, left) = decode(Length::Chunked, &stream, 1000).unwrap();
        assert_eq!(content.len(), length);
        assert!(decoder.is_finished() && left.is_empty());
    }
    let mut longest = Vec::new();
    chunk_header(usize::MAX, &mut longest);
    assert_eq!(longest, format!("{:x}\r\n", usize::MAX).as_bytes());
}

#[test]
fn trailers_are_written_as_they_are_read() {
    let mut out = Vec::new();
    last_chunk(None, &mut out);
    assert_eq!(out, LAST_CHUNK);
    let mut trailers = Fields::default();
    trailers.push("X-Sum", b"1");
    trailers.push("x-sum", b"2");
    out.clear();
    last_chunk(Some(&trailers), &mut out);
    assert_eq!(out, b"0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\n");
    let (_, mut decoder, _) = decoded(Length::Chunked, &out);
    assert_eq!(decoder.take_trailers().unwrap().len(), 2);
}

#[test]
fn content_that_nobody_looked_at_counts() {
    let mut decoder = Decoder::new(Length::Known(10));
    decoder.pass(4);
    assert_eq!(decoder.remaining(), Some(6));
    let piece = decoder.read(b"abcdefGET").unwrap();
    assert_eq!((piece.consumed, piece.content), (6, 0..6));
    assert!(decoder.is_finished());

    let mut decoder = Decoder::new(Length::Known(10));
    decoder.pass(10);
    assert!(decoder.is_finished());
}
