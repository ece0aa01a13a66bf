//! barge.
pub mod blob;
pub mod content;
pub mod digest;
pub mod document;
pub mod json;
pub mod media;
pub mod platform;
pub mod text;
