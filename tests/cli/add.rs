//! `merge` into a place that is there already: nothing that was there is lost, and the same again changes nothing.

use std::fs;

use serde_json::{Value, json};

use super::merge::{HELLO, SIX, SIX_DIGEST};
use super::support::image::{Images, Layer, annotated, digest, named, simple};
use super::support::tar::Tar;
use super::*;

const PLACES: [&str; 2] = ["place", "place.tar"];

#[test]
fn the_same_again_changes_nothing_and_says_so() {
    let barge = Barge::new();
    barge.fixtures(&SIX);
    for place in PLACES {
        let merge = || barge.run(["merge", "-o", place, "-t", HELLO, "-t", "hello:latest"].iter().chain(&SIX));
        merge().exits(0);
        let before = listing(&barge.path(place));
        let again = merge().exits(0).says(&["nothing to do", place, HELLO]);
        assert_eq!(again.stdout(), SIX_DIGEST);
        assert_eq!(listing(&barge.path(place)), before, "{place}: the same inode, the same time");
    }
}

#[test]
fn a_second_image_is_added_to_the_first() {
    let barge = Barge::new();
    barge.fixtures(&["umoci-amd64", "skopeo-arm64.tar"]);
    for place in PLACES {
        let first = barge.line(&format!("merge -o {place} -t one:v1 umoci-amd64")).exits(0).stdout().to_owned();
        let second = barge.line(&format!("merge -o {place} -t two:v1 skopeo-arm64.tar")).exits(0).stdout().to_owned();
        let listed = barge.line(&format!("ls --json {place}")).exits(0).json();
        let shown: Vec<_> =
            listed["results"].as_array().unwrap().iter().map(|image| (&image["digest"], &image["names"][0])).collect();
        let names = [json!("docker.io/library/one:v1"), json!("docker.io/library/two:v1")];
        assert_eq!(shown, [(&json!(first), &names[0]), (&json!(second), &names[1])], "{place}");
        barge.line(&format!("verify --deep {place}")).exits(0).prints(&["ok: 2 images"]);
        // the tag that both have belongs to the first repository: skopeo takes the first match
        let found = barge.line(&format!("inspect --json {place}:v1")).exits(0).json();
        assert_eq!(found["results"][0]["digest"], first, "{place}");
    }
    // and both are loadable by the classic docker, each under its own name
    let names = fs::read(barge.path("place.tar")).unwrap();
    let text = String::from_utf8_lossy(&names);
    assert!(text.contains(r#""RepoTags":["docker.io/library/one:v1"]"#));
    assert!(text.contains(r#""RepoTags":["docker.io/library/two:v1"]"#));
}

#[test]
fn a_name_moves_to_the_new_image_and_the_old_content_stays() {
    let barge = Barge::new();
    barge.fixtures(&["umoci-amd64", "skopeo-arm64.tar"]);
    for place in PLACES {
        barge.line(&format!("merge -o {place} -t app:v1 umoci-amd64")).exits(0);
        let second = barge.line(&format!("merge -o {place} -t app:v1 skopeo-arm64.tar")).exits(0);
        let listed = barge.line(&format!("ls --json {place}")).exits(0).json();
        assert_eq!(listed["results"].as_array().unwrap().len(), 1, "{place}");
        assert_eq!(listed["results"][0]["digest"], second.stdout(), "{place}");
        let verified = barge.line(&format!("verify --json {place}")).exits(0).json();
        assert!(verified["results"][0]["unreferenced"].as_array().unwrap().len() >= 4, "{place}: the old blobs went");
    }
}

#[test]
fn what_barge_does_not_know_stays_as_it_is() {
    let barge = Barge::new();
    let mut images = simple(&["linux/amd64"]);
    images.put("text/plain", b"nobody refers to this");
    let root = annotated(named(images.roots[0].clone(), "v1"), "com.example.x", "1");
    let odd = format!(
        "{{ \"x-first\": {{\"b\":1.50, \"a\":[ ]}},\"schemaVersion\":2,\n \"manifests\" : [ {root} ], \"x-last\":\"\\u0041\"}}\n"
    );
    images.index_json = Some(odd.into_bytes());
    let kept = [r#""x-first":{"b":1.50, "a":[ ]}"#, r#""x-last":"\u0041""#, &root.to_string()];
    barge.fixtures(&["skopeo-arm64.tar"]);

    images.layout(&barge.path("place"));
    for (name, content) in [("README", "mine"), ("blobs/notes", "x"), ("manifest.json", "[]")] {
        barge.write(&format!("place/{name}"), content);
    }
    let before = listing(&barge.path("place"));
    barge.line("merge -o place -t new:v1 skopeo-arm64.tar").exits(0);
    let after = listing(&barge.path("place"));
    for (name, state) in before.iter().filter(|(name, _)| *name != "./index.json") {
        assert_eq!(after.get(name), Some(state), "{name}");
    }
    let index = fs::read_to_string(barge.path("place/index.json")).unwrap();
    for part in kept {
        assert!(index.contains(part), "lost: {part}\n{index}");
    }

    let mut tar = Tar::new().file("README", b"mine").file("oci-layout", b"{\"imageLayoutVersion\": \"1.0.0\"}\n");
    tar = tar.file("index.json", &images.index_json()).directory("blobs").directory("blobs/sha256");
    for (digest, bytes) in &images.blobs {
        tar = tar.file(&format!("blobs/{}", digest.replace(':', "/")), bytes);
    }
    barge.write("place.tar", tar.file("notes/deep/x.json", b"{}").finished());
    barge.line("merge -o place.tar -t new:v1 skopeo-arm64.tar").exits(0);
    let verified = barge.line("verify --json place.tar").exits(0).json();
    let unreferenced = barge::digest::Digest::of(b"nobody refers to this").to_string();
    assert_eq!(verified["results"][0]["unreferenced"], json!([unreferenced]));
    let text = String::from_utf8_lossy(&fs::read(barge.path("place.tar")).unwrap()).into_owned();
    for part in kept.into_iter().chain(["README", "notes/deep/x.json", "mine"]) {
        assert!(text.contains(part), "lost: {part}");
    }
}

#[test]
fn an_archive_that_is_added_to_keeps_its_mode_and_its_links() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let barge = Barge::new();
    barge.fixtures(&["umoci-amd64", "skopeo-arm64.tar"]);
    fs::create_dir(barge.path("store")).unwrap();
    barge.line("merge -q -o store/real.tar -t one:v1 umoci-amd64").exits(0);
    fs::set_permissions(barge.path("store/real.tar"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink("store/real.tar", barge.path("link.tar")).unwrap();
    barge.line("merge -o link.tar -t two:v1 skopeo-arm64.tar").exits(0).says(&["oci-archive:link.tar"]);
    assert!(barge.path("link.tar").is_symlink());
    barge.line("ls store/real.tar").exits(0).prints(&["one:v1", "two:v1"]);
    let mode = fs::metadata(barge.path("store/real.tar")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "what was private is open to everybody");
    // what a link of a new name leads to is not guessed
    symlink("store/new.tar", barge.path("dangling.tar")).unwrap();
    barge.line("merge -o dangling.tar -t two:v1 umoci-amd64").exits(9).says(&["symbolic link to nothing", "hint: "]);
    assert!(!barge.path("store/new.tar").exists());
}

#[test]
fn a_place_can_be_merged_into_itself() {
    let barge = Barge::new();
    barge.fixtures(&["umoci-amd64", "skopeo-arm64.tar"]);
    for place in PLACES {
        barge.line(&format!("merge -o {place} -t app:v1 umoci-amd64")).exits(0);
        let grown = barge.line(&format!("merge --json -o {place} -t app:v2 {place}:v1 skopeo-arm64.tar")).exits(0);
        assert_eq!(grown.json()["results"][0]["platforms"].as_array().unwrap().len(), 2, "{place}");
        let names = barge.line(&format!("ls {place}")).exits(0);
        names.prints(&["library/app:v1", "library/app:v2", "linux/amd64, linux/arm64"]);
        barge.line(&format!("verify --deep {place}")).exits(0);
    }
}

#[test]
fn what_other_programs_wrote_is_added_to() {
    let barge = Barge::new();
    for place in barge.fixtures(&["umoci-amd64", "containerd-s390x", "hybrid-ppc64le.tar", "buildah-riscv64.tar"]) {
        let before = barge.line(&format!("ls --json {place}")).exits(0).json();
        let image = simple(&["linux/386"]);
        image.layout(&barge.path("new"));
        barge.line(&format!("merge -o {place} -t new:v9 new")).exits(0);
        barge.line(&format!("verify --deep {place}")).exits(0).prints(&["ok: 2 images"]);
        let after = barge.line(&format!("ls --json {place}")).exits(0).json();
        assert_eq!(after["results"][0]["names"], before["results"][0]["names"], "{place}");
        assert_eq!(after["results"][0]["digest"], before["results"][0]["digest"], "{place}");
    }
}

#[test]
fn what_cannot_be_added_to_is_refused_and_left() {
    let barge = Barge::new();
    barge.fixtures(&["umoci-amd64", "docker-armv7.tar", "skopeo-arm64.tar"]);
    let plain = fs::read(barge.path("skopeo-arm64.tar")).unwrap();
    barge.write("packed.tar", zstd::encode_all(plain.as_slice(), 1).unwrap());
    barge.write("no.tar", "this is no tar");
    barge.write("empty.tar", "");
    fs::create_dir(barge.path("other")).unwrap();
    barge.write("other/file", "x");
    let layout_without_version = barge.path("bare");
    fs::create_dir(&layout_without_version).unwrap();
    barge.write("bare/index.json", "{}");
    let cases = [
        ("docker-armv7.tar", 9, "docker-archive"),
        ("packed.tar", 9, "compressed"),
        ("no.tar", 4, "neither a tar"),
        ("empty.tar", 4, "empty"),
        ("other", 4, "file"),
        ("bare", 4, "oci-layout"),
        ("/dev/null", 9, "regular file"),
    ];
    for (place, code, why) in cases {
        let path = barge.path(place);
        let before = listing(&path);
        barge.line(&format!("merge -o {place} -t app:v1 umoci-amd64")).exits(code).says(&["error: ", place, why]);
        assert_eq!(listing(&path), before, "{place}");
    }
    // an empty directory becomes a layout
    fs::create_dir(barge.path("made")).unwrap();
    barge.line("merge -o made -t app:v1 umoci-amd64").exits(0);
}

#[test]
fn a_dry_run_writes_nothing() {
    let barge = Barge::new();
    barge.fixtures(&["umoci-amd64", "skopeo-arm64.tar"]);
    barge.line("merge -o old -t old:v1 umoci-amd64").exits(0);
    barge.line("merge -o old.tar -t old:v1 umoci-amd64").exits(0);
    let before = listing(&barge.path(""));
    for place in ["new", "new.tar", "old", "old.tar", "-"] {
        let planned =
            barge.line(&format!("merge --dry-run -o {place} -t app:v1 umoci-amd64 skopeo-arm64.tar")).exits(0);
        planned.says(&["would merge 2 platforms", "linux/amd64", "linux/arm64", "umoci-amd64"]);
        assert_eq!(listing(&barge.path("")), before, "{place}");
    }
    let planned = barge.line("merge --dry-run --json -o new -t app:v1 umoci-amd64").exits(0).json();
    assert_eq!((&planned["results"][0]["dryRun"], &planned["results"][0]["changed"]), (&json!(true), &json!(false)));
    let done = barge.line("merge --json -o new -t app:v1 umoci-amd64").exits(0).json();
    assert_eq!(done["results"][0]["digest"], planned["results"][0]["digest"], "what is planned is what is done");
    // and it fails where the run would
    barge.line("merge --dry-run -o new2 -t app:v1 nowhere").exits(3);
}

#[test]
fn blobs_that_lie_there_are_checked_instead_of_copied() {
    let barge = Barge::new();
    barge.fixtures(&SIX);
    barge.run(["merge", "-o", "place", "-t", HELLO].iter().chain(&SIX)).exits(0);
    fs::remove_file(barge.path("place/index.json")).unwrap();
    let resumed = barge.run(["merge", "--json", "-o", "place", "-t", HELLO].iter().chain(&SIX)).exits(0).json();
    assert_eq!((&resumed["stats"]["written"], &resumed["stats"]["present"]), (&json!(0), &json!(22)));
    assert_eq!(resumed["results"][0]["changed"], true);
    barge.line("verify place").exits(0).prints(&["ok: 1 image"]);
}

#[test]
fn a_wrong_blob_at_the_target_is_replaced_and_said() {
    let barge = Barge::new();
    let images = simple(&["linux/amd64"]);
    images.layout(&barge.path("source"));
    let layer = barge::digest::Digest::of(&Layer::gzip("app for linux/amd64".repeat(100).as_bytes()).bytes);
    for place in PLACES {
        barge.line(&format!("merge -o {place} -t app:v1 source")).exits(0);
        let before = barge.line(&format!("inspect --raw {place}:v1")).exits(0);
        spoil(&barge, place, &images.blobs[&layer.to_string()]);
        barge.line(&format!("verify {place}")).exits(4).prints(&["digest-mismatch", &layer.to_string()]);
        let report = barge.line(&format!("merge --json -o {place} -t app:v1 source")).exits(0).json();
        let warnings = report["warnings"].to_string();
        assert!(warnings.contains(&layer.to_string()), "{place}: {warnings}");
        assert!(report["stats"]["written"].as_u64().unwrap() >= 1, "{place}: {report}");
        barge.line(&format!("verify --deep {place}")).exits(0);
        let after = barge.line(&format!("inspect --raw {place}:v1")).exits(0);
        assert_eq!(after.bytes(), before.bytes(), "{place}");
    }
}

/// Flips a bit of a blob, in a layout or an archive.
fn spoil(barge: &Barge, place: &str, blob: &[u8]) {
    let path = match place.ends_with(".tar") {
        true => barge.path(place),
        false => barge.path(place).join(barge::digest::Digest::of(blob).blob_path()),
    };
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(blob.len()).position(|window| window == blob).unwrap();
    bytes[at + blob.len() / 2] ^= 1;
    fs::write(&path, bytes).unwrap();
}

#[test]
fn a_bare_tag_that_another_program_wrote_is_another_image() {
    let barge = Barge::new();
    let mut images = Images::new();
    let image = images.image("linux/arm64", &[Layer::plain(b"theirs")]);
    images.root(named(image.clone(), "v1"));
    barge.fixtures(&["umoci-amd64"]);
    for place in PLACES {
        images.write(&barge.path(place));
        barge.line(&format!("merge -o {place} -t app:v1 umoci-amd64")).exits(0);
        let listed = barge.line(&format!("ls --json {place}")).exits(0).json();
        let names: Vec<&Value> = listed["results"].as_array().unwrap().iter().map(|image| &image["names"][0]).collect();
        assert_eq!(names, ["v1", "docker.io/library/app:v1"], "{place}");
        let theirs = barge.line(&format!("inspect --json {place}:v1")).exits(0).json();
        assert_eq!(theirs["results"][0]["digest"], digest(&image), "{place}");
    }
}
