//! `attach`, `referrers`, and what `cat` and `tree` show of them.

use std::fs;

use barge::digest::Digest;
use serde_json::{Value, json};

use super::bench::{Bench, allowed};
use super::made::{bare, belonging, dashed, digest, tagged, two_images};

const SPDX: &str = "application/spdx+json";

/// A layout and an archive with two images, and two files.
fn bench() -> Bench {
    let bench = Bench::new();
    let made = two_images();
    made.layout(&bench.path("dist"));
    made.archive(&bench.path("dist.tar"));
    fs::write(bench.path("sbom.json"), b"{\"spdx\":1}\n").unwrap();
    fs::write(bench.path("notes.txt"), b"notes\n").unwrap();
    bench
}

/// Attaches, and returns the digest that is printed.
fn attach(bench: &Bench, line: &str) -> String {
    bench.ok(&format!("attach {line}")).text().trim().to_owned()
}

#[test]
fn what_is_attached_is_an_artifact_of_the_image_as_it_is_named() {
    for place in ["dist", "dist.tar"] {
        let bench = bench();
        let image = bench.roots(place)[0].clone();
        let options = format!("{place}:app:v1 sbom.json notes.txt --type {SPDX} --annotation b=2 --annotation a=1");
        let made = attach(&bench, &options);
        let raw = bench.ok(&format!("cat manifest {place}@{made}")).stdout;
        let manifest: Value = serde_json::from_slice(&raw).unwrap();
        let file = |name: &str| {
            let bytes = fs::read(bench.path(name)).unwrap();
            json!({"mediaType": "application/octet-stream", "digest": Digest::of(&bytes).to_string(), "size": bytes.len(),
                "annotations": {"org.opencontainers.image.title": name}})
        };
        assert_eq!(
            manifest,
            json!({"schemaVersion": 2, "mediaType": barge::media::OCI_MANIFEST, "artifactType": SPDX,
                "config": {"mediaType": "application/vnd.oci.empty.v1+json", "data": "e30=", "size": 2,
                    "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
                "layers": [file("sbom.json"), file("notes.txt")], "subject": bare(&image),
                "annotations": {"a": "1", "b": "2"}})
        );
        let root = bench.roots(place).pop().unwrap();
        assert_eq!(
            root,
            json!({"mediaType": barge::media::OCI_MANIFEST, "digest": made, "size": raw.len(), "artifactType": SPDX,
                "annotations": {"io.containerd.manifest.subject": digest(&image)}})
        );
        assert_eq!(bench.roots(place).len(), 3);
        bench.verify(place);
        // the same again changes nothing
        let before = bench.listing();
        bench.ok(&format!("attach {options}")).says("nothing to do");
        assert_eq!(bench.listing(), before);
        // the files come out
        for (which, name) in
            [("--layer 1", "sbom.json"), ("--layer notes.txt", "notes.txt"), ("--layer 2", "notes.txt")]
        {
            let got = bench.ok(&format!("cat layer {which} {place}@{made}")).stdout;
            assert_eq!(got, fs::read(bench.path(name)).unwrap());
        }
        bench.exits(3, &format!("cat layer {place}@{made}")).says("1 \"sbom.json\", 2 \"notes.txt\"");
        bench.exits(3, &format!("cat layer --layer 3 {place}@{made}"));
        bench.exits(2, &format!("cat blob --layer 1 {place}@{made}"));
    }
}

#[test]
fn it_belongs_to_a_platform_or_an_artifact_when_that_is_said() {
    let bench = bench();
    let index: Value =
        serde_json::from_slice(&fs::read(bench.blob("dist", digest(&bench.roots("dist")[0]))).unwrap()).unwrap();
    let arm64 = digest(&index["manifests"][1]).to_owned();
    let of_platform = attach(&bench, "dist:app:v1 notes.txt --type a/b --platform linux/arm64");
    let sbom = attach(&bench, &format!("dist:app:v1 sbom.json --type {SPDX}"));
    let ran = bench.run_with(&format!("attach dist@{sbom} - --type c/d --media-type text/plain"), b"from a pipe");
    let of_artifact = ran.text().trim().to_owned();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(bench.ok(&format!("cat layer dist@{of_artifact}")).text(), "from a pipe");
    for (made, subject) in [(&of_platform, &arm64), (&of_artifact, &sbom)] {
        let manifest: Value = serde_json::from_slice(&bench.ok(&format!("cat manifest dist@{made}")).stdout).unwrap();
        assert_eq!(digest(&manifest["subject"]), subject);
        assert!(manifest["annotations"].is_null(), "{manifest}");
    }
    // a moment is said when the environment says one
    let mut command = bench.command("attach dist:app:v1 sbom.json --type e/f");
    let output = command.env("SOURCE_DATE_EPOCH", "1714564800").output().unwrap();
    let dated = String::from_utf8(output.stdout).unwrap();
    let manifest: Value =
        serde_json::from_slice(&bench.ok(&format!("cat manifest dist@{}", dated.trim())).stdout).unwrap();
    assert_eq!(manifest["annotations"], json!({"org.opencontainers.image.created": "2024-05-01T12:00:00Z"}));
    bench.verify("dist");
    // all of it goes along, and nothing else
    bench.ok("copy dist:app:v1 other").says("brings 4 referrers").says("1 image, 4 referrers");
    assert_eq!(bench.ok("referrers other:app:v1").text(), bench.ok("referrers dist:app:v1").text());
    bench.ok("copy dist:db:v3 third").says_not("referrer");
}

#[test]
fn what_cannot_be_attached_changes_nothing() {
    let bench = bench();
    fs::create_dir_all(bench.path("sub")).unwrap();
    fs::write(bench.path("sub/notes.txt"), b"others\n").unwrap();
    let before = bench.listing();
    for (code, line, says) in [
        (3, "dist:nope:v1 sbom.json --type a/b", "cannot find :nope:v1"),
        (3, "dist sbom.json --type a/b", "cannot choose among 2 images"),
        (3, "dist:app:v1 sbom.json --type a/b --platform linux/ppc64le", "cannot find linux/ppc64le"),
        (2, "dist:app:v1 sbom.json", "--type"),
        (2, "dist:app:v1 --type a/b", "FILE"),
        (2, "dist:app:v1 sbom.json --type a/b --platform linux/amd64,linux/arm64", "2 platforms at once"),
        (2, "dist:app:v1 sbom.json --type sbom", "it is no media type"),
        (2, "dist:app:v1 sbom.json --type a/b --media-type x", "it is no media type"),
        (2, "dist:app:v1 sbom.json --type application/vnd.oci.empty.v1+json", "there is nothing"),
        (2, "dist:app:v1 sbom.json --type a/b --media-type application/vnd.oci.image.index.v1+json", "for manifests"),
        (2, "dist:app:v1 sbom.json --type a/b --annotation x", "it is not KEY=VALUE"),
        (2, "dist:app:v1 notes.txt sub/notes.txt --type a/b", "both are called \"notes.txt\""),
        (2, "dist:app:v1 sub --type a/b", "it is a directory"),
        (3, "dist:app:v1 absent.json --type a/b", "absent.json"),
        (9, "docker://127.0.0.1:1/org/app:v1 sbom.json --type a/b", "barge pull -o DIR"),
        (0, "dist:app:v1 sbom.json --type a/b --dry-run", "would attach"),
        (0, "dist.tar:app:v1 sbom.json --type a/b --dry-run", "would attach"),
    ] {
        let ran = bench.exits(code, &format!("attach {line}"));
        ran.says(says);
        assert_eq!(bench.listing(), before, "{line}");
    }
    let would = bench.ok("attach dist:app:v1 sbom.json --type a/b --dry-run").text();
    assert_eq!(bench.ok("attach dist:app:v1 sbom.json --type a/b").text(), would);
}

#[test]
fn all_conventions_are_listed_with_what_they_say() {
    let bench = Bench::new();
    let mut made = two_images();
    let app = bare(&made.roots[0]);
    let index: Value = serde_json::from_slice(&made.blobs[digest(&app)]).unwrap();
    let amd64 = index["manifests"][0].clone();
    let by_subject = made.typed("by subject", SPDX, Some(&amd64));
    let annotated = made.typed("by annotation", "test/a", None);
    let cosign = made.typed("by tag", "test/b", None);
    let listed = made.typed("in the fallback index", "test/c", Some(&app));
    let fallback = made.index(std::slice::from_ref(&listed));
    let of_it = made.typed("of the SBOM", "test/\u{1b}[2Jd", Some(&by_subject));
    let stranger = made.typed("of the other image", "test/e", Some(&bare(&made.roots[1])));
    for root in [
        by_subject.clone(),
        belonging(annotated.clone(), &app),
        tagged(&cosign, &format!("{}.sig", dashed(&app))),
        tagged(&fallback, &dashed(&app)),
        of_it.clone(),
        stranger.clone(),
    ] {
        made.root(root);
    }
    made.layout(&bench.path("dist"));
    made.archive(&bench.path("dist.tar"));
    let attestations: Vec<&Value> = index["manifests"].as_array().unwrap()[3..].iter().collect();
    for place in ["dist", "dist.tar"] {
        let rows = |options: &str| {
            let json = bench.ok(&format!("--json referrers {place}:app:v1 {options}")).json();
            let row = |it: &Value| {
                let by =
                    it["by"].as_array().unwrap().iter().map(|by| by.as_str().unwrap()).collect::<Vec<_>>().join("+");
                let platform = it["platform"].as_str().unwrap_or("-").to_owned();
                (it["digest"].as_str().unwrap().to_owned(), by, platform, it["depth"].as_u64().unwrap())
            };
            let mut rows: Vec<_> = json["results"].as_array().unwrap().iter().map(row).collect();
            rows.sort();
            rows
        };
        let row = |it: &Value, by: &str, platform: &str, depth| {
            (digest(it).to_owned(), by.to_owned(), platform.to_owned(), depth)
        };
        let mut all = vec![
            row(&by_subject, "subject", "linux/amd64", 0),
            row(&annotated, "annotation", "-", 0),
            row(&cosign, "cosign tag", "-", 0),
            row(&listed, "fallback tag", "-", 0),
            row(&of_it, "subject", "linux/amd64", 1),
            row(attestations[0], "attestation", "linux/amd64", 0),
            row(attestations[1], "attestation", "linux/arm64", 0),
            row(attestations[2], "attestation", "linux/s390x", 0),
        ];
        all.sort();
        assert_eq!(rows(""), all);
        let only = |wanted: &[&Value]| {
            let is_wanted = |it: &&(String, String, String, u64)| wanted.iter().any(|one| digest(one) == it.0);
            all.iter().filter(is_wanted).cloned().collect::<Vec<_>>()
        };
        assert_eq!(rows("--platform linux/amd64"), only(&[&by_subject, &of_it, attestations[0]]));
        assert_eq!(rows(&format!("--type {SPDX}")), only(&[&by_subject]));
        assert_eq!(rows("--type cosign,test/c"), only(&[&cosign, &listed]));
        assert_eq!(rows("--type application/vnd.in-toto+json --platform linux/arm64"), only(&[attestations[1]]));
        assert_eq!(rows("--type test/x"), only(&[]));
        bench.exits(3, &format!("referrers {place}:app:v1 --platform linux/ppc64le")).says("cannot find linux/ppc64le");
        let text = bench.ok(&format!("referrers {place}:app:v1")).text();
        assert!(text.contains("test/\\u{1b}[2Jd") && !text.contains('\u{1b}'), "{text}");
        let tree = bench.ok(&format!("tree {place}")).text();
        for (kind, times) in
            [(SPDX, 1), ("test/a", 1), ("test/b", 1), ("test/c", 1), ("test/\\u{1b}[2Jd", 1), ("test/e", 1)]
        {
            assert_eq!(tree.matches(kind).count(), times, "{kind} in {tree}");
        }
        assert!(!tree.contains("see above") && !tree.contains('\u{1b}'), "{tree}");
    }
}

#[test]
fn hostile_referrers_are_listed_and_carried_in_bounded_time() {
    let bench = Bench::new();
    let mut made = two_images();
    let app = bare(&made.roots[0]);
    // subjects of another size and type than the image has
    for (at, (field, value)) in [("size", json!(1)), ("mediaType", json!("x/y"))].into_iter().enumerate() {
        let mut wrong = app.clone();
        wrong[field] = value;
        let artifact = made.typed(&format!("wrong {at}"), "test/wrong", Some(&wrong));
        made.root(artifact);
    }
    // a circle by annotations
    let (a, b) = (made.typed("a", "test/a", None), made.typed("b", "test/b", None));
    made.root(belonging(belonging(a.clone(), &app), &b)).root(belonging(b, &a));
    for number in 0..1500 {
        let artifact = made.typed(&format!("number {number}"), "test/many", Some(&app));
        made.root(artifact);
    }
    made.layout(&bench.path("dist"));
    let started = std::time::Instant::now();
    assert_eq!(bench.ok("referrers dist:app:v1 --type test/many").text().lines().count(), 1501);
    assert_eq!(bench.ok("referrers dist:app:v1 --type test/wrong").text().lines().count(), 3);
    bench.ok("tree dist");
    bench.ok("copy --no-sync dist:app:v1 one").says("brings 1502 referrers");
    bench.ok("copy --no-sync dist two").says("2 images, 1504 referrers");
    assert!(started.elapsed().as_secs() < 120, "{:?}", started.elapsed());
}

#[test]
fn a_large_file_is_not_held_in_memory() {
    let bench = bench();
    let file = fs::File::create(bench.path("large.bin")).unwrap();
    file.set_len(256 << 20).unwrap();
    if !allowed(std::path::Path::new("/usr/bin/prlimit").exists(), "prlimit") {
        return;
    }
    let barge = env!("CARGO_BIN_EXE_barge");
    let line = ["--data=100000000", barge, "attach", "--no-sync", "dist:app:v1", "large.bin", "--type", "a/b"];
    let output = std::process::Command::new("prlimit").args(line).current_dir(bench.root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
