//! How much of content the client may still send, of one stream or of all: what has come uses it up, what was passed on
//! gives it back. The client is told of half a window at a time.

#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    size: u32,
    left: u32,
    /// Given back, and the client was not told yet.
    untold: u32,
}

impl Window {
    pub(super) fn new(size: u32) -> Self {
        Self {
            size,
            left: size,
            untold: 0,
        }
    }

    /// What may come once the client has heard of all that was given back.
    #[cfg(test)]
    pub(super) fn whole(&self) -> u32 {
        self.left + self.untold
    }

    /// So much has come. False: it was more than there was room for.
    #[must_use]
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let left = u32::try_from(bytes).ok();
        let left = left.and_then(|bytes| self.left.checked_sub(bytes));
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }

    /// So much is not held any more. By how much the client may be told that the window has grown.
    pub(super) fn give_back(&mut self, bytes: usize) -> Option<u32> {
        self.untold += bytes as u32;
        if self.untold < self.size / 2 {
            return None;
        }
        self.left += self.untold;
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_passed_on_comes_back_by_halves() {
        let mut window = Window::new(100);
        assert!(window.take(60));
        assert_eq!(window.give_back(49), None);
        assert!(!window.take(41));
        assert!(window.take(40));
        assert_eq!(window.give_back(1), Some(50));
        assert!(window.take(50));
        assert!(!window.take(1));
        assert_eq!(window.give_back(50), Some(50));
    }
}
