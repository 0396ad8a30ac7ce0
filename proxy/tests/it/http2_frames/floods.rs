//! Floods that cost their sender little: each is answered frame by frame or ends its connection, and who shares its
//! worker does not wait.

use std::time::{Duration, Instant};

use super::*;
use crate::harness::PATIENCE;

/// One increment of this is too much for any window that is not empty.
const LARGEST: u32 = (1 << 31) - 1;

/// For an answer beside a flood.
const SOON: Duration = Duration::from_secs(3);

/// What is said of a stream that the server must reset for it.
type Mistake = fn(u32) -> Vec<u8>;

/// A worker with a client that floods it and one that does not.
struct Scene {
    target: Target,
    proxy: Proxy,
    bad: Client,
    good: Client,
    /// By the good one.
    asked: usize,
}

impl Scene {
    fn new() -> Self {
        // Of a request for `/held` it only says that it came.
        let target = Target::scripted(|connection| {
            loop {
                let request = connection.request()?;
                if request.uri() == "/held" {
                    connection.send("HTTP/1.1 103 Early Hints\r\n\r\n")?;
                    return connection.rest().map(drop);
                }
                connection.send(ok("well"))?;
            }
        });
        let setup = Setup::to([target.address]).https();
        let proxy = setup.with("workers = 1").start();
        let (bad, good) = (Client::connect(&proxy), Client::connect(&proxy));
        Self {
            target,
            proxy,
            bad,
            good,
            asked: 0,
        }
    }

    /// The other client is answered behind these.
    #[track_caller]
    fn flood(&mut self, frames: impl AsRef<[u8]>) {
        self.bad.send(frames);
        let asked_at = Instant::now();
        assert_eq!(self.good.get("/"), Answer(200));
        let took = asked_at.elapsed();
        assert!(took < SOON, "{took:?}");
        self.asked += 1;
    }

    /// Nothing is left of the flood, and of the bad client the target has seen so many requests.
    #[track_caller]
    fn assert_over(self, requests: usize) {
        let clients = "active_connection_count{side=\"client\"}";
        drop(self.bad);
        self.proxy.wait_for_metric(clients, 1);
        drop(self.good);
        self.proxy.wait_for_metric(clients, 0);
        until("nothing at work", || self.target.open_connections() <= 1);
        assert_eq!(self.target.requests().len(), self.asked + requests);
    }
}

#[test]
fn a_head_without_an_end_ends_its_connection() {
    for piece in [vec![], block(&[("x", "y")])] {
        let mut scene = Scene::new();
        let stream = scene.bad.open(END_STREAM, &asking("GET", "/"));
        let pieces = frame(CONTINUATION, 0, stream, piece).repeat(100);
        scene.flood(&pieces);
        scene.bad.assert_sent_away(Reason::ENHANCE_YOUR_CALM);
        for _ in 0..20 {
            scene.flood(&pieces);
        }
        scene.assert_over(0);
    }
}

#[test]
fn pings_and_settings_are_answered_one_by_one() {
    for (kind, payload, answer) in [
        (PING, &b"1234567."[..], &b"1234567."[..]),
        (SETTINGS, &[0, 4, 0, 1, 0, 0], &[]),
    ] {
        let mut scene = Scene::new();
        for _ in 0..16 {
            scene.flood(frame(kind, 0, 0, payload).repeat(250));
            for _ in 0..250 {
                let said = scene.bad.next(kind);
                assert_eq!((said.flags, &*said.payload), (ACK, answer));
            }
        }
        assert_eq!(scene.bad.get("/"), Answer(200));
        scene.assert_over(1);
    }
}

#[test]
fn pings_do_not_keep_a_connection() {
    let target = Target::saying("app");
    let setup = Setup::to([target.address]).https();
    let proxy = setup.with("idle_timeout = 0.5").start();
    let mut client = Client::connect(&proxy);
    assert_eq!(client.get("/"), Answer(200));
    let begun = Instant::now();
    let last = loop {
        client.send(frame(PING, 0, 0, b"1234567."));
        let said = Frame::read(&mut client.wire).unwrap();
        if !matches!(said.kind, PING | DATA) {
            break said;
        }
        assert!(begun.elapsed() < PATIENCE, "it goes on for ever");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(last.kind, GOAWAY);
    assert_eq!(Reason::from(number(&last.payload[4..])), Reason::NO_ERROR);
}

#[test]
fn content_of_nothing_ends_its_connection() {
    let mut scene = Scene::new();
    let stream = scene.bad.open(END_HEADERS, &asking("POST", "/"));
    let nothing = frame(DATA, 0, stream, []).repeat(200);
    scene.flood(&nothing);
    scene.bad.assert_sent_away(Reason::ENHANCE_YOUR_CALM);
    for _ in 0..20 {
        scene.flood(&nothing);
    }
    scene.assert_over(0);
}

#[test]
fn windows_that_cannot_be_end_the_connection() {
    for (of_stream, increment, reason) in [
        (false, 0, Reason::PROTOCOL_ERROR),
        (true, 0, Reason::PROTOCOL_ERROR),
        (false, LARGEST, Reason::FLOW_CONTROL_ERROR),
    ] {
        let mut scene = Scene::new();
        let stream = scene
            .bad
            .open(END_HEADERS | END_STREAM, &asking("GET", "/held"));
        assert_eq!(scene.bad.said_of(stream), Answer(0));
        let stream = if of_stream { stream } else { 0 };
        let update = frame(WINDOW_UPDATE, 0, stream, u32::to_be_bytes(increment)).repeat(100);
        scene.flood(&update);
        scene.bad.assert_sent_away(reason);
        for _ in 0..20 {
            scene.flood(&update);
        }
        scene.assert_over(1);
    }
}

/// CVE-2025-8671: the server is made to reset what its target goes on with.
#[test]
fn mistakes_that_reset_a_request_are_counted_like_resets() {
    let too_much = |stream| frame(WINDOW_UPDATE, 0, stream, LARGEST.to_be_bytes());
    let upon_itself = |stream: u32| {
        let payload = [&stream.to_be_bytes()[..], &[0]].concat();
        frame(PRIORITY, 0, stream, payload)
    };
    let mistakes: [(Mistake, Reason); 2] = [
        (too_much, Reason::FLOW_CONTROL_ERROR),
        (upon_itself, Reason::PROTOCOL_ERROR),
    ];
    for (mistake, reason) in mistakes {
        let mut scene = Scene::new();
        let mut held = 0;
        let last = loop {
            let stream = scene
                .bad
                .open(END_HEADERS | END_STREAM, &asking("GET", "/held"));
            let said = scene.bad.said_of(stream);
            if said != Answer(0) {
                break said;
            }
            held += 1;
            scene.bad.send(mistake(stream));
            let said = scene.bad.said_of(stream);
            if said != Reset(reason) {
                break said;
            }
            if held % 50 == 0 {
                scene.flood([]);
            }
            assert!(held < 1000, "it goes on for ever");
        };
        assert_eq!(last, GoAway(Reason::ENHANCE_YOUR_CALM));
        assert!((200..450).contains(&held), "{held}");
        scene.assert_over(held);
    }
}

/// CVE-2023-44487: before any of them can be looked at.
#[test]
fn resets_that_come_with_their_requests_end_the_connection() {
    let mut scene = Scene::new();
    let mut resets = Vec::new();
    for nth in 0..1000 {
        let stream = 2 * nth + 1;
        let head = END_HEADERS | END_STREAM;
        resets.extend(frame(HEADERS, head, stream, block(&asking("GET", "/held"))));
        resets.extend(frame(RST_STREAM, 0, stream, 8_u32.to_be_bytes()));
    }
    scene.flood(resets);
    scene.bad.assert_sent_away(Reason::ENHANCE_YOUR_CALM);
    let begun = scene.target.requests().len() - scene.asked;
    assert!(begun < 450, "{begun}");
    scene.assert_over(begun);
}

/// A client that takes credit back from a stream which waits for that of the connection, while another one has something
/// to be sent.
#[test]
fn credit_that_is_taken_back_stops_nobody_else() {
    let target = Target::answering(|request| match request.uri() {
        "/large" => ok(&"x".repeat(1 << 20)),
        _ => ok("well"),
    });
    let setup = Setup::to([target.address]).https();
    let proxy = setup.with("workers = 1").start();
    let (mut bad, mut good) = (Client::connect(&proxy), Client::connect(&proxy));
    let window = |size: u32| frame(SETTINGS, 0, 0, [&[0, 4], &size.to_be_bytes()[..]].concat());
    let update = |stream, more: u32| frame(WINDOW_UPDATE, 0, stream, more.to_be_bytes());
    bad.send(window(1 << 20));
    let large = bad.open(END_HEADERS | END_STREAM, &asking("GET", "/large"));
    let mut received = 0;
    while received < 65_535 {
        received += bad.next(DATA).payload.len();
    }
    let small = bad.open(END_HEADERS | END_STREAM, &asking("GET", "/small"));
    assert_eq!(bad.said_of(small), Answer(200));
    bad.send(
        [
            update(small, 1 << 20),
            window(0),
            update(0, 1),
            update(0, 1),
        ]
        .concat(),
    );
    for _ in 0..3 {
        assert_eq!(good.get("/"), Answer(200));
    }
    // And goes on where it was.
    bad.send([window(1 << 20), update(0, 2 << 20)].concat());
    let (mut ended, mut of_small) = (0, Vec::new());
    while ended < 2 {
        let data = bad.next(DATA);
        if data.stream == large {
            received += data.payload.len();
        } else {
            of_small.extend(data.payload);
        }
        ended += usize::from(data.flags & END_STREAM);
    }
    assert_eq!((received, &*of_small), (1 << 20, &b"well"[..]));
}

#[test]
fn mistakes_that_are_no_request_are_counted_too() {
    const MOST: usize = 1024;
    let mut scene = Scene::new();
    let malformed = [&asking("GET", "/")[..], &[("te", "gzip")]].concat();
    for _ in 0..MOST / 64 {
        let streams = [(); 64].map(|()| scene.bad.open(END_HEADERS | END_STREAM, &malformed));
        scene.flood([]);
        for stream in streams {
            assert_eq!(scene.bad.said_of(stream), MALFORMED);
        }
    }
    scene.bad.open(END_HEADERS | END_STREAM, &malformed);
    scene.bad.assert_sent_away(Reason::ENHANCE_YOUR_CALM);
    scene.assert_over(0);
}
