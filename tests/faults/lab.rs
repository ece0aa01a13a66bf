//! A directory with everything the commands need, and the program in it.
//!
//! `in` holds what is only read, `start` what is copied into the working directory before each experiment.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use super::environment::Barge;
use super::place::{self, Tree};
use super::support::image::{Images, Layer, annotated, noise, on};

/// Returns whether every experiment is made, and not a part of them.
pub(crate) fn full() -> bool {
    std::env::var_os("BARGE_FAULTS").is_some_and(|value| value == "full")
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// None when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) said: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let said = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        Self { code: output.status.code(), signal: output.status.signal(), said }
    }
}

pub(crate) struct Lab {
    pub(crate) barge: Barge,
    inputs: Tree,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let barge = Barge::new();
        let lab = Self { barge, inputs: Tree::new() };
        for directory in ["in", "start"] {
            fs::create_dir(lab.above(directory)).unwrap();
        }
        lab.make_inputs();
        lab.make_starts();
        let inputs = place::tree(&lab.above("in"));
        Self { inputs, ..lab }
    }

    /// Returns a path beside the working directory.
    pub(crate) fn above(&self, name: &str) -> PathBuf {
        self.barge.path("..").join(name)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.barge.path(name)
    }

    fn make_inputs(&self) {
        let layers = |of: &str, seed: u32| {
            let own = Layer::gzip(format!("content of {of}\n").repeat(50).as_bytes());
            [Layer::plain(&noise(7, 70_000)), own, Layer::plain(&noise(seed, 300_000))]
        };
        for (seed, (name, platform)) in
            (1..).zip([("amd64", "linux/amd64"), ("arm64.tar", "linux/arm64"), ("s390x.tar", "linux/s390x")])
        {
            let mut images = Images::new();
            let image = images.image(platform, &layers(platform, seed));
            images.root(image).write(&self.above("in").join(name));
        }
        let mut two = Images::new();
        for (seed, name) in [(10, "app:v1"), (20, "db:v1")] {
            let parts = (0..).zip(["linux/amd64", "linux/arm64"]).map(|(at, platform)| {
                on(two.image(platform, &layers(&format!("{name} {platform}"), seed + at)), platform)
            });
            let parts: Vec<_> = parts.collect();
            let index = two.index(&parts);
            let full = format!("docker.io/library/{name}");
            let index = annotated(index, super::support::image::FULL_NAME, &full);
            two.root(annotated(index, super::support::image::REF_NAME, "v1"));
        }
        // each tag may stand for one image only: the second is known by its full name
        two.roots[1]["annotations"][super::support::image::REF_NAME] = "docker.io/library/db:v1".into();
        two.write(&self.above("in/two"));
        two.write(&self.above("in/two.tar"));
        fs::create_dir_all(self.above("in/context/app")).unwrap();
        fs::write(
            self.above("in/context/Containerfile"),
            "FROM scratch\nARG TARGETARCH\nCOPY app /app\nCOPY own-$TARGETARCH /own\nENV A=B\n",
        )
        .unwrap();
        for (name, bytes) in [
            ("app/large", noise(30, 200_000)),
            ("app/small", b"text".to_vec()),
            ("own-amd64", b"amd64".to_vec()),
            ("own-arm64", b"arm64".to_vec()),
        ] {
            fs::write(self.above("in/context").join(name), bytes).unwrap();
        }
        fs::write(self.above("in/note.txt"), noise(40, 100_000)).unwrap();
        self.ok("key generate --no-password -o ../in/release");
        self.ok("build -q -o ../in/files -t built:v1 --platform linux/amd64 ../in/context");
        self.ok("receipt -q -o ../in/site.json ../in/amd64");
    }

    fn make_starts(&self) {
        let mut keep = Images::new();
        let image = keep.image("linux/amd64", &[Layer::gzip(b"what was there before"), Layer::plain(&noise(50, 9000))]);
        keep.root(image).layout(&self.above("in/keep"));
        self.ok("merge -q -o ../start/old -t keep:v1 ../in/keep");
        self.ok("merge -q -o ../start/old.tar -t keep:v1 ../in/keep");
        for name in ["full", "litter"] {
            self.ok(&format!("copy -q ../start/old ../start/{name}"));
            self.ok(&format!("copy -q ../in/two ../start/{name}"));
        }
        self.ok("rm -q ../start/litter:app:v1");
        self.ok("receipt -q -o ../start/site.json ../start/old");
        self.ok("save -q --align -o ../start/aligned.tar ../in/two");
        fs::create_dir(self.above("start/set")).unwrap();
        self.ok("save -q --format oci --split 1M -o ../start/set/p.tar ../in/two");
        let entry = r#"{"auth":"dXNlcjpwYXNzd29yZA=="}"#;
        let passwords =
            format!("{{\"auths\":{{\"a.example\":{entry},\"b.example\":{entry}}},\"own\":{{\"kept\":1}}}}\n");
        fs::write(self.above("start/auth.json"), passwords).unwrap();
        fs::set_permissions(self.above("start/auth.json"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::remove_dir_all(self.above("in/keep")).unwrap();
    }

    /// Prepares the program with a line of words, to run in the working directory.
    pub(crate) fn command(&self, line: &str) -> Command {
        self.under(&[], line)
    }

    /// The same below other programs, each a word.
    pub(crate) fn under(&self, around: &[String], line: &str) -> Command {
        let program = env!("CARGO_BIN_EXE_barge").to_owned();
        let mut words = around.iter().cloned().chain([program]);
        let mut command = self.barge.around(words.next().unwrap());
        command.args(words).args(line.split_whitespace());
        command.env("SOURCE_DATE_EPOCH", "1700000000");
        command
    }

    pub(crate) fn run(&self, line: &str) -> Ended {
        self.command(line).output().unwrap().into()
    }

    #[track_caller]
    pub(crate) fn ok(&self, line: &str) {
        let ended = self.run(line);
        assert_eq!(ended.code, Some(0), "barge {line}: {}", ended.said);
    }

    /// Empties the working directory, and copies these into it.
    pub(crate) fn reset(&self, start: &[&str]) {
        // emptied and not made anew: a file system may be mounted there
        for entry in fs::read_dir(self.path("")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        }
        for name in start {
            place::copy(&self.above("start").join(name), &self.path(name));
        }
    }

    /// Checks that no experiment changed what is only read.
    #[track_caller]
    pub(crate) fn inputs_are_whole(&self) {
        let now = place::tree(&self.above("in"));
        assert!(now == self.inputs, "{:?}", place::difference(&self.inputs, &now));
    }
}

/// Sets the time of a file or a directory back, as if it had been written long ago.
pub(crate) fn age(path: &std::path::Path) {
    // a directory can only be opened so
    let file = File::open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(3 * 3600)).unwrap();
}
