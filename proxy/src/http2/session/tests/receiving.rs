//! Room for content that comes: what is not held any more is given back, to its stream and to all.

use super::*;

#[test]
fn a_client_is_told_of_room_by_halves() {
    let mut client = Client::new();
    let key = client.posts(1, &[]);
    let half = STREAM_WINDOW as usize / 2;
    for _ in 0..8 {
        client.sends(data(1, 16_384, false));
    }
    assert_eq!(client.takes(key), half);
    assert!(client.hears().is_empty());
    client.session.release(key, half - 1);
    assert!(client.hears().is_empty());
    client.session.release(key, 1);
    assert_eq!(client.hears(), [Said::Grown(1, half as u32)]);
    for round in 2..=4 {
        for _ in 0..8 {
            client.sends(data(1, 16_384, false));
        }
        let taken = client.takes(key);
        client.session.release(key, taken);
        let mut expected = vec![Said::Grown(1, half as u32)];
        if round == 4 {
            expected.insert(0, Said::Grown(0, CONNECTION_WINDOW / 2));
        }
        assert_eq!(client.hears(), expected);
    }
    client.sends(data(1, 0, true));
    // Of a stream that has ended nobody needs to hear.
    client.session.release(key, 0);
    assert!(client.hears().is_empty());
}

#[test]
fn padding_is_given_back_at_once() {
    let mut client = Client::new();
    let key = client.posts(1, &[]);
    let mut padded = vec![255];
    padded.extend([b'a'; 10]);
    padded.extend([0; 255]);
    let padded = frame(DATA, PADDED, 1, padded);
    for _ in 0..2000 {
        client.sends(&padded);
        assert_eq!(client.takes(key), 10);
    }
    assert!(!client.session.is_over());
    client.session.release(key, 20_000);
    assert_eq!(client.window(), CONNECTION_WINDOW);
    client.leaves(key);
    assert!(
        !client
            .hears()
            .contains(&Said::Reset(1, Reason::FlowControlError))
    );
}

/// How content ends that a handler has taken and still holds.
#[test]
fn what_a_handler_holds_is_given_back_when_it_leaves() {
    type End = fn(&mut Client, Key);
    let ends: [End; 6] = [
        |_, _| {},
        |client, _| client.sends(frame(RST_STREAM, 0, 1, [0; 4])),
        |client, key| client.session.abort(key, Reason::Cancel),
        |client, key| client.session.send_head(key, 200, true, |_, _| {}).unwrap(),
        |client, _| client.sends(data(1, 0, true)),
        |client, _| {
            // Padding is not what it holds.
            let padding = [[200].as_slice(), &[0; 200]].concat();
            client.sends(frame(DATA, PADDED, 1, padding));
        },
    ];
    for (nth, end) in ends.into_iter().enumerate() {
        for (sent, taken, released) in [(0, false, 0), (900, false, 0), (900, true, 100)] {
            let mut client = Client::new();
            let key = client.posts(1, &[]);
            client.sends(data(1, sent, false));
            if taken {
                assert_eq!(client.takes(key), 900);
                client.session.release(key, released);
            }
            client.sends(data(1, 50, false));
            end(&mut client, key);
            client.leaves(key);
            assert_eq!(client.window(), CONNECTION_WINDOW, "{nth}, {sent}");
            assert!(client.session.streams.is_empty());
        }
    }
}

#[test]
fn content_that_comes_while_a_response_waits_is_not_kept() {
    let mut client = Client::with(&setting(frame::INITIAL_WINDOW_SIZE, 0));
    let key = client.posts(1, &[]);
    client.answers(key);
    client.content(key, "a", true);
    client.leaves(key);
    client.sends(data(1, 1000, false));
    assert_eq!(client.window(), CONNECTION_WINDOW);
    client.sends(window_update(1, 1));
    let expected = [
        Said::Head(1, false),
        Said::Data(1, b"a".to_vec(), true),
        Said::Reset(1, Reason::NoError),
    ];
    assert_eq!(client.hears(), expected);
    // What was on its way takes nothing and is no mistake.
    client.sends(data(1, 1000, true));
    assert!(client.hears().is_empty());
    assert_eq!(client.window(), CONNECTION_WINDOW);
}

#[test]
fn a_body_that_was_lost_has_no_end() {
    let mut client = Client::new();
    for id in [1, 3] {
        let key = client.posts(id, &[]);
        client.sends(data(id, 1000, id == 3));
        // Nobody has taken it yet: the rest must not be taken for all of it.
        client.sends(frame(RST_STREAM, 0, id, [0; 4]));
        let cx = &mut Context::from_waker(Waker::noop());
        let content = client.session.poll_content(cx, key);
        assert!(matches!(content, Poll::Ready(Some(Err(_)))), "{content:?}");
        client.leaves(key);
    }
}

#[test]
fn who_waits_for_content_is_woken_by_it_and_by_its_end() {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut client = Client::new();
    let ends = [
        data(1, 0, true),
        frame(HEADERS, END_HEADERS | END_STREAM, 3, block(&[("a", "b")])),
        frame(RST_STREAM, 0, 5, [0; 4]),
        data(0, 0, true),
    ];
    for (id, end) in [1, 3, 5, 7].into_iter().zip(ends) {
        let key = client.posts(id, &[]);
        let cx = &mut Context::from_waker(&waker);
        assert!(client.session.poll_content(cx, key).is_pending());
        client.sends(data(id, 1, false));
        assert_eq!(woken.take(), 1);
        assert_eq!(client.takes(key), 1);
        assert!(client.session.poll_content(cx, key).is_pending());
        assert!(!client.session.is_taken(key));
        client.sends(&end);
        assert!(woken.take() > 0);
        let whole = matches!(client.session.poll_content(cx, key), Poll::Ready(None));
        assert_eq!(whole, id < 5);
        let trailers = client.session.take_trailers(key).unwrap();
        assert_eq!(trailers.is_some(), id == 3);
        assert!(id > 3 || client.session.is_taken(key));
    }
    assert!(client.session.is_over());
}
