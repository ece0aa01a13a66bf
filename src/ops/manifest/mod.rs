//! `manifest`: lists (image indexes) by their names, made and changed where they lie. What docker, buildah and podman do with
//! lists in a store of their own is done here in a layout, by the code of `merge`.
//!
//! ```text
//! create     a list from images, or more images for one
//! entry      one entry of a list: found, annotated, removed
//! elsewhere  what a list refers to and the layout does not hold: where it is, and how it is read from there
//! ```
//!
//! A list may refer to images whose layers are in a registry. Its manifests and configs are here, and so it can be looked at
//! and changed; where the rest is stands beside its name in `index.json`, never in the list itself, which is the same whoever
//! made it of whatever form of its images.

mod create;
mod elsewhere;
mod entry;

pub use self::create::{CreateOptions, Existing, ListSource, Listing, create, list_sources};
pub use self::elsewhere::{Lent, elsewhere, is_elsewhere};
pub use self::entry::{Changed, EntryChanges, annotate, describe_entry, find_entry, find_list, remove_entries};
