//! skopeo reads what barge merged.

use std::fs;

use serde_json::Value;

use crate::images::{SIX, config_of, seen, sha256, six, strings};
use crate::support::digests;
use crate::work::{Work, work};

/// A table of merges: every fixture is in one of them.
fn merges() -> [(String, Vec<&'static str>); 2] {
    let second =
        ["buildah-riscv64.tar", "buildx-amd64-arm64.tar", "containerd-s390x", "docker-armv7.tar", "hybrid-ppc64le.tar"];
    let words = second.map(|fixture| format!("fixtures/{fixture}")).join(" ");
    [(six(), SIX.iter().map(|(_, fixture)| *fixture).collect()), (words, second.to_vec())]
}

#[test]
fn every_place_gives_the_bytes_whose_digest_was_printed() {
    let Some(work) = work(&["skopeo"]) else { return };
    for (at, (sources, _)) in merges().iter().enumerate() {
        let of_layout = work.run(&format!("barge merge -o layout{at} -t example.com/hello:v1 {sources}"));
        let of_archive = work.run(&format!("barge merge -o hello{at}.tar -t example.com/hello:v1 {sources}"));
        assert_eq!(of_layout, of_archive);
        for place in [
            format!("oci:layout{at}"),
            format!("oci:layout{at}:v1"),
            format!("oci-archive:hello{at}.tar"),
            format!("oci-archive:hello{at}.tar:v1"),
        ] {
            assert_eq!(sha256(&work.bytes(&format!("skopeo inspect --raw {place}"))), of_layout, "{place}");
        }
    }
}

#[test]
fn all_platforms_arrive_with_the_digests_of_their_sources() {
    let Some(work) = work(&["skopeo"]) else { return };
    for (at, (sources, fixtures)) in merges().iter().enumerate() {
        for (place, reference) in [
            (format!("layout{at}"), format!("oci:layout{at}:v1")),
            (format!("hello{at}.tar"), format!("oci-archive:hello{at}.tar:v1")),
        ] {
            let index = work.run(&format!("barge merge -o {place} -t example.com/hello:v1 {sources}"));
            work.run(&format!("skopeo copy --all {reference} dir:copy-of-{place}"));
            let copy = Copy { work: &work, directory: format!("copy-of-{place}") };
            assert_eq!(sha256(&copy.file("manifest.json")), index, "{place}");
            copy.check_every_digest();
            for fixture in fixtures {
                copy.check_holds(fixture);
            }
        }
    }
}

/// A `dir:` of skopeo: `manifest.json`, `<hex>.manifest.json` and `<hex>`.
struct Copy<'a> {
    work: &'a Work,
    directory: String,
}

impl Copy<'_> {
    fn file(&self, name: &str) -> Vec<u8> {
        self.work.read(&format!("{}/{name}", self.directory))
    }

    fn check_every_digest(&self) {
        for entry in fs::read_dir(self.work.path(&self.directory)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let hex = name.split('.').next().unwrap();
            if hex.len() == 64 {
                assert_eq!(sha256(&self.file(&name)), format!("sha256:{hex}"), "{name} in {}", self.directory);
            }
        }
    }

    fn manifests(&self) -> Vec<String> {
        let index: Value = serde_json::from_slice(&self.file("manifest.json")).unwrap();
        let entries = index["manifests"].as_array().unwrap();
        entries.iter().map(|entry| entry["digest"].as_str().unwrap().to_owned()).collect()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.file(name.trim_start_matches("sha256:"))).unwrap()
    }

    fn check_holds(&self, fixture: &str) {
        let there = self.manifests();
        let wanted = digests::of(fixture, "manifest");
        for manifest in &wanted {
            assert!(there.contains(manifest), "{manifest} of {fixture} in {}", self.directory);
        }
        if !wanted.is_empty() {
            return;
        }
        // a docker-archive has no manifest: the one that was made for it has its config and its layers
        let config = digests::of(fixture, "config").remove(0);
        let mut made = there.iter().map(|digest| self.json(&format!("{digest}.manifest.json")));
        let made = made.find(|manifest| manifest["config"]["digest"] == config.as_str());
        let manifest = made.unwrap_or_else(|| panic!("{fixture} in {}", self.directory));
        let layers = manifest["layers"].as_array().unwrap().iter().map(|layer| layer["digest"].as_str().unwrap());
        let layers: Vec<String> = layers.map(str::to_owned).collect();
        assert_eq!(strings(&self.json(&config)["rootfs"]["diff_ids"]), layers, "{fixture}");
        let mut layers = layers;
        layers.sort();
        assert_eq!(layers, digests::of(fixture, "layer"), "{fixture}");
    }
}

#[test]
fn each_platform_is_chosen_by_its_name() {
    let Some(work) = work(&["skopeo"]) else { return };
    work.run(&format!("barge merge -o layout -t example.com/hello:v1 {}", six()));
    for (platform, fixture) in SIX {
        let mut parts = platform.split('/');
        let (os, architecture) = (parts.next().unwrap(), parts.next().unwrap());
        let variant = parts.next().map(|variant| format!("--override-variant {variant}")).unwrap_or_default();
        let choice = format!("--override-os {os} --override-arch {architecture} {variant}");
        let config = work.bytes(&format!("skopeo {choice} inspect --config --raw oci:layout:v1"));
        assert_eq!([sha256(&config)].as_slice(), digests::of(fixture, "config"), "{platform}");
    }
}

#[test]
fn two_repositories_with_one_tag_are_told_apart() {
    let Some(work) = work(&["skopeo"]) else { return };
    for (place, scheme) in [("both.tar", "oci-archive"), ("both", "oci")] {
        let first = work.run(&format!("barge merge -o {place} -t example.com/first:v1 {}", six()));
        let second =
            work.run(&format!("barge merge -o {place} -t example.com/second:v1 fixtures/buildx-amd64-arm64.tar"));
        assert_ne!(first, second);
        // the second one has its full name, since skopeo takes the first match of a tag without a word
        for (name, digest) in [("v1", first), ("example.com/second:v1", second)] {
            let raw = work.bytes(&format!("skopeo inspect --raw {scheme}:{place}:{name}"));
            assert_eq!(sha256(&raw), digest, "{name} in {place}");
        }
    }
}

#[test]
fn a_copy_by_skopeo_is_the_same_image() {
    let Some(work) = work(&["skopeo"]) else { return };
    let with_attestations = "fixtures/buildx-amd64-arm64.tar fixtures/containerd-s390x".to_owned();
    let merges = [("", six()), ("", with_attestations), ("--annotation org.example.key=value", six())];
    for (at, (options, sources)) in merges.into_iter().enumerate() {
        let digest = work.run(&format!("barge merge {options} -o {at}.tar -t example.com/hello:v1 {sources}"));
        // else uncompressed layers of docker-archives are packed on the way: other manifests, another index
        work.run(&format!("skopeo copy --all --preserve-digests oci-archive:{at}.tar:v1 oci:layout{at}:copy"));
        let images = seen(&work, &format!("layout{at}"));
        assert_eq!(images.len(), 1, "{sources}");
        assert_eq!((images[0].names.join(","), &images[0].digest), ("copy".to_owned(), &digest), "{sources}");
    }
}

#[test]
fn a_docker_manifest_list_is_read_when_it_is_alone() {
    let Some(work) = work(&["skopeo"]) else { return };
    let digest = work.run(&format!("barge merge --media-type docker -o list.tar -t example.com/hello:v1 {}", six()));
    // by name, skopeo 1.9 finds only OCI types
    work.run("skopeo copy --all --preserve-digests oci-archive:list.tar dir:copy");
    let copy = Copy { work: &work, directory: "copy".to_owned() };
    assert_eq!(sha256(&copy.file("manifest.json")), digest);
    copy.check_every_digest();
}

#[test]
fn an_archive_is_a_docker_archive_too() {
    let Some(work) = work(&["skopeo"]) else { return };
    work.run(&format!("barge merge -o hello.tar -t example.com/hello:v1 -t hello:latest {}", six()));
    work.run("barge merge -o hello.tar -t example.com/other:v1 fixtures/skopeo-arm64.tar");
    for (name, platform) in [
        ("example.com/hello:v1", "linux/amd64"),
        ("hello:latest", "linux/amd64"),
        ("example.com/other:v1", "linux/arm64"),
    ] {
        let config = work.bytes(&format!("skopeo inspect --config --raw docker-archive:hello.tar:{name}"));
        assert_eq!(sha256(&config), config_of(platform), "{name}");
    }
}

#[test]
fn what_was_built_for_several_platforms_is_copied_and_chosen_from() {
    let Some(work) = work(&["skopeo"]) else { return };
    for architecture in ["amd64", "arm64"] {
        work.write(&format!("helm-{architecture}"), architecture);
    }
    work.write("Kubefile", "FROM scratch\nCOPY helm-${ARCH} bin/helm\nCOPY Kubefile /shared\nCMD [\"helm\"]\n");
    for (at, packing) in ["gzip", "zstd", "none"].iter().enumerate() {
        let build = format!(
            "-t example.com/app:v1 --platform linux/arm64/v8,linux/amd64 --compression {packing} -f Kubefile ."
        );
        let index = work.run(&format!("barge build -o built{at} {build}"));
        assert_eq!(work.run(&format!("barge build -o built{at}.tar {build}")), index);
        for place in [format!("oci:built{at}:v1"), format!("oci-archive:built{at}.tar:v1")] {
            let directory = format!("copy-of-{}", place.replace(':', "-"));
            work.run(&format!("skopeo copy --all --preserve-digests {place} dir:{directory}"));
            let copy = Copy { work: &work, directory };
            assert_eq!(sha256(&copy.file("manifest.json")), index, "{place}");
            copy.check_every_digest();
            for architecture in ["amd64", "arm64"] {
                let of = work.json(&format!("skopeo --override-arch {architecture} inspect {place}"));
                assert_eq!((&of["Os"], &of["Architecture"]), (&"linux".into(), &architecture.into()), "{place}");
                assert_eq!(of["Layers"].as_array().unwrap().len(), 2, "{place}");
                // unpacked, layers are what the config says of them
                let directory = format!("{}-{architecture}", copy.directory);
                work.run(&format!(
                    "skopeo --override-arch {architecture} copy --dest-decompress {place} dir:{directory}"
                ));
                let one = Copy { work: &work, directory };
                let manifest = one.json("manifest.json");
                let config = one.json(manifest["config"]["digest"].as_str().unwrap());
                let layers = manifest["layers"].as_array().unwrap().iter().map(|layer| layer["digest"].clone());
                assert_eq!(config["rootfs"]["diff_ids"], layers.collect::<Value>(), "{place}");
                one.check_every_digest();
            }
        }
    }
}
