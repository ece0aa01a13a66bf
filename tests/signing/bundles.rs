//! Bundles that are signed: what is covered, what is refused, and the check without barge.

use std::fs;
use std::path::Path;

use barge::digest::Digest;
use barge::signing::{KeyType, Password, PrivateKey};
use serde_json::Value;

use crate::environment::{Barge, available, listing};
use crate::support::image::{Layer, annotated, digest};
use crate::support::tar::Tar;
use crate::versions::{files_of, layouts};

/// Makes keys in files, `NAME.key` and `NAME.pub`.
fn keys(barge: &Barge, names: &[(&str, KeyType)]) -> Vec<PrivateKey> {
    let make = |(name, key_type): &(&str, KeyType)| {
        let key = PrivateKey::generate(*key_type).unwrap();
        barge.write(&format!("{name}.key"), key.to_pem().unwrap().as_bytes());
        barge.write(&format!("{name}.pub"), key.public_key().to_pem());
        key
    };
    names.iter().map(make).collect()
}

fn fingerprint(key: &PrivateKey) -> String {
    key.public_key().fingerprint().to_string()
}

type Files = Vec<(String, Vec<u8>)>;
/// What is done to an archive.
type Change<'a> = dyn Fn(&mut Files) + 'a;

fn file<'a>(files: &'a mut Files, name: &str) -> &'a mut Vec<u8> {
    &mut files.iter_mut().find(|(held, _)| held == name).unwrap().1
}

/// Writes an archive with the files of another, changed.
fn changed(from: &Path, to: &Path, change: impl FnOnce(&mut Files)) {
    let mut files = files_of(from);
    change(&mut files);
    let tar = files.iter().fold(Tar::new(), |tar, (name, bytes)| tar.file(name, bytes));
    fs::write(to, tar.finished()).unwrap();
}

fn replace(bytes: &mut Vec<u8>, from: &str, to: &str) {
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(text.contains(from), "{text}");
    *bytes = text.replace(from, to).into_bytes();
}

#[test]
fn a_signed_bundle_is_taken_by_every_command_that_asks_for_its_key() {
    let barge = Barge::new();
    let tops = layouts(&barge, &[1]);
    for key_type in [KeyType::P256, KeyType::Ed25519] {
        let key = &keys(&barge, &[("release", key_type), ("other", KeyType::P256)])[0];
        let said = format!("signed with key {}", fingerprint(key));
        barge.line("save -f -o bundle.tar --sign-key release.key v1").exits(0).says(&[&said]);
        let names: Vec<String> =
            files_of(&barge.path("bundle.tar")).into_iter().map(|(name, _)| name).take(5).collect();
        assert_eq!(names, ["oci-layout", "index.json", "manifest.json", "bundle.json", "bundle.json.sig"]);
        // the same command, the same bytes; to a stream, too
        barge.line("save -o again.tar -q --sign-key release.key v1").exits(0);
        let streamed = barge.line("save -o - -q --sign-key release.key v1").exits(0);
        assert_eq!(fs::read(barge.path("bundle.tar")).unwrap(), fs::read(barge.path("again.tar")).unwrap());
        assert_eq!(fs::read(barge.path("bundle.tar")).unwrap(), streamed.bytes());

        for line in [
            "load --verify-key release.pub -i bundle.tar -o site",
            "load --verify-key other.pub --verify-key release.pub -i bundle.tar again.tar -o site",
            "copy --verify-key release.pub bundle.tar:ghcr.io/org/app:v1 copied",
            "push --dry-run --verify-key release.pub bundle.tar localhost:1",
            "verify --verify-key release.pub bundle.tar",
            "inspect --verify-key release.pub bundle.tar",
            "inspect --verify-key release.pub bundle.tar:v1",
        ] {
            let done = barge.line(line);
            // there is no registry: what counts is how far it came
            let done = if line.starts_with("push") { done.exits(6) } else { done.exits(0) };
            done.says(&[&format!("oci-archive:bundle.tar is {said}")]);
        }
        let verified = barge.line("verify --json --verify-key release.pub bundle.tar").exits(0).json();
        assert_eq!(verified["results"][0]["signedBy"], fingerprint(key));
        let json = barge.line("save --json -f -o bundle.tar --sign-key release.key v1").exits(0).json();
        assert_eq!(json["results"][0]["signedBy"], fingerprint(key));
        assert!(barge.line("ls site").exits(0).stdout().contains(&tops[0][..19]));
        for place in ["site", "copied"] {
            fs::remove_dir_all(barge.path(place)).unwrap();
        }
        fs::remove_file(barge.path("again.tar")).unwrap();
    }
    assert_eq!(barge.line("verify --json bundle.tar").exits(0).json()["results"][0]["signedBy"], Value::Null);
}

#[test]
fn whatever_was_changed_is_refused_before_anything_is_written() {
    let barge = Barge::new();
    layouts(&barge, &[1, 2]);
    let made = keys(&barge, &[("release", KeyType::P256), ("other", KeyType::P256), ("third", KeyType::Ed25519)]);
    let wanted = fingerprint(&made[0]);
    barge.line("save -q -o bundle.tar --sign-key release.key v1").exits(0);
    barge.line("save -q -o plain.tar v1").exits(0);
    barge.line("save -q -o later.tar --sign-key release.key v2").exits(0);
    barge.line("save -q -o others.tar --sign-key other.key v1").exits(0);
    barge.line("save -q -o third.tar --sign-key third.key v1").exits(0);
    barge.line("copy -q v1 simple.tar").exits(0);
    barge.line("load -q -i later.tar -o site").exits(0);
    let bundle = barge.path("bundle.tar");
    let later = files_of(&barge.path("later.tar"));
    let of_later = |name: &str| later.iter().find(|(held, _)| held == name).unwrap().1.clone();
    let is_front = |name: &str| !name.starts_with("blobs/");
    let tamper = |name: &str, change: &Change<'_>| changed(&bundle, &barge.path(name), change);

    tamper("list.tar", &|files| replace(file(files, "bundle.json"), "org/app:v1", "org/app:v9"));
    tamper("names.tar", &|files| replace(file(files, "index.json"), "org/app:v1", "org/app:v9"));
    tamper("space.tar", &|files| file(files, "index.json").push(b'\n'));
    tamper("docker.tar", &|files| replace(file(files, "manifest.json"), "org/app:v1", "org/app:v9"));
    tamper("without.tar", &|files| files.retain(|(name, _)| name != "manifest.json"));
    tamper("unsigned.tar", &|files| files.retain(|(name, _)| name != "bundle.json.sig"));
    tamper("unlisted.tar", &|files| files.retain(|(name, _)| name != "bundle.json"));
    tamper("swapped.tar", &|files| *file(files, "bundle.json.sig") = of_later("bundle.json.sig"));
    tamper("noise.tar", &|files| *file(files, "bundle.json.sig") = b"bm90aGluZw==".to_vec());
    tamper("more.tar", &|files| files.push(("repositories".to_owned(), b"{}".to_vec())));
    // another image is added, with all its blobs
    tamper("extra.tar", &|files| {
        let held: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
        let more: Value = serde_json::from_slice(&of_later("index.json")).unwrap();
        let mut index: Value = serde_json::from_slice(file(files, "index.json")).unwrap();
        index["manifests"].as_array_mut().unwrap().push(more["manifests"][0].clone());
        *file(files, "index.json") = serde_json::to_vec(&index).unwrap();
        files.extend(later.iter().filter(|(name, _)| !is_front(name) && !held.contains(name)).cloned());
    });
    // the list of an older bundle, as it was signed, before newer content
    tamper("older.tar", &|files| {
        files.retain(|(name, _)| name.starts_with("bundle.json") || name == "oci-layout");
        files
            .extend(later.iter().filter(|(name, _)| !name.starts_with("bundle.json") && name != "oci-layout").cloned());
    });

    let did_not_sign = format!("the key {wanted} did not sign these bytes");
    let another_type = format!("no signature by the key {wanted}, which is for P-256");
    for (archive, cause) in [
        ("list.tar", did_not_sign.as_str()),
        ("swapped.tar", &did_not_sign),
        ("others.tar", &did_not_sign),
        ("third.tar", &another_type),
        ("noise.tar", "it is no signature"),
        ("names.tar", "its index.json is not the one that its packing list covers"),
        ("space.tar", "its index.json is not the one that its packing list covers"),
        ("extra.tar", "its index.json is not the one that its packing list covers"),
        ("older.tar", "its manifest.json is not the one that its packing list covers"),
        ("docker.tar", "its manifest.json is not the one that its packing list covers"),
        ("without.tar", "it has no manifest.json, which its packing list covers"),
        ("more.tar", "its packing list does not cover \"repositories\""),
        ("unsigned.tar", "it is not signed: there is no bundle.json.sig"),
        ("plain.tar", "it is not signed: there is no bundle.json.sig"),
        ("unlisted.tar", "it has no packing list"),
        ("simple.tar", "it has no packing list"),
        ("docker-archive:bundle.tar", "it has no packing list"),
    ] {
        let before = listing(&barge.path(""));
        for line in [
            format!("load --verify-key release.pub -i {archive} -o site"),
            format!("load --verify-key release.pub -i bundle.tar {archive} -o new"),
            format!("copy --verify-key release.pub {archive} new"),
            format!("copy --verify-key release.pub {archive} new.tar"),
            format!("push --verify-key release.pub {archive} localhost:1"),
            format!("verify --verify-key release.pub {archive}"),
            format!("inspect --verify-key release.pub {archive}"),
        ] {
            let refused = barge.line(&line).exits(4);
            refused.says(&["error: cannot trust ", archive.trim_start_matches("docker-archive:"), cause, "\nhint: "]);
        }
        assert_eq!(listing(&barge.path("")), before, "{archive}");
    }
    // without a key they are what they were; and a blob that is wrong is found as ever
    barge.line("load -i extra.tar -o unchecked").exits(0);
    tamper("blob.tar", &|files| files.last_mut().unwrap().1[0] ^= 1);
    barge.line("load --verify-key release.pub -i blob.tar -o damaged").exits(4).never(&["cannot trust"]);
}

#[test]
fn what_is_no_bundle_is_refused_with_what_to_do() {
    let barge = Barge::new();
    layouts(&barge, &[1]);
    keys(&barge, &[("release", KeyType::P256)]);
    barge.line("save -q --format docker --platform linux/amd64 -o docker.tar v1").exits(0);
    let before = listing(&barge.path(""));
    for (line, code, said) in [
        ("copy --verify-key release.pub v1 new", 9, "it is a layout: what a key signs are bundles"),
        ("load --verify-key release.pub -i v1 -o new", 9, "it is a layout"),
        ("load --verify-key release.pub -i docker.tar -o new", 4, "it has no packing list"),
        ("copy --verify-key nothing.pub v1 new", 3, "cannot find the key nothing.pub"),
        ("copy --verify-key release.key v1 new", 2, "it is a private key, and a public one is needed"),
        ("save --sign-key release.pub -o new.tar v1", 2, "it is a public key, and a private one is needed"),
        (
            "save --sign-key release.key --format docker --platform linux/amd64 -o new.tar v1",
            9,
            "cannot sign a docker-archive",
        ),
        ("save --sign-key release.key --format docker --dry-run -o new.tar v1", 9, "cannot sign a docker-archive"),
    ] {
        barge.line(line).exits(code).says(&[said, "\nhint: "]);
        assert_eq!(listing(&barge.path("")), before, "{line}");
    }
    barge
        .line("save --dry-run --sign-key release.key -o new.tar v1")
        .exits(0)
        .says(&["would be signed with key sha256:"]);
    assert_eq!(listing(&barge.path("")), before);
}

#[test]
fn an_archive_that_is_changed_is_not_signed_any_more_and_says_so() {
    let barge = Barge::new();
    layouts(&barge, &[1, 2]);
    keys(&barge, &[("release", KeyType::P256)]);
    for line in ["tag signed.tar:ghcr.io/org/app:v1 ghcr.io/org/app:again", "copy v2 signed.tar"] {
        barge.line("save -q -f -o signed.tar --sign-key release.key v1").exits(0);
        barge.line(line).exits(0).says(&["warning: ", "signed.tar was signed, and is not any more: it changes"]);
        let names: Vec<String> = files_of(&barge.path("signed.tar")).into_iter().map(|(name, _)| name).collect();
        assert!(names.iter().any(|name| name == "bundle.json") && names.iter().all(|name| name != "bundle.json.sig"));
        barge.line("load --verify-key release.pub -i signed.tar -o new").exits(4).says(&["it is not signed"]);
    }
    // what changes nothing leaves the signature
    barge.line("save -q -f -o signed.tar --sign-key release.key v1").exits(0);
    let before = fs::read(barge.path("signed.tar")).unwrap();
    barge.line("copy v1 signed.tar").exits(0).never(&["was signed"]);
    assert_eq!(fs::read(barge.path("signed.tar")).unwrap(), before);
}

#[test]
fn every_form_of_a_bundle_can_be_signed() {
    let barge = Barge::new();
    layouts(&barge, &[1, 2]);
    keys(&barge, &[("release", KeyType::P256)]);
    let fixtures =
        barge.fixtures(&["buildx-amd64-arm64.tar", "hybrid-ppc64le.tar", "containerd-s390x", "skopeo-arm64.tar"]);
    barge.line("save -q -o base.tar --sign-key release.key v1").exits(0);
    for (at, (what, part)) in [
        ("--format oci v1", ""),
        ("--compress gzip v1", ""),
        ("--compress zstd v1", ""),
        ("--platform linux/arm64 v1", ""),
        ("--platform linux/arm64 --index keep v1", "--platform linux/arm64"),
        ("--base base.tar --base-key release.pub v2", ""),
        (&fixtures.join(" "), ""),
    ]
    .into_iter()
    .enumerate()
    {
        barge.line(&format!("save -q -o {at}.tar --sign-key release.key {what}")).exits(0);
        for (bundle, part) in [("base".to_owned(), ""), (at.to_string(), part)] {
            barge.line(&format!("load --verify-key release.pub {part} -i {bundle}.tar -o site{at}")).exits(0);
        }
    }
}

#[test]
fn what_belongs_to_an_image_elsewhere_is_covered_too() {
    let barge = Barge::new();
    keys(&barge, &[("release", KeyType::P256)]);
    let (mut images, top) = crate::versions::version(1);
    let referrer = images.image("linux/amd64", &[Layer::plain(b"a signature")]);
    let signature = digest(&referrer).to_owned();
    images.root(annotated(referrer, "io.containerd.manifest.subject", &top));
    images.layout(&barge.path("both"));
    barge.line(&format!("save -q -o alone.tar --sign-key release.key both@{signature}")).exits(0);
    let list = crate::versions::bundle_json(&barge.path("alone.tar"));
    assert_eq!(list["images"][0]["digest"], signature);
    barge.line("load -q --verify-key release.pub -i alone.tar -o site").exits(0);
    barge.line("save -q -o both.tar --sign-key release.key both").exits(0);
    let list = crate::versions::bundle_json(&barge.path("both.tar"));
    assert_eq!(list["images"].as_array().unwrap().len(), 1);
    assert_eq!(list["images"][0]["referrers"][0]["digest"], signature);
    barge.line("load -q --verify-key release.pub -i both.tar -o other").exits(0);
}

#[test]
fn an_encrypted_key_signs_with_its_password() {
    let barge = Barge::new();
    layouts(&barge, &[1]);
    let key = PrivateKey::generate(KeyType::P256).unwrap();
    barge.write("release.key", key.to_encrypted_pem(&Password::new("pass word")).unwrap());
    barge.write("release.pub", key.public_key().to_pem());
    let save = |password: Option<&str>, code: i32, said: &str| {
        let mut command = barge.command();
        command.args("save -o bundle.tar --sign-key release.key v1".split(' '));
        command.env_remove("BARGE_PASSWORD").env_remove("COSIGN_PASSWORD");
        command.envs(password.map(|password| ("BARGE_PASSWORD", password)));
        barge.finish(&mut command).exits(code).says(&[said]).never(&["pass word"]);
        assert_eq!(barge.path("bundle.tar").exists(), code == 0);
    };
    save(None, 2, "there is no terminal to ask for the password at");
    save(Some("wrong"), 5, "the password is wrong");
    save(Some("pass word"), 0, &fingerprint(&key));
    barge.line("load --verify-key release.pub -i bundle.tar -o site").exits(0);
}

#[test]
fn openssl_and_tar_check_a_bundle_as_the_page_says() {
    let there =
        |program: &str| std::env::split_paths(&std::env::var("PATH").unwrap()).any(|it| it.join(program).is_file());
    if !available("openssl", there("openssl")) {
        return;
    }
    let barge = Barge::new();
    layouts(&barge, &[1, 2]);
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/signing.md")).unwrap();
    let section = page.split("\n## ").find(|section| section.starts_with("To check a bundle without barge")).unwrap();
    let lines: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert_eq!(lines.len(), 10, "{lines:?}");
    for (key_type, lines) in [(KeyType::P256, &lines[..5]), (KeyType::Ed25519, &lines[5..])] {
        keys(&barge, &[("release", key_type), ("other", key_type)]);
        let run = |case: &str, key: &str, good: bool| {
            let script = format!("set -e\n{}", lines.join("\n")).replace("bundle-ed.tar", "bundle.tar");
            let script = script.replace("plain.pub", "release.pub").replace("release.pub", key);
            let output = barge.around("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(
                output.status.success(),
                good,
                "{key_type}, {case}: {script}\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        };
        barge.line("save -q -f -o bundle.tar --sign-key release.key v1").exits(0);
        let whole = fs::read(barge.path("bundle.tar")).unwrap();
        run("as it is", "release.pub", true);
        run("another key", "other.pub", false);
        let changes: [(&str, &Change<'_>); 3] = [
            ("the list", &|files| replace(file(files, "bundle.json"), "org/app:v1", "org/app:v9")),
            ("names", &|files| replace(file(files, "index.json"), "org/app:v1", "org/app:v9")),
            // the list has the digest of the image's own index as well
            ("index.json is the image's index", &|files| {
                let list: Value = serde_json::from_slice(file(files, "bundle.json")).unwrap();
                let digest = list["images"][0]["digest"].as_str().unwrap().replace("sha256:", "blobs/sha256/");
                let index = file(files, &digest).clone();
                *file(files, "index.json") = index;
            }),
        ];
        for (case, change) in changes {
            changed(&barge.path("bundle.tar"), &barge.path("bundle.tar"), change);
            run(case, "release.pub", false);
            fs::write(barge.path("bundle.tar"), &whole).unwrap();
        }
    }
    let digest = Digest::of(&fs::read(barge.path("list.json")).unwrap());
    assert!(barge.line("inspect bundle.tar").exits(0).stdout().contains(&digest.to_string()));
}
