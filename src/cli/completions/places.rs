//! What a word may stand for: files, places, and the images in them. Nothing is told when it cannot be read.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use barge::content::{Descriptor, REF_NAME};
use barge::ops::lookup::{is_attached, name_of};
use barge::ops::open::open_path;
use barge::ops::workspace::Workspace;
use barge::store::Source as _;
use clap_complete::engine::{CompletionCandidate, PathCompleter, ValueCompleter as _};

/// The tag of a word that more may follow without a space.
pub(super) const OPEN: &str = "open";

/// What a path may follow. A registry is never asked.
const SCHEMES: [&str; 5] = ["oci-archive:", "docker-archive:", "oci-layout://", "ocidir://", "oci:"];
const REGISTRY: &str = "docker://";

/// What `--platform` is mostly asked for.
const PLATFORMS: [&str; 11] = [
    "all",
    "local",
    "linux/386",
    "linux/amd64",
    "linux/arm/v6",
    "linux/arm/v7",
    "linux/arm64",
    "linux/loong64",
    "linux/ppc64le",
    "linux/riscv64",
    "linux/s390x",
];

/// Where words are looked up.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// The current layout.
    pub(super) layout: Option<PathBuf>,
}

impl Places {
    /// Returns what a reference, or a place alone, may go on with.
    pub(super) fn references(&self, typed: &OsStr) -> Vec<CompletionCandidate> {
        let Some(typed) = typed.to_str() else { return Vec::new() };
        if typed.starts_with([':', '@']) {
            return self.layout.iter().flat_map(|layout| images(layout, "", typed)).collect();
        }
        if typed.starts_with(REGISTRY) {
            return Vec::new();
        }
        let scheme = SCHEMES.into_iter().find(|scheme| typed.starts_with(scheme)).unwrap_or_default();
        let rest = &typed[scheme.len()..];
        let place = rest.match_indices([':', '@']).find(|(at, _)| *at > 0 && at_home(&rest[..*at]).exists());
        if let Some((at, _)) = place {
            let before = &typed[..scheme.len() + at];
            return images(&at_home(&rest[..at]), before, &rest[at..]);
        }
        let mut found: Vec<_> = paths(rest).into_iter().map(|path| path.add_prefix(scheme)).collect();
        if scheme.is_empty() {
            found.extend(self.names(OsStr::new(typed)));
        }
        found
    }

    /// Returns the names in the current layout that begin so.
    pub(super) fn names(&self, typed: &OsStr) -> Vec<CompletionCandidate> {
        let Some(typed) = typed.to_str() else { return Vec::new() };
        let named = |layout: &PathBuf| named(&roots(layout), typed, "");
        self.layout.as_ref().map(named).unwrap_or_default()
    }

    /// Returns what stands in a list, as `manifest` is told it: a platform or a name.
    pub(super) fn entries(&self, typed: &OsStr) -> Vec<CompletionCandidate> {
        let mut found = platforms(typed);
        found.retain(|platform| platform.get_value().to_string_lossy().contains('/'));
        found.extend(self.names(typed));
        found
    }
}

/// Returns the platforms that a list may go on with.
pub(super) fn platforms(typed: &OsStr) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let (before, last) = typed.rfind(',').map_or(("", typed), |comma| typed.split_at(comma + 1));
    let like = PLATFORMS.into_iter().filter(|platform| platform.starts_with(last));
    like.map(|platform| CompletionCandidate::new(format!("{before}{platform}"))).collect()
}

/// Returns the directories that begin so.
pub(super) fn directories(typed: &OsStr) -> Vec<CompletionCandidate> {
    let found = PathCompleter::dir().complete(typed).into_iter();
    found.map(|directory| as_layout(directory, None)).collect()
}

/// Returns the paths that begin so; behind a layout more may follow.
fn paths(typed: &str) -> Vec<CompletionCandidate> {
    let found = PathCompleter::any().complete(OsStr::new(typed)).into_iter();
    found.map(|path| as_layout(path, Some(OPEN))).collect()
}

/// Makes a layout a whole word, and no directory to go into.
fn as_layout(candidate: CompletionCandidate, tag: Option<&str>) -> CompletionCandidate {
    let value = candidate.get_value().to_string_lossy().into_owned();
    match value.strip_suffix('/') {
        Some(path) if !path.is_empty() && at_home(path).join("oci-layout").is_file() => {
            CompletionCandidate::new(path).tag(tag.map(|tag| tag.to_owned().into())).help(Some("layout".into()))
        }
        _ => candidate,
    }
}

/// Returns the images of a place that a selector may mean: `:NAME` or `@DIGEST`, as far as it is typed.
fn images(place: &Path, before: &str, selector: &str) -> Vec<CompletionCandidate> {
    let roots = roots(place);
    match selector.strip_prefix('@') {
        None => named(&roots, selector.strip_prefix(':').unwrap_or(selector), &format!("{before}:")),
        Some(digest) => {
            let like = roots.iter().filter(|root| root.digest().to_string().starts_with(digest));
            let candidate = |root: &Descriptor| {
                CompletionCandidate::new(format!("{before}@{}", root.digest()))
                    .help(name_of(root).map(|name| barge::text::escaped(name).into()))
            };
            like.map(candidate).collect()
        }
    }
}

/// Returns the names that begin so, with what stands before them. What belongs to other images is told when it is asked for.
fn named(roots: &[Descriptor], typed: &str, before: &str) -> Vec<CompletionCandidate> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for root in roots.iter().filter(|root| !is_attached(root) || typed.starts_with("sha256-")) {
        // a tag alone is a name too, for who begins to write it
        let tag = root.annotation(REF_NAME).filter(|_| !typed.is_empty());
        for name in name_of(root).into_iter().chain(tag) {
            if name.starts_with(typed) && !name.is_empty() && !name.contains('\0') && seen.insert(name) {
                let help = Some(root.digest().short().into());
                found.push(CompletionCandidate::new(format!("{before}{name}")).help(help));
            }
        }
    }
    found
}

/// Returns what a place holds at the top; nothing when that cannot be told at once.
fn roots(place: &Path) -> Vec<Descriptor> {
    if !place.is_dir() && !is_plain_archive(place) {
        return Vec::new();
    }
    let workspace = Workspace::offline();
    open_path(place, &workspace.context()).and_then(|store| Ok(store.roots()?)).unwrap_or_default()
}

/// Returns whether a file is an archive that can be read in place: one that is packed would have to be unpacked first.
fn is_plain_archive(path: &Path) -> bool {
    // POSIX.1-2017, pax, "ustar Interchange Format": the magic
    const MAGIC: (usize, &[u8]) = (257, b"ustar");
    // a pipe would wait for somebody to write
    if !path.is_file() {
        return false;
    }
    let mut block = [0; 512];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut block));
    read.is_ok() && block[MAGIC.0..].starts_with(MAGIC.1)
}

/// Returns a path as the shell takes it that is yet to read it: with the home directory for a tilde.
pub(super) fn at_home(path: &str) -> PathBuf {
    let home = || std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    match path.strip_prefix("~/").zip(home()) {
        Some((rest, home)) => home.join(rest),
        None if path == "~" => home().unwrap_or_else(|| PathBuf::from(path)),
        None => PathBuf::from(path),
    }
}
