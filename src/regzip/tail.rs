//! The last of what was taken: what a block knows of the one before.

/// The last bytes of a row of pieces.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    most: usize,
}

impl Tail {
    /// Makes one of so many bytes at most.
    pub(super) const fn new(most: usize) -> Self {
        Self { bytes: Vec::new(), most }
    }

    /// Takes what comes next.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        if self.bytes.len() > 8 * self.most {
            self.bytes.drain(..self.bytes.len() - self.most);
        }
    }

    /// Returns the last bytes.
    pub(super) fn last(&self) -> &[u8] {
        &self.bytes[self.bytes.len().saturating_sub(self.most)..]
    }
}
