//! gzip made again: of the same input the same bytes that another program made.
//!
//! The layers of most images were packed with Go's `compress/gzip`, by docker, BuildKit, containerd, ko and crane among others.
//! Whoever has what is in such a layer, and knows the [`Level`], need not carry the layer: [`Encoder`] makes the very bytes
//! again.
//!
//! # What is the same
//!
//! The encoder of Go 1.19 to 1.26 (package `compress/flate`), at all of its levels, which says nothing of deflate but of one
//! program: where it looks for repetitions and how long, when it takes one, where a block ends, which of the codes that are
//! shortest it takes. Go 1.27 packs in another way.
//!
//! # Parts
//!
//! | file | what |
//! |---|---|
//! | `encoder` | [`Encoder`], over one of three methods: |
//! | `plain` | levels 0 and -2 |
//! | `fast` | level 1 |
//! | `search`, `chain` | levels 2 to 9, and the window with its chains |
//! | `block`, `code`, `token`, `bits` | blocks, Huffman codes, symbols, bits |
//! | `checkpoint` | where an encoder can go on, so that several work on one stream |
//! | `gzip` | [`Header`] and [`Trailer`] |
//! | `find` | which level it was, by trying: [`find`](find::find), [`Follower`] |
//!
//! # Licence
//!
//! The decisions are those of Go's `compress/flate` and `compress/gzip`, and so is the order in which they are taken. Go is
//! copyright 2009 The Go Authors and under a BSD licence, which is in `LICENSES/BSD-3-Clause-Go.txt`.

mod bits;
mod block;
mod chain;
mod checkpoint;
mod code;
mod encoder;
mod fast;
pub mod find;
mod gzip;
mod level;
mod plain;
mod search;
mod token;

pub use checkpoint::{Checkpoint, HISTORY, ResumeError};
pub use encoder::{Encoder, LOOKAHEAD};
pub use find::Follower;
pub use gzip::{Header, HeaderError, Trailer};
pub use level::Level;
