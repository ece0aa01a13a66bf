//! Writing to a place in a file, and on to the medium early.
//!
//! A file that is to survive a loss of power is flushed when it is whole. A large one would leave all its bytes to that
//! moment, with the processors idle; so the system is asked to begin with what has been written while the rest is coming.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;

use super::Durability;

/// How many bytes are handed to the medium at once.
const WINDOW: u64 = 8 << 20;

/// Writes to a file from a position on, whatever the file's own position is.
#[derive(Debug)]
pub(super) struct Placed<'a> {
    file: &'a File,
    position: u64,
    /// Up to where the medium has been asked to take it.
    handed: u64,
    durability: Durability,
}

impl<'a> Placed<'a> {
    /// Begins at a position.
    pub(super) const fn at(file: &'a File, position: u64, durability: Durability) -> Self {
        Self { file, position, handed: position, durability }
    }
}

impl Write for Placed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write_at(bytes, self.position)?;
        self.position += count as u64;
        if self.durability == Durability::Synced && self.position - self.handed >= WINDOW {
            begin(self.file, self.handed, self.position - self.handed);
            self.handed = self.position;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Asks the system to begin to write a part of a file to the medium. `posix_fadvise(2)` says of `POSIX_FADV_DONTNEED` that dirty
/// pages may be written then; Linux begins with it at once, does not wait, and keeps them in memory until they are written.
#[cfg(target_os = "linux")]
fn begin(file: &File, from: u64, length: u64) {
    // an advice: nothing depends on whether it is taken
    let _ = rustix::fs::fadvise(file, from, std::num::NonZeroU64::new(length), rustix::fs::Advice::DontNeed);
}

/// Other systems have no such advice.
#[cfg(not(target_os = "linux"))]
fn begin(_: &File, _: u64, _: u64) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_to_their_place_whatever_the_window() {
        for durability in [Durability::Synced, Durability::Unsynced] {
            let file = tempfile::tempfile().unwrap();
            let bytes: Vec<u8> = (0..WINDOW as usize + 300_000).map(|at| (at / 7) as u8).collect();
            let mut placed = Placed::at(&file, 1000, durability);
            for piece in bytes.chunks(100_000) {
                placed.write_all(piece).unwrap();
            }
            placed.flush().unwrap();
            let mut there = vec![0; bytes.len()];
            file.read_exact_at(&mut there, 1000).unwrap();
            assert!(there == bytes, "{durability:?}");
            assert_eq!(file.metadata().unwrap().len(), 1000 + bytes.len() as u64);
        }
    }
}
