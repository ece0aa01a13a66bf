//! docker and containerd pull what barge pushed, and docker pushes what barge pulls.

use serde_json::Value;

use crate::bench::Bench;
use crate::daemons;
use crate::distribution::{Distribution, Mode};
use crate::images::{config_of, host, seen};
use crate::made_again::{comes_back, make};

const APP: &str = "example.com/team/app:v1";

#[test]
fn docker_pulls_runs_and_pushes() {
    let Some(bench) = Bench::new(&["docker", "dockerd", "containerd", "ctr", "root"]) else { return };
    let _daemons = daemons::docker(&bench.work);
    let registry = Distribution::start(Mode::Plain);
    let digest = bench.merged("dist", APP);
    bench.ok(&format!("push dist {}", registry.host()));
    let name = format!("{}/team/app:v1", registry.host());
    // a registry on this machine needs no setting
    let pulled = bench.work.run(&format!("docker pull {name}"));
    assert!(pulled.contains(&digest), "{pulled}");
    assert_eq!(bench.work.run(&format!("docker image inspect --format {{{{.Id}}}} {name}")), config_of(host()));
    if cfg!(target_arch = "x86_64") {
        assert_eq!(bench.work.run(&format!("docker run --rm --network none {name}")), "hello from linux/amd64");
    }

    // one image, and a list of two
    let host = registry.host();
    for (tag, fixture) in [("armv7", "docker-armv7.tar"), ("amd64", "umoci-amd64")] {
        bench.ok(&format!("merge -o {tag}.tar -t {host}/made:{tag} fixtures/{fixture}"));
        bench.work.run(&format!("docker load -i {tag}.tar"));
        bench.work.run(&format!("docker push -q {host}/made:{tag}"));
    }
    bench.work.run(&format!("docker manifest create --insecure {host}/made:all {host}/made:armv7 {host}/made:amd64"));
    bench.work.run(&format!("docker manifest push --insecure {host}/made:all"));
    bench.ok(&format!("pull -o back {host}/made:armv7 {host}/made:all"));
    for tag in ["armv7", "all"] {
        let there = registry.manifest("made", tag).unwrap();
        assert!(there.media_type.starts_with("application/vnd.docker."), "{there:?}");
        assert_eq!(bench.digest_of("back", &format!("{host}/made:{tag}")), there.digest);
        assert_eq!(bench.blob("back", &there.digest), there.bytes);
    }
    let list: Value = serde_json::from_slice(&registry.manifest("made", "all").unwrap().bytes).unwrap();
    assert_eq!(list["manifests"].as_array().unwrap().len(), 2);
    assert_eq!(seen(&bench.work, "back").len(), 2);
}

#[test]
fn what_docker_packs_is_made_again_from_a_compact_archive() {
    let Some(bench) = Bench::new(&["docker", "dockerd", "containerd", "ctr", "root", "tar"]) else { return };
    let _daemons = daemons::docker(&bench.work);
    let registry = Distribution::start(Mode::Plain);
    make(&bench.work);
    let name = format!("{}/made:v1", registry.host());
    bench.work.run(&format!("docker import root.tar {name}"));
    bench.work.run(&format!("docker push -q {name}"));
    bench.ok(&format!("pull -o made {name}"));
    comes_back(&bench.work, "made", "go1.19 at level 6 (1)");
}

#[test]
fn containerd_pulls_all_platforms() {
    let Some(bench) = Bench::new(&["containerd", "ctr", "root"]) else { return };
    let _daemons = daemons::containerd(&bench.work);
    let registry = Distribution::start(Mode::Plain);
    let digest = bench.merged("dist", APP);
    bench.ok(&format!("push dist {}", registry.host()));
    let name = format!("{}/team/app:v1", registry.host());
    bench.work.run(&format!("ctr images pull --plain-http --all-platforms {name}"));
    let images = bench.work.run("ctr images ls");
    assert!(images.contains(&digest) && images.contains(&name), "{images}");
    let content = bench.work.lines("ctr content ls -q");
    let (documents, blobs) = bench.reach("dist", &digest);
    for digest in documents.iter().chain(&blobs) {
        assert!(content.contains(digest), "{digest}");
    }
    if cfg!(target_arch = "x86_64") {
        assert_eq!(bench.work.run(&format!("ctr run --rm {name} one")), "hello from linux/amd64");
    }
}

#[test]
fn what_was_built_is_pulled_by_docker_podman_and_containerd() {
    let Some(bench) = Bench::new(&["docker", "dockerd", "containerd", "ctr", "podman", "root"]) else { return };
    let _daemons = daemons::docker(&bench.work);
    let registry = Distribution::start(Mode::Plain);
    bench.merged("lib", APP);
    bench.work.write("added", "added");
    bench.work.write("Containerfile", &format!("FROM {APP}\nCOPY added /srv/\nWORKDIR /srv\nLABEL for=$TARGETARCH\n"));
    let name = format!("{}/team/built:v1", registry.host());
    let build =
        format!("build -L lib -o dist -t {name} --platform linux/amd64,linux/arm64,linux/s390x -f Containerfile .");
    let digest = bench.ok(&build).digests().remove(0);
    bench.ok(&format!("push dist {}", registry.host()));
    bench.same("dist", &digest, &registry, "team/built:v1");

    let pulled = bench.work.run(&format!("docker pull {name}"));
    assert!(pulled.contains(&digest), "{pulled}");
    for architecture in ["amd64", "arm64"] {
        bench.work.run(&format!("podman pull -q --tls-verify=false --arch {architecture} {name}"));
        let pulled: Value = bench.work.json(&format!("podman image inspect {name}"));
        assert_eq!(pulled[0]["Architecture"], architecture);
        let root = bench.work.run(&format!("podman image mount {name}"));
        assert_eq!(std::fs::read(format!("{root}/srv/added")).unwrap(), b"added");
        bench.work.run(&format!("podman image unmount {name}"));
    }
    bench.work.run("podman rmi --all --force");
    bench.work.run(&format!("ctr images pull --plain-http --all-platforms {name}"));
    if cfg!(target_arch = "x86_64") {
        assert_eq!(bench.work.run(&format!("docker run --rm --network none {name}")), "hello from linux/amd64");
        assert_eq!(bench.work.run(&format!("ctr run --rm {name} one")), "hello from linux/amd64");
    }
}
