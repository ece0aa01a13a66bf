//! What was picked out of the file system of an image becomes entries.
//!
//! Who picks has chosen what is wanted, and put its content one after the other into a file without a name, from which it
//! is read when the layer is written.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use super::context::refused;
use super::resolve::{Last, Standing};
use super::tree::{Content, Entry, Facts, Kind, Tarred, Tree};
use super::{AddOptions, path};
use crate::store::StoreError;
use crate::tar::header::Attributes;

/// A file, or a directory with what is wanted of it.
#[derive(Debug)]
pub(crate) struct Picked {
    /// Its path in the image, for messages.
    pub(crate) from: PathBuf,
    /// The thing itself.
    pub(crate) top: Thing,
    /// What is in it, by the path below it: a directory comes before what is in that.
    pub(crate) below: Vec<(Vec<u8>, Thing)>,
    /// The content of all files.
    pub(crate) content: File,
    /// Where that file is, for messages.
    pub(crate) spool: PathBuf,
}

/// One thing of an image.
#[derive(Debug)]
pub(crate) struct Thing {
    /// What it is.
    pub(crate) kind: ThingKind,
    /// How it is kept there.
    pub(crate) attributes: Attributes,
}

/// What it is.
#[derive(Debug)]
pub(crate) enum ThingKind {
    /// A directory.
    Directory,
    /// A file: where its content starts, how many bytes it has, and whether another name has the same. No two files
    /// start at one place, and be they empty.
    File { at: u64, size: u64, linked: bool },
    /// A symbolic link, and its target as it is written.
    Symlink(Box<[u8]>),
    /// A device or a FIFO: the type flag of a tar.
    Special(u8),
}

impl Tree {
    /// Adds what was picked, as [`Tree::add`] does with [`super::Source::Path`]; nobody is asked to choose any more.
    ///
    /// # Errors
    /// When it cannot be in a layer, or the destination cannot be in one. The tree is of no use then.
    pub(crate) fn add_picked(&mut self, options: &AddOptions<'_>, picked: Picked) -> Result<(), StoreError> {
        let Picked { from, top, below, content, spool } = picked;
        let tar = u32::try_from(self.tars.len()).unwrap_or(u32::MAX);
        self.tars.push(Tarred { file: content, path: spool, identity: None });
        if !matches!(top.kind, ThingKind::Directory) {
            let to = self.destination(options, Last::Itself)?;
            if to.is_empty() {
                return Err(refused(&from, "it is no directory, and the root of a layer is one"));
            }
            return self.insert(to, top.entry(options, tar));
        }
        let to = self.destination(options, Last::Followed)?;
        self.make_root(options, to.clone(), top.entry(options, tar).facts)?;
        for (name, thing) in below {
            self.check_cancelled()?;
            let refuse = |reason: String| refused(&from.join(OsStr::from_bytes(&name)), reason);
            let to = path::join(&to, &name);
            path::check(&to).map_err(refuse)?;
            if matches!(thing.kind, ThingKind::Directory)
                && let Some(Standing::Symlink(_)) = self.standing(options, &to)
            {
                let link = crate::text::quoted(&String::from_utf8_lossy(&to));
                return Err(refuse(format!("it is a directory, and {link} is a symbolic link in the image")));
            }
            self.insert(to, thing.entry(options, tar))?;
        }
        Ok(())
    }
}

impl Thing {
    fn entry(self, options: &AddOptions<'_>, tar: u32) -> Entry {
        let (major, minor) = self.attributes.device;
        let facts = Facts::of(self.attributes, options);
        let kind = match self.kind {
            ThingKind::Directory => Kind::Directory,
            ThingKind::File { at, size, linked } => Kind::File(Content::Tarred { tar, at, size, linked }),
            ThingKind::Symlink(target) => Kind::Symlink(target),
            ThingKind::Special(flag @ (b'3' | b'4')) => Kind::Device { flag, major, minor },
            ThingKind::Special(_) => Kind::Fifo,
        };
        Entry { facts: facts.for_kind(&kind, options), kind }
    }
}
