//! Layers: from files to a tar that depends on nothing but the files.
//!
//! ```text
//! path      the rules for names in a layer
//! context   a directory whose files may be added, and nothing outside
//! lookup    what a path of a context leads to, and what its directories hold
//! tree      what the layer holds: a sorted map from path to entry; later adds replace earlier ones
//! covers    what a layer has to say of a path to the one above it
//! resolve   where a destination leads to: links and directories of the layer and of those below it
//! way       how far links may lead on the way to one thing
//! walk      files and directories of a context -> entries (content is not read)
//! changed   whether owners were lost on the way, for a warning
//! unpack    a tar -> entries (content stays in the tar, or in a spool file when the tar is packed)
//! picked    a part of the file system of an image -> entries (content stays in a spool file)
//! xattrs    which extended attributes belong to an image
//! write     the tree -> a tar
//! fingerprint  whether two trees will give the same tar
//! build     the tar -> diff_id, packed -> digest, written: one pass
//! ```
//!
//! What comes out depends on the names, contents, modes, owners, times, links and extended attributes that went in, and on
//! the options: not on the order in which a directory is listed, on numbers of inodes, names of users, the clock, or how many
//! threads work.
//!
//! # What becomes of files
//!
//! | a file that | becomes |
//! |---|---|
//! | is a directory, a link, a device, a FIFO | the same; a link is never followed below the path that was given |
//! | has other names within the added directory (same inode) | content under the first of them by order, hard links under the others |
//! | is sparse | a whole file: holes are zeros, since not every reader of layers takes GNU's sparse files |
//! | is a socket | an error: nobody listens behind it in an image |
//! | is called `.wh.*` | an error: in a layer that removes another file (image-spec v1.1.1, layer.md, "Whiteouts") |
//!
//! Names are bytes. A name that is no UTF-8 is written as it is, as every tar that has to do with files does.

mod build;
mod changed;
mod context;
mod covers;
mod fingerprint;
mod lookup;
mod path;
mod picked;
mod resolve;
mod tree;
mod unpack;
mod walk;
mod way;
mod write;
mod xattrs;

use std::path::Path;

pub use self::build::{Built, build, build_tar};
pub use self::changed::ChangedOwners;
pub use self::context::Context;
pub(crate) use self::context::spool_file;
pub use self::covers::Covered;
pub use self::lookup::{End, Lookup};
pub(crate) use self::path::LONGEST_PART;
pub(crate) use self::picked::{Picked, Thing, ThingKind};
pub use self::resolve::Standing;
pub use self::tree::Tree;
pub use self::unpack::{Packed, sniff};
pub(crate) use self::way::Way;
pub use self::write::{LayerError, write};

/// Where something comes from that is added to a layer.
#[derive(Debug)]
pub enum Source<'a> {
    /// A file or directory of a context. What is in a directory goes below the destination; anything else becomes what stands
    /// there. Links in the path itself lead where they would if the context were the root of the system.
    Path(&'a Context, &'a Path),
    /// The content of a regular file.
    Bytes(&'a [u8]),
    /// A tar in a context, plain or packed as [`sniff`] says; what it holds goes below the destination.
    Tar {
        /// The context.
        context: &'a Context,
        /// The tar in it.
        path: &'a Path,
        /// The directory for a temporary file without a name, into which a packed tar is unpacked.
        spool: &'a Path,
    },
}

/// Whose files are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// As they are in the source. Those of a directory depend on who made it: what docker does with tars only.
    Keep,
    /// These numbers.
    Is {
        /// The number of the owner.
        uid: u32,
        /// The number of the group.
        gid: u32,
    },
}

/// What permissions files are to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modes {
    /// As they are in the source, with setuid, setgid and sticky.
    Keep,
    /// As git keeps them: 0755 for directories and for what its owner may execute, else 0644. The same whatever umask a
    /// checkout was made with.
    Plain,
    /// These 12 bits, for everything but links: for directories as well, as docker does.
    Are(u32),
}

/// Whether something of a directory is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It is.
    Take,
    /// It is not, and nothing below it.
    Leave,
    /// For a directory: only if something below it is.
    Below,
}

/// How something is added.
#[derive(Clone, Copy)]
pub struct AddOptions<'a> {
    /// Where in the layer. A leading slash means the root, which is also what an empty path means.
    pub to: &'a Path,
    /// Whose it is to be.
    pub owner: Owner,
    /// What permissions it is to have.
    pub modes: Modes,
    /// The latest time that a file may have, in seconds since 1970 (`SOURCE_DATE_EPOCH`). What has no time of its own, bytes
    /// and directories that are made on the way, gets this one, or 0.
    pub epoch: Option<i64>,
    /// Asked for everything below an added directory, with its path from the context, and whether it is a directory.
    pub choose: &'a dyn Fn(&Path, bool) -> Choice,
    /// Names of extended attributes to keep beside `security.capability` and `user.*`.
    pub xattrs: &'a [&'a str],
    /// What the layers below hold at a path without a leading slash, not following a link that stands there.
    pub below: &'a dyn Fn(&Path) -> Option<Standing>,
}

impl<'a> AddOptions<'a> {
    /// Adds everything to a place in a layer that stands on nothing: owned by root, with modes and times as they are.
    #[must_use]
    pub fn new(to: &'a Path) -> Self {
        Self {
            to,
            owner: Owner::Is { uid: 0, gid: 0 },
            modes: Modes::Keep,
            epoch: None,
            choose: &|_, _| Choice::Take,
            xattrs: &[],
            below: &|_| None,
        }
    }
}

impl std::fmt::Debug for AddOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { to, owner, modes, epoch, xattrs, .. } = self;
        f.debug_struct("AddOptions")
            .field("to", to)
            .field("owner", owner)
            .field("modes", modes)
            .field("epoch", epoch)
            .field("xattrs", xattrs)
            .finish_non_exhaustive()
    }
}
