//! A directory to work in, and the real program run in it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use barge::digest::Digest;
use serde_json::Value;

/// A temporary directory; commands run in it, so that places are short words.
pub(crate) struct Bench {
    directory: tempfile::TempDir,
}

/// What a command said.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        let text = self.text();
        assert_eq!(text.lines().count(), 1, "not one line: {text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["schema"], "barge/v1", "{value}");
        assert_eq!(value["ok"], self.code == 0, "{value}");
        value
    }

    /// Returns the digests at the beginnings of the lines.
    pub(crate) fn digests(&self) -> Vec<String> {
        self.text().lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
    }

    pub(crate) fn says(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "expected {text:?} in: {}", self.stderr);
        self
    }

    pub(crate) fn says_not(&self, text: &str) -> &Self {
        assert!(!self.stderr.contains(text), "did not expect {text:?} in: {}", self.stderr);
        self
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// What stands under a path: its kind, size, time and inode, and what is in it.
pub(crate) type Listing = BTreeMap<String, (String, u64, i64, u64)>;

impl Bench {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barge"));
        command.args(line.split_whitespace()).current_dir(self.root()).env_remove("BARGE_LAYOUT");
        command.env("TMPDIR", self.root());
        command
    }

    /// Runs a command; its words stand apart by white space.
    pub(crate) fn run(&self, line: &str) -> Ran {
        self.command(line).stdin(Stdio::null()).output().unwrap().into()
    }

    pub(crate) fn run_with(&self, line: &str, input: &[u8]) -> Ran {
        let mut command = self.command(line);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // a command that refuses early does not read it all
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap().into()
    }

    pub(crate) fn start(&self, line: &str) -> Child {
        let mut command = self.command(line);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    pub(crate) fn ok(&self, line: &str) -> Ran {
        self.exits(0, line)
    }

    pub(crate) fn exits(&self, code: i32, line: &str) -> Ran {
        let ran = self.run(line);
        assert_eq!(ran.code, code, "barge {line}: {}\n{}", ran.stderr, String::from_utf8_lossy(&ran.stdout));
        assert!(!ran.stderr.contains("panicked"), "barge {line}: {}", ran.stderr);
        ran
    }

    pub(crate) fn verify(&self, place: &str) {
        self.ok(&format!("verify -q {place}"));
    }

    pub(crate) fn index(&self, layout: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(layout).join("index.json")).unwrap()).unwrap()
    }

    /// Returns the top-level descriptors of a layout, or of an archive.
    pub(crate) fn roots(&self, place: &str) -> Vec<Value> {
        let index = if self.path(place).is_dir() {
            self.index(place)
        } else {
            let files = self.files(place);
            serde_json::from_slice(&files["index.json"]).unwrap()
        };
        index["manifests"].as_array().unwrap().clone()
    }

    /// Returns the files of a plain tar; each name once.
    pub(crate) fn files(&self, archive: &str) -> BTreeMap<String, Vec<u8>> {
        files_of(&fs::read(self.path(archive)).unwrap())
    }

    /// Returns the blobs of a place, by digest.
    pub(crate) fn blobs(&self, place: &str) -> Vec<String> {
        if !self.path(place).is_dir() {
            let files = self.files(place);
            return files.keys().filter_map(|name| name.strip_prefix("blobs/")).map(|n| n.replace('/', ":")).collect();
        }
        let mut found = Vec::new();
        for algorithm in ["sha256", "sha512"] {
            let Ok(entries) = fs::read_dir(self.path(place).join("blobs").join(algorithm)) else { continue };
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            found.extend(names.map(|name| format!("{algorithm}:{name}")));
        }
        found.sort();
        found
    }

    pub(crate) fn blob(&self, layout: &str, digest: &str) -> PathBuf {
        self.path(layout).join("blobs").join(digest.replace(':', "/"))
    }

    /// Returns everything below the directory, so that two states can be compared.
    pub(crate) fn listing(&self) -> Listing {
        listing(self.root())
    }

    /// Sets the times of everything in a layout back, as if it had been written long ago.
    pub(crate) fn age(&self, name: &str) {
        let long_ago = SystemTime::now() - Duration::from_secs(3 * 3600);
        for path in files_below(&self.path(name)) {
            if fs::symlink_metadata(&path).unwrap().is_file() {
                fs::File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
            }
        }
    }

    /// Flips a bit of a file.
    pub(crate) fn spoil(&self, path: &Path) {
        let mut bytes = fs::read(path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(path, bytes).unwrap();
    }
}

/// Returns the files of a plain tar; each name once.
pub(crate) fn files_of(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for (name, content) in crate::tar::files(tar) {
        assert!(files.insert(name.clone(), content).is_none(), "{name} is there twice");
    }
    files
}

fn files_below(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![path.to_owned()];
    let mut at = 0;
    while at < found.len() {
        if fs::symlink_metadata(&found[at]).unwrap().is_dir() {
            let entries = fs::read_dir(&found[at]).unwrap().map(|entry| entry.unwrap().path());
            found.extend(entries.collect::<Vec<_>>());
        }
        at += 1;
    }
    found.sort();
    found
}

pub(crate) fn listing(path: &Path) -> Listing {
    let entry = |path: PathBuf| {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = match &metadata {
            file if file.is_file() => Digest::of(&fs::read(&path).unwrap()).to_string(),
            link if link.is_symlink() => fs::read_link(&path).unwrap().to_string_lossy().into_owned(),
            _ => "a directory".to_owned(),
        };
        // the time of a directory changes with its entries, which are listed themselves
        let modified = if metadata.is_dir() { 0 } else { metadata.mtime_nsec() };
        (path.to_string_lossy().into_owned(), (content, metadata.size(), modified, metadata.ino()))
    };
    files_below(path).into_iter().map(entry).collect()
}

/// Returns whether a test that needs something may run: in CI what is missing is a failure.
pub(crate) fn allowed(there: bool, what: &str) -> bool {
    assert!(there || std::env::var_os("CI").is_none(), "CI lacks {what}");
    if !there {
        println!("skipped: no {what}");
    }
    there
}
