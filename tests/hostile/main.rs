//! What no honest program writes, and what honest programs write oddly: every case is run through the program with every
//! command that could read it, under limits of time and memory, with eyes on all that it must not touch.
//!
//! | file | kind |
//! |---|---|
//! | `ordeal.rs` | how a case is run, and what must hold in every run |
//! | `documents.rs`, `descriptors.rs`, `index_json.rs` | layouts: documents that lie |
//! | `files.rs`, `content.rs` | layouts: files that are none, and content that is damaged |
//! | `dialects.rs`, `tars.rs`, `cut.rs` | archives: what readers take differently, lies, and what is cut |
//! | `bombs.rs` | little that wants to become much, in time or in memory |
//! | `docker_archives.rs` | archives whose images `manifest.json` lists |
//! | `parts.rs` | split archives and receipts |
//! | `layers.rs` | layers: how a row is run, and what has to hold |
//! | `layers_names.rs`, `layers_links.rs`, `layers_whiteouts.rs`, `layers_attributes.rs` | layers: what they hold |
//! | `layers_large.rs` | layers: little that wants to become much |
//! | `layers_made.rs` | layers as programs make them |
//! | `unusual.rs`, `rare.rs` | odd and right: taken as it is |
//!
//! A row says what the case is, why it is tried, what has to be said, and with which exit code.

// helpers of tests stand outside of test functions
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../cli/environment.rs"]
#[allow(dead_code)]
mod environment;
#[path = "../support/mod.rs"]
mod support;

mod bombs;
mod content;
mod cut;
mod descriptors;
mod dialects;
mod docker_archives;
mod documents;
mod files;
mod index_json;
mod layers;
mod layers_attributes;
mod layers_large;
mod layers_links;
mod layers_made;
mod layers_names;
mod layers_whiteouts;
mod ordeal;
mod parts;
mod rare;
mod tars;
mod unusual;
