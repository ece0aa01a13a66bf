//! What the calls of a run come to, file by file.

use std::collections::BTreeMap;
use std::path::Path;

use super::trace::Call;

/// What was done with one file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct File {
    /// How often it was opened.
    pub(crate) opened: usize,
    /// Whether one of these may have made it.
    pub(crate) made: bool,
    /// Bytes.
    pub(crate) read: u64,
    /// Bytes.
    pub(crate) written: u64,
    /// How often it was flushed.
    pub(crate) flushed: usize,
    /// Whether it was read through memory, where nobody counts.
    pub(crate) mapped: bool,
}

/// All that a run did.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// By path, as the files were called when something was done with them.
    pub(crate) files: BTreeMap<String, File>,
    /// Calls that have to do with files, but for the cheapest.
    pub(crate) calls: usize,
    /// Bytes that came over sockets.
    pub(crate) received: u64,
    /// Bytes that went over sockets.
    pub(crate) sent: u64,
    /// How often the kernel was asked to begin writing to the disk.
    pub(crate) begun: usize,
}

/// A build for tests makes more of these than others, a machine with more memory fewer, and clocks decide about some.
const CHEAP: [&str; 8] = ["fcntl", "mmap", "munmap", "poll", "ppoll", "epoll_wait", "ioctl", "getcwd"];

impl Tally {
    pub(crate) fn of(threads: &[Vec<Call>]) -> Self {
        let mut tally = Self::default();
        threads.iter().flatten().for_each(|call| tally.add(call));
        tally
    }

    fn add(&mut self, call: &Call) {
        let handles = call.handles();
        let count = call.count();
        if let Some(path) = call.opened() {
            let file = self.file(path);
            file.opened += 1;
            file.made |= call.makes();
        }
        match (call.name.as_str(), &handles[..]) {
            ("read" | "pread64" | "readv" | "preadv" | "preadv2" | "recvfrom" | "recvmsg", [from, ..]) => {
                self.take(from, count);
            }
            ("write" | "pwrite64" | "writev" | "pwritev" | "pwritev2" | "sendto" | "sendmsg", [to, ..]) => {
                self.put(to, count);
            }
            ("copy_file_range" | "splice", [from, to, ..]) | ("sendfile", [to, from, ..]) => {
                self.take(from, count);
                self.put(to, count);
            }
            ("fsync" | "fdatasync", [path, ..]) => self.file(path).flushed += 1,
            ("sync" | "syncfs", _) => panic!("everything of the machine is flushed: {call:?}"),
            ("sync_file_range", _) => self.begun += 1,
            ("mmap", [path, ..]) => self.file(path).mapped = true,
            _ => {}
        }
        self.calls += usize::from(!CHEAP.contains(&call.name.as_str()));
    }

    fn file(&mut self, path: &str) -> &mut File {
        self.files.entry(path.to_owned()).or_default()
    }

    fn take(&mut self, from: &str, count: u64) {
        if from.starts_with("socket:") { self.received += count } else { self.file(from).read += count }
    }

    fn put(&mut self, to: &str, count: u64) {
        if to.starts_with("socket:") { self.sent += count } else { self.file(to).written += count }
    }

    /// Returns what was done with what stands at a path and below it, by the rest of the path.
    pub(crate) fn below(&self, path: &Path) -> Vec<(&str, File)> {
        let path = path.to_str().unwrap().trim_end_matches('/');
        let inside = |name: &'_ str| name.is_empty() || name.starts_with('/');
        let found = self.files.iter().filter_map(|(name, file)| Some((name.strip_prefix(path)?, *file)));
        found.filter(|(name, _)| inside(name)).collect()
    }
}
