//! Lines arrive, whole and in order, late but not too late, and nobody waits for a writer that is stuck.

use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};

use super::*;

const LONG: Duration = Duration::from_secs(30);
/// No test waits for it.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// What reaches `write`, call by call.
fn watched(capacity: usize, delay: Duration) -> (LineQueue, Receiver<Vec<u8>>) {
    let (written, calls) = channel();
    let write = move |lines: &[u8]| written.send(lines.to_vec()).unwrap();
    let queue = LineQueue::start("test", capacity, delay, write).unwrap();
    (queue, calls)
}

fn push(queue: &LineQueue, line: &[u8]) -> bool {
    queue.push(|bytes| bytes.extend_from_slice(line))
}

#[test]
fn lines_arrive_whole_and_in_order() {
    for delay in [Duration::ZERO, NEVER] {
        let (queue, calls) = watched(1024 * 1024, delay);
        let lines: Vec<String> = (0..10_000).map(|line| format!("line {line}\n")).collect();
        for line in &lines {
            assert!(push(&queue, line.as_bytes()));
        }
        assert_eq!(queue.flush(LONG), 0);
        let written: Vec<u8> = calls.try_iter().flatten().collect();
        assert_eq!(written, lines.concat().into_bytes());
    }
}

#[test]
fn it_can_be_called_without_a_line() {
    let (queue, calls) = watched(1024, NEVER);
    queue.call();
    assert_eq!(calls.recv_timeout(LONG).unwrap(), b"");
    assert!(push(&queue, b"line\n"));
    queue.call();
    assert_eq!(calls.recv_timeout(LONG).unwrap(), b"");
    assert_eq!(calls.recv_timeout(LONG).unwrap(), b"line\n");
}

#[test]
fn every_lane_keeps_its_order() {
    let (queue, calls) = watched(1024 * 1024, Duration::from_millis(1));
    let threads: Vec<_> = (0..4)
        .map(|lane| {
            let queue = queue.lane();
            std::thread::spawn(move || {
                for line in 0..10_000 {
                    assert!(push(&queue, format!("{lane} {line}\n").as_bytes()));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(queue.flush(LONG), 0);
    let written = String::from_utf8(calls.try_iter().flatten().collect()).unwrap();
    let mut next = [0; 4];
    for line in written.lines() {
        let (lane, line) = line.split_once(' ').unwrap();
        let next = &mut next[lane.parse::<usize>().unwrap()];
        assert_eq!(line, next.to_string());
        *next += 1;
    }
    assert_eq!(next, [10_000; 4]);
}

#[test]
fn a_line_waits_no_longer_than_it_may() {
    let (queue, calls) = watched(1024, Duration::from_millis(20));
    for line in [b"one\n", b"two\n"] {
        assert!(push(&queue, line));
        assert_eq!(calls.recv_timeout(LONG).unwrap(), line);
    }
}

#[test]
fn lines_that_wait_are_written_together() {
    let (queue, calls) = watched(1024, NEVER);
    assert!(push(&queue, b"one\n"));
    assert!(push(&queue, b"two\n"));
    assert_eq!(queue.flush(LONG), 0);
    assert_eq!(calls.try_iter().collect::<Vec<_>>(), [b"one\ntwo\n"]);
}

#[test]
fn a_full_batch_does_not_wait() {
    let (queue, calls) = watched(2 * BATCH, NEVER);
    for lane in [queue.clone(), queue.lane()] {
        assert!(push(&lane, b"a first one\n"));
        assert!(push(&lane, &vec![b'x'; BATCH]));
        let all = b"a first one\n".len() + BATCH;
        let mut written = 0;
        // The thread may come by from the other lane and take the first one by itself.
        while written < all {
            written += calls.recv_timeout(LONG).unwrap().len();
        }
        assert_eq!(written, all);
    }
}

#[test]
fn the_last_lines_are_written_when_nobody_is_left_to_hand_in_more() {
    let (queue, calls) = watched(1024, NEVER);
    let lane = queue.lane();
    assert!(push(&queue, b"one\n"));
    assert!(push(&lane, b"two\n"));
    drop((queue, lane));
    // The thread's end of the channel goes with the thread.
    assert_eq!(calls.iter().collect::<Vec<_>>(), [b"one\n", b"two\n"]);
}

/// Each call of `write` says that it has begun, and waits for a word or for the gate's end.
fn stuck(capacity: usize) -> (LineQueue, Receiver<()>, SyncSender<()>) {
    let (go_on, gate) = sync_channel::<()>(0);
    let (begun, started) = sync_channel(1);
    let queue = LineQueue::start("test", capacity, Duration::ZERO, move |_| {
        let _ = begun.try_send(());
        let _ = gate.recv();
    });
    (queue.unwrap(), started, go_on)
}

#[test]
fn a_stuck_writer_holds_up_nobody() {
    let (queue, started, go_on) = stuck(8);
    assert!(push(&queue, b"being written\n"));
    started.recv_timeout(LONG).unwrap();
    assert!(push(&queue, b"wait\n"));
    assert!(push(&queue, b"waits\n"));
    assert!(!push(&queue, b"does not fit\n"));
    let lane = queue.lane();
    assert!(push(&lane, b"waits too\n"));
    assert_eq!(queue.flush(Duration::from_millis(10)), 4);
    drop(go_on);
    assert_eq!(queue.flush(LONG), 0);
    assert!(push(&queue, b"fits again\n"));
}

#[test]
fn memory_that_waiting_lines_took_is_given_back() {
    let (queue, started, go_on) = stuck(64 * BATCH);
    assert!(push(&queue, b"being written\n"));
    started.recv_timeout(LONG).unwrap();
    assert!(push(&queue, &vec![b'x'; 32 * BATCH]));
    drop(go_on);
    for line in [b"one\n", b"two\n"] {
        assert_eq!(queue.flush(LONG), 0);
        assert!(push(&queue, line));
        assert!(lock(&queue.buffer).bytes.capacity() <= MOST_KEPT);
    }
}

#[test]
fn a_line_whose_making_panics_stops_no_other() {
    let (queue, calls) = watched(1024, Duration::ZERO);
    let panics = std::panic::AssertUnwindSafe(|| queue.push(|_| panic!("as the test wants")));
    assert!(std::panic::catch_unwind(panics).is_err());
    assert!(push(&queue, b"later\n"));
    assert_eq!(calls.recv_timeout(LONG).unwrap(), b"later\n");
}
