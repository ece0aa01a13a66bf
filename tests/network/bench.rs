//! A directory with a layout to push, and the program in it: nothing of the user's settings shows.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use barge::digest::Digest;
use serde_json::Value;

use crate::environment::{Barge, Output, Running};
use crate::registry::FakeRegistry;
use crate::support::image::{FULL_NAME, INDEX, Images, Layer, annotated, named, on};

pub(crate) struct Bench(pub(crate) Barge);

/// An image as it was made: what a registry is to have in the end.
pub(crate) struct Made {
    /// The digest of its index or manifest.
    pub(crate) digest: String,
    /// Its blobs by digest, without the documents.
    pub(crate) blobs: Vec<(String, Vec<u8>)>,
    /// The digests of its documents, children first.
    pub(crate) documents: Vec<String>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self(Barge::new())
    }

    /// Returns the program with the words of a line; logins, proxies and notes are those of this directory.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = self.0.command();
        command.args(line.split_whitespace());
        for variable in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command.env_remove(variable).env_remove(variable.to_uppercase());
        }
        command.env_remove("REGISTRY_AUTH_FILE").env_remove("DOCKER_CONFIG");
        for (variable, name) in
            [("XDG_STATE_HOME", "state"), ("XDG_CONFIG_HOME", "config"), ("XDG_RUNTIME_DIR", "runtime")]
        {
            command.env(variable, self.0.path(name));
        }
        command
    }

    pub(crate) fn run(&self, line: &str) -> Output {
        self.0.finish(&mut self.command(line))
    }

    pub(crate) fn start(&self, line: &str) -> Running {
        Running::start(&mut self.command(line))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    /// Returns the notes of uploads under way.
    pub(crate) fn notes(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("state/barge/uploads")).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// Writes a layout `dist` with an image for one platform and these layers.
    pub(crate) fn image(&self, layers: &[Vec<u8>]) -> Made {
        let (images, made) = image(layers);
        images.layout(&self.path("dist"));
        made
    }

    /// Writes a layout `dist` with an image for two platforms, with a layer of their own each and one in common.
    pub(crate) fn index(&self) -> Made {
        let mut images = Images::new();
        let common = Layer::plain(&noise(1, 3000));
        let platforms: Vec<Value> = ["linux/amd64", "linux/arm64"]
            .iter()
            .map(|platform| {
                let own = Layer::plain(&noise(platform.len() as u64 + u64::from(platform.as_bytes()[7]), 2000));
                on(images.image(platform, &[common.clone(), own]), platform)
            })
            .collect();
        let index = images.index(&platforms);
        images.root(named(index, "v1"));
        images.layout(&self.path("dist"));
        made(&images)
    }

    /// Writes a layout with an image of a layer for each of these full names.
    pub(crate) fn images(&self, layout: &str, names: &[&str]) -> Vec<Made> {
        let mut images = Images::new();
        let mut all = Vec::new();
        for name in names {
            let mut one = Images::new();
            let layers = [Layer::plain(name.as_bytes()), Layer::plain(&noise(7, 4000))];
            let root = one.image("linux/amd64", &layers);
            one.root(root.clone());
            images.blobs.extend(one.blobs.clone());
            images.root(annotated(root, FULL_NAME, name));
            all.push(made(&one));
        }
        images.layout(&self.path(layout));
        all
    }
}

/// Makes an image for one platform with these layers, named `v1`.
pub(crate) fn image(layers: &[Vec<u8>]) -> (Images, Made) {
    let mut images = Images::new();
    let layers: Vec<Layer> = layers.iter().map(|bytes| Layer::plain(bytes)).collect();
    let manifest = images.image("linux/amd64", &layers);
    images.root(named(manifest, "v1"));
    let made = made(&images);
    (images, made)
}

fn made(images: &Images) -> Made {
    let root = &images.roots[0];
    let digest = root["digest"].as_str().unwrap().to_owned();
    let mut documents = vec![digest.clone()];
    if root["mediaType"] == INDEX {
        let index: Value = serde_json::from_slice(&images.blobs[&digest]).unwrap();
        let children = index["manifests"].as_array().unwrap().iter();
        documents.splice(0..0, children.map(|child| child["digest"].as_str().unwrap().to_owned()));
    }
    let blobs = images.blobs.iter().filter(|(digest, _)| !documents.contains(digest));
    let blobs = blobs.map(|(digest, bytes)| (digest.clone(), bytes.clone())).collect();
    Made { digest, blobs, documents }
}

impl Made {
    /// Checks that a registry has all of it, and under this tag.
    #[track_caller]
    pub(crate) fn is_at(&self, registry: &FakeRegistry, repository: &str, tag: &str) {
        for (digest, bytes) in &self.blobs {
            let there = registry.blob(repository, digest);
            assert!(there.is_some_and(|there| *there == *bytes), "{digest} is not in {repository}");
        }
        for digest in &self.documents {
            let there = registry.manifest(repository, digest).unwrap_or_else(|| panic!("{digest} is not there"));
            assert_eq!(&Digest::of(&there.bytes).to_string(), digest);
        }
        assert_eq!(registry.resolve(repository, tag).as_ref(), Some(&self.digest));
    }

    /// Returns how many bytes its blobs have.
    pub(crate) fn bytes(&self) -> u64 {
        self.blobs.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }
}

/// Returns bytes that no compression makes smaller, the same ones for each seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
