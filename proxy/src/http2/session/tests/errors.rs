//! What ends the whole connection, and with which reason.

use super::*;
use Reason::{CompressionError, EnhanceYourCalm, FlowControlError, FrameSizeError, ProtocolError};

const NO_FLAGS: u8 = 0;

/// The client has one request under way, 3, and one that is over, 1.
#[track_caller]
fn check(bytes: &[u8], expected: Reason) {
    let mut client = Client::new();
    client.goes_on(1);
    let key = client.posts(3, &[]);
    client.sends(bytes);
    let shown = &bytes[..bytes.len().min(32)];
    assert!(client.session.is_over(), "{shown:?}");
    let said = client.hears();
    let words: Vec<_> = said
        .iter()
        .filter(|said| matches!(said, Said::GoAway(..)))
        .collect();
    assert_eq!(words, [&Said::GoAway(3, expected)], "{shown:?}");
    // Who answers hears of it, and nothing is taken any more.
    assert_eq!(client.room(key, &Arc::default()), Poll::Ready(Err(Gone)));
    assert!(!client.session.may_receive());
    client.sends(frame(PING, 0, 0, [0; 8]));
    client.leaves(key);
    assert!(client.hears().is_empty(), "{shown:?}");
    assert!(client.session.streams.is_empty(), "{shown:?}");
}

#[test]
fn frames_of_a_stream_on_the_connection_and_the_other_way_round_end_it() {
    for (kind, stream, size) in [
        (DATA, 0, 1),
        (HEADERS, 0, 0),
        (PRIORITY, 0, 5),
        (RST_STREAM, 0, 4),
        (CONTINUATION, 0, 0),
        (SETTINGS, 3, 0),
        (PING, 3, 8),
        (GOAWAY, 3, 8),
    ] {
        check(&frame(kind, NO_FLAGS, stream, vec![0; size]), ProtocolError);
    }
}

#[test]
fn frames_of_a_wrong_length_end_it() {
    for (kind, flags, stream, sizes) in [
        (RST_STREAM, NO_FLAGS, 3, &[0, 3, 5][..]),
        (SETTINGS, NO_FLAGS, 0, &[1, 5, 7]),
        (SETTINGS, ACK, 0, &[1, 6]),
        (PING, NO_FLAGS, 0, &[0, 7, 9]),
        (PING, ACK, 0, &[7]),
        (GOAWAY, NO_FLAGS, 0, &[0, 7]),
        (WINDOW_UPDATE, NO_FLAGS, 0, &[0, 3, 5]),
        (WINDOW_UPDATE, NO_FLAGS, 3, &[0, 3, 5]),
        (DATA, PADDED, 3, &[0]),
        (HEADERS, PADDED | END_HEADERS, 5, &[0]),
        (HEADERS, WITH_PRIORITY | END_HEADERS, 5, &[0, 4]),
    ] {
        for size in sizes {
            let bytes = frame(kind, flags, stream, vec![0; *size]);
            check(&bytes, FrameSizeError);
        }
    }
}

#[test]
fn a_frame_that_is_too_large_ends_it_before_it_has_come() {
    for kind in [DATA, HEADERS, SETTINGS, PING, CONTINUATION, 0x77] {
        let mut head = Vec::new();
        frame::write_head(kind, 0, 3, frame::LARGEST + 1, &mut head);
        check(&head, FrameSizeError);
    }
}

#[test]
fn streams_that_no_client_may_use_so_end_it() {
    for (kind, size) in [(DATA, 1), (RST_STREAM, 4), (WINDOW_UPDATE, 4)] {
        let payload = [0, 0, 0, 1];
        // Nobody has opened them, and those of even numbers no client can.
        for stream in [2, 4, 5, u32::MAX >> 1] {
            check(
                &frame(kind, NO_FLAGS, stream, &payload[..size]),
                ProtocolError,
            );
        }
    }
    let fields = request("GET", &[]);
    for stream in [1, 2, 4] {
        let bytes = frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields);
        check(&bytes, ProtocolError);
    }
    let promise = [&[0, 0, 0, 4], &*fields].concat();
    check(&frame(PUSH_PROMISE, END_HEADERS, 3, promise), ProtocolError);
}

#[test]
fn a_block_is_not_interrupted_and_not_continued_by_others() {
    let fields = request("GET", &[]);
    let begun = frame(HEADERS, END_STREAM, 5, &fields[..7]);
    let then = |bytes: &[u8]| [&*begun, bytes].concat();
    for other in [
        frame(CONTINUATION, END_HEADERS, 3, &fields[7..]),
        frame(CONTINUATION, END_HEADERS, 7, &fields[7..]),
        frame(HEADERS, END_HEADERS, 5, &fields[7..]),
        frame(DATA, 0, 3, "a"),
        frame(PING, 0, 0, [0; 8]),
        frame(SETTINGS, 0, 0, []),
        window_update(0, 1),
        frame(0x77, 0, 0, []),
    ] {
        check(&then(&other), ProtocolError);
    }
    for stream in [1, 3, 5] {
        let bytes = frame(CONTINUATION, END_HEADERS, stream, &fields);
        check(&bytes, ProtocolError);
    }
    let mut many = begun.clone();
    for _ in 0..=MOST_CONTINUATIONS {
        many.extend(frame(CONTINUATION, 0, 5, ""));
    }
    check(&many, EnhanceYourCalm);
}

#[test]
fn windows_that_grow_by_nothing_or_too_much_end_it() {
    let most = LARGEST_WINDOW as u32;
    check(&window_update(0, 0), ProtocolError);
    check(&window_update(3, 0), ProtocolError);
    // The first bit counts for nothing.
    check(&window_update(0, 1 << 31), ProtocolError);
    check(
        &window_update(0, most - DEFAULT_WINDOW + 1),
        FlowControlError,
    );
    check(&window_update(0, most), FlowControlError);
    let grown = window_update(3, most - DEFAULT_WINDOW);
    let more = settings(frame::INITIAL_WINDOW_SIZE, DEFAULT_WINDOW + 1);
    check(&[grown, more].concat(), FlowControlError);
}

#[test]
fn settings_that_cannot_be_end_it() {
    for (name, values, expected) in [
        (frame::ENABLE_PUSH, &[2, u32::MAX][..], ProtocolError),
        (
            frame::INITIAL_WINDOW_SIZE,
            &[1 << 31, u32::MAX],
            FlowControlError,
        ),
        (
            frame::MAX_FRAME_SIZE,
            &[0, 16_383, 1 << 24, u32::MAX],
            ProtocolError,
        ),
    ] {
        for value in values {
            check(&settings(name, *value), expected);
        }
    }
    for (name, value) in [
        (frame::ENABLE_PUSH, 0),
        (frame::ENABLE_PUSH, 1),
        (frame::INITIAL_WINDOW_SIZE, LARGEST_WINDOW as u32),
        (frame::MAX_FRAME_SIZE, 16_384),
        (frame::MAX_FRAME_SIZE, (1 << 24) - 1),
        (frame::MAX_CONCURRENT_STREAMS, 0),
        (frame::MAX_HEADER_LIST_SIZE, 0),
        (frame::HEADER_TABLE_SIZE, u32::MAX),
        (0x77, u32::MAX),
    ] {
        let mut client = Client::with(&setting(name, value));
        client.goes_on(1);
    }
}

#[test]
fn padding_that_is_longer_than_its_frame_ends_it() {
    check(&frame(DATA, PADDED, 3, [1]), ProtocolError);
    check(&frame(DATA, PADDED, 3, [4, 0, 0, 0]), ProtocolError);
    let padded = [&[200], &*request("GET", &[])].concat();
    check(
        &frame(HEADERS, PADDED | END_HEADERS, 5, padded),
        ProtocolError,
    );
}

#[test]
fn what_is_no_block_of_fields_ends_it_whosever_it_is() {
    for garbage in [
        &[0x80][..],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        // An entry that nobody has made, and a table that is larger than was allowed.
        &[0xbe],
        &[0x3f, 0xe2, 0x1f],
        // A name that is cut off.
        &[0x00, 0x7f, 0x00, b'a'],
    ] {
        // A request, trailers, and of a stream that there is not any more.
        for stream in [5, 3, 1] {
            let mut client = Client::new();
            client.goes_on(1);
            client.posts(3, &[]);
            let bytes = frame(HEADERS, END_HEADERS | END_STREAM, stream, garbage);
            client.sends(&bytes);
            assert_eq!(client.hears(), [Said::GoAway(3, CompressionError)]);
        }
    }
}

#[test]
fn content_beyond_the_connections_window_ends_it() {
    let mut client = Client::silent(8);
    client.sends([PREFACE, &frame(SETTINGS, 0, 0, [])].concat());
    for id in [1, 3, 5, 7] {
        client.posts(id, &[]);
        for _ in 0..16 {
            client.sends(data(id, 16_384, false));
        }
    }
    client.posts(9, &[]);
    client.hears();
    assert!(!client.session.is_over());
    client.sends(data(9, 1, false));
    assert_eq!(client.hears()[0], Said::GoAway(9, FlowControlError));
}

#[test]
fn what_does_not_begin_as_http_2_ends_it() {
    let ping = frame(PING, 0, 0, [0; 8]);
    let acknowledged = frame(SETTINGS, ACK, 0, []);
    let get = frame(HEADERS, END_HEADERS, 1, request("GET", &[]));
    let unknown = frame(0x77, 0, 0, []);
    let mut cases: Vec<_> = [ping, acknowledged, get, unknown, window_update(0, 1)]
        .map(|bytes| [PREFACE, &bytes].concat())
        .into();
    cases.push(b"GET / HTTP/1.1\r\n".to_vec());
    for bytes in cases {
        let mut client = Client::silent(4);
        client.sends(&bytes);
        assert!(client.session.is_over());
        assert!(client.session.next_request().is_none());
        let last = client.hears().pop();
        assert_eq!(last, Some(Said::GoAway(0, ProtocolError)), "{bytes:?}");
    }
}
