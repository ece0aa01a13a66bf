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
//! | words: no I/O | [`text`], [`digest`], [`media`], [`platform`], [`mod@reference`], [`error`], [`json`], [`signing`] with keys, and `tar`, `yaml` and [`regzip`], the formats |
//! | content and documents | [`content`], [`blob`], [`document`], [`recipe`], [`image_list`], [`simple_signing`], [`sigstore_bundle`], [`bundle`], [`compact`], [`sync_file`]; `positions`: how a list is looked through by digest |
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

//!
//! # Use
//!
//! A [`Workspace`](ops::workspace::Workspace) is what a run works with. Words are opened in it as on the command line, an operation
//! plans, and a target takes what was planned:
//!
//! ```
//! use barge::ops::lookup::select_for_merge;
//! use barge::ops::merge::{MergeOptions, MergeSource, merge};
//! use barge::ops::open::open;
//! use barge::ops::target::{Target, WriteOptions};
//! use barge::ops::workspace::Workspace;
//! use barge::transfer::Deaf;
//!
//! let workspace = Workspace::offline();
//! let words = ["fixtures/umoci-amd64:v1", "fixtures/skopeo-arm64.tar"];
//! let opened = words.map(|word| open(word, &workspace.context()));
//! let opened = opened.into_iter().collect::<Result<Vec<_>, _>>()?;
//! let mut sources = Vec::new();
//! for place in &opened {
//!     let roots = select_for_merge(&place.store, place.selector.as_ref())?;
//!     sources.push(MergeSource { label: place.label.clone(), source: &place.store, roots });
//! }
//! let options = MergeOptions { names: vec!["example.com/app:v1".parse()?], ..MergeOptions::default() };
//! let merged = merge(&sources, &options)?;
//! assert_eq!(merged.members.len(), 2);
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("dist");
//! # let dist = path.to_str().unwrap();
//! let target = Target::open(Some(dist), &workspace.context(), WriteOptions::default())?;
//! let summary = target.deliver(merged.plan, &workspace.cancel, &Deaf)?;
//! println!("{} has {} bytes", merged.index.descriptor().digest(), summary.written_bytes);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! And every reachable byte is read and compared, whoever wrote it:
//!
//! ```
//! use barge::ops::open::open;
//! use barge::ops::verify::{Depth, verify};
//! use barge::ops::workspace::Workspace;
//! use barge::transfer::Deaf;
//!
//! let workspace = Workspace::offline();
//! let place = open("fixtures/buildx-amd64-arm64.tar", &workspace.context())?;
//! let verified =
//!     verify(&place.store, place.selector.as_ref(), Depth::DiffIds, std::num::NonZeroUsize::MIN, &workspace.cancel, &Deaf)?;
//! assert!(verified.problems.is_empty());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! What is public keeps to semantic versions: before 1.0 a change that breaks is a new minor version and stands in CHANGELOG.md,
//! in an entry that begins with "Library". What the program prints and its exit codes are the contract of the program, not of the library.

#![deny(missing_docs)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod blob;
pub mod bundle;
pub mod compact;
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
mod positions;
pub mod recipe;
pub mod reference;
pub mod regzip;
pub mod signing;
pub mod sigstore_bundle;
pub mod simple_signing;
pub mod store;
pub mod sync_file;
mod tar;
pub mod text;
pub mod transfer;
mod yaml;
