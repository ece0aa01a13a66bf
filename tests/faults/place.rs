//! What is in a place, read by hand: no code of barge's is used here, so that nothing it gets wrong is wrong twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The descriptors in `index.json`; none when there is no layout to be used, or no archive.
pub(crate) type Held = Option<BTreeSet<String>>;

/// Every path below a directory, with its kind, mode and content.
pub(crate) type Tree = BTreeMap<String, String>;

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a layout or an archive, and checks all that can be checked: documents parse, blobs are what their names say, and
/// everything that is named is there to its last layer.
pub(crate) fn look(path: &Path) -> Result<Held, String> {
    let is_there = fs::symlink_metadata(path).is_ok();
    let files = match is_there {
        false => return Ok(None),
        true if path.is_dir() => files_of_layout(path)?,
        true => files_of_archive(path)?,
    };
    for (name, bytes) in &files {
        let Some(hex) = name.strip_prefix("blobs/sha256/") else { continue };
        if sha256(bytes) != hex {
            return Err(format!("{}: {name} holds {}", path.display(), sha256(bytes)));
        }
    }
    let document = |name: &str| {
        let parsed = files.get(name).map(|bytes| serde_json::from_slice::<Value>(bytes));
        parsed.transpose().map_err(|error| format!("{}: {name}: {error}", path.display()))
    };
    let oci_layout = document("oci-layout")?;
    let Some(index) = document("index.json")? else {
        // an archive is whole or not there
        return if path.is_dir() { Ok(None) } else { Err(format!("{} has no index.json", path.display())) };
    };
    if oci_layout.is_none_or(|it| it["imageLayoutVersion"] != "1.0.0") {
        return Err(format!("{}: no oci-layout beside index.json", path.display()));
    }
    let manifests = index["manifests"].as_array().ok_or("index.json has no manifests")?;
    for descriptor in manifests {
        whole(descriptor, &files).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    if let Some(Value::Array(images)) = document("manifest.json")? {
        let named = images.iter().flat_map(|image| {
            let layers = image["Layers"].as_array().into_iter().flatten();
            layers.chain([&image["Config"]]).map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        });
        for name in named {
            if !files.contains_key(&name) {
                return Err(format!("{}: manifest.json names {name}, which is not there", path.display()));
            }
        }
    }
    Ok(Some(manifests.iter().map(ToString::to_string).collect()))
}

/// Checks that what a descriptor leads to is there, with the right size. What is right about its content was checked before.
fn whole(root: &Value, files: &BTreeMap<String, Vec<u8>>) -> Result<(), String> {
    let mut to_do = vec![root.clone()];
    let mut seen = BTreeSet::new();
    while let Some(descriptor) = to_do.pop() {
        let digest = descriptor["digest"].as_str().ok_or_else(|| format!("no digest: {descriptor}"))?;
        if !seen.insert(digest.to_owned()) {
            continue;
        }
        let bytes = files.get(&format!("blobs/{}", digest.replace(':', "/")));
        let bytes = bytes.ok_or_else(|| format!("{digest} is named and is not there"))?;
        if descriptor["size"] != bytes.len() {
            return Err(format!("{digest} has {} bytes: {descriptor}", bytes.len()));
        }
        let media_type = descriptor["mediaType"].as_str().unwrap_or_default();
        if media_type.contains(".index.") || media_type.contains(".manifest.") || media_type.contains("manifest.list") {
            let document: Value = serde_json::from_slice(bytes).map_err(|error| format!("{digest}: {error}"))?;
            for list in ["manifests", "layers"] {
                to_do.extend(document[list].as_array().into_iter().flatten().cloned());
            }
            to_do.extend(Some(&document["config"]).filter(|config| config.is_object()).cloned());
        }
    }
    Ok(())
}

fn files_of_layout(path: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut files = BTreeMap::new();
    for name in ["oci-layout", "index.json"] {
        if let Ok(bytes) = fs::read(path.join(name)) {
            files.insert(name.to_owned(), bytes);
        }
    }
    let blobs = path.join("blobs");
    for algorithm in fs::read_dir(&blobs).into_iter().flatten().flatten() {
        for entry in fs::read_dir(algorithm.path()).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // all else is nobody's content: `Tree` has it
            if name.len() >= 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                let bytes = fs::read(entry.path()).map_err(|error| format!("{name}: {error}"))?;
                files.insert(format!("blobs/{}/{name}", algorithm.file_name().to_string_lossy()), bytes);
            }
        }
    }
    Ok(files)
}

/// Reads a tar to its end, which has to be there.
fn files_of_archive(path: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let told = |error: String| format!("{}: {error}", path.display());
    let bytes = fs::read(path).map_err(|error| told(error.to_string()))?;
    files_in_archive(&bytes).map_err(told)
}

/// Reads the bytes of a tar, to the end.
pub(crate) fn files_in_archive(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let told = |error: std::io::Error| error.to_string();
    if bytes.len() < 1024 || bytes[bytes.len() - 1024..].iter().any(|byte| *byte != 0) {
        return Err("it does not end as a tar".to_owned());
    }
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(bytes).entries().map_err(told)? {
        let mut entry = entry.map_err(told)?;
        let name = entry.path().map_err(told)?.to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(told)?;
        if entry.header().entry_type().is_file() && files.insert(name.clone(), content).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    Ok(files)
}

/// Returns everything below a directory.
pub(crate) fn tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut to_do = vec![root.to_owned()];
    while let Some(path) = to_do.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let mode = metadata.permissions().mode() & 0o7777;
        let what = if metadata.is_dir() {
            to_do.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            format!("directory {mode:o}")
        } else if metadata.is_file() {
            format!("file {mode:o} {} {}", metadata.size(), sha256(&fs::read(&path).unwrap_or_default()))
        } else {
            format!("{:?}", metadata.file_type())
        };
        if path != root {
            tree.insert(relative(root, &path), what);
        }
    }
    tree
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap().to_string_lossy().into_owned()
}

/// Returns in what two trees differ, in words.
pub(crate) fn difference(expected: &Tree, found: &Tree) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for (name, what) in expected {
        match found.get(name) {
            None => told.push(format!("- {name}")),
            Some(other) if other != what => told.push(format!("! {name}: {other}, expected {what}")),
            Some(_) => {}
        }
    }
    told.extend(found.keys().filter(|name| !expected.contains_key(*name)).map(|name| format!("+ {name}")));
    told
}

/// Copies a file or a directory, with modes.
pub(crate) fn copy(from: &Path, to: &Path) {
    let mut to_do: Vec<(PathBuf, PathBuf)> = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = to_do.pop() {
        if !from.is_dir() {
            fs::copy(&from, &to).unwrap();
            continue;
        }
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(&from).unwrap() {
            let entry = entry.unwrap();
            to_do.push((entry.path(), to.join(entry.file_name())));
        }
    }
}

#[test]
fn what_is_wrong_in_a_place_is_seen() {
    let temp = tempfile::tempdir().unwrap();
    let images = crate::support::image::simple(&["linux/amd64", "linux/arm64"]);
    for name in ["layout", "archive.tar"] {
        let path = temp.path().join(name);
        images.write(&path);
        assert_eq!(look(&path).unwrap().unwrap().len(), 2);
        assert_eq!(look(&temp.path().join("nothing")).unwrap(), None);
        for digest in images.blobs.keys() {
            let mut spoilt = images.clone();
            spoilt.blobs.get_mut(digest).unwrap()[0] ^= 1;
            let _ = fs::remove_dir_all(&path);
            spoilt.write(&path);
            assert!(look(&path).unwrap_err().contains("holds"), "{digest}");
            let mut spoilt = images.clone();
            spoilt.blobs.remove(digest);
            let _ = fs::remove_dir_all(&path);
            spoilt.write(&path);
            assert!(look(&path).unwrap_err().contains("is not there"), "{digest}");
        }
        let mut spoilt = images.clone();
        spoilt.index_json = Some(Vec::new());
        let _ = fs::remove_dir_all(&path);
        spoilt.write(&path);
        assert!(look(&path).unwrap_err().contains("index.json"));
    }
    let archive = fs::read(temp.path().join("archive.tar")).unwrap();
    fs::write(temp.path().join("cut.tar"), &archive[..archive.len() / 2]).unwrap();
    look(&temp.path().join("cut.tar")).unwrap_err();
}
