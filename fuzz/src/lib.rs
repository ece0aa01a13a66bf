//! What hostile input may not do to barge, one function for each kind of it. `fuzz_targets/` hands them to libFuzzer.
//!
//! A panic, a run over ten seconds and more than 512 MiB are found by the fuzzer itself. What else must hold is asserted
//! here: what was parsed prints as what it is, nothing is written outside a target, nothing raw reaches a terminal.
//!
//! | file | what is tried |
//! |---|---|
//! | `words` | references, platforms, JSON, keys and signatures |
//! | `files` | recipes, lists of images, packing lists, receipts, notes on parts |
//! | `places` | layouts whose documents are hostile, though their digests are right |
//! | `tars` | archives, and what stands in the header of an entry |
//! | `layers` | layers that are unpacked |
//! | `network` | what a registry answers, and what `serve` is asked |
//! | `compact` | compact archives: their documents, and layers made again of them |
//! | `regzip` | content that is packed, in one piece and in several |

mod compact;
mod files;
mod layers;
mod network;
mod places;
mod regzip;
mod tars;
mod words;

pub use compact::compact;
pub use files::{containerfile, image_list, packing_list};
pub use layers::layer;
pub use network::{registry, serve};
pub use places::documents;
pub use regzip::regzip;
pub use tars::{archive, docker_archive, pax};
pub use words::{json, keys, platform, reference};

use std::path::Path;

/// A message may not do anything to a terminal.
fn is_plain(message: &str) {
    let raw = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!message.contains(|c| raw(c) && c != '\n'), "raw characters in {message:?}");
}

/// Whatever an error says, cause by cause, is safe to show.
fn shown(error: &(dyn std::error::Error + 'static)) {
    let mut next = Some(error);
    while let Some(error) = next {
        is_plain(&error.to_string());
        next = error.source();
    }
}

/// Makes a directory in memory where the machine has one.
fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("barge-fuzz-").tempdir_in(parent).expect("a temporary directory")
}
