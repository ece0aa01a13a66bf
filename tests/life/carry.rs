//! `--platform` and `--index`: what goes along of an image for several platforms.

use std::fs;

use serde_json::{Value, json};

use super::bench::Bench;
use super::made::{Made, digest, full, on_platform, tagged, two_images};

fn blob(bench: &Bench, layout: &str, descriptor: &Value) -> String {
    fs::read_to_string(bench.blob(layout, digest(descriptor))).unwrap()
}

fn platforms(bench: &Bench, reference: &str) -> Vec<String> {
    let document = bench.ok(&format!("inspect --json {reference}")).json()["results"][0]["document"].clone();
    let of = |entry: &Value| {
        let platform = &entry["platform"];
        format!("{}/{}", platform["os"].as_str().unwrap(), platform["architecture"].as_str().unwrap())
    };
    document["manifests"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn a_smaller_index_keeps_the_bytes_of_what_stays() {
    let bench = Bench::new();
    let mut made = Made::new();
    let images: Vec<Value> = ["linux/amd64", "linux/arm64", "linux/arm/v7"]
        .iter()
        .map(|on| on_platform(made.image(on, &["shared", on]), on))
        .collect();
    let attestations: Vec<Value> = images.iter().map(|image| made.attestation(image)).collect();
    let chart = made.artifact("a chart", None);
    // written by somebody with habits of their own
    let text = |descriptor: &Value| serde_json::to_string_pretty(descriptor).unwrap().replace("\": ", "\"  :  ");
    let entry = |at: usize| text(&images[at]).replacen('{', "{ \"x-unknown\": 1.50,", 1);
    let index = format!(
        "{{ \"x-first\": [ 1,2 ], \"schemaVersion\": 2,\n \"manifests\": [ {}, {}, {}, {}, {}, {}, {} ],\n \"annotations\": {{\"b\": \"\\u0041\"}}, \"x-last\": 1e3 }}\n",
        entry(0),
        text(&attestations[0]),
        entry(1),
        text(&attestations[1]),
        entry(2),
        text(&attestations[2]),
        text(&chart),
    );
    let index = made.put(barge::media::OCI_INDEX, index.as_bytes());
    made.root(full(&index, "docker.io/library/app:v1"));
    made.layout(&bench.path("layout"));
    for source in ["layout", "layout:app:v1"] {
        let name = format!("small{}", source.len());
        let ran = bench.ok(&format!("copy --platform linux/arm64,linux/arm/v7 {source} {name}"));
        let root = &bench.roots(&name)[0];
        ran.says("app:v1 is a smaller index now, without linux/amd64").says(&format!("was {}", digest(&index)));
        ran.says(&format!("is  {}", digest(root)));
        assert_eq!(ran.digests(), [digest(root)]);
        assert_eq!(root["annotations"], made.roots[0]["annotations"]);
        let small = blob(&bench, &name, root);
        for part in [entry(1), entry(2), text(&attestations[1]), text(&attestations[2]), text(&chart)] {
            assert!(small.contains(&part), "{small}\nlacks\n{part}");
        }
        for part in [r#""x-first":[ 1,2 ]"#, r#""annotations":{"b": "\u0041"}"#, r#""x-last":1e3"#] {
            assert!(small.contains(part), "{small}\nlacks\n{part}");
        }
        let parsed: Value = serde_json::from_str(&small).unwrap();
        assert_eq!(parsed["manifests"].as_array().unwrap().len(), 5);
        // the other platform is really gone: its manifest, config, layer, and what is said about it
        assert_eq!(bench.blobs(&name).len(), made.blobs.len() - 3 - 3, "{source}");
        assert!(!bench.blobs(&name).contains(&digest(&images[0]).to_owned()));
        bench.verify(&name);
        // the same from an archive, to an archive, and again
        bench.ok(&format!("save -o {name}.tar --platform linux/arm64,linux/arm/v7 {source}"));
        assert_eq!(bench.roots(&format!("{name}.tar")), std::slice::from_ref(root));
        bench
            .ok(&format!("copy --platform linux/arm64 --platform linux/arm/v7 {name}.tar {name}"))
            .says("nothing to do");
        bench.ok(&format!("load --platform linux/arm64,linux/arm/v7 -i {name}.tar -o {name}")).says("nothing to do");
        let _ = fs::remove_dir_all(bench.path(&name));
    }
    // all of them: nothing is made smaller
    bench.ok("copy --platform linux/amd64,linux/arm64,linux/arm layout all").says_not("smaller");
    assert_eq!(bench.roots("all"), made.roots);
}

#[test]
fn the_same_change_of_many_images_is_told_once() {
    for (number, said) in [(4, "v0 is a smaller index now"), (5, "v0 and 4 more are smaller indexes now")] {
        let bench = Bench::new();
        let mut made = Made::new();
        for at in 0..number {
            let index = made.app(&format!("app{at}"), &["linux/amd64", "linux/arm64"]);
            made.root(tagged(&index, &format!("v{at}")));
        }
        made.layout(&bench.path("layout"));
        let ran = bench.ok("copy --platform linux/arm64 layout small");
        ran.says(&format!("{said}, without linux/amd64"));
        assert_eq!(ran.stderr.matches("smaller").count(), if number > 4 { 1 } else { number }, "{}", ran.stderr);
        assert_eq!(ran.digests().len(), number);
    }
}

#[test]
fn an_index_in_an_index_is_made_smaller_too() {
    let bench = Bench::new();
    let mut made = Made::new();
    let inner = made.app("inner", &["linux/amd64", "linux/arm64"]);
    let deeper = made.index(&[inner]);
    let other = made.app("other", &["linux/s390x"]);
    let plain = on_platform(made.image("linux/ppc64le", &["plain"]), "linux/ppc64le");
    let top = made.index(&[deeper, other, plain]);
    made.root(tagged(&top, "v1"));
    made.layout(&bench.path("layout"));
    bench.ok("save --platform linux/arm64 -o a.tar layout");
    bench.verify("a.tar");
    let text = String::from_utf8(bench.files("a.tar").into_values().flatten().collect()).unwrap();
    assert!(text.contains("inner for linux/arm64"));
    for gone in ["inner for linux/amd64", "other for", "plain"] {
        assert!(!text.contains(gone), "{gone}");
    }
    bench.ok("save --platform linux/arm64,linux/s390x -o b.tar layout");
    bench.verify("b.tar");
    bench.ok("save --format docker --platform linux/s390x -o c.tar layout");
}

#[test]
fn a_platform_that_nothing_is_for_is_absent() {
    let bench = Bench::new();
    two_images().layout(&bench.path("layout"));
    let before = bench.listing();
    for (options, words) in [
        ("--platform linux/riscv64", "layout:app:v1"),
        ("--platform linux/riscv64", "layout"),
        // one that is there does not hide one that is not
        ("--platform linux/amd64,linux/riscv64", "layout:app:v1"),
        ("--platform linux/amd64,linux/riscv64", "layout"),
        ("--index keep --platform linux/amd64,linux/riscv64", "layout:app:v1"),
    ] {
        bench.exits(3, &format!("save {options} -o a.tar {words}")).says("linux/riscv64");
        bench.exits(3, &format!("copy {options} {words} other")).says("linux/riscv64");
    }
    bench.exits(2, "save --platform linux/adm64 -o a.tar layout").says("linux/adm64");
    // an image that has none of those asked for is not dropped without a word
    bench.exits(3, "save --platform linux/s390x -o a.tar layout").says("docker.io/library/db:v3");
    assert_eq!(bench.listing(), before);
    // each of several images has some of them
    bench.ok("save --platform linux/amd64,linux/s390x -o a.tar layout");
    assert_eq!(platforms(&bench, "a.tar:app:v1")[..2], ["linux/amd64", "linux/s390x"]);
    assert_eq!(platforms(&bench, "a.tar:db:v3"), ["linux/amd64", "unknown/unknown"]);
}

#[test]
fn platforms_are_known_by_every_spelling_and_by_the_config() {
    let bench = Bench::new();
    let mut made = Made::new();
    let (arm64, amd64) = (made.image("linux/arm64/v8", &["a"]), made.image("linux/amd64", &["b"]));
    let index = made.index(&[arm64, amd64.clone()]); // no platforms on the descriptors
    made.root(tagged(&index, "v1")).root(tagged(&amd64, "single"));
    made.layout(&bench.path("layout"));
    for (number, spelling) in ["linux/arm64", "linux/aarch64", "linux/arm64/v8", "arm64"].into_iter().enumerate() {
        bench.ok(&format!("copy --platform {spelling} layout:v1 to{number}"));
        assert_eq!(bench.blobs(&format!("to{number}")).len(), 4, "{spelling}");
    }
    bench.ok("copy --platform linux/amd64 layout:single one");
    assert_eq!(bench.roots("one"), made.roots[1..]);
    bench.exits(3, "copy --platform linux/arm64 layout:single two");
}

#[test]
fn a_sparse_copy_says_so_and_keeps_its_digest() {
    let bench = Bench::new();
    let made = two_images();
    made.layout(&bench.path("layout"));
    let ran = bench.ok("save --index keep --platform linux/arm64 -o sparse.tar layout:app:v1");
    ran.says("keeps its index and is sparse: without linux/amd64, linux/s390x");
    assert_eq!(ran.digests(), [digest(&made.roots[0])]);
    assert_eq!(bench.roots("sparse.tar"), made.roots[..1]);
    let json = bench.ok("copy --json --index keep --platform linux/arm64 layout:app:v1 sparse").json();
    let result = &json["results"][0];
    assert_eq!(result["sparse"], true);
    assert_eq!(result["leftOut"], json!(["linux/amd64", "linux/s390x"]));
    assert_eq!((&result["digest"], &result["from"]), (&made.roots[0]["digest"], &made.roots[0]["digest"]));
    bench.exits(4, "verify sparse");
    for source in ["sparse", "sparse.tar"] {
        // what is there of it can be taken on, as a whole smaller image or sparse again; what is not there cannot
        bench.ok(&format!("copy --platform linux/arm64 {source} small-{source}"));
        bench.verify(&format!("small-{source}"));
        bench.ok(&format!("save --format docker --platform linux/arm64 -o docker-{source} {source}"));
        bench.ok(&format!("copy --index keep --platform linux/arm64 {source} again-{source}"));
        assert_eq!(bench.roots(&format!("again-{source}")), made.roots[..1]);
        bench.exits(4, &format!("copy {source} other")).says("linux/amd64");
        bench.exits(4, &format!("copy --platform linux/amd64 {source} other")).says("linux/amd64");
    }
    // docker is told of the platform that is there
    let element: Value = serde_json::from_slice(&bench.files("sparse.tar")["manifest.json"]).unwrap();
    let config = element[0]["Config"].as_str().unwrap().to_owned();
    assert!(String::from_utf8(bench.files("sparse.tar")[&config].clone()).unwrap().contains("arm64"));
    // names can be changed and images added beside it
    bench.ok("tag sparse.tar:app:v1 app:v2");
    bench.ok("copy layout:db:v3 sparse.tar");
    bench.ok("rm sparse.tar:app:v1 sparse.tar:app:v2");
    bench.verify("sparse.tar");
    bench.ok("copy layout sparse");
    bench.verify("sparse");
}
