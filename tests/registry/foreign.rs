//! What barge pushed, other programs take as it is.

use crate::bench::Bench;
use crate::distribution::{Distribution, Mode};
use crate::images::{SIX, config_of, host, sha256};

const APP: &str = "example.com/team/app:v1";

#[test]
fn skopeo_reads_it_and_copies_it_back() {
    let Some(bench) = Bench::new(&["skopeo"]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let app = bench.merged("dist", APP);
    let merge = "merge -o dist -t example.com/team/other:v2 fixtures/buildx-amd64-arm64.tar fixtures/containerd-s390x";
    let other = bench.ok(merge).digests().remove(0);
    bench.ok(&format!("push dist {}", registry.host()));
    for (name, digest) in [("team/app:v1", &app), ("team/other:v2", &other)] {
        let place = format!("docker://{}/{name}", registry.host());
        let raw = bench.work.bytes(&format!("skopeo inspect --raw --tls-verify=false {place}"));
        assert_eq!((&raw, &sha256(&raw)), (&bench.blob("dist", digest), digest));
        let layout = name.replace(['/', ':'], "-");
        let copy = "skopeo copy -q --all --preserve-digests --src-tls-verify=false";
        bench.work.run(&format!("{copy} {place} oci:{layout}:v1"));
        assert_eq!(&bench.digest_of(&layout, "v1"), digest);
        bench.ok(&format!("verify --deep {layout}"));
        bench.ok(&format!("diff {layout}:v1 dist:example.com/{name}"));
        bench.ok(&format!("diff dist:example.com/{name} {place}"));
    }
    for (platform, _) in SIX {
        let mut parts = platform.split('/');
        let (os, architecture) = (parts.next().unwrap(), parts.next().unwrap());
        let variant = parts.next().map(|variant| format!("--override-variant {variant}")).unwrap_or_default();
        let choice = format!("--override-os {os} --override-arch {architecture} {variant}");
        let place = format!("docker://{}/team/app:v1", registry.host());
        let config = bench.work.bytes(&format!("skopeo {choice} inspect --tls-verify=false --config --raw {place}"));
        assert_eq!(sha256(&config), config_of(platform), "{platform}");
    }
}

#[test]
fn podman_pulls_it_and_runs_it() {
    let Some(bench) = Bench::new(&["podman", "root"]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let digest = bench.merged("dist", APP);
    bench.ok(&format!("push dist {}", registry.host()));
    let name = format!("{}/team/app:v1", registry.host());
    let id = bench.work.run(&format!("podman pull -q --tls-verify=false {name}"));
    assert_eq!(format!("sha256:{id}"), config_of(host()));
    let inspected = bench.work.json(&format!("podman image inspect {name}"));
    let digests = crate::images::strings(&inspected[0]["RepoDigests"]);
    assert!(digests.contains(&format!("{}/team/app@{digest}", registry.host())), "{digests:?}");
    if cfg!(target_arch = "x86_64") {
        let run = "podman run --rm --network none --ulimit nofile=1000:1000 --ulimit nproc=1000:1000";
        assert_eq!(bench.work.run(&format!("{run} {name}")), "hello from linux/amd64");
    }
    let mounted = bench.work.run(&format!("podman image mount {id}"));
    let release = std::fs::read(format!("{mounted}/etc/os-release")).unwrap();
    bench.work.run(&format!("podman image unmount {id}"));
    assert_eq!(release, bench.work.read("fixtures/src/os-release"));
}
