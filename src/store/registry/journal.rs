//! Which uploads are under way: a small file for each, so that a later run can go on with one that was cut.
//!
//! It is a help and no more: what cannot be read or written here costs an upload from its beginning, and nothing else. A
//! file is taken away by the run that uses it, so that two runs never go on with one upload.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::address::Url;
use crate::digest::Digest;
use crate::store::listing::names_in;

/// From which size on an upload is worth a note, in bytes.
pub(super) const WORTH: u64 = 1024 * 1024;
/// How long registries keep an upload that nobody goes on with: distribution's default is a week.
const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const LARGEST: u64 = 128 * 1024;

/// The notes of all uploads.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    directory: Option<PathBuf>,
}

/// What an upload is for.
pub(super) struct Entry<'a> {
    pub(super) registry: &'a str,
    pub(super) repository: &'a str,
    pub(super) digest: &'a Digest,
}

impl Entry<'_> {
    /// Returns the name of the file: a digest, because a registry's name is no file name.
    fn file_name(&self) -> String {
        let key = format!("{}\n{}\n{}", self.registry, self.repository, self.digest);
        format!("{}.json", Digest::of(key.as_bytes()).hex())
    }
}

impl Journal {
    /// Keeps notes below a state directory; none without one.
    pub(super) fn below(state: Option<&Path>) -> Self {
        Self { directory: state.map(|state| state.join("uploads")) }
    }

    /// Notes where an upload is.
    pub(super) fn note(&self, entry: &Entry<'_>, url: &Url) {
        let Some(directory) = &self.directory else { return };
        let text = json!({"registry": entry.registry, "repository": entry.repository,
            "digest": entry.digest.to_string(), "url": url.to_string()});
        // see above: a note that cannot be written is no failure
        let _ = write(directory, &entry.file_name(), text.to_string().as_bytes());
    }

    /// Takes the note of an upload away and returns where it was.
    pub(super) fn take(&self, entry: &Entry<'_>) -> Option<Url> {
        let path = self.directory.as_ref()?.join(entry.file_name());
        // whoever renames it has it
        let mine = path.with_extension(format!("{}-{:016x}", std::process::id(), fastrand::u64(..)));
        fs::rename(&path, &mine).ok()?;
        let url = read(&mine, entry);
        let _ = fs::remove_file(&mine);
        url
    }

    /// Removes the note of an upload that has come to its end.
    pub(super) fn forget(&self, entry: &Entry<'_>) {
        if let Some(directory) = &self.directory {
            let _ = fs::remove_file(directory.join(entry.file_name()));
        }
    }

    /// Removes notes that are too old to be of use.
    pub(super) fn sweep(&self) {
        let Some(directory) = &self.directory else { return };
        for name in names_in(directory).unwrap_or_default() {
            let path = directory.join(name);
            let changed = fs::symlink_metadata(&path).and_then(|it| it.modified());
            if changed.ok().and_then(|it| it.elapsed().ok()).is_some_and(|age| age > KEPT) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

fn write(directory: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let temporary = directory.join(format!(".{name}.{}-{:016x}", std::process::id(), fastrand::u64(..)));
    // a session's address lets whoever has it write to the upload
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| fs::rename(&temporary, directory.join(name)));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Reads a note that is young enough and for this very upload.
fn read(path: &Path, entry: &Entry<'_>) -> Option<Url> {
    let file = fs::File::open(path).ok()?;
    let modified = file.metadata().ok()?.modified().ok()?;
    if SystemTime::now().duration_since(modified).is_ok_and(|age| age > KEPT) {
        return None;
    }
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).ok()?;
    let value: Value = serde_json::from_str(&text).ok()?;
    let is = |name: &str, expected: &str| value.get(name).and_then(Value::as_str) == Some(expected);
    let same =
        is("registry", entry.registry) && is("repository", entry.repository) && is("digest", &entry.digest.to_string());
    if same { Url::parse(value.get("url")?.as_str()?) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_note_is_taken_once_and_only_for_its_upload() {
        let state = tempfile::tempdir().unwrap();
        let journal = Journal::below(Some(state.path()));
        let (digest, other) = (Digest::of(b"a"), Digest::of(b"b"));
        let entry = Entry { registry: "r:5000", repository: "app", digest: &digest };
        let url = Url::parse("http://r:5000/v2/app/blobs/uploads/1?_state=x").unwrap();
        journal.note(&entry, &url);
        let file = fs::read_dir(state.path().join("uploads")).unwrap().next().unwrap().unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(journal.take(&Entry { registry: "r:5000", repository: "app", digest: &other }), None);
        assert_eq!(journal.take(&entry), Some(url.clone()));
        assert_eq!(journal.take(&entry), None);
        journal.note(&entry, &url);
        journal.forget(&entry);
        assert_eq!(journal.take(&entry), None);
        assert_eq!(fs::read_dir(state.path().join("uploads")).unwrap().count(), 0);
    }

    #[test]
    fn what_cannot_be_read_or_is_old_is_no_note() {
        let state = tempfile::tempdir().unwrap();
        let journal = Journal::below(Some(state.path()));
        let digest = Digest::of(b"a");
        let entry = Entry { registry: "r", repository: "app", digest: &digest };
        let url = Url::parse("http://r/1").unwrap();
        let path = state.path().join("uploads").join(entry.file_name());
        for text in ["", "{", "[]", r#"{"registry":"r","repository":"app","digest":"sha256:00","url":"http://r/1"}"#] {
            journal.note(&entry, &url);
            fs::write(&path, text).unwrap();
            assert_eq!(journal.take(&entry), None, "{text}");
        }
        journal.note(&entry, &url);
        let old = SystemTime::now() - KEPT - Duration::from_secs(60);
        fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        assert_eq!(journal.take(&entry), None);
        journal.note(&entry, &url);
        fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        journal.sweep();
        assert!(!path.exists());
        Journal::below(None).note(&entry, &url);
        assert_eq!(Journal::below(None).take(&entry), None);
    }
}
