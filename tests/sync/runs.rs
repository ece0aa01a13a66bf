//! What a file says arrives, with its digests, at every kind of target.

use serde_json::Value;

use crate::bench::Bench;

const EVERYWHERE: &str = "\
sync:
- name: everywhere
  from:
  - registry: REGISTRY/org/app
    tags: {semver: '1'}
  - registry: REGISTRY/org/both:v1
  rename: 'registry.example/mirror/{name}:{tag}'
  to:
  - layout: dist
  - archive: all.tar
  - bundle: bundle.tar
  - bundle: parts.tar
    split: 1M
  - registry: REGISTRY/copy
    rename: 'x/{repository}:{tag}-copy'
";

#[test]
fn images_go_to_every_kind_of_target_under_their_new_names() {
    let Some(bench) = Bench::filled(&["v1.0.0", "v1.1.0"]) else { return };
    bench.write("barge.yaml", EVERYWHERE);
    let before = bench.files();
    bench.registry.forget_log();
    let ran = bench.ok("sync --dry-run");
    assert_eq!(bench.files(), before, "a dry run writes nothing");
    let writes = |bench: &Bench| {
        let log = bench.registry.log();
        log.requests.iter().filter(|request| !matches!(request.method.as_str(), "GET" | "HEAD")).count()
    };
    assert_eq!(writes(&bench), 0, "nor to a registry");
    assert!(ran.stderr.contains("would write to oci:dist"), "{}", ran.stderr);
    bench.ok("sync");
    let names = ["both:v1", "app:v1.0.0", "app:v1.1.0"].map(|name| format!("registry.example/mirror/{name}"));
    let digests = [("both", "v1"), ("app", "v1.0.0"), ("app", "v1.1.0")]
        .map(|(repository, tag)| bench.digest(&format!("org/{repository}"), tag).unwrap());
    for place in ["dist", "all.tar", "bundle.tar", "parts.tar"] {
        for (name, digest) in names.iter().zip(&digests) {
            let found = bench.ok(&format!("cat manifest {place}:{name}")).stdout;
            assert_eq!(&barge::digest::Digest::of(found.as_bytes()).to_string(), digest, "{place}:{name}");
        }
        bench.ok(&format!("verify -q --deep {place}"));
    }
    for (repository, tag) in [("both", "v1"), ("app", "v1.0.0"), ("app", "v1.1.0")] {
        let copied = bench.digest(&format!("copy/x/org/{repository}"), &format!("{tag}-copy"));
        assert_eq!(copied, bench.digest(&format!("org/{repository}"), tag));
    }
    // all is there
    let before = bench.files();
    bench.registry.forget_log();
    let again = bench.ok("sync");
    assert_eq!(bench.files(), before);
    assert_eq!(writes(&bench), 0);
    assert_eq!(again.stderr.matches("nothing to do").count(), 5, "{}", again.stderr);
    // and a bundle that holds something else now is written anew
    bench.ok("push -q fixtures/skopeo-arm64.tar REGISTRY/org/both:v1");
    bench.ok("sync");
    let digest = bench.digest("org/both", "v1").unwrap();
    let found = bench.ok("cat manifest bundle.tar:registry.example/mirror/both:v1").stdout;
    assert_eq!(barge::digest::Digest::of(found.as_bytes()).to_string(), digest);
}

#[test]
fn platforms_and_places_of_layouts_are_chosen() {
    let Some(bench) = Bench::filled(&["v1"]) else { return };
    bench.write("build/.keep", "");
    bench.ok("copy -q fixtures/buildx-amd64-arm64.tar oci:build/a:ghcr.io/org/a:v1");
    bench.ok("copy -q fixtures/umoci-amd64 oci:build/b:ghcr.io/org/b:v2");
    bench.write(
        "sub/barge.yaml",
        "sync:\n- from: [{layout: '../build/*'}]\n  platforms: [linux/amd64]\n  to: [{layout: ../out}]\n",
    );
    let ran = bench.ok("sync -f sub/barge.yaml --json");
    let value: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&value["command"], &value["ok"], &value["stats"]["steps"]), (&"sync".into(), &true.into(), &1.into()));
    let results = value["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    assert_eq!(results[0]["leftOut"], serde_json::json!(["linux/arm64"]));
    assert_eq!(bench.ok("ls out").stdout.matches("linux/arm64").count(), 0);
}

#[test]
fn an_update_leaves_out_what_its_base_has() {
    let Some(bench) = Bench::filled(&["v1"]) else { return };
    bench.write("large", &"0123456789abcdef".repeat(200_000));
    bench.ok("build -q -o made -t ghcr.io/org/app:v1 --platform linux/amd64 --from scratch --add large:/large");
    bench.ok("build -q -o site -t ghcr.io/org/app:v1 --platform linux/amd64 --from scratch --add large:/large");
    bench.ok("receipt -L site -o site.json");
    bench.write(
        "barge.yaml",
        "sync:\n- from: [{layout: made}]\n  to: [{bundle: whole.tar}, {bundle: update.tar, base: [site.json]}]\n",
    );
    bench.ok("sync -q");
    let files = bench.files();
    assert!(files["update.tar"].len() < files["whole.tar"].len(), "the layer is left out");
    bench.ok("load -q -i update.tar -o site");
    assert!(bench.ok("sync").stderr.contains("oci-archive:update.tar is there"));
    // a delta is a source where its base is
    bench.write("barge.yaml", "sync: [{from: [{archive: update.tar}], to: [{layout: site}]}]");
    bench.ok("sync -q");
    bench.write("barge.yaml", "sync: [{from: [{archive: update.tar}], to: [{layout: elsewhere}]}]");
    bench.fails("sync -q", 4, "what it builds on is not there");
}

#[test]
fn what_fails_stops_the_run_or_not_as_was_asked() {
    let Some(bench) = Bench::filled(&["v1"]) else { return };
    bench.write("taken.tar", "no archive");
    bench.write(
        "barge.yaml",
        "sync:\n- {name: one, from: [{registry: 'REGISTRY/org/absent:v1'}], to: [{layout: a}, {layout: b}]}\n\
         - {name: two, from: [{registry: 'REGISTRY/org/app:v1'}], to: [{bundle: taken.tar}, {layout: c}]}\n",
    );
    bench.fails("sync", 3, "cannot use registry REGISTRY/org/absent:v1 (barge.yaml:2:22)");
    assert!(!bench.work.path("c").exists(), "nothing is written before all is found");
    let ran = bench.fails("sync --keep-going", 7, "error: 3 of 4 steps failed");
    assert!(ran.stderr.contains("a file is there that is no bundle"), "{}", ran.stderr);
    assert_eq!(bench.work.read("taken.tar"), b"no archive");
    bench.ok("verify -q c:REGISTRY/org/app:v1");
    let ran = bench.run("sync --keep-going --json");
    let value: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&value["ok"], &value["error"]["exit"]), (&false.into(), &7.into()));
    let steps: Vec<&Value> = value["results"].as_array().unwrap().iter().map(|result| &result["step"]).collect();
    assert_eq!(steps[..2], [&Value::from("one"), &"\"two\" to bundle taken.tar".into()]);
}

#[test]
fn what_a_list_left_in_a_registry_goes_along_from_there() {
    let Some(bench) = Bench::filled(&["v1"]) else { return };
    bench.ok("-L dist manifest create ghcr.io/org/list:v1 docker://REGISTRY/org/app:v1");
    bench.write("barge.yaml", "sync: [{from: [{layout: dist}], to: [{registry: REGISTRY/copy}]}]");
    let listed = bench.ok("sync").stdout;
    let digest = bench.digest("copy/org/list", "v1").unwrap();
    assert_eq!(listed, format!("{digest} REGISTRY/copy/org/list:v1\n"));
    bench.ok("pull -q -o whole REGISTRY/copy/org/list:v1");
    bench.ok("verify -q --deep whole");
}
