//! The life of images on disk, by the real program: `copy`, `save`, `load`, `tag`, `attach`, `rm`, `gc`, `cat`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // all of this is tests

mod align;
mod arrived;
mod attach;
mod bench;
mod carry;
mod cat;
mod copy;
mod gc;
mod kept;
mod kill;
mod lists;
mod load;
mod made;
mod manifests;
mod names;
mod quiet;
mod referrers;
mod reflink;
mod rm;
mod save;
#[path = "../support/tar.rs"]
mod tar;
mod together;
mod united;
