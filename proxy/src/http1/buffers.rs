//! What a worker lends to the connection that is being polled, so that a connection at rest holds no buffer. Not what a
//! connection keeps of the bytes that came: that is the wire's.

use std::cell::{RefCell, RefMut};

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
}

impl Buffers {
    /// For one read; nobody may hold it across two polls.
    pub(super) fn for_reading(&self) -> RefMut<'_, Box<[u8]>> {
        self.input.borrow_mut()
    }

    /// An empty buffer, for a message that is put together or a head that is kept until it is answered.
    pub fn lend(&self) -> Vec<u8> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// What was lent is not needed any more.
    pub fn give_back(&self, mut buffer: Vec<u8>) {
        let mut spare = self.spare.borrow_mut();
        if (1..=LARGEST_SPARE).contains(&buffer.capacity()) && spare.len() < MOST_SPARE {
            buffer.clear();
            spare.push(buffer);
        }
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            input: RefCell::new(vec![0; LARGEST_READ].into_boxed_slice()),
            spare: RefCell::default(),
        }
    }
}

impl std::fmt::Debug for Buffers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffers").finish_non_exhaustive()
    }
}
