//! Commands that carry content: what each reads, writes, flushes and asks for.

use std::path::Path;

use super::lab::{ARCHIVES, Lab, length, size_of};
use super::support::image::Images;
use super::tally::{File, Tally};
use super::trace::strace;

/// How many small blobs there are, and in a second run.
const SMALL: [usize; 2] = [20, 60];

/// What a command may do at most. Whoever makes it do less brings the figure down.
#[derive(Clone, Copy, Debug, Default)]
struct Bounds {
    /// How often `index.json` of the source is opened.
    index: usize,
    /// How often a layer of the source is opened: looking whether it is there is one of these.
    opened: usize,
    /// How often a manifest or a config of the source is read.
    documents: u64,
    /// How many directories are flushed, each as often as it is.
    directories: usize,
    /// System calls for one more small blob.
    calls: usize,
    /// Requests for one more small blob.
    requests: usize,
}

#[derive(Clone, Copy, Debug)]
enum From {
    Layout,
    Archive,
    Archives,
    Registry,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum To {
    Layout,
    Archive,
    Registry,
    /// A registry that has all of it.
    Known,
    Nothing,
}

/// A command line, from where and to where it carries, and its bounds.
type Case = (&'static str, From, To, Bounds);

#[rustfmt::skip]
const CASES: [Case; 15] = [
    ("copy -q src out", From::Layout, To::Layout,
        Bounds { index: 6, opened: 3, documents: 5, directories: 5, calls: 24, requests: 0 }),
    ("save -q -o out.tar src", From::Layout, To::Archive,
        Bounds { index: 3, opened: 2, documents: 6, directories: 1, calls: 10, requests: 0 }),
    ("load -q -i src.tar -o out", From::Archive, To::Layout,
        Bounds { directories: 5, calls: 15, ..NONE }),
    ("merge -q -t app:v1 -o out 0.tar 1.tar 2.tar 3.tar 4.tar", From::Archives, To::Layout,
        Bounds { directories: 5, calls: 15, ..NONE }),
    ("merge -q -t app:v1 -o out.tar 0.tar 1.tar 2.tar 3.tar 4.tar", From::Archives, To::Archive,
        Bounds { directories: 1, calls: 5, ..NONE }),
    ("verify -q src", From::Layout, To::Nothing,
        Bounds { index: 2, opened: 1, documents: 1, calls: 7, ..NONE }),
    ("verify -q src.tar", From::Archive, To::Nothing,
        Bounds { calls: 3, ..NONE }),
    // what comes over a network comes in more or fewer pieces
    ("push -q --plain-http src EMPTY/new:v1", From::Layout, To::Registry,
        Bounds { index: 4, opened: 3, documents: 6, calls: 30, requests: 3, ..NONE }),
    ("push -q --plain-http src.tar EMPTY/new:v1", From::Archive, To::Registry,
        Bounds { calls: 25, requests: 3, ..NONE }),
    ("push -q --plain-http src HOST/held:v1", From::Layout, To::Known,
        Bounds { index: 4, opened: 3, documents: 6, calls: 8, requests: 0, ..NONE }),
    ("push -q --plain-http src HOST/held:v2", From::Layout, To::Known,
        Bounds { index: 4, opened: 3, documents: 6, calls: 14, requests: 1, ..NONE }),
    ("push -q --plain-http src HOST/other:v1", From::Layout, To::Known,
        Bounds { index: 4, opened: 3, documents: 6, calls: 18, requests: 2, ..NONE }),
    ("pull -q --plain-http -o out HOST/held:v1", From::Registry, To::Layout,
        Bounds { directories: 5, calls: 24, requests: 1, ..NONE }),
    ("pull -q --plain-http -o out.tar HOST/held:v1", From::Registry, To::Archive,
        Bounds { directories: 1, calls: 14, requests: 1, ..NONE }),
    ("verify -q --plain-http docker://HOST/held:v1", From::Registry, To::Nothing,
        Bounds { calls: 12, requests: 1, ..NONE }),
];
const NONE: Bounds = Bounds { index: 0, opened: 0, documents: 0, directories: 0, calls: 0, requests: 0 };

/// What is read of an archive beside its bytes once: headers are looked at by the block, and documents before the plan.
const HEADERS: u64 = 110_000;
/// What is written into a layout beside content: `index.json` and the notes of what has arrived, a line for each blob.
const NOTES: u64 = 2_000;
const NOTE: u64 = 200;
/// Files that a layout has beside blobs: `oci-layout`, `index.json`, its lock, and the notes.
const FILES: usize = 4;
/// What goes over the network for each request beside content.
const HEAD: u64 = 2_000;

struct Judge<'a> {
    lab: &'a Lab,
    case: Case,
    syncs: bool,
    faults: Vec<String>,
}

impl Judge<'_> {
    fn wants(&mut self, is_so: bool, what: impl FnOnce() -> String) {
        if !is_so {
            self.faults.push(format!("{}{}: {}", self.case.0, if self.syncs { "" } else { " --no-sync" }, what()));
        }
    }

    fn most(&mut self, what: &str, got: usize, most: usize) {
        self.wants(got <= most, || format!("{what}: {got}, expected {most} at most"));
    }

    fn sources(&self) -> Vec<&Images> {
        match self.case.1 {
            From::Archives => self.lab.parts.iter().collect(),
            _ => vec![&self.lab.whole],
        }
    }

    /// What is read.
    fn source(&mut self, tally: &Tally, requests: usize) {
        let content = size_of(&self.sources());
        match self.case.1 {
            From::Layout => self.layout(tally),
            From::Archive => self.archive(tally, "src.tar"),
            From::Archives => (0..ARCHIVES).for_each(|nth| self.archive(tally, &format!("{nth}.tar"))),
            From::Registry => {
                let most = content + HEAD * requests as u64;
                let got = tally.received;
                self.wants((content..=most).contains(&got), || {
                    format!("{got} bytes are received, expected {content} to {most}")
                });
            }
        }
    }

    fn layout(&mut self, tally: &Tally) {
        let bounds = self.case.3;
        let source = self.lab.barge.path("src");
        for (digest, bytes) in &self.lab.whole.blobs {
            let size = bytes.len() as u64;
            let path = source.join("blobs").join(digest.replace(':', "/"));
            let file = one(tally, &path);
            self.wants(!file.mapped, || format!("{digest} is mapped"));
            if bytes.first() == Some(&b'{') {
                self.most(
                    &format!("bytes read of document {digest} / {size}"),
                    to_usize(file.read / size),
                    to_usize(bounds.documents),
                );
            } else {
                let expected = if self.case.2 == To::Known { 0 } else { size };
                self.wants(file.read == expected, || {
                    format!("{} bytes of layer {digest} are read, expected {expected}", file.read)
                });
                self.most(&format!("openings of layer {digest}"), file.opened, bounds.opened);
            }
        }
        self.most("openings of index.json", one(tally, &source.join("index.json")).opened, bounds.index);
        for (name, file) in tally.below(&source) {
            self.wants(file.written == 0 && !file.made, || format!("the source's {name:?} is written"));
        }
    }

    fn archive(&mut self, tally: &Tally, name: &str) {
        let path = self.lab.barge.path(name);
        let (file, size) = (one(tally, &path), length(&path));
        let most = size + HEADERS;
        self.wants(!file.mapped && !file.made && file.written == 0, || format!("{name} is mapped or written"));
        self.wants(file.read <= most, || format!("{} bytes of {name} are read, expected {most} at most", file.read));
        self.most(&format!("openings of {name}"), file.opened, 1);
    }

    /// What is written.
    fn target(&mut self, tally: &Tally, requests: usize) {
        let content = size_of(&self.sources());
        let work = self.lab.barge.path("");
        // which registry has what is noted there
        let notes = self.lab.barge.path("../home/.local/state/barge").canonicalize().unwrap_or_default();
        let is_note = |name: &str| Path::new(name).starts_with(&notes) && notes.is_absolute();
        let made: Vec<_> = tally.files.iter().filter(|(name, file)| file.made && !is_note(name)).collect();
        for (name, _) in &made {
            self.wants(name.starts_with(work.to_str().unwrap()), || {
                format!("{name} is made, which is not beside the target")
            });
        }
        let written: u64 = tally.below(&work).iter().map(|(_, file)| file.written).sum();
        let count: usize = self.sources().iter().map(|images| images.blobs.len()).sum();
        let network = if matches!(self.case.1, From::Registry) { 0 } else { tally.received };
        match self.case.2 {
            To::Layout => {
                // a merge makes an index
                let most = content + NOTES + NOTE * (count as u64 + 1);
                self.wants((content..=most).contains(&written), || {
                    format!("{written} bytes are written, expected {content} to {most}")
                });
                self.most("files made", made.len(), count + 1 + FILES);
            }
            To::Archive => {
                let most = length(&self.lab.barge.path("out.tar"));
                self.wants((content..=most).contains(&written), || {
                    format!("{written} bytes are written, expected {content} to {most}")
                });
                self.most("files made", made.len(), 1);
            }
            To::Registry => {
                let most = content + HEAD * requests as u64;
                let sent = tally.sent;
                self.wants((content..=most).contains(&sent), || {
                    format!("{sent} bytes are sent, expected {content} to {most}")
                });
                self.most("bytes received", to_usize(network), requests * to_usize(HEAD));
                self.most("files made", made.len(), 0);
            }
            To::Known => {
                self.most("bytes sent", to_usize(tally.sent), requests * to_usize(HEAD));
                self.most("bytes received", to_usize(network), requests * to_usize(HEAD));
                self.most("files made", made.len(), 0);
            }
            To::Nothing => {
                self.wants(written == 0, || format!("{written} bytes are written"));
                self.most("files made", made.len(), 0);
            }
        }
    }

    /// What is made safe from a loss of power.
    fn flushes(&mut self, tally: &Tally) {
        let is_directory = |path: &str| Path::new(path).is_dir();
        let flushed = || tally.files.iter().filter(|(_, file)| file.flushed > 0);
        let directories: usize = flushed().filter(|(path, _)| is_directory(path)).map(|(_, file)| file.flushed).sum();
        self.most("flushes of directories", directories, if self.syncs { self.case.3.directories } else { 0 });
        if !self.syncs {
            self.most("files flushed", flushed().count(), 0);
            self.most("calls to begin writing", tally.begun, 0);
            return;
        }
        for (path, file) in tally.files.iter().filter(|(path, file)| file.flushed > 0 && !is_directory(path)) {
            // an archive twice: its content, and once it has its length and its front
            let most = if self.case.2 == To::Archive { 2 } else { 1 };
            self.most(&format!("flushes of {path}"), file.flushed, most);
        }
        let blobs = tally.files.iter().filter(|(path, file)| path.contains("/out/blobs/sha256/") && file.made);
        let flushed = blobs.clone().filter(|(_, file)| file.flushed == 1).count();
        let (made, least) = (blobs.count(), self.sources().iter().map(|images| images.blobs.len()).sum::<usize>());
        let expected = if self.case.2 == To::Layout { made.max(least) } else { 0 };
        self.wants(flushed == expected, || format!("{flushed} blobs are flushed once, expected {expected}"));
    }
}

fn one(tally: &Tally, path: &Path) -> File {
    tally.files.get(path.to_str().unwrap()).copied().unwrap_or_default()
}

fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap()
}

#[test]
fn each_byte_is_read_once_and_written_once_and_a_small_blob_costs_no_more_than_it_did() {
    if !strace() {
        return;
    }
    let [few, many] = SMALL.map(Lab::new);
    let mut faults = Vec::new();
    for case in CASES {
        let (line, _, to, bounds) = case;
        let carries = matches!(to, To::Layout | To::Archive);
        let (before, asked_before) = few.run(line);
        few.clear();
        let (tally, asked) = many.run(line);
        let mut judge = Judge { lab: &many, case, syncs: true, faults: Vec::new() };
        judge.source(&tally, asked);
        judge.target(&tally, asked);
        judge.flushes(&tally);
        // rounded: a large one that comes to lie well by chance costs a call or two more, and that is not for each
        let more = SMALL[1] - SMALL[0];
        let each = |many: usize, few: usize| (many - few + more / 2) / more;
        let (calls, requests) = (each(tally.calls, before.calls), each(asked, asked_before));
        judge.most("system calls for one more blob", calls, bounds.calls);
        judge.most("requests for one more blob", requests, bounds.requests);
        println!("{line}: {calls} calls and {requests} requests for a blob, {} in all", tally.calls);
        many.clear();
        if carries {
            let (tally, asked) = many.run(&format!("{line} --no-sync"));
            judge.syncs = false;
            judge.source(&tally, asked);
            judge.target(&tally, asked);
            judge.flushes(&tally);
            many.clear();
        }
        faults.append(&mut judge.faults);
    }
    assert!(faults.is_empty(), "{}", faults[..faults.len().min(40)].join("\n"));
}
