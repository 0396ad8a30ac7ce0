//! Where in the bytes of a head its parts are.

/// A place in a buffer, which is far below 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    length: u32,
}

impl Span {
    pub(crate) fn new(start: usize, length: usize) -> Self {
        Self {
            start: start as u32,
            length: length as u32,
        }
    }

    /// A place within this one.
    pub(crate) fn part(self, range: std::ops::Range<usize>) -> Self {
        Self::new(self.start as usize + range.start, range.len())
    }

    /// From the start of this one to the end of that.
    pub(crate) fn to(self, end: Self) -> Self {
        let end = end.range().end;
        Self::new(self.start as usize, end - self.start as usize)
    }

    pub(crate) fn len(self) -> usize {
        self.length as usize
    }

    pub(super) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.start as usize + self.length as usize
    }

    pub(super) fn bytes(self, buffer: &[u8]) -> &[u8] {
        buffer.get(self.range()).unwrap_or_default()
    }

    /// Of a part that is text.
    pub(super) fn text(self, buffer: &[u8]) -> &str {
        str::from_utf8(self.bytes(buffer)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
