//! `gc`: what nothing refers to goes, and nothing else.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::FlockOperation;
use serde_json::json;

use super::bench::{Bench, listing};
use super::made::{Made, annotated, bare, belonging, dashed, digest, full, tagged, two_images};

/// What is shown, and what makes a place in which `wanted` has to stay and `gone` has to go.
struct Case {
    about: &'static str,
    made: Made,
    wanted: Vec<String>,
    /// Fields of `index.json` that nobody knows.
    top: serde_json::Value,
}

impl Case {
    /// Begins with a place that names one image; `add` returns the content that has to stay.
    fn new(about: &'static str, add: impl FnOnce(&mut Made) -> Vec<serde_json::Value>) -> Self {
        let mut made = two_images();
        let before: BTreeSet<String> = made.blobs.keys().cloned().collect();
        let wanted = add(&mut made);
        let wanted = before.into_iter().chain(wanted.iter().map(|one| digest(one).to_owned())).collect();
        Self { about, made, wanted, top: json!({}) }
    }
}

/// Adds an image that nothing names, and returns all of it.
fn hidden(made: &mut Made) -> Vec<serde_json::Value> {
    let mut alone = Made::new();
    let image = alone.image("linux/amd64", &["hidden"]);
    let index = alone.index(&[image]);
    made.blobs.extend(alone.blobs.clone());
    let mut all = vec![index.clone()];
    all.extend(alone.blobs.keys().filter(|key| *key != digest(&index)).map(|key| json!({"digest": key})));
    all
}

fn cases() -> Vec<Case> {
    const ODD: &str = "application/vnd.example.odd+json";
    let mut cases = vec![
        Case::new("an image without a name", |made| {
            let all = hidden(made);
            made.root(annotated(
                json!({"mediaType": barge::media::OCI_INDEX, "digest": all[0]["digest"],
                "size": made.blobs[digest(&all[0])].len()}),
                "x",
                "y",
            ));
            all
        }),
        Case::new("a subject that only its signature mentions", |made| {
            let all = hidden(made);
            let subject = json!({"mediaType": barge::media::OCI_INDEX, "digest": all[0]["digest"],
                "size": made.blobs[digest(&all[0])].len()});
            let signature = made.artifact("signature", Some(&subject));
            made.root(signature.clone());
            all.into_iter().chain([signature]).collect()
        }),
        Case::new("a referrer of a referrer", |made| {
            let app = bare(&made.roots[0]);
            let signature = made.artifact("signature", Some(&app));
            let of_it = made.artifact("of it", Some(&signature));
            made.root(of_it.clone());
            vec![signature, of_it, made.put("x", b"signature"), made.put("x", b"of it")]
        }),
        Case::new("a tag made of a digest", |made| {
            let all = hidden(made);
            let signature = made.artifact("signature", None);
            made.root(tagged(&signature, &format!("{}.sig", dashed(&all[0]))));
            all.into_iter().chain([signature]).collect()
        }),
        Case::new("containerd's annotation", |made| {
            let all = hidden(made);
            let signature = made.artifact("signature", None);
            made.root(belonging(signature.clone(), &all[0]));
            all.into_iter().chain([signature]).collect()
        }),
        Case::new("an annotation of the top level", |made| {
            let all = hidden(made);
            let root = made.roots[0].clone();
            made.roots[0] = annotated(root, "com.example.base", &format!("example.com/base@{}", digest(&all[0])));
            all
        }),
        Case::new("a JSON blob of an unknown type, in an image", |made| {
            let all = hidden(made);
            let odd = made.put(ODD, json!({"parts": [{"of": all[0]["digest"]}]}).to_string().as_bytes());
            let config = made.put("application/vnd.oci.empty.v1+json", b"{}");
            let manifest = json!({"schemaVersion": 2, "config": config, "layers": [odd]});
            let manifest = made.document(barge::media::OCI_MANIFEST, &manifest);
            made.root(manifest.clone());
            all.into_iter().chain([odd, manifest]).collect()
        }),
        Case::new("a document of an unknown type at the top", |made| {
            let all = hidden(made);
            let odd = made.put(ODD, json!({"mediaType": ODD, "a": {"b": all[0]["digest"]}}).to_string().as_bytes());
            made.root(odd.clone());
            all.into_iter().chain([odd]).collect()
        }),
        Case::new("a mention in what is only mentioned, without a type", |made| {
            let all = hidden(made);
            let first = made.put("x", json!({"next": all[0]["digest"]}).to_string().as_bytes());
            let second = made.put("x", json!([first["digest"]]).to_string().as_bytes());
            let root = made.roots[0].clone();
            made.roots[0] = annotated(root, "com.example.more", digest(&second));
            all.into_iter().chain([first, second]).collect()
        }),
        Case::new("a label in a config", |made| {
            let all = hidden(made);
            let config = json!({"os": "linux", "architecture": "amd64",
                "config": {"Labels": {"base": all[0]["digest"]}}, "rootfs": {"type": "layers", "diff_ids": []}});
            let config = made.document(barge::media::OCI_CONFIG, &config);
            let manifest = json!({"schemaVersion": 2, "config": config, "layers": []});
            let manifest = made.document(barge::media::OCI_MANIFEST, &manifest);
            made.root(tagged(&manifest, "labelled"));
            all.into_iter().chain([config, manifest]).collect()
        }),
        Case::new("an annotation and an unknown field of a manifest", |made| {
            let all = hidden(made);
            let alone = made.put("x", b"alone");
            let config = made.put("application/vnd.oci.empty.v1+json", b"{}");
            let manifest = json!({"schemaVersion": 2, "config": config, "layers": [], "x-more": [alone["digest"]],
                "annotations": {"base": all[0]["digest"]}});
            let manifest = made.document(barge::media::OCI_MANIFEST, &manifest);
            made.root(tagged(&manifest, "annotated"));
            all.into_iter().chain([manifest, alone]).collect()
        }),
        Case::new("a subject that is a layer of some sort", |made| {
            let all = hidden(made);
            // JSON under the type of a layer, which an image uses and an annotation mentions
            let text = json!({"mediaType": ODD, "next": all[0]["digest"]}).to_string();
            let image = made.image("linux/amd64", &[&text]);
            let layer = made.put("x", text.as_bytes());
            made.root(annotated(image, "com.example.list", digest(&layer)));
            all.into_iter().chain([layer]).collect()
        }),
    ];
    let mut unknown = Case::new("a field of index.json that nobody knows", hidden);
    let last = unknown.made.blobs.keys().find(|key| !two_images().blobs.contains_key(*key)).cloned();
    let hidden: Vec<String> =
        unknown.made.blobs.keys().filter(|key| !two_images().blobs.contains_key(*key)).cloned().collect();
    assert!(last.is_some());
    unknown.top = json!({"x-unknown": {"all": hidden}, "annotations": {"a": "b"}});
    cases.push(unknown);
    cases
}

#[test]
fn whatever_mentions_a_blob_keeps_it() {
    for Case { about, mut made, wanted, top } in cases() {
        let bench = Bench::new();
        let stray = made.put("x", b"a stray layer");
        let stray_image = made.image("linux/s390x", &["of a stray image"]);
        made.layout(&bench.path("layout"));
        let mut index: serde_json::Value = serde_json::from_slice(&made.index_json()).unwrap();
        index.as_object_mut().unwrap().extend(top.as_object().unwrap().clone());
        fs::write(bench.path("layout/index.json"), index.to_string()).unwrap();
        let dry = bench.ok("gc --dry-run --grace 0 layout");
        assert_eq!(bench.blobs("layout").len(), made.blobs.len());
        let ran = bench.ok("gc --grace 0 layout");
        assert_eq!(ran.text(), dry.text(), "{about}");
        let blobs = bench.blobs("layout");
        for one in &wanted {
            let text = String::from_utf8_lossy(&made.blobs[one]).into_owned();
            assert!(blobs.contains(one), "{about}: {one} went: {text}");
        }
        let gone = ran.digests();
        for one in [&stray, &stray_image] {
            assert!(gone.contains(&digest(one).to_owned()) && !blobs.contains(&digest(one).to_owned()), "{about}");
        }
        assert!(gone.len() >= 3, "{about}: {gone:?}");
        assert_eq!(blobs.len() + gone.len(), made.blobs.len(), "{about}");
        bench.verify("layout");
        bench.ok("gc --grace 0 layout").says("removed 0 blobs");
    }
}

#[test]
fn what_lost_its_name_goes() {
    let bench = Bench::new();
    let made = two_images();
    made.layout(&bench.path("layout"));
    bench.ok("tag layout:db:v3 app:v1");
    let json = bench.ok("gc --json --grace 0 layout").json();
    let result = &json["results"][0];
    assert_eq!(result["removed"].as_array().unwrap().len(), made.blobs.len() - 8);
    assert_eq!((&result["kept"], &result["dryRun"]), (&json!(8), &json!(false)));
    assert_eq!(bench.blobs("layout").len(), 8);
    bench.verify("layout");
    bench.ok("rm layout:db:v3 layout:app:v1");
    bench.ok("-L layout gc --grace 0s");
    assert!(bench.blobs("layout").is_empty());
    bench.ok("gc --grace 0 layout");
    bench.ok("gc --grace 0 oci:layout");
}

#[test]
fn the_young_stay_until_their_time_has_come() {
    let bench = Bench::new();
    let mut made = two_images();
    let stray = digest(&made.put("x", b"stray")).to_owned();
    made.layout(&bench.path("layout"));
    bench.ok("gc layout").says("1 blob younger than --grace stay");
    let file = File::options().write(true).open(bench.blob("layout", &stray)).unwrap();
    for (age, grace, stays) in [(0_i64, "0", false), (3700, "1h", false), (3500, "1h", true), (-100, "0", true)] {
        let at = SystemTime::now();
        let time = if age < 0 { at + Duration::from_secs(100) } else { at - Duration::from_secs(age.unsigned_abs()) };
        file.set_modified(time).unwrap();
        let listed = bench.ok(&format!("gc --dry-run --grace {grace} layout")).digests().contains(&stray);
        assert_eq!(!listed, stays, "{age} s old, {grace}");
    }
    bench.age("layout");
    bench.ok("gc layout").says("removed 1 blob");
    bench.exits(2, "gc --grace soon layout");
}

#[test]
fn what_it_does_not_know_is_not_touched() {
    let bench = Bench::new();
    let mut made = two_images();
    let target = digest(&made.put("x", b"what a link leads to")).to_owned();
    let stray = digest(&made.put("x", b"stray")).to_owned();
    let image = made.image("linux/amd64", &["behind a link"]);
    made.root(tagged(&image, "linked"));
    let linked = digest(&made.put("x", b"behind a link")).to_owned();
    made.layout(&bench.path("layout"));
    let blobs = bench.path("layout/blobs/sha256");
    // a blob that is in use and stands there as a link to another file among the blobs
    fs::rename(bench.blob("layout", &linked), bench.blob("layout", &format!("sha256:{}", "1".repeat(64)))).unwrap();
    symlink("1".repeat(64), bench.blob("layout", &linked)).unwrap();
    fs::write(bench.path("layout/notes"), "mine").unwrap();
    fs::write(bench.path("layout/blobs/notes"), "mine").unwrap();
    fs::create_dir(bench.path("layout/blobs/md5")).unwrap();
    fs::write(bench.path("layout/blobs/md5/0123"), "mine").unwrap();
    let upper = "ABCDEF0123456789".repeat(4);
    for name in ["README", ".tmp-mine", &upper, &"0".repeat(63), &format!("{}~", "0".repeat(64))] {
        fs::write(blobs.join(name), "mine").unwrap();
    }
    fs::create_dir(blobs.join("2".repeat(64))).unwrap();
    symlink("../../notes", blobs.join("3".repeat(64))).unwrap();
    symlink("/etc/hostname", blobs.join("4".repeat(64))).unwrap();
    symlink(&target[7..], blobs.join("5".repeat(64))).unwrap();
    bench.age("layout");
    let before = listing(&bench.path("layout"));
    let ran = bench.ok("gc --grace 0 layout");
    ran.says("under blobs/ are no blobs");
    let mut after = listing(&bench.path("layout"));
    let gone: Vec<String> = before.keys().filter(|path| !after.contains_key(*path)).cloned().collect();
    let expected = [&stray, &target].map(|one| bench.blob("layout", one).to_string_lossy().into_owned());
    assert_eq!(BTreeSet::from_iter(&gone), BTreeSet::from_iter(&expected), "{}", ran.stderr);
    after.retain(|path, entry| before.get(path).is_none_or(|old| old.0 != entry.0 || old.3 != entry.3));
    after.retain(|_, entry| entry.0 != "a directory");
    assert!(after.is_empty(), "{after:?}");
    bench.verify("layout");
}

#[test]
fn only_the_leftovers_of_the_dead_go() {
    let bench = Bench::new();
    two_images().layout(&bench.path("layout"));
    let (dead, young) = (".tmp-1-0123456789abcdef", ".tmp-2-0123456789abcdef");
    let living = ".tmp-3-0123456789abcdef";
    for name in [dead, living] {
        fs::write(bench.path("layout/blobs/sha256").join(name), "part").unwrap();
    }
    fs::write(bench.path("layout/.index.json.tmp-1-0123456789abcdef"), "part").unwrap();
    bench.age("layout");
    fs::write(bench.path("layout/blobs/sha256").join(young), "part").unwrap();
    let held = File::open(bench.path("layout/blobs/sha256").join(living)).unwrap();
    rustix::fs::flock(&held, FlockOperation::LockExclusive).unwrap();
    bench.ok("gc --grace 0 --dry-run layout");
    assert!(bench.path("layout/blobs/sha256").join(dead).exists());
    bench.ok("gc --grace 0 layout").says_not("no blobs");
    let there = |name: &str| bench.path("layout/blobs/sha256").join(name).exists();
    assert_eq!((there(dead), there(young), there(living)), (false, true, true));
    assert!(!bench.path("layout/.index.json.tmp-1-0123456789abcdef").exists());
}

#[test]
fn the_first_thing_that_cannot_be_read_stops_it() {
    type Spoil = fn(&Bench, &Made);
    let cases: [(&str, i32, Spoil); 12] = [
        ("a wrong index", 4, |bench, made| bench.spoil(&bench.blob("layout", digest(&made.roots[0])))),
        ("a missing index", 4, |bench, made| fs::remove_file(bench.blob("layout", digest(&made.roots[0]))).unwrap()),
        ("a wrong manifest", 4, |bench, made| {
            let index: serde_json::Value = serde_json::from_slice(&made.blobs[digest(&made.roots[0])]).unwrap();
            bench.spoil(&bench.blob("layout", digest(&index["manifests"][1])));
        }),
        ("a missing manifest", 4, |bench, made| {
            let index: serde_json::Value = serde_json::from_slice(&made.blobs[digest(&made.roots[0])]).unwrap();
            fs::remove_file(bench.blob("layout", digest(&index["manifests"][1]))).unwrap();
        }),
        ("a directory in the place of a manifest", 4, |bench, made| {
            let index: serde_json::Value = serde_json::from_slice(&made.blobs[digest(&made.roots[0])]).unwrap();
            let path = bench.blob("layout", digest(&index["manifests"][1]));
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
        }),
        ("a wrong config", 4, |bench, made| {
            let config = made.blobs.iter().find(|(_, bytes)| bytes.starts_with(b"{\"architecture\"")).unwrap().0;
            bench.spoil(&bench.blob("layout", config));
        }),
        ("a wrong subject", 4, |bench, _| {
            let mut made = two_images();
            let subject = made.image("linux/amd64", &["subject"]);
            let signature = made.artifact("signature", Some(&subject));
            made.root(signature);
            made.layout(&bench.path("layout"));
            bench.spoil(&bench.blob("layout", digest(&subject)));
        }),
        ("a torn index.json", 4, |bench, made| {
            let bytes = made.index_json();
            fs::write(bench.path("layout/index.json"), &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("an empty index.json", 4, |bench, _| fs::write(bench.path("layout/index.json"), "").unwrap()),
        ("a link to no index.json", 4, |bench, _| {
            fs::remove_file(bench.path("layout/index.json")).unwrap();
            symlink("nothing", bench.path("layout/index.json")).unwrap();
        }),
        ("no layout", 4, |bench, _| fs::remove_file(bench.path("layout/oci-layout")).unwrap()),
        ("nothing", 3, |bench, _| fs::remove_dir_all(bench.path("layout")).unwrap()),
    ];
    for (case, code, spoil) in cases {
        let bench = Bench::new();
        let mut made = two_images();
        made.put("x", b"stray");
        made.layout(&bench.path("layout"));
        spoil(&bench, &made);
        let before = bench.listing();
        for options in ["", "--dry-run"] {
            let ran = bench.run(&format!("gc --grace 0 {options} layout"));
            assert_eq!(ran.code, code, "{case}: {}", ran.stderr);
            assert!(ran.stdout.is_empty());
        }
        assert_eq!(bench.listing(), before, "{case}");
    }
    let bench = Bench::new();
    two_images().archive(&bench.path("a.tar"));
    bench.exits(9, "gc a.tar").says("a.tar");
}

#[test]
fn it_waits_for_writers_and_they_for_it() {
    let bench = Bench::new();
    let mut made = two_images();
    made.put("x", b"stray");
    made.layout(&bench.path("layout"));
    bench.ok("save -o a.tar layout");
    let writer = File::open(bench.path("layout")).unwrap();
    rustix::fs::flock(&writer, FlockOperation::LockShared).unwrap();
    let before = listing(&bench.path("layout"));
    let started = Instant::now();
    bench.exits(8, "gc --grace 0 --lock-timeout 1 layout").says("another process holds it");
    assert!(started.elapsed() >= Duration::from_secs(1));
    bench.exits(8, "rm --gc --lock-timeout 1 layout:db:v3"); // the name is gone, the content stays
    assert_eq!(bench.roots("layout").len(), 1);
    assert!(before.keys().filter(|path| path.contains("blobs")).all(|path| fs::metadata(path).is_ok()));
    bench.ok("load -i a.tar -o layout"); // writers share
    // another gc
    drop(writer);
    let sweeper = File::open(bench.path("layout")).unwrap();
    rustix::fs::flock(&sweeper, FlockOperation::LockExclusive).unwrap();
    for line in [
        "gc --grace 0 --lock-timeout 1 layout",
        "load --lock-timeout 1 -i a.tar -o layout",
        "tag --lock-timeout 1 layout:app:v1 x:1",
        "rm --lock-timeout 1 layout:app:v1",
        "copy --lock-timeout 1 a.tar layout",
        "merge --lock-timeout 1 -t x:1 -o layout a.tar:app:v1",
    ] {
        bench.exits(8, line);
    }
    bench.verify("layout"); // readers do not wait
    let child = bench.start("load --lock-timeout 30 -i a.tar -o layout");
    std::thread::sleep(Duration::from_millis(300));
    drop(sweeper);
    let status = child.wait_with_output().unwrap().status;
    assert!(status.success());
}

#[test]
fn a_name_that_nobody_locked_for_is_seen() {
    // a program that takes no lock adds its blobs and then its name: what it has named stays
    let bench = Bench::new();
    let mut made = two_images();
    let late = made.image("linux/amd64", &["late"]);
    made.layout(&bench.path("layout"));
    let dry = bench.ok("gc --dry-run --grace 0 layout").digests();
    assert_eq!(dry.len(), 3);
    made.root(full(&late, "docker.io/library/late:v1"));
    fs::write(bench.path("layout/index.json"), made.index_json()).unwrap();
    bench.ok("gc --grace 0 layout").says("removed 0 blobs");
}
