//! Content goes as far as the client has room for it, in order, and ends once.

use super::*;

/// Each byte says where it stands.
fn text(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at / 7 + at) as u8).collect()
}

fn written(said: &[Said], id: u32) -> Vec<u8> {
    let of_it = said.iter().filter_map(|said| match said {
        Said::Data(stream, content, _) if *stream == id => Some(&content[..]),
        _ => None,
    });
    of_it.collect::<Vec<_>>().concat()
}

fn some_trailers() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("a", "b".parse().unwrap());
    trailers
}

#[test]
fn a_piece_goes_in_frames_that_every_client_takes() {
    let mut client = Client::new();
    let key = client.gets(1);
    client.answers(key);
    client.content(key, text(40_000), true);
    let said = client.hears();
    let sizes: Vec<_> = said
        .iter()
        .map(|said| match said {
            Said::Data(1, content, last) => (content.len(), *last),
            other => (0, *other != Said::Head(1, false)),
        })
        .collect();
    assert_eq!(
        sizes,
        [(0, false), (16_384, false), (16_384, false), (7232, true)]
    );
    assert_eq!(written(&said, 1), text(40_000));
}

#[test]
fn what_there_is_no_credit_for_waits_for_it() {
    let mut client = Client::with(&setting(frame::INITIAL_WINDOW_SIZE, 10));
    let key = client.gets(1);
    client.answers(key);
    client.content(key, text(5), false);
    client.content(key, &text(50)[5..20], false);
    // What waits is behind what came before it, and before what comes later.
    client.content(key, &text(50)[20..], true);
    let mut said = client.hears();
    assert_eq!(total(&said, 1), (10, 0));
    for (bytes, so_far) in [(1, 11), (20, 31), (18, 49)] {
        client.sends(window_update(1, bytes));
        said.extend(client.hears());
        assert_eq!(total(&said, 1), (so_far, 0));
    }
    client.sends(window_update(3, 1 << 20).split_off(13));
    client.sends(window_update(1, 1 << 20));
    said.extend(client.hears());
    assert_eq!(total(&said, 1), (50, 1));
    assert_eq!(written(&said, 1), text(50));
}

#[test]
fn the_connections_credit_is_that_of_all_streams() {
    let mut client = Client::with(&setting(frame::INITIAL_WINDOW_SIZE, 1 << 20));
    let keys = [1, 3, 5].map(|id| client.gets(id));
    for key in keys {
        client.answers(key);
        client.content(key, text(30_000), true);
    }
    let mut said = client.hears();
    let sent = |said: &[Said]| [1, 3, 5].map(|id| total(said, id).0).iter().sum::<usize>();
    assert_eq!(sent(&said), 65_535);
    // A stream's own credit is no use.
    client.sends(window_update(5, 9));
    assert!(client.hears().is_empty());
    client.sends(window_update(0, 24_464));
    said.extend(client.hears());
    assert_eq!(sent(&said), 89_999);
    client.sends(window_update(0, 1));
    said.extend(client.hears());
    for id in [1, 3, 5] {
        assert_eq!(total(&said, id), (30_000, 1));
        assert_eq!(written(&said, id), text(30_000));
    }
}

#[test]
fn settings_may_take_back_credit_that_was_used() {
    let mut client = Client::with(&setting(frame::INITIAL_WINDOW_SIZE, 100));
    let key = client.gets(1);
    client.answers(key);
    client.content(key, text(1000), true);
    let mut said = client.hears();
    assert_eq!(total(&said, 1), (100, 0));
    for (bytes, so_far) in [
        (settings(frame::INITIAL_WINDOW_SIZE, 0), 100),
        (window_update(1, 60), 100),
        (settings(frame::INITIAL_WINDOW_SIZE, 40), 100),
        (window_update(1, 1), 101),
        (settings(frame::INITIAL_WINDOW_SIZE, 50), 111),
        (settings(frame::INITIAL_WINDOW_SIZE, 0), 111),
        (window_update(1, 50), 111),
        (window_update(1, 9), 120),
    ] {
        client.sends(&bytes);
        said.extend(client.hears());
        assert_eq!(total(&said, 1), (so_far, 0), "{bytes:?}");
    }
    // Those that come later begin with what is said then.
    let other = client.gets(3);
    client.answers(other);
    client.content(other, "a", true);
    assert_eq!(total(&client.hears(), 3), (0, 0));
    client.sends(settings(frame::INITIAL_WINDOW_SIZE, 880));
    said.extend(client.hears());
    assert_eq!(total(&said, 1), (1000, 1));
    assert_eq!(total(&said, 3), (1, 1));
    assert_eq!(written(&said, 1), text(1000));
}

#[test]
fn of_settings_that_say_it_twice_the_last_counts() {
    let values = [0, LARGEST_WINDOW as u32, 7];
    let values = values.map(|value| setting(frame::INITIAL_WINDOW_SIZE, value));
    let mut client = Client::with(&values.concat());
    let key = client.gets(1);
    client.answers(key);
    client.content(key, text(10), true);
    assert_eq!(total(&client.hears(), 1), (7, 0));
}

#[test]
fn an_end_takes_no_credit() {
    let mut client = Client::with(&setting(frame::INITIAL_WINDOW_SIZE, 0));
    let keys = [1, 3, 5].map(|id| client.gets(id));
    client.answers(keys[0]);
    client.content(keys[0], "", true);
    client.answers(keys[1]);
    client
        .session
        .send(keys[1], Bytes::new(), true, Some(some_trailers()))
        .unwrap();
    client
        .session
        .send_head(keys[2], 204, true, |_, _| {})
        .unwrap();
    let expected = [
        Said::Head(1, false),
        Said::Data(1, Vec::new(), true),
        Said::Head(3, false),
        Said::Head(3, true),
        Said::Head(5, true),
    ];
    assert_eq!(client.hears(), expected);
}

#[test]
fn trailers_and_ends_wait_behind_the_content() {
    let mut client = Client::with(&setting(frame::INITIAL_WINDOW_SIZE, 3));
    let keys = [1, 3].map(|id| client.gets(id));
    for key in keys {
        client.answers(key);
        client.content(key, "four", false);
    }
    client.content(keys[0], "", true);
    client
        .session
        .send(keys[1], Bytes::new(), true, Some(some_trailers()))
        .unwrap();
    client.leaves(keys[0]);
    client.leaves(keys[1]);
    let said = client.hears();
    assert_eq!([total(&said, 1), total(&said, 3)], [(3, 0), (3, 0)]);
    client.sends(window_update(1, 1));
    assert_eq!(client.hears(), [Said::Data(1, b"r".to_vec(), true)]);
    client.sends(window_update(3, 1));
    let expected = [Said::Data(3, b"r".to_vec(), false), Said::Head(3, true)];
    assert_eq!(client.hears(), expected);
    assert!(client.session.streams.is_empty());
}

#[test]
fn heads_in_front_of_the_response_end_nothing() {
    let mut client = Client::new();
    let key = client.gets(1);
    for status in [100, 103, 103] {
        client
            .session
            .send_head(key, status, false, |_, _| {})
            .unwrap();
    }
    client.answers(key);
    client.content(key, "", false);
    client.content(key, "a", true);
    client.leaves(key);
    let said = client.hears();
    assert_eq!(said[..4], [const { Said::Head(1, false) }; 4]);
    assert_eq!(said[4..], [Said::Data(1, b"a".to_vec(), true)]);
}

#[test]
fn a_head_that_is_large_goes_in_more_frames() {
    let mut client = Client::new();
    let key = client.gets(1);
    let large = vec![b'a'; 40_000];
    let head = client.session.send_head(key, 200, true, |encoder, out| {
        encoder.field(b"x", &large, out);
    });
    head.unwrap();
    let mut rest = client.session.unwritten();
    let mut heads = Vec::new();
    while let Some((head, behind)) = rest.split_first_chunk() {
        let head = frame::Head::read(*head);
        heads.push((head.kind, head.flags, head.length > 16_000));
        rest = &behind[head.length..];
    }
    let expected = [
        (HEADERS, END_STREAM, true),
        (CONTINUATION, 0, true),
        (CONTINUATION, END_HEADERS, false),
    ];
    assert_eq!(heads, expected);
}

#[test]
fn who_has_gone_is_sent_nothing() {
    let mut client = Client::with(&setting(frame::INITIAL_WINDOW_SIZE, 5));
    let key = client.gets(1);
    client.answers(key);
    client.content(key, text(10), false);
    client.hears();
    let woken = Arc::new(Woken::default());
    assert!(client.room(key, &woken).is_pending());
    client.sends(frame(RST_STREAM, 0, 1, [0, 0, 0, 8]));
    assert_eq!(woken.take(), 1);
    client.sends(window_update(1, 100));
    let piece = Bytes::from_static(b"a");
    assert_eq!(client.session.send(key, piece, true, None), Err(Gone));
    let head = client.session.send_head(key, 200, true, |_, _| {});
    assert_eq!(head, Err(Gone));
    assert_eq!(client.room(key, &woken), Poll::Ready(Err(Gone)));
    client.session.abort(key, Reason::Cancel);
    client.leaves(key);
    client.leaves(key);
    assert!(client.hears().is_empty());
    assert!(client.session.streams.is_empty());
    assert_eq!(client.ended(), 2);
}
