//! The threads that pack layers again, and how much they may hold at once.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

/// More are of no use: what they pack comes from one thread for each layer, which makes and hashes the bytes for a dozen of them.
const MOST: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// Work for a thread.
type Job = Box<dyn FnOnce() + Send>;

/// Threads that are shared by all readers of an archive. They are started when they are first needed, and end with it.
///
/// How much is under way for them is bounded, however many readers there are: who is given no place does the work itself.
pub(super) struct Crew {
    threads: NonZeroUsize,
    jobs: OnceLock<Option<Sender<Job>>>,
    under_way: Arc<AtomicUsize>,
}

/// A place among what is under way, until it is dropped.
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Crew {
    pub(super) fn new(threads: NonZeroUsize) -> Self {
        Self { threads: threads.min(MOST), jobs: OnceLock::new(), under_way: Arc::default() }
    }

    /// Returns how many there are.
    pub(super) const fn threads(&self) -> usize {
        self.threads.get()
    }

    /// Returns a place, if there is one: two for each thread, so that none of them waits for its next work.
    pub(super) fn place(&self) -> Option<Place> {
        let most = self.threads.get().saturating_mul(2);
        let more = |now: usize| (now < most).then_some(now + 1);
        let taken = self.under_way.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| Place(Arc::clone(&self.under_way)))
    }

    /// Hands work to a thread. It is given back if there is none.
    pub(super) fn send(&self, job: Job) -> Result<(), Job> {
        match self.jobs.get_or_init(|| self.start()) {
            Some(jobs) => jobs.send(job).map_err(|unsent| unsent.0),
            None => Err(job),
        }
    }

    fn start(&self) -> Option<Sender<Job>> {
        let (send, receive) = channel();
        let receive = Arc::new(Mutex::new(receive));
        let work = |receive: Arc<Mutex<Receiver<Job>>>| {
            // the lock is held while waiting, and not while working
            let next = || receive.lock().unwrap_or_else(PoisonError::into_inner).recv();
            while let Ok(job) = next() {
                job();
            }
        };
        let mut started = 0;
        for _ in 0..self.threads.get() {
            let receive = Arc::clone(&receive);
            let thread = thread::Builder::new().name("rebuild".to_owned()).spawn(move || work(receive));
            started += usize::from(thread.is_ok());
        }
        (started > 0).then_some(send)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_come_back() {
        let crew = Crew::new(NonZeroUsize::new(2).unwrap());
        let mut places: Vec<_> = std::iter::from_fn(|| crew.place()).collect();
        assert_eq!(places.len(), 4);
        places.pop();
        assert!(crew.place().is_some());
        let (send, receive) = channel();
        for number in 0..100 {
            let send = send.clone();
            assert!(crew.send(Box::new(move || send.send(number).unwrap())).is_ok());
        }
        drop(send);
        let mut done: Vec<i32> = receive.iter().collect();
        done.sort_unstable();
        assert_eq!(done, (0..100).collect::<Vec<_>>());
    }
}
