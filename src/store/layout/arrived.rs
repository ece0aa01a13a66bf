//! What arrived in runs that did not come to their end: a journal, so that the next run need not read it again.
//!
//! While blobs are put into a layout, a line for each goes to a file `.barge-arrived-PID-RANDOM` beside `index.json`, one for
//! each process, locked while it lives. A line is written when its blob has been checked, flushed, and has its name, and it says
//! which file that was: device, inode, size, and both times to the nanosecond. Whoever begins to write later takes
//! a blob for right whose line is there and whose file is that very file still. Everything else is read and hashed, blobs of
//! runs that ended well among it: a commit removes the journal.
//!
//! The kernel sets the time of change (`ctime`) at every write, rename, link and change of mode, and nobody can set it back. Not
//! seen is what leaves no trace there: a write in the same tick of the kernel's clock in which the blob got its name (some
//! milliseconds, before Linux 6.13), one behind the back of the file system, and one on another machine that a network file
//! system has not told of yet. Where a file system counts whole seconds, nothing is noted.
//!
//! A layout may come from anywhere, and so may a journal in it, with a file system made to fit. So each line is sealed
//! with the random number that the kernel draws when it is started: none counts on another machine, nor after a restart,
//! when numbers of devices mean something else and a disk may have lost what it said it had. A line counts when it is
//! exactly what would be written now; it is not taken apart, and what is malformed is no such line.
//!
//! A run that ends by itself, and had brought less than 1 MiB, leaves none: that is read again at once.
//!
//! Nothing relies on a journal: one that is lost, torn, too long or not ours costs the time to hash what it told of. It goes
//! with the commit, with `gc`, and after a week.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FileType, Stat};

use super::beneath::Directory;
use super::partial::LEAST;
use super::temporary::{self, Temporary};
use crate::content::Content;
use crate::digest::Digest;
use crate::store::{Kept, Outcome, flock};

const PREFIX: &str = ".barge-arrived-";
/// The number that the kernel draws when it is started.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
const BOOT_LENGTH: usize = 36;
/// How much of all journals together is read, in bytes.
const MOST: u64 = 64 * 1024 * 1024;
/// The longest line, in bytes: one of a sha512 digest has fewer than 350.
const LONGEST: u64 = 512;
/// How many hexadecimal digits the seal of a line has.
const SEAL: usize = 32;
/// How young a journal of nobody may be one that is not locked yet.
const YOUNG: Duration = Duration::from_secs(60);
/// After how long a journal that is not wanted is given up.
const OLD: Duration = Duration::from_secs(7 * 24 * 3600);

/// What arrives in this run.
#[derive(Debug, Default)]
pub(super) struct Arrived(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    journal: Journal,
    noted: Kept,
}

#[derive(Debug, Default)]
enum Journal {
    /// Nothing has arrived.
    #[default]
    None,
    Begun(Temporary, Seal),
    /// It cannot be written: so much for that.
    GivenUp,
}

impl Arrived {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that content has its name and is flushed; `stat` is its file, after all that was done to it. A convenience: what
    /// cannot be noted is read again.
    pub(super) fn note(&self, root: &Directory, content: &Content, stat: &Stat) {
        let mut state = self.lock();
        if matches!(state.journal, Journal::None) {
            let begun = Seal::of_this_boot().zip(Temporary::create(root, PREFIX).ok());
            state.journal = begun.map_or(Journal::GivenUp, |(seal, file)| Journal::Begun(file, seal));
        }
        let Journal::Begun(journal, seal) = &mut state.journal else { return };
        let Some(line) = seal.line(&content.digest, stat) else { return };
        if journal.file().write_all(line.as_bytes()).is_err() {
            // the next line would be joined to a part of this one
            let journal = std::mem::replace(&mut state.journal, Journal::GivenUp);
            if let Journal::Begun(journal, _) = journal
                && state.noted.bytes >= LEAST
            {
                journal.keep();
            }
            return;
        }
        state.noted.pieces += 1;
        state.noted.bytes = state.noted.bytes.saturating_add(content.size);
    }

    /// Returns how much was noted; `None` when so little is read again at once.
    pub(super) fn noted(&self) -> Option<Kept> {
        Some(self.lock().noted).filter(|noted| noted.bytes >= LEAST)
    }

    /// Removes what was noted: it is of no use to anybody.
    pub(super) fn forget(&self) {
        *self.lock() = State::default();
    }
}

impl Drop for Arrived {
    fn drop(&mut self) {
        let mut state = self.lock();
        if let Journal::Begun(journal, _) = std::mem::take(&mut state.journal)
            && state.noted.bytes >= LEAST
        {
            journal.keep();
        }
    }
}

/// Takes out of what is wanted whatever arrived in an earlier run and was not touched since, and returns it. Journals that
/// are old and had nothing to tell are removed.
pub(super) fn settle(root: &Directory, wanted: &mut Vec<Content>) -> Vec<(Content, Outcome)> {
    let names = journals(root);
    let Some(seal) = Seal::of_this_boot().filter(|_| !names.is_empty()) else { return Vec::new() };
    let sizes: HashMap<Digest, u64> = wanted.iter().map(|content| (content.digest, content.size)).collect();
    let mut known = HashSet::new();
    let mut left = MOST;
    for name in names {
        let Some(journal) = open(root, &name) else { continue };
        let mut tells = false;
        each(&journal, &mut left, |digest, line| {
            if let Some(size) = sizes.get(&digest)
                && (known.contains(&digest) || seal.is_true(root, &digest, Some(*size), line))
            {
                tells = true;
                known.insert(digest);
            }
            true
        });
        if !tells && age(&journal).is_some_and(|age| age > OLD) {
            remove(root, &name, &journal);
        }
    }
    let settled = wanted.extract_if(.., |content| known.contains(&content.digest));
    settled.map(|content| (content, Outcome::Kept)).collect()
}

/// Removes the journals of dead processes that tell nothing more: what they noted is named now, or is not what it was.
pub(super) fn clear(root: &Directory, named: &[Content]) {
    let named: HashSet<Digest> = named.iter().map(|content| content.digest).collect();
    remove_where(root, |_, digest| named.contains(digest));
}

/// Removes the journals of dead processes that are older than this, or tell nothing more.
pub(super) fn sweep(root: &Directory, grace: Duration) {
    remove_where(root, |journal, _| age(journal).is_some_and(|age| age >= grace));
}

/// Removes the journals of dead processes of which each line is of no use, or not true any more.
fn remove_where(root: &Directory, is_of_no_use: impl Fn(&File, &Digest) -> bool) {
    let seal = Seal::of_this_boot();
    let mut left = MOST;
    for name in journals(root) {
        let Some(journal) = open(root, &name) else { continue };
        let mut is_of_use =
            journal.metadata().is_ok_and(|it| it.len() == 0) && age(&journal).is_none_or(|age| age < YOUNG);
        each(&journal, &mut left, |digest, line| {
            let is_true = || seal.as_ref().is_some_and(|seal| seal.is_true(root, &digest, None, line));
            is_of_use = !is_of_no_use(&journal, &digest) && is_true();
            !is_of_use
        });
        if !is_of_use {
            remove(root, &name, &journal);
        }
    }
}

/// Removes a journal, unless its process lives.
fn remove(root: &Directory, name: &str, journal: &File) {
    if matches!(flock::try_exclusive(journal), Ok(true)) {
        let _ = rustix::fs::unlinkat(root.handle(), name, AtFlags::empty()); // a later run or `gc` will
    }
}

/// Returns whether a file is a journal, by its name.
pub(super) fn is_ours(name: &str) -> bool {
    temporary::is_ours(PREFIX, name)
}

fn journals(root: &Directory) -> Vec<String> {
    let mut names = root.hidden_names().unwrap_or_default();
    names.retain(|name| is_ours(name));
    names
}

/// Opens a journal when nobody but this user can have written it.
fn open(root: &Directory, name: &str) -> Option<File> {
    let (file, _) = root.file_itself(name).ok()??;
    let metadata = file.metadata().ok()?;
    let is_own = metadata.uid() == rustix::process::geteuid().as_raw();
    (is_own && metadata.nlink() == 1 && metadata.mode() & 0o022 == 0).then_some(file)
}

fn age(journal: &File) -> Option<Duration> {
    let written = journal.metadata().and_then(|metadata| metadata.modified()).ok()?;
    SystemTime::now().duration_since(written).ok()
}

/// Hands out the lines of a journal that begin with a digest, until one that is too long, or all that is read has been read, or
/// nobody wants more.
fn each(journal: &File, left: &mut u64, mut hear: impl FnMut(Digest, &str) -> bool) {
    let mut reader = BufReader::new(journal);
    let mut line = Vec::new();
    while *left > 0 {
        line.clear();
        match reader.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(length) if line.ends_with(b"\n") => *left = left.saturating_sub(length as u64),
            _ => return, // the end, or a line that a process died over
        }
        let Ok(line) = str::from_utf8(&line) else { continue };
        let digest = line.split(' ').next().and_then(|word| word.parse::<Digest>().ok());
        if digest.is_some_and(|digest| !hear(digest, line)) {
            return;
        }
    }
}

/// What makes a line one that was written here, since the machine was started.
#[derive(Debug)]
struct Seal(String);

impl Seal {
    /// `None` where the kernel does not tell.
    fn of_this_boot() -> Option<Self> {
        let mut text = String::new();
        File::open(BOOT).ok()?.take(BOOT_LENGTH as u64).read_to_string(&mut text).ok()?;
        (text.len() == BOOT_LENGTH).then_some(Self(text))
    }

    /// Returns the line for a blob in this file; `None` when its times say too little.
    fn line(&self, digest: &Digest, stat: &Stat) -> Option<String> {
        let [written, changed] = [i128::from(stat.st_mtime_nsec), i128::from(stat.st_ctime_nsec)];
        if written == 0 && changed == 0 {
            return None;
        }
        let (device, inode, size) = (i128::from(stat.st_dev), i128::from(stat.st_ino), i128::from(stat.st_size));
        let (mtime, ctime) = (i128::from(stat.st_mtime), i128::from(stat.st_ctime));
        let text = format!("{digest} {size} {device} {inode} {mtime}.{written:09} {ctime}.{changed:09}");
        let seal = Digest::of(format!("barge-arrived 1\n{}\n{text}\n", self.0).as_bytes()).hex();
        Some(format!("{text} {}\n", seal.get(..SEAL)?))
    }

    /// Returns whether a line is what would be written now for the blob that stands there.
    fn is_true(&self, root: &Directory, digest: &Digest, size: Option<u64>, line: &str) -> bool {
        let Ok(Some(stat)) = root.stat(&digest.blob_path()) else { return false };
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && size.is_none_or(|size| u64::try_from(stat.st_size) == Ok(size))
            && self.line(digest, &stat).is_some_and(|now| now == line)
    }
}
