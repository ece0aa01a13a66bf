//! Reading archives: what an archive gives as a source, what it keeps, and what it refuses as a whole.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests stand outside of test functions

#[path = "support/tar.rs"]
mod tar;

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use barge::blob::Cancel;
use barge::content::{CONTAINERD_NAME, Content, Kind, REF_NAME};
use barge::digest::Digest;
use barge::media::{OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, OCI_MANIFEST};
use barge::store::archive::{Archive, Format, Identity, ReadOptions};
use barge::store::{Location, Source, StoreError, causes, read_document, read_small};
use serde_json::{Value, json};

use tar::{Block, Tar};

const MARKER: &[u8] = br#"{"imageLayoutVersion": "1.0.0"}"#;

/// A directory that ends with its test, and what is opened in it.
struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn write(&self, bytes: &[u8]) -> PathBuf {
        let path = self.directory.path().join("x.tar");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn open(&self, bytes: &[u8]) -> Result<Archive, StoreError> {
        Archive::open(&self.write(bytes), &ReadOptions::default(), &Cancel::default())
    }

    fn open_as(&self, format: Format, bytes: &[u8]) -> Result<Archive, StoreError> {
        let options = ReadOptions { format: Some(format), ..ReadOptions::default() };
        Archive::open(&self.write(bytes), &options, &Cancel::default())
    }
}

fn told(error: &StoreError) -> String {
    assert_eq!(error.class().name(), "content", "{error}");
    format!("{error}: {}", causes(error).join(": "))
}

fn blob(bytes: &[u8]) -> Content {
    Content::of(bytes, Kind::Blob)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn index_of(manifest: &[u8]) -> Vec<u8> {
    let descriptor = json!({"mediaType": OCI_MANIFEST, "digest": Digest::of(manifest).to_string(), "size": manifest.len(),
        "annotations": {REF_NAME: "v1"}});
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor]}).to_string().into_bytes()
}

fn manifest_of(config: &[u8], layer: &[u8]) -> Vec<u8> {
    json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": Digest::of(config).to_string(), "size": config.len()},
        "layers": [{"mediaType": OCI_LAYER, "digest": Digest::of(layer).to_string(), "size": layer.len()}]})
    .to_string()
    .into_bytes()
}

fn with_blob(tar: Tar, bytes: &[u8]) -> Tar {
    tar.file(&Digest::of(bytes).blob_path(), bytes)
}

/// An OCI archive of one image, with its blobs first as skopeo writes it, and without its end.
fn oci(layer: &[u8]) -> Tar {
    let config = config_of(&[layer]);
    let manifest = manifest_of(&config, layer);
    let tar = Tar::new().directory("blobs/").directory("blobs/sha256/");
    let tar = [layer, &config, &manifest].into_iter().fold(tar, with_blob);
    tar.file("index.json", &index_of(&manifest)).file("oci-layout", MARKER)
}

fn config_of(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
    json!({"os": "linux", "architecture": "arm", "variant": "v7", "rootfs": {"type": "layers", "diff_ids": diff_ids}})
        .to_string()
        .into_bytes()
}

fn layer(name: &str) -> Vec<u8> {
    Tar::new().file(name, name.as_bytes()).finished()
}

#[test]
fn an_oci_archive_gives_its_roots_and_blobs_in_place() {
    let (bench, layer) = (Bench::new(), layer("hello"));
    let archive = bench.open(&oci(&layer).finished()).unwrap();
    assert_eq!(archive.format(), Format::Oci);
    assert_eq!(archive.location().to_string(), format!("oci-archive:{}/x.tar", bench.directory.path().display()));
    assert_eq!(archive.warnings(), &[] as &[String]);

    let roots = archive.roots().unwrap();
    assert_eq!(roots[0].annotation(REF_NAME), Some("v1"));
    let manifest = read_document(&archive, &roots[0]).unwrap();
    let sizes: Vec<_> =
        manifest.children().map(|child| read_small(&archive, &child.content()).unwrap().len()).collect();
    assert_eq!(sizes, [config_of(&[&layer]).len(), layer.len()]);
    assert_eq!(archive.blobs().len(), 3);
    assert!(archive.blobs().is_sorted());
    assert_eq!(archive.others(), []);

    let absent = archive.open(&blob(b"absent")).unwrap_err();
    assert!(matches!(absent, StoreError::Missing { .. }), "{absent}");
    for size in [layer.len() as u64 - 1, layer.len() as u64 + 1] {
        let wrong = archive.open(&Content { size, ..blob(&layer) }).unwrap_err();
        assert!(matches!(wrong, StoreError::Wrong { .. }), "{wrong}");
    }
}

#[test]
fn several_threads_read_one_archive() {
    let (bench, layer) = (Bench::new(), vec![7; 3_000_000]);
    let archive = bench.open(&oci(&layer).finished()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| archive.open(&blob(&layer)).unwrap().check().unwrap());
        }
    });
}

#[test]
fn a_blob_that_is_not_what_its_name_says_is_found_when_it_is_read() {
    let bench = Bench::new();
    let manifest = manifest_of(&config_of(&[b"right"]), b"right");
    let tar = oci(b"right").unfinished();
    let at = tar.windows(5).position(|window| window == b"right").unwrap();
    let mut spoilt = tar;
    spoilt[at] = b'w';
    let archive = bench.open(&[spoilt, vec![0; 1024]].concat()).unwrap();
    assert!(archive.open(&blob(b"right")).unwrap().check().is_err());
    archive.open(&blob(&manifest)).unwrap().check().unwrap();
}

#[test]
fn an_archive_that_changes_or_shrinks_under_its_reader_is_found_out() {
    let (bench, layer) = (Bench::new(), vec![7; 100_000]);
    let archive = bench.open(&oci(&layer).finished()).unwrap();
    let path = bench.directory.path().join("x.tar");
    assert_eq!(archive.identity(), Some(Identity::of(&std::fs::metadata(&path).unwrap())));
    File::options().write(true).open(&path).unwrap().set_len(50_000).unwrap();
    assert_ne!(archive.identity(), Some(Identity::of(&std::fs::metadata(&path).unwrap())));
    let error = archive.open(&blob(&layer)).unwrap().check().unwrap_err();
    assert!(error.to_string().contains("expected 100000"), "{error}");
}

#[test]
fn what_else_an_archive_holds_can_be_kept() {
    let bench = Bench::new();
    let tar = oci(b"x")
        .file("bundle.json", b"{}")
        .file("./docs/README", b"read me")
        .file("blobs/sha256/.tmp-1", b"left over")
        .file("manifest.json", b"[]")
        .symlink("link", "/etc/passwd")
        .entry(Block::ustar("fifo").flag(b'6'), b"")
        .finished();
    let archive = bench.open(&tar).unwrap();
    assert_eq!(archive.others(), [("blobs/sha256/.tmp-1", 9), ("bundle.json", 2), ("docs/README", 7)]);
    let mut text = String::new();
    archive.read_entry_unverified("docs/README").unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "read me");
    assert_eq!(archive.read_entry_unverified("manifest.json").unwrap().remaining(), 2);
    for name in ["link", "fifo", "blobs", "absent", "../x"] {
        assert!(archive.read_entry_unverified(name).is_none(), "{name}");
    }
    assert!(archive.index_json().unwrap().raw().starts_with(b"{"));
}

#[test]
fn an_archive_is_what_its_content_says() {
    let bench = Bench::new();
    let images = |tar: Tar| tar.file("c.json", &config_of(&[])).file("manifest.json", br#"[{"Config":"c.json"}]"#);
    let hybrid = images(oci(b"x")).finished();
    let index_and_docker = images(Tar::new().file("index.json", b"whatever")).finished();
    let dotted =
        Tar::new().directory("./").file("./oci-layout", MARKER).file("./index.json", &index_of(b"m")).finished();
    for (reason, tar, format) in [
        ("a layout", oci(b"x").finished(), Format::Oci),
        ("a layout, compressed", gzip(&oci(b"x").finished()), Format::Oci),
        ("a layout with dots, as tar writes it", dotted, Format::Oci),
        ("a hybrid: the layout keeps digests", hybrid.clone(), Format::Oci),
        ("Docker's", images(Tar::new()).finished(), Format::Docker),
        ("index.json without oci-layout beside manifest.json", index_and_docker, Format::Docker),
    ] {
        let archive = bench.open(&tar).unwrap_or_else(|error| panic!("{reason}: {}", told(&error)));
        assert_eq!(archive.format(), format, "{reason}");
        let scheme = archive.location().to_string();
        assert!(scheme.starts_with(if format == Format::Oci { "oci-archive:" } else { "docker-archive:" }), "{scheme}");
    }
    let forced = bench.open_as(Format::Docker, &hybrid).unwrap();
    assert_eq!(forced.format(), Format::Docker);
    assert!(matches!(forced.location(), Location::DockerArchive(_)));
    assert!(told(&bench.open_as(Format::Docker, &oci(b"x").finished()).unwrap_err()).contains("no manifest.json"));
    let error = bench.open_as(Format::Oci, &images(Tar::new()).finished()).unwrap_err();
    assert!(told(&error).contains("no oci-layout"));
    assert!(error.hint().unwrap().contains("docker-archive:"));
}

#[test]
fn what_is_no_archive_of_images_says_what_it_is() {
    let bench = Bench::new();
    let layout =
        |marker: &[u8], index: &[u8]| Tar::new().file("oci-layout", marker).file("index.json", index).finished();
    let index = index_of(b"m");
    let twice = br#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#;
    for (reason, tar, complaint) in [
        ("no entries", Tar::new().finished(), "it is a tar without entries"),
        (
            "a root file system",
            Tar::new().directory("etc/").file("usr/bin/x", b"").finished(),
            "looks like a root file system",
        ),
        ("something else", Tar::new().file("README", b"").finished(), "it holds neither index.json nor manifest.json"),
        ("cut off before its index", Tar::new().file("blobs/x", b"").unfinished(), "it ends without the blocks"),
        (
            "a layout below a directory",
            Tar::new().file("dist/oci-layout", MARKER).finished(),
            "a layout lies below \"dist\"",
        ),
        ("no oci-layout", Tar::new().file("index.json", &index).finished(), "holds index.json but no oci-layout"),
        ("no index.json", Tar::new().file("oci-layout", MARKER).finished(), "it holds no index.json"),
        ("another version", layout(br#"{"imageLayoutVersion":"1.0.1"}"#, &index), "is \"1.0.1\", expected 1.0.0"),
        ("no version", layout(b"{}", &index), "oci-layout.imageLayoutVersion is absent"),
        ("a marker that is no JSON", layout(b"1.0.0", &index), "cannot use oci-layout"),
        ("a large marker", layout(&[b' '; 70_000], &index), "expected at most 65536"),
        ("a torn index.json", layout(MARKER, &index[..50]), "cannot use index.json"),
        ("an empty index.json", layout(MARKER, b""), "it is empty"),
        ("an index.json with a key twice", layout(MARKER, twice), "stands there twice"),
        ("a manifest for an index", layout(MARKER, &manifest_of(b"c", b"l")), "mediaType is"),
        (
            "a blob that is a link",
            oci(b"x").symlink(&Digest::of(b"y").blob_path(), "x").finished(),
            "a symbolic link to \"x\"",
        ),
        (
            "a blob that is a hard link",
            oci(b"x").hard_link(&Digest::of(b"y").blob_path(), "x").finished(),
            "a hard link",
        ),
        (
            "a blob that is a directory",
            oci(b"x").directory(&Digest::of(b"y").blob_path()).finished(),
            "it is a directory",
        ),
        (
            "a device among the blobs",
            oci(b"x").entry(Block::ustar("blobs/d").flag(b'4'), b"").finished(),
            "it is a device",
        ),
        (
            "blobs that are elsewhere",
            Tar::new().symlink("blobs", "/").file("manifest.json", b"").finished(),
            "expected a directory",
        ),
        ("an algorithm that is a file", oci(b"x").file("blobs/sha512", b"").finished(), "expected a directory"),
        (
            "an index.json that is a link",
            Tar::new().symlink("index.json", "x").file("oci-layout", MARKER).finished(),
            "a symbolic link",
        ),
        (
            "an oci-layout that is a FIFO",
            Tar::new().entry(Block::ustar("oci-layout").flag(b'6'), b"").finished(),
            "a FIFO",
        ),
        ("a name that leaves it", oci(b"x").file("../oci-layout", b"").finished(), "climbs"),
    ] {
        let error = told(&bench.open(&tar).map(|archive| archive.roots()).expect_err(reason));
        assert!(error.contains(complaint), "{reason}: {error}");
    }
}

#[test]
fn a_compressed_archive_says_that_it_was_unpacked_and_where() {
    let bench = Bench::new();
    let archive = bench.open(&gzip(&oci(b"x").finished())).unwrap();
    let directory = bench.directory.path().display();
    let expected = format!(
        "oci-archive:{directory}/x.tar is compressed with gzip: unpacked once into a temporary file in {directory} (unnamed, gone at the end)"
    );
    assert_eq!(archive.warnings(), [expected]);
    archive.open(&blob(b"x")).unwrap().check().unwrap();
}

#[test]
fn standard_input_is_read_in_place_or_copied_once() {
    let bench = Bench::new();
    let tar = oci(b"x").finished();
    let options = ReadOptions { tmpdir: Some(bench.directory.path().to_owned()), ..ReadOptions::default() };

    // `(read a line; barge load) < file`: it stands in the middle of the file
    let mut file = File::open(bench.write(&[b"a line\n", &tar[..]].concat())).unwrap();
    file.seek(std::io::SeekFrom::Start(7)).unwrap();
    let archive = Archive::from_stdin(file, &options, &Cancel::default()).unwrap();
    assert_eq!(archive.warnings(), &[] as &[String]);
    assert_eq!(archive.location(), &Location::Stdio);
    archive.open(&blob(b"x")).unwrap().check().unwrap();

    for (packed, notice) in
        [(tar.clone(), "- is a pipe: copied once"), (gzip(&tar), "- is a pipe compressed with gzip")]
    {
        let archive = from_pipe(packed, &options).unwrap();
        assert!(archive.warnings()[0].starts_with(notice), "{:?}", archive.warnings());
        assert_eq!(archive.identity(), None);
        archive.open(&blob(b"x")).unwrap().check().unwrap();
    }
    for (bytes, complaint) in [(vec![], "cannot use the file in -: it is empty"), (vec![b'x'; 3000], "neither a tar")] {
        assert!(told(&from_pipe(bytes, &options).unwrap_err()).contains(complaint));
    }
    let device = Archive::from_stdin(File::open("/dev/null").unwrap(), &options, &Cancel::default());
    assert!(told(&device.unwrap_err()).contains("it is a device"));
}

fn from_pipe(bytes: Vec<u8>, options: &ReadOptions) -> Result<Archive, StoreError> {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let feeder = std::thread::spawn(move || drop(writer.write_all(&bytes))); // it may be refused before its end
    let result = Archive::from_stdin(File::from(std::os::fd::OwnedFd::from(reader)), options, &Cancel::default());
    feeder.join().unwrap();
    result
}

/// What goes into `manifest.json`.
fn image(config: &str, tags: &Value, layers: &[&str]) -> Value {
    json!({"Config": config, "RepoTags": tags, "Layers": layers})
}

fn hex(bytes: &[u8]) -> String {
    Digest::of(bytes).hex()
}

fn images(tar: Tar, images: &Value) -> Vec<u8> {
    tar.file("manifest.json", images.to_string().as_bytes()).finished()
}

#[test]
fn a_docker_archive_presents_itself_as_oci() {
    let (bench, base, top) = (Bench::new(), layer("base"), layer("top"));
    let config = config_of(&[&base, &top]);
    let name = format!("{}.json", hex(&config));
    let list = json!([image(&name, &json!(["app:v1", "ghcr.io/org/app:v2"]), &["a/layer.tar", "b/layer.tar"])]);
    let tar = Tar::new()
        .directory("a/")
        .file("a/VERSION", b"1.0")
        .file("a/layer.tar", &base)
        .file("b/layer.tar", &top)
        .file(&name, &config)
        .file("repositories", b"{}");
    let tar = images(tar, &list);
    let archive = bench.open(&tar).unwrap();
    assert_eq!(archive.warnings(), &[] as &[String]);
    assert_eq!(archive.others(), [("a/VERSION", 3), ("repositories", 2)]);
    assert!(archive.index_json().is_none());

    let roots = archive.roots().unwrap();
    let names: Vec<_> = roots
        .iter()
        .map(|root| (root.annotation(CONTAINERD_NAME).unwrap(), root.annotation(REF_NAME).unwrap()))
        .collect();
    assert_eq!(names, [("docker.io/library/app:v1", "v1"), ("ghcr.io/org/app:v2", "v2")]);
    assert_eq!(roots[0].platform().unwrap().variant.as_deref(), Some("v7"));
    assert_eq!(roots[0].digest(), roots[1].digest());
    let document = read_document(&archive, &roots[0]).unwrap();
    let children: Vec<_> = document.children().collect();
    let types: Vec<_> = children.iter().map(|child| child.media_type().as_str()).collect();
    assert_eq!(types, [OCI_CONFIG, OCI_LAYER, OCI_LAYER]);
    for (child, bytes) in children.iter().zip([&config, &base, &top]) {
        assert_eq!(&read_small(&archive, &child.content()).unwrap(), bytes);
    }
    assert_eq!(archive.blobs().len(), 4);
    // the same bytes on every run, on every machine: whoever changes this changes the digests of users
    assert_eq!(document.raw(), bench.open(&tar).unwrap().open(&roots[0].content()).unwrap().into_bytes().unwrap());
    let text = String::from_utf8(document.raw().to_vec()).unwrap();
    assert!(
        text.starts_with(&format!("{{\"config\":{{\"digest\":\"sha256:{}\",\"mediaType\":", hex(&config))),
        "{text}"
    );
    assert!(
        text.ends_with("\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"schemaVersion\":2}"),
        "{text}"
    );
}

#[test]
fn compressed_layers_keep_their_bytes_and_say_so() {
    let (bench, base, top) = (Bench::new(), layer("base"), layer("top"));
    let (packed, dense) = (gzip(&base), zstd::encode_all(&top[..], 1).unwrap());
    let config = config_of(&[&base, &top]);
    let name = format!("sha256:{}", hex(&config)); // as go-containerregistry names it
    let tar = Tar::new().file("a.tar.gz", &packed).file("b.tar.zst", &dense).file(&name, &config);
    let archive = bench.open(&images(tar, &json!([image(&name, &Value::Null, &["a.tar.gz", "b.tar.zst"])]))).unwrap();
    let roots = archive.roots().unwrap();
    assert!(roots[0].annotations().is_empty());
    let document = read_document(&archive, &roots[0]).unwrap();
    let children: Vec<_> = document.children().skip(1).collect();
    assert_eq!(children[0].media_type().as_str(), OCI_LAYER_GZIP);
    assert_eq!(children[1].media_type().as_str(), OCI_LAYER_ZSTD);
    assert_eq!(read_small(&archive, &children[0].content()).unwrap(), packed);
    assert_eq!(read_small(&archive, &children[1].content()).unwrap(), dense);
}

#[test]
fn links_lead_to_layers_inside_the_archive_only() {
    let (bench, base) = (Bench::new(), layer("base"));
    let config = config_of(&[&base, &base, &base]);
    let plain = format!("{}.tar", hex(&base));
    let list = json!([image("c.json", &json!([]), &["a/layer.tar", "b/layer.tar", "./c//layer.tar"])]);
    let with = |target: &str| {
        let tar = Tar::new()
            .symlink("a/layer.tar", &format!("../{plain}"))
            .hard_link("b/layer.tar", &format!("./{plain}"))
            .symlink("c/layer.tar", target)
            .directory("d")
            .symlink("loop", "./loop")
            .file(&plain, &base)
            .file("c.json", &config);
        images(tar, &list)
    };
    let archive = bench.open(&with("../a/layer.tar")).unwrap();
    let document = read_document(&archive, &archive.roots().unwrap()[0]).unwrap();
    assert_eq!(document.children().filter(|child| *child.digest() == Digest::of(&base)).count(), 3);
    for (target, complaint) in [
        ("../../x", "leads out of the archive"),
        ("/etc/passwd", "is absolute"),
        ("../loop", "around in a circle"),
        ("../d", "it is a directory"),
        ("../absent", "manifest.json names it, and it is not there"),
    ] {
        let error = told(&bench.open(&with(target)).expect_err(target));
        assert!(error.contains(complaint), "{target}: {error}");
        assert!(error.contains("the entry \"./c//layer.tar\""), "{target}: {error}");
    }
}

#[test]
fn several_images_share_layers_and_names_are_completed() {
    let (bench, base) = (Bench::new(), layer("base"));
    let (one, two) = (config_of(&[&base]), config_of(&[&base, &base]));
    let names = json!([
        "app:v1",
        "org/app:v1",
        "localhost/app:v1",
        "host:5000/app:v1",
        "index.docker.io/app:v2",
        "a.b/c/d:x_.-1"
    ]);
    let list = json!([
        image("one.json", &names, &["l"]),
        image("one.json", &json!(["app:v1"]), &["l"]),
        image("one.json", &Value::Null, &["l"]),
        image("two.json", &json!(["app:v1"]), &["l", "l"]),
    ]);
    let tar = Tar::new().file("l", &base).file("one.json", &one).file("two.json", &two);
    let archive = bench.open(&images(tar, &list)).unwrap();
    let roots = archive.roots().unwrap();
    let found: Vec<_> = roots.iter().map(|root| root.annotation(CONTAINERD_NAME).unwrap_or("-")).collect();
    let expected = [
        "docker.io/library/app:v1",
        "docker.io/org/app:v1",
        "localhost/app:v1",
        "host:5000/app:v1",
        "docker.io/library/app:v2",
        "a.b/c/d:x_.-1",
        "-",
        "docker.io/library/app:v1",
    ];
    assert_eq!(found, expected);
    assert!(archive.warnings()[0].ends_with("gives the name \"docker.io/library/app:v1\" to two images"));
    assert_eq!(archive.blobs().len(), 5, "two configs, one layer, two manifests");
}

#[test]
fn a_docker_archive_may_list_more_images_than_one_document_has_values() {
    let (bench, base) = (Bench::new(), layer("base"));
    let config = config_of(&[&base]);
    let opened = |list: &Value| bench.open(&images(Tar::new().file("l", &base).file("one.json", &config), list));
    let named = |at: usize| image("one.json", &json!([format!("app:v{at}")]), &["l"]);
    let many = opened(&(0..51_000).map(named).collect()).unwrap();
    assert_eq!(many.roots().unwrap().len(), 51_000);
    let long = image("one.json", &Value::Null, &vec!["l"; 250_000]);
    let error = told(&opened(&json!([long, long, long, long])).unwrap_err());
    assert!(error.contains("it holds more values than are read"), "{error}");
    let names: Vec<_> = (0..140_000).map(|at| format!("a:{at}")).collect();
    let error = told(&opened(&json!([image("one.json", &json!(names), &["l"])])).unwrap_err());
    assert!(error.contains("more names than are read"), "{error}");
}

#[test]
fn a_docker_archive_that_contradicts_itself_is_refused() {
    let (bench, base, top) = (Bench::new(), layer("base"), layer("top"));
    let (one, two) = (config_of(&[&base]), config_of(&[&top]));
    let files = || Tar::new().file("l", &base).file("m", &top).file("one.json", &one).file("two.json", &two);
    let none = Value::Null;
    let tagged = |tag: &str| json!([image("one.json", &json!([tag]), &["l"])]);
    for (reason, list, complaint) in [
        ("no list", json!({}), "manifest.json is an object, expected a list"),
        ("null", Value::Null, "manifest.json is null, expected a list"),
        ("an empty list", json!([]), "expected a list of at least one image"),
        ("no config", json!([{"Layers": []}]), "manifest.json[0].Config is absent"),
        ("a config that is not there", json!([image("three.json", &none, &[])]), "the entry \"three.json\""),
        ("a layer that is not there", json!([image("one.json", &none, &["x"])]), "the entry \"x\""),
        ("a config that is no JSON", json!([image("l", &none, &[])]), "cannot use the config \"l\""),
        ("a config that climbs", json!([image("../one.json", &none, &["l"])]), "its name climbs"),
        ("a layer that is absolute", json!([image("one.json", &none, &["/l"])]), "its name is absolute"),
        ("fewer layers", json!([image("one.json", &none, &[])]), "has 0 layers, its config 1 diff_ids"),
        ("more layers", json!([image("one.json", &none, &["l", "m"])]), "has 2 layers, its config 1 diff_ids"),
        (
            "a layer with two diff_ids",
            json!([image("one.json", &none, &["l"]), image("two.json", &none, &["l"])]),
            "two diff_ids",
        ),
        ("a tag that is none", tagged("app:v 1"), "RepoTags[0] is \"app:v 1\", expected a name with a tag"),
        ("a name without a tag", tagged("app"), "expected a name with a tag"),
        ("a port without a tag", tagged("host:5000/app"), "expected a name with a tag"),
        ("a name by digest", tagged(&format!("app@sha256:{}", hex(b""))), "expected a name with a tag"),
        ("an empty part", tagged("a//b:v1"), "expected a name with a tag"),
        ("tags that are no list", json!([{"Config": "one.json", "RepoTags": "app:v1"}]), "expected a list"),
    ] {
        let error = told(&bench.open(&images(files(), &list)).map(|archive| archive.roots()).expect_err(reason));
        assert!(error.contains(complaint), "{reason}: {error}");
        assert!(error.contains("docker-archive:"), "{reason}: {error}");
    }
    let xz = files().file("x", b"\xfd7zXZ\0");
    let error = told(&bench.open(&images(xz, &json!([image("one.json", &none, &["x"])]))).unwrap_err());
    assert!(error.contains("compressed with xz, for which OCI has no media type"), "{error}");
    let lying = files().file(&format!("{}.json", hex(b"another")), &one);
    let list = json!([image(&format!("{}.json", hex(b"another")), &none, &["l"])]);
    let error = bench.open(&images(lying, &list)).unwrap_err();
    assert!(matches!(error, StoreError::Wrong { .. }), "{error}");
}

#[test]
fn a_plain_layer_that_is_not_its_diff_id_is_found_when_it_is_read() {
    let (bench, base) = (Bench::new(), layer("base"));
    let mut spoilt = base.clone();
    spoilt[600] ^= 1;
    let tar = Tar::new().file("l", &spoilt).file("c.json", &config_of(&[&base]));
    let archive = bench.open(&images(tar, &json!([image("c.json", &Value::Null, &["l"])]))).unwrap();
    let error = archive.open(&blob(&base)).unwrap().check().unwrap_err();
    assert!(error.to_string().contains(&format!("expected sha256:{}", hex(&base))), "{error}");
}

#[test]
fn an_archive_cut_at_any_block_is_refused_or_warned_of() {
    let bench = Bench::new();
    let config = config_of(&[b"x"]);
    let list = json!([image("c.json", &Value::Null, &["l"])]);
    let docker = images(Tar::new().file("l", b"x").file("c.json", &config), &list);
    for tar in [oci(b"x").finished(), docker] {
        for length in (0..tar.len()).step_by(512) {
            match bench.open(&tar[..length]) {
                Err(error) => drop(told(&error)),
                Ok(archive) => {
                    assert!(length >= tar.len() - 1024, "cut at {length} of {}", tar.len());
                    assert_eq!(archive.warnings().len(), 1);
                }
            }
        }
    }
}

#[test]
fn opening_stops_when_asked_to() {
    let bench = Bench::new();
    let path = bench.write(&oci(b"x").finished());
    let cancel = Cancel::default();
    cancel.cancel();
    let error = Archive::open(&path, &ReadOptions::default(), &cancel).unwrap_err();
    assert!(matches!(error, StoreError::Cancelled));
}

#[test]
fn a_file_that_is_not_there_is_absent() {
    let error = Archive::open(Path::new("/nowhere/x.tar"), &ReadOptions::default(), &Cancel::default()).unwrap_err();
    assert_eq!(error.class().name(), "absent");
    assert_eq!(error.to_string(), "cannot read /nowhere/x.tar");
}
