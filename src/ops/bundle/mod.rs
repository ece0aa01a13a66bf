//! Bundles: archives that say what they bring, leave out what the other side has, and can be checked as a whole.
//!
//! | file | what it does |
//! |---|---|
//! | `packing.rs` | makes the packing list of an archive that is about to be written |
//! | `packed.rs` | reads the packing list of an archive that is there |
//! | `base.rs` | learns what the other side has, and leaves that out of a copy |
//! | `delta.rs` | reads an archive that leaves content out together with the place that has it |
//! | `receipt.rs` | lists what is really in a place |
//! | `trust.rs` | checks that an archive or a receipt is what somebody with a key has signed |

mod base;
mod delta;
mod packed;
mod packing;
mod receipt;
mod trust;

pub use self::base::{BaseContents, leave_out, read_base, refuse_replacing};
pub use self::delta::{Delta, deltas, explain, refuse_incomplete};
pub(in crate::ops) use self::delta::{has, lacked_by};
pub use self::packed::{Packed, packed_in};
pub use self::packing::{Packing, no_list_to_sign};
pub(in crate::ops) use self::packing::{packing_list, refuse_to_sign, signature_of};
pub use self::receipt::{Reading, Receipted};
pub use self::trust::{Untrusted, trusted, trusted_archive, trusted_base};
