//! How a case is run: with every command, within limits, beside things that must not be touched.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use barge::digest::Digest;

use crate::environment::{Barge, available, listing};
use crate::support::image::Images;

/// What a process may have of memory that it can write to, in bytes, and of the processors, in seconds.
const LIMITS: [&str; 3] = ["--data=536870912", "--cpu=20", "--core=0"];

/// The exit codes of the contract that reading something can have.
const CODES: [i32; 6] = [0, 3, 4, 8, 9, 10];

/// Where a case shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The place cannot be opened: no command does anything.
    Open,
    /// An image is not whole or contradicts itself: it is verified and carried nowhere.
    Reach,
    /// It is whole, and no image: only `merge` cannot use it.
    Merge,
    /// The content is whole and carried as it is; `verify` says that an image contradicts itself.
    Verify,
    /// A layer is not what its config says: only who unpacks it sees that.
    Deep,
}

/// What a place is made of.
pub(crate) enum Made {
    /// Images: a layout and an archive are tried.
    Images(Images),
    /// Images in a layout, and what is done to it.
    Spoilt(Images, Box<dyn Fn(&Path)>),
    /// The bytes of a file.
    File(Vec<u8>),
}

/// A case that has to be refused.
pub(crate) struct Case {
    what: &'static str,
    why: &'static str,
    made: Made,
    scope: Scope,
    code: i32,
    said: &'static str,
}

/// Makes a case: what it is, why it is tried, where it shows, the exit code, a part of what is said.
pub(crate) fn case(
    what: &'static str,
    why: &'static str,
    made: impl Into<Made>,
    (scope, code): (Scope, i32),
    said: &'static str,
) -> Case {
    Case { what, why, made: made.into(), scope, code, said }
}

impl From<Images> for Made {
    fn from(images: Images) -> Self {
        Self::Images(images)
    }
}

impl From<Vec<u8>> for Made {
    fn from(file: Vec<u8>) -> Self {
        Self::File(file)
    }
}

impl Made {
    /// Returns the names of the places to write.
    fn places(&self) -> &'static [&'static str] {
        match self {
            Self::Images(_) => &["x", "x.tar"],
            Self::Spoilt(..) => &["x"],
            Self::File(_) => &["x.tar"],
        }
    }

    fn write(&self, path: &Path) {
        match self {
            Self::Images(images) => images.write(path),
            Self::Spoilt(images, spoil) => {
                images.layout(path);
                spoil(path);
            }
            Self::File(bytes) => fs::write(path, bytes).unwrap(),
        }
    }
}

/// What every place is read with. `PLACE` stands for it.
pub(crate) const LOOK: [&str; 6] = [
    "ls --all PLACE",
    "tree PLACE",
    "inspect PLACE",
    "verify PLACE",
    "verify --deep --json PLACE",
    "serve --dry-run PLACE",
];
/// What carries it elsewhere: the target comes last.
const CARRY: [&str; 3] =
    ["copy --no-sync PLACE out", "save --no-sync -o out.tar PLACE", "merge --no-sync -o out -t app:v1 PLACE"];
const UNPACK: &str = "unpack PLACE out";

/// What came of a run.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    pub(crate) words: String,
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Returns whether either stream has a text.
    pub(crate) fn says(&self, part: &str) -> bool {
        self.stdout.contains(part) || self.stderr.contains(part)
    }
}

/// A place to try cases in, with things beside it that nobody may touch.
pub(crate) struct Ordeal {
    pub(crate) barge: Barge,
    faults: Vec<String>,
    traced: bool,
}

impl Ordeal {
    pub(crate) fn new() -> Self {
        let barge = Barge::new();
        for canary in ["../canary/secret", "../escaped", "../work-canary", "../home/.keep", "beside/secret"] {
            let path = barge.path(canary);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "untouched").unwrap();
        }
        Self { barge, faults: Vec::new(), traced: false }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.barge.path(name)
    }

    /// Notes that something is not as it has to be.
    pub(crate) fn fault(&mut self, fault: String) {
        self.faults.push(fault);
    }

    /// Says all that was wrong.
    #[track_caller]
    pub(crate) fn judge(self) {
        assert!(self.faults.is_empty(), "{} faults\n{}", self.faults.len(), self.faults.join("\n"));
    }

    /// Runs a command line on a place, and checks what has to hold whatever the place is.
    pub(crate) fn run(&mut self, what: &str, line: &str) -> Ran {
        self.run_by(what, &[env!("CARGO_BIN_EXE_barge")], line)
    }

    /// Runs a command line by other words than the program alone.
    pub(crate) fn run_by(&mut self, what: &str, program: &[&str], line: &str) -> Ran {
        let mut command = self.barge.around("prlimit");
        command.args(LIMITS).args(program).args(line.split(' '));
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().unwrap_or(-1);
        let ran = Ran { words: line.to_owned(), code, stdout: text(&output.stdout), stderr: text(&output.stderr) };
        let differs = code == 1 && line.starts_with("diff");
        if (!CODES.contains(&code) && !differs) || ran.stderr.contains("panicked") {
            let skipped = ran.stderr.chars().count().saturating_sub(400);
            let end: String = ran.stderr.chars().skip(skipped).collect();
            self.fault(format!("{what}: `{line}` ended with {}: {end}", output.status));
        }
        if let Some(odd) = ran.stdout.chars().chain(ran.stderr.chars()).find(|odd| is_unsafe(*odd)) {
            self.fault(format!("{what}: `{line}` prints {odd:?}"));
        }
        if ran.stderr.len() > 8000 {
            self.fault(format!("{what}: `{line}` complains with {} bytes", ran.stderr.len()));
        }
        ran
    }

    /// Runs every command on a place that must stay as it is, and returns what came of those that read and those that carry.
    pub(crate) fn try_all(&mut self, what: &str, place: &str) -> BTreeMap<&'static str, Ran> {
        let before = self.surroundings();
        let mut all = BTreeMap::new();
        for line in LOOK.into_iter().chain(CARRY).chain([UNPACK]) {
            let ran = self.run(what, &line.replace("PLACE", place));
            self.check_targets(what, &ran);
            if self.surroundings() != before {
                self.fault(format!("{what}: `{}` touched something", ran.words));
            }
            all.insert(line, ran);
        }
        if !self.traced {
            self.traced = true;
            self.trace(what, place);
        }
        all
    }

    /// Everything that has to stay, the place among it.
    pub(crate) fn surroundings(&self) -> BTreeMap<String, String> {
        let mut all = listing(&self.path(".."));
        all.retain(|name, _| !name.starts_with("./work/out") && name != "." && name != "./work");
        all
    }

    /// Checks what stands at the targets, and takes it away.
    fn check_targets(&mut self, what: &str, ran: &Ran) {
        let out = self.path("out");
        if ran.code == 0 && !ran.words.starts_with("unpack") {
            for target in ["out", "out.tar"] {
                if !self.path(target).exists() {
                    continue;
                }
                let verified = self.run(what, &format!("verify {target}"));
                // what a config says wrongly is told and carried: its bytes are what they were
                if verified.code != 0 && !verified.says("(config of ") {
                    self.fault(format!("{what}: `{}` made something broken: {}", ran.words, verified.stdout));
                }
            }
        }
        if ran.code != 0 && (self.path("out.tar").exists() || out.join("index.json").exists()) {
            self.fault(format!("{what}: `{}` failed and left a name", ran.words));
        }
        if ran.code != 0 && ran.words.starts_with("unpack") && out.exists() {
            self.fault(format!("{what}: `{}` failed and left its directory", ran.words));
        }
        for (name, _) in listing(&out).iter().filter(|_| !ran.words.starts_with("unpack")) {
            let Some(hex) = name.strip_prefix("./blobs/sha256/").filter(|hex| hex.len() == 64) else { continue };
            if Digest::of(&fs::read(out.join(name)).unwrap()).hex() != hex {
                self.fault(format!("{what}: `{}` gave {hex} to something else", ran.words));
            }
        }
        let _ = fs::remove_dir_all(&out);
        let _ = fs::remove_file(self.path("out.tar"));
    }

    /// Runs the commands again and watches for sockets.
    fn trace(&mut self, what: &str, place: &str) {
        let is_there = Command::new("strace").arg("-V").output().is_ok();
        if !available("strace", is_there) {
            return;
        }
        for line in LOOK.into_iter().chain(CARRY) {
            let mut command = self.barge.around("strace");
            command.args(["-f", "-qq", "-e", "trace=socket,connect,bind,sendto", "-o", "../trace"]);
            command.arg(env!("CARGO_BIN_EXE_barge")).args(line.replace("PLACE", place).split(' '));
            let _ = command.output().unwrap();
            let trace = fs::read_to_string(self.path("../trace")).unwrap();
            if trace.contains("AF_INET") || trace.contains("connect(") {
                self.fault(format!("{what}: `{line}` opens a socket: {trace}"));
            }
        }
        for left in ["out", "../trace", "out.tar"] {
            let path = self.path(left);
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }

    /// Removes a place.
    pub(crate) fn clear(&self, place: &str) {
        let path = self.path(place);
        let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    }
}

/// Returns whether a terminal would do something with it, or show something else than what stands there.
fn is_unsafe(odd: char) -> bool {
    let bidi = matches!(odd, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
    (odd.is_control() && odd != '\n') || bidi
}

/// Tries cases that have to be refused.
#[track_caller]
pub(crate) fn refused(cases: Vec<Case>) {
    let mut ordeal = Ordeal::new();
    let count = cases.len();
    for Case { what, why, made, scope, code, said } in cases {
        for place in made.places() {
            let what = format!("{what} ({why}), {place}");
            made.write(&ordeal.path(place));
            let all = ordeal.try_all(&what, place);
            for (line, ran) in &all {
                let carries = line.starts_with("copy") || line.starts_with("save") || line.starts_with("merge");
                let must_fail = match scope {
                    Scope::Open => true,
                    Scope::Reach => carries || line.starts_with("verify"),
                    Scope::Merge => line.starts_with("merge"),
                    Scope::Verify => line.starts_with("verify"),
                    Scope::Deep => line.contains("--deep"),
                };
                let must_work = match scope {
                    Scope::Open | Scope::Reach => false,
                    Scope::Merge => !must_fail && !line.starts_with("unpack"),
                    Scope::Verify | Scope::Deep => carries,
                };
                let is_exact = must_fail && (!line.starts_with("merge") || scope == Scope::Merge);
                if (is_exact && ran.code != code) || (must_fail && ran.code == 0) || (must_work && ran.code != 0) {
                    let told = ran.stderr.lines().take(3).collect::<Vec<_>>().join(" / ");
                    ordeal.fault(format!("{what}: `{line}` ends with {}, expected {code}: {told}", ran.code));
                }
            }
            // at least one command says it; where nothing can be opened, all do
            let silent = |ran: &&Ran| ran.code != 0 && !ran.says(said);
            let whoever = all.values().filter(|ran| ran.code != 0);
            let quiet = if scope == Scope::Open { whoever.clone().find(silent) } else { None };
            if let Some(ran) =
                quiet.or(if whoever.clone().any(|ran| ran.says(said)) { None } else { all.values().next() })
            {
                let told: Vec<&str> = whoever.map(|ran| ran.stderr.trim()).take(2).collect();
                ordeal.fault(format!("{what}: `{}` does not say {said:?}: {}", ran.words, told.join(" | ")));
            }
            ordeal.clear(place);
        }
    }
    println!("{count} cases");
    ordeal.judge();
}
