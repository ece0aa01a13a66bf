//! An image and all that may belong to it: artifacts, artifacts of those, an index, and what cosign adds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::image::{INDEX, Images, Layer, MANIFEST, annotated, digest, named, on};

pub const SBOM: &str = "application/spdx+json";
pub const SIGNATURE: &str = "application/vnd.example.signature";
pub const SUBJECT: &str = barge::content::CONTAINERD_SUBJECT;

/// Adds an artifact that belongs to something, as it stands at the top of a layout.
pub fn artifact(images: &mut Images, subject: &Value, artifact_type: &str, text: &str) -> Value {
    let bare = json!({"mediaType": subject["mediaType"], "digest": subject["digest"], "size": subject["size"]});
    let config = images.put(barge::media::OCI_EMPTY, b"{}");
    let blob = images.put(artifact_type, text.as_bytes());
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": artifact_type, "config": config,
        "layers": [blob], "subject": bare, "annotations": {"about": text}});
    let mut root = images.document(MANIFEST, &manifest);
    root["artifactType"] = json!(artifact_type);
    annotated(root, SUBJECT, digest(subject))
}

/// An image for some platforms with an SBOM, a signature of that, an SBOM of a platform, an index that belongs to the image,
/// and what cosign adds.
pub struct Signed {
    pub images: Images,
    pub image: Value,
    pub platforms: Vec<Value>,
    /// The descriptors of what belongs to it, in the order of the layout.
    pub belonging: Vec<Value>,
}

pub fn signed(platforms: &[&str]) -> Signed {
    let mut images = Images::new();
    let of = |images: &mut Images, platform: &&str| {
        let layer = Layer::plain(format!("app for {platform}").as_bytes());
        on(images.image(platform, &[layer]), platform)
    };
    let platforms: Vec<Value> = platforms.iter().map(|platform| of(&mut images, platform)).collect();
    let image = images.index(&platforms);
    let sbom = artifact(&mut images, &image, SBOM, "of the image");
    let of_it = artifact(&mut images, &sbom, SIGNATURE, "of the SBOM");
    let of_platform = artifact(&mut images, &platforms[0], SBOM, "of a platform");
    let payload = Layer::plain(b"payload");
    let inner = images.image("linux/amd64", std::slice::from_ref(&payload));
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [inner], "artifactType": "example/list",
        "subject": {"mediaType": INDEX, "digest": image["digest"], "size": image["size"]}});
    let mut list = images.document(INDEX, &index);
    list["artifactType"] = json!("example/list");
    let list = annotated(list, SUBJECT, digest(&image));
    let tag = digest(&image).replace(':', "-");
    let signature = images.image("linux/amd64", &[Layer::plain(b"{\"critical\":{}}")]);
    let signature = named(signature, &format!("{tag}.sig"));
    let belonging = vec![sbom, of_it, of_platform, list, signature];
    images.root(named(image.clone(), "v1"));
    images.roots.extend(belonging.clone());
    Signed { images, image, platforms, belonging }
}

/// Returns the descriptors at the top of a layout but for images with names, sorted by digest.
pub fn belongs(layout: &Path) -> Vec<Value> {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let is_image = |root: &Value| {
        let annotations = &root["annotations"];
        annotations[SUBJECT].is_null()
            && !annotations["org.opencontainers.image.ref.name"].as_str().unwrap_or("").starts_with("sha256-")
    };
    let mut roots: Vec<Value> =
        index["manifests"].as_array().unwrap().iter().filter(|it| !is_image(it)).cloned().collect();
    roots.sort_by_key(|root| digest(root).to_owned());
    roots
}

pub fn sorted(mut roots: Vec<Value>) -> Vec<Value> {
    roots.sort_by_key(|root| digest(root).to_owned());
    roots
}

/// Returns every blob of a layout.
pub fn blobs(layout: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(layout.join("blobs/sha256")).unwrap();
    let files = files.map(|file| file.unwrap()).filter(|file| file.file_name().len() == 64);
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
}
