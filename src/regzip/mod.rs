//! gzip made again: of the same input the same bytes that another program made.
//!
//! The layers of most images were packed by one of a few programs. Whoever has what is in such a layer, and knows the [`Way`],
//! need not carry the layer: [`Encoder`] makes the very bytes again.
//!
//! # Ways
//!
//! Each is the encoder of one program, of which deflate says nothing: where it looks for repetitions and how long, when it
//! takes one, where a block ends, which of the codes that are shortest it takes.
//!
//! | way | program | who uses it | levels |
//! |---|---|---|---|
//! | [`Way::Go`] | Go's `compress/gzip`, 1.19 to 1.26 | docker, BuildKit, containerd, ko, crane | all |
//! | [`Way::Klauspost`] | klauspost/compress from 1.15.11 (September 2022) on, with or without pgzip; Go from 1.27 on | podman, buildah, skopeo, umoci, apko | 1 to 6, of which 5 is the usual one |
//! | [`Way::Zlib`] | zlib, from 1.2.5 (2010) on at least | python, Java with jib, libarchive | 1 to 9 |
//! | [`Way::Gzip`] | GNU gzip, 1.12 at least, but for `--rsyncable` | those who pack by hand, `tar -z` | 1 to 9 |
//! | [`Way::Pigz`] | pigz, from 2.2.4 (2012) on, over zlib, but for `--rsyncable` | the same on many cores | 1 to 9 |
//! | [`Way::Barge`] | [`pack`](mod@crate::pack), over zlib-rs | barge | all |
//!
//! Those that pack block by block can go on at every block. How precise the guess of klauspost's encoder is depends on the
//! processor: it is made as amd64 does it.
//!
//! # Parts
//!
//! | file | what |
//! |---|---|
//! | `way` | [`Way`]: which program, and what it was told |
//! | `encoder` | [`Encoder`], over one of these methods: |
//! | `plain` | Go's levels 0 and -2 |
//! | `fast` | Go's level 1 |
//! | `search`, `chain` | Go's levels 2 to 9, and the window with its chains |
//! | `blocks` | barge's |
//! | `klauspost` | klauspost's |
//! | `zlib` | zlib's, GNU gzip's and pigz's |
//! | `block`, `code`, `token`, `bits` | blocks, Huffman codes, symbols, bits |
//! | `tail` | what a block knows of the one before |
//! | `checkpoint` | where an encoder can go on, so that several work on one stream |
//! | `read`, `decoder`, `echo`, `listen` | tokens of a stream that is there, and where they are those of another one: [`Echo`] |
//! | `gzip` | [`Header`] and [`Trailer`] |
//! | `find` | which way it was, by trying: [`find`](find::find), [`Follower`] |
//! | `stretch` | following a stream at several places at once |
//!
//! # Licence
//!
//! The decisions are those of Go's `compress/flate` and `compress/gzip`, and so is the order in which they are taken. Go is
//! copyright 2009 The Go Authors and under a BSD licence, which is in `LICENSES/BSD-3-Clause-Go.txt`. Those of `klauspost` are those of
//! klauspost/compress, copyright 2012 The Go Authors and 2019 Klaus Post and under a BSD licence,
//! `LICENSES/BSD-3-Clause-klauspost.txt`; how its blocks follow each other is pgzip's way, copyright 2014 Klaus Post and under the MIT
//! licence, `LICENSES/MIT-pgzip.txt`. Those of `zlib` are those of zlib, copyright 1995 to 2022 Jean-loup Gailly and Mark Adler and under its licence,
//! `LICENSES/Zlib.txt`, and how pigz's blocks follow each other is that of pigz, copyright 2007 to 2023 Mark Adler and under the same
//! licence, `LICENSES/Zlib-pigz.txt`. GNU gzip has an encoder of which zlib's came to be: its decisions are told by those of zlib and what is
//! known of the differences, and nothing of it is in here.

mod bits;
mod block;
mod blocks;
mod chain;
mod checkpoint;
mod code;
mod decoder;
mod echo;
mod encoder;
mod fast;
pub mod find;
mod gzip;
mod klauspost;
mod level;
pub mod listen;
mod plain;
mod read;
mod search;
pub mod stretch;
mod tail;
mod token;
mod way;
mod zlib;

pub use checkpoint::{Checkpoint, HISTORY, ResumeError};
pub use echo::Echo;
pub use encoder::{Encoder, LOOKAHEAD};
pub use find::Follower;
pub use gzip::{Header, HeaderError, Trailer};
pub use klauspost::Headers;
pub use level::Level;
pub use read::{Packed, ReadError};
pub use way::Way;
pub use zlib::PigzBlocks;

pub(crate) use blocks::deflate_block;
