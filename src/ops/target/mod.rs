//! Where the result of an operation goes: a layout, a new archive, an archive that is added to, or a stream.

mod add;
mod form;
mod lists;
mod refusals;
mod split;
mod spread;
mod standing;
mod whole;
mod workbench;

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::add::add_to;
use self::form::archive_options;
pub use self::lists::United;
pub(super) use self::lists::unite;
use self::refusals::{no_archive, no_current_layout, no_registry, only_hybrid};
use self::split::archive_parts;
pub use self::split::{Arranged, Split};
pub use self::standing::Standing;
pub use self::workbench::{Made, Workbench};
use super::bundle::Packing;
use super::open::{Context, Store, is_absence, read_options};
use super::{Error, lookup};
use crate::blob::Cancel;
use crate::content::Descriptor;
use crate::digest::Digest;
use crate::media::Compression;
use crate::plan::Plan;
use crate::reference::{Place, Reference, Selector, Word, parse_word};
use crate::store::archive::{self, Alignment, Archive, ArchiveLock, ArchiveOptions, ArchiveSink, SetAside};
use crate::store::layout::{Layout, LayoutOptions, LayoutSink};
use crate::store::{Durability, Location, Sink, Source, StoreError, directory_of, local_lanes, names};
use crate::text::{escaped, human_size, quoted};
use crate::transfer::{self, Event, Observer, Summary};

/// What a new archive is to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArchiveFormat {
    /// An OCI layout with a `manifest.json`: it loads everywhere.
    #[default]
    Hybrid,
    /// An OCI layout alone.
    Oci,
    /// A `manifest.json` with configs and layers alone, as `docker save` wrote it for long: one platform, no digests of
    /// manifests.
    Docker,
}

/// How a target is written.
#[derive(Clone, Copy, Debug)]
pub struct WriteOptions {
    /// What a new archive is to be.
    pub format: ArchiveFormat,
    /// How a new archive is packed as a whole.
    pub compression: Compression,
    /// At which multiples of bytes all content begins in an archive; none for wherever it comes to stand.
    pub alignment: Option<Alignment>,
    /// How a new archive is split over several files; none for one file.
    pub split: Option<Split>,
    /// How many pieces are read, hashed and written at once.
    pub jobs: NonZeroUsize,
    /// Whether what was written has reached the medium before it gets its name.
    pub durability: Durability,
    /// How long to wait for another process that holds the target.
    pub lock_timeout: Duration,
}

impl Default for WriteOptions {
    /// A plain archive that skopeo and docker both take, one lane more than there are cores, flushed to the disk, and ten seconds
    /// of waiting.
    fn default() -> Self {
        Self {
            format: ArchiveFormat::Hybrid,
            compression: Compression::None,
            alignment: None,
            split: None,
            jobs: local_lanes(),
            durability: Durability::Synced,
            lock_timeout: Duration::from_secs(10),
        }
    }
}

/// What becomes of content that nothing refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Unreferenced {
    /// It stays.
    #[default]
    Keep,
    /// Of these, it goes.
    Drop(HashSet<Digest>),
}

/// What to do about a file that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Refuse.
    #[default]
    Refuse,
    /// Replace it, once the new one is whole.
    Replace,
}

/// A place that is ready to be written, and of which nothing has been written yet.
#[derive(Debug)]
pub struct Target {
    kind: TargetKind,
    options: WriteOptions,
    unreferenced: Unreferenced,
    /// Whether content is made here.
    makes: bool,
    /// What a new archive says of itself beside its images; none when it has no packing list.
    packing: Option<Packing>,
}

enum TargetKind {
    Layout(Box<LayoutSink>),
    NewArchive(archive::Place),
    Archive { lock: ArchiveLock, archive: Archive },
    Stream(Box<dyn Write + Send>),
}

impl Target {
    /// Opens the place that a word of `-o` means: a scheme and a path, or a path alone; what does not exist yet becomes an
    /// archive when it ends in `.tar`, else a layout. Without a word it is the current layout.
    ///
    /// # Errors
    /// When the word is no path, or the place cannot be written or added to.
    pub fn open(word: Option<&str>, context: &Context<'_>, options: WriteOptions) -> Result<Self, Error> {
        let kind = match word {
            None => match context.layout {
                Some(layout) => Self::layout(layout, context, options)?,
                None => return Err(no_current_layout()),
            },
            Some(word) => return Self::at(place_of(word, Compression::None)?, context, options),
        };
        Ok(Self { kind, options, unreferenced: Unreferenced::Keep, makes: false, packing: None })
    }

    /// Opens a place that is known.
    ///
    /// # Errors
    /// When it cannot be written or added to.
    pub fn at(place: Place, context: &Context<'_>, options: WriteOptions) -> Result<Self, Error> {
        let kind = match place {
            Place::Layout(path) => Self::layout(&path, context, options)?,
            Place::Archive(path) => Self::archive(path, context, options)?,
            Place::Stdio => TargetKind::Stream(stdout_stream()?),
            Place::DockerArchive(path) => return Err(only_hybrid(&path)),
            Place::Registry(name) => return Err(no_registry(&name)),
        };
        Ok(Self { kind, options, unreferenced: Unreferenced::Keep, makes: false, packing: None })
    }

    /// Says what becomes of content that nothing in an archive refers to any more when it is written anew. In a layout it
    /// stays in any case.
    #[must_use]
    pub fn with_unreferenced(mut self, unreferenced: Unreferenced) -> Self {
        self.unreferenced = unreferenced;
        self
    }

    /// Makes a new archive say what it brings, in a `bundle.json`. A docker-archive has no place for one.
    #[must_use]
    pub fn with_packing(mut self, packing: Packing) -> Self {
        self.packing = Some(packing);
        self
    }

    /// Prepares to write a new archive: to the file that a word means, or to standard output. What is there already is
    /// replaced only when `existing` says so, and never added to.
    ///
    /// # Errors
    /// When the word means no archive, or something is there.
    pub fn create(word: &str, existing: Existing, context: &Context<'_>, options: WriteOptions) -> Result<Self, Error> {
        let path = match place_of(word, options.compression)? {
            Place::Stdio => {
                let kind = TargetKind::Stream(stdout_stream()?);
                return Ok(Self { kind, options, unreferenced: Unreferenced::Keep, makes: false, packing: None });
            }
            Place::Archive(path) | Place::DockerArchive(path) => path,
            Place::Layout(path) if !path.is_dir() => path, // whatever it is called: this command writes files
            Place::Layout(path) => {
                return Err(Error::Usage {
                    message: format!(
                        "cannot write an archive to {}: it is a directory",
                        escaped(&path.to_string_lossy())
                    ),
                    hint: Some("give a file; `barge copy` writes layouts".to_owned()),
                });
            }
            Place::Registry(name) => return Err(no_registry(&name)),
        };
        let place = match (is_there(&path)?, existing) {
            (false, _) => archive::Place::New(path),
            (true, Existing::Replace) => {
                archive::Place::Instead(ArchiveLock::wait_for(&path, options.lock_timeout, context.cancel)?)
            }
            (true, Existing::Refuse) => {
                return Err(Error::Unsupported {
                    message: format!("cannot write {}: it is there already", escaped(&path.to_string_lossy())),
                    cause: None,
                    hint: Some("give another name, or --force to replace it".to_owned()),
                });
            }
        };
        Ok(Self {
            kind: TargetKind::NewArchive(place),
            options,
            unreferenced: Unreferenced::Keep,
            makes: false,
            packing: None,
        })
    }

    fn layout(path: &Path, context: &Context<'_>, options: WriteOptions) -> Result<TargetKind, Error> {
        let options = LayoutOptions {
            jobs: Some(options.jobs),
            durability: options.durability,
            lock_timeout: options.lock_timeout,
            indexes: context.indexes.clone(),
        };
        let sink = LayoutSink::create_or_open(path, options)?.cancelled_by(context.cancel);
        Ok(TargetKind::Layout(Box::new(sink)))
    }

    fn archive(path: PathBuf, context: &Context<'_>, options: WriteOptions) -> Result<TargetKind, Error> {
        if !is_there(&path)? {
            let above = directory_of(&path);
            if !above.try_exists().map_err(StoreError::io("read", above))? {
                let what = format!("the directory {} to hold the archive", quoted(&above.to_string_lossy()));
                let hint = Some("make it first, or check the path".to_owned());
                return Err(StoreError::Absent { what, place: Location::Archive(path), hint }.into());
            }
            return Ok(TargetKind::NewArchive(archive::Place::New(path)));
        }
        let lock = ArchiveLock::wait_for(&path, options.lock_timeout, context.cancel)?;
        let archive = Archive::open(&path, &read_options(context, None), context.cancel)?;
        let unfit = match (archive.compression(), archive.index_json()) {
            (Compression::None, Some(_)) => None,
            (Compression::None, None) => Some("it is a docker-archive"),
            _ => Some("it is compressed"),
        };
        if let Some(unfit) = unfit {
            return Err(Error::Unsupported {
                message: format!("cannot add to {}", archive.location()),
                cause: Some(unfit.to_owned()),
                hint: Some("give another file with -o, and this one as a source".to_owned()),
            });
        }
        for warning in archive.warnings() {
            context.observer.hear(Event::Warning(warning.clone()));
        }
        Ok(TargetKind::Archive { lock, archive })
    }

    /// Returns where it is.
    #[must_use]
    pub fn location(&self) -> Location {
        match &self.kind {
            TargetKind::Layout(sink) => sink.location().clone(),
            TargetKind::NewArchive(place) if self.options.format == ArchiveFormat::Docker => {
                Location::DockerArchive(place.path().to_owned())
            }
            TargetKind::NewArchive(place) => Location::Archive(place.path().to_owned()),
            TargetKind::Archive { archive, .. } => archive.location().clone(),
            TargetKind::Stream(_) => Location::Stdio,
        }
    }

    /// Returns what the place names already.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn roots(&self) -> Result<Vec<Descriptor>, StoreError> {
        match &self.kind {
            TargetKind::Layout(sink) => sink.layout().map_or_else(|| Ok(Vec::new()), Source::roots),
            TargetKind::Archive { archive, .. } => archive.roots(),
            TargetKind::NewArchive(_) | TargetKind::Stream(_) => Ok(Vec::new()),
        }
    }

    /// Opens what is there already once more, to be read beside; `None` when nothing is there, or it is replaced.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn held(&self, context: &Context<'_>) -> Result<Option<Store>, Error> {
        let path = match &self.kind {
            TargetKind::Layout(sink) => sink.layout().and_then(|layout| layout.location().path()),
            TargetKind::Archive { archive, .. } => archive.location().path(),
            TargetKind::NewArchive(_) | TargetKind::Stream(_) => None,
        };
        let Some(path) = path else { return Ok(None) };
        Ok(Some(match &self.kind {
            TargetKind::Layout(_) => Store::Layout(Layout::open_knowing(path, context.indexes)?),
            // what is odd about it has been said
            _ => Store::Archive(Archive::open(path, &read_options(context, None), context.cancel)?),
        }))
    }

    /// Carries out a plan here.
    ///
    /// # Errors
    /// When something cannot be read or written; the place is then as it was.
    pub fn deliver(self, mut plan: Plan<'_>, cancel: &Cancel, observer: &dyn Observer) -> Result<Summary, Error> {
        for united in self.unite_lists(&mut plan)? {
            united.describe(&self.location()).into_iter().for_each(|text| observer.hear(Event::Told(text)));
        }
        let asked_to_go = |digest| plan.inventory().gone.iter().any(|gone| *gone.digest() == digest);
        for (name, digest) in names::displaced(&self.roots()?, &plan.inventory().roots) {
            if !asked_to_go(digest) {
                let name = escaped(&name);
                observer.hear(Event::Warning(format!(
                    "{name} meant {digest} in {}: it has lost the name",
                    self.location()
                )));
            }
        }
        let Self { kind, options, unreferenced, makes, packing } = self;
        match kind {
            TargetKind::Layout(mut sink) => {
                let result = transfer::run(&plan, &mut *sink, cancel, observer);
                if makes && result.is_err() {
                    // what was made is made again from what is here, and is of no use to anybody until then
                    sink.abandon();
                }
                Ok(result?)
            }
            TargetKind::NewArchive(place) => {
                if let Some(split) = options.split {
                    return archive_parts(&mut plan, place, (split, options), packing.as_ref(), cancel, observer);
                }
                let form = archive_options(&mut plan, None, packing.as_ref(), options, observer)?;
                archive_file(&plan, place, form, cancel, observer)
            }
            TargetKind::Stream(to) => {
                let options = archive_options(&mut plan, None, packing.as_ref(), options, observer)?;
                let mut sink = ArchiveSink::to_stream(to, options)?;
                Ok(transfer::run(&plan, &mut sink, cancel, observer)?)
            }
            TargetKind::Archive { lock, archive } => {
                add_to(lock, &archive, plan, &unreferenced, options, cancel, observer)
            }
        }
    }
}

/// Writes an archive to a file; one that cannot be finished is kept for the next run, when that is worth it.
fn archive_file(
    plan: &Plan<'_>,
    place: archive::Place,
    options: ArchiveOptions,
    cancel: &Cancel,
    observer: &dyn Observer,
) -> Result<Summary, Error> {
    let mut sink = ArchiveSink::to_file(place, options)?;
    let result = transfer::run(plan, &mut sink, cancel, observer);
    if result.is_err()
        && let Some(SetAside { path, bytes }) = sink.set_aside()
    {
        observer.hear(Event::Told(format!(
            "{} of it are kept in {}: run the same command again to continue, or delete that file",
            human_size(bytes),
            path.to_string_lossy()
        )));
    }
    Ok(result?)
}

/// Returns the place and the name that a word means as a destination: a path that exists as a whole is a place; else the
/// path ends at the first colon, as everywhere else.
///
/// # Errors
/// When the word is no place.
pub fn destination(word: &str, context: &Context<'_>) -> Result<(Place, Option<String>), Error> {
    let named = |selector: Option<Selector>| match selector {
        None => Ok(None),
        Some(Selector::Name(name)) => Ok(Some(name)),
        Some(other) => Err(Error::Usage {
            message: format!("cannot write to {}: {other} is no name", quoted(word)),
            hint: Some("give a place, or a place and :NAME".to_owned()),
        }),
    };
    match parse_word(word)? {
        Word::Reference(Reference { place, selector }) => Ok((place, named(selector)?)),
        Word::Current(selector) => match context.layout {
            Some(layout) => Ok((Place::Layout(layout.to_owned()), named(Some(selector))?)),
            None => Err(no_current_layout()),
        },
        Word::Local { splits, .. } | Word::Bare { splits, .. } => {
            let there = splits.iter().find(|split| split.path.exists());
            // the whole word comes first, then the shortest path
            let split = there.or_else(|| splits.get(1)).or_else(|| splits.first());
            match split {
                Some(split) => Ok((place_at(&split.path, Compression::None)?, named(split.selector.clone())?)),
                None => place_at(Path::new(word), Compression::None).map(|place| (place, None)),
            }
        }
    }
}

/// Returns the layout that a word of `-o` means; none when it means something else, or nothing.
#[must_use]
pub fn layout_meant(word: &str) -> Option<PathBuf> {
    match place_of(word, Compression::None) {
        Ok(Place::Layout(path)) => Some(path),
        _ => None,
    }
}

/// Returns the place that a word of `-o` means.
fn place_of(word: &str, compression: Compression) -> Result<Place, Error> {
    let usage = |hint: &str| Error::Usage {
        message: format!("cannot write to {}: -o takes a place, not an image", quoted(word)),
        hint: Some(hint.to_owned()),
    };
    match parse_word(word)? {
        Word::Reference(Reference { place: Place::Registry(name), .. }) => Ok(Place::Registry(name)),
        Word::Reference(Reference { place, selector: None }) => Ok(place),
        Word::Reference(_) => Err(usage("give the name with -t NAME")),
        Word::Current(_) => Err(usage("give the layout with -o DIR or -L DIR, and the name with -t NAME")),
        // always a path, whatever it looks like
        Word::Local { .. } | Word::Bare { .. } => place_at(Path::new(word), compression),
    }
}

fn place_at(path: &Path, compression: Compression) -> Result<Place, Error> {
    let spelling = path.to_string_lossy().to_lowercase();
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(Place::Layout(path.to_owned())),
        Ok(_) => Ok(Place::Archive(path.to_owned())),
        // how it is spelled says what is to be made where nothing is
        Err(error) if !is_absence(&error) => Err(StoreError::io("look at", path)(error).into()),
        Err(_) if spelling.ends_with(".tar") => Ok(Place::Archive(path.to_owned())),
        Err(_) if compression != Compression::None => Ok(Place::Archive(path.to_owned())),
        Err(_) if [".tgz", ".tar.gz", ".tar.zst", ".gz", ".zst"].iter().any(|end| spelling.ends_with(end)) => {
            Err(Error::Unsupported {
                message: format!("cannot write {}", escaped(&path.to_string_lossy())),
                cause: Some("archives are written uncompressed: their layers are compressed already, and not every loader reads a compressed one".to_owned()),
                hint: Some("give a name that ends in .tar, or use `barge save --compress gzip`".to_owned()),
            })
        }
        Err(_) => Ok(Place::Layout(path.to_owned())),
    }
}

/// Returns whether a file is there that an archive can be.
fn is_there(path: &Path) -> Result<bool, Error> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && path.is_symlink() => {
            Err(no_archive(path, "it is a symbolic link to nothing", "write to where it leads"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StoreError::io("look at", path)(error).into()),
        Ok(metadata) if !metadata.is_file() => {
            Err(no_archive(path, "it is no regular file", "use `-o -` to write to standard output"))
        }
        Ok(_) => Ok(true),
    }
}

/// Opens standard output for an archive.
fn stdout_stream() -> Result<Box<dyn Write + Send>, Error> {
    use std::io::IsTerminal as _;
    use std::os::fd::AsFd as _;
    if std::io::stdout().is_terminal() {
        return Err(Error::Usage {
            message: "cannot write an archive to a terminal".to_owned(),
            hint: Some("redirect it: `-o - > FILE.tar`, or give a file with -o".to_owned()),
        });
    }
    let fd = std::io::stdout().as_fd().try_clone_to_owned().map_err(StoreError::io("open", "standard output"))?;
    Ok(Box::new(File::from(fd)))
}

impl std::fmt::Debug for TargetKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Layout(_) => "Layout",
            Self::NewArchive(_) => "NewArchive",
            Self::Archive { .. } => "Archive",
            Self::Stream(_) => "Stream",
        })
    }
}

/// Returns the names under which a target will hold what is coming, for reports.
#[must_use]
pub fn names_of(roots: &[Descriptor]) -> Vec<String> {
    roots.iter().filter_map(lookup::name_of).map(str::to_owned).collect()
}
