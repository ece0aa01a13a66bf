//! `verify`: every reachable byte, in place, and every problem, not only the first.

mod deep;
mod noted;
mod problem;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use self::noted::{DiffIds, Done, Image, diff_ids_of, note};
use self::problem::problem;
pub use self::problem::{Problem, Status};
use super::Error;
use super::bundle::packed_in;
use super::gather::disagree;
use super::look::CompactFacts;
use super::lookup::{is_attached, name_of, select};
use super::open::Store;
use super::parts::damaged;
use crate::blob::Cancel;
use crate::content::{Content, Descriptor, Kind, total};
use crate::digest::Digest;
use crate::document::ImageConfig;
use crate::error::Class;
use crate::graph::{self, ByDigest, Finding, Node};
use crate::platform::Platform;
use crate::reference::Selector;
use crate::store::lanes::in_lanes;
use crate::store::{Source, StoreError, read_config};
use crate::text::escaped;
use crate::transfer::{Event, Observer, Outcome, Piece};

/// How thoroughly to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// That all content is there with its size, and documents against each other: nothing else is read.
    Presence,
    /// Sizes and digests of all content, and documents against each other.
    Digests,
    /// Layers unpacked too, and their `diff_ids`.
    DiffIds,
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// How many parts the place is read from; 0 when it is not split.
    pub parts: usize,
    /// How many top-level descriptors were followed.
    pub images: usize,
    /// How many pieces were read and hashed.
    pub pieces: u64,
    /// How many bytes these are.
    pub bytes: u64,
    /// How many layers were unpacked to check their `diff_ids`.
    pub unpacked: u64,
    /// Everything wrong, in the order of the place, as far as it is listed: of content [`MOST_PROBLEMS`].
    pub problems: Vec<Problem>,
    /// How many further problems there are.
    pub more_problems: u64,
    /// What is not there because whoever takes the archive in has it: how many pieces, and how many bytes these are.
    pub left_out: (u64, u64),
    /// Layers of a compact archive that cannot be made here, since a base layer is not at hand: how many, and how many bytes these
    /// are.
    pub lacking_base: (u64, u64),
    /// How many layers of a compact archive are made again when they are read.
    pub compact: u64,
    /// What a compact archive is as a whole, and what it needs; none for anything else.
    pub made: Option<CompactFacts>,
    /// Pieces of blobs of which the rest is in other parts: they can be checked only together.
    pub cut: u64,
    /// Blobs that nothing refers to: no harm, and not read.
    pub unreferenced: Vec<(Digest, u64)>,
}

/// Returns whether nothing is known of some content because nobody could be asked: then it is neither right nor wrong.
fn is_out_of_reach(error: &StoreError) -> bool {
    matches!(error, StoreError::Remote { class: Class::Unreachable | Class::Refused, .. })
}

/// Checks everything that can be reached from an image, or from all of a place.
///
/// # Errors
/// When the image is not there, its registry cannot be reached or does not let us, or somebody asked to stop. Whatever is wrong with content is a [`Problem`].
pub fn verify(
    store: &Store,
    selector: Option<&Selector>,
    depth: Depth,
    jobs: NonZeroUsize,
    cancel: &Cancel,
    observer: &dyn Observer,
) -> Result<Verified, Error> {
    let mut task = Task {
        store,
        cancel,
        depth,
        verified: Verified::default(),
        images: Vec::new(),
        reached: Vec::new(),
        left_out: HashMap::new(),
    };
    // what cannot be looked at for it is found when its layers are read
    task.verified.made = CompactFacts::of(store).ok().flatten();
    // a part that is an archive by itself may have content of an image that another part names
    let mut is_part = false;
    match packed_in(store) {
        Ok(packed) => {
            is_part = packed.as_ref().is_some_and(|packed| packed.list.part().is_some());
            task.left_out = packed.map(|packed| packed.list.left_out_sizes()).unwrap_or_default();
        }
        Err(Error::Store(error)) => task.found("bundle.json".to_owned(), "the packing list", Vec::new(), &error),
        Err(error) => return Err(error),
    }
    let roots = match selector {
        Some(_) => select(store, selector)?,
        None => match store.roots() {
            Ok(roots) => roots,
            Err(error) => {
                task.found("index.json".to_owned(), "the list of images", Vec::new(), &error);
                return Ok(task.verified);
            }
        },
    };
    task.verified.images = roots.len();
    if selector.is_none() {
        task.names(&roots);
    }
    task.check(&roots, jobs, observer)?;
    if selector.is_none() {
        task.unreferenced()?;
        if is_part {
            task.of_other_parts(jobs, observer)?;
        }
        if depth != Depth::Presence {
            task.parts(jobs, observer)?;
        }
    }
    Ok(task.verified.bounded())
}

/// How many problems of content are listed of one place. Nobody reads more, and a hostile place could make any number.
pub const MOST_PROBLEMS: usize = 10_000;

impl Verified {
    fn bounded(mut self) -> Self {
        self.problems.dedup();
        let found = self.problems.len();
        let mut listed = 0;
        self.problems.retain(|problem| {
            // there are not many parts, and each that is damaged has to be brought again
            let is_part = problem.status == Status::DamagedPart;
            listed += usize::from(!is_part);
            is_part || listed <= MOST_PROBLEMS
        });
        self.more_problems = (found - self.problems.len()) as u64;
        self
    }
}

struct Task<'a> {
    store: &'a Store,
    cancel: &'a Cancel,
    depth: Depth,
    verified: Verified,
    images: Vec<Image>,
    /// What was reached; sorted.
    reached: Vec<Digest>,
    /// What an archive leaves out because its base has it.
    left_out: HashMap<Digest, u64>,
}

impl Task<'_> {
    /// Finds names that stand for two images.
    fn names(&mut self, roots: &[Descriptor]) {
        let mut named: BTreeMap<&str, BTreeSet<Digest>> = BTreeMap::new();
        for root in roots.iter().filter(|root| !is_attached(root)) {
            named.entry(name_of(root).unwrap_or_default()).or_default().insert(*root.digest());
        }
        for (name, digests) in named.into_iter().filter(|(name, digests)| !name.is_empty() && digests.len() > 1) {
            let list = digests.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
            self.verified.problems.push(Problem {
                subject: escaped(name),
                status: Status::AmbiguousName,
                about: "a name in index.json".to_owned(),
                referenced_by: Vec::new(),
                detail: format!("it stands for {list}: loaders take the first, the last, or none"),
            });
        }
    }

    fn check(&mut self, roots: &[Descriptor], jobs: NonZeroUsize, observer: &dyn Observer) -> Result<(), Error> {
        let depth = self.depth;
        let (images, mut stated) = (&mut self.images, Vec::new());
        let mut documents = 0;
        let mut document_bytes = 0;
        let reach = graph::reach(self.store, roots, &mut |descriptor, document| {
            documents += 1;
            document_bytes += descriptor.size();
            note(descriptor, document, depth, images, &mut stated);
        });
        let of_roots = roots.iter().filter_map(|root| Some((*root.digest(), root.platform()?.clone())));
        stated.extend(of_roots);
        // those of one manifest stay in their order
        stated.sort_by_key(|(manifest, _)| *manifest);
        self.reached = reach.nodes.iter().map(|node| node.content.digest).collect();
        self.reached.sort_unstable();
        self.reached.dedup();
        let nodes = ByDigest::of(&reach.nodes);
        let mut done = Done::of(reach.nodes.len());
        for finding in reach.findings {
            if is_out_of_reach(&finding.error) {
                return Err(finding.error.into());
            }
            done.enter(&nodes, &finding.digest);
            self.finding(&finding);
        }
        let diff_ids = self.configs(&nodes, &stated, &mut done)?;
        drop(stated);
        let is_left_out = |content: &Content| {
            self.left_out.get(&content.digest) == Some(&content.size) && matches!(self.store.holds(content), Ok(false))
        };
        let mut contents: Vec<&Content> = Vec::new();
        let mut left_out: Vec<&Content> = Vec::new();
        let mut lacking_base: Vec<&Content> = Vec::new();
        let archive = if let Store::Archive(archive) = self.store { Some(archive) } else { None };
        let lacks_base = |content: &Content| {
            archive.is_some_and(|archive| matches!(archive.lacking_base(&content.digest), Ok(Some(_))))
        };
        for node in &reach.nodes {
            let read = matches!(node.content.kind, Kind::Manifest(_));
            if !read && done.enter(&nodes, &node.content.digest) {
                let list = match () {
                    () if is_left_out(&node.content) => &mut left_out,
                    () if lacks_base(&node.content) => &mut lacking_base,
                    () => &mut contents,
                };
                list.push(&node.content);
            }
        }
        self.verified.left_out = (left_out.len() as u64, total(left_out.iter().map(|content| content.size)));
        self.verified.lacking_base =
            (lacking_base.len() as u64, total(lacking_base.iter().map(|content| content.size)));
        let is_made = |content: &&&Content| archive.is_some_and(|archive| archive.makes(&content.digest));
        self.verified.compact = contents.iter().filter(is_made).count() as u64;
        contents.sort_by_key(|content| std::cmp::Reverse(content.size));
        self.verified.pieces += documents;
        self.verified.bytes += document_bytes;
        self.read(&contents, &nodes, &diff_ids, jobs, observer)
    }

    fn finding(&mut self, finding: &Finding) {
        self.found(finding.digest.to_string(), &finding.about, finding.referenced_by.clone(), &finding.error);
    }

    fn found(&mut self, subject: String, about: &str, referenced_by: Vec<Digest>, error: &StoreError) {
        self.verified.problems.push(problem(subject, about.to_owned(), referenced_by, error));
    }

    /// Reads every config once: its form, its platform, and what it promises of the layers.
    fn configs(
        &mut self,
        nodes: &ByDigest<'_>,
        stated: &[(Digest, Platform)],
        done: &mut Done,
    ) -> Result<DiffIds, Error> {
        let mut diff_ids = DiffIds::new();
        for image in std::mem::take(&mut self.images) {
            let digest = image.config.digest;
            let own = || format!("config of {}", image.manifest.short());
            let about = || nodes.get(&digest).map_or_else(own, Node::about);
            let first = done.enter(nodes, &digest);
            let config = match read_config(self.store, &image.config) {
                Ok(config) => config,
                Err(error) if is_out_of_reach(&error) => return Err(error.into()),
                Err(error) => {
                    if first {
                        self.found(digest.to_string(), &about(), vec![image.manifest], &error);
                    }
                    continue;
                }
            };
            if first {
                self.verified.pieces += 1;
                self.verified.bytes += image.config.size;
            }
            let start = stated.partition_point(|(manifest, _)| *manifest < image.manifest);
            let own = stated[start..].iter().take_while(|(manifest, _)| *manifest == image.manifest);
            self.compare(&image, &config, own.map(|(_, platform)| platform), &about);
            for (layer, diff_id) in image.layers.iter().zip(&config.diff_ids) {
                diff_ids.extend(nodes.position(layer).map(|at| (at, *diff_id)));
            }
        }
        diff_ids.sort_unstable();
        diff_ids.dedup();
        Ok(diff_ids)
    }

    /// Compares a config with what refers to it.
    fn compare<'p>(
        &mut self,
        image: &Image,
        config: &ImageConfig,
        stated: impl Iterator<Item = &'p Platform>,
        about: &dyn Fn() -> String,
    ) {
        let mut complain = |status, detail| {
            self.verified.problems.push(Problem {
                subject: image.config.digest.to_string(),
                status,
                about: about(),
                referenced_by: vec![image.manifest],
                detail,
            });
        };
        let (layers, diff_ids) = (image.count, config.diff_ids.len());
        if layers != diff_ids {
            complain(Status::Malformed, format!("it has {diff_ids} diff_ids for {layers} layers"));
        }
        let said = !config.platform.os.is_empty() && !config.platform.architecture.is_empty();
        for stated in stated {
            if said && disagree(stated, &config.platform) {
                let detail = format!("its config is for {}, the index says {stated}", config.platform);
                complain(Status::PlatformMismatch, detail);
            }
        }
    }

    /// Reads and hashes content in lanes.
    fn read(
        &mut self,
        contents: &[&Content],
        nodes: &ByDigest<'_>,
        diff_ids: &[(usize, Digest)],
        jobs: NonZeroUsize,
        observer: &dyn Observer,
    ) -> Result<(), Error> {
        let bytes = total(contents.iter().map(|content| content.size));
        observer.hear(Event::Begun { pieces: contents.len() as u64, bytes });
        let found: Mutex<Vec<(Digest, Problem)>> = Mutex::default();
        let tally = Mutex::new((0, 0, 0));
        let (store, depth) = (self.store, self.depth);
        let result = in_lanes(contents, jobs.get(), self.cancel, |content, cancel| {
            let node = nodes.get(&content.digest);
            let about = node.map_or_else(|| "content".to_owned(), Node::about);
            let referenced_by = || node.map(|node| node.referenced_by.to_vec()).unwrap_or_default();
            let report = |problem| {
                found.lock().unwrap_or_else(PoisonError::into_inner).push((content.digest, problem));
            };
            let reader = match store.open(content) {
                Ok(reader) => reader,
                Err(StoreError::Missing { .. }) if node.is_some_and(|node| node.media_type().is_foreign_layer()) => {
                    return Ok(());
                }
                Err(error) => {
                    report(problem(content.digest.to_string(), about.clone(), referenced_by(), &error));
                    return Ok(());
                }
            };
            if depth == Depth::Presence {
                return Ok(());
            }
            let piece = Piece::start(observer, content, &about, store.location());
            let count = |bytes| piece.count(bytes);
            let reader = reader.cancelled_by(cancel).metered_by(&count);
            let expected = nodes.position(&content.digest).map_or(&[][..], |at| diff_ids_of(at, diff_ids));
            let checked = match expected.first() {
                Some((_, first)) => deep::diff_id(reader, store.location(), first.algorithm()),
                None => reader.check().map(|_| None).map_err(|e| StoreError::reading(e, content, store.location())),
            };
            let unpacked = match checked {
                Ok(unpacked) => unpacked,
                Err(StoreError::Cancelled) => return Err(StoreError::Cancelled),
                Err(error) if is_out_of_reach(&error) => return Err(error),
                Err(error) => {
                    report(problem(content.digest.to_string(), about.clone(), referenced_by(), &error));
                    return Ok(());
                }
            };
            {
                let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                *tally = (tally.0 + 1, tally.1 + content.size, tally.2 + u64::from(unpacked.is_some()));
            }
            for (_, expected) in expected {
                if let Some(got) = unpacked.filter(|got| got != expected) {
                    report(Problem {
                        subject: content.digest.to_string(),
                        status: Status::DiffIdMismatch,
                        about: about.clone(),
                        referenced_by: referenced_by(),
                        detail: format!("unpacked it is {got}, expected {expected}"),
                    });
                }
            }
            piece.finish(Outcome::Checked);
            Ok(())
        });
        observer.hear(Event::Ended);
        result.map_err(|(_, error)| error)?;
        // lanes that stop between two pieces have no failure to tell
        if self.cancel.is_cancelled() {
            return Err(StoreError::Cancelled.into());
        }
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        // lanes end in any order: the report does not
        found.sort_by(|(a, one), (b, other)| (a, one.status, &one.detail).cmp(&(b, other.status, &other.detail)));
        self.verified.problems.extend(found.into_iter().map(|(_, problem)| problem));
        let (pieces, bytes, unpacked) = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.verified.pieces += pieces;
        self.verified.bytes += bytes;
        self.verified.unpacked += unpacked;
        Ok(())
    }

    /// Compares the parts of a split archive with their notes.
    fn parts(&mut self, jobs: NonZeroUsize, observer: &dyn Observer) -> Result<(), Error> {
        let Store::Archive(archive) = self.store else { return Ok(()) };
        let Some(parts) = archive.parts() else { return Ok(()) };
        self.verified.parts = parts.count();
        for damage in damaged(parts, None, jobs.get(), self.cancel, observer)? {
            self.verified.problems.push(Problem {
                subject: escaped(&damage.path.to_string_lossy()),
                status: Status::DamagedPart,
                about: format!("part {} of {}", damage.number, damage.of),
                referenced_by: Vec::new(),
                detail: format!("its SHA-256 is {}, expected {}", damage.got.hex(), damage.expected.hex()),
            });
        }
        Ok(())
    }

    /// Reads the blobs that nothing here refers to, where what refers to them is in another part.
    fn of_other_parts(&mut self, jobs: NonZeroUsize, observer: &dyn Observer) -> Result<(), Error> {
        let blobs = std::mem::take(&mut self.verified.unreferenced).into_iter();
        let contents: Vec<Content> = blobs.map(|(digest, size)| Content { digest, size, kind: Kind::Blob }).collect();
        if let Store::Archive(archive) = self.store {
            self.verified.cut = archive.others().iter().filter(|(name, _)| name.starts_with("pieces/")).count() as u64;
        }
        let contents: Vec<&Content> = contents.iter().collect();
        self.read(&contents, &ByDigest::of(&[]), &[], jobs, observer)
    }

    /// Lists the blobs that the walk did not come by.
    fn unreferenced(&mut self) -> Result<(), Error> {
        let mut blobs = self.store.blobs()?;
        blobs.retain(|(digest, _)| self.reached.binary_search(digest).is_err());
        blobs.sort_unstable();
        self.verified.unreferenced = blobs;
        Ok(())
    }
}
