//! Layouts and archives that no honest program writes: each is refused with what and where, and nothing hangs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use super::support::image::{
    CONFIG, INDEX, Images, LAYER, Layer, MANIFEST, config, digest, manifest, named, on, platform, simple,
};
use super::support::tar::{Block, Tar};
use super::*;

const COMMANDS: [&str; 7] =
    ["ls --all", "tree", "inspect", "verify", "verify --deep --json", "inspect --raw", "ls --json"];

/// Runs every command on a place: a merge has to fail with one of these codes and say this, the others only have to end.
#[track_caller]
fn refused(barge: &Barge, place: &str, codes: &[i32], parts: &[&str]) {
    for command in COMMANDS {
        let words = format!("{command} {place}");
        let code = barge.line(&words).code();
        assert!([0, 3, 4, 9, 10].contains(&code), "{words}: {code}");
    }
    for target in ["out", "out.tar"] {
        let output = barge.line(&format!("merge --no-sync -o {target} -t app:v1 {place}"));
        let code = output.code();
        assert!(codes.contains(&code), "{place}: {code}");
        let checked = output.exits(code).says(&["error: "]).says(parts);
        assert!(checked.stderr().contains(place) || checked.stderr().contains("caused by"), "{}", checked.stderr());
        assert!(checked.stderr().len() < 4000, "{place}: {} bytes of complaint", checked.stderr().len());
        assert!(!barge.path(target).exists(), "{place} made {target}");
    }
}

#[test]
fn files_that_are_no_files_are_refused_without_waiting() {
    let barge = Barge::new();
    let images = simple(&["linux/amd64"]);
    let layer = barge::digest::Digest::of(&Layer::gzip("app for linux/amd64".repeat(100).as_bytes()).bytes);
    let manifest = digest(&images.roots[0]).replace(':', "/");
    barge.write("secret", "outside");
    type Spoil = fn(&Path);
    let fifo: Spoil = |path| {
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    };
    let spoils: [(&str, Spoil); 7] = [
        ("a FIFO", fifo),
        ("a directory", |path| fs::create_dir(path).unwrap()),
        ("a link out", |path| symlink("/etc/passwd", path).unwrap()),
        ("a link up", |path| symlink("../../../../secret", path).unwrap()),
        ("a link to itself", |path| symlink(path.file_name().unwrap(), path).unwrap()),
        ("a link to nothing", |path| symlink("nothing", path).unwrap()),
        ("a link to a device", |path| symlink("/dev/zero", path).unwrap()),
    ];
    let mut at = 0;
    for file in ["index.json", "oci-layout", &format!("blobs/{manifest}"), &layer.blob_path()] {
        for (case, spoil) in spoils {
            at += 1;
            let place = format!("{at}");
            images.layout(&barge.path(&place));
            let path = barge.path(&place).join(file);
            fs::remove_file(&path).unwrap();
            spoil(&path);
            let name = Path::new(file).file_name().unwrap().to_str().unwrap();
            refused(&barge, &place, &[4], &[name]);
            let shown = barge.line(&format!("verify {place}")).exits(4);
            shown.never(&["outside", "root:"]);
            let _ = case;
        }
    }
    for directory in ["blobs", "blobs/sha256"] {
        for (name, to) in [("out", "/"), ("loop", "sha256"), ("nothing", "nowhere")] {
            let place = format!("{}-{name}", directory.replace('/', "-"));
            images.layout(&barge.path(&place));
            fs::remove_dir_all(barge.path(&place).join(directory)).unwrap();
            symlink(to, barge.path(&place).join(directory)).unwrap();
            refused(&barge, &place, &[4], &[]);
        }
    }
}

#[test]
fn documents_that_lie_are_refused() {
    let barge = Barge::new();
    let layers = [Layer::plain(b"x")];
    let make = |build: &dyn Fn(&mut Images) -> Value| {
        let mut images = Images::new();
        let root = build(&mut images);
        images.root(named(root, "v1"));
        images
    };
    let nested = |depth: usize| {
        make(&move |images| {
            let image = images.image("linux/amd64", &[Layer::plain(b"x")]);
            (0..depth).fold(on(image, "linux/amd64"), |below, _| images.index(&[below]))
        })
    };
    let raw = |media_type: &'static str, text: String| make(&move |images| images.put(media_type, text.as_bytes()));
    let open = |count: usize| format!("{{\"schemaVersion\":2,\"x\":{}", "[".repeat(count));
    let cases: Vec<(&str, Images, &[&str])> = vec![
        ("indexes 65 deep", nested(65), &["64"]),
        ("indexes 5000 deep", nested(5000), &["64"]),
        (
            "an index with layers",
            make(&|images| {
                let image = images.image("linux/amd64", &layers);
                images.document(INDEX, &json!({"schemaVersion": 2, "manifests": [image], "layers": []}))
            }),
            &["an index and a manifest at once"],
        ),
        (
            "a manifest with manifests",
            make(&|images| {
                let config = images.document(CONFIG, &config("linux/amd64", &[]));
                let mut document = manifest(&config, &[]);
                document["manifests"] = json!([]);
                images.document(MANIFEST, &document)
            }),
            &["an index and a manifest at once"],
        ),
        (
            "another media type",
            make(&|images| {
                let config = images.document(CONFIG, &config("linux/amd64", &[]));
                let mut document = manifest(&config, &[]);
                document["mediaType"] = json!("application/vnd.docker.distribution.manifest.v2+json");
                images.document(MANIFEST, &document)
            }),
            &["the type that refers to it"],
        ),
        (
            "two sizes for one digest",
            make(&|images| {
                let mut image = on(images.image("linux/amd64", &layers), "linux/amd64");
                let one = image.clone();
                image["size"] = json!(5);
                image["platform"] = platform("linux/arm64");
                images.index(&[one, image])
            }),
            &["sha256:"],
        ),
        (
            "a negative size",
            make(&|images| {
                let mut image = images.image("linux/amd64", &layers);
                image["size"] = json!(-1);
                images.index(&[image])
            }),
            &["size is -1"],
        ),
        (
            "a size beyond all",
            make(&|images| {
                let mut image = images.image("linux/amd64", &layers);
                image["size"] = json!(u64::MAX);
                images.index(&[image])
            }),
            &["size is 18446744073709551615"],
        ),
        (
            "a document of 4 EiB",
            make(&|images| {
                let mut image = images.image("linux/amd64", &layers);
                image["size"] = json!(1_u64 << 62);
                images.index(&[image])
            }),
            &["8388608"],
        ),
        (
            "a digest that climbs",
            make(&|images| {
                let image = json!({"mediaType": MANIFEST, "size": 1, "digest": "sha256:../../../secret"});
                images.index(&[image])
            }),
            &["digest"],
        ),
        (
            "upper-case hex",
            make(&|images| {
                let image = json!({"mediaType": MANIFEST, "size": 1, "digest": format!("sha256:{}", "A".repeat(64))});
                images.index(&[image])
            }),
            &["digest"],
        ),
        (
            "an algorithm nobody has",
            make(&|images| {
                let image = json!({"mediaType": MANIFEST, "size": 1, "digest": "blake3:0123456789abcdef"});
                images.index(&[image])
            }),
            &["verified"],
        ),
        (
            "md5",
            make(&|images| {
                let layer = json!({"mediaType": LAYER, "size": 1, "digest": format!("md5:{}", "0".repeat(32))});
                let config = images.document(CONFIG, &config("linux/amd64", &[]));
                images.document(MANIFEST, &manifest(&config, &[layer]))
            }),
            &["verified"],
        ),
        (
            "data that is something else",
            make(&|images| {
                let mut image = images.image("linux/amd64", &layers);
                image["data"] = json!("aGVsbG8=");
                images.index(&[image])
            }),
            &["data"],
        ),
        ("a key twice", raw(MANIFEST, r#"{"schemaVersion":2,"schemaVersion":2}"#.into()), &["twice"]),
        (
            "a key twice but for case",
            raw(MANIFEST, r#"{"schemaVersion":2,"config":{},"Config":{}}"#.into()),
            &["twice"],
        ),
        ("a byte order mark", raw(MANIFEST, "\u{feff}{\"schemaVersion\":2}".into()), &["byte order mark"]),
        ("more after the end", raw(MANIFEST, "{} {}".into()), &["trailing"]),
        ("deep JSON", raw(MANIFEST, open(100_000)), &["recursion"]),
        ("schema 1", raw(MANIFEST, r#"{"schemaVersion":1,"fsLayers":[]}"#.into()), &["schemaVersion is 1"]),
        ("a manifest of 9 MiB", raw(MANIFEST, " ".repeat(9 << 20)), &["8388608"]),
        ("a layer as the image", make(&|images| images.put(LAYER, b"x")), &["media type"]),
        (
            "itself",
            make(&|images| {
                // a cycle cannot be made with right digests: what refers to itself is found to be something else
                let index = images.index(&[]);
                let own = json!({"schemaVersion": 2, "manifests": [index]});
                *images.blobs.get_mut(digest(&index)).unwrap() = own.to_string().into_bytes();
                index
            }),
            &["content is"],
        ),
        ("an empty index", make(&|images| images.index(&[])), &[]),
    ];
    for (at, (case, images, parts)) in cases.into_iter().enumerate() {
        for place in [format!("case{at}"), format!("case{at}.tar")] {
            images.write(&barge.path(&place));
            let codes: &[i32] = if case == "an empty index" { &[3] } else { &[4] };
            println!("{case}");
            refused(&barge, &place, codes, parts);
        }
    }
}

#[test]
fn an_index_json_that_lies_is_refused() {
    let barge = Barge::new();
    let image = simple(&["linux/amd64"]);
    let good = String::from_utf8(image.index_json()).unwrap();
    let deep = format!("{{\"schemaVersion\":2,\"manifests\":{}", "[".repeat(1_000_000));
    let twice = good.replacen("\"manifests\"", "\"manifests\":[],\"manifests\"", 1);
    for (at, (text, part)) in [
        (format!("\u{feff}{good}"), "byte order mark"),
        (twice, "twice"),
        (good.replacen("\"manifests\"", "\"Manifests\":[],\"manifests\"", 1), "twice"),
        (deep, "recursion"),
        (good.replacen("sha256:", "sha256:../../", 1), "digest"),
        (good.replacen("sha256:", "sha999:", 1), "verified"),
        (good.replacen(":2,", ":3,", 1), "schemaVersion"),
        (good.replacen("\"manifests\"", "\"config\":{},\"manifests\"", 1), "manifest at once"),
        ("[".repeat(1_000_000), "recursion"),
        ("\0".repeat(4096), "value"),
        (format!("{{\"x\":\"{}\"}}", "y".repeat(65 << 20)), "larger"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut images = image.clone();
        images.index_json = Some(text.into_bytes());
        // 64 MiB are the limit of both, in other words
        for (place, part) in
            [(format!("{at}"), part), (format!("{at}.tar"), if part == "larger" { "at most" } else { part })]
        {
            images.write(&barge.path(&place));
            refused(&barge, &place, &[4], &["index.json", part]);
            fs::remove_dir_all(barge.path(&place)).or_else(|_| fs::remove_file(barge.path(&place))).unwrap();
        }
    }
    for (at, (version, code)) in
        [("{\"imageLayoutVersion\":\"2.0.0\"}", 4), ("{}", 4), ("", 4), ("x", 4)].into_iter().enumerate()
    {
        let place = format!("version{at}");
        image.layout(&barge.path(&place));
        barge.write(&format!("{place}/oci-layout"), version);
        refused(&barge, &place, &[code], &["oci-layout"]);
    }
}

#[test]
fn ten_thousand_names_are_only_many() {
    let barge = Barge::new();
    let mut images = simple(&["linux/amd64", "linux/arm64"]);
    let roots = images.roots.clone();
    images.roots = (0..10_000).map(|at| named(roots[at % 2].clone(), &format!("app:v{at}"))).collect();
    for place in ["many", "many.tar"] {
        images.write(&barge.path(place));
        for command in ["ls", "tree", "verify"] {
            barge.line(&format!("{command} {place}")).exits(0);
        }
        barge.line(&format!("inspect {place}:app:v9999")).exits(0);
        barge.line(&format!("merge -o {place} -t new:v1 {place}:app:v1 {place}:app:v2")).exits(0);
        barge.line(&format!("merge -o {place} -t app:v5 {place}:app:v1")).exits(0);
        let listed = barge.line(&format!("ls --json {place}")).exits(0).json();
        let names: usize =
            listed["results"].as_array().unwrap().iter().map(|image| image["names"].as_array().unwrap().len()).sum();
        assert_eq!(names, 10_002, "{place}");
        // the message about an ambiguous word does not list ten thousand
        let ambiguous = barge.line(&format!("merge -o out -t x:v1 {place}")).exits(3);
        assert!(ambiguous.stderr().len() < 4000, "{}", ambiguous.stderr().len());
    }
}

#[test]
fn sizes_that_add_up_beyond_all_numbers_are_no_panic() {
    let barge = Barge::new();
    let mut images = Images::new();
    let config = images.document(CONFIG, &config("linux/amd64", &[]));
    let layer = |at: u8| json!({"mediaType": LAYER, "size": i64::MAX, "digest": format!("sha256:{at:064}")});
    let image = images.document(MANIFEST, &manifest(&config, &[layer(1), layer(2), layer(3)]));
    images.root(image);
    for place in ["place", "place.tar"] {
        images.write(&barge.path(place));
        refused(&barge, place, &[4], &["layer 1 of "]);
        barge.line(&format!("ls {place}")).exits(0).prints(&["3 missing"]);
        barge.line(&format!("verify {place}")).exits(4).prints(&["missing"]);
    }
}

#[test]
fn archives_that_readers_disagree_on_are_refused() {
    let barge = Barge::new();
    let images = simple(&["linux/amd64"]);
    let (oci_layout, index) = (barge::store::OCI_LAYOUT, images.index_json());
    let start = || Tar::new().file("oci-layout", oci_layout);
    let whole = || {
        images.blobs.iter().fold(start().file("index.json", &index), |tar, (digest, bytes)| {
            tar.file(&format!("blobs/{}", digest.replace(':', "/")), bytes)
        })
    };
    let other = br#"{"schemaVersion":2,"manifests":[]}"#;
    let cases = [
        ("two different index.json", whole().file("./index.json", other).finished(), "index.json"),
        ("index.json as a link", start().symlink("index.json", "/etc/passwd").finished(), "index.json"),
        ("index.json as a hard link", start().file("x", &index).hard_link("index.json", "x").finished(), "index.json"),
        ("index.json as a FIFO", start().entry(Block::ustar("index.json").flag(b'6'), b"").finished(), "index.json"),
        ("blobs as a link", start().file("index.json", &index).symlink("blobs", "/").finished(), "blobs"),
        ("a wrong check sum", [&[1_u8; 512][..], &whole().finished()].concat(), "neither a tar"),
        ("a size beyond the end", whole().entry(Block::ustar("x").size(1 << 30), b"").finished(), "cut"),
        ("nothing but zeros", vec![0; 10240], "tar"),
        ("no oci-layout", Tar::new().file("index.json", &index).finished(), "oci-layout"),
    ];
    for (at, (case, bytes, part)) in cases.into_iter().enumerate() {
        println!("{case}");
        let place = format!("case{at}.tar");
        barge.write(&place, bytes);
        refused(&barge, &place, &[4], &[part]);
    }
    for name in ["../../escaped", "blobs/../../escaped", "blobs/sha256/../../../escaped"] {
        barge.write("climbs.tar", whole().file(name, b"x").finished());
        refused(&barge, "climbs.tar", &[4], &["climbs"]);
    }
    assert!(!barge.path("../escaped").exists() && !barge.path("../../escaped").exists());
}
