//! Archives of every form that loaders meet: as barge writes them, as other programs do, and as nobody should.
//!
//! The name of a file is the condition.

use std::fs;

use serde_json::{Value, json};

use crate::images::sha256;
use crate::work::Work;

const FULL: &str = "io.containerd.image.name";
const OWN: &str = "org.opencontainers.image.ref.name";
const BOTH: &str = "fixtures/umoci-amd64 fixtures/skopeo-arm64.tar";

/// Makes them all, and returns their names.
pub(crate) fn all(work: &Work) -> Vec<String> {
    let mut files = Files { work, names: Vec::new() };
    files.merged();
    files.saved();
    files.foreign();
    files.edited();
    files.docker_archives();
    files.names
}

struct Files<'a> {
    work: &'a Work,
    names: Vec<String>,
}

impl Files<'_> {
    /// Runs a command that makes a file.
    fn add(&mut self, file: &str, line: &str) {
        self.work.run(&line.replace("FILE", file));
        self.add_there(file);
    }

    fn add_there(&mut self, file: &str) {
        if !self.names.iter().any(|name| name == file) {
            self.names.push(file.to_owned());
        }
    }

    fn merged(&mut self) {
        let merge = |name: &str, sources: &str| format!("barge merge -o FILE -t example.com/{name} {sources}");
        self.add("one.tar", &merge("hello:v1", BOTH));
        self.add("two-names.tar", &merge("hello:v1 -t hello:latest", BOTH));
        for (name, sources) in [
            ("first:v1", BOTH),
            ("first:v2", "fixtures/buildx-amd64-arm64.tar"),
            ("second:v1", "fixtures/umoci-amd64 fixtures/containerd-s390x fixtures/skopeo-arm64.tar"),
        ] {
            self.add("three.tar", &merge(name, sources));
        }
        for (name, sources) in [("first:v1", BOTH), ("second:v2", "fixtures/umoci-amd64 fixtures/containerd-s390x")] {
            self.add("two-that-share-a-config.tar", &merge(name, sources));
        }
        self.add("foreign-in-an-index.tar", &merge("hello:v1", "fixtures/skopeo-arm64.tar"));
        self.add("two-foreign-ones.tar", &merge("hello:v1", "fixtures/skopeo-arm64.tar fixtures/containerd-s390x"));
        self.add("docker-list.tar", &merge("hello:v1 --media-type docker", BOTH));
        for (name, sources) in [("first:v1", BOTH), ("second:v2", "fixtures/umoci-amd64 fixtures/containerd-s390x")] {
            self.add("two-docker-lists.tar", &merge(&format!("{name} --media-type docker"), sources));
        }
        for (at, name) in
            ["hello:V1-RC", "a--b:v1--2", "a__b:v1_2", "a-b/c_d:_v1", "a.b:1.0.-x", "c---d:v1"].iter().enumerate()
        {
            self.add(&format!("unusual-name-{at}.tar"), &merge(name, BOTH));
            self.add("unusual-names.tar", &merge(name, BOTH));
        }
        self.work.run("skopeo copy --dest-compress-format zstd oci:fixtures/umoci-amd64:v1 oci:zstd:v1");
        self.add("zstd-layers.tar", &merge("hello:v1", "zstd"));
        for (name, source) in [("first:v1", "zstd"), ("second:v1", "fixtures/skopeo-arm64.tar")] {
            self.add("zstd-layers-in-one-of-two.tar", &merge(name, source));
        }
    }

    fn saved(&mut self) {
        for which in ["one", "three"] {
            self.add(&format!("{which}-aligned.tar"), &format!("barge save -o FILE --align {which}.tar"));
            for (suffix, compress) in [("", "none"), (".gz", "gzip"), (".zst", "zstd")] {
                for (format, options) in [("hybrid", ""), ("oci", ""), ("docker", "--platform linux/amd64")] {
                    if (format, compress) != ("hybrid", "none") {
                        let save = format!("barge save -o FILE --format {format} --compress {compress} {options}");
                        self.add(&format!("{which}-{format}.tar{suffix}"), &format!("{save} {which}.tar"));
                    }
                }
            }
            for architecture in ["amd64", "arm64"] {
                let save = format!("barge save -o FILE --index keep --platform linux/{architecture} {which}.tar");
                self.add(&format!("{which}-sparse-{architecture}.tar"), &save);
                self.add(&format!("{which}-sparse-{architecture}-oci.tar"), &format!("{save} --format oci"));
                self.add(&format!("{which}-shrunk-{architecture}.tar"), &save.replace("keep", "shrink"));
            }
        }
    }

    /// What other programs wrote, as it is and saved again.
    fn foreign(&mut self) {
        for fixture in [
            "buildah-riscv64.tar",
            "buildx-amd64-arm64.tar",
            "docker-armv7.tar",
            "hybrid-ppc64le.tar",
            "skopeo-arm64.tar",
            "skopeo-docker-riscv64.tar",
        ] {
            self.add_there(&format!("fixtures/{fixture}"));
            self.add(&format!("saved-{fixture}"), &format!("barge save -o FILE fixtures/{fixture}"));
        }
        for layout in ["umoci-amd64", "containerd-s390x"] {
            self.add(&format!("saved-{layout}.tar"), &format!("barge save -o FILE fixtures/{layout}"));
            self.pack(&format!("packed-{layout}.tar"), &format!("fixtures/{layout}"));
        }
        self.work.run("skopeo copy --all oci-archive:one.tar oci-archive:by-skopeo.tar:example.com/hello:v1");
        self.add_there("by-skopeo.tar");
    }

    /// What stands in `index.json` is changed, and there is no `manifest.json`.
    fn edited(&mut self) {
        self.edit("ref-name-is-a-tag.tar", |entries, _| name(&mut entries[0], "", "v1"));
        self.edit("ref-name-is-a-full-name.tar", |entries, _| name(&mut entries[0], "", "example.com/hello:v1"));
        self.edit("ref-name-is-a-short-name.tar", |entries, _| name(&mut entries[0], "", "hello:v1"));
        self.edit("ref-name-is-a-path.tar", |entries, _| name(&mut entries[0], "", "org/hello:v1"));
        self.edit("full-name-is-short.tar", |entries, _| name(&mut entries[0], "hello:v1", "v1"));
        self.edit("full-name-has-no-tag.tar", |entries, _| name(&mut entries[0], "example.com/hello", "v1"));
        self.edit("ref-name-in-capitals.tar", |entries, _| name(&mut entries[0], "", "V1"));
        self.edit("ref-name-with-an-underscore.tar", |entries, _| name(&mut entries[0], "", "_v1"));
        self.edit("no-name.tar", |entries, _| name(&mut entries[0], "", ""));
        self.edit("no-image.tar", |entries, _| entries.clear());
        self.edit("same-name-twice.tar", |entries, _| {
            entries.push(entries[0].clone());
        });
        self.edit("one-of-two-has-no-name.tar", |entries, _| {
            entries.push(entries[0].clone());
            name(&mut entries[1], "", "");
        });
        self.edit("flat.tar", |entries, directory| {
            let index: Value = serde_json::from_slice(&blob(directory, &entries[0])).unwrap();
            let annotations = entries[0]["annotations"].clone();
            *entries = index["manifests"].as_array().unwrap().clone();
            for entry in entries {
                entry["annotations"] = annotations.clone();
            }
        });
        self.edit("with-a-cosign-tag.tar", |entries, directory| {
            let tag = format!("{}.sig", entries[0]["digest"].as_str().unwrap().replace(':', "-"));
            let mut signature = signature(directory, None);
            name(&mut signature, "", &tag);
            entries.push(signature);
        });
        self.edit("with-a-referrer.tar", |entries, directory| {
            let signature = signature(directory, Some(&entries[0]));
            entries.push(signature);
        });
        self.edit("with-an-annotated-referrer.tar", |entries, directory| {
            let mut signature = signature(directory, Some(&entries[0]));
            signature["annotations"] = json!({"io.containerd.manifest.subject": entries[0]["digest"]});
            entries.push(signature);
        });
        for with in ["with-a-cosign-tag", "with-a-referrer", "with-an-annotated-referrer", "no-name", "flat"] {
            self.add(&format!("saved-{with}.tar"), &format!("barge save -o FILE {with}.tar"));
        }
        self.edit("layer-is-missing.tar", |entries, directory| remove(directory, &entries[0], "layers"));
        self.edit("config-is-missing.tar", |entries, directory| remove(directory, &entries[0], "config"));
    }

    /// What stands in `manifest.json` is changed.
    fn docker_archives(&mut self) {
        for from in ["one-docker.tar", "one.tar"] {
            // what is wrong in a docker-archive itself, barge refuses to read
            let is_hybrid = from == "one.tar";
            let made = |what: &str| format!("{}-with-{what}.tar", from.trim_end_matches(".tar"));
            for (what, tags) in [
                ("short-tag", json!(["hello:v1"])),
                ("no-tag", Value::Null),
                ("two-tags", json!(["example.com/hello:v1", "example.com/hello:v2"])),
                ("untagged-name", json!(["example.com/hello"])),
                ("wrong-name", json!(["Example/Hello:v1"])),
            ]
            .into_iter()
            .take(if is_hybrid { 5 } else { 3 })
            {
                self.repack(&made(what), from, |elements| elements[0]["RepoTags"] = tags);
            }
            self.repack(&made("tag-twice"), from, |elements| elements.push(elements[0].clone()));
            if is_hybrid {
                self.repack(&made("nothing"), from, Vec::clear);
                let none = json!("blobs/sha256/none");
                self.repack(&made("missing-layer"), from, |elements| elements[0]["Layers"][0] = none);
            }
        }
        self.repack("three-with-tag-twice.tar", "three.tar", |elements| {
            elements[1]["RepoTags"] = elements[0]["RepoTags"].clone();
        });
        self.repack("three-with-one-untagged.tar", "three.tar", |elements| elements[1]["RepoTags"] = Value::Null);
    }

    fn edit(&mut self, file: &str, change: impl FnOnce(&mut Vec<Value>, &str)) {
        let directory = self.unpack("one-oci.tar");
        let path = self.work.path(&format!("{directory}/index.json"));
        let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let root = self.work.path(&directory);
        change(index["manifests"].as_array_mut().unwrap(), root.to_str().unwrap());
        fs::write(path, index.to_string()).unwrap();
        self.pack(file, &directory);
    }

    fn repack(&mut self, file: &str, from: &str, change: impl FnOnce(&mut Vec<Value>)) {
        let directory = self.unpack(from);
        let path = self.work.path(&format!("{directory}/manifest.json"));
        let mut elements: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(elements.as_array_mut().unwrap());
        fs::write(path, elements.to_string()).unwrap();
        self.pack(file, &directory);
    }

    fn unpack(&self, file: &str) -> String {
        let directory = "tmp/unpacked".to_owned();
        let path = self.work.path(&directory);
        if path.exists() {
            fs::remove_dir_all(&path).unwrap();
        }
        fs::create_dir(&path).unwrap();
        self.work.run(&format!("tar -xf {file} -C {directory}"));
        directory
    }

    fn pack(&mut self, file: &str, directory: &str) {
        let entries = fs::read_dir(self.work.path(directory)).unwrap();
        let names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        self.add(file, &format!("tar --sort=name -cf FILE -C {directory} {}", names.join(" ")));
    }
}

/// Gives a descriptor the two names; none for an empty text.
fn name(descriptor: &mut Value, full: &str, own: &str) {
    let names = [(FULL, full), (OWN, own)].into_iter().filter(|(_, name)| !name.is_empty());
    descriptor["annotations"] = names.map(|(key, name)| (key.to_owned(), json!(name))).collect();
}

fn path(directory: &str, descriptor: &Value) -> String {
    format!("{directory}/blobs/{}", descriptor["digest"].as_str().unwrap().replace(':', "/"))
}

fn blob(directory: &str, descriptor: &Value) -> Vec<u8> {
    fs::read(path(directory, descriptor)).unwrap()
}

/// Adds a blob, and returns its descriptor.
fn add(directory: &str, media_type: &str, bytes: &[u8]) -> Value {
    let descriptor = json!({"mediaType": media_type, "digest": sha256(bytes), "size": bytes.len()});
    fs::write(path(directory, &descriptor), bytes).unwrap();
    descriptor
}

/// Adds a manifest such as cosign makes.
fn signature(directory: &str, subject: Option<&Value>) -> Value {
    let config =
        add(directory, "application/vnd.oci.image.config.v1+json", br#"{"rootfs":{"type":"layers","diff_ids":[]}}"#);
    let layer = add(directory, "application/vnd.dev.cosign.simplesigning.v1+json", b"{\"critical\":{}}");
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let mut manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer]});
    if let Some(subject) = subject {
        let field = |key: &str| (key.to_owned(), subject[key].clone());
        manifest["subject"] = ["mediaType", "digest", "size"].map(field).into_iter().collect();
    }
    add(directory, media_type, manifest.to_string().as_bytes())
}

/// Removes what the first manifest of an index names.
fn remove(directory: &str, index: &Value, what: &str) {
    let index: Value = serde_json::from_slice(&blob(directory, index)).unwrap();
    let manifest: Value = serde_json::from_slice(&blob(directory, &index["manifests"][0])).unwrap();
    let what = if what == "layers" { &manifest[what][1] } else { &manifest[what] };
    fs::remove_file(path(directory, what)).unwrap();
}
