//! What a worker lends to the connection that is being polled, so that a connection at rest holds no buffer. Not what a
//! connection keeps of the bytes that came: that is the wire's.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;

use super::pipe::Pipe;

/// What one read may bring at most, and the size of a worker's read buffer: big bodies cost a third less than in steps
/// of 16 KiB.
pub const LARGEST_READ: usize = 256 * 1024;

/// Spare buffers of a worker, and how large one may be.
const MOST_SPARE: usize = 256;
const LARGEST_SPARE: usize = 64 * 1024;

/// Pipes of a worker, lent and spare: two descriptors each, and what they hold is the kernel's memory. Whoever comes when
/// all are lent has its content copied.
const MOST_PIPES: usize = 64;

/// Of one worker.
pub struct Buffers {
    input: RefCell<Box<[u8]>>,
    /// Empty ones, for what is small and soon over.
    spare: Spare<Vec<u8>>,
    spare_pipes: Spare<LentPipe>,
    /// Each pipe has a share in it.
    pipes: Rc<()>,
    /// The kernel lets content go through pipes.
    has_pipes: Cell<bool>,
}

/// A pipe, and its part of the number that there may be.
#[derive(Debug)]
pub(super) struct LentPipe {
    pub(super) pipe: Box<Pipe>,
    #[expect(dead_code, reason = "it counts by being there")]
    part: Rc<()>,
}

impl Buffers {
    /// For one read; nobody may hold it across two polls.
    pub fn for_reading(&self) -> RefMut<'_, Box<[u8]>> {
        self.input.borrow_mut()
    }

    /// An empty buffer, for a message that is put together or a head that is kept until it is answered.
    pub fn lend(&self) -> Vec<u8> {
        self.spare.take().unwrap_or_default()
    }

    /// What was lent is not needed any more.
    pub fn give_back(&self, mut buffer: Vec<u8>) {
        if (1..=LARGEST_SPARE).contains(&buffer.capacity()) && self.spare.len() < MOST_SPARE {
            buffer.clear();
            self.spare.put(buffer);
        }
    }

    /// An empty pipe, if one is to be had. Dropped, it makes room for another.
    pub(super) fn lend_pipe(&self) -> Option<LentPipe> {
        if !self.has_pipes.get() {
            return None;
        }
        if let Some(pipe) = self.spare_pipes.take() {
            return Some(pipe);
        }
        if self.pipes() >= MOST_PIPES {
            return None;
        }
        // It fails where descriptors are short, and connections need them more.
        let pipe = Box::new(Pipe::new().ok()?);
        let part = Rc::clone(&self.pipes);
        Some(LentPipe { pipe, part })
    }

    /// What was lent is empty again.
    pub(super) fn give_back_pipe(&self, lent: LentPipe) {
        self.spare_pipes.put(lent);
    }

    /// The kernel does not let content go through pipes: from here on it is copied.
    pub(super) fn give_up_pipes(&self) {
        self.has_pipes.set(false);
    }

    /// Those that there are.
    pub(super) fn pipes(&self) -> usize {
        Rc::strong_count(&self.pipes) - 1
    }

    /// Lets go of the spare ones that nobody has needed since it was called last: those of a busy hour are not kept for
    /// ever.
    pub fn shed(&self) {
        self.spare.shed();
        self.spare_pipes.shed();
    }
}

/// What lies ready to be taken.
struct Spare<T> {
    here: RefCell<Vec<T>>,
    /// The fewest that lay here since the last look: so many were not needed.
    fewest: Cell<usize>,
}

impl<T> Spare<T> {
    fn len(&self) -> usize {
        self.here.borrow().len()
    }

    fn take(&self) -> Option<T> {
        let mut here = self.here.borrow_mut();
        let taken = here.pop();
        self.fewest.set(self.fewest.get().min(here.len()));
        taken
    }

    fn put(&self, spare: T) {
        self.here.borrow_mut().push(spare);
    }

    fn shed(&self) {
        let mut here = self.here.borrow_mut();
        let needed = here.len() - self.fewest.get();
        here.truncate(needed);
        self.fewest.set(needed);
    }
}

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Self {
            here: RefCell::default(),
            fewest: Cell::default(),
        }
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            input: RefCell::new(vec![0; LARGEST_READ].into_boxed_slice()),
            spare: Spare::default(),
            spare_pipes: Spare::default(),
            pipes: Rc::default(),
            has_pipes: Cell::new(true),
        }
    }
}

impl std::fmt::Debug for Buffers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffers").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lends `many` buffers at a time, as large as may be.
    fn use_at_once(buffers: &Buffers, many: usize) {
        let lent: Vec<Vec<u8>> = (0..many).map(|_| buffers.lend()).collect();
        for mut buffer in lent {
            buffer.reserve(LARGEST_SPARE);
            buffers.give_back(buffer);
        }
    }

    fn spare(buffers: &Buffers) -> usize {
        buffers.spare.len()
    }

    #[test]
    fn what_is_needed_between_two_looks_stays_and_the_rest_goes() {
        let buffers = Buffers::default();
        use_at_once(&buffers, 300);
        assert_eq!(spare(&buffers), MOST_SPARE);
        // Of the burst all were needed; from then on three are.
        buffers.shed();
        assert_eq!(spare(&buffers), MOST_SPARE);
        use_at_once(&buffers, 3);
        buffers.shed();
        assert_eq!(spare(&buffers), 3);
        use_at_once(&buffers, 3);
        buffers.shed();
        assert_eq!(spare(&buffers), 3);
        buffers.shed();
        assert_eq!(spare(&buffers), 0);
    }

    #[test]
    fn a_buffer_that_has_become_too_large_is_not_kept() {
        let buffers = Buffers::default();
        buffers.give_back(Vec::with_capacity(LARGEST_SPARE + 1));
        buffers.give_back(Vec::new());
        assert_eq!(spare(&buffers), 0);
    }

    #[test]
    fn pipes_are_lent_up_to_a_number_and_go_when_nobody_needs_them() {
        let buffers = Buffers::default();
        let mut lent: Vec<LentPipe> = (0..MOST_PIPES)
            .map(|_| buffers.lend_pipe().unwrap())
            .collect();
        assert!(buffers.lend_pipe().is_none());
        // One that broke with what it held.
        drop(lent.pop());
        lent.push(buffers.lend_pipe().unwrap());
        for pipe in lent.drain(..) {
            buffers.give_back_pipe(pipe);
        }
        assert_eq!(buffers.pipes(), MOST_PIPES);
        buffers.shed();
        buffers.shed();
        assert_eq!(buffers.pipes(), 0);
    }

    #[test]
    fn a_kernel_without_pipes_is_not_asked_again() {
        let buffers = Buffers::default();
        buffers.give_back_pipe(buffers.lend_pipe().unwrap());
        buffers.give_up_pipes();
        assert!(buffers.lend_pipe().is_none());
    }
}
