//! Release procedures that people have published, with barge in the place of docker, buildah, podman or sealer.
//!
//! Each is a script beside this file that runs as it stands: `REGISTRY` and `MIRROR` are real registries, `FIXTURES` has images
//! made by other programs, skopeo says what was published, and barge is first in the path.

#![allow(clippy::unwrap_used, clippy::panic)] // all of this is tests

#[path = "../support/distribution/mod.rs"]
mod distribution;
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code)] // the other programs' tests use more of it
#[path = "../interop/work.rs"]
mod work;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use distribution::{Distribution, Mode};

/// No procedure takes more than half a minute on a busy machine.
const SECONDS: &str = "150";

/// Runs a script that must succeed; None where this machine lacks something that it needs.
fn run(script: &str, needs: &[&str]) -> Option<[Distribution; 2]> {
    let needs: Vec<&str> = ["bash", "docker-registry", "python3", "skopeo"].iter().chain(needs).copied().collect();
    let work = work::work(&needs)?;
    let registries = [Distribution::start(Mode::Plain), Distribution::start(Mode::Plain)];
    // buildah's images are no business of the machine's
    let storage = format!(
        "[storage]\ndriver = \"vfs\"\ngraphroot = {:?}\nrunroot = {:?}\n",
        work.path("storage"),
        work.path("run/storage")
    );
    work.write("storage.conf", &storage);
    fs::create_dir(work.path("here")).unwrap();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/procedures");
    let mut command = Command::new("timeout");
    work.isolate(&mut command);
    let barge = Path::new(env!("CARGO_BIN_EXE_barge")).parent().unwrap();
    let path = command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value).unwrap();
    let path = format!("{}:{}", barge.display(), path.to_str().unwrap());
    command
        .env("PATH", path)
        .env("CONTAINERS_STORAGE_CONF", work.path("storage.conf"))
        .env("REGISTRY", registries[0].host())
        .env("MIRROR", registries[1].host())
        .env("FIXTURES", support::digests::fixtures())
        .args(["--kill-after=10", SECONDS, "bash", "-x"])
        .arg(directory.join(script))
        .current_dir(work.path("here"))
        .stdin(Stdio::null());
    let output = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}: {}\n{said}", output.status);
    Some(registries)
}

/// The tags of a repository, sorted.
fn tags(registry: &Distribution, repository: &str) -> Vec<String> {
    let mut tags = registry.tags(repository);
    tags.sort();
    tags
}

#[test]
fn tags_for_each_architecture_and_a_list_of_them() {
    let Some([registry, mirror]) = run("1-per-arch-tags.sh", &[]) else { return };
    let found = tags(&registry, "team/app");
    assert_eq!(found.len(), 12, "{found:?}");
    let [latest, version] = ["latest", "v1.2"].map(|tag| registry.manifest("team/app", tag).unwrap());
    assert_eq!(latest, version);
    assert!(mirror.log().requests.is_empty());
}

#[test]
fn a_list_for_each_of_eight_repositories() {
    let Some(registries) = run("2-one-list-per-repository.sh", &["buildah", "root"]) else { return };
    for registry in &registries {
        assert_eq!(registry.catalog().len(), 8);
    }
    assert_eq!(tags(&registries[1], "fedora/redis"), ["41", "latest"]);
    // the pieces of each image went over once, whatever the lists are called
    let uploads = registries[1].log().uploads();
    let mut once = uploads.clone();
    once.dedup();
    assert_eq!(uploads, once);
}

#[test]
fn an_image_is_named_anew_where_it_is_and_a_list_updated() {
    let Some([registry, mirror]) = run("3-retag-and-update.sh", &[]) else { return };
    assert_eq!(tags(&registry, "library/hello"), ["1.0", "stable"]);
    assert_eq!(tags(&mirror, "team/hello"), ["1", "1.0", "latest", "multi"]);
}

#[test]
fn a_cluster_image_for_two_platforms() {
    let Some([registry, _]) = run("4-cluster-image.sh", &[]) else { return };
    assert_eq!(tags(&registry, "cluster/kubernetes"), ["v1.25", "v1.25-arm64"]);
}

#[test]
fn a_build_for_every_architecture_and_versions_of_it() {
    let Some([registry, _]) = run("5-build-and-version.sh", &[]) else { return };
    let of_each = ["amd64", "arm64", "riscv64", "s390x"].map(|arch| format!("latest-{arch}"));
    let mut expected = vec!["latest".to_owned()];
    expected.extend(of_each);
    expected.extend(["v1".to_owned(), "v1.0".to_owned()]);
    assert_eq!(tags(&registry, "org/tool"), expected);
}

/// A procedure without a test here would rot.
#[test]
fn every_script_has_a_test_and_can_be_run() {
    let mine = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/procedures");
    let source = fs::read_to_string(mine.join("main.rs")).unwrap();
    let mut scripts = 0;
    for entry in fs::read_dir(&mine).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sh") {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(source.contains(&format!("run(\"{name}\"")), "{name}");
            assert_ne!(path.metadata().unwrap().permissions().mode() & 0o111, 0, "{name}");
            scripts += 1;
        }
    }
    assert_eq!(scripts, 5);
}
