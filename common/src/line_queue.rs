//! Lines on their way to something that may be slow or stuck: a file, a pipe, a terminal. Whoever hands in a line never
//! waits; one thread writes, and what does not fit into the bounded queue before it is refused. How lines are written,
//! and what becomes of those that cannot be, is the caller's.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// The thread writes up to about this many bytes at once.
const BATCH: usize = 64 * 1024;

/// Where lines are handed in. Cheap to clone; the thread ends with the last of them.
#[derive(Debug, Clone)]
pub struct LineQueue {
    lines: SyncSender<Vec<u8>>,
    /// Handed in and not yet dealt with.
    waiting: Arc<AtomicUsize>,
}

impl LineQueue {
    /// Starts the thread `name`. `write` gets one line or several.
    pub fn start(
        name: &str,
        capacity: usize,
        write: impl FnMut(&[u8]) + Send + 'static,
    ) -> io::Result<Self> {
        let (lines, queue) = sync_channel(capacity);
        let waiting = Arc::<AtomicUsize>::default();
        let left = Arc::clone(&waiting);
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || run(&queue, &left, write))?;
        Ok(Self { lines, waiting })
    }

    /// Hands in a line, its end included; false if the queue is full.
    pub fn push(&self, line: Vec<u8>) -> bool {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let taken = self.lines.try_send(line).is_ok();
        if !taken {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        taken
    }

    /// Waits until all lines have been dealt with, at most `bound`. How many then have not.
    pub fn flush(&self, bound: Duration) -> usize {
        let give_up = Instant::now() + bound;
        loop {
            let waiting = self.waiting.load(Ordering::Acquire);
            if waiting == 0 || Instant::now() >= give_up {
                return waiting;
            }
            // Once or twice in a process's life.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn run(queue: &Receiver<Vec<u8>>, waiting: &AtomicUsize, mut write: impl FnMut(&[u8])) {
    while let Ok(mut batch) = queue.recv() {
        let mut lines = 1;
        while batch.len() < BATCH
            && let Ok(line) = queue.try_recv()
        {
            batch.extend_from_slice(&line);
            lines += 1;
        }
        write(&batch);
        waiting.fetch_sub(lines, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn lines_arrive_whole_and_in_order() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&written);
        let queue = LineQueue::start("test", 2048, move |lines| {
            seen.lock().unwrap().extend_from_slice(lines);
        })
        .unwrap();
        let lines: Vec<String> = (0..1000).map(|line| format!("line {line}\n")).collect();
        for line in &lines {
            assert!(queue.push(line.clone().into()));
        }
        assert_eq!(queue.flush(LONG), 0);
        assert_eq!(*written.lock().unwrap(), lines.concat().into_bytes());
    }

    #[test]
    fn a_stuck_writer_holds_up_nobody() {
        let (go_on, gate) = sync_channel::<()>(0);
        let (begun, started) = sync_channel(1);
        let queue = LineQueue::start("test", 2, move |_| {
            let _ = begun.try_send(());
            let _ = gate.recv();
        })
        .unwrap();
        assert!(queue.push(b"being written\n".to_vec()));
        started.recv_timeout(LONG).unwrap();
        assert!(queue.push(b"waits\n".to_vec()));
        assert!(queue.push(b"waits\n".to_vec()));
        assert!(!queue.push(b"does not fit\n".to_vec()));
        assert_eq!(queue.flush(Duration::from_millis(10)), 3);
        drop(go_on);
        assert_eq!(queue.flush(LONG), 0);
    }
}
