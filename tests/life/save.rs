//! `save`: one archive of many images.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use super::bench::{Bench, files_of};
use super::made::{Made, digest, full, tagged, two_images};

fn ref_names(roots: &[Value]) -> Vec<&str> {
    roots.iter().map(|root| root["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap()).collect()
}

#[test]
fn two_runs_give_the_same_bytes_whatever_the_lanes() {
    let bench = Bench::new();
    two_images().layout(&bench.path("layout"));
    for (number, options) in
        ["", "--compress gzip", "--compress zstd", "--format oci", "--platform linux/amd64 --format docker"]
            .into_iter()
            .enumerate()
    {
        let mut seen: Vec<Vec<u8>> = Vec::new();
        for (run, jobs) in [1, 8, 8].into_iter().enumerate() {
            let file = format!("{number}-{run}.out");
            bench.ok(&format!("--jobs {jobs} save {options} -o {file} layout"));
            seen.push(fs::read(bench.path(&file)).unwrap());
        }
        seen.push(bench.ok(&format!("save {options} -o - layout")).stdout);
        assert!(seen.iter().all(|bytes| *bytes == seen[0]), "{options}");
    }
    // whatever the order of the words, and the same from an archive
    bench.ok("save -o again.tar 0-0.out");
    assert!(fs::read(bench.path("again.tar")).unwrap() == fs::read(bench.path("0-0.out")).unwrap());
}

#[test]
fn the_whole_layout_goes_and_every_blob_once() {
    let bench = Bench::new();
    let made = two_images();
    made.layout(&bench.path("layout"));
    bench.ok("-L layout save -o all.tar");
    assert_eq!(bench.roots("all.tar"), made.roots);
    let blobs = bench.blobs("all.tar"); // a name that is there twice would have failed
    assert_eq!(blobs.len(), made.blobs.len());
    bench.verify("all.tar");
    bench.ok("-L layout save -o both.tar :app:v1 :db:v3");
    assert!(fs::read(bench.path("all.tar")).unwrap() == fs::read(bench.path("both.tar")).unwrap());
    bench.ok("export -o one.tar layout:db:v3");
    assert_eq!(bench.roots("one.tar"), made.roots[1..]);
    bench.exits(3, "save -o none.tar").says("there is no current layout");
    bench.exits(3, "save -o none.tar layout:app:v1 layout:nope");
    assert!(!bench.path("none.tar").exists());
}

#[test]
fn one_image_under_several_names_is_in_it_once() {
    let bench = Bench::new();
    let mut made = two_images();
    let app = super::made::bare(&made.roots[0]);
    made.root(full(&app, "docker.io/library/app:latest")).root(full(&app, "quay.io/x/app:stable"));
    made.layout(&bench.path("layout"));
    bench.ok("save -o a.tar layout");
    assert_eq!(bench.roots("a.tar"), made.roots);
    let tags: Value = serde_json::from_slice(&bench.files("a.tar")["manifest.json"]).unwrap();
    let names = ["docker.io/library/app:v1", "docker.io/library/app:latest", "quay.io/x/app:stable"];
    assert_eq!(tags[0]["RepoTags"], serde_json::json!(names));
    assert_eq!(tags[1]["RepoTags"], serde_json::json!(["docker.io/library/db:v3"]));
    // two words for one image
    bench.ok("save -o b.tar layout:app:v1 layout:app:latest");
    assert_eq!(bench.roots("b.tar").len(), 2);
    assert_eq!(bench.ok("ls --json b.tar").json()["results"].as_array().unwrap().len(), 1);
}

#[test]
fn two_repositories_with_one_tag_are_told_apart() {
    let bench = Bench::new();
    let mut made = Made::new();
    let (a, b) = (made.app("a", &["linux/amd64"]), made.app("b", &["linux/amd64"]));
    made.root(full(&a, "docker.io/library/app:v1")).root(full(&b, "quay.io/team/app:v1"));
    made.layout(&bench.path("layout"));
    bench.ok("save -o a.tar layout");
    assert_eq!(ref_names(&bench.roots("a.tar")), ["v1", "quay.io/team/app:v1"]);
    // and again, in every direction
    bench.ok("load -i a.tar -o back");
    let before = bench.listing();
    bench.ok("load -i a.tar -o back").says("nothing to do");
    assert_eq!(bench.listing(), before);
    bench.ok("save -o b.tar back");
    assert!(fs::read(bench.path("a.tar")).unwrap() == fs::read(bench.path("b.tar")).unwrap());
    bench.ok("copy layout c.tar");
    bench.ok("copy layout c.tar").says("nothing to do");
    bench.ok("copy layout:quay.io/team/app:v1 d");
    bench.ok("copy layout:docker.io/library/app:v1 d");
    assert_eq!(ref_names(&bench.roots("d")), ["v1", "docker.io/library/app:v1"]);
    for place in ["a.tar", "back", "c.tar", "d"] {
        let found = bench.ok(&format!("inspect --json {place}:app:v1")).json();
        assert_eq!(found["results"][0]["digest"], digest(&a), "{place}");
        let found = bench.ok(&format!("inspect --json {place}:quay.io/team/app:v1")).json();
        assert_eq!(found["results"][0]["digest"], digest(&b), "{place}");
    }
}

#[test]
fn a_full_name_that_only_some_find_is_spelled_for_all() {
    let bench = Bench::new();
    let mut made = Made::new();
    let app = made.app("a", &["linux/amd64"]);
    made.root(tagged(&app, "ghcr.io/org/app:v1"));
    made.layout(&bench.path("layout"));
    bench.ok("save -o a.tar layout");
    assert_eq!(bench.roots("a.tar"), [full(&app, "ghcr.io/org/app:v1")]);
    // a copy changes nothing
    bench.ok("copy layout b.tar");
    assert_eq!(bench.roots("b.tar"), made.roots);
}

#[test]
fn what_is_there_is_replaced_only_by_force() {
    let bench = Bench::new();
    let made = two_images();
    made.layout(&bench.path("layout"));
    bench.ok("save -o a.tar layout:db:v3");
    let before = bench.listing();
    bench.exits(9, "save -o a.tar layout").says("it is there already").says("--force");
    bench.exits(9, "save --dry-run -o a.tar layout");
    // a failure half-way leaves the old file
    let layer = digest(&two_images().put("x", b"app for linux/s390x")).to_owned();
    let blob = bench.blob("layout", &layer);
    let good = fs::read(&blob).unwrap();
    bench.spoil(&blob);
    bench.exits(4, "save --force -o a.tar layout");
    fs::write(&blob, good).unwrap();
    let after = bench.listing();
    let blob = blob.to_string_lossy().into_owned();
    assert!(before.iter().filter(|(path, _)| **path != blob).all(|(path, entry)| after[path] == *entry));
    assert_eq!(before.len(), after.len(), "something was left");
    bench.ok("save --force -o a.tar layout");
    assert_eq!(bench.roots("a.tar").len(), 2);
    bench.ok("save -f -o new.tar layout");
    // out of itself
    bench.ok("save --force -o a.tar a.tar:db:v3");
    assert_eq!(bench.roots("a.tar"), made.roots[1..]);
    bench.verify("a.tar");
}

#[test]
fn a_link_is_written_through_and_never_replaced() {
    let bench = Bench::new();
    let made = two_images();
    made.layout(&bench.path("layout"));
    bench.ok("save -o real.tar layout:db:v3");
    std::os::unix::fs::symlink("real.tar", bench.path("link.tar")).unwrap();
    std::os::unix::fs::symlink("nothing.tar", bench.path("dangling.tar")).unwrap();
    bench.ok("save --force -o link.tar layout");
    assert!(fs::symlink_metadata(bench.path("link.tar")).unwrap().is_symlink());
    assert_eq!(bench.roots("real.tar").len(), 2);
    bench.ok("tag link.tar:app:v1 app:v2");
    assert!(fs::symlink_metadata(bench.path("link.tar")).unwrap().is_symlink());
    assert_eq!(bench.roots("real.tar").len(), 3);
    bench.exits(9, "save -o dangling.tar layout").says("dangling.tar");
    assert!(fs::symlink_metadata(bench.path("dangling.tar")).unwrap().is_symlink());
}

#[test]
fn a_place_that_can_be_no_file_is_refused() {
    let bench = Bench::new();
    two_images().layout(&bench.path("layout"));
    fs::create_dir(bench.path("directory")).unwrap();
    let before = bench.listing();
    bench.exits(2, "save -o directory layout").says("it is a directory");
    bench.exits(2, "save --force -o directory layout");
    bench.exits(2, "save -o layout layout");
    bench.exits(3, "save -o missing/parent/a.tar layout");
    bench.exits(9, "save -o /dev/full layout").says("it is no regular file");
    bench.exits(9, "save --force -o /dev/full layout");
    bench.exits(9, "save -o docker://example.com/x layout");
    bench.exits(9, "save -o a.tar.gz layout").says("--compress gzip");
    assert_eq!(bench.listing(), before);
}

#[test]
fn a_full_disk_behind_a_stream_is_a_failure_of_the_machine() {
    let bench = Bench::new();
    two_images().layout(&bench.path("layout"));
    for compress in ["none", "gzip", "zstd"] {
        let mut command = bench.command(&format!("save --compress {compress} -o - layout"));
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command.stdout(full).stdin(Stdio::null()).stderr(Stdio::piped()).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(10), "{compress}: {error}");
        assert!(error.contains("cannot write standard output"), "{error}");
    }
}

#[test]
fn a_packed_archive_unpacks_to_the_plain_one() {
    let bench = Bench::new();
    two_images().layout(&bench.path("layout"));
    let plain = bench.ok("save -o - layout").stdout;
    for (how, unpack) in [("gzip", "gz"), ("zstd", "zst")] {
        bench.ok(&format!("save --compress {how} -o a.tar.{unpack} layout"));
        let packed = fs::read(bench.path(&format!("a.tar.{unpack}"))).unwrap();
        assert_eq!(packed, bench.ok(&format!("save --compress {how} -o - layout")).stdout);
        let mut unpacked = Vec::new();
        match how {
            "gzip" => std::io::copy(&mut flate2::read::GzDecoder::new(&packed[..]), &mut unpacked).map(|_| ()),
            _ => zstd::stream::copy_decode(&packed[..], &mut unpacked),
        }
        .unwrap();
        assert!(unpacked == plain, "{how}");
        bench.verify(&format!("a.tar.{unpack}"));
        bench.ok(&format!("load -i a.tar.{unpack} -o {how}"));
    }
}

#[test]
fn docker_format_holds_one_platform_of_each_image() {
    let bench = Bench::new();
    let made = two_images();
    made.layout(&bench.path("layout"));
    bench.exits(9, "save --format docker -o a.tar layout").says("several platforms").says("--platform");
    assert!(!bench.path("a.tar").exists());
    bench.ok("save --format docker --platform linux/amd64 -o a.tar layout");
    let files = bench.files("a.tar");
    assert!(files.contains_key("manifest.json") && !files.contains_key("index.json"));
    assert!(!files.contains_key("oci-layout"));
    let elements: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    assert_eq!(elements.as_array().unwrap().len(), 2);
    let mut named = 1;
    for element in elements.as_array().unwrap() {
        let layers = element["Layers"].as_array().unwrap();
        for path in layers.iter().chain([&element["Config"]]) {
            assert!(files.contains_key(path.as_str().unwrap()), "{path}");
        }
        named += layers.len() + 1;
    }
    assert_eq!(files.len(), named - 1, "the shared layer once, and nothing else");
    // what is no image cannot be in it
    let mut made = Made::new();
    let chart = made.artifact("a chart", None);
    let image = made.image("linux/amd64", &["a"]);
    made.root(full(&chart, "example.com/chart:v1")).root(full(&image, "example.com/app:v1"));
    made.layout(&bench.path("charts"));
    bench.exits(9, "save --format docker -o b.tar charts:example.com/chart:v1").says("no image");
    bench.ok("save --format docker -o b.tar charts").says("example.com/chart:v1");
}

#[test]
fn the_commands_that_load_the_file_are_those_that_work() {
    let bench = Bench::new();
    let mut made = two_images();
    let bare = made.image("linux/amd64", &["bare"]);
    made.root(tagged(&bare, "mine"));
    made.layout(&bench.path("layout"));
    let ran = bench.ok("save -o a.tar layout");
    for command in [
        "barge load -i a.tar",
        "docker load -i a.tar",
        "podman load -i a.tar",
        "ctr -n k8s.io images import --all-platforms a.tar",
        "nerdctl load --all-platforms -i a.tar",
        "skopeo copy --all --preserve-digests oci-archive:a.tar:v1 docker://docker.io/library/app:v1",
    ] {
        ran.says(command);
    }
    bench.ok("save -o one.tar layout:db:v3").says("oci-archive:one.tar docker://docker.io/library/db:v3");
    bench.ok("save -o bare.tar layout:mine").says("oci-archive:bare.tar docker://HOST/REPOSITORY:TAG");
    // what skopeo is told is the reference name that stands there
    bench
        .ok("save -o two.tar layout:db:v3 layout:app:v1")
        .says("oci-archive:two.tar:v3 docker://docker.io/library/db:v3");
    let oci = bench.ok("save --format oci -o oci.tar layout");
    oci.says_not("docker load").says_not("podman load").says("skopeo");
    bench.ok("save --format oci -o oci1.tar layout:db:v3").says("podman load -i oci1.tar");
    let docker = bench.ok("save --format docker --platform linux/amd64 -o docker.tar layout");
    docker.says("docker load").says("podman load").says_not("oci-archive");
    docker.says("docker-archive:docker.tar:docker.io/library/app:v1 docker://docker.io/library/app:v1");
    bench.ok("save --compress zstd -o z.tar layout").says_not("docker load").says_not("ctr ");
    bench.ok("save -o - layout").says_not("load it elsewhere");
    bench.ok("save -q -o q.tar layout").says_not("load");
    bench.ok("save --dry-run -o dry.tar layout").says_not("docker load");
    bench.ok("save -o a:b layout").says_not("skopeo");
}

#[test]
fn an_archive_on_standard_output_loads_from_standard_input() {
    let bench = Bench::new();
    let made = two_images();
    made.layout(&bench.path("layout"));
    let stream = bench.ok("save -o - layout").stdout;
    // oci-layout, index.json, manifest.json, bundle.json
    assert_eq!(files_of(&stream).len(), made.blobs.len() + 4);
    let ran = bench.run_with("load -o other", &stream);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    bench.verify("other");
    assert_eq!(bench.roots("other"), made.roots);
}
