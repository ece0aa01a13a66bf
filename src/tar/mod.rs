//! The tar format: headers, their extensions, and the entries that they make together; read strictly, written plainly.
//!
//! ```text
//! header    one block -> its fields
//! pax       records of an extended header -> name, link, size, attributes
//! entry     extensions and a header -> one entry
//! stream    a reader -> entry after entry, each with its content
//! encode    fields -> a header, with its extension where it needs one
//! ```
//!
//! Shared by whoever reads a tar by position (an archive of images) and whoever reads one from a stream (a layer). What
//! two readers of tars could take differently is refused here, so that both refuse the same. What a name may be is not
//! known here: an archive's is a key, a layer's becomes a path.

pub(crate) mod encode;
pub(crate) mod entry;
pub(crate) mod header;
#[cfg(test)]
#[path = "../../tests/support/tar.rs"]
pub(crate) mod made;
pub(crate) mod pax;
pub(crate) mod stream;
