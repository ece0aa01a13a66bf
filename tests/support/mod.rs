//! What several test files share.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod belonging;
pub mod digests;
pub mod image;
pub mod screen;
pub mod tar;
pub mod tree;
