//! An offline toolchain for OCI image layouts and archives.
//!
//! barge builds images and merges those that were built for one platform each into one multi-arch image, checks every byte on
//! the way, carries it, and brings it to registries. It needs no daemon and no root, and a network only for registries. This page is the map of
//! the code.
//!
//! # Plan, transfer, commit
//!
//! Planners only read, and yield a [`plan::Plan`]: what is to arrive, and where each piece comes from. One engine,
//! [`transfer`], carries it out: every piece is read once, hashed while it is read, and written once, in as many lanes as
//! the target likes. Names come last: the only visible step is the rename of `index.json`, or of the archive, or the tag.
//!
//! # Layers, from the bottom up
//!
//! A module knows the rows above its own in this table, never those below, and a backend never knows another one.
//! `tests/architecture.rs` holds the table and fails on a `use` that climbs.
//!
//! | layer | modules |
//! |---|---|
//! | words: no I/O | [`text`], [`digest`], [`media`], [`platform`], [`mod@reference`], [`error`], [`json`], [`signing`] with keys, and `tar` and `yaml`, the formats |
//! | content and documents | [`content`], [`blob`], [`document`], [`recipe`], [`image_list`], [`simple_signing`], [`sigstore_bundle`], [`bundle`], [`sync_file`] |
//! | the contract | [`store`]: [`Source`](store::Source), [`Sink`](store::Sink), [`StoreError`](store::StoreError) |
//! | what backends share | [`store::names`]: how a commit edits `index.json`; [`store::referrer_list`]: how two lists of referrers become one |
//! | backends | [`store::memory`], [`store::layout`], [`store::archive`], [`store::registry`]: the only one that opens a connection; [`ops::serve`] is the only thing that takes any |
//! | what layers are made of, beside the backends | [`layer`] |
//! | the engine: knows the contract, no backend | [`graph`], [`plan`], [`transfer`] |
//! | operations: plain functions of plain options | [`ops`] |
//! | the terminal | `src/cli`, in the program only: clap, standard output, environment, signals |
//!
//! # Invariants
//!
//! 1. Content leaves a store only through a [`BlobReader`](blob::BlobReader), which checks size and digest and hands out the
//!    last bytes only when the whole is right. A blob gets its name only from the [`Proof`](blob::Proof) that such a reader
//!    yields; or, if barge made it, the [`Making`](blob::Making) that hashed it on its way.
//! 2. Bytes are copied, never re-serialised: a [`Document`](document::Document) is raw and parsed side by side. What barge
//!    makes itself is encoded by one function, [`json::encode`].
//! 3. Everything needed to decide is read before anything is written.
//! 4. Nothing the user had is lost: a file that cannot be parsed is never replaced, writers lock, re-read, change, rename.
//! 5. Local work opens no socket: only [`store::registry`] does, for a name in a registry, and [`ops::serve`], to be one.
//!    Credentials go to the host that they are for.
//! 6. Memory does not grow with the size of a blob, and archives are read in place.
//! 7. The same input gives the same bytes.
//! 8. Input is hostile: sizes, counts and depths are bounded, and text from outside is escaped by [`text::escaped`] before
//!    it reaches a terminal.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod blob;
pub mod bundle;
pub mod content;
pub mod digest;
pub mod document;
pub mod error;
pub mod graph;
pub mod image_list;
pub mod json;
pub mod layer;
pub mod media;
pub mod ops;
pub mod pack;
pub mod plan;
pub mod platform;
pub mod recipe;
pub mod reference;
pub mod signing;
pub mod sigstore_bundle;
pub mod simple_signing;
pub mod store;
pub mod sync_file;
mod tar;
pub mod text;
pub mod transfer;
mod yaml;
