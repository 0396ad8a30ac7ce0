//! Lines on their way to something that may be slow or stuck: a file, a pipe, a terminal. Whoever hands in a line puts it
//! into a buffer and never waits for it to be written; one thread takes whole buffers. What does not fit into a buffer
//! while the thread is stuck is refused. How lines are written, and what becomes of those that cannot be, is the caller's.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// So many bytes are worth a write of their own, however long lines may still wait. Waking the thread costs as much as
/// making several lines.
const BATCH: usize = 256 * 1024;

/// Memory that a buffer keeps: a batch, and what comes while the thread is on its way.
const MOST_KEPT: usize = 4 * BATCH;

/// Where lines are handed in. A clone shares the buffer, a [`lane`](Self::lane) has its own; the thread ends with the
/// last of them.
#[derive(Debug, Clone)]
pub struct LineQueue {
    buffer: Arc<Mutex<Buffer>>,
    writer: Arc<Writer>,
}

#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    lines: usize,
}

/// The thread, as those see it that hand in lines.
#[derive(Debug)]
struct Writer {
    thread: Thread,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    buffers: Mutex<Vec<Arc<Mutex<Buffer>>>>,
    /// Bytes that a buffer may hold.
    capacity: usize,
    /// How long a line may wait for others.
    delay: Duration,
    /// A buffer that was empty is no longer.
    begun: AtomicBool,
    /// There is no reason to wait any longer.
    due: AtomicBool,
    /// `write` is to be called even without lines.
    called: AtomicBool,
    /// Lines that were taken out of their buffer and are not dealt with yet.
    taken: AtomicUsize,
    ended: AtomicBool,
}

impl LineQueue {
    /// Starts the thread `name`. `write` gets one line or several, or none when it is [called](Self::call); a line waits at most `delay` for others to be written
    /// with. Lines are refused once `capacity` bytes of them wait.
    pub fn start(
        name: &str,
        capacity: usize,
        delay: Duration,
        write: impl FnMut(&[u8]) + Send + 'static,
    ) -> io::Result<Self> {
        let buffer = Arc::<Mutex<Buffer>>::default();
        let shared = Arc::new(Shared {
            buffers: Mutex::new(vec![Arc::clone(&buffer)]),
            capacity,
            delay,
            begun: AtomicBool::new(false),
            due: AtomicBool::new(false),
            called: AtomicBool::new(false),
            taken: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || of_thread.run(write))?
            .thread()
            .clone();
        let writer = Arc::new(Writer { thread, shared });
        Ok(Self { buffer, writer })
    }

    /// A further buffer of the same capacity, for a thread that is not to share one with others.
    #[must_use]
    pub fn lane(&self) -> Self {
        let buffer = Arc::<Mutex<Buffer>>::default();
        lock(&self.writer.shared.buffers).push(Arc::clone(&buffer));
        Self {
            buffer,
            writer: Arc::clone(&self.writer),
        }
    }

    /// Hands in the line that `append` adds to what it is given, its end included; false if there is no room.
    pub fn push(&self, append: impl FnOnce(&mut Vec<u8>)) -> bool {
        let shared = &self.writer.shared;
        let mut buffer = lock(&self.buffer);
        let before = buffer.bytes.len();
        if before >= shared.capacity {
            return false;
        }
        append(&mut buffer.bytes);
        buffer.lines += 1;
        let after = buffer.bytes.len();
        drop(buffer);
        // Waking the thread costs far more than a line does.
        if before < BATCH && after >= BATCH {
            self.writer.hurry();
        } else if before == 0 && !shared.begun.swap(true, Ordering::AcqRel) {
            self.writer.thread.unpark();
        }
        true
    }

    /// Has `write` called at once, without lines: it is on its thread that what it writes to can be looked after.
    pub fn call(&self) {
        self.writer.shared.called.store(true, Ordering::Release);
        self.writer.hurry();
    }

    /// Waits until all lines have been dealt with, at most `bound`. How many then have not.
    pub fn flush(&self, bound: Duration) -> usize {
        let give_up = Instant::now() + bound;
        loop {
            let waiting = self.writer.shared.waiting();
            if waiting == 0 || Instant::now() >= give_up {
                return waiting;
            }
            self.writer.hurry();
            // Once or twice in a process's life.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Writer {
    fn hurry(&self) {
        self.shared.begun.store(true, Ordering::Release);
        self.shared.due.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        self.hurry();
    }
}

impl Shared {
    fn run(&self, mut write: impl FnMut(&[u8])) {
        let mut spare = Buffer::default();
        loop {
            self.wait();
            // Read first: what was handed in before the end is then taken below.
            let ended = self.ended.load(Ordering::Acquire);
            if self.called.swap(false, Ordering::AcqRel) {
                write(&[]);
            }
            // A stuck `write` must not hold up whoever wants a lane.
            let buffers = lock(&self.buffers).clone();
            for buffer in &buffers {
                self.take(buffer, &mut spare);
                if spare.lines > 0 {
                    write(&spare.bytes);
                    self.taken.fetch_sub(spare.lines, Ordering::Release);
                }
                spare.clear();
            }
            if ended {
                return;
            }
        }
    }

    /// Until there are lines, and enough of them or for long enough.
    fn wait(&self) {
        while !self.begun.swap(false, Ordering::AcqRel) {
            std::thread::park();
        }
        let give_up = Instant::now() + self.delay;
        while !self.due.swap(false, Ordering::AcqRel) {
            let left = give_up.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::park_timeout(left);
        }
        // Those that begin from here on find their buffer empty, or are taken now.
        // Exchanged, not stored: whoever said so before has also said why.
        self.begun.swap(false, Ordering::AcqRel);
    }

    /// Exchanges the buffers: neither is ever allocated anew in a steady stream of lines.
    fn take(&self, buffer: &Mutex<Buffer>, empty: &mut Buffer) {
        let mut buffer = lock(buffer);
        if buffer.lines > 0 {
            self.taken.fetch_add(buffer.lines, Ordering::Release);
            std::mem::swap(&mut *buffer, empty);
        }
    }

    fn waiting(&self) -> usize {
        // In the way that lines take: none is missed.
        let buffers = lock(&self.buffers);
        let lines: usize = buffers.iter().map(|buffer| lock(buffer).lines).sum();
        lines + self.taken.load(Ordering::Acquire)
    }
}

impl Buffer {
    fn clear(&mut self) {
        self.bytes.clear();
        // What a stuck reader let it grow to.
        self.bytes.shrink_to(MOST_KEPT);
        self.lines = 0;
    }
}

/// Whoever panicked was making one line; the others are not to be lost for it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
