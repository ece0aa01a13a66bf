//! `barge push`: what arrives is what the layout has, each piece once for each registry, and names last.

use serde_json::Value;

use crate::bench::Bench;
use crate::distribution::log::Log;
use crate::distribution::{Distribution, Mode, Options};

const APP: &str = "example.com/team/app:v1";
const OTHER: &str = "example.com/team/other:v2";

/// A layout with two images, the first of them under two names. They have layers in common.
fn two_images(bench: &Bench, layout: &str) -> [String; 2] {
    let app = bench.merged(layout, "example.com/team/app:v1 -t example.com/team/app:latest");
    let merge = format!("merge -o {layout} -t {OTHER} fixtures/buildx-amd64-arm64.tar fixtures/containerd-s390x");
    [app, bench.ok(&merge).digests().remove(0)]
}

/// Every request that could have changed something.
fn writes(log: &Log) -> Vec<String> {
    let is_write = |method: &str| !matches!(method, "GET" | "HEAD");
    let writes = log.requests.iter().filter(|request| is_write(&request.method));
    writes.map(|request| format!("{request:?}")).collect()
}

/// The request that began each of these must come before the one that names them.
fn position(log: &Log, method: &str, path: &str) -> usize {
    let found = log.requests.iter().position(|request| request.method == method && request.path.ends_with(path));
    found.unwrap_or_else(|| panic!("no {method} {path} in {log:?}"))
}

#[test]
fn a_layout_and_an_archive_in_place_arrive_byte_for_byte() {
    let Some(bench) = Bench::new(&[]) else { return };
    let [app, other] = two_images(&bench, "dist");
    bench.ok("save -o dist.tar dist");
    for source in ["dist", "dist.tar"] {
        let registry = Distribution::start(Mode::Plain);
        let ran = bench.ok(&format!("push {source} {}", registry.host()));
        let host = registry.host();
        let expected = [
            format!("{app} {host}/team/app:v1"),
            format!("{app} {host}/team/app:latest"),
            format!("{other} {host}/team/other:v2"),
        ];
        assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), expected);
        assert_eq!(bench.same("dist", &app, &registry, "team/app:v1"), (7, 15));
        assert_eq!(bench.same("dist", &app, &registry, "team/app:latest"), (7, 15));
        bench.same("dist", &other, &registry, "team/other:v2");
        assert_eq!(registry.catalog(), ["team/app", "team/other"]);
        // nothing was unpacked beside the archive
        assert!(!bench.work.path("blobs").exists());

        let log = registry.log();
        let (_, blobs) = bench.reach("dist", &app);
        let (_, others) = bench.reach("dist", &other);
        let all: Vec<String> = blobs.union(&others).cloned().collect();
        let shared: Vec<String> = blobs.intersection(&others).cloned().collect();
        assert!(!shared.is_empty());
        assert_eq!((log.uploads(), log.mounts()), (all, shared), "{log:?}");
        // documents once in each repository, and the second name of an image
        assert_eq!(log.count("PUT", "/manifests/"), 8 + 6, "{log:?}");
        for (repository, tag, digest) in [("team/app", "v1", &app), ("team/other", "v2", &other)] {
            let named = position(&log, "PUT", &format!("/{repository}/manifests/{tag}"));
            let (documents, _) = bench.reach("dist", digest);
            for child in documents.iter().filter(|child| *child != digest) {
                assert!(position(&log, "PUT", &format!("/{repository}/manifests/{child}")) < named, "{log:?}");
            }
            // and it was asked for
            let later = &log.requests[named..];
            assert!(
                later
                    .iter()
                    .any(|it| it.method == "HEAD" && it.path.ends_with(&format!("{repository}/manifests/{tag}")))
            );
        }
        assert!(log.requests.iter().all(|request| request.agent.starts_with("barge/")), "{log:?}");
    }
}

#[test]
fn a_second_push_sends_nothing() {
    let Some(bench) = Bench::new(&[]) else { return };
    let [app, _] = two_images(&bench, "dist");
    let registry = Distribution::start(Mode::Plain);
    let push = format!("push --json dist {}", registry.host());
    let first = bench.ok(&push).json();
    assert_eq!(first["results"][0]["unchanged"], false);
    registry.forget_log();
    let second = bench.ok(&push).json();
    let log = registry.log();
    assert_eq!(writes(&log), [""; 0], "{log:?}");
    for result in second["results"].as_array().unwrap() {
        assert_eq!((&result["digest"], &result["unchanged"]), (&result["confirmed"], &Value::from(true)));
    }
    assert_eq!(second["results"][0]["confirmed"], app.as_str());
    let stats = &second["stats"];
    assert_eq!((&stats["uploaded"], &stats["mounted"], &stats["bytes"]), (&0.into(), &0.into(), &0.into()));
    let blobs = first["stats"]["uploaded"].as_u64().unwrap() + first["stats"]["mounted"].as_u64().unwrap();
    assert_eq!(stats["existing"], blobs);
    assert_eq!(bench.ok(&format!("push dist {}", registry.host())).stderr.lines().count(), 1);
}

#[test]
fn a_dry_run_asks_and_changes_nothing() {
    let Some(bench) = Bench::new(&[]) else { return };
    let [app, _] = two_images(&bench, "dist");
    let registry = Distribution::start(Mode::Plain);
    let push = format!("push dist {}", registry.host());
    let dry = bench.ok(&format!("{push} --dry-run --json")).json();
    let log = registry.log();
    assert_eq!(writes(&log), [""; 0], "{log:?}");
    assert!(registry.catalog().is_empty());
    assert_eq!((&dry["results"][0]["digest"], &dry["results"][0]["dryRun"]), (&app.as_str().into(), &true.into()));
    let real = bench.ok(&format!("{push} --json")).json();
    assert_eq!(dry["stats"]["bytes"], real["stats"]["bytes"]);
    assert_eq!(registry.log().received(), real["stats"]["bytes"].as_u64().unwrap());
}

#[test]
fn two_registries_get_every_blob_once() {
    let Some(bench) = Bench::new(&[]) else { return };
    let [app, other] = two_images(&bench, "dist");
    let registries = [Distribution::start(Mode::Plain), Distribution::start(Mode::Plain)];
    let [one, two] = registries.each_ref().map(Distribution::host);
    let ran = bench.ok(&format!("push --json dist {one} {two}/mirror/x"));
    assert_eq!(ran.json()["results"].as_array().unwrap().len(), 6);
    for (registry, prefix) in registries.iter().zip(["", "mirror/x/"]) {
        bench.same("dist", &app, registry, &format!("{prefix}team/app:latest"));
        bench.same("dist", &other, registry, &format!("{prefix}team/other:v2"));
        let uploads = registry.log().uploads();
        let mut once = uploads.clone();
        once.dedup();
        assert_eq!(uploads, once);
    }
    let received: u64 = registries.iter().map(|registry| registry.log().received()).sum();
    assert_eq!(ran.json()["stats"]["bytes"], received);
}

#[test]
fn one_image_goes_to_any_number_of_names() {
    let Some(bench) = Bench::new(&[]) else { return };
    let [app, _] = two_images(&bench, "dist");
    let registries = [Distribution::start(Mode::Plain), Distribution::start(Mode::Plain)];
    let [one, two] = registries.each_ref().map(Distribution::host);
    let names = format!("{one}/a:v1 {one}/a:v2 {one}/b/c:v1 {two}/d:latest docker://{two}/d:v1.2");
    let ran = bench.ok(&format!("push dist:{APP} {names}"));
    assert_eq!(ran.digests(), [app.as_str(); 5]);
    for (registry, name) in [(0, "a:v1"), (0, "a:v2"), (0, "b/c:v1"), (1, "d:latest"), (1, "d:v1.2")]
        .map(|(at, name)| (&registries[at], name))
    {
        bench.same("dist", &app, registry, name);
    }
    let (_, blobs) = bench.reach("dist", &app);
    let blobs: Vec<String> = blobs.into_iter().collect();
    let log = registries[0].log();
    assert_eq!((log.uploads(), log.mounts()), (blobs.clone(), blobs.clone()), "{log:?}");
    let log = registries[1].log();
    assert_eq!((log.uploads(), log.mounts().len()), (blobs, 0), "{log:?}");

    // several images have no name in common
    let said = bench.fails(2, &format!("push dist {one}/a:v1"));
    assert!(said.contains("HOST[/PREFIX]"), "{said}");
}

#[test]
fn names_that_are_tags_alone_need_a_repository() {
    let Some(bench) = Bench::new(&["skopeo"]) else { return };
    bench.work.run("skopeo copy -q oci:fixtures/umoci-amd64 oci:dist:v1");
    bench.work.run("skopeo copy -q oci:fixtures/umoci-amd64 oci:dist:latest");
    let registry = Distribution::start(Mode::Plain);
    let host = registry.host();
    let digest = bench.digest_of("dist", "v1");
    let said = bench.fails(2, &format!("push dist {host}"));
    assert!(said.contains(&format!("{host}/REPOSITORY:TAG")), "{said}");
    bench.fails(2, "push dist");
    assert_eq!(registry.log().requests, []);
    bench.ok(&format!("push dist {host}/team/app"));
    assert_eq!(registry.tags("team/app"), ["latest", "v1"]);
    bench.same("dist", &digest, &registry, "team/app:v1");
    bench.ok(&format!("push dist:v1 {host}/other/app:v3"));
    bench.same("dist", &digest, &registry, "other/app:v3");
}

#[test]
fn names_change_on_the_way() {
    let Some(bench) = Bench::new(&[]) else { return };
    let [app, other] = two_images(&bench, "dist");
    let registry = Distribution::start(Mode::Plain);
    let host = registry.host();
    bench.ok(&format!("push dist --map example.com/team={host}/dev --map {OTHER}={host}/x:y"));
    bench.same("dist", &app, &registry, "dev/app:v1");
    bench.same("dist", &app, &registry, "dev/app:latest");
    bench.same("dist", &other, &registry, "x:y");
    assert_eq!(registry.catalog(), ["dev/app", "x"]);
}

#[test]
fn a_tag_that_means_something_else_is_kept_when_asked_to() {
    let Some(bench) = Bench::new(&[]) else { return };
    let [app, other] = two_images(&bench, "dist");
    let registry = Distribution::start(Mode::Plain);
    let host = registry.host();
    bench.ok(&format!("push dist:{APP} {host}/app:v1"));
    registry.forget_log();
    let said = bench.fails(9, &format!("push --no-clobber dist:{OTHER} {host}/app:v2 {host}/app:v1"));
    for part in [app.as_str(), &other, "app:v1", "--no-clobber"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let log = registry.log();
    assert_eq!(writes(&log), [""; 0], "{log:?}");
    assert_eq!(registry.tags("app"), ["v1"]);
    // what means the same is no reason to refuse
    bench.ok(&format!("push --no-clobber dist:{APP} {host}/app:v1 {host}/app:v3"));
    bench.ok(&format!("push dist:{OTHER} {host}/app:v1"));
    bench.same("dist", &other, &registry, "app:v1");
}

#[test]
fn a_failure_gives_no_names_anywhere() {
    let Some(bench) = Bench::new(&[]) else { return };
    two_images(&bench, "dist");
    let registry = Distribution::start(Mode::Plain);
    let reader = Distribution::with(Mode::Plain, &Options { read_only: true, ..Options::default() });
    for other in [reader.host(), format!("127.0.0.1:{}", closed_port())] {
        let ran = bench.run(&format!("push dist {} {other}", registry.host()));
        assert!(matches!(ran.code, Some(6 | 9)), "{ran:?}");
        assert!(ran.stderr.contains(&other), "{ran:?}");
        assert_eq!((registry.tags("team/app"), registry.tags("team/other")), (vec![], vec![]));
    }
}

#[test]
fn the_rest_goes_on_when_asked_to() {
    let Some(bench) = Bench::new(&[]) else { return };
    let [app, other] = two_images(&bench, "dist");
    let registry = Distribution::start(Mode::Plain);
    let reader = Distribution::with(Mode::Plain, &Options { read_only: true, ..Options::default() });
    let down = format!("127.0.0.1:{}", closed_port());
    let ran = bench.run(&format!("push --keep-going --json dist {down} {} {}", reader.host(), registry.host()));
    assert_eq!(ran.code, Some(7), "{ran:?}");
    let report = ran.json();
    assert_eq!((&report["ok"], &report["error"]["class"]), (&false.into(), &"partial".into()));
    let failed = |name: &str| {
        let results = report["results"].as_array().unwrap();
        let result = results.iter().find(|result| result["name"] == name).unwrap_or_else(|| panic!("{name}: {report}"));
        result["error"]["class"].clone()
    };
    for (name, digest) in [("team/app:v1", &app), ("team/app:latest", &app), ("team/other:v2", &other)] {
        assert_eq!(failed(&format!("{down}/{name}")), "unreachable");
        assert_eq!(failed(&format!("{}/{name}", reader.host())), "unsupported");
        assert_eq!(failed(&format!("{}/{name}", registry.host())), Value::Null);
        bench.same("dist", digest, &registry, name);
    }
    // each blob once all the same
    let log = registry.log();
    let (blobs, others) = (bench.reach("dist", &app).1, bench.reach("dist", &other).1);
    let all: Vec<String> = blobs.union(&others).cloned().collect();
    let shared: Vec<String> = blobs.intersection(&others).cloned().collect();
    assert_eq!((log.uploads(), log.mounts()), (all, shared), "{log:?}");
}

/// A port where nobody listens.
pub(crate) fn closed_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_platform_goes_alone() {
    let Some(bench) = Bench::new(&[]) else { return };
    two_images(&bench, "dist");
    let registry = Distribution::start(Mode::Plain);
    let ran = bench.ok(&format!("push --platform linux/arm64,linux/s390x dist:{APP} {}/app:v1", registry.host()));
    let index = registry.manifest("app", "v1").unwrap();
    assert_eq!(ran.digests(), [index.digest]);
    let index: Value = serde_json::from_slice(&index.bytes).unwrap();
    let platforms: Vec<&Value> =
        index["manifests"].as_array().unwrap().iter().map(|entry| &entry["platform"]["architecture"]).collect();
    assert_eq!(platforms, ["arm64", "s390x"]);
    bench.ok(&format!("verify --deep docker://{}/app:v1", registry.host()));
}

#[test]
fn a_wrong_blob_stops_the_push_before_any_name() {
    let Some(bench) = Bench::new(&[]) else { return };
    let layers = bench.layers("dist", "example.com/app:v1", 7, &[300_000; 4]);
    let path = bench.work.path(&format!("dist/blobs/{}", layers[2].replace(':', "/")));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[200_000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let registry = Distribution::start(Mode::Plain);
    let said = bench.fails(4, &format!("push dist {}", registry.host()));
    assert!(said.contains(&layers[2]), "{said}");
    assert_eq!((registry.tags("app"), registry.blob("app", &layers[2])), (vec![], None));
}

#[test]
fn two_pushes_at_once_both_arrive() {
    let Some(bench) = Bench::new(&[]) else { return };
    let [app, other] = two_images(&bench, "dist");
    let registry = Distribution::start(Mode::Plain);
    let started: Vec<_> = (0..3).map(|_| bench.start(&format!("push dist {}", registry.host()))).collect();
    for started in started {
        let ran = started.end();
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    bench.same("dist", &app, &registry, "team/app:latest");
    bench.same("dist", &other, &registry, "team/other:v2");
}

#[test]
fn an_image_of_a_registry_goes_on_from_there() {
    let Some(bench) = Bench::new(&[]) else { return };
    let [app, _] = two_images(&bench, "dist");
    let registries = [Distribution::start(Mode::Plain), Distribution::start(Mode::Plain)];
    let [one, two] = registries.each_ref().map(Distribution::host);
    bench.ok(&format!("push dist:{APP} {one}/team/app:v1"));
    registries[0].forget_log();
    let source = format!("docker://{one}/team/app:v1");
    // in the same registry nothing crosses the network but documents
    let stats = bench.ok(&format!("push --json {source} {one}/other/app:v2")).json()["stats"].clone();
    assert_eq!((&stats["uploaded"], &stats["mounted"]), (&0.into(), &15.into()), "{stats}");
    let log = registries[0].log();
    assert_eq!((log.received(), log.mounts().len()), (0, 15), "{log:?}");
    bench.same("dist", &app, &registries[0], "other/app:v2");
    bench.ok(&format!("push {source} {two}/x/app:v1 {two}/x/app:v2"));
    bench.same("dist", &app, &registries[1], "x/app:v2");
    assert_eq!(bench.ok(&format!("push {source}")).stderr.lines().count(), 1);
}

#[test]
fn an_index_that_lists_what_is_not_there_is_refused_with_a_way_out() {
    let Some(bench) = Bench::new(&[]) else { return };
    two_images(&bench, "dist");
    let registry = Distribution::start(Mode::Plain);
    let push = format!("push --platform linux/arm64 dist:{APP} {}/app:v1", registry.host());
    let said = bench.fails(4, &format!("{push} --index keep"));
    assert!(said.contains("leave out --index keep"), "{said}");
    assert_eq!(registry.tags("app"), [""; 0]);
    bench.ok(&push);
}
