//! Looks at what was built: the documents, and what the layers hold.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// One image of a layout, by its platform.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) manifest: Value,
    pub(crate) config: Value,
    layout: PathBuf,
}

fn blob(layout: &Path, digest: &Value) -> Vec<u8> {
    let (algorithm, hex) = digest.as_str().unwrap().split_once(':').unwrap();
    fs::read(layout.join("blobs").join(algorithm).join(hex)).unwrap()
}

fn document(layout: &Path, digest: &Value) -> Value {
    serde_json::from_slice(&blob(layout, digest)).unwrap()
}

impl Image {
    /// Reads the one image of a layout, or that for a platform.
    pub(crate) fn of(layout: &Path, platform: Option<&str>) -> Self {
        let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
        let mut manifest = document(layout, &index["manifests"][0]["digest"]);
        if let Some(entries) = manifest.get("manifests").and_then(Value::as_array).cloned() {
            let is_it = |entry: &&Value| {
                let told = &entry["platform"];
                let words =
                    [&told["os"], &told["architecture"], &told["variant"]].into_iter().filter_map(Value::as_str);
                Some(words.collect::<Vec<_>>().join("/").as_str()) == platform
            };
            let entry = entries.iter().find(is_it).unwrap_or_else(|| panic!("no {platform:?} in {entries:?}"));
            manifest = document(layout, &entry["digest"]);
        }
        let config = document(layout, &manifest["config"]["digest"]);
        Self { manifest, config, layout: layout.to_owned() }
    }

    /// Returns what a layer holds, an entry a line: `0644 0:0 name` and for a link where it leads; names end in a slash for
    /// directories. Contents of small files follow.
    pub(crate) fn layer(&self, at: usize) -> Vec<String> {
        let descriptor = &self.manifest["layers"][at];
        let raw = blob(&self.layout, &descriptor["digest"]);
        let mut bytes = Vec::new();
        let media_type = descriptor["mediaType"].as_str().unwrap();
        if media_type.ends_with("+gzip") {
            flate2::read::MultiGzDecoder::new(raw.as_slice()).read_to_end(&mut bytes).unwrap();
        } else if media_type.ends_with("+zstd") {
            bytes = zstd::decode_all(raw.as_slice()).unwrap();
        } else {
            bytes = raw;
        }
        let mut lines = Vec::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let header = entry.header().clone();
            let name = entry.path().unwrap().to_string_lossy().into_owned();
            let (mode, uid, gid) = (header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap());
            let mut line = format!("{mode:04o} {uid}:{gid} {name}");
            if let Some(link) = entry.link_name().unwrap() {
                line.push_str(&format!(" -> {}", link.display()));
            }
            if header.entry_type().is_file() && header.size().unwrap() < 100 {
                let mut content = String::new();
                entry.read_to_string(&mut content).unwrap();
                line.push_str(&format!(" {content:?}"));
            }
            lines.push(line);
        }
        lines
    }

    /// Returns what all layers hold, one after the other.
    pub(crate) fn layers(&self) -> Vec<Vec<String>> {
        (0..self.manifest["layers"].as_array().unwrap().len()).map(|at| self.layer(at)).collect()
    }

    /// Returns the history: what was done, and whether a layer belongs to it.
    pub(crate) fn history(&self) -> Vec<(&str, bool)> {
        let lines = self.config["history"].as_array().map(Vec::as_slice).unwrap_or_default();
        let line = |line: &'_ Value| line["empty_layer"] != true;
        lines.iter().map(|it| (it["created_by"].as_str().unwrap_or("-"), line(it))).collect()
    }
}
