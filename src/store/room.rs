//! An early look at the free space: better to fail before the first byte than after the last but one.
//!
//! Only a look: others write too, and quotas are not seen. Whoever writes still meets the error that says so.

use std::io;
use std::path::Path;

use rustix::fs::StatVfs;

use super::StoreError;
use crate::text::human_size;

/// Fails when more is needed than a file system has room for; `path` is what is to be written, for the message.
pub(super) fn require(needed: u64, room: rustix::io::Result<StatVfs>, path: &Path) -> Result<(), StoreError> {
    // a file system that cannot say how much room it has is no reason to stop
    let Some(free) = room.ok().and_then(|room| free(&room)) else { return Ok(()) };
    if needed <= free {
        return Ok(());
    }
    Err(StoreError::io("write", path)(io::Error::new(io::ErrorKind::StorageFull, lack(needed, free))))
}

fn lack(needed: u64, free: u64) -> String {
    let [needed, free, missing] = [needed, free, needed - free].map(human_size);
    format!("{needed} are needed and {free} are free: {missing} are missing")
}

/// Returns the free bytes that this user may fill; `None` where the file system does not tell.
fn free(room: &StatVfs) -> Option<u64> {
    // a part is kept for root
    let blocks = if rustix::process::geteuid().is_root() { room.f_bfree } else { room.f_bavail };
    (room.f_blocks > 0).then(|| blocks.saturating_mul(room.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said() {
        let gib = |tenths: u64| (tenths << 30) / 10;
        assert_eq!(lack(gib(123), gib(41)), "12.3 GiB are needed and 4.1 GiB are free: 8.2 GiB are missing");
        let here = || rustix::fs::statvfs(".");
        require(0, here(), Path::new("x")).unwrap();
        let full = require(u64::MAX, here(), Path::new("x")).unwrap_err();
        assert_eq!((full.to_string().as_str(), full.class().exit_code()), ("cannot write x", 10));
        require(u64::MAX, Err(rustix::io::Errno::NOSYS), Path::new("x")).unwrap();
    }
}
