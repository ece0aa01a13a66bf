//! Compact archives: what is in layers instead of the layers, and how to make the layers again, to the byte.
//!
//! Compression hides what is equal. A compact archive holds the content of files once, packed better than gzip does, and for each
//! layer a recipe: which bytes come from where, and what packed them. What a reader gets are the very bytes of the layer,
//! checked against its digest like any other content. docs/compact-format.md specifies the format.
//!
//! | in the archive | what |
//! |---|---|
//! | `compact.json` | [`CompactIndex`]: the layers that are made again, and what there is to make them of |
//! | `blobs/sha256/…` | pieces: content under its digest like any other. A *pool* is one zstd frame, and holds what is in files; a *pack* holds frames that follow each other: recipes, guides and patches |
//!
//! | file | what |
//! |---|---|
//! | `index` | [`CompactIndex`], the text of `compact.json` |
//! | `recipe` | [`Recipe`]: the steps that yield the plain bytes of a layer |
//! | `guide` | [`Guide`]: what the encoder of a layer needs beside them |
//! | `echoes` | [`Echoes`]: which tokens of it are those of a base |
//! | `cut` | [`Cutter`]: what of a layer is content of files and what is not |
//! | `stock` | [`Stock`]: pools, frames and bases, read by position and checked |
//! | `plain` | [`Plain`]: a reader of the plain bytes of a layer, step by step |
//! | `rebuild` | [`Rebuild`]: a reader of the layer, packed again by several threads, the `crew` |

mod crew;
mod cut;
mod echoes;
mod fault;
mod guide;
mod index;
mod plain;
mod rebuild;
mod recipe;
mod stock;
mod varint;

pub use cut::{Cut, Cutter};
pub use echoes::{Echoes, PackedFile};
pub use fault::RebuildError;
pub use guide::{BadGuide, Guide};
pub use index::{BaseLayer, CompactIndex, CompactLayer, Frame, Packer, Piece};
pub use plain::Plain;
pub use rebuild::Rebuild;
pub use recipe::{BadRecipe, Recipe, Space, Span, Step};
pub use stock::{BaseBytes, Bases, Bytes, Pieces, Stock};

/// The name of the index in an archive.
pub const COMPACT_JSON: &str = "compact.json";
/// How many bytes a frame unpacks to at most: 8 MiB. Every pool but the last unpacks to as many.
pub const LARGEST_FRAME: u64 = 8 << 20;
/// How many bytes a piece has at most: a little more than what cannot be compressed.
pub const LARGEST_PIECE: u64 = LARGEST_FRAME + (64 << 10);
/// How many bytes a patch is made against at most: 16 MiB.
pub const LARGEST_PREFIX: u64 = 16 << 20;
/// The largest recipe that is followed, in bytes: 32 MiB, which is enough for a million files.
pub const LARGEST_RECIPE: u64 = 32 << 20;
/// The largest guide that is followed, in bytes: 16 MiB.
pub const LARGEST_GUIDE: u64 = 16 << 20;
/// The largest list of echoes that is followed, in bytes: 2 MiB, which is enough for some ten GiB of stretches of the smallest size.
pub const LARGEST_ECHOES: u64 = 2 << 20;
/// The largest index that is read, in bytes: as large as `index.json` may be.
pub const LARGEST_INDEX: u64 = crate::document::LARGEST_INDEX_JSON;
