//! `copy`: any place to any place, digests unchanged.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use serde_json::Value;

use super::bench::{Bench, files_of};
use super::made::{Made, digest, full, tagged, two_images};

/// Every kind of source, as `copy` is told of it, with what `made` holds.
fn sources(bench: &Bench, made: &Made) -> Vec<String> {
    made.layout(&bench.path("layout"));
    made.archive(&bench.path("archive.tar"));
    let packed = zstd::encode_all(&fs::read(bench.path("archive.tar")).unwrap()[..], 1).unwrap();
    fs::write(bench.path("packed.tar.zst"), packed).unwrap();
    ["layout", "archive.tar", "packed.tar.zst", "-"].map(str::to_owned).to_vec()
}

/// Copies, from standard input if the source is there.
fn copy(bench: &Bench, source: &str, target: &str) -> Vec<u8> {
    let line = format!("copy {source} {target}");
    let ran = match source {
        "-" => bench.run_with(&line, &fs::read(bench.path("archive.tar")).unwrap()),
        _ => bench.run(&line),
    };
    assert_eq!(ran.code, 0, "{line}: {}", ran.stderr);
    ran.stdout
}

#[test]
fn every_source_goes_to_every_target_with_its_digests() {
    let bench = Bench::new();
    let made = two_images();
    for (number, source) in sources(&bench, &made).into_iter().enumerate() {
        for kind in ["layout", "tar", "stream", "held", "held.tar"] {
            let target = format!("{number}-{kind}");
            let target = if kind == "tar" { format!("{target}.tar") } else { target };
            if kind.starts_with("held") {
                // something else is there already, and stays
                let mut other = Made::new();
                let image = other.image("linux/amd64", &["another"]);
                other.root(tagged(&image, "other"));
                if kind == "held" { other.layout(&bench.path(&target)) } else { other.archive(&bench.path(&target)) }
            }
            let target = if kind == "stream" {
                let stream = copy(&bench, &source, "-");
                fs::write(bench.path("stream.tar"), &stream).unwrap();
                files_of(&stream);
                "stream.tar".to_owned()
            } else {
                let printed = String::from_utf8(copy(&bench, &source, &target)).unwrap();
                assert_eq!(printed.lines().count(), 2, "{printed}");
                assert!(printed.starts_with(&format!("{} docker.io/library/app:v1\n", digest(&made.roots[0]))));
                target
            };
            bench.verify(&target);
            let roots = bench.roots(&target);
            let extra = usize::from(kind.starts_with("held"));
            assert_eq!(&roots[extra..], &made.roots[..], "{source} to {target}");
            let blobs = bench.blobs(&target);
            assert!(made.blobs.keys().all(|blob| blobs.contains(blob)), "{source} to {target}");
            assert_eq!(blobs.len(), made.blobs.len() + 3 * extra, "{source} to {target}: nothing more");
        }
    }
}

#[test]
fn a_docker_archive_is_a_source_and_no_target() {
    let bench = Bench::new();
    two_images().layout(&bench.path("layout"));
    bench.ok("save -o docker.tar --format docker --platform linux/amd64 layout:app:v1 layout:db:v3");
    bench.ok("copy docker.tar other");
    bench.ok("copy docker-archive:docker.tar:docker.io/library/app:v1 one");
    bench.verify("other");
    bench.verify("one");
    let name = |root: &Value| root["annotations"]["io.containerd.image.name"].as_str().unwrap().to_owned();
    assert_eq!(
        bench.roots("other").iter().map(name).collect::<Vec<_>>(),
        ["docker.io/library/app:v1", "docker.io/library/db:v3"]
    );
    assert_eq!(bench.roots("one").len(), 1);
    bench.exits(9, "copy layout docker-archive:new.tar").says("hint: write FILE.tar");
    bench.exits(9, "copy layout:app:v1 docker.tar").says("it is a docker-archive");
}

#[test]
fn one_image_takes_nothing_of_the_others_along() {
    let bench = Bench::new();
    let made = two_images();
    made.layout(&bench.path("layout"));
    for word in ["layout:db:v3", "layout:docker.io/library/db:v3", "oci:layout:v3", "layout@1"] {
        let target = format!("to{}.tar", word.len());
        bench.ok(&format!("copy {word} {target}"));
        assert_eq!(bench.roots(&target), made.roots[1..], "{word}");
        assert_eq!(bench.blobs(&target).len(), 8, "{word}");
    }
}

#[test]
fn an_image_gets_a_new_name_on_the_way_and_several_destinations() {
    let bench = Bench::new();
    let made = two_images();
    made.layout(&bench.path("layout"));
    let ran = bench.ok("copy layout:app:v1 oci:a:x/app:v2 b.tar:other:latest ./c ./d.tar");
    assert_eq!(ran.digests(), vec![digest(&made.roots[0]); 4]);
    assert_eq!(bench.roots("a"), [full(&made.roots[0], "docker.io/x/app:v2")]);
    assert_eq!(bench.roots("b.tar"), [full(&made.roots[0], "docker.io/library/other:latest")]);
    assert_eq!(bench.roots("c"), made.roots[..1]);
    assert_eq!(bench.roots("d.tar"), made.roots[..1]);
    bench.exits(2, "copy layout e:x:1").says("cannot name 2 images");
    bench.exits(2, "copy layout:app:v1 a@0");
    // within one layout
    bench.ok("copy layout:app:v1 layout:app:v9");
    assert_eq!(bench.roots("layout").len(), 3);
    bench.ok("-L layout copy :app:v9 :app:v10");
    assert_eq!(bench.roots("layout").len(), 4);
}

#[test]
fn nothing_is_written_when_one_of_several_destinations_cannot_be() {
    let bench = Bench::new();
    two_images().layout(&bench.path("layout"));
    fs::write(bench.path("file.tar"), "no archive").unwrap();
    let before = bench.listing();
    bench.exits(3, "copy layout:app:v1 ok missing/parent/layout");
    bench.exits(4, "copy layout:app:v1 ok.tar file.tar");
    bench.exits(2, "copy layout:app:v1 ok.tar x:UPPER:CASE");
    bench.exits(6, "copy layout:app:v1 ok.tar docker://127.0.0.1:1/x");
    assert_eq!(bench.listing(), before);
}

#[test]
fn a_stream_among_the_destinations_holds_nothing_but_the_archive() {
    let bench = Bench::new();
    let made = two_images();
    made.layout(&bench.path("layout"));
    let stream = bench.ok("copy layout:app:v1 a - b.tar").stdout;
    assert_eq!(stream, bench.ok("copy layout:app:v1 -").stdout);
    bench.exits(2, "copy --json layout:app:v1 -").says("standard output");
    bench.exits(2, "save --json -o - layout:app:v1").says("standard output");
}

#[test]
fn content_that_is_there_is_checked_and_not_copied_again() {
    let bench = Bench::new();
    let made = two_images();
    made.layout(&bench.path("layout"));
    bench.ok("copy layout:app:v1 target");
    let inodes = || {
        let inode = |digest: &String| fs::metadata(bench.blob("target", digest)).unwrap().ino();
        bench.blobs("target").iter().map(|digest| (digest.clone(), inode(digest))).collect::<Vec<_>>()
    };
    let (before, first) = (inodes(), bench.listing());
    bench.ok("copy layout:app:v1 target").says("nothing to do");
    assert_eq!(bench.listing(), first);
    bench.ok("copy layout target");
    assert!(before.iter().all(|blob| inodes().contains(blob)));
    // what is wrong there is replaced, and said
    let (wrong, inode) = &before[3];
    bench.spoil(&bench.blob("target", wrong));
    bench.ok("copy layout target").says("was wrong").says("replaced");
    assert!(!inodes().contains(&(wrong.clone(), *inode)));
    bench.verify("target");
}

#[test]
fn a_wrong_or_missing_blob_stops_it_and_nothing_is_named() {
    let made = two_images();
    let layer = super::made::digest(&two_images().put("x", b"app for linux/arm64")).to_owned();
    for (case, code) in [("flip", 4), ("cut", 4), ("gone", 4), ("empty", 4)] {
        for from in ["layout", "archive.tar"] {
            for to in ["new", "new.tar", "held"] {
                let bench = Bench::new();
                let mut spoilt = made.clone();
                let mut bytes = spoilt.blobs[&layer].clone();
                match case {
                    "flip" => bytes[0] ^= 1,
                    "cut" => bytes.truncate(5),
                    "empty" => bytes.clear(),
                    _ => {}
                }
                if case == "gone" {
                    spoilt.blobs.remove(&layer)
                } else {
                    spoilt.blobs.insert(layer.clone(), bytes)
                };
                if from == "layout" {
                    spoilt.layout(&bench.path(from));
                } else {
                    spoilt.archive(&bench.path(from));
                }
                two_images().layout(&bench.path("good"));
                bench.ok("copy good:db:v3 held");
                let before = fs::read(bench.path("held/index.json")).unwrap();
                let ran = bench.exits(code, &format!("copy {from} {to}"));
                ran.says("layer 2 of linux/arm64").says(&layer);
                assert_eq!(fs::read(bench.path("held/index.json")).unwrap(), before);
                assert!(!bench.path("new.tar").exists() && !bench.path("new/index.json").exists());
                if bench.path("new").is_dir() {
                    assert!(!bench.blobs("new").contains(&layer), "{case}");
                }
            }
        }
    }
}

#[test]
fn images_without_a_name_and_flat_indexes_arrive_as_they_are() {
    let bench = Bench::new();
    let mut made = Made::new();
    let (amd64, arm64) = (made.image("linux/amd64", &["a"]), made.image("linux/arm64", &["b"]));
    let unnamed = made.image("linux/s390x", &["c"]);
    made.root(tagged(&amd64, "v1")).root(tagged(&arm64, "v1")).root(unnamed);
    for source in sources(&bench, &made) {
        for target in ["unnamed", "unnamed.tar", "unnamed"] {
            copy(&bench, &source, target);
            assert_eq!(bench.roots(target), made.roots, "{source} to {target}");
        }
    }
    bench.exits(3, "copy layout:v1 one").says("cannot choose among 2 images");
}

#[test]
fn an_image_that_has_another_type_elsewhere_arrives_whole() {
    let bench = Bench::new();
    let mut made = Made::new();
    let image = made.image("linux/amd64", &["a"]);
    // nobody knows what that is: it is a file like any other
    let mut unknown = image.clone();
    unknown["mediaType"] = "application/vnd.example.thing".into();
    let index = made.index(&[unknown.clone(), image.clone()]);
    for (case, roots) in [("first", [unknown.clone(), tagged(&image, "v1")]), ("last", [tagged(&image, "v1"), unknown])]
    {
        made.roots = roots.to_vec();
        made.root(tagged(&index, "v2"));
        let source = format!("{case}-in");
        made.layout(&bench.path(&source));
        for line in
            ["copy {in} {to}", "copy {in} {to}.tar", "save -L {in} -o {to}-saved.tar", "load -i {in} -o {to}-loaded"]
        {
            let line = line.replace("{in}", &source).replace("{to}", case);
            bench.ok(&line);
            let target = line.split(' ').next_back().unwrap();
            bench.verify(target);
            for root in bench.roots(target) {
                assert!(made.roots.contains(&root), "{line}: {root}");
            }
            // what has no name is not listed beside its own name
            assert!(bench.roots(target).len() >= 2, "{line}");
        }
    }
}
