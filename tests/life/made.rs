//! Images made by code.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use barge::content::{CONTAINERD_NAME, CONTAINERD_SUBJECT, REF_NAME, REFERENCE_DIGEST, REFERENCE_TYPE};
use barge::digest::Digest;
use barge::media::{OCI_CONFIG, OCI_EMPTY, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
use serde_json::{Value, json};

use super::tar::Tar;

/// What a place holds.
#[derive(Clone, Default)]
pub(crate) struct Made {
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    pub(crate) roots: Vec<Value>,
}

impl Made {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn put(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes).to_string();
        self.blobs.insert(digest.clone(), bytes.to_vec());
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    pub(crate) fn document(&mut self, media_type: &str, document: &Value) -> Value {
        self.put(media_type, document.to_string().as_bytes())
    }

    /// Adds an image for one platform, with layers of these texts; its descriptor says no platform.
    pub(crate) fn image(&mut self, on: &str, layers: &[&str]) -> Value {
        let mut config = platform(on);
        let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer.as_bytes()).to_string()).collect();
        config["rootfs"] = json!({"type": "layers", "diff_ids": diff_ids});
        let config = self.document(OCI_CONFIG, &config);
        let layers: Vec<_> = layers.iter().map(|layer| self.put(OCI_LAYER, layer.as_bytes())).collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers});
        self.document(OCI_MANIFEST, &manifest)
    }

    pub(crate) fn index(&mut self, manifests: &[Value]) -> Value {
        self.document(OCI_INDEX, &json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}))
    }

    /// Adds an index over images for these platforms, each with a layer of its own, a shared one, and an attestation.
    pub(crate) fn app(&mut self, text: &str, platforms: &[&str]) -> Value {
        let mut entries = Vec::new();
        let mut attestations = Vec::new();
        for on in platforms {
            let image = self.image(on, &["the shared layer", &format!("{text} for {on}")]);
            attestations.push(self.attestation(&image));
            entries.push(on_platform(image, on));
        }
        entries.extend(attestations);
        self.index(&entries)
    }

    /// Adds what BuildKit says of an image, for an index.
    pub(crate) fn attestation(&mut self, image: &Value) -> Value {
        let statement = self.put("application/vnd.in-toto+json", format!("{{\"of\":{}}}", image["digest"]).as_bytes());
        let config = self.put(OCI_CONFIG, format!("{{\"about\":{}}}", image["digest"]).as_bytes());
        let document = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [statement]});
        let mut descriptor = on_platform(self.document(OCI_MANIFEST, &document), "unknown/unknown");
        descriptor["annotations"] = json!({REFERENCE_TYPE: "attestation-manifest", REFERENCE_DIGEST: image["digest"]});
        descriptor
    }

    /// Adds an artifact; with a subject it is a referrer.
    pub(crate) fn artifact(&mut self, text: &str, subject: Option<&Value>) -> Value {
        self.typed(text, "test/signature", subject)
    }

    /// Adds an artifact of a type.
    pub(crate) fn typed(&mut self, text: &str, artifact_type: &str, subject: Option<&Value>) -> Value {
        let config = self.put(OCI_EMPTY, b"{}");
        let layer = self.put("text/plain", text.as_bytes());
        let mut document = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": artifact_type,
            "config": config, "layers": [layer]});
        if let Some(subject) = subject {
            document["subject"] = bare(subject);
        }
        self.document(OCI_MANIFEST, &document)
    }

    pub(crate) fn root(&mut self, descriptor: Value) -> &mut Self {
        self.roots.push(descriptor);
        self
    }

    pub(crate) fn index_json(&self) -> Vec<u8> {
        json!({"schemaVersion": 2, "manifests": self.roots}).to_string().into_bytes()
    }

    pub(crate) fn layout(&self, path: &Path) {
        fs::create_dir_all(path.join("blobs/sha256")).unwrap();
        fs::write(path.join("oci-layout"), barge::store::OCI_LAYOUT).unwrap();
        fs::write(path.join("index.json"), self.index_json()).unwrap();
        for (digest, bytes) in &self.blobs {
            fs::write(path.join("blobs").join(digest.replace(':', "/")), bytes).unwrap();
        }
    }

    pub(crate) fn tar(&self) -> Tar {
        let mut tar = Tar::new().file("oci-layout", barge::store::OCI_LAYOUT).file("index.json", &self.index_json());
        for (digest, bytes) in &self.blobs {
            tar = tar.file(&format!("blobs/{}", digest.replace(':', "/")), bytes);
        }
        tar
    }

    pub(crate) fn archive(&self, path: &Path) {
        fs::write(path, self.tar().finished()).unwrap();
    }
}

pub(crate) fn platform(text: &str) -> Value {
    let mut parts = text.split('/');
    let mut platform = json!({"os": parts.next().unwrap(), "architecture": parts.next().unwrap()});
    if let Some(variant) = parts.next() {
        platform["variant"] = json!(variant);
    }
    platform
}

pub(crate) fn on_platform(mut descriptor: Value, text: &str) -> Value {
    descriptor["platform"] = platform(text);
    descriptor
}

pub(crate) fn annotated(mut descriptor: Value, name: &str, value: &str) -> Value {
    descriptor["annotations"][name] = json!(value);
    descriptor
}

/// Gives a full name and its tag, as containerd and barge write them.
pub(crate) fn full(descriptor: &Value, name: &str) -> Value {
    let tag = name.rsplit_once(':').unwrap().1;
    annotated(annotated(descriptor.clone(), CONTAINERD_NAME, name), REF_NAME, tag)
}

/// Gives a tag alone, as skopeo and umoci write it.
pub(crate) fn tagged(descriptor: &Value, name: &str) -> Value {
    annotated(descriptor.clone(), REF_NAME, name)
}

/// Says whom a descriptor belongs to, as containerd exports referrers.
pub(crate) fn belonging(descriptor: Value, subject: &Value) -> Value {
    annotated(descriptor, CONTAINERD_SUBJECT, digest(subject))
}

/// Returns `sha256-HEX` of a descriptor.
pub(crate) fn dashed(descriptor: &Value) -> String {
    digest(descriptor).replace(':', "-")
}

pub(crate) fn bare(descriptor: &Value) -> Value {
    json!({"mediaType": descriptor["mediaType"], "digest": descriptor["digest"], "size": descriptor["size"]})
}

pub(crate) fn digest(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().unwrap()
}

/// A place with two images that share a layer: `docker.io/library/app:v1` for three platforms, and `docker.io/library/db:v3`.
pub(crate) fn two_images() -> Made {
    let mut made = Made::new();
    let app = made.app("app", &["linux/amd64", "linux/arm64", "linux/s390x"]);
    let db = made.app("db", &["linux/amd64"]);
    made.root(full(&app, "docker.io/library/app:v1")).root(full(&db, "docker.io/library/db:v3"));
    made
}
