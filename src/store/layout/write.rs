//! Writing a layout.
//!
//! | step | what happens | what others see |
//! |---|---|---|
//! | `create_or_open` | what is there is read and checked | nothing |
//! | `begin` | the directory is made and locked (shared), leftovers are cleared | an empty layout at most |
//! | `put` | temporary file (a clone of the source where that is possible, then read back; or a partial blob, continued), flush, rename to the digest, a line in the journal (`arrived.rs`) | a blob that nothing refers to |
//! | `make` | temporary file, written and hashed, flush; the next `begin` that wants it renames it to the digest it turned out to have | nothing, then a blob that nothing refers to |
//! | `commit` | directories flushed; lock `index.json`, read it again, edit, temporary file, flush, rename, flush | the names |
//!
//! What stays of a large blob that comes from where the rest of it can be asked for, when it does not arrive:
//!
//! | what happened | the partial blob | the run |
//! |---|---|---|
//! | the source failed, or the process or the machine died | stays | fails |
//! | the user asked to stop | stays, and so does the layout with its whole blobs, even if this run began it | is abandoned |
//! | it could not be written | goes: the disk may be full | fails |
//! | the content is wrong, and came from one run | goes | fails |
//! | the content is wrong, and an older run had a part in it | goes | fetches it once more, as a whole |
//!
//! A process that dies in between leaves whole blobs and perhaps temporary files. The next run knows the blobs from the journal
//! or finds them with `held`, and clears the files. So does a run that fails: dropping a sink removes temporary files and keeps whole and partial blobs.
//! [`LayoutSink::abandon`] is for a user who changed their mind: it also takes back a layout that this run began, unless
//! so much was brought into it that the same command had better go on there.

use std::fs::File;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;

use super::arrived::{self, Arrived};
use super::beneath::Directory;
use super::files::{INDEX, KnownIndexes, OCI_LAYOUT, OCI_LAYOUT_BYTES};
use super::make::Waiting;
use super::standing::{Standing, examine};
use super::temporary::{self, BLOB, TOP, Temporary};
use super::{Layout, index, lock, partial, put, room};
use crate::blob::{BlobReader, Cancel, Making};
use crate::content::{Content, Kind};
use crate::digest::{Algorithm, Digest};
use crate::store::{
    Committed, Durability, Inventory, Kept, Location, Outcome, PutError, Sink, StoreError, directory_of, local_lanes,
};
use crate::text::quoted;

/// How often a change is begun again that somebody else came before.
pub(super) const ATTEMPTS: usize = 16;

/// How a layout is written.
#[derive(Clone, Debug)]
pub struct LayoutOptions {
    /// Whether it survives a loss of power.
    pub durability: Durability,
    /// How long to wait for another process that holds the layout, before [`StoreError::Busy`].
    pub lock_timeout: Duration,
    /// How many blobs are written at once; by default [`local_lanes`].
    pub jobs: Option<NonZeroUsize>,
    /// What was read of layouts before.
    pub indexes: KnownIndexes,
}

impl Default for LayoutOptions {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            lock_timeout: Duration::from_secs(10),
            jobs: None,
            indexes: KnownIndexes::default(),
        }
    }
}

/// A layout that is written.
#[derive(Debug)]
pub struct LayoutSink {
    path: PathBuf,
    location: Location,
    options: LayoutOptions,
    layout: Option<Layout>,
    /// Whether the directory is locked.
    is_held: bool,
    blobs: Vec<BlobDirectory>,
    begun: Begun,
    put: Mutex<Vec<Digest>>,
    /// Whether something arrived that could be continued.
    fetched: AtomicBool,
    /// What arrived, for the next run if this one does not come to its end.
    arrived: Arrived,
    /// What was made and has no name yet.
    waiting: Waiting,
    /// What of it got its name when the sink was begun.
    settled: Vec<(Content, Outcome)>,
    /// What is to come from its beginning, because a partial blob of it was of no use.
    begun_again: Mutex<Vec<Digest>>,
    cancel: Cancel,
}

/// `blobs/ALGORITHM`, open.
#[derive(Debug)]
struct BlobDirectory {
    algorithm: Algorithm,
    directory: Directory,
}

/// What of the layout this run made and has not committed.
#[derive(Debug, Default)]
struct Begun {
    directory: bool,
    oci_layout: bool,
    blobs: bool,
    algorithms: Vec<Algorithm>,
}

impl LayoutSink {
    /// Opens a layout for writing, or prepares to make one; nothing is written yet. The place may be a layout, an empty
    /// directory, or nothing in a directory that is there.
    ///
    /// # Errors
    /// [`StoreError::Absent`] when the directory above is not there, [`StoreError::Malformed`] when the place holds something
    /// else, or a layout whose `oci-layout` or `index.json` cannot be used: those are left as they are.
    pub fn create_or_open(path: impl Into<PathBuf>, options: LayoutOptions) -> Result<Self, StoreError> {
        let path = path.into();
        let location = Location::Layout(path.clone());
        let layout = match Directory::open(&path)? {
            Some(root) => match examine(&root, &options.indexes)? {
                Standing::Layout => Some(Layout::of(root, &options.indexes)),
                Standing::Bare => None,
            },
            None => {
                let above = directory_of(&path);
                if !above.try_exists().map_err(StoreError::io("read", above))? {
                    let hint = Some("make it first, or check the path".to_owned());
                    let what = format!("the directory {} to hold the layout", quoted(&above.to_string_lossy()));
                    return Err(StoreError::Absent { what, place: location, hint });
                }
                None
            }
        };
        Ok(Self {
            path,
            location,
            options,
            layout,
            is_held: false,
            blobs: Vec::new(),
            begun: Begun::default(),
            arrived: Arrived::default(),
            waiting: Waiting::default(),
            settled: Vec::new(),
            put: Mutex::default(),
            fetched: AtomicBool::new(false),
            begun_again: Mutex::default(),
            cancel: Cancel::default(),
        })
    }

    /// Stops waiting for another process when asked to.
    #[must_use]
    pub fn cancelled_by(mut self, cancel: &Cancel) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// Returns what is there to be read: `None` before `begin` when the layout is yet to be made.
    #[must_use]
    pub const fn layout(&self) -> Option<&Layout> {
        self.layout.as_ref()
    }

    /// Makes content: `write` writes it, and when it returns all is on the disk, still without a name. Returns what it turned
    /// out to be, a file to read it from, and what `write` returns. The next [`Sink::begin`] gives its name to what is coming;
    /// what is not is gone with the sink, as is everything when anything fails. The sink was begun before, with an empty
    /// inventory. May be called from several threads.
    ///
    /// # Errors
    /// What `write` failed with, or when the content cannot be kept.
    pub fn make<T, E: From<StoreError>>(
        &self,
        kind: Kind,
        write: impl FnOnce(&mut Making<'_>) -> Result<T, E>,
    ) -> Result<(Content, File, T), E> {
        let held = self.blobs.iter().find(|held| held.algorithm == Algorithm::Sha256);
        let held = held.ok_or_else(|| self.not_begun())?;
        self.waiting.make(&held.directory, kind, self.options.durability, write)
    }

    /// Remembers what a layout that this run began would lose again.
    fn note_put(&self, digest: Digest) {
        if self.begun.oci_layout {
            self.put.lock().unwrap_or_else(PoisonError::into_inner).push(digest);
        }
    }

    /// Ends without a commit because the user asked to stop. When this run began the layout, and nobody else uses it, all
    /// that this run made is removed; in a layout that was there before, whole blobs stay. They stay as well when one came
    /// that could be continued, or a partial one lies there, or the next run need not read them again: what was fetched or
    /// hashed for hours is not thrown away at a key press.
    /// After an error call nothing: the blobs that came are then kept for the next run.
    ///
    /// # Errors
    /// When something that was made cannot be removed. The sink can then only be dropped or begun again.
    fn take_back(&mut self) -> Result<(), StoreError> {
        let blobs = std::mem::take(&mut self.blobs);
        let begun = std::mem::take(&mut self.begun);
        self.waiting.clear();
        let put = std::mem::take(&mut *self.put.lock().unwrap_or_else(PoisonError::into_inner));
        let layout = self.layout.take();
        let has_partial = |held: &BlobDirectory| partial::is_in(&held.directory, held.algorithm);
        let is_of_use =
            self.fetched.load(Ordering::Relaxed) || self.arrived.noted().is_some() || blobs.iter().any(has_partial);
        if let Some(Layout { root, .. }) = &layout
            && begun.oci_layout
            && !is_of_use
            && lock::exclude(root)?
            && root.stat(INDEX)?.is_none()
        {
            self.arrived.forget();
            for digest in put {
                for held in blobs.iter().filter(|held| held.algorithm == digest.algorithm()) {
                    remove(&held.directory, &digest.hex(), AtFlags::empty())?;
                }
            }
            if let Some(above) = root.below("blobs")? {
                for algorithm in &begun.algorithms {
                    remove(&above, algorithm.name(), AtFlags::REMOVEDIR)?;
                }
            }
            if begun.blobs {
                remove(root, "blobs", AtFlags::REMOVEDIR)?;
            }
            remove(root, OCI_LAYOUT, AtFlags::empty())?;
        }
        if begun.directory {
            // only an empty directory goes: whatever somebody else put there stays
            match rustix::fs::rmdir(&self.path) {
                Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                Err(error) => return Err(StoreError::io("remove", &self.path)(error.into())),
            }
        }
        Ok(())
    }

    /// Opens the directory, makes it if need be, and locks it so that nobody removes content from it.
    fn hold(&mut self) -> Result<Directory, StoreError> {
        let mut failed = Errno::EXIST;
        for _ in 0..ATTEMPTS {
            let Some(root) = Directory::open(&self.path)? else {
                match rustix::fs::mkdir(&self.path, Mode::from_raw_mode(0o777)) {
                    Ok(()) => self.begun.directory = true,
                    Err(Errno::EXIST) => {} // another process was faster, or it is a link to nothing
                    Err(error) => {
                        failed = error;
                        break;
                    }
                }
                continue;
            };
            lock::share(&root, self.options.lock_timeout, &self.cancel)?;
            // a run that abandoned its layout may have removed the directory while we waited
            if root.is_at_its_path()? {
                return Ok(root);
            }
        }
        Err(StoreError::io("create", &self.path)(failed.into()))
    }

    fn make_oci_layout(&mut self, root: &Directory) -> Result<(), StoreError> {
        let mut temporary = Temporary::create(root, TOP[1])?;
        temporary.file().write_all(OCI_LAYOUT_BYTES).map_err(StoreError::io("write", root.path_of(OCI_LAYOUT)))?;
        temporary.flush(OCI_LAYOUT, self.options.durability)?;
        temporary.name_oci_layout()?;
        self.begun.oci_layout = true;
        Ok(())
    }

    fn make_blob_directories(&mut self, root: &Directory, coming: &Inventory) -> Result<(), StoreError> {
        let gone = |path: &str| StoreError::io("open", root.path_of(path))(Errno::NOENT.into());
        self.begun.blobs |= root.make("blobs")?;
        let above = root.below("blobs")?.ok_or_else(|| gone("blobs"))?;
        for algorithm in Algorithm::ALL {
            let path = format!("blobs/{}", algorithm.name());
            let wanted = coming.contents.iter().any(|content| content.digest.algorithm() == algorithm);
            if wanted || algorithm == Algorithm::Sha256 {
                if above.make(algorithm.name())? {
                    self.begun.algorithms.push(algorithm);
                }
                let directory = root.below(&path)?.ok_or_else(|| gone(&path))?;
                // a run that brings no content has no reason to look through what may be a hundred thousand files
                if !coming.contents.is_empty() {
                    let names = directory.hidden_names().unwrap_or_default();
                    temporary::remove_stale_among(&directory, BLOB, &names);
                    partial::remove_old(&directory, algorithm, &names, &coming.contents);
                }
                self.blobs.push(BlobDirectory { algorithm, directory });
            }
        }
        Ok(())
    }

    fn begun(&self) -> Result<&Directory, StoreError> {
        let begun = self.layout.as_ref().filter(|_| !self.blobs.is_empty());
        begun.map(|layout| &layout.root).ok_or_else(|| self.not_begun())
    }

    fn not_begun(&self) -> StoreError {
        StoreError::io("write", &self.path)(std::io::Error::other("the sink was not begun for this"))
    }

    /// Makes every name below the root survive a loss of power, so that `index.json` may rely on it.
    fn sync_blobs(&self, root: &Directory) -> Result<(), StoreError> {
        if self.options.durability == Durability::Unsynced {
            return Ok(());
        }
        // Also where this run put nothing: a blob that it found may be the work of a run that died before this.
        for held in &self.blobs {
            held.directory.sync()?;
        }
        if let Some(above) = root.below("blobs")? {
            above.sync()?;
        }
        root.sync()?;
        if self.begun.directory
            && let Some(above) = Directory::open(directory_of(&self.path)).unwrap_or(None)
        {
            // a directory above that we may not read can hold ours all the same, and then cannot be flushed
            above.sync()?;
        }
        Ok(())
    }
}

impl Sink for LayoutSink {
    fn location(&self) -> &Location {
        &self.location
    }

    fn begin(&mut self, coming: &Inventory) -> Result<Vec<Vec<Content>>, StoreError> {
        self.blobs.clear();
        let lacking = coming.contents.iter().filter(|it| !self.waiting.holds(&it.digest));
        room::check(&self.path, directory_of(&self.path), lacking)?;
        // one that was begun before stays locked: what was made in it has no name that would keep it
        let root = match self.layout.take().filter(|_| self.is_held) {
            Some(layout) => layout.root,
            None => self.hold()?,
        };
        self.is_held = true;
        // what was true when the sink was opened need not be so under the lock
        if matches!(examine(&root, &self.options.indexes)?, Standing::Bare) {
            self.make_oci_layout(&root)?;
        }
        let made = self.make_blob_directories(&root, coming);
        for prefix in TOP {
            temporary::remove_stale(&root, prefix);
        }
        self.layout = Some(Layout::of(root, &self.options.indexes));
        made?;
        let mut wanted = coming.contents.clone();
        // the largest first: the last lane to end then has the least to do
        wanted.sort_by_key(|content| std::cmp::Reverse(content.size));
        self.settled.clear();
        if let Some(held) = self.blobs.iter().find(|held| held.algorithm == Algorithm::Sha256) {
            self.settled = self.waiting.name(&held.directory, &mut wanted)?;
        }
        for (content, _) in &self.settled {
            self.note_put(content.digest);
        }
        if let Some(layout) = &self.layout {
            self.settled.extend(arrived::settle(&layout.root, &mut wanted));
        }
        Ok(vec![wanted])
    }

    fn settled(&self) -> Vec<(Content, Outcome)> {
        self.settled.clone()
    }

    fn held(&self, content: &Content) -> Result<Option<BlobReader<'_>>, StoreError> {
        let Some(layout) = &self.layout else { return Ok(None) };
        let found = layout.root.file_itself(&content.digest.blob_path())?;
        // one of another size is handed out too: its reader says what is wrong with it, and it is replaced
        Ok(found.map(|(file, _)| BlobReader::new(content.clone(), file)))
    }

    fn put(&self, blob: BlobReader<'_>) -> Result<Outcome, PutError> {
        let content = blob.content().clone();
        let digest = content.digest;
        let held = self.blobs.iter().find(|held| held.algorithm == digest.algorithm());
        let held = held.ok_or_else(|| self.not_begun())?;
        let durability = self.options.durability;
        let can_be_continued = blob.can_resume() && blob.content().size >= partial::LEAST;
        let stat = match can_be_continued.then(|| partial::open(&held.directory, &digest)).flatten() {
            None => put::whole(&held.directory, blob, durability)?,
            Some((partial, length)) => {
                let begun_again = || self.begun_again.lock().unwrap_or_else(PoisonError::into_inner);
                // one that is too long is wrong
                let is_used = length <= blob.content().size && !begun_again().contains(&digest);
                let length = if is_used { length } else { 0 };
                let put = put::continued(partial, length, &held.directory, blob, durability);
                if let Err(PutError::Again { .. }) = put {
                    begun_again().push(digest);
                }
                let stat = put?;
                self.fetched.store(true, Ordering::Relaxed);
                stat
            }
        };
        self.note_put(digest);
        if let (Durability::Synced, Some(stat), Some(layout)) = (durability, stat, &self.layout) {
            self.arrived.note(&layout.root, &content, &stat);
        }
        Ok(Outcome::Written)
    }

    fn commit(&mut self, coming: &Inventory) -> Result<Committed, StoreError> {
        let root = self.begun()?;
        self.sync_blobs(root)?;
        let committed = index::change(root, coming, &self.arrived, &self.options, &self.cancel)?;
        for content in coming.contents.iter().filter(|content| content.size >= partial::LEAST) {
            for held in self.blobs.iter().filter(|held| held.algorithm == content.digest.algorithm()) {
                let _ = partial::remove(&held.directory, &content.digest); // a later run or `gc` will
            }
        }
        self.arrived.forget();
        arrived::clear(root, &coming.contents);
        // from here on it is a layout like any other, and nothing is taken back
        self.begun = Begun::default();
        self.put = Mutex::default();
        self.fetched = AtomicBool::new(false);
        Ok(committed)
    }

    fn kept(&self) -> Option<Kept> {
        self.arrived.noted()
    }

    fn abandon(&mut self) {
        // what cannot be taken back stays for the next run
        let _ = self.take_back();
    }

    fn lanes(&self) -> usize {
        self.options.jobs.unwrap_or_else(local_lanes).get()
    }
}

/// Removes what this run made; what is gone, or a directory in which something else is left, is no failure.
fn remove(directory: &Directory, name: &str, flags: AtFlags) -> Result<(), StoreError> {
    match rustix::fs::unlinkat(directory.handle(), name, flags) {
        Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
        Err(error) => Err(StoreError::io("remove", directory.path_of(name))(error.into())),
    }
}
