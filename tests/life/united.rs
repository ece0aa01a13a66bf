//! Lists of referrers under the fallback tag that meet in one place, and what of referrers stays behind.

use serde_json::{Value, json};

use super::bench::Bench;
use super::made::{Made, bare, belonging, dashed, digest, tagged, two_images};

/// Two images with the list of referrers of the first one, with fields of its own.
fn listing(texts: &[&str], fields: &Value) -> Made {
    let mut made = two_images();
    let app = bare(&made.roots[0]);
    let entries: Vec<Value> = texts.iter().map(|text| made.artifact(text, Some(&app))).collect();
    let mut list = json!({"schemaVersion": 2, "mediaType": barge::media::OCI_INDEX, "manifests": entries});
    list.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let list = made.document(barge::media::OCI_INDEX, &list);
    let name = dashed(&app);
    made.root(tagged(&list, &name));
    made
}

/// Returns what stands under the fallback tag of the first image in a layout: its descriptor, and the list.
fn list_in(bench: &Bench, place: &str) -> (Value, Value) {
    let name = dashed(&two_images().roots[0]);
    let is_it = |root: &Value| root["annotations"]["org.opencontainers.image.ref.name"] == json!(name);
    let mut found = bench.roots(place).into_iter().filter(is_it);
    let root = found.next().unwrap();
    assert!(found.next().is_none(), "two of that name in {place}");
    let list = bench.ok(&format!("cat manifest {place}@{}", digest(&root))).stdout;
    (root, serde_json::from_slice(&list).unwrap())
}

/// Returns the digests of the artifacts with some texts.
fn artifacts(texts: &[&str]) -> Vec<String> {
    let mut made = two_images();
    let app = bare(&made.roots[0]);
    texts.iter().map(|text| digest(&made.artifact(text, Some(&app))).to_owned()).collect()
}

fn entries(list: &Value) -> Vec<String> {
    list["manifests"].as_array().unwrap().iter().map(|entry| digest(entry).to_owned()).collect()
}

#[test]
fn two_lists_of_one_image_become_one_wherever_they_meet() {
    let ours = listing(&["one", "two"], &json!({"x-ours": [1]}));
    let theirs = listing(&["two", "three"], &json!({"annotations": {"by": "theirs"}}));
    for (number, (target, line)) in [
        ("theirs", "copy ours theirs"),
        ("theirs", "copy ours:app:v1 theirs"),
        ("theirs.tar", "copy ours theirs.tar"),
        ("theirs", "load -i ours.tar -o theirs"),
        ("theirs.tar", "merge -o theirs.tar -t app:v1 ours:app:v1"),
    ]
    .into_iter()
    .enumerate()
    {
        let bench = Bench::new();
        for (made, name) in [(&ours, "ours"), (&theirs, "theirs")] {
            made.layout(&bench.path(name));
            made.archive(&bench.path(&format!("{name}.tar")));
        }
        let before = bench.listing();
        bench.ok(&format!("{line} --dry-run"));
        assert_eq!(bench.listing(), before, "{line}");
        if number == 4 {
            // the index is a new one, and what belongs to the old one stays behind
            bench.ok(line).says("left behind: 2 referrers of").says_not("lists 3 referrers");
            continue;
        }
        bench.ok(line).says("lists 3 referrers in").says("2 of them as before").says_not("lost the name");
        let (root, list) = list_in(&bench, target);
        assert_eq!(entries(&list), artifacts(&["two", "three", "one"]), "{line}");
        assert_eq!((&list["x-ours"], &list["annotations"]["by"]), (&json!([1]), &json!("theirs")), "{line}");
        bench.verify(target);
        let listed = bench.ok(&format!("referrers {target}:app:v1")).text();
        assert_eq!(listed.matches("fallback tag").count(), 3, "{listed}");
        // neither side changes it again, nor does a copy of it
        for again in [line, &format!("copy {target} {target}-2"), &format!("copy theirs {target}-2")] {
            bench.ok(again).says_not("lists 3");
        }
        assert_eq!(list_in(&bench, target).0, root, "{line}");
        assert_eq!(list_in(&bench, &format!("{target}-2")).0, root, "{line}");
    }
}

#[test]
fn lists_that_come_together_become_one() {
    let bench = Bench::new();
    listing(&["one", "two"], &json!({})).layout(&bench.path("a"));
    listing(&["two", "three"], &json!({})).layout(&bench.path("b"));
    bench.ok("save -o both.tar a b").says("several lists became").says("2 images, 3 referrers");
    assert_eq!(entries(&list_in(&bench, "both.tar").1), artifacts(&["one", "two", "three"]));
    bench.verify("both.tar");
}

#[test]
fn a_list_that_says_all_of_the_other_is_taken_as_it_is() {
    let bench = Bench::new();
    let (less, more) = (listing(&["one"], &json!({})), listing(&["zero", "one"], &json!({"x": 1})));
    less.layout(&bench.path("less"));
    more.layout(&bench.path("more"));
    more.layout(&bench.path("target"));
    bench.ok("copy less target").says_not("lists 2 referrers");
    assert_eq!(bench.roots("target"), more.roots);
    bench.ok("copy more less").says("lists 2 referrers in oci:less, 1 of them as before");
    assert_eq!(bench.roots("less"), more.roots);
}

#[test]
fn what_is_no_list_is_neither_replaced_nor_does_it_replace_one() {
    let bench = Bench::new();
    let mut image = two_images();
    let name = dashed(&image.roots[0]);
    let index: Value = serde_json::from_slice(&image.blobs[digest(&image.roots[0])]).unwrap();
    let other = tagged(&bare(&index["manifests"][0]), &name);
    image.root(other);
    image.layout(&bench.path("image"));
    let list = listing(&["one"], &json!({}));
    list.layout(&bench.path("list"));
    let damaged = listing(&["two"], &json!({}));
    damaged.layout(&bench.path("damaged"));
    std::fs::write(bench.blob("damaged", digest(&damaged.roots[2])), b"{").unwrap();
    let before = bench.listing();
    for (line, says) in [
        ("copy list image", "it is no index, and something else would be lost"),
        ("copy image list", "is no index, and would take its place"),
        ("copy list damaged", "it is not replaced"),
    ] {
        bench.exits(4, line).says(says).says("--digest-tags=false");
        assert_eq!(bench.listing(), before, "{line}");
    }
    bench.ok("copy --digest-tags=false list:app:v1 image");
}

#[test]
fn a_list_that_is_written_meanwhile_is_never_lost() {
    let names = ["one", "two", "three", "four", "five", "six"];
    let bench = Bench::new();
    for name in names {
        listing(&[name], &json!({})).layout(&bench.path(name));
    }
    let children: Vec<_> = names.iter().map(|name| bench.start(&format!("copy --no-sync {name} target"))).collect();
    let codes: Vec<_> =
        children.into_iter().map(|child| child.wait_with_output().unwrap().status.code().unwrap()).collect();
    let mut there = entries(&list_in(&bench, "target").1);
    let mut expected: Vec<String> =
        names.iter().zip(&codes).filter(|(_, code)| **code == 0).flat_map(|(name, _)| artifacts(&[name])).collect();
    there.sort();
    expected.sort();
    assert!(codes.iter().all(|code| [0, 8].contains(code)) && !expected.is_empty(), "{codes:?}");
    assert_eq!(there, expected, "{codes:?}");
    bench.verify("target");
}

#[test]
fn what_of_a_whole_place_stays_behind_is_told_by_its_reason() {
    let bench = Bench::new();
    let mut made = listing(&["one", "two"], &json!({}));
    let index: Value = serde_json::from_slice(&made.blobs[digest(&made.roots[0])]).unwrap();
    let of_arm64 = made.typed("of arm64", "test/note", Some(&index["manifests"][1]));
    let of_it = made.typed("of that", "test/note", Some(&of_arm64));
    let stranger = made.typed("of nothing here", "test/note", None);
    let nowhere = json!({"digest": format!("sha256:{}", "0".repeat(64))});
    made.root(of_arm64).root(of_it).root(belonging(stranger, &nowhere));
    made.layout(&bench.path("dist"));
    let index_line = "left behind: 2 referrers of sha256:";
    let unchosen = |number: &str| format!("left behind: {number} not asked for");
    let subject = "left behind: 2 referrers of platforms or referrers that stay behind";
    let stranger = "left behind: 1 referrer of what is not there itself";
    for (number, (options, left, says, says_not)) in [
        ("", 0, vec![], vec!["left behind".to_owned()]),
        (
            "--platform linux/amd64",
            5,
            vec![index_line.to_owned(), subject.to_owned(), stranger.to_owned()],
            vec!["not asked for".to_owned()],
        ),
        ("--referrers none", 5, vec![unchosen("5 referrers that were")], vec![subject.to_owned()]),
        ("--referrers test/note", 3, vec![unchosen("2 referrers that were"), stranger.to_owned()], vec![]),
        ("--digest-tags=false", 3, vec![unchosen("2 referrers that were"), stranger.to_owned()], vec![]),
    ]
    .into_iter()
    .enumerate()
    {
        let ran = bench.ok(&format!("--json copy --no-sync {options} dist to-{number}"));
        for text in says {
            ran.says(&text);
        }
        for text in says_not {
            ran.says_not(&text);
        }
        assert_eq!(ran.json()["stats"]["referrersLeft"], json!(left), "{options}");
    }
    // of one image what belongs to it, and nothing of strangers
    let ran = bench.ok("copy --referrers none dist:app:v1 one");
    ran.says(&unchosen("4 referrers that were")).says_not(stranger);
    bench.ok("copy --referrers none dist:db:v3 two").says_not("left behind");
}

#[test]
fn a_list_counts_as_what_it_names() {
    let bench = Bench::new();
    listing(&["one", "two", "three"], &json!({})).layout(&bench.path("dist"));
    bench.ok("copy dist all").says("2 images, 3 referrers");
    let ran = bench.ok("--json copy dist:app:v1 one");
    ran.says("app:v1 brings 3 referrers").says("1 image, 3 referrers");
    assert_eq!(ran.json()["results"][0]["referrers"], json!(3));
    bench.ok("rm --keep-referrers all:app:v1");
    bench.ok("gc all").says("3 referrers of what has no name here stay");
    let ran = bench.ok("--json rm dist:app:v1");
    ran.says("3 referrers went with it");
    assert_eq!(ran.json()["stats"]["referrers"], json!(3));
}

#[test]
fn very_many_lists_take_no_longer_than_very_many_names() {
    let bench = Bench::new();
    let mut made = Made::new();
    for number in 0..3000 {
        let list = made.index(&[]);
        made.root(tagged(&list, &format!("sha256-{number:064}")));
    }
    let image = made.image("linux/amd64", &["a"]);
    made.root(tagged(&image, "v1"));
    made.layout(&bench.path("in"));
    bench.ok("copy in to");
    bench.ok("copy in to").says("nothing to do");
    assert_eq!(bench.roots("to").len(), 3001);
}

#[test]
fn more_lists_of_one_name_than_anybody_has_are_refused() {
    let bench = Bench::new();
    let mut made = two_images();
    let name = dashed(&bare(&made.roots[0]));
    for number in 0..101 {
        let fields = json!({"schemaVersion": 2, "mediaType": barge::media::OCI_INDEX, "manifests": [], "x": number});
        let list = made.document(barge::media::OCI_INDEX, &fields);
        made.root(tagged(&list, &name));
    }
    made.layout(&bench.path("in"));
    bench.exits(4, "copy in to").says("101 have that name").says("--digest-tags=false");
    assert!(!bench.path("to/index.json").exists());
    bench.ok("copy --digest-tags=false in to");
}
