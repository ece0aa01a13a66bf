//! Looking: what is in a place, without reading layers.

mod compact;
mod inspect;
mod list;
mod referrers;
mod tree;

pub use compact::CompactFacts;
pub use inspect::{Inspected, Part, inspect};
pub(in crate::ops) use list::look_at;
pub use list::{Entry, Kind, Listed, list};
pub use referrers::{Referrer, referrers};
pub use tree::{Branch, tree};

use super::choose::{config_of, platform_of};
