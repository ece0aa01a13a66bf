//! docker-archives: `manifest.json` that lies, configs and layers that are elsewhere, missing or others than they say.

use barge::digest::Digest;
use serde_json::{Value, json};

use crate::ordeal::Scope::{Open, Reach};
use crate::ordeal::{Case, Ordeal, case, refused};
use crate::support::image::{Layer, config};
use crate::support::tar::{Block, Tar};

fn base() -> Vec<u8> {
    Tar::new().file("etc/hello", b"hello").finished()
}

fn config_of(layers: &[&[u8]]) -> Vec<u8> {
    let layers: Vec<Layer> = layers.iter().map(|layer| Layer::plain(layer)).collect();
    config("linux/amd64", &layers).to_string().into_bytes()
}

/// A file with two layers, two configs, and this list.
fn listing(list: &Value) -> Vec<u8> {
    raw(list.to_string().as_bytes())
}

fn raw(list: &[u8]) -> Vec<u8> {
    files().file("manifest.json", list).finished()
}

fn files() -> Tar {
    let (one, two) = (config_of(&[&base()]), config_of(&[b"other"]));
    Tar::new().file("l", &base()).file("m", b"other").file("one.json", &one).file("two.json", &two)
}

fn image(config: &str, tags: &Value, layers: &[&str]) -> Value {
    json!({"Config": config, "RepoTags": tags, "Layers": layers})
}

fn tagged(tag: &str) -> Vec<u8> {
    listing(&json!([image("one.json", &json!([tag]), &["l"])]))
}

#[test]
fn manifest_json() {
    let none = Value::Null;
    let hex = "a".repeat(64);
    let cases: Vec<Case> = vec![
        case("an object", "one image, not a list", listing(&json!({})), (Open, 4), "expected a list"),
        case("null", "Go's nil", listing(&Value::Null), (Open, 4), "expected a list"),
        case("a text", "another type", listing(&json!("x")), (Open, 4), "expected a list"),
        case("an empty list", "no image", listing(&json!([])), (Open, 4), "at least one image"),
        case("a list of texts", "another type", listing(&json!(["x"])), (Open, 4), "manifest.json[0]"),
        case("a list of null", "Go's nil pointer", listing(&json!([null])), (Open, 4), "manifest.json[0]"),
        case("empty", "a torn write", raw(b""), (Open, 4), "empty"),
        case("cut", "a torn write", raw(b"[{\"Config\":"), (Open, 4), "EOF"),
        case("a byte order mark", "skipped by some", raw(b"\xef\xbb\xbf[]"), (Open, 4), "byte order mark"),
        case(
            "a key twice",
            "first or last wins",
            raw(b"[{\"Config\":\"one.json\",\"Config\":\"two.json\"}]"),
            (Open, 4),
            "twice",
        ),
        case(
            "a key in two cases",
            "Go takes either",
            raw(b"[{\"Config\":\"one.json\",\"config\":\"two.json\"}]"),
            (Open, 4),
            "upper and lower case",
        ),
        case("deep", "recursion", raw("[".repeat(100_000).as_bytes()), (Open, 4), "recursion"),
        case("65 MiB", "more than is read", raw(" ".repeat(65 << 20).as_bytes()), (Open, 4), "67108864"),
        case("no config", "nothing to run", listing(&json!([{"Layers": []}])), (Open, 4), "Config is absent"),
        case("a config that is a number", "another type", listing(&json!([{"Config": 1}])), (Open, 4), "Config is 1"),
        case(
            "layers that are a text",
            "another type",
            listing(&json!([{"Config": "one.json", "Layers": "l"}])),
            (Open, 4),
            "expected a list",
        ),
        case(
            "layers that are numbers",
            "another type",
            listing(&json!([{"Config": "one.json", "Layers": [1]}])),
            (Open, 4),
            "Layers[0]",
        ),
        case(
            "tags that are a text",
            "another type",
            listing(&json!([{"Config": "one.json", "RepoTags": "a:b", "Layers": ["l"]}])),
            (Open, 4),
            "expected a list",
        ),
        case(
            "a config that is not there",
            "missing",
            listing(&json!([image("x.json", &none, &[])])),
            (Open, 4),
            "\"x.json\"",
        ),
        case(
            "a layer that is not there",
            "missing",
            listing(&json!([image("one.json", &none, &["x"])])),
            (Open, 4),
            "\"x\"",
        ),
        case(
            "a config that climbs",
            "out of the archive",
            listing(&json!([image("../one.json", &none, &["l"])])),
            (Open, 4),
            "climbs",
        ),
        case(
            "a config that is absolute",
            "the machine's own file",
            listing(&json!([image("/etc/passwd", &none, &["l"])])),
            (Open, 4),
            "absolute",
        ),
        case(
            "a layer that climbs",
            "out of the archive",
            listing(&json!([image("one.json", &none, &["../../canary/secret"])])),
            (Open, 4),
            "climbs",
        ),
        case(
            "a layer that is absolute",
            "the machine's own file",
            listing(&json!([image("one.json", &none, &["/etc/passwd"])])),
            (Open, 4),
            "absolute",
        ),
        case(
            "a config without a name",
            "the archive itself",
            listing(&json!([image("", &none, &["l"])])),
            (Open, 4),
            "",
        ),
        case(
            "a config that is no JSON",
            "any bytes",
            listing(&json!([image("l", &none, &[])])),
            (Open, 4),
            "the config \"l\"",
        ),
        case(
            "a config with an escape in its name",
            "a message shows it",
            listing(&json!([image("\u{1b}[2J", &none, &[])])),
            (Open, 4),
            "\\u{1b}",
        ),
        case(
            "fewer layers",
            "than its config says",
            listing(&json!([image("one.json", &none, &[])])),
            (Open, 4),
            "has 0 layers",
        ),
        case(
            "more layers",
            "than its config says",
            listing(&json!([image("one.json", &none, &["l", "m"])])),
            (Open, 4),
            "has 2 layers",
        ),
        case(
            "one layer with two diff_ids",
            "it cannot be both",
            listing(&json!([image("one.json", &none, &["l"]), image("two.json", &none, &["l"])])),
            (Open, 4),
            "two diff_ids",
        ),
        case(
            "another layer",
            "not what the config says",
            listing(&json!([image("one.json", &none, &["m"])])),
            (Reach, 4),
            "sha256:",
        ),
        case(
            "the config as its layer",
            "one entry for both",
            listing(&json!([image("one.json", &none, &["one.json"])])),
            (Reach, 4),
            "sha256:",
        ),
        case(
            "manifest.json as the config",
            "itself",
            listing(&json!([image("manifest.json", &none, &[])])),
            (Open, 4),
            "the config",
        ),
        case("a tag with a space", "no name", tagged("app:v 1"), (Open, 4), "a name with a tag"),
        case("no tag", "no name with a tag", tagged("app"), (Open, 4), "a name with a tag"),
        case("an empty tag", "no tag", tagged("app:"), (Open, 4), "a name with a tag"),
        case("a tag with an escape", "a terminal shows it", tagged("app:\u{1b}[2J"), (Open, 4), "\\u{1b}"),
        case(
            "a digest for a tag",
            "not what a tag is",
            tagged(&format!("app@sha256:{hex}")),
            (Open, 4),
            "a name with a tag",
        ),
        case("an empty part", "two slashes", tagged("a//b:v1"), (Open, 4), "a name with a tag"),
    ];
    refused(cases);
}

#[test]
fn entries() {
    let list = |layer: &str| json!([image("one.json", &Value::Null, &[layer])]).to_string();
    let with = |add: fn(Tar) -> Tar| add(files()).file("manifest.json", list("x").as_bytes()).finished();
    let lying = format!("{}.json", Digest::of(b"another").hex());
    let renamed = files().file(&lying, &config_of(&[&base()]));
    let renamed = renamed.file("manifest.json", json!([image(&lying, &Value::Null, &["l"])]).to_string().as_bytes());
    let link_list = files().symlink("manifest.json", "one.json").finished();
    let hybrid_lie = {
        // an OCI part beside it that is whole, and a docker part that names nothing that is there
        let (_, oci) = crate::dialects::sample();
        let tar = oci.iter().fold(Tar::new(), |tar, (name, bytes)| tar.file(name, bytes));
        tar.file("manifest.json", b"[{\"Config\":\"absent\",\"Layers\":[\"../x\"]}]").finished()
    };
    refused(vec![
        case(
            "a layer by a link out",
            "the machine's own file",
            with(|tar| tar.symlink("x", "/etc/passwd")),
            (Open, 4),
            "is absolute",
        ),
        case(
            "a layer by a link up",
            "out of the archive",
            with(|tar| tar.symlink("x", "../../x")),
            (Open, 4),
            "leads out of the archive",
        ),
        case(
            "a layer by a circle of links",
            "a loop",
            with(|tar| tar.symlink("x", "y").symlink("y", "x")),
            (Open, 4),
            "circle",
        ),
        case("a layer by a link to itself", "a loop", with(|tar| tar.symlink("x", "x")), (Open, 4), "circle"),
        case(
            "a layer by a circle of hard links",
            "a loop",
            with(|tar| tar.hard_link("x", "y").hard_link("y", "x")),
            (Open, 4),
            "circle",
        ),
        case("a layer by a link to nothing", "missing", with(|tar| tar.symlink("x", "absent")), (Open, 4), "not there"),
        case("a layer that is a directory", "no content", with(|tar| tar.directory("x")), (Open, 4), "a directory"),
        case(
            "a layer that is a device",
            "never ends",
            with(|tar| tar.entry(Block::ustar("x").flag(b'3').device(1, 5), b"")),
            (Open, 4),
            "a device",
        ),
        case(
            "a layer that is a FIFO",
            "waits for ever",
            with(|tar| tar.entry(Block::ustar("x").flag(b'6'), b"")),
            (Open, 4),
            "a FIFO",
        ),
        case("a layer of xz", "no media type", with(|tar| tar.file("x", b"\xfd7zXZ\0xxxx")), (Open, 4), "xz"),
        case("a config under another digest", "its name is the only proof", renamed.finished(), (Open, 4), "expected"),
        case("manifest.json as a link", "content of another name", link_list, (Open, 4), "a symbolic link"),
    ]);
    // read as OCI it is whole; as docker's it is refused
    let mut ordeal = Ordeal::new();
    std::fs::write(ordeal.path("x.tar"), hybrid_lie).unwrap();
    let (oci, docker) = (ordeal.run("OCI", "verify --deep x.tar"), ordeal.run("docker", "verify docker-archive:x.tar"));
    if (oci.code, docker.code) != (0, 4) {
        ordeal.fault(format!("a hybrid that disagrees: {} {} {}", oci.code, docker.code, docker.stderr));
    }
    ordeal.judge();
}

#[test]
fn what_is_odd_and_right_is_taken() {
    let tags = |tags: Value| listing(&json!([image("one.json", &tags, &["l"])]));
    let mut ordeal = Ordeal::new();
    let dotted = files()
        .file("manifest.json", json!([image("./one.json", &json!(["app:v1"]), &["./l"])]).to_string().as_bytes());
    let linked = files()
        .symlink("x/layer.tar", "../l")
        .file("manifest.json", json!([image("one.json", &json!(["app:v1"]), &["x/layer.tar"])]).to_string().as_bytes());
    for (what, tar) in [
        ("RepoTags null, as docker writes it for an image by its digest", tags(Value::Null)),
        ("no tags", tags(json!([]))),
        ("one tag", tags(json!(["app:v1"]))),
        ("the same tag twice", tags(json!(["app:v1", "app:v1"]))),
        ("a port", tags(json!(["localhost:5000/a/b:v1"]))),
        ("unknown fields", raw(br#"[{"Config":"one.json","RepoTags":["app:v1"],"Layers":["l"],"LayerSources":{"sha256:x":{}},"Parent":"","x":[1]}]"#)),
        ("one image twice", listing(&json!([image("one.json", &json!(["a:1"]), &["l"]), image("one.json", &json!(["b:1"]), &["l"])]))),
        ("dots before names", dotted.finished()),
        ("a link to a layer, as docker 1.10 to 24 writes it", linked.finished()),
        ("a name that looks like a path", tagged("../../x:v1")),
    ] {
        std::fs::write(ordeal.path("x.tar"), tar).unwrap();
        for (line, ran) in ordeal.try_all(what, "x.tar") {
            let is_ambiguous = line.starts_with("inspect") || line.starts_with("unpack") || line.starts_with("merge");
            if ran.code != 0 && !(is_ambiguous && ran.code == 3) && !what.contains("looks like a path") {
                ordeal.fault(format!("{what}: {line}: {} {}", ran.code, ran.stderr));
            }
        }
    }
    ordeal.judge();
}
