//! `barge pull` and whatever else reads from a registry: what skopeo, podman and we have put there.

use serde_json::Value;

use crate::bench::Bench;
use crate::distribution::{Distribution, Mode};
use crate::images::{SIX, seen};
use crate::support::digests;
use crate::work::Work;

/// What skopeo puts into a registry: a repository, and the fixture that it is.
const FIXTURES: [(&str, &str); 5] = [
    ("umoci", "oci:fixtures/umoci-amd64"),
    ("buildx", "oci-archive:fixtures/buildx-amd64-arm64.tar"),
    ("containerd", "oci:fixtures/containerd-s390x"),
    ("buildah", "oci-archive:fixtures/buildah-riscv64.tar"),
    ("skopeo", "oci-archive:fixtures/skopeo-arm64.tar"),
];

/// Fills a registry by skopeo.
fn filled(work: &Work) -> Distribution {
    let registry = Distribution::start(Mode::Plain);
    for (repository, source) in FIXTURES {
        let place = format!("docker://{}/{repository}:v1", registry.host());
        work.run(&format!("skopeo copy -q --preserve-digests --all --dest-tls-verify=false {source} {place}"));
    }
    registry
}

/// The list that `pull -f` takes.
fn list(host: &str) -> String {
    let names = FIXTURES.map(|(repository, _)| format!("{host}/{repository}:v1"));
    format!("# five images\n\n{}   # and so on\n  docker://{}\n", names[..4].join("\r\n"), names[4])
}

#[test]
fn what_skopeo_pushed_arrives_with_its_digests() {
    let Some(bench) = Bench::new(&["skopeo"]) else { return };
    let registry = filled(&bench.work);
    let host = registry.host();
    bench.work.write("list", &list(&host));
    for place in ["back", "back.tar"] {
        registry.forget_log();
        let ran = bench.ok(&format!("pull -o {place} -f list"));
        let log = registry.log();
        let images = seen(&bench.work, place);
        assert_eq!(images.len(), 5, "{images:?}");
        for ((repository, _), (image, printed)) in FIXTURES.iter().zip(images.iter().zip(ran.stdout.lines())) {
            let name = format!("{host}/{repository}:v1");
            let there = registry.manifest(repository, "v1").unwrap();
            let raw = bench.work.bytes(&format!("skopeo inspect --raw --tls-verify=false docker://{name}"));
            assert_eq!((&there.bytes, &there.digest), (&raw, &crate::images::sha256(&raw)));
            assert_eq!((printed, &image.digest), (format!("{} {name}", there.digest).as_str(), &there.digest));
            assert_eq!(image.names, std::slice::from_ref(&name));
            bench.ok(&format!("diff {place}:{name} docker://{name}"));
        }
        if place == "back" {
            let fixtures = FIXTURES.map(|(_, source)| source.rsplit('/').next().unwrap());
            for line in digests::lines().iter().filter(|line| fixtures.contains(&line.fixture.as_str())) {
                assert_eq!(bench.blob(place, &line.digest).len() as u64, line.size, "{line:?}");
            }
        }
        // a layer that images have in common is fetched once
        let mut fetched: Vec<&str> =
            log.of("GET", "/blobs/").iter().map(|request| request.path.rsplit('/').next().unwrap()).collect();
        fetched.sort_unstable();
        let mut once = fetched.clone();
        once.dedup();
        assert_eq!(fetched, once, "{log:?}");
    }
    // again: names are asked for, and nothing is fetched
    for place in ["back", "back.tar"] {
        let before = bench.work.path(place).is_file().then(|| bench.work.read(place));
        registry.forget_log();
        bench.ok(&format!("pull -o {place} -f list"));
        let log = registry.log();
        assert_eq!(log.of("GET", "/blobs/").iter().filter(|it| !is_config(&it.path)).count(), 0, "{log:?}");
        assert_eq!(before, bench.work.path(place).is_file().then(|| bench.work.read(place)));
    }
    // aligned, it is the file that a copy makes of the same images
    bench.ok("pull --align -o aligned.tar -f list");
    bench.ok("copy --align back.tar copied.tar");
    assert_eq!(bench.work.read("aligned.tar"), bench.work.read("copied.tar"));
    assert_ne!(bench.work.read("aligned.tar"), bench.work.read("back.tar"));
}

/// Configs are read when a plan is made.
fn is_config(path: &str) -> bool {
    digests::lines().iter().any(|line| line.kind == "config" && path.ends_with(&line.digest))
}

#[test]
fn what_podman_pushed_arrives_as_it_is_there() {
    let Some(bench) = Bench::new(&["podman", "skopeo", "root"]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let host = registry.host();
    bench.work.run("podman pull -q oci:fixtures/umoci-amd64:v1");
    let id = bench.work.run("podman images -q --no-trunc");
    // the first, because podman would rather use what it knows to be there
    for format in ["zstd", "gzip"] {
        let name = format!("{host}/team/{format}:v1");
        bench
            .work
            .run(&format!("podman push -q --tls-verify=false --compression-format {format} {id} docker://{name}"));
        let there = registry.manifest(&format!("team/{format}"), "v1").unwrap();
        bench.ok(&format!("pull -o back {name}"));
        assert_eq!(bench.digest_of("back", &name), there.digest);
        let manifest: Value = serde_json::from_slice(&there.bytes).unwrap();
        if format == "zstd" {
            assert!(manifest["layers"][0]["mediaType"].as_str().unwrap().ends_with("zstd"), "{manifest}");
        }
    }
    bench.ok("verify --deep back");
    // and goes somewhere else as it is
    let other = Distribution::start(Mode::Plain);
    bench.ok(&format!("push back {}", other.host()));
    for format in ["gzip", "zstd"] {
        let repository = format!("team/{format}");
        assert_eq!(other.manifest(&repository, "v1"), registry.manifest(&repository, "v1"));
    }
}

#[test]
fn a_schema_2_list_stays_one() {
    let Some(bench) = Bench::new(&["skopeo"]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let host = registry.host();
    bench.ok(&format!("merge --media-type docker -o list -t {host}/list:v1 {}", crate::images::six()));
    let digest = bench.digest_of("list", &format!("{host}/list:v1"));
    bench.ok("push list");
    bench.same("list", &digest, &registry, "list:v1");
    assert!(registry.manifest("list", "v1").unwrap().media_type.contains("manifest.list.v2"));
    // what skopeo makes of it, single images among them
    let copy = "skopeo copy -q --all --preserve-digests --src-tls-verify=false --dest-tls-verify=false";
    bench.work.run(&format!("{copy} docker://{host}/list:v1 docker://{host}/by/skopeo:v1"));
    bench.work.run(&format!(
        "skopeo copy -q --format v2s2 --dest-tls-verify=false oci:fixtures/umoci-amd64 docker://{host}/one:v1"
    ));
    bench.ok(&format!("pull -o back {host}/by/skopeo:v1 {host}/one:v1"));
    assert_eq!(bench.digest_of("back", &format!("{host}/by/skopeo:v1")), digest);
    let one = registry.manifest("one", "v1").unwrap();
    assert!(one.media_type.contains("docker.distribution.manifest.v2"), "{one:?}");
    assert_eq!(bench.digest_of("back", &format!("{host}/one:v1")), one.digest);
    bench.ok("verify --deep back");
}

#[test]
fn some_platforms_of_an_image_are_a_smaller_one() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let host = registry.host();
    let digest = bench.merged("dist", &format!("{host}/app:v1"));
    bench.ok("push dist");
    registry.forget_log();
    let ran = bench.ok(&format!("pull --platform linux/arm64,linux/s390x -o back {host}/app:v1"));
    let image = &seen(&bench.work, "back")[0];
    assert_eq!(
        (ran.digests(), &image.platforms),
        (vec![image.digest.clone()], &vec!["linux/arm64".to_owned(), "linux/s390x".to_owned()])
    );
    assert!(ran.stderr.contains(&digest) && ran.stderr.contains(&image.digest), "{ran:?}");
    // nothing of the others came
    let log = registry.log();
    for (platform, fixture) in SIX {
        let config = digests::of(fixture, "config").remove(0);
        let fetched = log.count("GET", &format!("/blobs/{config}"));
        assert_eq!(fetched > 0, ["linux/arm64", "linux/s390x"].contains(&platform), "{platform}: {log:?}");
    }
    let ran = bench.ok(&format!("pull --index keep --platform linux/arm64 -o sparse {host}/app:v1"));
    assert_eq!(ran.digests(), [digest]);
    let said = bench.fails(3, &format!("pull --platform linux/mips -o none {host}/app:v1"));
    assert!(said.contains("linux/mips") && said.contains("linux/amd64"), "{said}");
    assert!(!bench.work.path("none").exists());
}

#[test]
fn images_of_two_registries_come_together() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registries = [Distribution::start(Mode::Plain), Distribution::start(Mode::Plain)];
    let [one, two] = registries.each_ref().map(Distribution::host);
    bench.ok(&format!("merge -o dist -t {one}/app:amd64 fixtures/umoci-amd64"));
    bench.ok(&format!("merge -o dist -t {two}/app:arm64 fixtures/skopeo-arm64.tar"));
    bench.ok("push dist");
    assert_eq!((registries[0].catalog(), registries[1].catalog()), (vec!["app".to_owned()], vec!["app".to_owned()]));
    let names = format!("{one}/app:amd64 {two}/app:arm64");
    for place in ["both", "both.tar"] {
        bench.ok(&format!("pull -o {place} {names}"));
        let platforms: Vec<String> =
            seen(&bench.work, place).into_iter().map(|image| image.platforms.join(",")).collect();
        assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    }
    // merged where they are, and as they were
    let sources = format!("docker://{one}/app:amd64 docker://{two}/app:arm64");
    let merged = bench.ok(&format!("merge -o merged.tar -t example.com/app:v1 {sources}")).digests().remove(0);
    let local = bench.ok("merge -o merged -t example.com/app:v1 fixtures/umoci-amd64 fixtures/skopeo-arm64.tar");
    assert_eq!(local.digests(), [merged]);
    bench.ok("verify --deep merged.tar");
}

#[test]
fn every_command_that_looks_looks_into_registries() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let host = registry.host();
    let digest = bench.merged("dist", &format!("{host}/team/app:v1"));
    bench.ok("push dist");
    registry.forget_log();
    let (here, there) = (format!("dist:{host}/team/app:v1"), format!("docker://{host}/team/app:v1"));
    for command in ["inspect", "cat manifest", "tree --no-trunc"] {
        let [local, remote] = [&here, &there].map(|it| bench.ok(&format!("{command} {it}")).stdout);
        // a tree begins with the name
        assert_eq!(remote.lines().skip(1).collect::<Vec<_>>(), local.lines().skip(1).collect::<Vec<_>>(), "{command}");
    }
    bench.ok(&format!("cat manifest docker://{host}/team/app@{digest}"));
    let verified = bench.ok(&format!("verify --deep {there}"));
    assert!(verified.stdout.contains("22 blobs"), "{verified:?}");
    bench.ok(&format!("diff {here} {there}"));
    bench.ok(&format!("save -o saved.tar {there}"));
    bench.ok("verify --deep saved.tar");
    bench.ok(&format!("unpack --platform linux/amd64 {there} root"));
    assert_eq!(bench.work.read("root/etc/os-release"), bench.work.read("fixtures/src/os-release"));
    // reading changes nothing
    let log = registry.log();
    assert!(log.requests.iter().all(|request| matches!(request.method.as_str(), "GET" | "HEAD")), "{log:?}");

    let blob = registry.blob_file(&digests::of("umoci-amd64", "layer")[0]);
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    let layer = digests::of("umoci-amd64", "layer").remove(0);
    for line in
        [format!("verify {there}"), format!("pull -o back {host}/team/app:v1"), format!("save -o bad.tar {there}")]
    {
        let ran = bench.run(&line);
        assert_eq!(ran.code, Some(4), "{line}: {ran:?}");
        assert!(ran.stdout.contains(&layer) || ran.stderr.contains(&layer), "{line}: {ran:?}");
    }
    assert!(!bench.work.path("bad.tar").exists());
    assert_eq!(bench.ok("ls -q back").stdout, "");
}

#[test]
fn what_is_not_there_is_said() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let host = registry.host();
    bench.merged("dist", &format!("{host}/team/app:v1"));
    bench.ok("push dist");
    for (reference, parts) in [
        ("team/app:v2".to_owned(), ["v2", "barge ls"]),
        ("nowhere:v1".to_owned(), ["nowhere", "barge ls"]),
        (format!("team/app@sha256:{}", "0".repeat(64)), ["000", "404"]),
    ] {
        let said = bench.fails(3, &format!("pull -o back {host}/{reference}"));
        assert!(parts.iter().all(|part| said.contains(part)), "{reference}: {said}");
        bench.fails(3, &format!("inspect docker://{host}/{reference}"));
    }
    // one of several: nothing of the others either
    bench.fails(3, &format!("pull -o back {host}/team/app:v1 {host}/team/app:v2"));
    assert!(!bench.work.path("back").exists());
    let said = bench.fails(2, "pull -o back oci:dist");
    assert!(said.contains("barge copy"), "{said}");
}
