//! What ends one stream, with which reason, while others go on.

use super::*;
use Reason::{FlowControlError, FrameSizeError, ProtocolError, RefusedStream, StreamClosed};

/// Of a stream, all that comes of it.
#[track_caller]
fn check(fields: &[Field<'_>], frames: &[Vec<u8>], expected: Reason) {
    let mut client = Client::new();
    let key = client.posts(1, fields);
    let other = client.posts(3, &[]);
    client.sends(frames.concat());
    let resets: Vec<_> = client
        .hears()
        .into_iter()
        .filter(|said| !matches!(said, Said::Grown(..)))
        .collect();
    assert_eq!(resets, [Said::Reset(1, expected)]);
    // Who answers hears of it, and what is still on its way means nothing.
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(client.session.poll_gone(cx, key).is_ready());
    client.sends(data(1, 9, true));
    client.sends(frame(HEADERS, END_HEADERS | END_STREAM, 1, ""));
    client.sends(window_update(1, 1));
    client.leaves(key);
    assert!(client.session.poll_gone(cx, other).is_pending());
    client.sends(data(3, 5, true));
    assert_eq!(client.takes(other), 5);
    client.session.release(other, 5);
    client
        .session
        .send_head(other, 200, true, |_, _| {})
        .unwrap();
    client.leaves(other);
    assert_eq!(client.hears(), [Said::Head(3, true)]);
    client.goes_on(5);
    assert!(client.session.streams.is_empty());
    assert_eq!(client.window(), CONNECTION_WINDOW);
}

fn trailers(flags: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, 1, bytes)
}

#[test]
fn content_is_as_long_as_the_head_has_said() {
    let four = [("content-length", "4")];
    let field = block(&[("a", "b")]);
    for frames in [
        vec![data(1, 5, false)],
        vec![data(1, 3, true)],
        vec![data(1, 0, true)],
        vec![data(1, 4, false), data(1, 1, true)],
        vec![data(1, 3, false), trailers(END_STREAM, &field)],
        vec![trailers(END_STREAM, &field)],
        vec![trailers(END_STREAM, "")],
    ] {
        check(&four, &frames, ProtocolError);
    }
    check(
        &[("content-length", "0")],
        &[data(1, 1, true)],
        ProtocolError,
    );
    for frames in [
        vec![data(1, 4, true)],
        vec![data(1, 1, false), data(1, 3, false), data(1, 0, true)],
        vec![data(1, 4, false), trailers(END_STREAM, &field)],
    ] {
        let mut client = Client::new();
        let key = client.posts(1, &four);
        client.sends(frames.concat());
        assert_eq!(client.takes(key), 4);
        assert!(client.hears().is_empty());
    }
}

#[test]
fn nothing_comes_behind_the_end() {
    check(&[], &[data(1, 1, true), data(1, 1, false)], StreamClosed);
    check(&[], &[data(1, 0, true), data(1, 0, true)], StreamClosed);
    let field = block(&[("a", "b")]);
    let late = trailers(END_STREAM, &field);
    check(&[], &[data(1, 1, true), late.clone()], StreamClosed);
    check(&[], &[late.clone(), data(1, 1, true)], StreamClosed);
    check(&[], &[late.clone(), late], StreamClosed);
}

#[test]
fn trailers_are_the_last_thing_and_fields() {
    let field = block(&[("a", "b")]);
    check(&[], &[trailers(0, &field)], ProtocolError);
    for malformed in [
        block(&[(":path", "/")]),
        block(&[("A", "b")]),
        block(&[("a", "\n")]),
        block(&[("", "a")]),
    ] {
        check(&[], &[trailers(END_STREAM, malformed)], ProtocolError);
    }
}

#[test]
fn a_request_that_is_malformed_is_nobodys() {
    for fields in [
        request("GET", &[("A", "b")]),
        request("GET", &[(":path", "/")]),
        block(&[(":method", "GET")]),
        // A request that is over, and its content is missing.
        request("POST", &[("content-length", "1")]),
        Vec::new(),
    ] {
        let mut client = Client::new();
        client.sends(frame(HEADERS, END_HEADERS | END_STREAM, 1, fields));
        assert!(client.session.next_request().is_none());
        assert_eq!(client.hears(), [Said::Reset(1, ProtocolError)]);
        client.goes_on(3);
    }
}

#[test]
fn a_stream_that_depends_on_itself_is_reset() {
    // The first bit says that the dependency is exclusive.
    let itself = [0x80, 0, 0, 1, 16];
    check(&[], &[frame(PRIORITY, 0, 1, itself)], ProtocolError);
    let fields = [&itself[..], &block(&[("a", "b")])].concat();
    let head = frame(HEADERS, WITH_PRIORITY | END_HEADERS | END_STREAM, 1, fields);
    check(&[], &[head], ProtocolError);
    let mut client = Client::new();
    for (id, on) in [(1, 1), (3, 1), (5, 0)] {
        let fields = [&[0, 0, 0, on, 16], &*request("GET", &[])].concat();
        let flags = WITH_PRIORITY | END_HEADERS | END_STREAM;
        client.sends(frame(HEADERS, flags, id, fields));
    }
    assert_eq!(client.hears(), [Said::Reset(1, ProtocolError)]);
    assert_eq!(client.session.next_request().unwrap().key.id, 3);
    assert_eq!(client.session.next_request().unwrap().key.id, 5);
}

#[test]
fn a_priority_is_five_bytes_and_means_nothing() {
    for size in [0, 4, 6] {
        check(&[], &[frame(PRIORITY, 0, 1, vec![0; size])], FrameSizeError);
    }
    let mut client = Client::new();
    // Also of streams that there are not, even on themselves.
    for stream in [2, 1, 3] {
        client.sends(frame(PRIORITY, 0, stream, [0, 0, 0, stream as u8, 1]));
    }
    client.goes_on(1);
    client.sends(frame(PRIORITY, 0, 1, [0; 5]));
    client.goes_on(3);
}

#[test]
fn content_beyond_a_streams_window_resets_it() {
    let mut frames = vec![data(1, 16_384, false); 16];
    frames.push(data(1, 1, false));
    check(&[], &frames, FlowControlError);
    frames.pop();
    // An end takes no room; padding does.
    frames.push(frame(DATA, PADDED, 1, [0]));
    check(&[], &frames, FlowControlError);
}

#[test]
fn a_window_that_grows_beyond_all_bounds_resets_its_stream() {
    let most = LARGEST_WINDOW as u32;
    check(&[], &[window_update(1, most)], FlowControlError);
    let just = window_update(1, most - DEFAULT_WINDOW);
    check(&[], &[just, window_update(1, 1)], FlowControlError);
}

#[test]
fn streams_above_the_limit_are_refused_and_their_fields_still_read() {
    let mut client = Client::new();
    let keys = [1, 3, 5, 7].map(|id| client.gets(id));
    // It leaves its path as an entry of the table, which the next request refers to.
    let indexed = [&[0x40, 1, b'x', 1, b'y'], &[][..]].concat();
    let fields = [request("GET", &[]), indexed].concat();
    client.sends(frame(HEADERS, END_HEADERS, 9, fields));
    assert_eq!(client.hears(), [Said::Reset(9, RefusedStream)]);
    // Its content was on its way.
    client.sends(data(9, 100, true));
    assert!(client.session.next_request().is_none());
    client
        .session
        .send_head(keys[0], 204, true, |_, _| {})
        .unwrap();
    assert_eq!(client.hears(), [Said::Head(1, true)]);
    let fields = [request("GET", &[]), vec![0xbe]].concat();
    client.sends(frame(HEADERS, END_HEADERS | END_STREAM, 11, fields));
    let incoming = client.session.next_request().expect("a request");
    let fields = incoming.head.fields();
    assert_eq!(fields.named("x").collect::<Vec<_>>(), [b"y"]);
    for key in keys.into_iter().chain([incoming.key]) {
        client.leaves(key);
    }
    assert!(client.session.streams.is_empty());
    assert_eq!(client.window(), CONNECTION_WINDOW);
}

#[test]
fn who_only_makes_mistakes_is_sent_away() {
    let mut client = Client::new();
    for nth in 0..=MOST_MISTAKES {
        client.hears();
        assert!(!client.session.is_over(), "{nth}");
        client.sends(frame(HEADERS, END_HEADERS, 1 + 2 * nth, ""));
    }
    let last = 1 + 2 * MOST_MISTAKES;
    let calm = Reason::EnhanceYourCalm;
    assert_eq!(client.hears(), [Said::GoAway(last, calm)]);
    let mut client = Client::new();
    client.posts(1, &[]);
    for _ in 0..MOST_EMPTY {
        client.sends(data(1, 0, false));
    }
    assert!(client.hears().is_empty());
    client.sends(data(1, 0, false));
    assert_eq!(client.hears(), [Said::GoAway(1, calm)]);
}
