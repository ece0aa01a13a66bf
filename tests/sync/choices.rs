//! Which images are meant.

use crate::bench::Bench;

#[test]
fn each_way_to_choose_tags_takes_what_it_says() {
    let tags = ["v1.0.0", "v1.2.0", "v1.10.0", "v2.0.0-rc1", "latest", "20240923", "v1.2.0-alpine"];
    let Some(bench) = Bench::filled(&tags) else { return };
    for (choice, expected) in [
        ("['v1.0.0', latest]", &["latest", "v1.0.0"][..]),
        ("{regex: '^v1'}", &["v1.0.0", "v1.10.0", "v1.2.0", "v1.2.0-alpine"]),
        ("{regex: '^v1', exclude: alpine}", &["v1.0.0", "v1.10.0", "v1.2.0"]),
        ("{semver: '>=1.2'}", &["v1.10.0", "v1.2.0"]),
        ("{semver: '>=1.2', prereleases: true, exclude: alpine}", &["v1.10.0", "v1.2.0", "v2.0.0-rc1"]),
        ("{newest: 2}", &["v1.10.0", "v1.2.0"]),
        ("{newest: 1, semver: '~1.2'}", &["v1.2.0"]),
        ("{regex: '^(?<version>.*)-alpine$', newest: 1}", &["v1.2.0-alpine"]),
        ("{regex: .}", &["20240923", "latest", "v1.0.0", "v1.10.0", "v1.2.0", "v1.2.0-alpine", "v2.0.0-rc1"]),
    ] {
        bench.write(
            "barge.yaml",
            &format!("sync: [{{from: [{{registry: REGISTRY/org/app, tags: {choice}}}], to: [{{layout: x}}]}}]"),
        );
        let ran = bench.ok("lock -q --dry-run");
        let names: Vec<String> = expected.iter().map(|tag| format!("REGISTRY/org/app:{tag}")).collect();
        assert_eq!(ran.names(), names, "{choice}");
    }
    for (choice, code, said) in [
        ("[v9]", 3, "v9"),
        ("{semver: '>=9'}", 3, "caused by: there are 20240923, latest"),
        ("{regex: ^x}", 3, "cannot find a tag that is meant"),
    ] {
        bench.write(
            "barge.yaml",
            &format!("sync: [{{from: [{{registry: REGISTRY/org/app, tags: {choice}}}], to: [{{layout: x}}]}}]"),
        );
        let ran = bench.fails("sync", code, said);
        assert!(ran.stderr.contains("cannot use registry REGISTRY/org/app (barge.yaml:1:16)"), "{}", ran.stderr);
    }
}

#[test]
fn the_newest_by_creation_are_those_that_the_configs_say() {
    let Some(bench) = Bench::new() else { return };
    bench.write("file", "content");
    // the one that is made last has neither the last name nor the highest version
    for (tag, seconds) in [("a3", 1_000_000), ("a1", 3_000_000), ("a2", 2_000_000)] {
        let line = format!(
            "barge build -q -o made -t REGISTRY/org/app:{tag} --platform linux/amd64,linux/arm64 --from scratch --add file:/{tag}"
        );
        let line = line.replace("REGISTRY", &bench.registry.host());
        let output = bench.work.command(&line).env("SOURCE_DATE_EPOCH", seconds.to_string()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    bench.ok("push -q made");
    for source in ["registry: REGISTRY/org/app", "layout: made"] {
        for (newest, expected) in [(1, &["a1"][..]), (2, &["a1", "a2"]), (9, &["a1", "a2", "a3"])] {
            bench.write("barge.yaml", &format!(
                "sync: [{{from: [{{{source}, tags: {{newest: {newest}, by: created}}}}], to: [{{layout: x}}], platforms: [linux/arm64]}}]"
            ));
            let names: Vec<String> = expected.iter().map(|tag| format!("REGISTRY/org/app:{tag}")).collect();
            assert_eq!(bench.ok("lock -q --dry-run").names(), names, "{source} {newest}");
        }
    }
}

#[test]
fn patterns_find_repositories_places_and_names() {
    let Some(bench) = Bench::filled(&["v1"]) else { return };
    bench.ok("push -q fixtures/skopeo-arm64.tar REGISTRY/team/deep/tool:v1");
    for (name, place) in
        [("ghcr.io/a/one:v1", "in/b.tar"), ("quay.io/b/two:v2", "in/a.tar"), ("ghcr.io/c/d/three:v1", "in/c.tar")]
    {
        bench.ok(&format!("copy -q fixtures/umoci-amd64 oci:tmp-layout:{name}"));
        std::fs::create_dir_all(bench.work.path("in")).unwrap();
        bench.ok(&format!("save -q -o {place} tmp-layout:{name}"));
    }
    bench.write("in/notes.txt", "no archive");
    for (source, expected) in [
        ("{registry: 'REGISTRY/*/*', tags: [v1]}", &["REGISTRY/org/app:v1", "REGISTRY/org/both:v1"][..]),
        ("{registry: 'REGISTRY/team/**', tags: {newest: 1}}", &["REGISTRY/team/deep/tool:v1"]),
        ("{archive: 'in/*.tar'}", &["quay.io/b/two:v2", "ghcr.io/a/one:v1", "ghcr.io/c/d/three:v1"]),
        ("{archive: 'in/[ab].tar', tags: [v1]}", &["ghcr.io/a/one:v1"]),
        ("{archive: 'in/*.tar', images: ['ghcr.io/*/*']}", &["ghcr.io/a/one:v1"]),
        (
            "{archive: 'in/*.tar', images: ['ghcr.io/**', 'quay.io/b/two']}",
            &["quay.io/b/two:v2", "ghcr.io/a/one:v1", "ghcr.io/c/d/three:v1"],
        ),
        ("{layout: 'tmp-*', tags: {semver: '2'}}", &["quay.io/b/two:v2"]),
        ("{list: images.txt}", &["REGISTRY/org/app:v1", "REGISTRY/org/both:v1"]),
        ("{list: pod.yaml}", &["REGISTRY/org/both:v1"]),
    ] {
        bench.write("images.txt", "REGISTRY/org/app:v1 # one\nREGISTRY/org/both:v1\n");
        bench.write("pod.yaml", "apiVersion: v1\nkind: Pod\nspec: {containers: [{image: 'REGISTRY/org/both:v1'}]}\n");
        bench.write("barge.yaml", &format!("sync: [{{from: [{source}], to: [{{layout: x}}]}}]"));
        let mut names = expected.to_vec();
        let ran = bench.ok("lock -q --dry-run");
        let mut found = ran.names();
        found.sort_unstable();
        names.sort_unstable();
        assert_eq!(found, names, "{source}");
    }
    for (source, said) in [
        ("{registry: 'REGISTRY/x*', tags: [v1]}", "that matches x*: it lists 3"),
        ("{archive: 'out/*.tar'}", "cannot find a place that matches out/*.tar"),
        ("{archive: 'in/*.tar', tags: [v1, v9]}", "cannot find an image with the tag v9"),
        ("{layout: absent}", "absent"),
        ("{list: absent.txt}", "absent.txt"),
    ] {
        bench.write("barge.yaml", &format!("sync: [{{from: [{source}], to: [{{layout: x}}]}}]"));
        bench.fails("sync", 3, said);
    }
}
