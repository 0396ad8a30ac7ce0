use super::*;

const BLOCKS: [Block; 3] = [Block::RequestHead, Block::ResponseHead, Block::Trailers];

fn first_line(block: Block) -> &'static str {
    match block {
        Block::RequestHead => "GET / HTTP/1.1\r\n",
        Block::ResponseHead => "HTTP/1.1 200 OK\r\n",
        Block::Trailers => "",
    }
}

/// Where the bytes behind the empty line begin.
fn end(input: &[u8], block: Block) -> Result<Option<usize>, Malformed> {
    let mut lines = Lines::new(input, block);
    let unfinished = lines.clone().are_unfinished();
    let first = match block {
        Block::Trailers => Ok(true),
        Block::RequestHead | Block::ResponseHead => lines.first().map(|line| line.is_some()),
    };
    let end = loop {
        let next = first.and_then(|is_there| if is_there { lines.next() } else { Ok(None) });
        match next {
            Ok(Some(line)) if line.text.is_empty() => break Ok(Some(lines.end())),
            Ok(Some(_)) => {}
            Ok(None) => break Ok(None),
            Err(malformed) => break Err(malformed),
        }
    };
    if unfinished {
        assert_eq!(end, Ok(None), "{}", input.escape_ascii());
    }
    end
}

/// The verdict on the whole, which every way of seeing it grow must come to, at the latest with the whole.
fn verdict(input: &[u8], block: Block) -> Result<Option<usize>, Malformed> {
    let whole = end(input, block);
    for length in 0..input.len() {
        match end(&input[..length], block) {
            Ok(None) => {}
            early => {
                assert_eq!(early, whole, "after {length} of {}", input.escape_ascii());
                break;
            }
        }
    }
    whole
}

#[test]
fn a_block_ends_with_its_empty_line() {
    for block in BLOCKS {
        let head = format!("{}A: b\r\nC: d\r\n\r\n", first_line(block));
        let end = Ok(Some(head.len()));
        assert_eq!(verdict(head.as_bytes(), block), end, "{block:?}");
        let more = format!("{head}\r\n\n\rmore");
        assert_eq!(verdict(more.as_bytes(), block), end, "{block:?}");
        let less = &head[..head.len() - 1];
        assert_eq!(verdict(less.as_bytes(), block), Ok(None), "{block:?}");
    }
    assert_eq!(verdict(b"\r\n", Block::Trailers), Ok(Some(2)));
}

#[test]
fn lines_end_in_cr_lf_and_nothing_else() {
    for block in BLOCKS {
        for (rest, wrong) in [
            ("A: b\n", Malformed::BareLf),
            ("A: b\r\n\n", Malformed::BareLf),
            ("A: b\r\nC: d\nE: f\r\n\r\n", Malformed::BareLf),
            ("A: b\rC: d\r\n\r\n", Malformed::BareCr),
            ("A: b\r\r\n\r\n", Malformed::BareCr),
            ("A: b\r\n\rX", Malformed::BareCr),
            ("A: b\0c", Malformed::Control),
            ("A: b\u{7f}", Malformed::Control),
            ("A: b\r\n\u{b}\r\n", Malformed::Control),
        ] {
            let input = format!("{}{rest}", first_line(block));
            assert_eq!(verdict(input.as_bytes(), block), Err(wrong), "{input:?}");
        }
    }
}

#[test]
fn a_head_has_a_first_line() {
    for block in [Block::RequestHead, Block::ResponseHead] {
        assert_eq!(verdict(b"\r\n\r\n", block), Err(Malformed::EmptyLine));
        assert_eq!(verdict(b"\r", block), Ok(None));
        assert_eq!(verdict(b"\n", block), Err(Malformed::BareLf));
    }
}

#[test]
fn what_is_no_http_is_refused_at_once() {
    for (input, block, wrong) in [
        (&b"\x16\x03\x01"[..], Block::RequestHead, Malformed::Method),
        (b"(", Block::RequestHead, Malformed::Method),
        (b" GET", Block::RequestHead, Malformed::Method),
        (b"SSH", Block::ResponseHead, Malformed::StatusLine),
        (b"HTTQ", Block::ResponseHead, Malformed::StatusLine),
        (b"GET /\r\n", Block::RequestHead, Malformed::RequestLine),
        (
            b"GET / HTTP/1\r\n",
            Block::RequestHead,
            Malformed::RequestLine,
        ),
        (
            b"GET / http/1.1\r\n",
            Block::RequestHead,
            Malformed::RequestLine,
        ),
        (
            b"GET / HTTP/1.1 \r\n",
            Block::RequestHead,
            Malformed::RequestLine,
        ),
        (
            b"GET /HTTP/1.1\r\n",
            Block::RequestHead,
            Malformed::RequestLine,
        ),
        (
            b"GET /\tHTTP/1.1\r\n",
            Block::RequestHead,
            Malformed::RequestLine,
        ),
        (
            b"GET / HTTP/1.2\r\n",
            Block::RequestHead,
            Malformed::UnsupportedVersion,
        ),
        (
            b"GET / HTTP/0.9\r\n",
            Block::RequestHead,
            Malformed::UnsupportedVersion,
        ),
        (
            b"PRI * HTTP/2.0\r\n",
            Block::RequestHead,
            Malformed::UnsupportedVersion,
        ),
        (
            b"HTTP/2.0 200 OK\r\n",
            Block::ResponseHead,
            Malformed::UnsupportedVersion,
        ),
        (b"HTTP/1.1\r\n", Block::ResponseHead, Malformed::StatusLine),
        (
            b"HTTP/1.1200 OK\r\n",
            Block::ResponseHead,
            Malformed::StatusLine,
        ),
    ] {
        let text = input.escape_ascii();
        assert_eq!(verdict(input, block), Err(wrong), "{text}");
    }
}

/// Just fitting, and one byte more.
#[test]
fn every_limit_holds_to_the_byte() {
    let line = |length: usize| {
        let frame = "GET / HTTP/1.1".len();
        format!("GET /{} HTTP/1.1\r\n", "a".repeat(length - frame))
    };
    let field = |length: usize| format!("A: {}\r\n", "b".repeat(length - 3));
    let head = |first: &str, length: usize| {
        let fill = length - first.len() - 2;
        let mut head = first.to_owned();
        for piece in (0..8).map(|n| fill / 8 + usize::from(n < fill % 8)) {
            head.push_str(&field(piece - 2));
        }
        head + "\r\n"
    };
    let get = first_line(Block::RequestHead);
    let ok = first_line(Block::ResponseHead);
    let long = limits::REQUEST_LINE;
    for (fits, exceeds, block, wrong) in [
        (
            line(long) + "\r\n",
            line(long + 1) + "\r\n",
            Block::RequestHead,
            Malformed::RequestLineTooLong,
        ),
        (
            format!("{get}{}\r\n", field(limits::REQUEST_FIELD)),
            format!("{get}{}\r\n", field(limits::REQUEST_FIELD + 1)),
            Block::RequestHead,
            Malformed::FieldTooLong,
        ),
        (
            head(get, limits::REQUEST_HEAD),
            head(get, limits::REQUEST_HEAD + 1),
            Block::RequestHead,
            Malformed::HeadTooLarge,
        ),
        (
            head(ok, limits::RESPONSE_HEAD),
            head(ok, limits::RESPONSE_HEAD + 1),
            Block::ResponseHead,
            Malformed::HeadTooLarge,
        ),
        (
            head("", limits::TRAILERS),
            head("", limits::TRAILERS + 1),
            Block::Trailers,
            Malformed::TrailersTooLarge,
        ),
        (
            format!("{get}{}\r\n", "A: b\r\n".repeat(limits::REQUEST_FIELDS)),
            format!("{get}{}\r\n", "A: b\r\n".repeat(limits::REQUEST_FIELDS + 1)),
            Block::RequestHead,
            Malformed::TooManyFields,
        ),
        (
            format!("{ok}{}\r\n", "A: b\r\n".repeat(limits::RESPONSE_FIELDS)),
            format!("{ok}{}\r\n", "A: b\r\n".repeat(limits::RESPONSE_FIELDS + 1)),
            Block::ResponseHead,
            Malformed::TooManyFields,
        ),
        (
            format!("{}\r\n", "A: b\r\n".repeat(limits::TRAILER_FIELDS)),
            format!("{}\r\n", "A: b\r\n".repeat(limits::TRAILER_FIELDS + 1)),
            Block::Trailers,
            Malformed::TrailersTooLarge,
        ),
    ] {
        assert_eq!(
            end(fits.as_bytes(), block),
            Ok(Some(fits.len())),
            "{wrong:?}"
        );
        assert_eq!(end(exceeds.as_bytes(), block), Err(wrong));
        // Neither waits for an end that never comes, nor says something else when it sees less.
        let parts = [exceeds.len() - 3, exceeds.len() - 2, exceeds.len() - 1];
        for length in parts {
            let part = end(&exceeds.as_bytes()[..length], block);
            assert!(matches!(part, Ok(None)) || part == Err(wrong), "{part:?}");
        }
    }
}

#[test]
fn a_line_without_end_is_refused_when_it_is_too_long() {
    let endless = vec![b'a'; limits::REQUEST_HEAD + 1];
    for (block, most, wrong) in [
        (
            Block::RequestHead,
            limits::REQUEST_LINE,
            Malformed::RequestLineTooLong,
        ),
        (
            Block::Trailers,
            limits::TRAILERS,
            Malformed::TrailersTooLarge,
        ),
    ] {
        assert_eq!(end(&endless[..most], block), Ok(None));
        assert_eq!(end(&endless[..=most], block), Err(wrong));
        assert_eq!(end(&endless, block), Err(wrong));
    }
}
