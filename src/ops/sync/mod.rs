//! `sync`: what a `barge.yaml` says is found, and brought to where it says.
//!
//! | file | what it does |
//! |---|---|
//! | `places.rs` | the paths that a pattern means |
//! | `find.rs` | the images of a source, in registries, layouts, archives and lists |
//! | `local.rs` | those in layouts and archives |
//! | `choose.rs` | which tags are meant, and which images are the newest |
//! | `prepare.rs` | what is to be done for one target: a copy, a push or nothing |
//!
//! All sources are found before the first target is written. The steps are those of `copy`, `save` and `push`: here is nothing
//! that moves a byte.

mod choose;
mod find;
mod local;
mod places;
mod prepare;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::find::find;
pub use self::prepare::{Prepared, described, prepare};
use super::Error;
use super::open::{Context, Store};
use super::target::WriteOptions;
use crate::content::Descriptor;
use crate::signing::{PrivateKey, PublicKey};
use crate::sync_file::{At, FileError, Kind, Lock, LockedImage, Parts, SyncFile, TargetKind};
use crate::text::{escaped, quoted};

/// What the files of keys hold that a `barge.yaml` names. The library asks nobody for a password.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// The public ones.
    pub public: BTreeMap<PathBuf, PublicKey>,
    /// The private ones.
    pub private: BTreeMap<PathBuf, Arc<PrivateKey>>,
}

impl Keys {
    fn publics(&self, paths: &[PathBuf]) -> Result<Vec<PublicKey>, Error> {
        paths.iter().map(|path| self.public.get(path).cloned().ok_or_else(|| not_read(path))).collect()
    }

    fn private(&self, path: &Path) -> Result<Arc<PrivateKey>, Error> {
        self.private.get(path).cloned().ok_or_else(|| not_read(path))
    }
}

fn not_read(path: &Path) -> Error {
    Error::Usage {
        message: format!("cannot use the key {}: it was not read", quoted(&path.to_string_lossy())),
        hint: None,
    }
}

/// How a file is carried out.
#[derive(Clone, Debug)]
pub struct SyncOptions {
    /// What the paths of the file are relative to.
    pub directory: PathBuf,
    /// The keys that it names, by the paths that stand there.
    pub keys: Keys,
    /// How targets are written.
    pub write: WriteOptions,
    /// Whether one image that cannot be pushed leaves the others undone.
    pub keep_going: bool,
}

impl SyncOptions {
    /// Returns where a path of the file leads.
    #[must_use]
    pub fn path(&self, text: &str) -> PathBuf {
        if self.directory.as_os_str().is_empty() { PathBuf::from(text) } else { self.directory.join(text) }
    }
}

/// What is known of an image before its name is decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Known {
    registry: Option<String>,
    repository: Option<String>,
    tag: Option<String>,
}

impl Known {
    fn parts<'a>(&'a self, root: &'a Descriptor) -> Parts<'a> {
        let [registry, repository, tag] = [&self.registry, &self.repository, &self.tag].map(|part| part.as_deref());
        Parts { registry, repository, tag, digest: root.digest() }
    }
}

/// An image of an entry.
#[derive(Clone, Debug)]
pub struct Image {
    /// Which of the places of the entry it is in.
    store: usize,
    /// The descriptor, as it stands there.
    pub root: Descriptor,
    /// What is known of its name.
    known: Known,
}

/// All images of an entry.
#[derive(Debug, Default)]
pub struct Found {
    /// The places.
    stores: Vec<Store>,
    /// The images, in order, each once.
    pub images: Vec<Image>,
    /// What each source gave, for a lock: in the order of the sources.
    pub gave: Vec<Vec<LockedImage>>,
}

/// Checks what a file says about its own places: a layout or an archive that it writes is never one of its sources, so that all
/// sources can be found first, and a second run finds what the first one found.
///
/// # Errors
/// When one is.
pub fn check(file: &SyncFile) -> Result<(), Error> {
    let targets: Vec<(&At, &str)> = file
        .entries
        .iter()
        .flat_map(|entry| &entry.targets)
        .filter_map(|target| match &target.kind {
            TargetKind::Registry(_) => None,
            TargetKind::Layout(path) | TargetKind::Archive(path) => Some((&target.at, path.as_str())),
            TargetKind::Bundle(bundle) => Some((&target.at, bundle.path.as_str())),
        })
        .collect();
    for source in file.entries.iter().flat_map(|entry| &entry.sources) {
        let (Kind::Layout(pattern) | Kind::Archive(pattern)) = &source.kind else { continue };
        if let Some((target, path)) = targets.iter().find(|(_, path)| places::means(pattern, path)) {
            let message = format!("{} is a target too, at {target}", quoted(path));
            let hint = "give both targets to the entry that has the sources, or use two files";
            return Err(FileError::at(&source.at, message, Some(hint.to_owned())).into());
        }
    }
    Ok(())
}

/// Checks that a lock is one of this file: it has all sources of the file, and no others.
///
/// # Errors
/// When it has too few or too many.
pub fn check_lock(file: &SyncFile, lock: &Lock, lock_file: &str) -> Result<(), Error> {
    let sources: Vec<_> = file.entries.iter().flat_map(|entry| &entry.sources).collect();
    let texts: Vec<String> = sources.iter().map(ToString::to_string).collect();
    if let Some((source, text)) = sources.iter().zip(&texts).find(|(_, text)| lock.of(text).is_none()) {
        return Err(FileError::not_locked(&source.at, text, lock_file).into());
    }
    if let Some(extra) = lock.sources.iter().find(|locked| !texts.contains(&locked.source)) {
        return Err(FileError::not_wanted(lock_file, &extra.source).into());
    }
    Ok(())
}

/// Puts together what the sources gave.
#[must_use]
pub fn locked(file: &SyncFile, found: &[Found]) -> Lock {
    let mut lock = Lock::default();
    for (entry, found) in file.entries.iter().zip(found) {
        for (source, images) in entry.sources.iter().zip(&found.gave) {
            lock.add(&source.to_string(), images);
        }
    }
    lock
}

/// Returns the words for a place in a file, around an error.
fn within(what: &str, at: &At) -> impl FnOnce(Error) -> Error {
    let what = format!("{} ({at})", escaped(what));
    move |error| match error.class() {
        // nothing is wrong with it
        crate::error::Class::Interrupted => error,
        _ => Error::Listed { what, error: Box::new(error) },
    }
}

/// Tells of something that stops nothing.
fn warn(context: &Context<'_>, text: String) {
    context.observer.hear(crate::transfer::Event::Warning(text));
}
