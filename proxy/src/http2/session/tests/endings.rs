//! How exchanges, and the connection, come to their ends.

use super::*;
use Reason::{EnhanceYourCalm, NoError, RefusedStream};

#[test]
fn an_exchange_lasts_until_all_of_it_is_written() {
    for step in [1, 7, 1000] {
        let mut client = Client::new();
        let keys = [1, 3].map(|id| client.gets(id));
        for key in keys {
            client.answers(key);
            client.content(key, [0; 100], true);
            client.leaves(key);
        }
        assert!(client.session.streams.is_empty());
        let each = client.session.unwritten().len() / 2;
        let mut written = 0;
        while !client.session.unwritten().is_empty() {
            assert_eq!(client.ended(), written / each);
            let now = client.session.unwritten().len().min(step);
            client.session.wrote(now);
            written += now;
        }
        assert_eq!((client.ended(), written), (2, 2 * each));
    }
}

#[test]
fn an_exchange_whose_content_waits_outlives_its_handler() {
    let mut client = Client::with(&setting(frame::INITIAL_WINDOW_SIZE, 10));
    let key = client.gets(1);
    client.answers(key);
    client.content(key, [0; 15], true);
    client.leaves(key);
    client.hears();
    assert_eq!(client.ended(), 0);
    client.sends(window_update(1, 5));
    assert_eq!(client.ended(), 0);
    client.hears();
    assert_eq!(client.ended(), 1);
    // Or its client loses patience.
    let key = client.gets(3);
    client.answers(key);
    client.content(key, [0; 15], true);
    client.leaves(key);
    client.hears();
    client.sends(frame(RST_STREAM, 0, 3, [0; 4]));
    assert_eq!(client.ended(), 2);
    assert!(client.session.streams.is_empty());
}

#[test]
fn what_is_written_is_the_same_in_whatever_pieces() {
    let long = |step: usize| {
        let mut client = Client::with(&setting(frame::INITIAL_WINDOW_SIZE, 1 << 20));
        client.sends(window_update(0, 1 << 20));
        let key = client.gets(1);
        client.answers(key);
        let mut all = Vec::new();
        for nth in 0..6 {
            // Never all of it is written, until the end.
            client.content(key, vec![nth; 30_000], nth == 5);
            for _ in 0..25_000 / step {
                all.extend_from_slice(&client.session.unwritten()[..step]);
                client.session.wrote(step);
            }
        }
        client.leaves(key);
        assert_eq!(client.ended(), 0);
        let rest = client.session.unwritten().to_vec();
        client.session.wrote(rest.len());
        assert_eq!(client.ended(), 1);
        all.extend(rest);
        all
    };
    let whole = long(25_000);
    assert_eq!(total(&said(&whole), 1), (180_000, 1));
    for step in [100, 2500] {
        assert!(long(step) == whole, "{step}");
    }
}

#[test]
fn a_handler_that_leaves_without_a_word_has_failed() {
    let mut client = Client::new();
    let keys = [client.gets(1), client.posts(3, &[])];
    client.answers(keys[1]);
    client.content(keys[1], "a", false);
    client.leaves(keys[0]);
    client.leaves(keys[1]);
    let expected = [
        Said::Head(3, false),
        Said::Data(3, b"a".to_vec(), false),
        Said::Reset(1, Reason::InternalError),
        Said::Reset(3, Reason::InternalError),
    ];
    assert_eq!(client.hears(), expected);
    client.goes_on(5);
}

#[test]
fn who_is_answered_early_need_not_send_the_rest() {
    let mut client = Client::new();
    let key = client.posts(1, &[]);
    client.session.send_head(key, 413, true, |_, _| {}).unwrap();
    // The handler may still want to read.
    client.sends(data(1, 10, false));
    assert_eq!(client.takes(key), 10);
    assert_eq!(client.hears(), [Said::Head(1, true)]);
    client.leaves(key);
    assert_eq!(client.hears(), [Said::Reset(1, NoError)]);
    assert!(client.session.streams.is_empty());
}

#[test]
fn a_goodbye_is_said_twice_and_what_came_between_is_answered() {
    let mut client = Client::new();
    let first = client.gets(1);
    client.session.say_goodbye();
    client.session.say_goodbye();
    let most = LARGEST_WINDOW as u32;
    assert_eq!(client.hears(), [Said::GoAway(most, NoError), Said::Ping(0)]);
    let second = client.gets(3);
    // An answer to something else, and what only looks like an answer.
    client.sends(frame(PING, ACK, 0, *b"somebody"));
    client.sends(frame(PING, 0, 0, GOODBYE));
    assert_eq!(client.hears(), [Said::Ping(ACK)]);
    client.sends(frame(PING, ACK, 0, GOODBYE));
    client.sends(frame(PING, ACK, 0, GOODBYE));
    client.session.say_goodbye();
    assert_eq!(client.hears(), [Said::GoAway(3, NoError)]);
    client.sends(frame(HEADERS, END_HEADERS, 5, request("POST", &[])));
    client.sends(data(5, 10, true));
    assert_eq!(client.hears(), [Said::Reset(5, RefusedStream)]);
    assert!(client.session.next_request().is_none());
    for key in [first, second] {
        assert!(!client.session.is_over());
        client.session.send_head(key, 204, true, |_, _| {}).unwrap();
        client.leaves(key);
    }
    assert!(client.session.is_over());
    assert_eq!(client.hears(), [Said::Head(1, true), Said::Head(3, true)]);
    assert_eq!(client.ended(), 2);
}

#[test]
fn a_client_that_says_goodbye_gets_its_answers() {
    let mut client = Client::new();
    let key = client.gets(1);
    client.sends(frame(
        GOAWAY,
        0,
        0,
        [[0; 8].as_slice(), b"a reason"].concat(),
    ));
    assert!(!client.session.is_over());
    client.session.send_head(key, 204, true, |_, _| {}).unwrap();
    client.leaves(key);
    assert!(client.session.is_over());
    assert_eq!(client.hears(), [Said::Head(1, true)]);
}

#[test]
fn who_is_given_up_hears_why_and_nothing_more() {
    let mut client = Client::new();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let key = client.posts(1, &[]);
    client.sends(frame(HEADERS, END_HEADERS, 3, request("POST", &[])));
    let cx = &mut Context::from_waker(&waker);
    assert!(client.session.poll_gone(cx, key).is_pending());
    client.session.give_up(EnhanceYourCalm);
    client.session.give_up(NoError);
    client.session.say_goodbye();
    assert!(woken.take() > 0);
    assert!(client.session.poll_gone(cx, key).is_ready());
    assert!(client.session.is_over() && !client.session.may_receive());
    assert_eq!(client.hears(), [Said::GoAway(3, EnhanceYourCalm)]);
    // What had come and was not taken is still there to be recorded.
    let other = client.taken(3);
    assert!(client.session.is_gone(other));
    client.leaves(key);
    client.leaves(other);
    assert!(client.hears().is_empty());
    assert_eq!(client.ended(), 2);
    assert!(client.session.streams.is_empty());
}

#[test]
fn a_connection_that_breaks_off_ends_all_exchanges() {
    let mut client = Client::with(&setting(frame::INITIAL_WINDOW_SIZE, 10));
    let keys = [client.gets(1), client.gets(3), client.posts(5, &[])];
    for key in &keys[..2] {
        client.answers(*key);
        client.content(*key, [0; 15], key.id == 1);
    }
    client.leaves(keys[0]);
    client.session.end();
    assert_eq!(client.ended(), 1);
    for key in &keys[1..] {
        assert_eq!(client.room(*key, &Arc::default()), Poll::Ready(Err(Gone)));
        client.leaves(*key);
    }
    assert_eq!(client.ended(), 3);
    assert!(client.session.streams.is_empty());
}

#[test]
fn nothing_is_read_while_too_much_is_to_be_written() {
    let mut client = Client::new();
    let pings = frame(PING, 0, 0, [0; 8]).repeat(1000);
    while client.session.may_receive() {
        client.sends(&pings);
    }
    assert!(client.session.unwritten().len() < MOST_UNWRITTEN + pings.len());
    client.session.wrote(pings.len());
    assert!(client.session.may_receive());
}

#[test]
fn the_driver_is_woken_once_for_what_others_say() {
    let mut client = Client::new();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let cx = &mut Context::from_waker(&waker);
    let key = client.gets(1);
    // It finds by itself what comes before it rests.
    client.answers(key);
    assert_eq!(woken.take(), 0);
    client.hears();
    client.session.rest(cx);
    client.content(key, "a", false);
    client.content(key, "b", false);
    assert_eq!(woken.take(), 1);
    client.session.rouse();
    client.content(key, "c", false);
    client.session.rest(cx);
    client.session.abort(key, Reason::Cancel);
    assert_eq!(woken.take(), 1);
    client.session.rest(cx);
    client.leaves(key);
    assert_eq!(woken.take(), 1);
}
