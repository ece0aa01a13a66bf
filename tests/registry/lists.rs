//! `barge manifest` and registries: documents come here, layers stay there until somebody needs them.

use std::fs;

use serde_json::Value;

use crate::bench::Bench;
use crate::distribution::log::Log;
use crate::distribution::{Distribution, Mode};
use crate::images::SIX;

const LIST: &str = "example.com/team/list:v1";

/// Every request that could have changed something.
fn writes(log: &Log) -> Vec<String> {
    let is_write = |method: &str| !matches!(method, "GET" | "HEAD");
    log.requests.iter().filter(|request| is_write(&request.method)).map(|request| format!("{request:?}")).collect()
}

/// The blobs that were fetched, sorted.
fn fetched_blobs(log: &Log) -> Vec<String> {
    let found = log.of("GET", "/blobs/").into_iter().filter(|request| request.status == 200);
    let mut digests: Vec<String> = found.map(|request| request.path.rsplit_once('/').unwrap().1.to_owned()).collect();
    digests.sort();
    digests
}

/// Puts a list of images for six platforms into a registry, as `team/app:v1`, and returns its digest.
fn published(bench: &Bench, registry: &Distribution) -> String {
    let digest = bench.merged("dist", "example.com/team/app:v1");
    bench.ok(&format!("push dist {}", registry.host()));
    registry.forget_log();
    digest
}

/// The configs and the layers of an image of a layout.
fn configs_and_layers(bench: &Bench, layout: &str, digest: &str) -> (Vec<String>, Vec<String>) {
    let (documents, blobs) = bench.reach(layout, digest);
    let parsed = documents.iter().map(|it| serde_json::from_slice::<Value>(&bench.blob(layout, it)).unwrap());
    let configs: Vec<String> = parsed.filter_map(|it| Some(it["config"]["digest"].as_str()?.to_owned())).collect();
    let layers = blobs.into_iter().filter(|blob| !configs.contains(blob)).collect();
    let mut configs = configs;
    configs.sort();
    (configs, layers)
}

fn state(bench: &Bench, layout: &str) -> String {
    let lists = bench.ok(&format!("-L {layout} --json manifest ls")).json();
    lists["results"][0]["state"].as_str().unwrap().to_owned()
}

#[test]
fn a_list_of_what_is_in_a_registry_fetches_documents_alone() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let app = published(&bench, &registry);
    let (configs, layers) = configs_and_layers(&bench, "dist", &app);
    assert!(configs.len() == 6 && !layers.is_empty());

    let host = registry.host();
    let made = bench.ok(&format!("-L lists manifest create {LIST} docker://{host}/team/app:v1"));
    assert_eq!(made.digests(), [app.as_str()], "a list of what a list has is that list");
    let log = registry.log();
    assert_eq!(fetched_blobs(&log), configs, "{log:?}");
    assert_eq!(writes(&log), [""; 0]);
    for layer in &layers {
        assert!(!bench.work.path(&format!("lists/blobs/{}", layer.replace(':', "/"))).exists(), "{layer}");
    }
    for config in &configs {
        assert_eq!(bench.blob("lists", config), bench.blob("dist", config));
    }
    assert_eq!(state(&bench, "lists"), "sparse");
    let listed = bench.ok("--json ls lists").json();
    assert_eq!(
        (&listed["results"][0]["sparse"], &listed["results"][0]["missing"]),
        (&true.into(), &layers.len().into())
    );
    assert!(bench.ok("ls lists").stdout.contains(&format!("sparse, {} elsewhere", layers.len())));
    let checked = bench.run("verify lists");
    assert_eq!(checked.code, Some(4));
    let note = format!("is a sparse list: what it lacks here is in docker://{host}/team/app");
    assert!(checked.stdout.contains(&note), "{}", checked.stdout);
    // each image by its digest, in any order: the same list
    let index: Value = serde_json::from_slice(&bench.blob("dist", &app)).unwrap();
    let by_digest = index["manifests"].as_array().unwrap().iter().rev();
    let by_digest: Vec<String> =
        by_digest.map(|it| format!("docker://{host}/team/app@{}", it["digest"].as_str().unwrap())).collect();
    let again = bench.ok(&format!("-L again manifest create {LIST} {}", by_digest.join(" ")));
    assert_eq!(again.digests(), [app]);
    assert_eq!(
        bench
            .fails(2, &format!("-L again --no-network manifest add {LIST} {}", by_digest[0]))
            .matches("--no-network")
            .count(),
        1
    );
}

#[test]
fn a_push_to_the_same_registry_sends_no_layer() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let app = published(&bench, &registry);
    let host = registry.host();
    bench.ok(&format!("-L lists manifest create {LIST} docker://{host}/team/app:v1"));
    registry.forget_log();
    // the same repository: it is there
    bench.ok(&format!("-L lists manifest push {LIST} {host}/team/app:same"));
    let log = registry.log();
    assert_eq!((log.uploads(), log.mounts(), log.received()), (vec![], vec![], 0), "{log:?}");
    assert_eq!(log.count("PUT", "/manifests/"), 1, "{log:?}");
    // another one: it is taken over there, configs and all
    registry.forget_log();
    let (documents, blobs) = bench.reach("dist", &app);
    let other = bench.ok(&format!("-L lists --json manifest push --all {LIST} docker://{host}/other/list:v2")).json();
    let log = registry.log();
    assert_eq!((log.uploads(), log.received()), (vec![], 0), "{log:?}");
    assert_eq!(log.mounts(), blobs.iter().cloned().collect::<Vec<_>>(), "{log:?}");
    assert_eq!(log.count("PUT", "/manifests/"), documents.len(), "{log:?}");
    assert_eq!(fetched_blobs(&log), [""; 0], "{log:?}");
    assert_eq!(other["results"][0]["confirmed"], app.as_str());
    bench.same("dist", &app, &registry, "other/list:v2");
    // once more
    registry.forget_log();
    let again = bench.ok(&format!("-L lists manifest push {LIST} {host}/other/list:v2"));
    assert!(again.stderr.starts_with("nothing to do: everything is there"), "{}", again.stderr);
    assert_eq!(writes(&registry.log()), [""; 0]);
    // and with `push` instead
    registry.forget_log();
    bench.ok(&format!("push lists:{LIST} {host}/third/list:v1"));
    let log = registry.log();
    assert_eq!((log.uploads(), log.received()), (vec![], 0), "{log:?}");
    assert_eq!(state(&bench, "lists"), "sparse", "nothing came here");
}

#[test]
fn a_push_elsewhere_fetches_what_is_missing_on_the_way() {
    let Some(bench) = Bench::new(&[]) else { return };
    let (source, target) = (Distribution::start(Mode::Plain), Distribution::start(Mode::Plain));
    let app = published(&bench, &source);
    let (_, layers) = configs_and_layers(&bench, "dist", &app);
    // images of two registries and of a file in one list
    bench.ok(&format!("push dist:example.com/team/app:v1 --platform linux/s390x {}/more/app:v1", target.host()));
    target.forget_log();
    let list = format!(
        "-L lists manifest create {LIST} docker://{}/team/app:v1 docker://{}/more/app:v1",
        source.host(),
        target.host()
    );
    assert_eq!(bench.ok(&list).digests(), [app.as_str()]);
    source.forget_log();
    target.forget_log();
    bench.ok(&format!("-L lists manifest push {LIST} {}/new/list:v1", target.host()));
    bench.same("dist", &app, &target, "new/list:v1");
    // what the target has in another repository comes from there, the rest from the source, each once
    let (log, fetched) = (target.log(), fetched_blobs(&source.log()));
    assert!(!log.mounts().is_empty(), "{log:?}");
    assert!(fetched.iter().all(|blob| layers.contains(blob)), "{fetched:?}");
    let mounted_layers: Vec<String> = log.mounts().into_iter().filter(|it| layers.contains(it)).collect();
    let mut arrived: Vec<String> = fetched.iter().cloned().chain(mounted_layers).collect();
    arrived.sort();
    assert_eq!(arrived, layers);
    assert_eq!(writes(&source.log()), [""; 0]);
    assert_eq!(state(&bench, "lists"), "sparse", "nothing came here");
}

#[test]
fn a_source_that_is_gone_is_named() {
    let Some(bench) = Bench::new(&[]) else { return };
    let (source, target) = (Distribution::start(Mode::Plain), Distribution::start(Mode::Plain));
    published(&bench, &source);
    let host = source.host();
    bench.ok(&format!("-L lists manifest create {LIST} docker://{host}/team/app:v1"));
    let push = format!("-L lists manifest push --retry 0 {LIST} {}/new/list:v1", target.host());
    // the repository has lost a layer
    let (_, layers) = configs_and_layers(&bench, "dist", &bench.digest_of("dist", "example.com/team/app:v1"));
    let file = source.blob_file(&layers[0]);
    let kept = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    source.restart();
    let said = bench.fails(3, &push);
    let needs = format!("refers to what should be in docker://{host}/team/app, and is not");
    assert!(said.contains(&layers[0]) && said.contains("layer 2 of linux/") && said.contains(&needs), "{said}");
    assert!(target.tags("new/list").is_empty());
    fs::write(&file, kept).unwrap();
    // and the whole registry is away
    source.stop();
    let said = bench.fails(6, &push);
    let needs = format!("docker://{host}/team/app has what the list refers to and is not here");
    assert!(said.contains(&format!("cannot reach docker://{host}")) && said.contains(&needs), "{said}");
    assert!(target.tags("new/list").is_empty());
    // what stands in the list can still be looked at
    bench.ok(&format!("-L lists manifest inspect {LIST}"));
    source.restart();
    bench.ok(&push);
    assert_eq!(target.tags("new/list"), ["v1"]);
}

#[test]
fn a_list_goes_from_here_once_it_is_there() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let host = registry.host();
    let sources: Vec<String> = SIX.iter().map(|(_, fixture)| format!("fixtures/{fixture}")).collect();
    for (flag, tag) in [("--purge", "one"), ("-p", "two"), ("--rm", "three")] {
        let digest = bench.ok(&format!("-L lists manifest create {LIST} {}", sources.join(" "))).digests().remove(0);
        // not when it did not arrive
        registry.stop();
        bench.fails(6, &format!("-L lists manifest push --retry 0 {flag} {LIST} {host}/list:{tag}"));
        bench.ok(&format!("-L lists manifest exists {LIST}"));
        registry.restart();
        let dry =
            bench.ok(&format!("-L lists --dry-run manifest push {flag} --digestfile digest {LIST} {host}/list:{tag}"));
        assert_eq!(dry.digests(), [digest.as_str()]);
        bench.ok(&format!("-L lists manifest exists {LIST}"));
        assert!(!bench.work.path("digest").exists());
        bench.ok(&format!("-L lists manifest push {flag} --digestfile digest {LIST} {host}/list:{tag}"));
        assert_eq!(bench.run(&format!("-L lists manifest exists {LIST}")).code, Some(1), "{flag}");
        assert_eq!(String::from_utf8(bench.work.read("digest")).unwrap(), digest);
        assert_eq!(registry.manifest("list", tag).unwrap().digest, digest);
        fs::remove_file(bench.work.path("digest")).unwrap();
    }
    bench.fails(3, &format!("-L lists manifest push {LIST} {host}/list:four"));
}

#[test]
fn a_list_is_pushed_with_the_media_types_that_are_asked_for() {
    let Some(bench) = Bench::new(&["skopeo", "podman", "root"]) else { return };
    let registry = Distribution::start(Mode::Plain);
    published(&bench, &registry);
    let host = registry.host();
    bench.ok(&format!("-L lists manifest create {LIST} docker://{host}/team/app:v1"));
    for (format, family, config) in
        [("v2s2", "vnd.docker.", "docker.container.image"), ("oci", "vnd.oci.", "oci.image.config")]
    {
        let ran =
            bench.ok(&format!("-L lists manifest push -f {format} --digestfile digest {LIST} {host}/made/{format}:v1"));
        let top = registry.manifest(&format!("made/{format}"), "v1").unwrap();
        assert_eq!(ran.digests(), [top.digest.as_str()]);
        assert_eq!(bench.work.read("digest"), top.digest.as_bytes());
        assert!(top.media_type.contains(family), "{top:?}");
        let list: Value = serde_json::from_slice(&top.bytes).unwrap();
        assert_eq!(list["manifests"].as_array().unwrap().len(), 6);
        for entry in list["manifests"].as_array().unwrap() {
            assert!(entry["mediaType"].as_str().unwrap().contains(family), "{entry}");
            let child = registry.manifest(&format!("made/{format}"), entry["digest"].as_str().unwrap()).unwrap();
            let child: Value = serde_json::from_slice(&child.bytes).unwrap();
            assert!(child["config"]["mediaType"].as_str().unwrap().contains(config), "{child}");
        }
        bench
            .work
            .run(&format!("skopeo copy -q --all --src-tls-verify=false docker://{host}/made/{format}:v1 dir:{format}"));
        let again = bench.ok(&format!("-L lists manifest push -f {format} {LIST} {host}/made/{format}:v1"));
        assert!(again.stderr.contains("nothing to do: everything is there"), "{}", again.stderr);
        bench.work.run(&format!("podman pull -q --tls-verify=false {host}/made/{format}:v1"));
        bench.work.run("podman rmi --all --force");
    }
    // the list here is what it was
    assert_eq!(state(&bench, "lists"), "sparse");
    let said = bench.fails(2, &format!("-L lists manifest push -f v2s1 {LIST} {host}/x:v1"));
    assert!(said.contains("v2s2"), "{said}");
}

#[test]
fn what_is_elsewhere_is_not_left_out_in_silence() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    published(&bench, &registry);
    let host = registry.host();
    bench.ok(&format!("-L lists manifest create {LIST} docker://{host}/team/app:v1"));
    for line in ["save -o whole.tar", "copy"] {
        let end = if line == "copy" { "other" } else { "" };
        let said = bench.fails(4, &format!("-L lists {line} lists:{LIST} {end}"));
        assert!(said.contains(&format!("{host}/team/app")) && said.contains("--index keep"), "{said}");
        assert!(!bench.work.path("whole.tar").exists() && !bench.work.path("other/index.json").exists());
    }
    bench.ok(&format!("copy --index keep lists:{LIST} other"));
    assert_eq!(state(&bench, "other"), "sparse");
    bench.ok(&format!("save --index keep -o sparse.tar lists:{LIST}"));
}

#[test]
fn an_image_that_belongs_to_another_is_taken_when_it_is_named() {
    let Some(bench) = Bench::new(&[]) else { return };
    let registry = Distribution::start(Mode::Plain);
    let app = published(&bench, &registry);
    let host = registry.host();
    bench.ok(&format!("-L lists manifest create --annotation a=b {LIST} docker://{host}/team/app:v1"));
    bench.ok(&format!("-L lists manifest annotate {LIST} --index --subject dist:example.com/team/app:v1"));
    let pushed = bench.ok(&format!("-L lists manifest push {LIST} {host}/team/list:v1"));
    let list = pushed.digests()[0].to_owned();
    assert_ne!(list, app);
    let platform = "--platform linux/amd64";
    bench.ok(&format!("pull -o here {platform} {host}/team/list:v1"));
    bench.ok(&format!("copy {platform} docker://{host}/team/list:v1 copied"));
    bench.ok(&format!("push --referrers none docker://{host}/team/list:v1 {host}/other"));
    assert_eq!(registry.manifest("other/team/list", "v1").unwrap().digest, list);
}
