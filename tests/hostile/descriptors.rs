//! Layouts and archives whose descriptors lie: digests, sizes, `data`, names.

use serde_json::{Value, json};

use crate::ordeal::Scope::{Merge, Open, Reach};
use crate::ordeal::{Case, case, refused};
use crate::support::image::{
    CONFIG, Images, LAYER, Layer, MANIFEST, annotated, config, digest, manifest, named, on, platform,
};

/// A place whose one root is made by code.
pub(super) fn made(build: impl FnOnce(&mut Images) -> Value) -> Images {
    let mut images = Images::new();
    let root = build(&mut images);
    images.root(named(root, "v1"));
    images
}

fn image(images: &mut Images) -> Value {
    images.image("linux/amd64", &[Layer::plain(b"x")])
}

/// An index with one entry that is an image's descriptor, changed.
fn child(change: impl FnOnce(&mut Value)) -> Images {
    made(|images| {
        let mut one = image(images);
        change(&mut one);
        images.index(&[one])
    })
}

/// A manifest whose layer has this descriptor.
fn layer(change: impl FnOnce(&mut Value)) -> Images {
    made(|images| {
        let config = images.document(CONFIG, &config("linux/amd64", &[Layer::plain(b"x")]));
        let mut layer = images.put(LAYER, b"x");
        change(&mut layer);
        images.document(MANIFEST, &manifest(&config, &[layer]))
    })
}

#[test]
fn digests() {
    let hex = "0123456789abcdef".repeat(4);
    let one = |text: String| child(|it| it["digest"] = json!(text));
    let form = "a digest such as";
    let cases: Vec<Case> = vec![
        case("too short", "a prefix would find another blob", one(format!("sha256:{}", &hex[1..])), (Reach, 4), form),
        case("too long", "a file of a longer name", one(format!("sha256:{hex}0")), (Reach, 4), form),
        case("upper case", "two names for one blob", one(format!("sha256:{}", hex.to_uppercase())), (Reach, 4), form),
        case("no algorithm", "as git writes them", one(hex.clone()), (Reach, 4), form),
        case("no hex", "an empty name is the directory", one("sha256:".into()), (Reach, 4), form),
        case("empty", "Go's zero value", one(String::new()), (Reach, 4), form),
        case("a slash", "a path below blobs/", one(format!("sha256:a/{}", &hex[2..])), (Reach, 4), form),
        case("climbs", "a path out of blobs/", one("sha256:../../../canary/secret".into()), (Reach, 4), form),
        case("climbs in the algorithm", "a path out of blobs/", one(format!("../../sha256:{hex}")), (Reach, 4), ""),
        case("a NUL", "C ends a name there", one(format!("sha256:{}\0{}", &hex[..32], &hex[33..])), (Reach, 4), form),
        case("a newline", "lines of a log", one(format!("sha256:{}\n{}", &hex[..32], &hex[33..])), (Reach, 4), form),
        case("an escape", "moves the terminal", one(format!("sha256:\u{1b}[2J{}", &hex[4..])), (Reach, 4), "\\u{1b}"),
        case("white space", "trimmed by some", one(format!(" sha256:{hex}")), (Reach, 4), ""),
        case(
            "full-width digits",
            "letters that look like digits",
            one(format!("sha256:{}", "０".repeat(64))),
            (Reach, 4),
            form,
        ),
        case("blake3", "nobody can verify it", one(format!("blake3:{hex}")), (Reach, 4), "can be verified"),
        case("md5", "can be forged", one(format!("md5:{}", &hex[..32])), (Reach, 4), "can be verified"),
        case(
            "sha384",
            "registered by nobody",
            one(format!("sha384:{}", "a".repeat(96))),
            (Reach, 4),
            "can be verified",
        ),
        case(
            "sha512 as short as sha256",
            "length says the algorithm elsewhere",
            one(format!("sha512:{hex}")),
            (Reach, 4),
            "",
        ),
        case(
            "multihash",
            "an algorithm with a plus",
            one(format!("multihash+base58:{hex}")),
            (Reach, 4),
            "can be verified",
        ),
        case("a number", "another type", child(|it| it["digest"] = json!(5)), (Reach, 4), "digest is 5"),
        case("a list", "another type", child(|it| it["digest"] = json!([digest(it)])), (Reach, 4), "a list"),
        case("null", "Go's nil", child(|it| it["digest"] = Value::Null), (Reach, 4), "digest is absent"),
        case(
            "md5 for a layer",
            "only the layer",
            layer(|it| it["digest"] = json!(format!("md5:{}", &hex[..32]))),
            (Reach, 4),
            "can be verified",
        ),
        case(
            "of nothing there",
            "a missing layer",
            layer(|it| it["digest"] = json!(format!("sha256:{hex}"))),
            (Reach, 4),
            "layer 1",
        ),
        case(
            "a child of nothing there",
            "a missing manifest",
            child(|it| it["digest"] = json!(format!("sha256:{hex}"))),
            (Reach, 4),
            "sha256:0123",
        ),
    ];
    refused(cases);
}

#[test]
fn sizes() {
    let exact = image(&mut Images::new())["size"].as_u64().unwrap();
    let of_child = |size: Value| child(|it| it["size"] = size);
    let of_layer = |size: Value| layer(|it| it["size"] = size);
    let whole = "a whole number from 0 to 2^63 - 1";
    let cases = vec![
        case("negative", "Go has signed sizes", of_child(json!(-1)), (Reach, 4), "size is -1"),
        case("a fraction", "JavaScript's numbers", of_child(json!(1.5)), (Reach, 4), whole),
        case("a whole fraction", "1.0 is an integer to some", of_child(json!(1.0)), (Reach, 4), whole),
        case("a text", "read by lenient parsers", of_child(json!("5")), (Reach, 4), whole),
        case(
            "absent",
            "0 to Go",
            child(|it| drop(it.as_object_mut().unwrap().remove("size"))),
            (Reach, 4),
            "size is absent",
        ),
        case("null", "0 to Go", of_child(Value::Null), (Reach, 4), "size is absent"),
        case("2^63", "negative in Go", of_child(json!(1_u64 << 63)), (Reach, 4), whole),
        case("2^64 - 1", "-1 in Go", of_child(json!(u64::MAX)), (Reach, 4), whole),
        case("1e30", "beyond all integers", of_child(serde_json::from_str("1e30").unwrap()), (Reach, 4), whole),
        case("2^63 - 1 for a manifest", "memory is made for it", of_child(json!(i64::MAX)), (Reach, 4), "8388608"),
        case("one more for a manifest", "off by one", of_child(json!(exact + 1)), (Reach, 4), "bytes"),
        case("one less for a manifest", "off by one", of_child(json!(exact - 1)), (Reach, 4), "bytes"),
        case("0 for a manifest", "Go's zero value", of_child(json!(0)), (Reach, 4), ""),
        case("one more for a layer", "off by one", of_layer(json!(2)), (Reach, 4), "expected 2"),
        case("one less for a layer", "off by one", of_layer(json!(0)), (Reach, 4), ""),
        case("2^63 - 1 for a layer", "sums overflow", of_layer(json!(i64::MAX)), (Reach, 4), "9223372036854775807"),
        case("negative for a layer", "seeks backwards", of_layer(json!(-5)), (Reach, 4), "size is -5"),
        case(
            "two sizes for one digest",
            "one of the two is a lie",
            made(|images| {
                let one = on(image(images), "linux/amd64");
                let mut other = on(one.clone(), "linux/arm64");
                other["size"] = json!(5);
                images.index(&[one, other])
            }),
            (Reach, 4),
            "sha256:",
        ),
        case(
            "sums beyond all numbers",
            "three layers of 2^63 - 1 bytes",
            made(|images| {
                let config = images.document(CONFIG, &config("linux/amd64", &[]));
                let layer =
                    |at: u8| json!({"mediaType": LAYER, "size": i64::MAX, "digest": format!("sha256:{at:064}")});
                images.document(MANIFEST, &manifest(&config, &[layer(1), layer(2), layer(3)]))
            }),
            (Reach, 4),
            "layer 1 of",
        ),
    ];
    refused(cases);
}

#[test]
fn other_fields() {
    let index_of = |change: fn(&mut Value)| child(change);
    let mut roots_too = Images::new();
    let mut root = image(&mut roots_too);
    root["digest"] = json!("sha256:../x");
    roots_too.root(root);
    let mut typeless = Images::new();
    let mut root = image(&mut typeless);
    root.as_object_mut().unwrap().remove("mediaType");
    typeless.root(root);
    let mut shouting = Images::new();
    let mut root = image(&mut shouting);
    root["Digest"] = root["digest"].clone();
    shouting.root(root);
    let cases = vec![
        case("a bad digest at the top", "nothing can be found", roots_too, (Open, 4), "manifests[0].digest"),
        case("no type at the top", "anything could be meant", typeless, (Open, 4), "manifests[0].mediaType is absent"),
        case(
            "a digest in two cases",
            "Go takes the last of either",
            shouting,
            (Open, 4),
            "but for upper and lower case",
        ),
        case(
            "data that is something else",
            "one reader uses it, another the blob",
            index_of(|it| it["data"] = json!("aGVsbG8=")),
            (Reach, 4),
            "data",
        ),
        case(
            "data that is no base64",
            "decoders differ in what they skip",
            index_of(|it| it["data"] = json!("a GVs\nbG8")),
            (Reach, 4),
            "base64",
        ),
        case(
            "data in the URL alphabet",
            "another base64",
            index_of(|it| it["data"] = json!("_-8=")),
            (Reach, 4),
            "base64",
        ),
        case("data that is a list", "another type", index_of(|it| it["data"] = json!([1])), (Reach, 4), "data"),
        case(
            "urls that are a text",
            "another type",
            index_of(|it| it["urls"] = json!("http://127.0.0.1:1/x")),
            (Reach, 4),
            "urls",
        ),
        case("urls of numbers", "another type", index_of(|it| it["urls"] = json!([1])), (Reach, 4), "urls[0]"),
        case(
            "annotations of numbers",
            "another type",
            index_of(|it| it["annotations"] = json!({"a": 1})),
            (Reach, 4),
            "annotations",
        ),
        case(
            "annotations that are a list",
            "another type",
            index_of(|it| it["annotations"] = json!(["a"])),
            (Reach, 4),
            "annotations",
        ),
        case(
            "a platform that is a text",
            "as docker writes it elsewhere",
            index_of(|it| it["platform"] = json!("linux/amd64")),
            (Reach, 4),
            "platform",
        ),
        case(
            "an architecture that is a number",
            "another type",
            index_of(|it| it["platform"]["architecture"] = json!(64)),
            (Reach, 4),
            "architecture",
        ),
        case(
            "os.features that is a text",
            "another type",
            index_of(|it| it["platform"] = json!({"os": "linux", "architecture": "amd64", "os.features": "x"})),
            (Reach, 4),
            "os.features",
        ),
        case(
            "a type that is a list",
            "another type",
            index_of(|it| it["mediaType"] = json!([MANIFEST])),
            (Reach, 4),
            "mediaType",
        ),
        case(
            "a type of artifact that is a number",
            "another type",
            index_of(|it| it["artifactType"] = json!(1)),
            (Reach, 4),
            "artifactType",
        ),
        case(
            "an entry that is a text",
            "a digest alone",
            made(|images| {
                images.document(crate::support::image::INDEX, &json!({"schemaVersion": 2, "manifests": ["sha256:x"]}))
            }),
            (Reach, 4),
            "manifests[0]",
        ),
        case(
            "an entry that is null",
            "Go's nil pointer",
            made(|images| {
                images.document(crate::support::image::INDEX, &json!({"schemaVersion": 2, "manifests": [null]}))
            }),
            (Reach, 4),
            "manifests[0] is null",
        ),
        case(
            "a layer as the image",
            "a root that is no document",
            made(|images| images.put(LAYER, b"x")),
            (Merge, 4),
            "",
        ),
    ];
    refused(cases);
}

#[test]
fn what_is_named_oddly_is_shown_safely() {
    let mut ordeal = crate::ordeal::Ordeal::new();
    let odd = [
        "\u{1b}[31mred\u{1b}[0m",
        "\u{1b}]0;title\u{7}",
        "a\rb",
        "a\nb",
        "a\tb",
        "\u{202e}txt.exe",
        "\u{2066}x\u{2069}",
        "a\u{200f}b",
        "nul\0nul",
        "\u{7f}del",
        "\u{9b}31m",
        "../../canary/secret",
        "/etc/passwd",
        "-rf",
        "--help",
        "",
        " ",
        "a b",
        "'; rm -rf /",
        "$(id)",
        "\u{feff}bom",
        "e\u{301}",
        "\u{1f980}",
        "%s%n",
        "a:b:c@d",
        "@",
        ":",
        "\\u{1b}",
    ];
    for (at, name) in odd.iter().enumerate() {
        let mut images = Images::new();
        let file = crate::support::tar::Tar::new().file(&format!("file{at}"), b"x").finished();
        let mut config = config("linux/amd64", &[Layer::plain(&file)]);
        config["author"] = json!(name);
        config["config"] = json!({"Labels": {*name: *name}, "Env": [name]});
        let root = images.image_with(&config, &[Layer::plain(&file)]);
        let mut root =
            annotated(annotated(root, "org.opencontainers.image.ref.name", name), "io.containerd.image.name", name);
        root["platform"] = platform("linux/amd64");
        root["platform"]["os.version"] = json!(name);
        root["platform"]["variant"] = json!(name);
        root["artifactType"] = json!(name);
        images.root(root);
        let what = format!("the name {name:?}");
        for place in ["x", "x.tar"] {
            images.write(&ordeal.path(place));
            let all = ordeal.try_all(&what, place);
            for line in ["ls --all PLACE", "tree PLACE", "verify PLACE"] {
                if all[line].code != 0 {
                    ordeal.fault(format!("{what}: {line}: {}", all[line].stderr));
                }
            }
            ordeal.clear(place);
        }
    }
    ordeal.judge();
}
