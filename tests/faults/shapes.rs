//! What commands make besides layouts and archives: files, directories, archives in parts and passwords, looked at by hand.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::place::{self, Held, look, sha256};

/// What it is that a command makes or changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A layout or an archive.
    Place,
    /// A file or a directory that is there to its last byte, or not at all.
    Whole,
    /// An archive in parts: the path is that of the whole.
    Parts,
    /// Passwords for registries.
    Passwords,
}

impl Shape {
    /// Returns what is there, in a form that two of can be compared; none when there is nothing to be used.
    ///
    /// # Errors
    /// When something is there that looks whole and is not.
    pub(crate) fn look(self, path: &Path) -> Result<Held, String> {
        match self {
            Self::Place => look(path),
            Self::Whole => Ok(whole(path)),
            Self::Parts => parts(path),
            Self::Passwords => passwords(path),
        }
    }

    /// Returns the end of the path that a place gets in the one step that shows.
    pub(crate) fn shows_at(self, target: &str) -> String {
        match self {
            Self::Place if !target.ends_with(".tar") => "\"index.json\"".to_owned(),
            Self::Parts => format!("{target}.sha256\""),
            _ => format!("{target}\""),
        }
    }
}

fn whole(path: &Path) -> Held {
    let metadata = fs::symlink_metadata(path).ok()?;
    let beside = place::tree(path.parent().unwrap());
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let below = format!("{name}/");
    let is_of_it = |other: &String| *other == name || (metadata.is_dir() && other.starts_with(&below));
    Some(beside.into_iter().filter(|(name, _)| is_of_it(name)).map(|(name, what)| format!("{name} {what}")).collect())
}

/// Returns the content that a receipt lists.
pub(crate) fn listed(path: &Path) -> Result<BTreeSet<String>, String> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let receipt: Value = serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    let blobs = receipt["contents"].as_array().ok_or("a receipt without contents")?;
    Ok(blobs.iter().map(Value::to_string).collect())
}

fn with(path: &Path, behind: &str) -> PathBuf {
    PathBuf::from(format!("{}{behind}", path.display()))
}

/// Reads a set. A part under a note is what the note says, also in a set that is not finished; a set with sums has all its parts,
/// and they are archives: each of them, or all together.
fn parts(path: &Path) -> Result<Held, String> {
    let (directory, archive) = (path.parent().unwrap(), path.file_name().unwrap().to_string_lossy());
    let notes = format!("{archive}.part-");
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(&notes) {
            continue;
        }
        let told = |error: &dyn std::fmt::Display| format!("{name}: {error}");
        let note: Value = serde_json::from_slice(&fs::read(entry.path()).unwrap()).map_err(|error| told(&error))?;
        let part = note["part"].as_u64().ok_or_else(|| told(&"no number"))?;
        let stem = archive.strip_suffix(".tar").unwrap();
        let names = [format!("{archive}.{part:03}"), format!("{stem}.{part:03}.tar")];
        for part in names.iter().filter_map(|name| fs::read(directory.join(name)).ok()) {
            let digest = format!("sha256:{}", sha256(&part));
            if note["digest"] != digest.as_str() {
                return Err(told(&format!("the part is {digest}: {note}")));
            }
        }
    }
    let Ok(sums) = fs::read_to_string(with(path, ".sha256")) else { return Ok(None) };
    let mut held = BTreeSet::new();
    let mut joined = Vec::new();
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").ok_or_else(|| format!("{line:?} is no sum"))?;
        let bytes = fs::read(directory.join(name)).map_err(|error| format!("{name}: {error}"))?;
        if sha256(&bytes) != sum {
            return Err(format!("{name} is not what the sums say"));
        }
        if name.ends_with(".tar") {
            place::files_in_archive(&bytes).map_err(|error| format!("{name}: {error}"))?;
        } else {
            joined.extend(bytes);
        }
        held.insert(line.to_owned());
    }
    if !joined.is_empty() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("joined.tar"), joined).unwrap();
        look(&temp.path().join("joined.tar"))?;
    }
    Ok(Some(held))
}

fn passwords(path: &Path) -> Result<Held, String> {
    let Ok(bytes) = fs::read(path) else { return Ok(None) };
    let document: Value = serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    let members = document.as_object().ok_or("it is no object")?;
    let entries = members.get("auths").and_then(Value::as_object).into_iter().flatten();
    let entries = entries.map(|(host, entry)| format!("{host} {entry}"));
    let others = members.iter().filter(|(name, _)| *name != "auths").map(|(name, value)| format!("{name}: {value}"));
    let held: BTreeSet<_> = entries.chain(others).collect();
    // a file that says nothing is as good as none
    Ok((!held.is_empty()).then_some(held))
}
