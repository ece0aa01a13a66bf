//! `barge sync` and `barge lock`, with a real registry: what a `barge.yaml` says arrives, and nothing else.
//!
//! [`runs`] brings images to every kind of target, [`choices`] decides about tags, [`locks`] holds digests, [`refused`] is what
//! must not happen, [`watched`] goes on until a signal, and [`schema`] holds docs/sync.schema.json to what the program takes. A
//! test whose programs are not installed fails in CI, and elsewhere says that it was skipped.

#![allow(clippy::unwrap_used, clippy::panic)] // all of this is tests

mod bench;
mod choices;
#[path = "../support/distribution/mod.rs"]
mod distribution;
mod locks;
mod refused;
mod runs;
mod schema;
#[path = "../support/mod.rs"]
mod support;
mod watched;
#[allow(dead_code)] // the other programs' tests use more of it
#[path = "../interop/work.rs"]
mod work;
