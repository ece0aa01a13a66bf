//! One suite that every store passes: what `Source` and `Sink` promise, checked on each backend alike.
#![allow(clippy::unwrap_used)] // all of this is tests

#[path = "support/registry/mod.rs"]
mod registry;
mod support;

use std::io::Read;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use barge::blob::{BlobError, BlobReader, Cancel, Mismatch};
use barge::content::{CONTAINERD_NAME, Content, Descriptor, Kind, REF_NAME};
use barge::digest::{Algorithm, Digest};
use barge::media::{Compression, OCI_LAYER};
use barge::plan::Plan;
use barge::store::archive::{Archive, ArchiveOptions, ArchiveSink, Place, ReadOptions, Shape, SplitOptions, SplitSink};
use barge::store::layout::{Layout, LayoutOptions, LayoutSink};
use barge::store::memory::Memory;
use barge::store::registry::{Delivery, NetworkOptions, Registries, RegistrySink, Repository, Taken};
use barge::store::{Committed, Durability, Inventory, Outcome, PutError, Sink, Source, StoreError};
use barge::transfer::{self, Deaf};
use registry::FakeRegistry;

/// A backend under test: opened for writing, then for reading.
trait Backend {
    fn sink(&mut self) -> Box<dyn Sink + '_>;
    fn source(&mut self) -> Box<dyn Source + '_>;
    /// Whether content that was put is kept for the next sink, and handed out to be checked.
    fn holds(&self) -> bool;
    /// Whether anything can have a name here; in a registry only a manifest can.
    fn names_anything(&self) -> bool {
        true
    }
}

struct InMemory(Memory);

impl Backend for InMemory {
    fn sink(&mut self) -> Box<dyn Sink + '_> {
        Box::new(Borrowed(&mut self.0))
    }

    fn source(&mut self) -> Box<dyn Source + '_> {
        Box::new(BorrowedSource(&self.0))
    }

    fn holds(&self) -> bool {
        true
    }
}

struct Borrowed<'a>(&'a mut Memory);

impl Sink for Borrowed<'_> {
    fn location(&self) -> &barge::store::Location {
        Sink::location(&*self.0)
    }
    fn begin(&mut self, coming: &Inventory) -> Result<Vec<Vec<Content>>, StoreError> {
        self.0.begin(coming)
    }
    fn held(&self, content: &Content) -> Result<Option<BlobReader<'_>>, StoreError> {
        self.0.held(content)
    }
    fn put(&self, blob: BlobReader<'_>) -> Result<Outcome, PutError> {
        self.0.put(blob)
    }
    fn commit(&mut self, coming: &Inventory) -> Result<Committed, StoreError> {
        self.0.commit(coming)
    }
    fn abandon(&mut self) {}
    fn lanes(&self) -> usize {
        2
    }
}

struct BorrowedSource<'a>(&'a Memory);

impl Source for BorrowedSource<'_> {
    fn location(&self) -> &barge::store::Location {
        Source::location(self.0)
    }
    fn roots(&self) -> Result<Vec<Descriptor>, StoreError> {
        self.0.roots()
    }
    fn open(&self, content: &Content) -> Result<BlobReader<'_>, StoreError> {
        self.0.open(content)
    }
}

struct InLayout(tempfile::TempDir);

impl Backend for InLayout {
    fn sink(&mut self) -> Box<dyn Sink + '_> {
        let options = LayoutOptions {
            jobs: NonZeroUsize::new(2),
            durability: Durability::Unsynced,
            lock_timeout: Duration::from_secs(5),
            ..LayoutOptions::default()
        };
        Box::new(LayoutSink::create_or_open(self.0.path().join("layout"), options).unwrap())
    }

    fn source(&mut self) -> Box<dyn Source + '_> {
        Box::new(Layout::open(self.0.path().join("layout")).unwrap())
    }

    fn holds(&self) -> bool {
        true
    }
}

struct InArchive {
    directory: tempfile::TempDir,
    count: usize,
}

impl InArchive {
    fn path(&self) -> PathBuf {
        self.directory.path().join(format!("{}.tar", self.count))
    }
}

fn archive_options() -> ArchiveOptions {
    ArchiveOptions {
        alignment: None,
        base_index: None,
        shape: Shape::Layout,
        compression: Compression::None,
        companions: Vec::new(),
        jobs: NonZeroUsize::new(2).unwrap(),
        durability: Durability::Unsynced,
    }
}

impl Backend for InArchive {
    fn sink(&mut self) -> Box<dyn Sink + '_> {
        self.count += 1;
        Box::new(ArchiveSink::to_file(Place::New(self.path()), archive_options()).unwrap())
    }

    fn source(&mut self) -> Box<dyn Source + '_> {
        Box::new(Archive::open(&self.path(), &ReadOptions::default(), &Cancel::default()).unwrap())
    }

    fn holds(&self) -> bool {
        false
    }
}

/// An archive in parts of a mebibyte, joined to be read.
struct InParts(InArchive);

impl InParts {
    fn joined(&self) -> Vec<u8> {
        let path = self.0.path();
        let part = |number: u64| std::fs::read(format!("{}.{number:03}", path.display()));
        (1..).map_while(|number| part(number).ok()).flatten().collect()
    }
}

impl Backend for InParts {
    fn sink(&mut self) -> Box<dyn Sink + '_> {
        self.0.count += 1;
        let split = SplitOptions { part_size: 1 << 20, replace: false, lock_timeout: Duration::ZERO, archives: None };
        Box::new(SplitSink::new(Place::New(self.0.path()), archive_options(), split, &Cancel::default()))
    }

    fn source(&mut self) -> Box<dyn Source + '_> {
        std::fs::write(self.0.path(), self.joined()).unwrap();
        self.0.source()
    }

    fn holds(&self) -> bool {
        false
    }
}

#[test]
fn parts_joined_are_the_archive_byte_for_byte() {
    let in_archive = || InArchive { directory: tempfile::tempdir().unwrap(), count: 0 };
    let (mut whole, mut parts) = (in_archive(), InParts(in_archive()));
    let (_, plan) = material();
    run(&plan, &mut *whole.sink());
    run(&plan, &mut *parts.sink());
    assert!(parts.joined().len() > 1 << 20, "several parts");
    assert!(std::fs::read(whole.path()).unwrap() == parts.joined());
}

/// An archive that goes through a stream, as `-o -` does.
struct InStream {
    directory: tempfile::TempDir,
    bytes: Arc<Mutex<Vec<u8>>>,
}

struct Collect(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Collect {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Backend for InStream {
    fn sink(&mut self) -> Box<dyn Sink + '_> {
        self.bytes = Arc::default();
        Box::new(ArchiveSink::to_stream(Box::new(Collect(Arc::clone(&self.bytes))), archive_options()).unwrap())
    }

    fn source(&mut self) -> Box<dyn Source + '_> {
        let path = self.directory.path().join("stream.tar");
        std::fs::write(&path, &*self.bytes.lock().unwrap()).unwrap();
        Box::new(Archive::open(&path, &ReadOptions::default(), &Cancel::default()).unwrap())
    }

    fn holds(&self) -> bool {
        false
    }
}

/// A repository of a registry, by what goes over the wire.
struct InRegistry(FakeRegistry);

impl InRegistry {
    fn repository(&self) -> Repository {
        let options = NetworkOptions { lanes: NonZeroUsize::new(2).unwrap(), retries: 1, ..NetworkOptions::default() };
        let registries = Registries::new(options, &Cancel::default(), Arc::new(|_| ()));
        registries.repository(&format!("{}/app:v1", self.0.host()).parse().unwrap()).unwrap()
    }
}

impl Backend for InRegistry {
    fn sink(&mut self) -> Box<dyn Sink + '_> {
        Box::new(ToRegistry { repository: self.repository(), sink: None })
    }

    fn source(&mut self) -> Box<dyn Source + '_> {
        Box::new(self.repository())
    }

    fn holds(&self) -> bool {
        false
    }

    fn names_anything(&self) -> bool {
        false
    }
}

/// What goes to a registry is known when its sink is made: here, that is when it begins.
struct ToRegistry {
    repository: Repository,
    sink: Option<RegistrySink>,
}

impl ToRegistry {
    fn begun(&self) -> &RegistrySink {
        self.sink.as_ref().unwrap()
    }
}

impl Sink for ToRegistry {
    fn location(&self) -> &barge::store::Location {
        Source::location(&self.repository)
    }
    fn begin(&mut self, coming: &Inventory) -> Result<Vec<Vec<Content>>, StoreError> {
        let delivery = Delivery {
            whole: std::collections::HashMap::new(),
            repository: self.repository.clone(),
            contents: coming.contents.iter().map(|content| (content.clone(), true)).collect(),
            turns: std::collections::HashMap::new(),
            referrers: Vec::new(),
            names: Vec::new(),
            sibling: None,
            taken: Taken::Replace,
        };
        self.sink.insert(RegistrySink::new(vec![delivery]).unwrap()).begin(coming)
    }
    fn held(&self, content: &Content) -> Result<Option<BlobReader<'_>>, StoreError> {
        // what it has is asked for, whatever the sink says of it
        let there = Source::holds(&self.repository, content)?;
        Ok(there.then(|| self.repository.open(content)).transpose()?.or(self.begun().held(content)?))
    }
    fn put(&self, blob: BlobReader<'_>) -> Result<Outcome, PutError> {
        self.begun().put(blob)
    }
    fn commit(&mut self, coming: &Inventory) -> Result<Committed, StoreError> {
        self.sink.as_mut().unwrap().commit(coming)
    }
    fn abandon(&mut self) {
        if let Some(sink) = &mut self.sink {
            sink.abandon();
        }
    }
    fn lanes(&self) -> usize {
        self.begun().lanes()
    }
}

fn backends() -> Vec<(&'static str, Box<dyn Backend>)> {
    let directory = || tempfile::tempdir().unwrap();
    vec![
        ("memory", Box::new(InMemory(Memory::new("test")))),
        ("layout", Box::new(InLayout(directory()))),
        ("archive", Box::new(InArchive { directory: directory(), count: 0 })),
        ("parts", Box::new(InParts(InArchive { directory: directory(), count: 0 }))),
        ("stream", Box::new(InStream { directory: directory(), bytes: Arc::default() })),
        ("registry", Box::new(InRegistry(FakeRegistry::start()))),
    ]
}

/// Content of many sizes, one of them under SHA-512, one empty, and a root over one of them.
fn material() -> (Memory, Plan<'static>) {
    let store: &'static mut Memory = Box::leak(Box::new(Memory::new("material")));
    let mut contents = Vec::new();
    for size in [0_usize, 1, 511, 512, 513, 300_000, 1_000_000] {
        let bytes: Vec<u8> = (0..size).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect();
        contents.push(store.add(&bytes, Kind::Blob));
    }
    let root = Descriptor::new(&OCI_LAYER.into(), contents[1].digest, 1)
        .with_annotation(CONTAINERD_NAME, "docker.io/library/app:v1")
        .with_annotation(REF_NAME, "v1");
    let store: &'static Memory = store;
    let mut plan = Plan::new();
    for content in &contents {
        plan.add(store, content, "a piece".to_owned());
    }
    plan.add_root(root);
    (Memory::new("unused"), plan)
}

fn run(plan: &Plan<'_>, sink: &mut dyn Sink) -> transfer::Summary {
    transfer::run(plan, sink, &Cancel::default(), &Deaf).unwrap()
}

#[test]
fn what_goes_in_comes_out() {
    for (name, mut backend) in backends() {
        let (_, plan) = material();
        let summary = run(&plan, &mut *backend.sink());
        assert_eq!(summary.written, 7, "{name}");
        let named = backend.names_anything();
        assert_eq!(summary.renamed, named, "{name}");
        let source = backend.source();
        assert!(!named || source.roots().unwrap() == plan.inventory().roots, "{name}");
        for content in &plan.inventory().contents {
            let bytes = source.open(content).unwrap().into_bytes().unwrap();
            assert_eq!((Digest::of(&bytes), bytes.len() as u64), (content.digest, content.size), "{name}");
        }
    }
}

#[test]
fn the_same_again_changes_nothing() {
    for (name, mut backend) in backends().into_iter().filter(|(_, backend)| backend.holds()) {
        let (_, plan) = material();
        run(&plan, &mut *backend.sink());
        let summary = run(&plan, &mut *backend.sink());
        assert_eq!((summary.written, summary.present, summary.renamed), (0, 7, false), "{name}");
    }
}

#[test]
fn content_that_is_not_there_is_missing() {
    for (name, mut backend) in backends() {
        let (_, plan) = material();
        run(&plan, &mut *backend.sink());
        let source = backend.source();
        let absent = Content::of(b"absent", Kind::Blob);
        // what is far away may find that out when it is read
        let error = source
            .open(&absent)
            .and_then(|reader| reader.check().map_err(|error| StoreError::reading(error, &absent, source.location())));
        assert!(matches!(error, Err(StoreError::Missing { .. })), "{name}: {error:?}");
        assert!(!source.holds(&absent).unwrap(), "{name}");
    }
}

#[test]
fn a_promise_of_another_size_is_refused() {
    for (name, mut backend) in backends() {
        let (_, plan) = material();
        run(&plan, &mut *backend.sink());
        let source = backend.source();
        for lie in [299_999, 300_001] {
            let mut content = plan.inventory().contents.iter().find(|content| content.size == 300_000).unwrap().clone();
            content.size = lie;
            let refused = match source.open(&content) {
                Err(StoreError::Wrong { mismatch: Mismatch::Short { .. } | Mismatch::Long { .. }, .. }) => true,
                Ok(reader) => {
                    let read = reader.check().map_err(|error| StoreError::reading(error, &content, source.location()));
                    matches!(
                        read,
                        Err(StoreError::Wrong { mismatch: Mismatch::Short { .. } | Mismatch::Long { .. }, .. })
                    )
                }
                Err(other) => panic!("{name}: {other}"),
            };
            assert!(refused, "{name} took {lie} bytes");
        }
    }
}

#[test]
fn a_wrong_blob_gets_no_name() {
    for (name, mut backend) in backends() {
        let content = Content::of(b"right", Kind::Blob);
        let inventory = Inventory { contents: vec![content.clone()], ..Inventory::default() };
        let mut sink = backend.sink();
        sink.begin(&inventory).unwrap();
        for wrong in [&b"wrong"[..], b"short", b"righ", b"right and more"] {
            let put = sink.put(BlobReader::new(content.clone(), wrong));
            assert!(matches!(put, Err(PutError::From(BlobError::Mismatch(_)))), "{name}");
            let held = sink.held(&content).unwrap();
            assert!(held.is_none(), "{name} names {:?}", String::from_utf8_lossy(wrong));
        }
    }
}

/// Fails after some bytes.
struct Failing(usize);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.0 == 0 {
            return Err(std::io::Error::other("the medium is damaged"));
        }
        let count = buffer.len().min(self.0);
        self.0 -= count;
        buffer[..count].fill(b'x');
        Ok(count)
    }
}

#[test]
fn a_source_that_fails_is_named_as_the_side_that_failed() {
    for (name, mut backend) in backends() {
        let content = Content::of(&vec![b'x'; 600_000], Kind::Blob);
        let inventory = Inventory { contents: vec![content.clone()], ..Inventory::default() };
        let mut sink = backend.sink();
        sink.begin(&inventory).unwrap();
        let put = sink.put(BlobReader::new(content.clone(), Failing(300_000)));
        let Err(PutError::From(BlobError::Read(error))) = put else { panic!("{name}: {put:?}") };
        assert_eq!(error.to_string(), "the medium is damaged", "{name}");
    }
}

#[test]
fn nothing_is_named_without_a_commit() {
    for (name, mut backend) in backends() {
        let (_, plan) = material();
        let mut sink = backend.sink();
        for stage in sink.begin(plan.inventory()).unwrap() {
            for content in stage {
                sink.put(plan.open(&content).unwrap()).unwrap();
            }
        }
        drop(sink);
        if name == "memory" || name == "layout" {
            assert!(backend.source().roots().unwrap().is_empty(), "{name}");
        }
    }
    // an archive that was not committed has no name at all
    let mut backend = InArchive { directory: tempfile::tempdir().unwrap(), count: 0 };
    let (_, plan) = material();
    let mut sink = backend.sink();
    sink.begin(plan.inventory()).unwrap();
    drop(sink);
    assert_eq!(std::fs::read_dir(backend.directory.path()).unwrap().count(), 0);
}

#[test]
fn a_request_to_stop_leaves_no_name() {
    for (name, mut backend) in backends() {
        let (_, plan) = material();
        let cancel = Cancel::default();
        cancel.cancel();
        let error = transfer::run(&plan, &mut *backend.sink(), &cancel, &Deaf).unwrap_err();
        assert!(matches!(error.error, StoreError::Cancelled), "{name}");
    }
}

#[test]
fn sha512_is_a_name_like_any_other() {
    for (name, mut backend) in backends() {
        let mut hasher = Algorithm::Sha512.hasher();
        hasher.update(b"long");
        let content = Content { digest: hasher.finish(), size: 4, kind: Kind::Blob };
        let inventory = Inventory { contents: vec![content.clone()], ..Inventory::default() };
        let mut sink = backend.sink();
        sink.begin(&inventory).unwrap();
        sink.put(BlobReader::new(content.clone(), &b"long"[..])).unwrap();
        sink.commit(&inventory).unwrap();
        drop(sink);
        assert_eq!(backend.source().open(&content).unwrap().into_bytes().unwrap(), b"long", "{name}");
    }
}

#[test]
fn content_is_read_from_several_threads() {
    for (name, mut backend) in backends() {
        let (_, plan) = material();
        run(&plan, &mut *backend.sink());
        let source = backend.source();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for content in &plan.inventory().contents {
                        source.open(content).unwrap().check().unwrap();
                    }
                });
            }
        });
        let _ = name;
    }
}
