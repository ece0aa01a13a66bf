//! `flock`, for the backends: the kernel releases it when a process dies, however it dies.

use std::os::fd::AsFd;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// Tries to lock a file exclusively; `false` when another process holds it.
pub(super) fn try_exclusive(file: impl AsFd) -> Result<bool, Errno> {
    take(file, FlockOperation::NonBlockingLockExclusive)
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
