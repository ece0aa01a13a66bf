//! Memory that is at hand.
//!
//! A virtual machine may give back what has been free for a second or two, and it is slow when it is used again: filling a gigabyte
//! of page cache then takes two seconds instead of a quarter, which comes to one run and not to the next, whoever runs. `--hold` has
//! all memory taken, but for what a run needs, so that what is free is always what was in use a moment ago.

use std::fs;
use std::hint::black_box;
use std::thread;
use std::time::Duration;

/// What is taken and freed at once, in bytes.
const PIECE: usize = 64 << 20;
/// What stays free for the machine itself, in bytes.
const REST: usize = 400 << 20;
/// What is free when a run begins, in bytes: as much as the page cache of its output takes, twice.
const RUN: usize = 2 << 30;
/// How long it takes until all that was freed before has been given back.
const GIVEN_BACK: Duration = Duration::from_millis(2300);

/// What is held.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pieces: Vec<Vec<u8>>,
}

impl Memory {
    /// Takes all that is free but for a rest, waits until what nobody took has been given back, so that this does not happen
    /// during a run, and frees what a run needs.
    pub(crate) fn renew(&mut self) {
        while free().is_some_and(|free| free > REST + PIECE) {
            self.pieces.push(black_box(vec![1; PIECE]));
        }
        thread::sleep(GIVEN_BACK);
        self.release();
    }

    /// Frees what a run needs.
    pub(crate) fn release(&mut self) {
        self.pieces.truncate(self.pieces.len().saturating_sub(RUN / PIECE));
    }
}

/// Returns how much memory nobody uses, in bytes.
fn free() -> Option<usize> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemFree:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<usize>().ok()? << 10)
}
