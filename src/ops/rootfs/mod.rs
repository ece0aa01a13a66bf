//! The file system that a stack of layers makes, by its names and attributes.
//!
//! ```text
//! chunks      a layer -> unpacked bytes, checked by both of its digests (one thread)
//! names       names in a layer: parts of a path, whiteouts
//! fault       what can be wrong, by whose fault it is
//! outline     the names alone, in memory
//! ```

pub(in crate::ops) mod chunks;
pub(in crate::ops) mod fault;
pub(in crate::ops) mod names;
pub(in crate::ops) mod outline;
