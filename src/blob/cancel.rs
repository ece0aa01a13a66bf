//! The request to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A request to stop, shared by all that works on one task.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    own: Arc<AtomicBool>,
    above: Vec<Arc<AtomicBool>>,
}

impl Cancel {
    /// Shares a flag that somebody else sets, such as a signal handler.
    #[must_use]
    pub const fn from_flag(flag: Arc<AtomicBool>) -> Self {
        Self { own: flag, above: Vec::new() }
    }

    /// Returns a request for a part of the task: it hears what its origin is asked, and not the other way round.
    #[must_use]
    pub fn child(&self) -> Self {
        let above = self.above.iter().chain([&self.own]).cloned().collect();
        Self { own: Arc::default(), above }
    }

    /// Asks everybody to stop.
    pub fn cancel(&self) {
        self.own.store(true, Ordering::Relaxed);
    }

    /// Returns whether somebody asked to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.own.load(Ordering::Relaxed) || self.above.iter().any(|above| above.load(Ordering::Relaxed))
    }

    /// Waits; returns whether nobody asked to stop.
    #[must_use]
    pub fn sleep(&self, time: Duration) -> bool {
        const STEP: Duration = Duration::from_millis(50);
        let began = Instant::now();
        while !self.is_cancelled() {
            let left = time.saturating_sub(began.elapsed());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(STEP));
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_part_hears_what_the_whole_is_asked() {
        let whole = Cancel::default();
        let part = whole.child();
        let least = part.child();
        part.cancel();
        assert!(least.is_cancelled() && !whole.is_cancelled());
        let other = whole.child().child();
        assert!(!other.is_cancelled());
        whole.cancel();
        assert!(other.is_cancelled());
    }
}
