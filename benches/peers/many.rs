//! A layout of many small images: 60 names, each an index of five platforms, layers that some of them share. 965 blobs, 18 MB.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const NAMES: usize = 60;
const PLATFORMS: [&str; 5] = ["amd64", "arm64", "arm", "386", "s390x"];
/// How many layers only one platform has; with these there are 965 blobs in all.
const SHARED: usize = 5;

/// Makes it, unless it is there.
pub(crate) fn make(place: &Path) -> io::Result<()> {
    if place.join("index.json").exists() {
        return Ok(());
    }
    fs::create_dir_all(place.join("blobs/sha256"))?;
    let put = |bytes: &[u8], media_type: &str| -> io::Result<Value> {
        let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(place.join("blobs/sha256").join(&hex), bytes)?;
        let media_type = format!("application/vnd.oci.image.{media_type}");
        Ok(json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len()}))
    };
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let shared = (0..SHARED).map(|_| put(&noise.bytes(40 * 1024), "layer.v1.tar")).collect::<io::Result<Vec<_>>>()?;
    let mut names = Vec::new();
    for name in 0..NAMES {
        let mut manifests = Vec::new();
        for (number, architecture) in PLATFORMS.iter().enumerate() {
            let layers = [shared[number].clone(), put(&noise.bytes(58 * 1024), "layer.v1.tar")?];
            let ids: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
            let config = json!({"os": "linux", "architecture": architecture, "created": format!("2024-01-01T00:00:{name:02}Z"),
                "rootfs": {"type": "layers", "diff_ids": ids}});
            let config = put(config.to_string().as_bytes(), "config.v1+json")?;
            let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": config, "layers": layers});
            let mut manifest = put(manifest.to_string().as_bytes(), "manifest.v1+json")?;
            manifest["platform"] = json!({"os": "linux", "architecture": architecture});
            manifests.push(manifest);
        }
        let index =
            json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests});
        let mut index = put(index.to_string().as_bytes(), "index.v1+json")?;
        index["annotations"] = json!({"org.opencontainers.image.ref.name": format!("n{name}")});
        names.push(index);
    }
    fs::write(place.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    fs::write(place.join("index.json"), json!({"schemaVersion": 2, "manifests": names}).to_string())
}

/// Bytes that do not compress, the same every time.
struct Noise(u64);

impl Noise {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            bytes.extend_from_slice(&self.0.to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}
