//! The thread that hashes the parts, writes them and gives them their names, while the next content is read and hashed.
//!
//! A part gets its note first and its name then: what has a name under a note of this set is whole. Both come after the bytes
//! have reached the medium.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use tempfile::NamedTempFile;

use super::super::place::sync_directory;
use super::Set;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::store::beside::stale;
use crate::store::{Durability, Location, StoreError};

/// How large a buffer is, in bytes, and how many may wait: what a slow medium keeps in memory.
pub(super) const BUFFER: usize = 1 << 20;
const WAITING: usize = 8;

/// What the thread is to do next.
pub(super) enum Order {
    /// A part begins.
    Open(u64),
    /// Bytes of it.
    Bytes(Vec<u8>),
    /// It has all its bytes. With `wait`, it may rely on content that is not proved yet, and gets its name when that is.
    Close { wait: bool },
    /// All content so far is proved.
    Proved,
    /// Content was wrong: these parts, and those that wait, hold some of it.
    Wrong(Vec<u64>),
}

/// Where parts are written, and how.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    pub(super) directory: PathBuf,
    pub(super) set: Arc<Set>,
    pub(super) durability: Durability,
    /// What stands under the name of a part that is written: another set's, or a broken one of ours. It gives way.
    pub(super) replaced: Arc<BTreeSet<String>>,
}

/// The thread, as seen by who gives the orders.
pub(super) struct Writer {
    orders: Option<SyncSender<Order>>,
    buffers: Receiver<Vec<u8>>,
    thread: Option<JoinHandle<()>>,
    outcome: Arc<Mutex<Outcome>>,
}

#[derive(Default)]
struct Outcome {
    finished: BTreeMap<u64, Digest>,
    failure: Option<StoreError>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(ground: Ground) -> Result<Self, StoreError> {
        let (orders, todo) = sync_channel(WAITING);
        let (emptied, buffers) = sync_channel(WAITING);
        let outcome = Arc::new(Mutex::new(Outcome::default()));
        let path = ground.directory.clone();
        let mut press = Press { ground, open: None, waiting: Vec::new(), outcome: Arc::clone(&outcome), emptied };
        let work = move || press.work(&todo);
        let thread = std::thread::Builder::new().name("parts".to_owned()).spawn(work);
        let thread = Some(thread.map_err(StoreError::io("start a thread to write to", path))?);
        Ok(Self { orders: Some(orders), buffers, thread, outcome })
    }

    /// Returns an empty buffer.
    pub(super) fn buffer(&self) -> Vec<u8> {
        self.buffers.try_recv().unwrap_or_else(|_| Vec::with_capacity(BUFFER))
    }

    /// Gives an order, and waits while too many are given.
    ///
    /// # Errors
    /// What stopped the thread.
    pub(super) fn order(&mut self, order: Order) -> Result<(), StoreError> {
        let stopped = match &self.orders {
            Some(orders) => orders.send(order).is_err(),
            None => true,
        };
        if stopped { Err(self.failure()) } else { Ok(()) }
    }

    /// Waits until all orders are carried out.
    ///
    /// # Errors
    /// What stopped the thread before.
    pub(super) fn finish(&mut self) -> Result<(), StoreError> {
        self.orders = None;
        let panicked = self.thread.take().is_some_and(|thread| thread.join().is_err());
        let failed = panicked || self.outcome().failure.is_some();
        if failed { Err(self.failure()) } else { Ok(()) }
    }

    /// Returns the parts that have their names.
    pub(super) fn finished(&self) -> BTreeMap<u64, Digest> {
        self.outcome().finished.clone()
    }

    fn failure(&self) -> StoreError {
        let stopped = || StoreError::io("write", "the parts")(io::Error::other("an earlier write failed"));
        self.outcome().failure.take().unwrap_or_else(stopped)
    }

    fn outcome(&self) -> std::sync::MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.finish(); // who wants to know has asked before
    }
}

struct Press {
    ground: Ground,
    open: Option<Part>,
    /// Parts that are whole and wait for a proof.
    waiting: Vec<(u64, Digest, tempfile::TempPath)>,
    outcome: Arc<Mutex<Outcome>>,
    emptied: SyncSender<Vec<u8>>,
}

struct Part {
    number: u64,
    file: NamedTempFile,
    hasher: Hasher,
}

impl Press {
    fn work(&mut self, todo: &Receiver<Order>) {
        while let Ok(order) = todo.recv() {
            if let Err(error) = self.carry_out(order) {
                self.outcome.lock().unwrap_or_else(PoisonError::into_inner).failure = Some(error);
                return; // nobody listens any more: the next order finds out
            }
        }
    }

    fn carry_out(&mut self, order: Order) -> Result<(), StoreError> {
        match order {
            Order::Open(number) => {
                let file = self.ground.temporary('p', number)?;
                self.open = Some(Part { number, file, hasher: Algorithm::Sha256.hasher() });
            }
            Order::Bytes(mut bytes) => {
                if let Some(part) = &mut self.open {
                    let path = self.ground.path(&self.ground.set.names.part(part.number));
                    part.hasher.update(&bytes);
                    part.file.as_file_mut().write_all(&bytes).map_err(StoreError::io("write", path))?;
                }
                bytes.clear();
                match self.emptied.try_send(bytes) {
                    Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
                }
            }
            Order::Close { wait } => {
                let Some(part) = self.open.take() else { return Ok(()) };
                self.ground.sync(&part.file, &self.ground.set.names.part(part.number))?;
                self.waiting.push((part.number, part.hasher.finish(), part.file.into_temp_path()));
                if !wait {
                    self.name_those_that_wait()?;
                }
            }
            Order::Proved => self.name_those_that_wait()?,
            Order::Wrong(parts) => {
                self.waiting.clear();
                for part in parts {
                    self.ground.remove(&self.ground.set.names.part(part))?;
                    self.ground.remove(&self.ground.set.names.note(part))?;
                    self.outcome.lock().unwrap_or_else(PoisonError::into_inner).finished.remove(&part);
                }
            }
        }
        Ok(())
    }

    fn name_those_that_wait(&mut self) -> Result<(), StoreError> {
        for (number, digest, file) in self.waiting.drain(..) {
            self.ground.name_part(number, digest, &file)?;
            self.outcome.lock().unwrap_or_else(PoisonError::into_inner).finished.insert(number, digest);
        }
        Ok(())
    }
}

impl Ground {
    /// Returns the path of a file of the set.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Makes a temporary file: nobody else does under this name, as long as the set is locked.
    fn temporary(&self, what: char, number: u64) -> Result<NamedTempFile, StoreError> {
        let path = self.path(&self.set.temporary(what, number));
        match stale::take(&path) {
            Ok(Some(file)) => {
                file.as_file().set_len(0).map_err(StoreError::io("write", &path))?;
                Ok(file)
            }
            Ok(None) => Err(StoreError::Busy { place: Location::File(path) }),
            Err(error) => Err(super::not_taken(error, &path)),
        }
    }

    fn sync(&self, file: &NamedTempFile, name: &str) -> Result<(), StoreError> {
        match self.durability {
            Durability::Synced => file.as_file().sync_all().map_err(StoreError::io("write", self.path(name))),
            Durability::Unsynced => Ok(()),
        }
    }

    /// Makes the names of files safe from a loss of power.
    pub(super) fn sync_names(&self) -> Result<(), StoreError> {
        match self.durability {
            Durability::Synced => sync_directory(&self.directory),
            Durability::Unsynced => Ok(()),
        }
    }

    /// Writes a small file under a name; what is there is replaced.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let mut file = self.temporary('n', 0)?;
        let path = self.path(name);
        file.as_file_mut().write_all(bytes).map_err(StoreError::io("write", &path))?;
        self.sync(&file, name)?;
        file.persist(&path).map_err(|error| StoreError::io("rename a file to", path)(error.error))?;
        self.sync_names()
    }

    /// Removes a file of the set, if it is there.
    pub(super) fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(StoreError::io("remove", path)),
        }
    }

    fn name_part(&self, number: u64, digest: Digest, file: &Path) -> Result<(), StoreError> {
        let name = self.set.names.part(number);
        if self.replaced.contains(&name) {
            // before the note is ours: a part of another set never stands beside it
            self.remove(&name)?;
            self.sync_names()?;
        }
        self.write(&self.set.names.note(number), &self.set.note(number, digest).encode())?;
        rename_to_free(file, &self.path(&name))?;
        self.sync_names()
    }
}

/// Renames a file to a name that nothing has.
fn rename_to_free(from: &Path, to: &Path) -> Result<(), StoreError> {
    let named = match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // a file system without it, such as FAT: nobody else writes the set, as it is locked
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if to.symlink_metadata().is_err() => {
            std::fs::rename(from, to)
        }
        other => other.map_err(io::Error::from),
    };
    named.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => StoreError::Busy { place: Location::File(to.to_owned()) },
        _ => StoreError::io("create", to)(error),
    })
}
