//! What is odd and right: taken as it is, with the same digests, and every byte kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::ordeal::Ordeal;
use crate::support::image::{
    CONFIG, GZIP, INDEX, Images, LAYER, Layer, MANIFEST, ZSTD, annotated, config, digest, manifest, named, on, platform,
};
use crate::support::tar::Tar;

/// All blobs of a layout.
fn blobs(layout: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for algorithm in ["sha256", "sha512"] {
        for entry in fs::read_dir(layout.join("blobs").join(algorithm)).into_iter().flatten().flatten() {
            let name = format!("{algorithm}:{}", entry.file_name().to_string_lossy());
            all.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    all
}

fn roots(layout: &Path) -> Vec<Value> {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    index["manifests"].as_array().unwrap().clone()
}

/// Takes a place through an archive and back, and checks that nothing at all has changed; `unreached` blobs are not carried.
pub(super) fn kept(ordeal: &mut Ordeal, what: &str, images: &Images) {
    for start in ["x", "x.tar"] {
        images.write(&ordeal.path(start));
        for line in [
            "ls --all PLACE",
            "tree PLACE",
            "verify PLACE",
            "verify --deep --json PLACE",
            "serve --dry-run PLACE",
            "copy --no-sync PLACE there",
            "save --no-sync -o there.tar PLACE",
            "copy --no-sync there.tar back",
            "load --no-sync -i there.tar -o loaded",
        ] {
            let ran = ordeal.run(what, &line.replace("PLACE", start));
            if ran.code != 0 {
                ordeal.fault(format!("{what}, {start}: {line}: {} {}{}", ran.code, ran.stdout, ran.stderr));
            }
        }
        for target in ["there", "back", "loaded"] {
            if !ordeal.path(target).join("index.json").exists() {
                continue; // said above
            }
            let (got, expected) = (blobs(&ordeal.path(target)), &images.blobs);
            let strange = got.iter().find(|(name, bytes)| expected.get(*name) != Some(*bytes)).map(|(name, _)| name);
            let missing = expected.keys().find(|name| !got.contains_key(*name));
            if strange.is_some() || missing.is_some() {
                ordeal.fault(format!("{what}, {start}: {target} has {strange:?}, lacks {missing:?}"));
            }
            if roots(&ordeal.path(target)) != images.roots {
                ordeal.fault(format!("{what}, {start}: {target} names {:?}", roots(&ordeal.path(target))));
            }
        }
        for place in [start, "there", "there.tar", "back", "loaded"] {
            ordeal.clear(place);
        }
    }
}

fn tar() -> Vec<u8> {
    Tar::new().file("etc/hello", b"hello").finished()
}

/// An image, after its manifest and config were changed.
fn image(images: &mut Images, change: impl FnOnce(&mut Value, &mut Value)) -> Value {
    let layers = [Layer::gzip(&tar()), Layer::plain(&Tar::new().file("b", b"b").finished())];
    let mut config = config("linux/amd64", &layers);
    let listed: Vec<Value> = layers.iter().map(|layer| images.put(layer.media_type, &layer.bytes)).collect();
    let mut document = manifest(&Value::Null, &listed);
    change(&mut document, &mut config);
    if document["config"].is_null() {
        document["config"] = images.document(CONFIG, &config);
    }
    images.document(MANIFEST, &document)
}

fn one(root: impl FnOnce(&mut Images) -> Value) -> Images {
    let mut images = Images::new();
    let root = root(&mut images);
    images.root(named(root, "v1"));
    images
}

#[test]
fn fields_that_nobody_knows_and_null() {
    let mut ordeal = Ordeal::new();
    let odd = json!({"a": [1, 2.5, 1e300, -0.0, null, true], "\u{e9}\u{1f980}": {"A": 1, "deep": [[[[]]]]}, "n": 18_446_744_073_709_551_615_u64});
    let cases: Vec<(&str, Images)> = vec![
        (
            "unknown fields everywhere",
            one(|images| {
                let root = image(images, |manifest, config| {
                    manifest["x-odd"] = odd.clone();
                    manifest["layers"][0]["x-odd"] = odd.clone();
                    config["x-odd"] = odd.clone();
                });
                let mut child = on(root, "linux/amd64");
                child["x-odd"] = odd.clone();
                child["platform"]["features"] = json!(["sse4"]);
                let index = images.document(INDEX, &json!({"x-odd": odd, "schemaVersion": 2, "manifests": [child]}));
                let mut root = index;
                root["x-odd"] = odd.clone();
                root
            }),
        ),
        (
            "null where Go writes it",
            one(|images| {
                image(images, |manifest, config| {
                    manifest["annotations"] = Value::Null;
                    manifest["subject"] = Value::Null;
                    manifest["layers"][0]["urls"] = Value::Null;
                    config["history"] = Value::Null;
                    config["config"] =
                        json!({"Env": null, "Cmd": null, "Volumes": null, "ExposedPorts": null, "Labels": null});
                })
            }),
        ),
        (
            "an image without layers, null",
            one(|images| {
                let config = images.document(
                    CONFIG,
                    &json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": null}}),
                );
                images.document(MANIFEST, &json!({"schemaVersion": 2, "config": config, "layers": null}))
            }),
        ),
        (
            "no mediaType inside, as before OCI 1.1",
            one(|images| image(images, |manifest, _| drop(manifest.as_object_mut().unwrap().remove("mediaType")))),
        ),
        (
            "white space and another order of keys",
            one(|images| {
                let layer = images.put(GZIP, &Layer::gzip(&tar()).bytes);
                let config = images.document(CONFIG, &config("linux/amd64", &[Layer::gzip(&tar())]));
                images.put(
                    MANIFEST,
                    format!(
                        "\n {{ \"layers\" : [ {layer} ],\r\n\t\"schemaVersion\": 2.0e0, \"config\":{config} }}\n\n"
                    )
                    .replace("2.0e0", "2")
                    .as_bytes(),
                )
            }),
        ),
        (
            "escapes for plain letters",
            one(|images| {
                let config = images.document(
                    CONFIG,
                    &json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}),
                );
                images.put(
                    MANIFEST,
                    format!(
                        "{{\"schema\\u0056ersion\":2,\"config\":{config},\"layers\":[],\"x\":\"\\ud83e\\udd80\\/\"}}"
                    )
                    .as_bytes(),
                )
            }),
        ),
        (
            "annotations whose keys differ in case",
            one(|images| {
                image(images, |manifest, config| {
                    manifest["annotations"] = json!({"a.b": "1", "A.B": "2", "": "3"});
                    config["config"] = json!({"Labels": {"x": "1", "X": "2"}});
                })
            }),
        ),
        (
            "data that is right",
            one(|images| {
                let config = images.put(CONFIG, b"{}");
                let mut config = config;
                config["mediaType"] = json!("application/vnd.oci.empty.v1+json");
                config["data"] = json!("e30=");
                images.document(MANIFEST, &json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "a/b", "config": config, "layers": [config]}))
            }),
        ),
        (
            "a config of its own type with a number of 40 digits",
            one(|images| {
                image(images, |manifest, _| {
                    manifest["x"] = serde_json::from_str("1234567890123456789012345678901234567890").unwrap();
                })
            }),
        ),
    ];
    for (what, images) in &cases {
        kept(&mut ordeal, what, images);
    }
    println!("{} cases", cases.len());
    ordeal.judge();
}

#[test]
fn types_and_shapes() {
    let mut ordeal = Ordeal::new();
    let docker = |images: &mut Images, layer_type: &str| {
        let layer = images.put(layer_type, &Layer::gzip(&tar()).bytes);
        let config = images
            .document("application/vnd.docker.container.image.v1+json", &config("linux/amd64", &[Layer::gzip(&tar())]));
        let document = json!({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "config": config, "layers": [layer]});
        images.document("application/vnd.docker.distribution.manifest.v2+json", &document)
    };
    let many: Vec<Layer> =
        (0..127).map(|at| Layer::gzip(&Tar::new().file(&format!("f{at}"), b"x").finished())).collect();
    let mixed = |images: &mut Images| {
        let tars: Vec<Vec<u8>> = (0..3).map(|at| Tar::new().file(&format!("f{at}"), b"x").finished()).collect();
        images.image("linux/amd64", &[Layer::plain(&tars[0]), Layer::gzip(&tars[1]), Layer::zstd(&tars[2])])
    };
    let frames = |images: &mut Images| {
        let (head, tail) = tar().split_at(600).to_owned_pair();
        let gzip = [Layer::gzip(&head).bytes, Layer::gzip(&tail).bytes].concat();
        let zstd =
            [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &Layer::zstd(&head).bytes, &Layer::zstd(&tail).bytes]
                .concat();
        let layers = [images.put(GZIP, &gzip), images.put(ZSTD, &zstd)];
        let config = images.document(CONFIG, &config("linux/amd64", &[Layer::plain(&tar()), Layer::plain(&tar())]));
        images.document(MANIFEST, &manifest(&config, &layers))
    };
    let relabelled = |images: &mut Images| {
        let other = Tar::new().file("b", b"b").finished();
        let layers = [images.put(GZIP, &Layer::zstd(&tar()).bytes), images.put(LAYER, &Layer::gzip(&other).bytes)];
        let config = images.document(CONFIG, &config("linux/amd64", &[Layer::plain(&tar()), Layer::plain(&other)]));
        images.document(MANIFEST, &manifest(&config, &layers))
    };
    let windows = |images: &mut Images| {
        let entries: Vec<Value> = ["10.0.17763.6414", "10.0.20348.2762"]
            .iter()
            .map(|version| {
                let mut config = config("windows/amd64", &[Layer::gzip(&tar())]);
                config["os.version"] = json!(version);
                let mut image = images.image_with(&config, &[Layer::gzip(&tar())]);
                image["platform"] =
                    json!({"os": "windows", "architecture": "amd64", "os.version": version, "os.features": ["win32k"]});
                image
            })
            .collect();
        images.index(&entries)
    };
    let shared = |images: &mut Images| {
        let one = on(images.image("linux/amd64", &many[..1]), "linux/amd64");
        let two = on(images.image("linux/arm64", &many[..2]), "linux/arm64");
        let inner = images.index(&[one.clone(), two.clone()]);
        let outer = images.index(&[inner.clone(), one]);
        images.index(&[inner, outer, two])
    };
    let cases: Vec<(&str, Images)> = vec![
        ("Docker's types", one(|images| docker(images, "application/vnd.docker.image.rootfs.diff.tar.gzip"))),
        (
            "a manifest list of Docker",
            one(|images| {
                let child = on(docker(images, "application/vnd.docker.image.rootfs.diff.tar.gzip"), "linux/amd64");
                let list = "application/vnd.docker.distribution.manifest.list.v2+json";
                images.document(list, &json!({"schemaVersion": 2, "mediaType": list, "manifests": [child]}))
            }),
        ),
        ("127 layers", one(|images| images.image("linux/amd64", &many))),
        ("plain, gzip and zstd in one image", one(mixed)),
        ("layers of several members and frames", one(frames)),
        ("layers whose type names another packing: all who unpack look at the bytes", one(relabelled)),
        ("two Windows of one architecture", one(windows)),
        ("indexes in indexes, shared", one(shared)),
        (
            "indexes 60 deep",
            one(|images| {
                let image = on(images.image("linux/amd64", &many[..1]), "linux/amd64");
                (0..60).fold(image, |below, _| images.index(&[below]))
            }),
        ),
        ("one layer many times", one(|images| images.image("linux/amd64", &vec![many[0].clone(); 40]))),
        (
            "an index with types that nobody knows",
            one(|images| {
                let image = on(images.image("linux/amd64", &many[..1]), "linux/amd64");
                let odd = images.put("application/x-odd; v=1", b"\0\x01");
                images.index(&[image, odd])
            }),
        ),
        (
            "a platform of variants, features and unknown",
            one(|images| {
                let entries: Vec<Value> =
                    ["linux/arm/v5", "linux/arm/v7", "linux/riscv64", "plan9/386", "unknown/unknown"]
                        .iter()
                        .map(|at| on(images.image(at, &many[..1]), at))
                        .collect();
                images.index(&entries)
            }),
        ),
        (
            "a blob of no bytes",
            one(|images| {
                let empty = images.put("text/plain", b"");
                images.document(
                    MANIFEST,
                    &json!({"schemaVersion": 2, "artifactType": "a/b", "config": empty, "layers": [empty]}),
                )
            }),
        ),
    ];
    for (what, images) in &cases {
        kept(&mut ordeal, what, images);
    }
    println!("{} cases", cases.len());
    ordeal.judge();
}

/// As it is needed above.
trait Pair {
    fn to_owned_pair(self) -> (Vec<u8>, Vec<u8>);
}

impl Pair for (&[u8], &[u8]) {
    fn to_owned_pair(self) -> (Vec<u8>, Vec<u8>) {
        (self.0.to_vec(), self.1.to_vec())
    }
}

#[test]
fn names_and_referrers() {
    let mut ordeal = Ordeal::new();
    let layers = [Layer::gzip(&tar())];
    let mut several = Images::new();
    let image = several.image("linux/amd64", &layers);
    for (full, tag) in [("docker.io/library/a:v1", "v1"), ("ghcr.io/b/a:v1", "ghcr.io/b/a:v1")] {
        several.root(annotated(named(image.clone(), tag), "io.containerd.image.name", full));
    }
    several.root(named(image.clone(), "a name with spaces, and \u{e9}"));
    let mut referred = Images::new();
    let image = referred.image("linux/amd64", &layers);
    let empty = referred.put("application/vnd.oci.empty.v1+json", b"{}");
    let sbom = json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/spdx+json", "config": empty, "layers": [empty], "subject": image});
    let sbom = referred.document(MANIFEST, &sbom);
    let of_that = json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "x/signature", "config": empty, "layers": [empty], "subject": sbom});
    let of_that = referred.document(MANIFEST, &of_that);
    let tag = digest(&image).replace(':', "-");
    referred.root(named(image.clone(), "v1")).root(sbom).root(of_that);
    let fallback = referred.index(&[]);
    referred.root(named(fallback, &tag));
    let mut absent = Images::new();
    let lonely = json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "x/y", "config": absent.put("application/vnd.oci.empty.v1+json", b"{}"), "layers": [],
        "subject": {"mediaType": MANIFEST, "size": 5, "digest": format!("sha256:{}", "1".repeat(64))}});
    let lonely = absent.document(MANIFEST, &lonely);
    absent.root(lonely);
    let mut unnamed = Images::new();
    let image = unnamed.image("linux/amd64", &layers);
    unnamed.root(on(image, "linux/amd64"));
    let _ = platform("linux/amd64");
    for (what, images) in [
        ("several names of one image", &several),
        ("referrers of referrers", &referred),
        ("a referrer whose subject is not there", &absent),
        ("no name", &unnamed),
    ] {
        kept(&mut ordeal, what, images);
    }
    ordeal.judge();
}
