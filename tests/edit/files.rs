//! Files come on top, and layers become one.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::bench::Bench;
use super::{HELLO, json, of_fixture, ok, run, verify};

/// Unpacks an image and returns what is there, by a listing that knows modes, owners and contents.
fn unpacked(bench: &Bench, reference: &str, platform: &str, to: &str) -> String {
    bench.ok(&format!("unpack -q --platform {platform} {reference} {to}"));
    listing(&bench.path(to))
}

fn listing(root: &Path) -> String {
    let script = "find . -printf '%P %y %m %U:%G %l %n\\n' | sort; find . -type f -exec sha256sum {} + | sort";
    let listed = Command::new("sh").args(["-c", script]).current_dir(root).output().unwrap();
    assert!(listed.status.success());
    String::from_utf8(listed.stdout).unwrap()
}

fn layers(bench: &Bench, reference: &str) -> Vec<Value> {
    json(bench, "manifest", reference)["layers"].as_array().unwrap().clone()
}

fn of(reference: &str, platform: &str) -> String {
    format!("--platform {platform} {reference}")
}

#[test]
fn each_platform_gets_its_own_files_on_top() {
    let bench = of_fixture(HELLO);
    for arch in ["amd64", "arm64"] {
        fs::create_dir(bench.path(&format!("conf-{arch}"))).unwrap();
        fs::write(bench.path(&format!("conf-{arch}/arch")), arch).unwrap();
    }
    ok(&bench, "edit place@0 -t conf:v1 --add conf-{arch}:/etc/conf --label x=y", &[]);
    verify(&bench, "place");
    for arch in ["amd64", "arm64"] {
        let (platform, to) = (format!("linux/{arch}"), format!("root-{arch}"));
        unpacked(&bench, "place:conf:v1", &platform, &to);
        assert_eq!(fs::read_to_string(bench.path(&format!("{to}/etc/conf/arch"))).unwrap(), arch);
        let before = layers(&bench, &of("place@0", &platform));
        let after = layers(&bench, &of("place:conf:v1", &platform));
        assert_eq!(after[..before.len()], before, "layers that were there stay");
        assert_eq!(after.len(), before.len() + 1);
        let config = json(&bench, "config", &of("place:conf:v1", &platform));
        let last = config["history"].as_array().unwrap().last().unwrap();
        assert_eq!((&last["created_by"], &last["created"]), (&"ADD /etc/conf".into(), &config["created"]));
    }
    // a platform that has no such directory is told, and nothing is changed
    fs::remove_dir_all(bench.path("conf-arm64")).unwrap();
    let before = fs::read(bench.path("place/index.json")).unwrap();
    let refused = run(&bench, "edit place@0 -t other:v1 --add conf-{arch}:/etc/conf", &[]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("conf-arm64"), "{}", refused.stderr);
    assert_eq!(fs::read(bench.path("place/index.json")).unwrap(), before);
    assert!(
        fs::read_dir(bench.path("place/blobs/sha256")).unwrap().all(|it| !it
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with('.'))
    );
}

#[test]
fn what_is_refused_is_so_before_anything_is_packed() {
    let bench = of_fixture(HELLO);
    fs::create_dir(bench.path("top")).unwrap();
    fs::write(bench.path("top/file"), "file").unwrap();
    bench.ok("convert -q place -o docker --to docker");
    bench.ok("copy -q place sparse --platform linux/amd64 --index keep");
    let before = bench.listing();
    for (code, line, says) in [
        (9, "edit docker --add top:/ --annotation a=b", "no place for them"),
        (9, "edit docker --squash --compression zstd", "use --compression gzip"),
        (2, "edit place --squash --platform linux/arm64 --set-platform linux/amd64", "there is one in the same index"),
        (4, "edit sparse --squash --platform linux/amd64", "the image is sparse"),
        (4, "convert sparse --compression zstd", "cannot find"),
    ] {
        for output in ["-o new", "-o new.tar"] {
            let ran = bench.exits(code, &format!("{line} {output} --progress plain -v"));
            ran.says(says).says_not("made sha256:").says_not("checked sha256:");
            assert_eq!(bench.listing(), before, "{line} {output}");
        }
    }
}

#[test]
fn one_layer_holds_what_all_of_them_made() {
    let bench = of_fixture(HELLO);
    fs::create_dir_all(bench.path("top/usr")).unwrap();
    fs::write(bench.path("top/usr/new"), "new").unwrap();
    let many = ok(&bench, "-v edit place@0 -t many:v1 --add top:/ --add top:/opt", &[]);
    let made = many.stderr.lines().filter(|line| line.contains("made sha256:")).count();
    assert_eq!(made, 2, "both platforms have the same: {}", many.stderr);
    for jobs in [1, 2] {
        ok(&bench, &format!("--jobs {jobs} edit place:many:v1 -t one-{jobs}:v1 --squash"), &[]);
    }
    verify(&bench, "place");
    for platform in ["linux/amd64", "linux/arm64"] {
        let (many, one) = (of("place:many:v1", platform), of("place:one-1:v1", platform));
        assert!(layers(&bench, &many).len() > 2);
        assert_eq!(layers(&bench, &one).len(), 1);
        assert_eq!(layers(&bench, &one), layers(&bench, &of("place:one-2:v1", platform)));
        let arch = platform.rsplit('/').next().unwrap();
        assert_eq!(
            unpacked(&bench, "place:one-1:v1", platform, &format!("one-{arch}")),
            unpacked(&bench, "place:many:v1", platform, &format!("many-{arch}"))
        );
        let config = json(&bench, "config", &one);
        let full = config["history"].as_array().unwrap().iter().filter(|line| line["empty_layer"] != true).count();
        assert_eq!((full, config["rootfs"]["diff_ids"].as_array().unwrap().len()), (1, 1));
        assert_eq!(config["config"], json(&bench, "config", &many)["config"]);
    }
    // one that has a single layer stays what it is
    let again = ok(&bench, "edit place:one-1:v1 --squash", &[]);
    assert!(again.stderr.contains("nothing to do"), "{}", again.stderr);
    let zstd = ok(&bench, "edit place:many:v1 -o z.tar -t z:v1 --squash --compression zstd", &[]);
    assert!(zstd.stderr.contains("is "), "{}", zstd.stderr);
    let layer = layers(&bench, &of("z.tar:z:v1", "linux/amd64")).remove(0);
    assert_eq!(layer["mediaType"], barge::media::OCI_LAYER_ZSTD);
}
