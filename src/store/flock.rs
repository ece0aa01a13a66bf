//! `flock`, for the backends: the kernel releases it when a process dies, however it dies.

use std::os::fd::AsFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::{Location, Reason, StoreError};
use crate::blob::Cancel;

/// The first and the longest pause between two tries for a lock.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));

/// Tries to lock a file exclusively; `false` when another process holds it.
pub(super) fn try_exclusive(file: impl AsFd) -> Result<bool, Errno> {
    take(file, FlockOperation::NonBlockingLockExclusive)
}

/// Returns the complaint about a lock that cannot be taken; `hint` is for a file system that has none.
pub(super) fn failed(error: Errno, place: &Location, path: &Path, hint: &str) -> StoreError {
    match error {
        Errno::NOLCK | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS => StoreError::Unsupported {
            action: "lock".to_owned(),
            place: place.clone(),
            reason: Reason(format!("its file system has no locks for whole files (flock): {error}")),
            hint: Some(hint.to_owned()),
        },
        error => StoreError::io("lock", path)(error.into()),
    }
}

/// Releases a lock at once. Closing the file alone does not while a program that was started meanwhile has it open too: a
/// child has all files of its parent until it becomes the other program.
pub(super) fn release(file: impl AsFd) {
    let _ = take(file, FlockOperation::Unlock); // closing it will
}

/// Carries out an operation that does not wait; `false` when another process is in the way.
pub(super) fn take(file: impl AsFd, operation: FlockOperation) -> Result<bool, Errno> {
    loop {
        match rustix::fs::flock(file.as_fd(), operation) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Tries until something is had, the time is over, or somebody asks to stop.
pub(super) fn wait<T>(
    place: &Location,
    timeout: Duration,
    cancel: &Cancel,
    mut attempt: impl FnMut() -> Result<Option<T>, StoreError>,
) -> Result<T, StoreError> {
    let (mut pause, longest) = PAUSES;
    let start = Instant::now();
    loop {
        if let Some(had) = attempt()? {
            return Ok(had);
        }
        if cancel.is_cancelled() {
            return Err(StoreError::Cancelled);
        }
        let Some(left) = timeout.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) else {
            return Err(StoreError::Busy { place: place.clone() });
        };
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(longest);
    }
}
