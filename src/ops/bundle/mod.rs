//! Bundles: archives that say what they bring, leave out what the other side has, and can be checked as a whole.
//!
//! | file | what it does |
//! |---|---|
//! | `packing.rs` | makes the packing list of an archive that is about to be written |
//! | `packed.rs` | reads the packing list of an archive that is there |
//! | `base.rs` | learns what the other side has, and leaves that out of a copy |
//! | `delta.rs` | reads an archive that leaves content out together with the place that has it |
//! | `receipt.rs` | lists what is really in a place |

mod base;
mod delta;
mod packed;
mod packing;
mod receipt;

pub use self::base::{BaseContents, leave_out, read_base};
pub use self::delta::{Delta, deltas, refuse_incomplete};
pub use self::packed::{Packed, packed_in};
pub use self::packing::Packing;
pub(in crate::ops) use self::packing::packing_list;
pub use self::receipt::{Reading, Receipted};
