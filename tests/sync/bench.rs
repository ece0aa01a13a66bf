//! A directory, a registry with some images, and barge run there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::distribution::{Distribution, Mode};
use crate::work::{Work, work};

pub(crate) struct Bench {
    pub(crate) work: Work,
    pub(crate) registry: Distribution,
}

/// What a run printed, and how it ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Returns what stands behind the digests, in order.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.stdout.lines().filter_map(|line| line.split_once(' ')).map(|(_, name)| name).collect()
    }
}

impl Bench {
    /// Opens a place with an empty registry; none when this machine has no such program.
    pub(crate) fn new() -> Option<Self> {
        let work = work(&["docker-registry"])?;
        Some(Self { work, registry: Distribution::start(Mode::Plain) })
    }

    /// As [`Self::new`], with an image of one platform as `org/app` under some tags, and one of two as `org/both:v1`.
    pub(crate) fn filled(tags: &[&str]) -> Option<Self> {
        let bench = Self::new()?;
        for tag in tags {
            bench.ok(&format!("push -q fixtures/umoci-amd64 REGISTRY/org/app:{tag}"));
        }
        bench.ok("push -q fixtures/buildx-amd64-arm64.tar REGISTRY/org/both:v1");
        Some(bench)
    }

    /// Writes a file; `REGISTRY` in it is the registry.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.work.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // who watches it sees the old one or the new one
        let beside = path.with_extension("new");
        fs::write(&beside, text.replace("REGISTRY", &self.registry.host())).unwrap();
        fs::rename(beside, path).unwrap();
    }

    /// Runs barge; `REGISTRY` in the line is the registry.
    pub(crate) fn run(&self, line: &str) -> Ran {
        let output = self.work.output(&format!("barge {}", line.replace("REGISTRY", &self.registry.host())));
        let [stdout, stderr] = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8(bytes).unwrap().replace(&self.registry.host(), "REGISTRY"));
        assert!(!stderr.contains("panicked"), "{line}\n{stderr}");
        Ran { code: output.status.code(), stdout, stderr }
    }

    pub(crate) fn ok(&self, line: &str) -> Ran {
        let ran = self.run(line);
        assert_eq!(ran.code, Some(0), "{line}\n{}{}", ran.stdout, ran.stderr);
        ran
    }

    #[track_caller]
    pub(crate) fn fails(&self, line: &str, code: i32, said: &str) -> Ran {
        let ran = self.run(line);
        assert_eq!(ran.code, Some(code), "{line}\n{}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains(said), "{line}\nexpected {said:?} in\n{}", ran.stderr);
        ran
    }

    /// Returns all files and their bytes.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut left = vec![self.work.root().to_path_buf()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_symlink() {
                    continue;
                }
                if path.is_dir() {
                    left.push(path);
                } else {
                    let name = path.strip_prefix(self.work.root()).unwrap().to_str().unwrap().to_owned();
                    found.insert(name, fs::read(path).unwrap());
                }
            }
        }
        found.retain(|name, _| !Path::new(name).starts_with("home"));
        found
    }

    /// Returns the digest of a tag in the registry.
    pub(crate) fn digest(&self, repository: &str, tag: &str) -> Option<String> {
        self.registry.manifest(repository, tag).map(|manifest| manifest.digest)
    }
}
