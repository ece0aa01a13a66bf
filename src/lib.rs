//! An offline toolchain for OCI image layouts and archives.

pub mod blob;
pub mod content;
pub mod digest;
pub mod document;
pub mod error;
pub mod graph;
pub mod json;
pub mod media;
pub mod plan;
pub mod platform;
pub mod reference;
pub mod store;
pub mod text;
pub mod transfer;
