//! Layers: how a row is run, with every command that reads what is in a layer, as root and as nobody, and what has to hold.
//!
//! A row that is right is unpacked by `umoci` as well, and the two are compared; where another program does otherwise, the
//! row says why.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use crate::environment::available;
use crate::ordeal::{Ordeal, Ran};
use crate::support::image::{Images, Layer, named};
use crate::support::tar::Tar;

/// What comes of a row.
enum Ends {
    /// It is refused: the exit code, and a part of what is said.
    Refused(i32, &'static str),
    /// It is unpacked, and this is what is there. As nobody there may be something else.
    Becomes(Tree),
}

/// What is in a directory: name to `kind mode content`, as [`seen`] says it.
pub(crate) type Tree = BTreeMap<String, String>;

/// Layers, and what comes of them.
pub(crate) struct Row {
    what: &'static str,
    why: &'static str,
    layers: Vec<Vec<u8>>,
    ends: Ends,
    /// What it is without root, when that does not follow from what it is with.
    nobody: Option<Tree>,
    /// Why `umoci` does something else.
    otherwise: Option<&'static str>,
    /// Only who writes files sees what is wrong.
    at_unpack: bool,
    timed: bool,
}

/// Makes a row whose layers are refused as wrong content: what it is, why it is tried, a part of what is said.
pub(crate) fn refused(
    what: &'static str,
    why: &'static str,
    layers: impl IntoIterator<Item = Tar>,
    said: &'static str,
) -> Row {
    let layers = layers.into_iter().map(Tar::finished).collect();
    Row {
        what,
        why,
        layers,
        ends: Ends::Refused(4, said),
        nobody: None,
        otherwise: None,
        at_unpack: false,
        timed: false,
    }
}

/// Makes a row whose layers are unpacked: what it is, why it is tried, what becomes of it.
pub(crate) fn becomes<N: AsRef<str>, S: AsRef<str>>(
    what: &'static str,
    why: &'static str,
    layers: impl IntoIterator<Item = Tar>,
    expected: impl IntoIterator<Item = (N, S)>,
) -> Row {
    Row { ends: Ends::Becomes(tree(expected)), ..refused(what, why, layers, "") }
}

fn tree<N: AsRef<str>, S: AsRef<str>>(expected: impl IntoIterator<Item = (N, S)>) -> Tree {
    expected.into_iter().map(|(name, shown)| (name.as_ref().to_owned(), shown.as_ref().to_owned())).collect()
}

impl Row {
    /// It is refused with another exit code.
    pub(crate) fn code(self, code: i32) -> Self {
        let Ends::Refused(_, said) = self.ends else { panic!("{}: it is not refused", self.what) };
        Self { ends: Ends::Refused(code, said), ..self }
    }

    /// The layers are these bytes instead.
    pub(crate) fn bytes(self, layers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { layers: layers.into_iter().collect(), ..self }
    }

    /// Without root something else becomes of it.
    pub(crate) fn nobody<'a>(self, expected: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self { nobody: Some(tree(expected)), ..self }
    }

    /// `umoci` does something else, and why.
    pub(crate) fn otherwise(self, why: &'static str) -> Self {
        Self { otherwise: Some(why), ..self }
    }

    /// Only a file system refuses it: whoever reads names alone does not see it.
    pub(crate) fn at_unpack(self) -> Self {
        Self { at_unpack: true, ..self }
    }

    /// Times are looked at too.
    pub(crate) fn timed(self) -> Self {
        Self { timed: true, ..self }
    }
}

/// Says what lies below a directory, however deep and long: the root itself only when its mode is not the usual one, owners
/// and times where they are not 0.
pub(crate) fn seen(root: &Path, timed: bool) -> Tree {
    let mut found = Tree::new();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = rustix::fs::open(root, flags, Mode::empty()).unwrap();
    let own = shown(handle.as_fd(), c".", timed);
    if own != "dir 755" {
        found.insert(".".to_owned(), own);
    }
    below(&handle, "", timed, &mut found);
    found
}

fn below(directory: &OwnedFd, path: &str, timed: bool, found: &mut Tree) {
    for entry in Dir::read_from(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let path = format!("{path}{}", name.to_bytes().escape_ascii());
        let shown = shown(directory.as_fd(), name, timed);
        if shown.starts_with("dir") {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let handle = rustix::fs::openat(directory, name, flags, Mode::empty()).unwrap();
            below(&handle, &format!("{path}/"), timed, found);
        }
        found.insert(path, shown);
    }
}

fn shown(directory: BorrowedFd<'_>, name: &std::ffi::CStr, timed: bool) -> String {
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    let mode = stat.st_mode & 0o7777;
    let device = || format!("{}:{}", rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
    let mut words = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => format!("dir {mode:o}"),
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(directory, name, Vec::new()).unwrap();
            format!("-> {}", target.as_bytes().escape_ascii())
        }
        FileType::RegularFile if stat.st_size > 100 => format!("file {mode:o} [{}]", stat.st_size),
        FileType::RegularFile => {
            let file = rustix::fs::openat(directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
            let mut content = [0; 100];
            let count = rustix::io::read(&file, &mut content[..]).unwrap();
            format!("file {mode:o} {}", content[..count].escape_ascii()).trim_end().to_owned()
        }
        FileType::Fifo => format!("fifo {mode:o}"),
        FileType::CharacterDevice => format!("char {mode:o} {}", device()),
        FileType::BlockDevice => format!("block {mode:o} {}", device()),
        other => format!("{other:?}"),
    };
    if !words.starts_with("dir") && stat.st_nlink > 1 {
        words.push_str(&format!(" x{}", stat.st_nlink));
    }
    if (stat.st_uid, stat.st_gid) != (0, 0) {
        words.push_str(&format!(" of {}:{}", stat.st_uid, stat.st_gid));
    }
    if timed && (stat.st_mtime, stat.st_mtime_nsec) != (0, 0) {
        words.push_str(&format!(" at {}.{:09}", stat.st_mtime, stat.st_mtime_nsec));
    }
    let mut list = Vec::with_capacity(1 << 16);
    let path = CString::new(format!("/proc/self/fd/{}/", std::os::fd::AsRawFd::as_raw_fd(&directory))).unwrap();
    let path = CString::new([path.to_bytes(), name.to_bytes()].concat()).unwrap();
    let _ = rustix::fs::llistxattr(path.as_c_str(), spare_capacity(&mut list));
    let mut names: Vec<&[u8]> = list.split(|byte| *byte == 0).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    for name in names.into_iter().take(3) {
        let mut value = Vec::with_capacity(1 << 16);
        let _ = rustix::fs::lgetxattr(path.as_c_str(), name, spare_capacity(&mut value));
        words.push_str(&format!(" {}={}", escaped(name), escaped(&value)));
    }
    words
}

/// Returns bytes as one word.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string().replace(' ', "\\x20")
}

/// What becomes of a tree without root: devices are left out, and so are attributes that only root may set; setuid and
/// setgid go from files.
fn of_nobody(tree: &Tree) -> Tree {
    let one = |shown: &String| {
        let mut words: Vec<String> = shown.split(' ').map(str::to_owned).collect();
        if words[0] == "file"
            && let Ok(mode) = u32::from_str_radix(&words[1], 8)
        {
            words[1] = format!("{:o}", mode & 0o1777);
        }
        words.retain(|word| !word.starts_with("trusted.") && !word.starts_with("security."));
        words.join(" ")
    };
    // the whiteout of overlay is nobody's in particular
    let is_device = |shown: &str| shown.starts_with("char") || shown.starts_with("block");
    let stays = |(_, shown): &(&String, &String)| !is_device(shown) || shown.ends_with(" 0:0");
    tree.iter().filter(stays).map(|(name, shown)| (name.clone(), one(shown))).collect()
}

/// Takes owners away from what was seen.
fn without_owners(tree: Tree) -> Tree {
    let one = |shown: String| match shown.split_once(" of ") {
        Some((before, after)) => {
            let rest = after.split_once(' ').map_or("", |(_, rest)| rest);
            format!("{before} {rest}").trim_end().to_owned()
        }
        None => shown,
    };
    usual(tree.into_iter().map(|(name, shown)| (name, one(shown))).collect())
}

/// Leaves out the root when it is as it usually is.
fn usual(mut tree: Tree) -> Tree {
    tree.retain(|name, shown| name != "." || shown != "dir 755");
    tree
}

/// A place to unpack in, also for somebody who is not root.
pub(crate) struct Yard {
    pub(crate) ordeal: Ordeal,
    /// A copy of the program that everybody may execute, wherever the build directory is.
    program: PathBuf,
    has_umoci: bool,
    _for_all: tempfile::TempDir,
}

impl Yard {
    pub(crate) fn new() -> Self {
        let ordeal = Ordeal::new();
        let for_all = tempfile::tempdir().unwrap();
        let program = for_all.path().join("barge");
        let own = env!("CARGO_BIN_EXE_barge");
        fs::hard_link(own, &program).or_else(|_| fs::copy(own, &program).map(drop)).unwrap();
        let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        open(for_all.path(), 0o755);
        open(&ordeal.path(".."), 0o755);
        open(&ordeal.path(""), 0o777);
        let yard = Self { ordeal, program, has_umoci: false, _for_all: for_all };
        yard.write("nothing", &[]);
        yard
    }

    pub(crate) fn run_as_nobody(&mut self, what: &str, line: &str) -> Ran {
        let program = self.program.to_str().unwrap().to_owned();
        let words: &[&str] = match is_root() {
            true => &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", &program],
            false => &[&program],
        };
        self.ordeal.run_by(what, words, line)
    }

    /// Writes an image with these layers as `x`, named `v1`.
    pub(crate) fn image(&self, layers: &[Vec<u8>]) {
        self.image_of(&layers.iter().map(|layer| Layer::plain(layer)).collect::<Vec<_>>());
    }

    pub(crate) fn image_of(&self, layers: &[Layer]) {
        self.write("x", layers);
    }

    fn write(&self, place: &str, layers: &[Layer]) {
        self.ordeal.clear(place);
        let mut images = Images::new();
        // one more, for of a single layer there is nothing to squash
        let layers: Vec<Layer> = layers.iter().cloned().chain([Layer::plain(&Tar::new().finished())]).collect();
        let image = images.image("linux/amd64", &layers);
        images.root(named(image, "v1"));
        images.layout(&self.ordeal.path(place));
    }

    fn fault(&mut self, row: &Row, fault: &str) {
        self.ordeal.fault(format!("{} ({}): {fault}", row.what, row.why));
    }

    /// Checks that a run ended as it must, and says whether it made something.
    fn ended(&mut self, row: &Row, ran: &Ran) -> bool {
        let (code, said) = match &row.ends {
            Ends::Refused(code, said) => (*code, *said),
            Ends::Becomes(_) => (0, ""),
        };
        if ran.code != code || !ran.says(said) {
            let fault = format!("`{}` ends with {}, expected {code} {said:?}: {}", ran.words, ran.code, ran.stderr);
            self.fault(row, &fault);
        }
        ran.code == 0
    }

    fn compare(&mut self, row: &Row, who: &str, got: &Tree, expected: &Tree) {
        if got != expected {
            let only = |one: &Tree, other: &Tree| {
                let differ = one.iter().filter(|(name, shown)| other.get(*name) != Some(shown));
                differ.map(|(name, shown)| format!("{name}: {shown}")).take(5).collect::<Vec<_>>()
            };
            let (got, expected) = (only(got, expected), only(expected, got));
            self.fault(row, &format!("{who} made {got:?}, expected {expected:?}"));
        }
    }

    fn tried(&mut self, row: &Row) {
        self.image(&row.layers);
        fs::write(self.ordeal.path("layer.tar"), row.layers.last().unwrap()).unwrap();
        let before = self.ordeal.surroundings();
        let out = self.ordeal.path("out");
        let mut by_root = None;
        let is_right = matches!(row.ends, Ends::Becomes(_));
        // who unpacks, and how
        for (nobody, line) in [
            (false, "unpack --no-sync x out"),
            (true, "unpack --no-sync x out"),
            (false, "unpack --no-sync --no-same-owner x out"),
        ] {
            if !is_right && line.contains("same-owner") {
                continue;
            }
            if !nobody && !available("root", is_root()) {
                continue;
            }
            let ran = if nobody { self.run_as_nobody(row.what, line) } else { self.ordeal.run(row.what, line) };
            let is_there = self.ended(row, &ran);
            if let (true, Ends::Becomes(expected)) = (is_there, &row.ends) {
                let got = seen(&out, row.timed);
                match (nobody, line.contains("same-owner")) {
                    (false, false) => {
                        self.compare(row, "root", &got, expected);
                        by_root = Some(seen(&out, true));
                    }
                    (false, true) => {
                        let names = |tree: &Tree| tree.keys().cloned().map(|name| (name, String::new())).collect();
                        self.compare(row, "--no-same-owner", &names(&got), &names(expected));
                    }
                    (true, _) => {
                        let expected = row.nobody.clone().unwrap_or_else(|| of_nobody(expected));
                        self.compare(row, "nobody", &without_owners(got), &without_owners(expected));
                    }
                }
            } else if out.exists() {
                self.fault(row, &format!("`{line}` failed and left its directory"));
            }
            self.surrounded(row, &before, &ran);
            let _ = fs::remove_dir_all(&out);
        }
        // whoever reads names of layers sees the same
        for line in ["diff --files x nothing", "unpack --file a x out", "edit --squash --no-sync -o out -t s:v1 x:v1"] {
            if !is_right && line.contains("--file") && !line.starts_with("diff") {
                continue;
            }
            let mut ran = self.ordeal.run(row.what, line);
            // two images differ, and what is not there cannot be taken out
            if is_right && ran.code == if line.starts_with("diff") { 1 } else { 3 } {
                ran.code = 0;
            }
            if !row.at_unpack && self.ended(row, &ran) && line.starts_with("edit") {
                // one layer of all is the same tree
                let squashed = self.ordeal.run(row.what, "unpack --no-sync out out.squashed");
                if squashed.code != 0 {
                    self.fault(row, &format!("squashed it cannot be unpacked: {}", squashed.stderr));
                } else if let Some(by_root) = &by_root {
                    self.compare(row, "squashed, root", &seen(&self.ordeal.path("out.squashed"), true), by_root);
                }
            }
            self.surrounded(row, &before, &ran);
            self.ordeal.clear("out");
            self.ordeal.clear("out.squashed");
        }
        // these have rules of their own for what they take; a build that copies from an image reads it as `diff` does
        for line in [
            "edit --add layer.tar:/to --no-sync -o out -t s:v1 x:v1",
            "build --no-sync -o out -t b:v1 --platform linux/amd64 context",
        ] {
            if !is_right && line.starts_with("build") {
                continue;
            }
            let ran = self.ordeal.run(row.what, line);
            self.surrounded(row, &before, &ran);
            self.ordeal.clear("out");
        }
        // the bytes are what they are said to be
        let ran = self.ordeal.run(row.what, "verify --deep x");
        if ran.code != 0 {
            self.fault(row, &format!("`{}`: {}{}", ran.words, ran.stdout, ran.stderr));
        }
        if let Some(by_root) = by_root.filter(|_| self.has_umoci) {
            self.as_umoci(row, &by_root);
        }
    }

    fn surrounded(&mut self, row: &Row, before: &BTreeMap<String, String>, ran: &Ran) {
        let after = self.ordeal.surroundings();
        if after != *before {
            let fault = format!("`{}` touched something", ran.words);
            self.fault(row, &fault);
        }
    }

    /// Unpacks with `umoci` and compares. The times of directories in which it made something are its own.
    fn as_umoci(&mut self, row: &Row, expected: &Tree) {
        let ran = self.ordeal.barge.around("umoci").args(["unpack", "--image", "x:v1", "out"]).output().unwrap();
        if ran.status.success() {
            let plain = |tree: &Tree| -> Tree {
                let one = |shown: &String| match shown.split_once(" at ") {
                    Some((before, _)) if shown.starts_with("dir") => before.to_owned(),
                    _ => shown.clone(),
                };
                usual(tree.iter().map(|(name, shown)| (name.clone(), one(shown))).collect())
            };
            let (got, expected) = (plain(&seen(&self.ordeal.path("out/rootfs"), true)), plain(expected));
            match row.otherwise {
                None => self.compare(row, "umoci", &got, &expected),
                Some(why) if got == expected => self.fault(row, &format!("umoci does the same, and not: {why}")),
                Some(_) => {}
            }
        } else if row.otherwise.is_none() {
            let said = String::from_utf8_lossy(&ran.stderr).into_owned();
            self.fault(row, &format!("umoci refuses it: {said}"));
        }
        self.ordeal.clear("out");
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Tries rows one after the other.
#[track_caller]
pub(crate) fn tried(rows: Vec<Row>) {
    let mut yard = Yard::new();
    let umoci = std::process::Command::new("umoci").arg("--version").output().is_ok();
    let umoci = available("umoci", umoci);
    let recipe = "FROM x:v1\nCOPY --from=x:v1 / /copied/\n";
    yard.ordeal.barge.write("context/Containerfile", recipe);
    let count = rows.len();
    yard.has_umoci = umoci;
    for row in rows {
        yard.tried(&row);
    }
    println!("{count} rows");
    yard.ordeal.judge();
}
