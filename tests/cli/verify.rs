//! `verify`: every kind of problem, in a layout and in an archive alike.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::machine::{as_nobody, strace};
use super::merge::{HELLO, SIX};
use super::support::image::{CONFIG, Images, Layer, MANIFEST, annotated, config, digest, named, on};
use super::*;

const PLACES: [&str; 2] = ["place", "place.tar"];

/// An index over two images, with digests by which to spoil them.
struct Sample {
    images: Images,
    index: String,
    manifest: String,
    config: String,
    layer: String,
    content: Vec<u8>,
}

fn sample(layer: &Layer) -> Sample {
    let mut images = Images::new();
    let layers = [layer.clone()];
    let config = images.document(CONFIG, &config("linux/amd64", &layers));
    let one = images.image("linux/amd64", &layers);
    let two = images.image("linux/arm64", &[Layer::plain(b"another")]);
    let index = images.index(&[on(one.clone(), "linux/amd64"), on(two, "linux/arm64")]);
    images.root(named(index.clone(), "v1"));
    Sample {
        index: digest(&index).to_owned(),
        manifest: digest(&one).to_owned(),
        config: digest(&config).to_owned(),
        layer: barge::digest::Digest::of(&layer.bytes).to_string(),
        content: layer.bytes.clone(),
        images,
    }
}

fn problems(barge: &Barge, line: &str, code: i32) -> Vec<Value> {
    let report = barge.line(&format!("{line} --json")).exits(code).json();
    assert_eq!(report["ok"], code == 0, "{report}");
    if code != 0 {
        assert_eq!(report["error"]["class"], "content");
    }
    report["results"][0]["problems"].as_array().unwrap().clone()
}

#[test]
fn damage_is_found_whatever_it_hits() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, &str, Option<Damage>); 6] = [
        ("a flipped bit", "digest-mismatch", Some(|bytes| *bytes.last_mut().unwrap() ^= 1)),
        ("a flipped first bit", "digest-mismatch", Some(|bytes| bytes[0] ^= 0x80)),
        ("a cut tail", "size-mismatch", Some(|bytes| bytes.truncate(bytes.len() - 1))),
        ("nothing left", "size-mismatch", Some(Vec::clear)),
        ("a longer tail", "size-mismatch", Some(|bytes| bytes.push(b'\n'))),
        ("no file", "missing", None),
    ];
    let barge = Barge::new();
    let right = sample(&Layer::gzip(b"content"));
    let targets = [
        ("index", &right.index, vec![]),
        ("manifest", &right.manifest, vec![&right.index]),
        ("config", &right.config, vec![&right.manifest]),
        ("layer", &right.layer, vec![&right.manifest]),
    ];
    for (target, subject, referenced_by) in &targets {
        for (case, status, damage) in &damages {
            let mut spoilt = right.images.clone();
            match damage {
                Some(damage) => damage(spoilt.blobs.get_mut(*subject).unwrap()),
                None => drop(spoilt.blobs.remove(*subject)),
            }
            for place in PLACES {
                let path = format!("{target}-{case}-{place}").replace(' ', "-");
                spoilt.write(&barge.path(&path));
                for command in ["verify", "verify --deep", "verify --jobs 1"] {
                    let found = problems(&barge, &format!("{command} {path}"), 4);
                    let found: Vec<_> = found.iter().map(|problem| (&problem["digest"], &problem["status"])).collect();
                    assert_eq!(found, [(&json!(subject), &json!(status))], "{case}, {target}, {command} {place}");
                }
                let found = problems(&barge, &format!("verify {path}"), 4);
                assert_eq!(found[0]["referencedBy"], json!(referenced_by), "{case}, {target}, {place}");
                assert!(found[0]["about"].as_str().unwrap().contains(target), "{found:?}");
                let text = barge.line(&format!("verify {path}")).exits(4);
                text.prints(&[status, subject, "NOT ok"]).says(&["1 problem found", "\nhint: "]);
            }
        }
    }
}

#[test]
fn a_document_with_the_right_digest_can_be_malformed() {
    let barge = Barge::new();
    let cases: [(&str, &[u8], &str); 8] = [
        ("no JSON", b"garbage", "expected value"),
        ("cut JSON", b"{\"schemaVersion\":2,", "EOF"),
        ("empty", b"", "empty"),
        ("a list", b"[]", "object"),
        ("no config", b"{\"schemaVersion\":2,\"layers\":[]}", "config"),
        ("an index", b"{\"schemaVersion\":2,\"manifests\":[]}", "at once"),
        ("twice a key", b"{\"schemaVersion\":2,\"schemaVersion\":2}", "twice"),
        ("a byte order mark", b"\xef\xbb\xbf{}", "byte order mark"),
    ];
    for (case, bytes, detail) in cases {
        let mut images = Images::new();
        let garbage = images.put(MANIFEST, bytes);
        let subject = digest(&garbage).to_owned();
        images.root(named(garbage, "v1"));
        for place in PLACES {
            let path = format!("{case}-{place}").replace(' ', "-");
            images.write(&barge.path(&path));
            let found = problems(&barge, &format!("verify {path}"), 4);
            assert_eq!(found.len(), 1, "{case}: {found:?}");
            assert_eq!((&found[0]["digest"], &found[0]["status"]), (&json!(subject), &json!("malformed")), "{case}");
            assert!(found[0]["detail"].as_str().unwrap().contains(detail), "{case}: {found:?}");
        }
    }
}

#[test]
fn a_config_is_held_against_what_refers_to_it() {
    let barge = Barge::new();
    let layers = [Layer::plain(b"one"), Layer::gzip(b"two")];
    let right = config("linux/amd64", &layers);
    let with = |name: &str, value: Value| {
        let mut config = right.clone();
        config[name] = value;
        config
    };
    let rootfs = |ids: &[&str]| json!({"type": "layers", "diff_ids": ids});
    let (one, two) = (layers[0].diff_id.as_str(), layers[1].diff_id.as_str());
    let cases = [
        ("as it should be", right.clone(), vec![]),
        ("too few diff_ids", with("rootfs", rootfs(&[one])), vec!["malformed"]),
        ("too many diff_ids", with("rootfs", rootfs(&[one, two, two])), vec!["malformed"]),
        ("no diff_ids", with("rootfs", json!({"type": "layers"})), vec!["malformed"]),
        ("another platform", with("architecture", json!("arm64")), vec!["platform-mismatch"]),
        ("another variant", with("variant", json!("v3")), vec!["platform-mismatch"]),
        ("nothing of a platform", with("os", json!("")), vec![]),
        ("diff_ids that are none", with("rootfs", rootfs(&["x", "y"])), vec!["malformed"]),
        ("an OS that is no text", with("os", json!(5)), vec!["malformed"]),
    ];
    for (at, (case, config, expected)) in cases.into_iter().enumerate() {
        let mut images = Images::new();
        let image = images.image_with(&config, &layers);
        let index = images.index(&[on(image.clone(), "linux/amd64")]);
        images.root(index);
        for place in PLACES {
            let path = format!("{at}-{place}");
            images.write(&barge.path(&path));
            let found = problems(&barge, &format!("verify {path}"), if expected.is_empty() { 0 } else { 4 });
            let statuses: Vec<_> = found.iter().map(|problem| problem["status"].as_str().unwrap()).collect();
            assert_eq!(statuses, expected, "{case}: {found:?}");
            if let Some(problem) = found.first() {
                assert_eq!(problem["referencedBy"], json!([digest(&image)]), "{case}");
            }
        }
    }
}

#[test]
fn diff_ids_are_checked_when_asked_for() {
    let barge = Barge::new();
    let content = b"unpacked content of a layer".repeat(1000);
    let [plain, gzip, zstd] = [Layer::plain(&content), Layer::gzip(&content), Layer::zstd(&content)];
    let members = Layer { bytes: [&gzip.bytes[..], &Layer::gzip(b"x").bytes].concat(), ..gzip.clone() };
    let spoilt = |layer: &Layer| {
        // the check sum of gzip, or the content of a frame
        let mut bytes = layer.bytes.clone();
        let at = bytes.len() - 6;
        bytes[at] ^= 1;
        Layer { bytes, ..layer.clone() }
    };
    let cut = |layer: &Layer| Layer { bytes: layer.bytes[..layer.bytes.len() - 9].to_vec(), ..layer.clone() };
    let other = |layer: &Layer| Layer { diff_id: Layer::plain(b"other").diff_id, ..layer.clone() };
    let cases = [
        ("plain", plain.clone(), None),
        ("gzip", gzip.clone(), None),
        ("zstd", zstd.clone(), None),
        ("another plain", other(&plain), Some("diffid-mismatch")),
        ("another gzip", other(&gzip), Some("diffid-mismatch")),
        ("another zstd", other(&zstd), Some("diffid-mismatch")),
        ("a second member", members, Some("diffid-mismatch")),
        ("a cut plain one", cut(&plain), Some("diffid-mismatch")),
        ("a spoilt gzip", spoilt(&gzip), Some("malformed")),
        ("a cut gzip", cut(&gzip), Some("malformed")),
        ("a cut zstd", cut(&zstd), Some("malformed")),
    ];
    for (at, (case, layer, expected)) in cases.into_iter().enumerate() {
        let sample = sample(&layer);
        for place in PLACES {
            let path = format!("{at}-{place}");
            sample.images.write(&barge.path(&path));
            barge.line(&format!("verify {path}")).exits(0); // every digest is right
            let found = problems(&barge, &format!("verify --deep {path}"), if expected.is_some() { 4 } else { 0 });
            let shown: Vec<_> = found.iter().map(|problem| (&problem["digest"], &problem["status"])).collect();
            let expected: Vec<_> = expected.iter().map(|status| (json!(sample.layer), json!(status))).collect();
            assert_eq!(shown, expected.iter().map(|(a, b)| (a, b)).collect::<Vec<_>>(), "{case} {place}");
        }
    }
    // where the packing breaks because a bit is wrong, the wrong bit is the reason to tell
    let mut sample = sample(&gzip);
    let middle = sample.content.len() / 2;
    sample.images.blobs.get_mut(&sample.layer).unwrap()[middle] ^= 1;
    sample.images.layout(&barge.path("flipped"));
    assert_eq!(problems(&barge, "verify --deep flipped", 4)[0]["status"], "digest-mismatch");
}

#[test]
fn one_name_for_two_images_is_ambiguous() {
    let barge = Barge::new();
    let mut images = Images::new();
    for platform in ["linux/amd64", "linux/arm64"] {
        let image = images.image(platform, &[Layer::plain(platform.as_bytes())]);
        images.root(named(image, "v1"));
    }
    for place in PLACES {
        images.write(&barge.path(place));
        let found = problems(&barge, &format!("verify {place}"), 4);
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0]["digest"], &found[0]["status"]), (&json!("v1"), &json!("ambiguous-name")));
        for root in &images.roots {
            assert!(found[0]["detail"].as_str().unwrap().contains(digest(root)), "{found:?}");
        }
    }
}

#[test]
fn content_that_the_machine_cannot_read_is_unreadable() {
    let barge = Barge::new();
    let sample = sample(&Layer::plain(&b"x".repeat(100_000)));
    sample.images.layout(&barge.path("place"));
    sample.images.archive(&barge.path("place.tar"));
    // a disk that fails, inside an archive: the kernel is made to say so
    if available("strace", strace()) {
        for (place, file) in [("place.tar", "place.tar".to_owned()), ("place", blob(&sample.layer))] {
            let mut found = false;
            for first in 1..40 {
                let mut command = barge.around("strace");
                command.args(["-f", "-q", "-o", "/dev/null", "-P"]).arg(barge.path(&file));
                command.arg(format!("-einject=read,pread64:error=EIO:when={first}"));
                command.arg(env!("CARGO_BIN_EXE_barge")).args(["verify", "--json", "--jobs", "1", place]);
                let output = barge.finish(&mut command);
                // without its headers an archive is no archive
                let code = output.code();
                let report = output.exits(code).json();
                match code {
                    10 => assert_eq!(report["error"]["class"], "machine"),
                    4 => {
                        let problems = report["results"][0]["problems"].as_array().unwrap();
                        assert!(problems.iter().all(|problem| problem["status"] == "unreadable"), "{report}");
                        found = true;
                    }
                    code => assert_eq!(code, 0, "it is not read so often: {report}"),
                }
            }
            assert!(found, "{place}");
        }
    }
    // a file that only its owner may read
    let path = barge.path(blob(&sample.layer));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = barge.command();
    command.args(["verify", "--json", "place"]);
    if fs::File::open(&path).is_ok() {
        as_nobody(&barge, &mut command);
    }
    let report = barge.finish(&mut command).exits(4).json();
    let problem = &report["results"][0]["problems"][0];
    assert_eq!((&problem["digest"], &problem["status"]), (&json!(sample.layer), &json!("unreadable")), "{report}");
}

fn blob(digest: &str) -> String {
    format!("place/blobs/{}", digest.replace(':', "/"))
}

#[test]
fn everything_wrong_is_listed_at_once() {
    let barge = Barge::new();
    let right = sample(&Layer::gzip(b"content"));
    let mut images = right.images.clone();
    images.blobs.get_mut(&right.layer).unwrap()[3] ^= 1;
    images.blobs.remove(&right.config);
    let garbage = images.put(MANIFEST, b"garbage");
    images.root(named(garbage.clone(), "v2"));
    images.put("text/plain", b"left over");
    let missing = json!({"mediaType": MANIFEST, "size": 2, "digest": format!("sha256:{}", "0".repeat(64))});
    images.root(missing);
    images.layout(&barge.path("place"));
    let words = "verify place";
    let (config, layer, garbage) = (&right.config, &right.layer, digest(&garbage));
    barge.line(words).shows(&format!(
        "\
exit: 4
--- stdout
place: malformed: {garbage} (manifest of v2): it is not strict JSON: expected value at line 1 column 1
place: missing: sha256:{zeros} (manifest of sha256:000000000000): cannot find sha256:{zeros} in oci:place
place: missing: {config} (config of linux/amd64): cannot find {config} in oci:place
place: digest-mismatch: {layer} (layer 1 of linux/amd64): content is {got}, expected {layer}
place: NOT ok: 3 images, 5 blobs, 1.4 KiB checked
place: note: 1 unreferenced blob, 9 B
--- stderr
error: 4 problems found

hint: what is missing or wrong has to be copied again from where it was made
",
        zeros = "0".repeat(64),
        got = barge::digest::Digest::of(&images.blobs[layer]),
    ));
    let report = barge.line("verify --json place").exits(4).json();
    assert_eq!(report["stats"]["problems"], 4);
    assert_eq!(report["results"][0]["unreferenced"].as_array().unwrap().len(), 1);
    // one image of it is what is asked for: the other's problems are not
    let one = problems(&barge, "verify place:v1", 4);
    assert_eq!(one.len(), 2, "{one:?}");
}

#[test]
fn what_is_whole_is_said_to_be() {
    let barge = Barge::new();
    barge.fixtures(&SIX);
    barge.run(["merge", "-q", "-o", "hello.tar", "-t", HELLO].iter().chain(&SIX)).exits(0).silent();
    barge.line("verify --deep hello.tar umoci-amd64").shows(
        "\
exit: 0
--- stdout
hello.tar: ok: 1 image, 22 blobs, 17.4 KiB checked, 9 layers unpacked
umoci-amd64: ok: 1 image, 4 blobs, 1.4 KiB checked, 2 layers unpacked
",
    );
    for place in SIX {
        barge.line(&format!("verify --deep {place}")).exits(0);
    }
    let mut images = Images::new();
    images.put("text/plain", b"nobody refers to this");
    for place in PLACES {
        images.write(&barge.path(place));
        let report = barge.line(&format!("verify --json {place}")).exits(0).json();
        assert_eq!(report["results"][0]["unreferenced"].as_array().unwrap().len(), 1, "{place}");
        barge.line(&format!("verify {place}")).exits(0).prints(&["note: 1 unreferenced blob"]).silent();
    }
}

#[test]
fn one_spoilt_place_does_not_hide_the_next() {
    let barge = Barge::new();
    let right = sample(&Layer::plain(b"x"));
    right.images.layout(&barge.path("right"));
    let mut wrong = right.images.clone();
    wrong.blobs.remove(&right.layer);
    wrong.layout(&barge.path("wrong"));
    let report = barge.line("verify --json wrong right").exits(4).json();
    let oks: Vec<_> = report["results"].as_array().unwrap().iter().map(|result| &result["ok"]).collect();
    assert_eq!(oks, [&json!(false), &json!(true)]);
}

#[test]
fn layers_from_elsewhere_may_be_missing_but_not_wrong() {
    let barge = Barge::new();
    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    let mut images = Images::new();
    let layer = Layer { media_type: foreign, ..Layer::gzip(b"elsewhere") };
    let image = images.image_with(&config("windows/amd64", std::slice::from_ref(&layer)), std::slice::from_ref(&layer));
    let key = barge::digest::Digest::of(&layer.bytes).to_string();
    images.root(annotated(named(image, "v1"), "x", "y"));
    for place in PLACES {
        let mut without = images.clone();
        without.blobs.remove(&key);
        without.write(&barge.path(format!("without-{place}")));
        barge.line(&format!("verify --deep without-{place}")).exits(0);
        let mut wrong = images.clone();
        wrong.blobs.get_mut(&key).unwrap()[0] ^= 1;
        wrong.write(&barge.path(format!("wrong-{place}")));
        let found = problems(&barge, &format!("verify wrong-{place}"), 4);
        assert_eq!(found[0]["status"], "digest-mismatch");
    }
}
