//! The other side of a transfer, which breaks off where a test says, and a layout that content is to come to.

use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use barge::blob::Resume;
use barge::store::Location;

use super::*;

pub(crate) const SIZE: usize = 3 * 1024 * 1024;
/// Not on the border of any buffer.
pub(crate) const HALF: usize = SIZE / 2 + 17;

/// Content that no piece of itself looks like.
pub(crate) fn large() -> Vec<u8> {
    (0_u32..).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).take(SIZE).collect()
}

/// What the other side does when it has handed out so many bytes.
#[derive(Clone, Copy)]
pub(crate) enum Then<'a> {
    End,
    Fail,
    Stop(&'a Cancel),
    Wait(&'a (mpsc::SyncSender<()>, Mutex<mpsc::Receiver<()>>)),
}

/// The other side: it can begin anywhere, and follows a script.
pub(crate) struct Remote<'a> {
    bytes: &'a [u8],
    until: usize,
    then: Then<'a>,
    pub(crate) refuses: Option<io::ErrorKind>,
    /// How many bytes it handed out, and where it was asked to begin.
    sent: AtomicU64,
    asked: Mutex<Vec<u64>>,
}

impl<'a> Remote<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self::breaking(bytes, usize::MAX, Then::End)
    }

    pub(crate) fn breaking(bytes: &'a [u8], until: usize, then: Then<'a>) -> Self {
        let asked = Mutex::default();
        Self { bytes, until, then, refuses: None, sent: AtomicU64::new(0), asked }
    }

    pub(crate) fn open<'r>(&'r self, content: &Content) -> BlobReader<'r> {
        BlobReader::resumable(content.clone(), Connection { remote: self, at: 0 })
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn asked(&self) -> Vec<u64> {
        self.asked.lock().unwrap().clone()
    }
}

pub(crate) struct Connection<'a> {
    pub(crate) remote: &'a Remote<'a>,
    pub(crate) at: usize,
}

impl Read for Connection<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let remote = self.remote;
        if self.at >= remote.until {
            match remote.then {
                Then::End => return Ok(0),
                Then::Fail => return Err(io::ErrorKind::ConnectionReset.into()),
                Then::Stop(cancel) => cancel.cancel(),
                Then::Wait((here, go)) => {
                    here.send(()).unwrap();
                    go.lock().unwrap().recv().unwrap();
                }
            }
        }
        let rest = &remote.bytes[self.at.min(remote.bytes.len())..];
        let before = remote.until.checked_sub(self.at).filter(|count| *count > 0).unwrap_or(usize::MAX);
        let count = rest.len().min(buffer.len()).min(before).min(10_007);
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count;
        remote.sent.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Resume for Connection<'_> {
    fn resume_at(&mut self, offset: u64) -> io::Result<()> {
        self.remote.asked.lock().unwrap().push(offset);
        self.at = usize::try_from(offset).unwrap();
        self.remote.refuses.map_or(Ok(()), |kind| Err(kind.into()))
    }
}

/// The remote as the engine sees it.
impl Source for Remote<'_> {
    fn location(&self) -> &Location {
        static LOCATION: std::sync::OnceLock<Location> = std::sync::OnceLock::new();
        LOCATION.get_or_init(|| Location::Registry("registry.example/app".to_owned()))
    }

    fn roots(&self) -> Result<Vec<Descriptor>, StoreError> {
        Ok(Vec::new())
    }

    fn open(&self, content: &Content) -> Result<BlobReader<'_>, StoreError> {
        Ok(Remote::open(self, content))
    }
}

/// A layout, a sink that has begun, and content that is to come.
pub(crate) struct Bench {
    _temp: tempfile::TempDir,
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    pub(crate) content: Content,
    pub(crate) coming: Inventory,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let (temp, path) = place();
        let bytes = large();
        let content = Content::of(&bytes, Kind::Blob);
        let coming = Inventory { contents: vec![content.clone()], ..Inventory::default() };
        write(&path, &["something else"], "v0");
        Self { _temp: temp, path, bytes, content, coming }
    }

    pub(crate) fn begun(&self) -> LayoutSink {
        let mut sink = sink(&self.path);
        sink.begin(&self.coming).unwrap();
        sink
    }

    pub(crate) fn put(&self, remote: &Remote<'_>) -> Result<(), PutError> {
        self.begun().put(remote.open(&self.content)).map(drop)
    }

    /// The partial blob, as its name is promised to be.
    pub(crate) fn partial(&self) -> PathBuf {
        self.path.join("blobs/sha256").join(format!(".partial-{}", self.content.digest.hex()))
    }

    /// What a process that was killed left.
    pub(crate) fn leave(&self, bytes: &[u8]) {
        fs::write(self.partial(), bytes).unwrap();
    }

    pub(crate) fn assert_arrived(&self) {
        let at = self.path.join(self.content.digest.blob_path());
        assert!(fs::read(&at).unwrap() == self.bytes, "another content got the name");
        assert_eq!(fs::metadata(&at).unwrap().permissions().mode() & 0o7777, 0o644);
        assert!(!self.partial().exists(), "the partial blob stayed");
        self.assert_no_temporary();
    }

    pub(crate) fn assert_no_temporary(&self) {
        assert!(!tree(&self.path).iter().any(|name| name.contains("tmp")), "{:?}", tree(&self.path));
    }
}
