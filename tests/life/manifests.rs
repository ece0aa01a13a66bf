//! Lists by name, and what belongs to their images and to themselves.

use serde_json::{Value, json};

use super::bench::Bench;
use super::made::{bare, belonging, dashed, digest, tagged, two_images};

/// A layout `dist` with an image of several platforms, and what belongs to it and to its first two platforms. Returns their
/// digests.
fn with_referrers(bench: &Bench) -> [String; 2] {
    let mut made = two_images();
    let app = bare(&made.roots[0]);
    let index: Value = serde_json::from_slice(&made.blobs[digest(&app)]).unwrap();
    let (amd64, arm64) = (index["manifests"][0].clone(), index["manifests"][1].clone());
    let of_amd64 = made.typed("of amd64", "test/note", Some(&amd64));
    let of_arm64 = made.artifact("of arm64", None);
    let of_index = made.artifact("of the index", Some(&app));
    made.root(belonging(of_amd64, &amd64)).root(tagged(&of_arm64, &format!("{}.sig", dashed(&arm64)))).root(of_index);
    made.layout(&bench.path("dist"));
    [amd64, arm64].map(|manifest| digest(&manifest).to_owned())
}

#[test]
fn a_list_brings_what_belongs_to_its_images_and_says_what_it_leaves() {
    let bench = Bench::new();
    let [amd64, arm64] = with_referrers(&bench);
    let ran = bench.ok(&format!("--json -L lists manifest create list:v1 dist@{amd64}"));
    ran.says("1 platform, 1 referrer");
    assert_eq!(ran.json()["results"][0]["referrers"], json!(1));
    bench.ok(&format!("-L lists manifest add list:v1 dist@{arm64}")).says("2 platforms, 2 referrers");
    assert_eq!(bench.ok("--json referrers lists:list:v1").json()["results"].as_array().unwrap().len(), 2);
    bench.verify("lists");
    for (number, (options, referrers)) in
        [("--referrers none", 0), ("--digest-tags=false", 1), ("--referrers cosign", 1), ("", 2)]
            .into_iter()
            .enumerate()
    {
        let line = format!("--json -L lists manifest create {options} list:{number} dist@{amd64} dist@{arm64}");
        let ran = bench.ok(&line);
        assert_eq!(ran.json()["results"][0]["referrers"], json!(referrers), "{options}");
        // its name alone, and not those of what belongs to it
        assert_eq!(ran.json()["results"][0]["names"], json!([format!("docker.io/library/list:{number}")]));
    }
    // what belongs to the whole image says nothing of a list of some of it
    bench.ok("-L lists manifest create --platform linux/amd64 some:v1 dist:app:v1").says("left behind: 1 referrer of");
}

#[test]
fn what_belongs_to_a_list_is_told_when_it_changes_and_goes_with_it() {
    let bench = Bench::new();
    let [amd64, arm64] = with_referrers(&bench);
    std::fs::write(bench.path("note"), "note").unwrap();
    bench.ok(&format!("-L lists manifest create list:v1 dist@{amd64} dist@{arm64}"));
    bench.ok("attach lists:list:v1 note --type test/note");
    bench.ok("-L lists tag :list:v1 other:v1");
    // it has another name, and loses nothing
    bench.ok("-L lists manifest annotate --index --annotation a=b list:v1").says_not("left behind");
    bench.ok("-L lists manifest rm other:v1").says("1 referrer went with it");
    bench.ok("attach lists:list:v1 note --type test/note");
    let ran = bench.ok("--json -L lists manifest remove list:v1 linux/amd64");
    ran.says("left behind: 1 referrer of").says("which the name does not mean any more");
    assert_eq!(ran.json()["results"][0]["referrersLeft"].as_array().unwrap().len(), 1);
    bench.ok("-L lists manifest rm --dry-run list:v1").says("1 referrer would go with it");
    let before = bench.roots("lists").len();
    bench.ok("-L lists manifest rm --keep-referrers list:v1").says("belongs to what is removed, and stays");
    assert_eq!(bench.roots("lists").len(), before - 1);
}
