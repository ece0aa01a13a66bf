//! The contract between the engine and the places where content lies.
//!
//! A [`Source`] hands out content that is checked while it is read; a [`Sink`] takes proved content and makes names last.
//! The traits ask only for what every backend can do: what one backend can do is a method of its own.

pub mod archive;
pub mod beside;
mod clone;
mod flock;
pub mod lacking;
pub mod lanes;
pub mod layout;
pub(crate) mod listing;
pub mod memory;
pub mod names;
mod outcome;
mod placed;
pub mod referrer_list;
pub mod registry;
mod room;
mod subjects;

use std::error::Error;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::outcome::Outcome;
pub use self::subjects::Subjects;
use crate::blob::{BlobError, BlobReader, Mismatch};
use crate::content::{CONTAINERD_NAME, Content, Descriptor, REF_NAME};
use crate::digest::Digest;
use crate::document::{Document, ImageConfig, LARGEST_DOCUMENT};
use crate::error::Class;
use crate::json::JsonError;
use crate::text::escaped;

/// The verb of failures to write a temporary file; the path is the directory, which the user can choose.
pub(crate) const TEMPORARY: &str = "write a temporary file in";
/// What is done where a file gets its name only at the end.
pub(crate) const CREATE_IN: &str = "create a file in";

/// The verb of failures to find room for what is unpacked; the path is the one that the user gave.
pub(crate) const UNPACK: &str = "unpack to";

/// Where a store is, for messages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// In memory, with a name for messages.
    Memory(String),
    /// A directory with an OCI image layout.
    Layout(PathBuf),
    /// A tar file with an OCI image layout.
    Archive(PathBuf),
    /// A tar file as `docker save` writes it, with `manifest.json` alone.
    DockerArchive(PathBuf),
    /// An archive on standard input or output.
    Stdio,
    /// A registry, or a repository or an image of it, as it is written after `docker://`.
    Registry(String),
    /// A file that holds no images, such as one with credentials.
    File(PathBuf),
}

impl Location {
    /// Returns the path, when there is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Layout(path) | Self::Archive(path) | Self::DockerArchive(path) | Self::File(path) => Some(path),
            Self::Memory(_) | Self::Stdio | Self::Registry(_) => None,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, path) = match self {
            Self::Memory(name) => return write!(f, "memory:{}", escaped(name)),
            Self::Stdio => return f.write_str("-"),
            Self::Registry(name) => return write!(f, "docker://{}", escaped(name)),
            Self::File(path) => return f.write_str(&escaped(&path.to_string_lossy())),
            Self::Layout(path) => ("oci", path),
            Self::Archive(path) => ("oci-archive", path),
            Self::DockerArchive(path) => ("docker-archive", path),
        };
        write!(f, "{scheme}:{}", escaped(&path.to_string_lossy()))
    }
}

/// The reason below a failure, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Reason(pub String);

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<JsonError> for Reason {
    fn from(error: JsonError) -> Self {
        Self(error.to_string())
    }
}

/// Why a store cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The place itself, or something that was asked for by name, is not there.
    #[error("cannot find {what} in {place}")]
    Absent {
        /// What was looked for, such as `oci-layout` or a name.
        what: String,
        /// Where.
        place: Location,
        /// What to do.
        hint: Option<String>,
    },
    /// Content that something refers to is not there.
    #[error("cannot find {digest} in {place}")]
    Missing {
        /// The content.
        digest: Digest,
        /// Where it should be.
        place: Location,
    },
    /// Content is there and wrong.
    #[error("cannot read {digest} in {place}")]
    Wrong {
        /// The content.
        digest: Digest,
        /// Where it is.
        place: Location,
        /// How it differs.
        #[source]
        mismatch: Mismatch,
    },
    /// A document or a file of the store is not what it must be.
    #[error("cannot use {what} in {place}")]
    Malformed {
        /// What: a digest, `index.json`, an entry of an archive.
        what: String,
        /// Where it is.
        place: Location,
        /// What is wrong with it.
        #[source]
        reason: Reason,
        /// What to do, when there is something.
        hint: Option<String>,
    },
    /// The machine failed: every I/O error names its path.
    #[error("cannot {action} {}", escaped(&path.to_string_lossy()))]
    Io {
        /// The verb: read, write, create, rename ...
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process holds the place.
    #[error("cannot change {place}: another process holds it")]
    Busy {
        /// Which place.
        place: Location,
    },
    /// Another process has changed what was to be changed, since it was read.
    #[error("cannot change {what} in {place}: another process has changed it meanwhile")]
    Changed {
        /// What was to be changed: a name, or a digest.
        what: String,
        /// Where.
        place: Location,
    },
    /// The place cannot hold or give what is asked.
    #[error("cannot {action} {place}")]
    Unsupported {
        /// What was asked, such as `write Docker's format to`.
        action: String,
        /// Where.
        place: Location,
        /// Why not.
        #[source]
        reason: Reason,
        /// What to do instead.
        hint: Option<String>,
    },
    /// A registry, or the way to it, failed.
    #[error("cannot {action} {place}")]
    Remote {
        /// The verb: push to, pull from, log in to ...
        action: String,
        /// The registry, and what of it.
        place: Location,
        /// What that means to a script: refused, unreachable, absent, content, unsupported.
        class: Class,
        /// What was asked and what was answered; no secret stands in it.
        #[source]
        reason: Reason,
        /// What to do.
        hint: Option<String>,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Cancelled,
}

impl StoreError {
    /// Returns a function that gives an I/O error its verb and path.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Returns the complaint that something in a place is not what it must be.
    #[must_use]
    pub fn malformed(what: impl Into<String>, place: &Location, reason: impl Into<Reason>) -> Self {
        Self::Malformed { what: what.into(), place: place.clone(), reason: reason.into(), hint: None }
    }

    /// Returns the complaint that a descriptor stands no longer where it was read.
    #[must_use]
    pub fn changed(descriptor: &Descriptor, place: &Location) -> Self {
        let name = descriptor.annotation(CONTAINERD_NAME).or_else(|| descriptor.annotation(REF_NAME));
        let what = name.map_or_else(|| descriptor.digest().to_string(), escaped);
        Self::Changed { what, place: place.clone() }
    }

    /// Says of an error met while reading content which content it was and where.
    #[must_use]
    pub fn reading(error: BlobError, content: &Content, place: &Location) -> Self {
        match error {
            BlobError::Mismatch(mismatch) => Self::Wrong { digest: content.digest, place: place.clone(), mismatch },
            BlobError::Cancelled => Self::Cancelled,
            BlobError::Read(source) | BlobError::Write(source) => {
                // what reads from a registry knows more than that reading failed
                let source = match source.downcast::<Self>() {
                    Ok(known) => return known,
                    Err(source) => source,
                };
                let path = place.path().map_or_else(|| PathBuf::from(place.to_string()), Path::to_path_buf);
                Self::Io { action: "read", path, source }
            }
        }
    }

    /// Returns what this means to a script.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Absent { .. } => Class::Absent,
            Self::Missing { .. } | Self::Wrong { .. } | Self::Malformed { .. } => Class::Content,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Class::Absent,
            Self::Io { .. } => Class::Machine,
            Self::Busy { .. } | Self::Changed { .. } => Class::Busy,
            Self::Unsupported { .. } => Class::Unsupported,
            Self::Remote { class, .. } => *class,
            Self::Cancelled => Class::Interrupted,
        }
    }

    /// Returns what the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Absent { hint, .. }
            | Self::Malformed { hint, .. }
            | Self::Unsupported { hint, .. }
            | Self::Remote { hint, .. } => hint.clone(),
            Self::Missing { place, .. } | Self::Wrong { place, .. } => {
                let path = place.path()?.to_string_lossy();
                Some(format!(
                    "copy it again from where it was made, or run `barge verify {}` to list everything wrong",
                    escaped(&path)
                ))
            }
            Self::Io { action, .. } if *action == TEMPORARY => {
                Some("make room there, or give another directory with --tmpdir".to_owned())
            }
            Self::Io { source, action, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    Some("make room and run the same command again: what was there before is unchanged".to_owned())
                }
                io::ErrorKind::FileTooLarge => Some(
                    "no file may be that large there: raise the limit (ulimit -f), or save in parts with --split"
                        .to_owned(),
                ),
                io::ErrorKind::PermissionDenied if *action == "read" => Some("check who may read it".to_owned()),
                io::ErrorKind::PermissionDenied => Some("check who may write there".to_owned()),
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory if *action == UNPACK => {
                    Some("give a directory that is not there yet, or is empty".to_owned())
                }
                io::ErrorKind::AlreadyExists if *action == UNPACK => Some("give a name that is free".to_owned()),
                io::ErrorKind::NotFound if *action == CREATE_IN => {
                    Some("make the directory first, or give another place".to_owned())
                }
                io::ErrorKind::ReadOnlyFilesystem => {
                    Some("the medium is read-only: give another place with -o".to_owned())
                }
                _ => None,
            },
            Self::Busy { .. } => Some("wait until it has ended, and run the same command again".to_owned()),
            Self::Changed { .. } => {
                Some("run the same command again: it then starts with what is there now".to_owned())
            }
            Self::Cancelled => None,
        }
    }

    /// Returns the place, when the failure has one.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        match self {
            Self::Absent { place, .. }
            | Self::Missing { place, .. }
            | Self::Wrong { place, .. }
            | Self::Malformed { place, .. }
            | Self::Busy { place }
            | Self::Changed { place, .. }
            | Self::Unsupported { place, .. }
            | Self::Remote { place, .. } => Some(place.to_string()),
            Self::Io { path, .. } => Some(path.to_string_lossy().into_owned()),
            Self::Cancelled => None,
        }
    }
}

/// Which side failed when content passed from a reader into a sink.
#[derive(Debug)]
pub enum PutError {
    /// The reader: the caller knows where it came from.
    From(BlobError),
    /// The sink.
    To(StoreError),
    /// Nothing for good: the sink wants the same content once more from its beginning, so long from now. It bounds how often.
    Again {
        /// How long to wait first.
        after: Duration,
    },
}

impl From<StoreError> for PutError {
    fn from(error: StoreError) -> Self {
        Self::To(error)
    }
}

/// All the content that a task is about, and what names it.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Every piece once, children before what refers to them.
    pub contents: Vec<Content>,
    /// What is to be named: descriptors as they are to stand in `index.json`, names in their annotations.
    pub roots: Vec<Descriptor>,
    /// What is to be named no longer: descriptors exactly as they stand in `index.json`. Their content stays.
    pub gone: Vec<Descriptor>,
}

/// The whole of an `oci-layout` file (image-spec v1.1.1, image-layout.md, "oci-layout file").
pub const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Whether a loss of power may cost what was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Files and directories are flushed to the disk before a name relies on them.
    #[default]
    Synced,
    /// Nothing is flushed: faster, and after a loss of power blobs may be empty or torn. Other processes see the same as
    /// ever.
    Unsynced,
}

/// What stays of a run that did not come to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// How many pieces.
    pub pieces: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Whether a commit changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// The names are new, or mean something else now.
    Changed,
    /// Every name already meant this.
    Unchanged,
}

/// What is wanted of all that belongs to some content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The one type of artifact that is wanted, where it is one. A place may give more, and gives all that may be of it.
    pub artifact_type: Option<&'a str>,
    /// Whether what a tag made of a digest names is wanted, such as cosign's signatures.
    pub digest_tags: bool,
}

/// A place that content comes from.
pub trait Source: Sync {
    /// Returns where it is.
    fn location(&self) -> &Location;

    /// Returns the top-level descriptors, as they stand in `index.json`.
    ///
    /// # Errors
    /// When they cannot be read or are malformed.
    fn roots(&self) -> Result<Vec<Descriptor>, StoreError>;

    /// Returns what belongs to some documents and does not stand among [`Self::roots`], as it would stand there: what a
    /// registry keeps apart and has to be asked for. A place that lists what it holds has nothing more.
    ///
    /// # Errors
    /// When it cannot be asked for, or is wrong.
    fn unlisted(&self, _subjects: &[Digest], _wanted: &Wanted<'_>) -> Result<Vec<Descriptor>, StoreError> {
        Ok(Vec::new())
    }

    /// Returns where it is remembered what its documents belong to; a place that is read but once remembers nothing.
    fn subjects(&self) -> Option<&Subjects> {
        None
    }

    /// Opens content for reading. May be called from several threads.
    ///
    /// # Errors
    /// When it is not there, is no regular file, or is known at once to have another size. A source that is far away may
    /// find that out when it is read.
    fn open(&self, content: &Content) -> Result<BlobReader<'_>, StoreError>;

    /// Returns whether content is there, of the size that was promised, without reading it.
    ///
    /// # Errors
    /// When that cannot be told.
    fn holds(&self, content: &Content) -> Result<bool, StoreError> {
        match self.open(content) {
            Ok(_) => Ok(true),
            Err(StoreError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A place that content goes to: `begin`, then any number of `held` and `put` in parallel, then `commit`.
///
/// A sink that is dropped before its commit leaves no name and no temporary file behind, but for what a later run can
/// continue: the beginning of large content, or the finished parts of a set that is not whole without its sums.
pub trait Sink: Sync {
    /// Returns where it is.
    fn location(&self) -> &Location;

    /// Prepares for what is coming and returns what of it is wanted, as stages: what stands in one stage may arrive in
    /// any order and in parallel, and a stage begins when the one before has ended. With one lane, content arrives in
    /// exactly this order.
    ///
    /// # Errors
    /// When the place cannot be written, or cannot hold what is coming.
    fn begin(&mut self, coming: &Inventory) -> Result<Vec<Vec<Content>>, StoreError>;

    /// Returns what of the content that was coming needs no work, now that it was begun, and why.
    fn settled(&self) -> Vec<(Content, Outcome)> {
        Vec::new()
    }

    /// Opens what already lies at the target under this digest, so that it can be checked: a name alone is not trusted.
    /// `None` when nothing is there.
    ///
    /// # Errors
    /// When it cannot be told whether something is there.
    fn held(&self, content: &Content) -> Result<Option<BlobReader<'_>>, StoreError>;

    /// Takes content: it has its name only when the reader's end was reached and right. Idempotent; replaces what is
    /// there. Once this returns, a commit may rely on it. Says what became of it, for people.
    ///
    /// # Errors
    /// [`PutError::From`] when the reader failed, [`PutError::To`] when the sink did.
    fn put(&self, blob: BlobReader<'_>) -> Result<Outcome, PutError>;

    /// Gives the roots their names: the one visible step.
    ///
    /// # Errors
    /// When the place cannot be written or another process holds it; then every name is as it was.
    fn commit(&mut self, coming: &Inventory) -> Result<Committed, StoreError>;

    /// Returns how much of what was put stays for the next run, which need not read it again, though there was no commit;
    /// `None` when it is not worth a word.
    fn kept(&self) -> Option<Kept> {
        None
    }

    /// Takes back what this run alone has made visible, because somebody asked to stop. Never fails: what cannot be taken
    /// back stays for the next run. So may what arrived, when the same run would continue there.
    fn abandon(&mut self);

    /// Returns how many `put`s at once serve this place best; 1 when the order matters.
    fn lanes(&self) -> usize;
}

/// Returns how many pieces go to a place on this machine at once where nobody says: one more than there are processors. Where one
/// waits for the disk, no processor is idle then; and large ones that come to their end together leave none to the last.
#[must_use]
pub fn local_lanes() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN).saturating_add(1)
}

/// Returns the directory that a path stands in: for a name alone the working directory.
#[must_use]
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Reads the config of an image.
///
/// # Errors
/// As [`read_small`], and when it is malformed.
pub fn read_config(source: &dyn Source, config: &Content) -> Result<ImageConfig, StoreError> {
    let raw = read_small(source, config)?;
    ImageConfig::parse(&raw).map_err(|error| StoreError::malformed(config.digest.to_string(), source.location(), error))
}

/// Reads a document that a descriptor refers to.
///
/// # Errors
/// When it is missing, wrong, larger than [`LARGEST_DOCUMENT`], or malformed.
pub fn read_document(source: &dyn Source, descriptor: &Descriptor) -> Result<Document, StoreError> {
    let raw = read_small(source, &descriptor.content())?;
    Document::parse(descriptor.media_type(), raw)
        .map_err(|error| StoreError::malformed(descriptor.digest().to_string(), source.location(), error))
}

/// Reads the whole of some small content: a document or a config.
///
/// # Errors
/// When it is missing, wrong, or larger than [`LARGEST_DOCUMENT`].
pub fn read_small(source: &dyn Source, content: &Content) -> Result<Vec<u8>, StoreError> {
    if content.size > LARGEST_DOCUMENT {
        let reason = format!("it is {} bytes, and a document has at most {LARGEST_DOCUMENT}", content.size);
        return Err(StoreError::malformed(content.digest.to_string(), source.location(), reason));
    }
    let reader = source.open(content)?;
    reader.into_bytes().map_err(|error| StoreError::reading(error, content, source.location()))
}

/// Returns the messages below an error, outermost first: what is printed as `caused by`.
#[must_use]
pub fn causes(error: &dyn Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes
}
