//! `gc`: what nothing refers to goes, and nothing else.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::FlockOperation;
use serde_json::json;

use super::bench::{Bench, listing};
use super::made::{Made, digest, full, tagged, two_images};

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
fn what_interrupted_runs_left_of_blobs_goes_and_is_counted() {
    let bench = Bench::new();
    two_images().layout(&bench.path("layout"));
    let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
    let partial = |digit: &str| bench.path("layout/blobs/sha256").join(format!(".partial-{}", digit.repeat(64)));
    fs::write(partial("1"), vec![0; 3 << 20]).unwrap();
    fs::write(partial("2"), vec![0; 1 << 20]).unwrap();
    bench.age("layout");
    fs::write(partial("3"), "younger than --grace").unwrap();
    fs::write(partial("4"), "being written").unwrap();
    let _held = flocked(&partial("4"));
    let there = || ["1", "2", "3", "4"].map(|digit| partial(digit).exists());
    bench.verify("layout");
    bench.ok("rm --gc layout:db:v3");
    let left = "what interrupted runs left of 2 blobs, 4.0 MiB";
    bench.ok("gc --dry-run layout").says(&format!("would remove {left}"));
    assert_eq!(there(), [true; 4], "a dry run, or the removal of an image, took it");
    let ran = bench.ok("gc --json layout");
    let result = &ran.json()["results"][0];
    assert_eq!(result["partial"], json!([digest("1"), digest("2")]));
    assert_eq!(
        (&result["partialBytes"], &result["bytes"], &result["foreign"]),
        (&json!(4 << 20), &json!(0), &json!([]))
    );
    assert_eq!(there(), [false, false, true, true]);
    bench.ok("gc layout").says("what interrupted runs left of 1 blob, 20 B stays");
    bench.ok("gc --grace 0 layout");
    assert_eq!(there(), [false, false, false, true]);
}

fn flocked(path: &std::path::Path) -> File {
    let file = File::open(path).unwrap();
    rustix::fs::flock(&file, FlockOperation::LockExclusive).unwrap();
    file
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
            let config = made.blobs.iter().find(|(_, bytes)| bytes.windows(6).any(|part| part == b"rootfs")).unwrap().0;
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
    bench.exits(8, "rm --gc --lock-timeout 1 layout:db:v3"); // neither the name goes nor the content
    assert_eq!(bench.roots("layout").len(), 2);
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

#[test]
fn what_a_program_without_locks_relies_on_just_now_stays() {
    // skopeo finds a layer that is there, old and in use by nobody, writes the manifest, and names it last
    let bench = Bench::new();
    let mut made = two_images();
    let image = made.image("linux/amd64", &["an old layer"]);
    let layer = digest(&made.put("x", b"an old layer")).to_owned();
    made.layout(&bench.path("layout"));
    bench.age("layout");
    fs::write(bench.blob("layout", digest(&image)), &made.blobs[digest(&image)]).unwrap();
    bench.ok("gc layout").says("removed 0 blobs").says("1 blob younger");
    assert!(bench.blobs("layout").contains(&layer));
    bench.age("layout");
    bench.ok("gc layout").says("removed 3 blobs");
}
