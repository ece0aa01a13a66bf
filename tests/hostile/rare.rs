//! Odd and right, where the layout itself is rare: sha512, foreign layers, what other programs leave about.

use std::fs;

use serde_json::json;

use crate::ordeal::Ordeal;
use crate::support::image::{Layer, MANIFEST, config, manifest, named, simple};
use crate::support::tar::Tar;

#[test]
fn sha512_is_as_good_as_sha256() {
    let mut ordeal = Ordeal::new();
    let tar = Tar::new().file("etc/hello", b"hello").finished();
    let path = ordeal.path("x/blobs/sha512");
    fs::create_dir_all(&path).unwrap();
    let put = |media_type: &str, bytes: &[u8]| {
        let mut hasher = barge::digest::Algorithm::Sha512.hasher();
        hasher.update(bytes);
        let digest = hasher.finish();
        fs::write(path.join(digest.hex()), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
    };
    let layer = put(crate::support::image::LAYER, &tar);
    let mut config = config("linux/amd64", &[Layer::plain(&tar)]);
    config["rootfs"]["diff_ids"] = json!([layer["digest"]]);
    let config = put(crate::support::image::CONFIG, config.to_string().as_bytes());
    let root = named(put(MANIFEST, manifest(&config, &[layer]).to_string().as_bytes()), "v1");
    fs::write(ordeal.path("x/oci-layout"), barge::store::OCI_LAYOUT).unwrap();
    fs::write(ordeal.path("x/index.json"), json!({"schemaVersion": 2, "manifests": [root]}).to_string()).unwrap();
    for line in [
        "copy --no-sync x y",
        "save --no-sync -o y.tar x",
        "copy --no-sync y.tar z",
        "verify --deep x",
        "verify --deep y.tar",
        "verify --deep z",
        "unpack x out",
    ] {
        let ran = ordeal.run("sha512", line);
        if ran.code != 0 {
            ordeal.fault(format!("sha512: {line}: {} {}{}", ran.code, ran.stdout, ran.stderr));
        }
    }
    let names = |layout: &str| {
        let mut names: Vec<_> =
            fs::read_dir(ordeal.path(layout).join("blobs/sha512")).unwrap().map(|it| it.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!((names("x"), names("x")), (names("y"), names("z")));
    ordeal.judge();
}

#[test]
fn foreign_layers_may_be_elsewhere_and_nobody_asks_there() {
    let mut ordeal = Ordeal::new();
    for media_type in [
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ] {
        let images = crate::descriptors::made(|images| {
            let layer = Layer::gzip(b"base");
            let mut listed = images.put(media_type, &layer.bytes);
            images.blobs.clear();
            listed["urls"] = json!(["http://127.0.0.1:1/layer", "file:///etc/passwd", "http://169.254.169.254/latest"]);
            let config = images.document(crate::support::image::CONFIG, &config("windows/amd64", &[layer]));
            images.document(MANIFEST, &manifest(&config, &[listed]))
        });
        for place in ["x", "x.tar"] {
            images.write(&ordeal.path(place));
            let all = ordeal.try_all(media_type, place);
            if all["ls --all PLACE"].code != 0 || all["verify PLACE"].code != 0 {
                ordeal.fault(format!("{media_type}: {}", all["verify PLACE"].stdout));
            }
            ordeal.clear(place);
        }
    }
    ordeal.judge();
}

#[test]
fn what_other_programs_leave_about_is_nobodys_business() {
    let mut ordeal = Ordeal::new();
    let layer = Layer::gzip(&Tar::new().file("a", b"a").finished());
    let mut images = simple(&[]);
    let root = images.image("linux/amd64", &[layer]);
    images.root(named(root, "v1"));
    images.blobs.insert(barge::digest::Digest::of(b"garbage").to_string(), b"garbage".to_vec());
    images.layout(&ordeal.path("x"));
    for (name, text) in [
        ("manifest.json", "[]"),
        ("repositories", "{}"),
        ("ingest/123/data", "half"),
        ("blobs/sha256/tmp-1", "x"),
        ("index.json.lock", ""),
        (".umoci-1/x", "x"),
        ("blobs/x/y", "x"),
        ("oci-layout.bak", "x"),
        ("lost+found/x", "x"),
    ] {
        let path = ordeal.path("x").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    for (line, ran) in ordeal.try_all("what others leave", "x") {
        if ran.code != 0 {
            ordeal.fault(format!("{line}: {} {}", ran.code, ran.stderr));
        }
    }
    ordeal.judge();
}
