//! Work in lanes: several threads take one item after the other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::StoreError;
use crate::blob::Cancel;

/// A failure that may be no more than a request to stop.
pub trait Stopped {
    /// Returns whether it is one.
    fn is_stopped(&self) -> bool;
}

impl Stopped for StoreError {
    fn is_stopped(&self) -> bool {
        matches!(self, Self::Cancelled)
    }
}

/// Does something with every piece, in so many lanes, in order of the list; the first failure, by the order of the list
/// among those that happened, stops all.
///
/// # Errors
/// That failure, and the piece it happened to.
pub fn in_lanes<'a, T: Sync, E: Stopped + Send>(
    items: &'a [T],
    lanes: usize,
    cancel: &Cancel,
    work: impl Fn(&T, &Cancel) -> Result<(), E> + Sync,
) -> Result<(), (&'a T, E)> {
    let cancel = cancel.child();
    let next = AtomicUsize::new(0);
    let failure: Mutex<Option<(usize, E)>> = Mutex::new(None);
    let lane = || {
        while !cancel.is_cancelled() {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return };
            if let Err(error) = work(item, &cancel) {
                let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                // lanes that stop because another one failed have nothing to tell
                let tells = |old: &(usize, E)| old.1.is_stopped() || at < old.0;
                let stopped = error.is_stopped() && failure.is_some();
                if !stopped && failure.as_ref().is_none_or(tells) {
                    *failure = Some((at, error));
                }
                cancel.cancel();
            }
        }
    };
    let lanes = lanes.clamp(1, items.len().max(1));
    thread::scope(|scope| {
        for _ in 1..lanes {
            // where the machine gives no more threads, those that are there do the work
            if thread::Builder::new().spawn_scoped(scope, lane).is_err() {
                break;
            }
        }
        lane();
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((at, error)) => Err((&items[at], error)),
        None => Ok(()),
    }
}
