//! What holds of every image, drawn at random: it survives the whole road unchanged, and no byte of it changes unseen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::registry::{FakeRegistry, Options};
use crate::support::belonging::{artifact, blobs};
use crate::support::image::{CONFIG, FULL_NAME, INDEX, Images, Layer, MANIFEST, annotated, config, digest, noise, on};

const PLATFORMS: [&str; 6] =
    ["linux/amd64", "linux/arm64", "linux/arm/v7", "windows/amd64", "linux/riscv64", "linux/386"];
const DOCKER: [(&str, &str); 2] = [
    (MANIFEST, "application/vnd.docker.distribution.manifest.v2+json"),
    (CONFIG, "application/vnd.docker.container.image.v1+json"),
];

/// One name, and what it stands for.
#[derive(Clone, Debug)]
struct Drawn {
    /// One or several make an index.
    images: Vec<Image>,
    /// Whether one alone makes an index too, and whether the index lies in another one.
    wrapped: u8,
    /// Artifacts: what they belong to, as a number of something that was made before.
    artifacts: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Image {
    /// Contents, which others may share, and how they are packed.
    layers: Vec<(u8, u8)>,
    /// Whether it is spelled with blanks, and with docker's types.
    blanks: bool,
    docker: bool,
    /// What nobody knows.
    unknown: String,
}

fn image() -> impl Strategy<Value = Image> {
    let layers = prop::collection::vec((0..12_u8, 0..3_u8), 0..5);
    (layers, any::<bool>(), any::<bool>(), "\\PC{0,12}").prop_map(|(layers, blanks, docker, unknown)| Image {
        layers,
        blanks,
        docker,
        unknown,
    })
}

fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
    let one = (prop::collection::vec(image(), 1..4), 0..3_u8, prop::collection::vec(any::<u8>(), 0..3));
    let one = one.prop_map(|(images, wrapped, artifacts)| Drawn { images, wrapped, artifacts });
    prop::collection::vec(one, 1..4)
}

fn spelled(value: &Value, blanks: bool) -> Vec<u8> {
    match blanks {
        true => format!("\n{}\n\t ", serde_json::to_string_pretty(value).unwrap()).into_bytes(),
        false => value.to_string().into_bytes(),
    }
}

fn add(images: &mut Images, drawn: &Image, platform: &str) -> Value {
    let of = |media_type: &str| match DOCKER.iter().find(|(oci, _)| drawn.docker && *oci == media_type) {
        Some((_, docker)) => (*docker).to_owned(),
        None => media_type.to_owned(),
    };
    let layers: Vec<Layer> = drawn
        .layers
        .iter()
        .map(|(content, packed)| {
            let content = noise(u32::from(*content), 40 * usize::from(*content));
            [Layer::plain, Layer::gzip, Layer::zstd][usize::from(*packed)](&content)
        })
        .collect();
    let mut own = config(platform, &layers);
    own["x-unknown"] = json!([drawn.unknown, 1.5e300, -0.25, null, 12345678901234567890_u64]);
    let own = images.put(&of(CONFIG), &spelled(&own, drawn.blanks));
    let layers: Vec<Value> = layers.iter().map(|layer| images.put(layer.media_type, &layer.bytes)).collect();
    let manifest = json!({"schemaVersion": 2, "mediaType": of(MANIFEST), "config": own, "layers": layers,
        "annotations": {"said": drawn.unknown}, "x-unknown": {"of": drawn.unknown}});
    on(images.put(&of(MANIFEST), &spelled(&manifest, drawn.blanks)), platform)
}

/// Makes what was drawn, under names of a registry.
fn make(all: &[Drawn], host: &str) -> Images {
    let mut images = Images::new();
    for (number, one) in all.iter().enumerate() {
        let mut made: Vec<Value> =
            one.images.iter().zip(PLATFORMS).map(|(image, platform)| add(&mut images, image, platform)).collect();
        let mut root = made[0].clone();
        root.as_object_mut().unwrap().remove("platform");
        let levels = usize::from(one.wrapped).max(usize::from(one.images.len() > 1));
        for level in 0..levels {
            let manifests = if level == 0 { made.clone() } else { vec![root] };
            let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, "x-number": number});
            root = images.put(INDEX, &spelled(&index, one.images[0].blanks));
            made.push(root.clone());
        }
        for (at, subject) in one.artifacts.iter().enumerate() {
            let subject = made[usize::from(*subject) % made.len()].clone();
            let artifact = artifact(&mut images, &subject, "test/thing", &format!("{number} {at}"));
            if !images.roots.contains(&artifact) {
                images.root(artifact.clone());
            }
            made.push(artifact);
        }
        images.root(annotated(root, FULL_NAME, &format!("{host}/app{number}:v1")));
    }
    images
}

/// What is at the top, with its type; a name may be spelled for more programs than it was.
fn roots(place: &std::path::Path) -> BTreeSet<(String, String)> {
    let index: Value = serde_json::from_slice(&fs::read(place.join("index.json")).unwrap()).unwrap();
    let root = |root: &Value| (digest(root).to_owned(), root["mediaType"].to_string());
    index["manifests"].as_array().unwrap().iter().map(root).collect()
}

fn names(place: &std::path::Path) -> BTreeMap<String, String> {
    let index: Value = serde_json::from_slice(&fs::read(place.join("index.json")).unwrap()).unwrap();
    let name = |root: &Value| Some((root["annotations"][FULL_NAME].as_str()?.to_owned(), digest(root).to_owned()));
    index["manifests"].as_array().unwrap().iter().filter_map(name).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// layout -> archive -> layout -> registry -> layout: the same names, the same digests, the same bytes.
    #[test]
    fn every_image_survives_the_whole_road(all in drawn(), lists in any::<bool>(), platforms in any::<bool>()) {
        let strict = Options { children_must_exist: true, no_referrers_api: lists, ..Options::default() };
        let (bench, registry) = (Bench::new(), FakeRegistry::with(strict));
        let made = make(&all, registry.host());
        made.layout(&bench.path("a"));
        let save = if platforms { "save -q -L a -o b.tar --platform all" } else { "copy -q a b.tar" };
        for line in [save, "copy -q b.tar c", "verify -q --deep c"] {
            let _ = bench.run(line).exits(0);
        }
        prop_assert_eq!(roots(&bench.path("c")), roots(&bench.path("a")));
        prop_assert_eq!(names(&bench.path("c")), names(&bench.path("a")));
        prop_assert_eq!(blobs(&bench.path("c")), blobs(&bench.path("a")));
        let _ = bench.run("push -q c").exits(0);
        let pull = names(&bench.path("a")).into_keys().fold("pull -q -o d".to_owned(), |line, name| line + " " + &name);
        let _ = bench.run(&pull).exits(0);
        prop_assert_eq!(names(&bench.path("d")), names(&bench.path("a")));
        prop_assert_eq!(blobs(&bench.path("d")), blobs(&bench.path("a")));
        // and again: there is nothing left to do
        registry.clear_log();
        let _ = bench.run("push -q d").exits(0);
        prop_assert_eq!(registry.count("PUT", "*") + registry.count("POST", "*"), 0);
    }

    /// One byte of one blob, whichever: it is found, by its digest, and nobody takes it.
    #[test]
    fn every_byte_that_changes_is_found(all in drawn(), blob in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let bench = Bench::new();
        let mut made = make(&all, "example.com");
        let full: Vec<String> = made.blobs.iter().filter(|(_, bytes)| !bytes.is_empty()).map(|(digest, _)| digest.clone()).collect();
        let spoilt = blob.get(&full).clone();
        let bytes = made.blobs.get_mut(&spoilt).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        made.layout(&bench.path("a"));
        made.archive(&bench.path("a.tar"));
        for place in ["a", "a.tar"] {
            let said = bench.run(&format!("verify {place}")).exits(4);
            prop_assert!(said.stdout().contains(&spoilt), "{}", said.stdout());
            let _ = bench.run(&format!("copy {place} to")).exits(4);
            prop_assert!(!bench.path("to/index.json").exists());
        }
    }
}
