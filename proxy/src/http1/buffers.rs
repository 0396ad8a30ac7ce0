//! What a worker lends to the connection that is being polled, so that a connection at rest holds no buffer. Not what a
//! connection keeps of the bytes that came: that is the wire's.

use std::cell::{Cell, RefCell, RefMut};

/// What one read may bring at most, and the size of a worker's read buffer: big bodies cost a third less than in steps
/// of 16 KiB.
pub const LARGEST_READ: usize = 256 * 1024;

/// Spare buffers of a worker, and how large one may be.
const MOST_SPARE: usize = 256;
const LARGEST_SPARE: usize = 64 * 1024;

/// Of one worker.
pub struct Buffers {
    input: RefCell<Box<[u8]>>,
    /// Empty ones, for what is small and soon over.
    spare: RefCell<Vec<Vec<u8>>>,
    /// The fewest of them that lay there since the last look: so many were not needed.
    fewest_spare: Cell<usize>,
}

impl Buffers {
    /// For one read; nobody may hold it across two polls.
    pub(super) fn for_reading(&self) -> RefMut<'_, Box<[u8]>> {
        self.input.borrow_mut()
    }

    /// An empty buffer, for a message that is put together or a head that is kept until it is answered.
    pub fn lend(&self) -> Vec<u8> {
        let mut spare = self.spare.borrow_mut();
        let lent = spare.pop().unwrap_or_default();
        self.fewest_spare
            .set(self.fewest_spare.get().min(spare.len()));
        lent
    }

    /// What was lent is not needed any more.
    pub fn give_back(&self, mut buffer: Vec<u8>) {
        let mut spare = self.spare.borrow_mut();
        if (1..=LARGEST_SPARE).contains(&buffer.capacity()) && spare.len() < MOST_SPARE {
            buffer.clear();
            spare.push(buffer);
        }
    }

    /// Lets go of the spare ones that nobody has needed since it was called last: those of a busy hour are not kept for
    /// ever.
    pub fn shed(&self) {
        let mut spare = self.spare.borrow_mut();
        let needed = spare.len() - self.fewest_spare.get();
        spare.truncate(needed);
        self.fewest_spare.set(needed);
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            input: RefCell::new(vec![0; LARGEST_READ].into_boxed_slice()),
            spare: RefCell::default(),
            fewest_spare: Cell::default(),
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
        buffers.spare.borrow().len()
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
}
