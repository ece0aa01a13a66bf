//! The API over real layouts and archives, without a connection.

mod join;
mod names;
mod places;
mod pull;
mod referrers;
mod tags;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hyper::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use super::answer::{Answer, Body, Request, Respond as _};
use super::api::Api;
use super::event::{Event, Observer};
use super::{ServeOptions, open};
use crate::blob::Cancel;
use crate::content::{CONTAINERD_NAME, REF_NAME};
use crate::digest::Digest;
use crate::media::{OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
use crate::ops::Error;
use crate::ops::open::Context;
use crate::ops::parts::SplitArchives;
use crate::store::layout::KnownIndexes;
use crate::store::registry::Registries;
use crate::transfer::Deaf;

/// A layout that is being made.
struct Maker {
    path: PathBuf,
    roots: Vec<Value>,
}

impl Maker {
    fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        fs::create_dir_all(path.join("blobs/sha256")).unwrap();
        fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self { path, roots: Vec::new() }
    }

    /// Puts a blob into it and returns its descriptor.
    fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        fs::write(self.path.join(digest.blob_path()), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
    }

    fn document(&self, value: &Value) -> Value {
        self.blob(value["mediaType"].as_str().unwrap(), value.to_string().as_bytes())
    }

    /// Makes an image of one layer.
    fn image(&self, architecture: &str, layer: &[u8]) -> Value {
        let config = json!({"os": "linux", "architecture": architecture,
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(layer).to_string()]}});
        let config = self.blob(OCI_CONFIG, config.to_string().as_bytes());
        let layer = self.blob(OCI_LAYER, layer);
        let mut made =
            self.document(&json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]}));
        made["platform"] = json!({"os": "linux", "architecture": architecture});
        made
    }

    fn index(&self, children: &[Value]) -> Value {
        self.document(&json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}))
    }

    /// Makes something that refers to a subject.
    fn referrer(&self, subject: &Value, kind: &str) -> Value {
        let config = self.blob("application/vnd.oci.empty.v1+json", b"{}");
        let layer = self.blob("text/plain", kind.as_bytes());
        let subject = json!({"mediaType": subject["mediaType"], "digest": subject["digest"], "size": subject["size"]});
        self.document(&json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": kind, "config": config,
            "layers": [layer], "subject": subject, "annotations": {"kind": kind}}))
    }

    /// Gives something a name in `index.json`: what it is called in full, and the layout's own name; empty is none.
    fn name(&mut self, descriptor: &Value, full: &str, own: &str) {
        let mut root = descriptor.clone();
        for (key, value) in [(CONTAINERD_NAME, full), (REF_NAME, own)] {
            if !value.is_empty() {
                root["annotations"][key] = json!(value);
            }
        }
        self.roots.push(root);
    }

    /// Writes `index.json` as it is to be now.
    fn write(&self) -> &Path {
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": self.roots});
        let temporary = self.path.join("index.json.new");
        fs::write(&temporary, index.to_string()).unwrap();
        fs::rename(temporary, self.path.join("index.json")).unwrap();
        &self.path
    }

    /// Writes it as an archive.
    fn archive(&self, to: &Path) {
        self.write();
        let mut archive = tar::Builder::new(fs::File::create(to).unwrap());
        archive.append_dir_all(".", &self.path).unwrap();
        archive.finish().unwrap();
    }
}

/// Remembers what was told.
#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Observer for Log {
    fn hear(&self, event: Event<'_>) {
        if let Event::Warning(text) | Event::Told(text) = event {
            self.0.lock().unwrap().push(text.to_owned());
        }
    }
}

/// A registry that is asked without a connection.
struct Served {
    api: Api,
    log: Arc<Log>,
}

/// What was answered, with its whole body.
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

fn options() -> ServeOptions {
    ServeOptions {
        listen: ([127, 0, 0, 1], 0).into(),
        join: false,
        read_verify: None,
        tls: None,
        htpasswd: None,
        connections: 16,
        grace: std::time::Duration::ZERO,
    }
}

fn try_serve(places: &[&Path], options: &ServeOptions) -> Result<Served, Error> {
    let words: Vec<String> = places.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let (cancel, split) = (Cancel::default(), SplitArchives::default());
    let registries = Registries::forbidden("this is a test", None, &cancel);
    let context = Context {
        layout: None,
        bases: &[],
        tmpdir: None,
        part_dirs: &[],
        split: &split,
        indexes: &KnownIndexes::default(),
        cancel: &cancel,
        observer: &Deaf,
        registries: &registries,
    };
    let log = Arc::new(Log::default());
    let observer: Arc<dyn Observer> = Arc::clone(&log) as _;
    Ok(Served { api: open(&words, options, &context, &observer)?, log })
}

fn serve(places: &[&Path]) -> Served {
    try_serve(places, &options()).unwrap()
}

fn serve_joined(places: &[&Path]) -> Served {
    try_serve(places, &ServeOptions { join: true, ..options() }).unwrap()
}

impl Served {
    fn ask(&self, method: &Method, target: &str, fields: &[(&'static str, &str)]) -> Got {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        let Answer { status, headers, body } = self.api.respond(&Request { method, path, query, headers: &headers });
        let body = match body {
            Body::Empty => Vec::new(),
            Body::Bytes(bytes) => bytes.to_vec(),
            Body::Blob(..) if *method == Method::HEAD => Vec::new(),
            Body::Blob(blob, range) => {
                let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap()];
                assert_eq!(blob.read_at_unverified(&mut bytes, range.start).unwrap(), bytes.len());
                bytes
            }
        };
        if *method != Method::HEAD && status != StatusCode::NOT_MODIFIED {
            assert_eq!(headers["content-length"], body.len().to_string(), "{target}");
        }
        Got { status, headers, body }
    }

    fn get(&self, target: &str) -> Got {
        self.ask(&Method::GET, target, &[])
    }

    /// Returns the digest that a tag has, or the code of the error.
    fn tag(&self, name: &str, tag: &str) -> String {
        self.get(&format!("/v2/{name}/manifests/{tag}")).digest_or_code()
    }

    fn told(&self) -> String {
        self.log.0.lock().unwrap().join("\n")
    }
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap().to_owned()
    }

    fn digest_or_code(&self) -> String {
        if self.status == StatusCode::OK { self.header("docker-content-digest") } else { self.code() }
    }

    fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }
}

/// Returns the digest of a descriptor.
fn digest(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().unwrap()
}
