//! `--limit-rate`: at most so many bytes a second, over all connections of a run.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Who reads or sends bytes pays for them with time.
#[derive(Debug)]
pub struct RateLimit {
    bytes_per_second: u64,
    /// Until when what was taken is paid for.
    paid_until: Mutex<Instant>,
}

impl RateLimit {
    /// Allows so many bytes a second; at least one.
    #[must_use]
    pub fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), paid_until: Mutex::new(Instant::now()) }
    }

    /// Returns how many bytes to take at once, so that a request to stop is heard soon.
    pub(super) fn at_once(&self) -> usize {
        usize::try_from(self.bytes_per_second / 8).unwrap_or(usize::MAX).max(1)
    }

    /// Waits for as long as so many bytes take, after all that was taken before.
    pub(super) fn pay(&self, bytes: u64) {
        let until = {
            let mut paid_until = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
            let cost = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
            let until = (*paid_until).max(Instant::now()).checked_add(cost);
            *paid_until = until.unwrap_or(*paid_until);
            *paid_until
        };
        thread::sleep(until.saturating_duration_since(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_their_time_however_they_are_cut() {
        let limit = RateLimit::new(100_000);
        let began = Instant::now();
        for _ in 0..20 {
            limit.pay(1000);
        }
        assert!(began.elapsed() >= Duration::from_millis(150), "{:?}", began.elapsed());
    }
}
