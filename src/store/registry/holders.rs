//! Which repository of a registry has taken a blob in an earlier run: a small file for each registry, so that what one
//! repository has is mounted to the next one instead of being sent again.
//!
//! It is a help and no more: a line that is not true any more costs one request, which begins the upload that is needed then.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::digest::Digest;
use crate::reference::is_repository;

/// How much of a file is read, from its end, in bytes: some forty thousand blobs.
const LARGEST: u64 = 4 * 1024 * 1024;
/// How long a line may be, in bytes: a digest, a space and a repository.
const LONGEST: usize = 512;

/// What one registry has taken.
#[derive(Debug)]
pub(super) struct Holders {
    path: Option<PathBuf>,
    known: OnceLock<HashMap<Digest, String>>,
}

impl Holders {
    /// Keeps a file for a registry below a state directory; none without one.
    pub(super) fn below(state: Option<&Path>, registry: &str) -> Self {
        // a registry's name is no file name
        let name = format!("{}.txt", Digest::of(registry.as_bytes()).hex());
        Self { path: state.map(|state| state.join("holders").join(name)), known: OnceLock::new() }
    }

    /// Returns a repository, other than `besides`, that took some content.
    pub(super) fn of(&self, digest: &Digest, besides: &str) -> Option<&str> {
        let known = self.known.get_or_init(|| self.path.as_deref().map(read).unwrap_or_default());
        known.get(digest).map(String::as_str).filter(|holder| *holder != besides)
    }

    /// Notes that repositories have content now.
    pub(super) fn note<'a>(&self, new: impl Iterator<Item = (&'a Digest, &'a str)>) {
        let Some(path) = &self.path else { return };
        let known = self.known.get_or_init(|| read(path));
        let new = new.filter(|(digest, repository)| known.get(*digest).is_none_or(|known| known != repository));
        let lines: String = new.map(|(digest, repository)| format!("{digest} {repository}\n")).collect();
        if !lines.is_empty() {
            // see above: what cannot be written is no failure
            let _ = append(path, &lines);
        }
    }
}

/// Reads what is there; later lines count more.
fn read(path: &Path) -> HashMap<Digest, String> {
    let lines = end_of(path).unwrap_or_default();
    let line = |line: &str| {
        let (digest, repository) = line.split_once(' ')?;
        let short = line.len() <= LONGEST && is_repository(repository);
        short.then_some((digest.parse().ok()?, repository.to_owned()))
    };
    lines.lines().filter_map(line).collect()
}

/// Returns the last whole lines of a file.
fn end_of(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(LARGEST / 2);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(LARGEST / 2).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let whole = if from > 0 { text.split_once('\n').map_or("", |(_, rest)| rest) } else { &text };
    Ok(whole.to_owned())
}

fn append(path: &Path, lines: &str) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    let mut file = options.open(path)?;
    if file.metadata()?.len() + lines.len() as u64 <= LARGEST {
        // in one piece: runs at the same time add theirs before or behind it
        return file.write_all(lines.as_bytes());
    }
    // the older half goes; what somebody adds in this moment goes too, and will be learnt again
    let kept = end_of(path)?;
    let temporary = path.with_extension(format!("{}-{:016x}", std::process::id(), fastrand::u64(..)));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let fits = usize::try_from(LARGEST / 2).unwrap_or(usize::MAX);
    let lines = lines.get(lines.len().saturating_sub(fits)..).unwrap_or_default();
    let written = file.write_all(kept.as_bytes()).and_then(|()| file.write_all(lines.as_bytes()));
    let written = written.and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> Digest {
        Digest::of(number.to_string().as_bytes())
    }

    #[test]
    fn what_one_run_notes_another_one_knows() {
        let state = tempfile::tempdir().unwrap();
        let holders = |registry: &str| Holders::below(Some(state.path()), registry);
        let (one, two) = (digest(1), digest(2));
        holders("r:5000").note([(&one, "app"), (&two, "a/b")].into_iter());
        assert_eq!(holders("r:5000").of(&one, "other"), Some("app"));
        assert_eq!(holders("r:5000").of(&two, "a/b"), None, "itself");
        assert_eq!(holders("r:5001").of(&one, "other"), None, "another registry");
        holders("r:5000").note([(&one, "new")].into_iter());
        assert_eq!(holders("r:5000").of(&one, "other"), Some("new"), "the latest counts");
        let file = fs::read_dir(state.path().join("holders")).unwrap().next().unwrap().unwrap().path();
        let before = fs::metadata(&file).unwrap().len();
        holders("r:5000").note([(&one, "new"), (&two, "a/b")].into_iter());
        assert_eq!(fs::metadata(&file).unwrap().len(), before, "nothing new");
        Holders::below(None, "r").note([(&one, "app")].into_iter());
        assert_eq!(Holders::below(None, "r").of(&one, "other"), None);
    }

    #[test]
    fn lines_that_are_none_are_passed_over() {
        let state = tempfile::tempdir().unwrap();
        let holders = || Holders::below(Some(state.path()), "r");
        holders().note([(&digest(1), "app")].into_iter());
        let file = fs::read_dir(state.path().join("holders")).unwrap().next().unwrap().unwrap().path();
        let good = fs::read_to_string(&file).unwrap();
        let other = format!("{} ../etc\n{} {}\nsha256:00 app\n\u{0}\n", digest(2), digest(3), "a".repeat(600));
        fs::write(&file, [other.as_bytes(), b"\xff\xfe\n", good.as_bytes(), b"sha256:"].concat()).unwrap();
        for (number, expected) in [(1, Some("app")), (2, None), (3, None)] {
            assert_eq!(holders().of(&digest(number), "other"), expected, "{number}");
        }
    }

    #[test]
    fn a_file_that_would_grow_too_large_loses_its_older_half() {
        let state = tempfile::tempdir().unwrap();
        let holders = || Holders::below(Some(state.path()), "r");
        let name = "a".repeat(200);
        let digests: Vec<Digest> = (0..16_000).map(digest).collect();
        for part in digests.chunks(8_000) {
            holders().note(part.iter().map(|digest| (digest, name.as_str())));
        }
        let file = fs::read_dir(state.path().join("holders")).unwrap().next().unwrap().unwrap().path();
        assert!(fs::metadata(&file).unwrap().len() <= LARGEST);
        assert_eq!(holders().of(&digests[15_999], "other"), Some(name.as_str()));
        assert_eq!(holders().of(&digests[0], "other"), None);
        assert_eq!(fs::read_dir(state.path().join("holders")).unwrap().count(), 1);
    }
}
