//! Images made by code, with right digests, unless a test spoils them: then written as a layout or as an archive.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use barge::digest::Digest;
use serde_json::{Value, json};

use super::tar::Tar;

pub const INDEX: &str = barge::media::OCI_INDEX;
pub const MANIFEST: &str = barge::media::OCI_MANIFEST;
pub const CONFIG: &str = barge::media::OCI_CONFIG;
pub const LAYER: &str = barge::media::OCI_LAYER;
pub const GZIP: &str = barge::media::OCI_LAYER_GZIP;
pub const ZSTD: &str = barge::media::OCI_LAYER_ZSTD;
pub const FULL_NAME: &str = barge::content::CONTAINERD_NAME;
pub const REF_NAME: &str = barge::content::REF_NAME;

/// A layer, and what it is unpacked.
#[derive(Clone)]
pub struct Layer {
    pub media_type: &'static str,
    pub bytes: Vec<u8>,
    pub diff_id: String,
}

impl Layer {
    pub fn plain(content: &[u8]) -> Self {
        Self { media_type: LAYER, bytes: content.to_vec(), diff_id: Digest::of(content).to_string() }
    }

    pub fn gzip(content: &[u8]) -> Self {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        Self { media_type: GZIP, bytes: encoder.finish().unwrap(), ..Self::plain(content) }
    }

    pub fn zstd(content: &[u8]) -> Self {
        Self { media_type: ZSTD, bytes: zstd::encode_all(content, 3).unwrap(), ..Self::plain(content) }
    }
}

/// What a layout or an archive holds. Its parts are open: a test may spoil any of them before it is written.
#[derive(Clone, Default)]
pub struct Images {
    /// By digest.
    pub blobs: BTreeMap<String, Vec<u8>>,
    /// The descriptors in `index.json`.
    pub roots: Vec<Value>,
    /// The bytes of `index.json`, when they are not to be made from the roots.
    pub index_json: Option<Vec<u8>>,
}

impl Images {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a blob and returns a descriptor of it.
    pub fn put(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes).to_string();
        self.blobs.insert(digest.clone(), bytes.to_vec());
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// Adds a document.
    pub fn document(&mut self, media_type: &str, document: &Value) -> Value {
        self.put(media_type, document.to_string().as_bytes())
    }

    /// Adds an image with its config and layers. Its descriptor says no platform.
    pub fn image(&mut self, platform: &str, layers: &[Layer]) -> Value {
        let config = config(platform, layers);
        self.image_with(&config, layers)
    }

    pub fn image_with(&mut self, config: &Value, layers: &[Layer]) -> Value {
        let config = self.document(CONFIG, config);
        let layers: Vec<Value> = layers.iter().map(|layer| self.put(layer.media_type, &layer.bytes)).collect();
        self.document(MANIFEST, &manifest(&config, &layers))
    }

    pub fn index(&mut self, manifests: &[Value]) -> Value {
        self.document(INDEX, &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}))
    }

    /// Adds a descriptor to `index.json`.
    pub fn root(&mut self, descriptor: Value) -> &mut Self {
        self.roots.push(descriptor);
        self
    }

    pub fn index_json(&self) -> Vec<u8> {
        let made = || json!({"schemaVersion": 2, "manifests": self.roots}).to_string().into_bytes();
        self.index_json.clone().unwrap_or_else(made)
    }

    pub fn layout(&self, path: &Path) {
        fs::create_dir_all(path.join("blobs/sha256")).unwrap();
        fs::write(path.join("oci-layout"), barge::store::OCI_LAYOUT).unwrap();
        fs::write(path.join("index.json"), self.index_json()).unwrap();
        for (digest, bytes) in &self.blobs {
            fs::write(path.join("blobs").join(digest.replace(':', "/")), bytes).unwrap();
        }
    }

    pub fn archive(&self, path: &Path) {
        let mut tar = Tar::new().file("oci-layout", barge::store::OCI_LAYOUT).file("index.json", &self.index_json());
        for (digest, bytes) in &self.blobs {
            tar = tar.file(&format!("blobs/{}", digest.replace(':', "/")), bytes);
        }
        fs::write(path, tar.finished()).unwrap();
    }

    /// Writes a layout or an archive, by the suffix.
    pub fn write(&self, path: &Path) {
        if path.extension().is_some_and(|suffix| suffix == "tar") { self.archive(path) } else { self.layout(path) }
    }
}

/// Returns a config for a platform, `os/architecture[/variant]`.
pub fn config(on: &str, layers: &[Layer]) -> Value {
    let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
    let mut config = platform(on);
    config["rootfs"] = json!({"type": "layers", "diff_ids": diff_ids});
    config
}

pub fn manifest(config: &Value, layers: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers})
}

pub fn platform(text: &str) -> Value {
    let mut parts = text.split('/');
    let mut platform = json!({"os": parts.next().unwrap(), "architecture": parts.next().unwrap()});
    if let Some(variant) = parts.next() {
        platform["variant"] = json!(variant);
    }
    platform
}

/// Returns a descriptor that says a platform.
pub fn on(mut descriptor: Value, text: &str) -> Value {
    descriptor["platform"] = platform(text);
    descriptor
}

pub fn annotated(mut descriptor: Value, name: &str, value: &str) -> Value {
    descriptor["annotations"][name] = json!(value);
    descriptor
}

/// Returns a descriptor under a name, as umoci and skopeo write it.
pub fn named(descriptor: Value, name: &str) -> Value {
    annotated(descriptor, REF_NAME, name)
}

pub fn digest(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().unwrap()
}

/// Returns a place with one image for each platform, `app:PLATFORM` in the text of its layer.
pub fn simple(platforms: &[&str]) -> Images {
    let mut images = Images::new();
    for platform in platforms {
        let layer = Layer::gzip(format!("app for {platform}").repeat(100).as_bytes());
        let image = images.image(platform, &[layer]);
        images.root(image);
    }
    images
}

/// Bytes that no two calls share, and that nothing makes smaller.
pub fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..length).map(step).collect()
}

/// Writes a layout with layers of these sizes. They are holes: no disk is needed, and they are quick to read.
pub fn sparse(path: &Path, on: &str, sizes: &[u64]) {
    let mut images = Images::new();
    let mut layers = Vec::new();
    let mut diff_ids = Vec::new();
    fs::create_dir_all(path.join("blobs/sha256")).unwrap();
    for size in sizes {
        let digest = digest_of_zeros(*size);
        let file = fs::File::create(path.join(digest.blob_path())).unwrap();
        file.set_len(*size).unwrap();
        layers.push(json!({"mediaType": LAYER, "digest": digest.to_string(), "size": size}));
        diff_ids.push(digest.to_string());
    }
    let mut config = platform(on);
    config["rootfs"] = json!({"type": "layers", "diff_ids": diff_ids});
    let config = images.document(CONFIG, &config);
    let image = images.document(MANIFEST, &manifest(&config, &layers));
    images.root(image);
    images.layout(path);
}

fn digest_of_zeros(size: u64) -> Digest {
    let mut hasher = barge::digest::Algorithm::Sha256.hasher();
    let zeros = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        let count = left.min(zeros.len() as u64);
        hasher.update(&zeros[..usize::try_from(count).unwrap()]);
        left -= count;
    }
    hasher.finish()
}
