//! A place that is served: open, looked at again with every request, and opened again when it has changed.
//!
//! A layout gains and loses images while it is served, and an archive may be replaced. What is being sent goes on from what
//! was opened; what is asked next comes from what is there by then. When that cannot be used, the old is served on as long
//! as it is still whole.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::event::{Event, Observer};
use super::gaps::left_out;
use super::names::RepositoryName;
use crate::blob::Cancel;
use crate::content::{Content, Descriptor};
use crate::ops::Error;
use crate::ops::open::{Context, Store, open};
use crate::ops::parts::SplitArchives;
use crate::store::archive::Identity;
use crate::store::layout::KnownIndexes;
use crate::store::registry::Registries;
use crate::store::{Location, Source as _, StoreError};
use crate::text::quoted;
use crate::transfer::Deaf;

/// How long a place that cannot be used is not tried again, and one of many files not looked at again.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many files are looked at with every request.
const FEW: usize = 16;

/// How places are opened.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    /// The current layout: where compact archives find what they take bytes of.
    pub(super) layout: Option<PathBuf>,
    /// All places that are served together: one may be made of layers of another.
    pub(super) bases: Vec<PathBuf>,
    /// Where compressed archives are unpacked to.
    pub(super) tmpdir: Option<PathBuf>,
    /// Where parts of split archives are looked for.
    pub(super) part_dirs: Vec<PathBuf>,
    /// Whether blobs are hashed before they are served; else, those of archives are.
    pub(super) read_verify: Option<bool>,
    /// A request to stop.
    pub(super) cancel: Cancel,
}

/// A place as it was at one moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    store: Store,
    name: RepositoryName,
    roots: Vec<Descriptor>,
    left_out: Vec<Content>,
    number: u64,
    read_verify: bool,
}

impl Snapshot {
    /// Returns the open place.
    pub(super) const fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the repository for what has no name in it.
    pub(super) const fn name(&self) -> &RepositoryName {
        &self.name
    }

    /// Returns its top-level descriptors, as they were when it was opened.
    pub(super) fn roots(&self) -> &[Descriptor] {
        &self.roots
    }

    /// Returns what it says that it leaves out, because somebody else has it.
    pub(super) fn left_out(&self) -> &[Content] {
        &self.left_out
    }

    /// Returns a number that no other opening has.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// Returns whether blobs of it are to be hashed before they are served.
    pub(super) const fn read_verify(&self) -> bool {
        self.read_verify
    }
}

/// The files that say what a place holds, and in which state they are.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// A layout: its directory by device and inode, and its `index.json`.
    Layout(Option<(u64, u64)>, Option<Identity>),
    /// An archive, which may have several.
    Archive(Vec<Option<Identity>>),
}

/// A place that is served.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    opening: Opening,
    current: Mutex<Current>,
    /// Held by whoever opens it again.
    opening_again: Mutex<()>,
}

#[derive(Debug)]
struct Current {
    snapshot: Arc<Snapshot>,
    state: State,
    /// What could not be used, and when that was tried.
    refused: Option<(State, Instant)>,
    /// Whether what was opened is no longer what it was: nothing of it can be given.
    broken: bool,
    /// When its files were looked at.
    looked: Instant,
}

impl Current {
    fn new(snapshot: Arc<Snapshot>, state: State) -> Self {
        Self { snapshot, state, refused: None, broken: false, looked: Instant::now() }
    }

    /// Returns whether its files need not be looked at again. To look at one costs nothing; at a thousand parts it does.
    fn is_fresh(&self) -> bool {
        matches!(&self.state, State::Archive(files) if files.len() > FEW) && self.looked.elapsed() < PATIENCE
    }

    fn given(&self) -> Result<Arc<Snapshot>, Broken> {
        match self.broken {
            true => Err(Broken(self.snapshot.store.location().clone())),
            false => Ok(Arc::clone(&self.snapshot)),
        }
    }
}

/// A place whose content was changed under it, and that is no longer readable.
#[derive(Debug)]
pub(super) struct Broken(pub(super) Location);

impl Place {
    /// Opens what a word means.
    ///
    /// # Errors
    /// [`Error::Usage`] when it is a registry, one image of a place, or standard input; [`Error::Absent`] and
    /// [`Error::Store`] when there is nothing that can be served.
    pub(super) fn open(word: &str, opening: &Opening, context: &Context<'_>) -> Result<Self, Error> {
        let opened = open(word, context)?;
        if opened.selector.is_some() {
            return Err(Error::Usage {
                message: format!("cannot serve {} alone: a place is served with all its images", quoted(word)),
                hint: Some("copy the image to a place of its own first: `barge copy REF DIRECTORY`".to_owned()),
            });
        }
        let path = opened.store.location().path().map(Path::to_path_buf);
        let (Some(path), Store::Layout(_) | Store::Archive(_)) = (path, &opened.store) else {
            return Err(Error::Usage {
                message: format!("cannot serve {}: only layouts and archives are served", quoted(word)),
                hint: Some("give a directory or a file, or bring it here first with `barge pull`".to_owned()),
            });
        };
        let state = opened_state(&opened.store, &path);
        let snapshot = snapshot_of(opened.store, &path, opening)?;
        let current = Mutex::new(Current::new(snapshot, state));
        Ok(Self { path, opening: opening.clone(), current, opening_again: Mutex::default() })
    }

    /// Returns the place as it is now: opened again if it has changed. While one thread does that, which may take long, the
    /// others get what was there before.
    ///
    /// # Errors
    /// When it was changed where it lay, and cannot be opened any more.
    pub(super) fn now(&self, observer: &dyn Observer) -> Result<Arc<Snapshot>, Broken> {
        let (held, state) = {
            let mut current = self.current();
            if current.is_fresh() {
                return current.given();
            }
            let state = state_of(&current.snapshot.store, &self.path);
            current.looked = Instant::now();
            if state == current.state {
                current.broken = false;
                return current.given();
            }
            let tried = current.refused.as_ref();
            if tried.is_some_and(|(tried, at)| *tried == state || at.elapsed() < PATIENCE) {
                return current.given();
            }
            (Arc::clone(&current.snapshot), state)
        };
        let place = held.store.location();
        let Ok(_only_one) = self.opening_again.try_lock() else {
            return if is_as_opened(&held.store) { Ok(held) } else { Err(Broken(place.clone())) };
        };
        let opened = self.open_again();
        let mut current = self.current();
        match opened {
            Ok((snapshot, state)) => {
                *current = Current::new(snapshot, state);
                observer.hear(Event::Told(&format!("{place} has changed: serving what is there now")));
            }
            Err(error) => {
                current.broken = !is_as_opened(&held.store);
                current.refused = Some((state, Instant::now()));
                let goes_on = if current.broken { "none of it is served" } else { "serving what was there before" };
                let why = std::iter::once(error.to_string()).chain(error.causes()).collect::<Vec<_>>().join(": ");
                observer.hear(Event::Warning(&format!("{place} has changed and cannot be used, {goes_on}: {why}")));
            }
        }
        current.given()
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_again(&self) -> Result<(Arc<Snapshot>, State), Error> {
        let Opening { layout, bases, tmpdir, part_dirs, cancel, .. } = &self.opening;
        let registries = Registries::forbidden("a place is served from the disk", None, cancel);
        let split = SplitArchives::default();
        let context = Context {
            layout: layout.as_deref(),
            bases,
            tmpdir: tmpdir.as_deref(),
            part_dirs,
            split: &split,
            indexes: &KnownIndexes::default(),
            cancel,
            observer: &Deaf,
            registries: &registries,
        };
        let store = crate::ops::open::open_path(&self.path, &context)?;
        let state = opened_state(&store, &self.path);
        Ok((snapshot_of(store, &self.path, &self.opening)?, state))
    }
}

fn snapshot_of(store: Store, path: &Path, opening: &Opening) -> Result<Arc<Snapshot>, StoreError> {
    static NUMBERS: AtomicU64 = AtomicU64::new(0);
    let roots = store.roots()?;
    let read_verify = opening.read_verify.unwrap_or(matches!(store, Store::Archive(_)));
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let (name, left_out) = (RepositoryName::of_place(path), left_out(&store));
    Ok(Arc::new(Snapshot { store, name, roots, left_out, number, read_verify }))
}

/// Returns in which state the files of a place are now.
fn state_of(store: &Store, path: &Path) -> State {
    match store {
        Store::Archive(archive) => State::Archive(archive.files().iter().map(|(path, _)| identity_of(path)).collect()),
        _ => {
            let directory = std::fs::metadata(path).ok().map(|metadata: Metadata| (metadata.dev(), metadata.ino()));
            State::Layout(directory, identity_of(&path.join("index.json")))
        }
    }
}

/// Returns in which state the files of a place were when it was opened. Of a layout this must be asked before its names are
/// read: a change in between is then seen the next time.
fn opened_state(store: &Store, path: &Path) -> State {
    match store {
        Store::Archive(archive) => {
            State::Archive(archive.files().iter().map(|(_, identity)| Some(*identity)).collect())
        }
        _ => state_of(store, path),
    }
}

fn identity_of(path: &Path) -> Option<Identity> {
    std::fs::metadata(path).ok().map(|metadata| Identity::of(&metadata))
}

/// Returns whether what is open is still what it was when it was opened: an archive that lost its name is, one that was
/// written to is not.
fn is_as_opened(store: &Store) -> bool {
    match store {
        Store::Archive(archive) => archive.is_as_opened(),
        // blobs never change once they have their name, and each is opened by itself
        _ => true,
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was changed while it was served, and cannot be used as it is now", self.0)
    }
}
