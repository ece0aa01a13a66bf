//! The memory for blobs on their way: buffers of two sizes that are used again and again, so that it neither grows with the
//! number of those who pull nor falls into pieces.

use std::sync::{Arc, Mutex, PoisonError};

/// How long a buffer is, in bytes: with less, the calls would cost more than the bytes.
pub(super) const LARGE: usize = 64 * 1024;
/// How long one is when all of those are taken.
pub(super) const SMALL: usize = 16 * 1024;
/// How many large ones there are: 32 MiB together. Beyond them, each that is sent has a small one.
const MOST_LARGE: usize = 512;
/// How many small ones are kept for later.
const MOST_KEPT: usize = 512;

/// All buffers.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    large: Vec<Box<[u8]>>,
    small: Vec<Box<[u8]>>,
    /// How many large ones are taken.
    taken: usize,
}

/// A buffer; what it held is given back to the pool when it is dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    memory: Box<[u8]>,
    length: usize,
    pool: Arc<Pool>,
}

impl Pool {
    /// Takes a buffer: a large one as long as there are any.
    pub(super) fn take(self: &Arc<Self>) -> Buffer {
        let memory = {
            let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let is_large = shelf.taken < MOST_LARGE;
            shelf.taken += usize::from(is_large);
            let kept = if is_large { shelf.large.pop() } else { shelf.small.pop() };
            kept.ok_or(if is_large { LARGE } else { SMALL })
        };
        let memory = memory.unwrap_or_else(|size| vec![0; size].into_boxed_slice());
        Buffer { memory, length: 0, pool: Arc::clone(self) }
    }

    /// Returns whether most of the large buffers are free: then a blob may have several.
    pub(super) fn has_room(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).taken < MOST_LARGE / 2
    }
}

impl Buffer {
    /// Returns as much of it as is wanted, if it has that much, to be filled.
    pub(super) fn first(&mut self, wanted: u64) -> &mut [u8] {
        self.length = usize::try_from(wanted).unwrap_or(usize::MAX).min(self.memory.len());
        &mut self.memory[..self.length]
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        let mut shelf = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner);
        match memory.len() {
            LARGE => {
                shelf.taken -= 1;
                shelf.large.push(memory);
            }
            _ if shelf.small.len() < MOST_KEPT => shelf.small.push(memory),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_used_again_and_small_when_there_are_many() {
        let pool = Arc::new(Pool::default());
        let mut taken: Vec<Buffer> = (0..MOST_LARGE + 2 * MOST_KEPT).map(|_| pool.take()).collect();
        assert!(!pool.has_room());
        let sizes = |size: usize| taken.iter().filter(|buffer| buffer.memory.len() == size).count();
        assert_eq!((sizes(LARGE), sizes(SMALL)), (MOST_LARGE, 2 * MOST_KEPT));
        assert_eq!(taken[0].first(10).len(), 10);
        assert_eq!(taken[0].as_ref().len(), 10);
        assert_eq!(taken[0].first(u64::MAX).len(), LARGE);
        taken.clear();
        assert!(pool.has_room());
        let shelf = pool.0.lock().unwrap();
        assert_eq!((shelf.large.len(), shelf.small.len(), shelf.taken), (MOST_LARGE, MOST_KEPT, 0));
    }
}
