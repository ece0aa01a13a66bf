//! `load`: archives into a layout.

use std::fs;

use super::bench::{Bench, listing};
use super::made::{Made, digest, full, tagged, two_images};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");

#[test]
fn real_archives_of_every_make_load_into_one_layout() {
    let bench = Bench::new();
    let archives = [
        "buildx-amd64-arm64.tar",
        "docker-armv7.tar",
        "hybrid-ppc64le.tar",
        "skopeo-arm64.tar",
        "skopeo-docker-riscv64.tar",
    ];
    let words: Vec<_> = archives.iter().map(|name| format!("{FIXTURES}/{name}")).collect();
    let ran = bench.ok(&format!("load -i {} -o all", words.join(" ")));
    let known = fs::read_to_string(format!("{FIXTURES}/digests.txt")).unwrap();
    assert_eq!(ran.digests().len(), archives.len());
    for name in &archives {
        // a docker-archive has no manifest to be the same
        let lines = known.lines().filter(|line| line.starts_with(name) && !name.contains("docker"));
        let index = lines.clone().find(|line| line.contains(" index "));
        let top = index.or_else(|| lines.clone().find(|line| line.contains(" manifest ")));
        if let Some(top) = top {
            let digest = top.split_whitespace().nth(3).unwrap();
            assert!(ran.digests().iter().any(|known| known == digest), "{name}");
        }
    }
    bench.verify("--deep all");
    let before = bench.listing();
    for word in &words {
        bench.ok(&format!("load -i {word} -o all")).says("nothing to do");
    }
    assert_eq!(bench.listing(), before);
}

#[test]
fn blobs_are_shared_and_what_is_there_is_not_written_again() {
    let bench = Bench::new();
    let made = two_images();
    made.layout(&bench.path("layout"));
    bench.ok("save -o app.tar layout:app:v1");
    bench.ok("save -o db.tar layout:db:v3");
    bench.ok("load -i app.tar -o all");
    let before = listing(&bench.path("all/blobs"));
    let ran = bench.ok("load --json -i db.tar -o all").json();
    assert_eq!((&ran["stats"]["present"], &ran["stats"]["written"]), (&1.into(), &7.into()), "{ran}");
    let after = listing(&bench.path("all/blobs"));
    let blobs = before.iter().filter(|(_, (content, ..))| content.starts_with("sha256:"));
    assert!(blobs.clone().count() > 5);
    assert!(blobs.into_iter().all(|(path, entry)| after[path] == *entry), "a blob was written again");
    assert_eq!(bench.roots("all"), made.roots);
    let before = bench.listing();
    let ran = bench.ok("load --json -i db.tar app.tar -o all").json();
    assert_eq!(ran["stats"]["written"], 0);
    assert_eq!(bench.listing(), before);
}

#[test]
fn a_damaged_archive_is_refused_and_no_name_changes() {
    let bench = Bench::new();
    two_images().layout(&bench.path("layout"));
    bench.ok("save -o whole.tar layout");
    bench.ok("copy layout:db:v3 held");
    let whole = fs::read(bench.path("whole.tar")).unwrap();
    let of = |text: &[u8]| whole.windows(text.len()).position(|window| window == text).unwrap();
    let layer = of(b"app for linux/s390x");
    let changed = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        bytes
    };
    let index = of(b"index.json");
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a layer", changed(layer)),
        ("a tar header", changed(layer - 512 + 148)),
        ("a document", changed(of(b"schemaVersion\":2,\"mediaType"))),
        ("index.json", changed(index + 512)),
        ("cut in a layer", whole[..layer + 3].to_vec()),
        ("cut in a header", whole[..layer - 300].to_vec()),
        ("cut after the names", whole[..index + 2048].to_vec()),
        ("not even a tar", b"hello".repeat(1000)),
        ("empty", Vec::new()),
    ];
    for (case, bytes) in cases {
        fs::write(bench.path("broken.tar"), &bytes).unwrap();
        let before = fs::read(bench.path("held/index.json")).unwrap();
        for ran in [
            bench.run("load -i broken.tar -o held"),
            bench.run("load -i broken.tar whole.tar -o held"),
            bench.run_with("load -i - -o held", &bytes),
            bench.run("load -i broken.tar -o new"),
        ] {
            assert_eq!(ran.code, 4, "{case}: {}", ran.stderr);
            assert!(ran.stdout.is_empty(), "{case}");
        }
        assert_eq!(fs::read(bench.path("held/index.json")).unwrap(), before, "{case}");
        assert!(!bench.path("new/index.json").exists(), "{case}");
        bench.verify("held");
    }
    bench.exits(3, "load -i nothing.tar -o held");
}

#[test]
fn one_name_for_two_images_in_two_archives_is_refused() {
    let bench = Bench::new();
    for (file, text) in [("a.tar", "a"), ("b.tar", "b")] {
        let mut made = Made::new();
        let image = made.image("linux/amd64", &[text]);
        made.root(tagged(&image, "v1"));
        made.archive(&bench.path(file));
    }
    let before = bench.listing();
    bench.exits(3, "load -i a.tar b.tar -o all").says("cannot tell which v1 is meant").says("a.tar").says("b.tar");
    bench.exits(3, "save -o all.tar a.tar b.tar");
    assert_eq!(bench.listing(), before);
    // the same archive twice is no clash
    bench.ok("load -i a.tar -i a.tar -o all");
    // one after the other the name moves, with a warning
    let held = digest(&bench.roots("all")[0]).to_owned();
    bench.ok("load -i b.tar -o all").says("warning: v1 meant").says(&held);
    bench.ok("load -i b.tar -o all").says_not("warning");
    assert_eq!(bench.roots("all").len(), 1);
}

#[test]
fn the_same_image_under_two_names_from_two_archives_is_one() {
    let bench = Bench::new();
    let mut made = Made::new();
    let image = made.app("app", &["linux/amd64"]);
    for (file, name) in [("a.tar", "docker.io/library/app:v1"), ("b.tar", "quay.io/x/app:v1")] {
        let mut one = made.clone();
        one.root(full(&image, name));
        one.archive(&bench.path(file));
    }
    bench.ok("load -i a.tar b.tar -o all");
    assert_eq!(bench.ok("ls --json all").json()["results"].as_array().unwrap().len(), 1);
    assert_eq!(bench.roots("all").len(), 2);
    bench.verify("all");
}

#[test]
fn unusual_and_valid_archives_are_taken() {
    let bench = Bench::new();
    let made = two_images();
    let index = made.index_json();
    let blobs = || made.blobs.iter().map(|(digest, bytes)| (format!("blobs/{}", digest.replace(':', "/")), bytes));
    let marker = barge::store::OCI_LAYOUT;
    let tar = super::tar::Tar::new;
    let mut late = tar();
    for (name, bytes) in blobs() {
        late = late.file(&name, bytes);
    }
    let late = late.file("index.json", &index).file("oci-layout", marker).finished();
    let mut dotted = tar().directory("./").directory("./blobs/").directory("./blobs/sha256/");
    for (name, bytes) in blobs() {
        dotted = dotted.file(&format!("./{name}"), bytes);
    }
    let dotted = dotted.file("./oci-layout", marker).file("./index.json", &index).finished();
    let mut pax = tar().pax(&[("mtime", "1.5")]).file("oci-layout", marker).file("index.json", &index);
    for (name, bytes) in blobs() {
        pax = pax.pax(&[("path", &name)]).file("short", bytes);
    }
    let extra = made.tar().file("README.md", b"read me").file("blobs/sha256/README", b"no blob");
    let (name, bytes) = blobs().next().unwrap();
    let again = made.tar().file(&name, bytes).finished();
    let twice = [made.tar().finished(), vec![0; 20 * 512]].concat();
    for (case, bytes) in [
        ("names last", late),
        ("directories and ./", dotted),
        ("PAX", pax.finished()),
        ("foreign files", extra.finished()),
        ("one blob twice", again),
        ("a long end", twice),
        ("a short end", made.tar().unfinished()),
    ] {
        let gzip = {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut encoder, &bytes).unwrap();
            encoder.finish().unwrap()
        };
        for packed in [&bytes, &gzip] {
            let _ = fs::remove_dir_all(bench.path("all"));
            fs::write(bench.path("a.tar"), packed).unwrap();
            let ran = bench.run("load -i a.tar -o all");
            assert_eq!(ran.code, 0, "{case}: {}", ran.stderr);
            assert_eq!(bench.roots("all"), made.roots, "{case}");
            bench.verify("all");
        }
    }
}

#[test]
fn the_layout_may_be_the_current_one_and_an_archive_is_added_to() {
    let bench = Bench::new();
    two_images().archive(&bench.path("a.tar"));
    bench.exits(3, "load -i a.tar").says("there is no current layout");
    bench.ok("-L current load -i a.tar");
    bench.ok("load -i a.tar -o to.tar");
    bench.ok("import -i a.tar -o to.tar").says("nothing to do");
    bench.verify("current");
    bench.verify("to.tar");
    bench.exits(3, "load -i a.tar -o missing/parent");
}
