//! Streams that want more room than there is get some in turn.

use super::*;

/// A client with a handler for each of so many requests, and who was woken.
fn wanting(client: &mut Client, many: u32) -> Vec<(Key, Arc<Woken>)> {
    let ids = (0..many).map(|nth| 1 + 2 * nth);
    let keys: Vec<_> = ids.map(|id| (client.gets(id), Arc::default())).collect();
    for (key, _) in &keys {
        client.answers(*key);
    }
    keys
}

fn eager() -> Client {
    let mut client = Client::with(&setting(frame::INITIAL_WINDOW_SIZE, 1 << 30));
    client.sends(window_update(0, 1 << 30));
    client
}

/// What a handler does that has content without end: sends while there is room.
fn sends_all_it_can(client: &mut Client, key: Key, woken: &Arc<Woken>) -> usize {
    let mut sent = 0;
    while let Poll::Ready(room) = client.room(key, woken) {
        client.content(key, vec![0; room.unwrap()], false);
        sent += room.unwrap();
    }
    sent
}

#[test]
fn no_more_is_taken_than_there_is_room_for() {
    let mut client = eager();
    let streams = wanting(&mut client, 3);
    for (key, woken) in &streams {
        sends_all_it_can(&mut client, *key, woken);
    }
    let most = ROOM + 8 * frame::HEAD;
    assert!(client.session.unwritten().len() <= most);
    for _ in 0..100 {
        client.session.wrote(1000);
        for (key, woken) in &streams {
            if woken.take() > 0 {
                sends_all_it_can(&mut client, *key, woken);
            }
        }
        assert!(client.session.unwritten().len() <= most);
    }
}

#[test]
fn all_that_want_room_get_some() {
    // However much of it is written at a time: the first to ask has content without end, and so have the others.
    for written in [100, 5_000, 20_000, usize::MAX] {
        let mut client = eager();
        let streams = wanting(&mut client, 4);
        let mut sent = [0; 4];
        for (at, (key, woken)) in streams.iter().enumerate() {
            sent[at] += sends_all_it_can(&mut client, *key, woken);
        }
        for _ in 0..(4 << 20) / written.min(1 << 18) {
            let most = client.session.unwritten().len();
            client.session.wrote(written.min(most));
            for (at, (key, woken)) in streams.iter().enumerate() {
                if woken.take() > 0 {
                    sent[at] += sends_all_it_can(&mut client, *key, woken);
                }
            }
        }
        let (least, most) = (sent.iter().min(), sent.iter().max());
        assert!(
            most < least.map(|least| 2 * least).as_ref(),
            "{written}: {sent:?}"
        );
    }
}

#[test]
fn all_that_want_credit_get_some() {
    let mut client = Client::with(&setting(frame::INITIAL_WINDOW_SIZE, 1 << 30));
    let streams = wanting(&mut client, 4);
    let mut sent = [0; 4];
    for (at, (key, woken)) in streams.iter().enumerate() {
        sent[at] += sends_all_it_can(&mut client, *key, woken);
    }
    client.hears();
    for _ in 0..100 {
        client.sends(window_update(0, 30_000));
        for (at, (key, woken)) in streams.iter().enumerate() {
            if woken.take() > 0 {
                sent[at] += sends_all_it_can(&mut client, *key, woken);
            }
        }
        client.hears();
    }
    assert_eq!(sent.iter().sum::<usize>(), 65_535 + 100 * 30_000);
    assert!(sent.iter().all(|sent| *sent > 500_000), "{sent:?}");
}

#[test]
fn a_turn_that_is_not_used_passes_on() {
    type End = fn(&mut Client, Key);
    // Whether or not the handler has left yet.
    let ends: [End; 5] = [
        |client, key| client.leaves(key),
        |client, key| client.sends(frame(RST_STREAM, 0, key.id, [0, 0, 0, 8])),
        |client, key| client.session.abort(key, Reason::InternalError),
        |client, key| client.content(key, "", true),
        |client, key| client.session.send_head(key, 204, true, |_, _| {}).unwrap(),
    ];
    for (nth, end) in ends.into_iter().enumerate() {
        let mut client = Client::with(&setting(frame::INITIAL_WINDOW_SIZE, 1 << 20));
        let streams = wanting(&mut client, 4);
        let (first, _) = streams[0];
        client.content(first, vec![0; DEFAULT_WINDOW as usize], true);
        for (key, woken) in &streams[1..] {
            assert!(client.room(*key, woken).is_pending());
        }
        client.hears();
        // It is the turn of one of them, and the others know nothing.
        client.sends(window_update(0, 100));
        let woken: Vec<_> = streams.iter().map(|(_, woken)| woken.take()).collect();
        assert_eq!(woken, [0, 1, 0, 0]);
        end(&mut client, streams[1].0);
        client.hears();
        assert_eq!(streams[2].1.take(), 1, "{nth}");
        assert_eq!(
            client.room(streams[2].0, &streams[2].1),
            Poll::Ready(Ok(100))
        );
        client.leaves(streams[2].0);
        client.hears();
        assert_eq!(
            client.room(streams[3].0, &streams[3].1),
            Poll::Ready(Ok(100))
        );
    }
}

#[test]
fn a_turn_whose_credit_was_taken_back_passes_on() {
    let mut client = Client::with(&setting(frame::INITIAL_WINDOW_SIZE, 1 << 17));
    let streams = wanting(&mut client, 2);
    let [(first, woken), (second, also_woken)] = &streams[..] else {
        unreachable!()
    };
    client.content(*first, vec![0; DEFAULT_WINDOW as usize], false);
    client.hears();
    assert!(client.room(*first, woken).is_pending());
    assert!(client.room(*second, also_woken).is_pending());
    client.sends(window_update(3, 1 << 17));
    client.sends(window_update(0, 100));
    assert_eq!((woken.take(), also_woken.take()), (1, 0));
    client.sends(settings(frame::INITIAL_WINDOW_SIZE, 0));
    assert!(client.room(*first, woken).is_pending());
    assert_eq!(also_woken.take(), 1);
    assert_eq!(client.room(*second, also_woken), Poll::Ready(Ok(100)));
}

#[test]
fn who_has_sent_all_gets_no_turn() {
    let mut client = Client::with(&setting(frame::INITIAL_WINDOW_SIZE, 1 << 20));
    let streams = wanting(&mut client, 3);
    let (first, _) = streams[0];
    client.content(first, vec![0; DEFAULT_WINDOW as usize], true);
    for (key, woken) in &streams[1..] {
        assert!(client.room(*key, woken).is_pending());
    }
    // Its handler has not left yet, and does not ask any more.
    client.content(streams[1].0, "", true);
    client.hears();
    client.sends(window_update(0, 100));
    assert_eq!(streams[2].1.take(), 1);
    let room = client.room(streams[2].0, &streams[2].1);
    assert_eq!(room, Poll::Ready(Ok(100)));
}

#[test]
fn more_content_than_there_is_room_for_goes_as_it_is_written() {
    let mut client = eager();
    let keys = [1, 3, 5].map(|id| client.gets(id));
    for key in keys {
        client.answers(key);
        // Nobody has looked for credit.
        client.sends(settings(frame::INITIAL_WINDOW_SIZE, 0));
        client.content(key, vec![key.id as u8; 5 * ROOM], true);
        client.leaves(key);
    }
    client.hears();
    client.sends(settings(frame::INITIAL_WINDOW_SIZE, 1 << 20));
    let mut all = Vec::new();
    while !client.session.unwritten().is_empty() {
        let unwritten = client.session.unwritten();
        assert!(unwritten.len() < ROOM + 100);
        let written = unwritten.len().min(10_000);
        all.extend_from_slice(&unwritten[..written]);
        client.session.wrote(written);
    }
    let all = said(&all);
    for id in [1, 3, 5] {
        assert_eq!(total(&all, id), (5 * ROOM, 1));
    }
    // They have taken turns.
    let last_of_first = all
        .iter()
        .rposition(|said| matches!(said, Said::Data(1, ..)));
    let first_of_last = all
        .iter()
        .position(|said| matches!(said, Said::Data(5, ..)));
    assert!(first_of_last < last_of_first);
    assert!(client.session.streams.is_empty());
    assert_eq!(client.ended(), 3);
}

#[test]
fn a_stream_whose_credit_was_taken_back_gives_no_room_to_others() {
    let mut client = Client::with(&setting(frame::INITIAL_WINDOW_SIZE, 1 << 17));
    let streams = wanting(&mut client, 2);
    let [(wants, woken), (waits, _)] = &streams[..] else {
        unreachable!()
    };
    client.content(*wants, vec![0; DEFAULT_WINDOW as usize], false);
    assert!(client.room(*wants, woken).is_pending());
    client.content(*waits, vec![0; 1000], true);
    client.hears();
    client.sends(window_update(3, 1 << 17));
    client.sends(settings(frame::INITIAL_WINDOW_SIZE, 0));
    client.hears();
    client.sends(window_update(0, 10));
    assert_eq!(total(&client.hears(), 3), (10, 0));
    client.sends(window_update(0, 1000));
    assert_eq!(total(&client.hears(), 3), (990, 1));
    // It has not been forgotten.
    assert!(client.room(*wants, woken).is_pending());
    woken.take();
    client.sends(settings(frame::INITIAL_WINDOW_SIZE, 1 << 17));
    assert_eq!(woken.take(), 1);
    assert_eq!(client.room(*wants, woken), Poll::Ready(Ok(10)));
}
