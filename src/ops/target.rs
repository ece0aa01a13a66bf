//! Where the result of an operation goes: a layout, a new archive, an archive that is added to, or a stream.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read as _, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::loadable::loadable;
use super::open::{Context, read_options};
use super::{Error, lookup};
use crate::blob::Cancel;
use crate::content::{Content, Descriptor, Kind};
use crate::document::{Document, LARGEST_DOCUMENT};
use crate::graph;
use crate::media::Compression;
use crate::plan::Plan;
use crate::reference::{Place, Reference, Word, parse_word};
use crate::store::archive::{self, Archive, ArchiveLock, ArchiveOptions, ArchiveSink, Companion};
use crate::store::layout::{LayoutOptions, LayoutSink};
use crate::store::{Durability, Location, Sink, Source, StoreError, names};
use crate::text::{escaped, quoted};
use crate::transfer::{self, Event, Observer, Summary, in_lanes};

/// How a target is written.
#[derive(Clone, Copy, Debug)]
pub struct WriteOptions {
    /// How many pieces are read, hashed and written at once.
    pub jobs: NonZeroUsize,
    /// Whether what was written has reached the medium before it gets its name.
    pub durability: Durability,
    /// How long to wait for another process that holds the target.
    pub lock_timeout: Duration,
}

/// A place that is ready to be written, and of which nothing has been written yet.
#[derive(Debug)]
pub struct Target {
    kind: TargetKind,
    options: WriteOptions,
}

enum TargetKind {
    Layout(Box<LayoutSink>),
    NewArchive(PathBuf),
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
                Some(layout) => Self::layout(layout, options)?,
                None => {
                    return Err(Error::Absent {
                        message: "cannot tell where the result should go: there is no current layout".to_owned(),
                        cause: None,
                        hint: Some("say it with -o PLACE (or -L DIR, or BARGE_LAYOUT)".to_owned()),
                    });
                }
            },
            Some(word) => match place_of(word)? {
                Place::Layout(path) => Self::layout(&path, options)?,
                Place::Archive(path) => Self::archive(path, context)?,
                Place::Stdio => TargetKind::Stream(stdout_stream()?),
                Place::DockerArchive(path) => return Err(only_hybrid(&path)),
                Place::Registry(name) => {
                    return Err(Error::Unsupported {
                        message: format!("cannot write to docker://{name}"),
                        cause: Some("this version of barge writes layouts and archives, not registries".to_owned()),
                        hint: Some(
                            "write an archive, then `skopeo copy --all oci-archive:FILE docker://...`".to_owned(),
                        ),
                    });
                }
            },
        };
        Ok(Self { kind, options })
    }

    fn layout(path: &Path, options: WriteOptions) -> Result<TargetKind, Error> {
        let options = LayoutOptions {
            jobs: Some(options.jobs),
            durability: options.durability,
            lock_timeout: options.lock_timeout,
        };
        Ok(TargetKind::Layout(Box::new(LayoutSink::create_or_open(path, options)?)))
    }

    fn archive(path: PathBuf, context: &Context<'_>) -> Result<TargetKind, Error> {
        match std::fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(TargetKind::NewArchive(path)),
            Err(error) => return Err(StoreError::io("look at", path)(error).into()),
            Ok(metadata) if !metadata.is_file() => {
                return Err(Error::Unsupported {
                    message: format!("cannot write an archive to {}", escaped(&path.to_string_lossy())),
                    cause: Some("it is no regular file".to_owned()),
                    hint: Some("use `-o -` to write to standard output".to_owned()),
                });
            }
            Ok(_) => {}
        }
        let lock = ArchiveLock::take(&path)?;
        let options = read_options(context, None);
        let archive = Archive::open(&path, &options, context.cancel)?;
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
            TargetKind::NewArchive(path) => Location::Archive(path.clone()),
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

    /// Carries out a plan here.
    ///
    /// # Errors
    /// When something cannot be read or written; the place is then as it was.
    pub fn deliver(self, plan: Plan<'_>, cancel: &Cancel, observer: &dyn Observer) -> Result<Summary, Error> {
        let Self { kind, options } = self;
        match kind {
            TargetKind::Layout(mut sink) => Ok(transfer::run(&plan, &mut *sink, cancel, observer)?),
            TargetKind::NewArchive(path) => {
                let options = archive_options(&plan, None, options, observer)?;
                let mut sink = ArchiveSink::to_file(archive::Place::New(path), options)?;
                Ok(transfer::run(&plan, &mut sink, cancel, observer)?)
            }
            TargetKind::Stream(to) => {
                let options = archive_options(&plan, None, options, observer)?;
                let mut sink = ArchiveSink::to_stream(to, options);
                Ok(transfer::run(&plan, &mut sink, cancel, observer)?)
            }
            TargetKind::Archive { lock, archive } => add_to(lock, &archive, plan, options, cancel, observer),
        }
    }
}

/// Writes an archive anew with all that it holds and what is coming, unless it holds that already.
fn add_to<'a>(
    lock: ArchiveLock,
    held: &'a Archive,
    mut plan: Plan<'a>,
    options: WriteOptions,
    cancel: &Cancel,
    observer: &dyn Observer,
) -> Result<Summary, Error> {
    let malformed = |error| StoreError::malformed("index.json", held.location(), crate::store::Reason::from(error));
    let edited = names::edit(held.index_json().map(Document::raw), &plan.inventory().roots).map_err(malformed)?;
    if edited.is_none()
        && let Some(summary) = all_held(held, &plan, options, cancel, observer)?
    {
        return Ok(summary);
    }
    let reach = graph::reach(held, &held.roots()?, &mut |_, _| ()).whole()?;
    plan.add_reach(held, &reach);
    let known: HashSet<_> = plan.inventory().contents.iter().map(|content| content.digest).collect();
    for (digest, size) in held.blobs() {
        if !known.contains(&digest) {
            let content = Content { digest, size, kind: Kind::Blob };
            plan.add(held, &content, "an unreferenced blob".to_owned());
        }
    }
    let options = archive_options(&plan, Some(held), options, observer)?;
    let mut sink = ArchiveSink::to_file(archive::Place::Instead(lock), options)?;
    Ok(transfer::run(&plan, &mut sink, cancel, observer)?)
}

/// Checks whether an archive holds everything of a plan, whole.
fn all_held(
    held: &Archive,
    plan: &Plan<'_>,
    options: WriteOptions,
    cancel: &Cancel,
    observer: &dyn Observer,
) -> Result<Option<Summary>, Error> {
    let contents = &plan.inventory().contents;
    let bytes = contents.iter().map(|content| content.size).sum();
    let pieces = contents.len() as u64;
    observer.hear(Event::Begun { pieces, bytes });
    let meter = |bytes| observer.hear(Event::Advanced { bytes });
    let checked = in_lanes(contents, options.jobs.get(), cancel, |content, cancel| {
        let reader = held.open(content)?.cancelled_by(cancel).metered_by(&meter);
        reader.check().map_err(|error| StoreError::reading(error, content, held.location()))?;
        Ok(())
    });
    observer.hear(Event::Ended);
    match checked {
        Ok(()) => Ok(Some(Summary { present: pieces, present_bytes: bytes, ..Summary::default() })),
        Err((_, StoreError::Cancelled)) => Err(StoreError::Cancelled.into()),
        Err((_, error @ StoreError::Io { .. })) => Err(error.into()),
        Err((_, error)) => {
            // what is wrong there is replaced by what is coming
            observer.hear(Event::Warning(format!("{error}: the archive is written anew")));
            Ok(None)
        }
    }
}

fn archive_options(
    plan: &Plan<'_>,
    held: Option<&Archive>,
    options: WriteOptions,
    observer: &dyn Observer,
) -> Result<ArchiveOptions, Error> {
    let base_index = held.and_then(Archive::index_json).map(|index| index.raw().to_vec());
    let place = held.map_or_else(|| plan.location().clone(), |held| held.location().clone());
    let malformed = |error| StoreError::malformed("index.json", &place, crate::store::Reason::from(error));
    let edited = names::edit(base_index.as_deref(), &plan.inventory().roots).map_err(malformed)?;
    let index = edited.or_else(|| base_index.clone()).unwrap_or_default();
    let loadable = loadable(plan, &names::parse(index).map_err(malformed)?)?;
    if !loadable.zstd.is_empty() {
        observer.hear(Event::Warning(format!(
            "layers of {} are packed with zstd: podman, containerd and skopeo read them, docker's classic store does not",
            loadable.zstd.join(", ")
        )));
    }
    let manifest_json = loadable.manifest_json.map(|bytes| Companion { name: "manifest.json".to_owned(), bytes });
    let mut companions: Vec<Companion> = manifest_json.into_iter().collect();
    if let Some(held) = held {
        for (name, size) in held.others() {
            companions.push(Companion { name: name.to_owned(), bytes: read_other(held, name, size)? });
        }
    }
    Ok(ArchiveOptions { base_index, companions, jobs: options.jobs, durability: options.durability })
}

/// Reads a file of an archive that is none of the format's own, to be kept.
fn read_other(held: &Archive, name: &str, size: u64) -> Result<Vec<u8>, Error> {
    if size > LARGEST_DOCUMENT {
        return Err(Error::Unsupported {
            message: format!("cannot add to {}", held.location()),
            cause: Some(format!("it holds {}, {size} bytes that belong to no image", quoted(name))),
            hint: Some("give another file with -o, and this one as a source".to_owned()),
        });
    }
    let mut bytes = Vec::new();
    if let Some(mut entry) = held.read_entry_unverified(name) {
        entry.read_to_end(&mut bytes).map_err(StoreError::io("read", held.location().to_string()))?;
    }
    Ok(bytes)
}

/// Returns the place that a word of `-o` means.
fn place_of(word: &str) -> Result<Place, Error> {
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
        Word::Local { .. } | Word::Bare { .. } => place_at(Path::new(word)),
    }
}

fn place_at(path: &Path) -> Result<Place, Error> {
    let spelling = path.to_string_lossy().to_lowercase();
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(Place::Layout(path.to_owned())),
        Ok(_) => Ok(Place::Archive(path.to_owned())),
        Err(_) if spelling.ends_with(".tar") => Ok(Place::Archive(path.to_owned())),
        Err(_) if [".tgz", ".tar.gz", ".tar.zst", ".gz", ".zst"].iter().any(|end| spelling.ends_with(end)) => {
            Err(Error::Unsupported {
                message: format!("cannot write {}", escaped(&path.to_string_lossy())),
                cause: Some("archives are written uncompressed: their layers are compressed already, and not every loader reads a compressed one".to_owned()),
                hint: Some("give a name that ends in .tar, or pipe `-o -` through gzip or zstd".to_owned()),
            })
        }
        Err(_) => Ok(Place::Layout(path.to_owned())),
    }
}

fn only_hybrid(path: &Path) -> Error {
    Error::Unsupported {
        message: format!("cannot write docker-archive:{}", escaped(&path.to_string_lossy())),
        cause: Some("it can hold one platform of an image only, and would change its digest".to_owned()),
        hint: Some(
            "write FILE.tar: it is an OCI archive with a manifest.json, which `docker load` takes too".to_owned(),
        ),
    }
}

/// Opens standard output for an archive.
fn stdout_stream() -> Result<Box<dyn Write + Send>, StoreError> {
    use std::os::fd::AsFd as _;
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
